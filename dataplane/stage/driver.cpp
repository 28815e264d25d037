// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/driver.hpp"

#include <rte_cycles.h>
#include <rte_ring.h>

#include <bit>
#include <cstring>

#include "dataplane/stage/guard.hpp"
#include "dataplane/stage/trace.hpp"

namespace homeport::stage {

namespace {

constexpr std::array<std::string_view, kStageCount> kStageNames{
    "express",      "parse",      "classify",  "reassemble", "dsmip-in", "vpn-in",
    "home-address", "tunnel-in",  "mip4-in",   "ipsec-in",   "nd-proxy", "icmp-in",
    "intercept",    "vpn-out",    "ipsec-out", "tunnel-out", "forward",  "icmp-error",
    "fragment",     "to-control", "to-kernel", "tx"};
static_assert(!kStageNames.back().empty(), "a name for each StageId");

std::size_t index_of(StageId id) {
    return static_cast<std::size_t>(id);
}

void add(std::uint64_t& word, std::uint64_t n) {
    __atomic_store_n(&word, word + n, __ATOMIC_RELAXED);
}

/// Counts one more pass for each of them. Not less than the most that one has now, and seldom more.
unsigned count_passes(std::span<rte_mbuf* const> packets) {
    std::uint8_t bits = 0;
    for (rte_mbuf* const packet : packets) bits |= ++meta(packet).passes;
    return bits;
}

}  // namespace

std::vector<std::string> stage_names() {
    return {kStageNames.begin(), kStageNames.end()};
}

std::vector<std::string> edge_names(std::span<const StageDescription> stages) {
    std::vector<std::string> names;
    for (const StageDescription& stage : stages) {
        for (unsigned edge = 0; edge < stage.edge_count; ++edge) {
            names.push_back(std::string(kStageNames[index_of(stage.id)]) + "." +
                            std::string(stage.edges[edge].name));
        }
    }
    return names;
}

Driver::Driver(Worker& worker) : worker_(worker), edges_(*this), queues_(kStageCount) {}

Driver::~Driver() {
    for (Queue& queue : queues_) {
        rte_pktmbuf_free_bulk(queue.packets.data() + queue.head, queue.tail - queue.head);
    }
}

std::expected<std::unique_ptr<Driver>, std::string> Driver::create(
    Worker& worker, std::span<const StageDescription> stages, DriverStatistics statistics,
    Tracer* tracer) {
    std::unique_ptr<Driver> driver(new Driver(worker));
    if (auto built = driver->build(stages, statistics); !built) {
        return std::unexpected(built.error());
    }
    driver->tracer_ = tracer;
    return driver;
}

std::expected<void, std::string> Driver::build(std::span<const StageDescription> stages,
                                               DriverStatistics statistics) {
    std::uint64_t* edge_counts = statistics.edges;
    for (const StageDescription& described : stages) {
        const std::size_t id = index_of(described.id);
        if (id >= kStageCount || described.function == nullptr) {
            return std::unexpected("stage '" + std::string(described.name) + "' is not complete");
        }
        const std::string name(kStageNames[id]);
        Stage& stage = stages_[id];
        if (stage.function != nullptr)
            return std::unexpected("stage '" + name + "' is there twice");
        if (described.edge_count > kMaxEdges) {
            return std::unexpected("stage '" + name + "' has too many edges");
        }
        stage.function = described.function;
        stage.name = kStageNames[id];
        stage.edge_count = described.edge_count;
        stage.edge_counts = edge_counts;
        if (edge_counts != nullptr) edge_counts += described.edge_count;
        for (unsigned edge = 0; edge < described.edge_count; ++edge) {
            const EdgeDescription& description = described.edges[edge];
            if (description.name.empty() || index_of(description.target) >= kStageCount) {
                return std::unexpected("stage '" + name + "': edge " + std::to_string(edge) +
                                       " has no name or no target");
            }
            Edges::Slot& slot = stage.slots[edge];
            slot.queue = &queues_[index_of(description.target)];
            slot.target = description.target;
            slot.back = index_of(description.target) <= id;
            stage.has_back_edge |= slot.back;
            stage.edge_names[edge] = description.name;
        }
    }
    for (const Stage& stage : stages_) {
        for (unsigned edge = 0; edge < stage.edge_count; ++edge) {
            const std::size_t target = index_of(stage.slots[edge].target);
            if (stages_[target].function != nullptr) continue;
            return std::unexpected("stage '" + std::string(stage.name) + "': edge '" +
                                   std::string(stage.edge_names[edge]) + "' leads to stage '" +
                                   std::string(kStageNames[target]) + "', which is not there");
        }
    }
    rows_ = statistics.stages;
    handovers_.resize(std::size_t{2} * worker_.worker_count);
    edges_.handovers_ = handovers_.data();
    edges_.signalling_handovers_ = handovers_.data() + worker_.worker_count;
    edges_.worker_count_ = worker_.worker_count;
    edges_.counters_ = worker_.counters;
    return {};
}

void Driver::inject(StageId stage, std::span<rte_mbuf* const> packets) {
    const std::size_t id = index_of(stage);
    Queue& queue = queues_[id];
    const auto room = Queue::kCapacity - queue.tail;
    const std::size_t count = packets.size() < room ? packets.size() : room;
    std::memcpy(queue.packets.data() + queue.tail, packets.data(), count * sizeof(rte_mbuf*));
    queue.tail += static_cast<std::uint32_t>(count);
    if (count != 0) ready_ |= 1u << id;
    for (std::size_t i = count; i < packets.size(); ++i) {
        worker_.count(channel::Counter::kNoBuffer);
        rte_pktmbuf_free(packets[i]);
    }
}

void Driver::inject_handed_over(std::span<rte_mbuf* const> packets) {
    for (rte_mbuf* packet : packets) {
        inject(static_cast<StageId>(meta(packet).resume), std::span(&packet, 1));
    }
}

void Driver::run() {
    edges_.tracing_ = tracer_ != nullptr && tracer_->begin_run();
    last_tsc_ = rte_rdtsc();
    worker_.now_tsc = last_tsc_;
    while (ready_ != 0) run_stage(static_cast<unsigned>(std::countr_zero(ready_)));
}

void Driver::take(Queue& queue) {
    const std::uint32_t waiting = queue.tail - queue.head;
    batch_.count = waiting < kBatchSize ? waiting : kBatchSize;
    std::memcpy(batch_.packets.data(), queue.packets.data() + queue.head,
                batch_.count * sizeof(rte_mbuf*));
    queue.head += batch_.count;
    if (queue.head == queue.tail) queue.head = queue.tail = 0;
}

void Driver::run_stage(unsigned id) {
    Stage& stage = stages_[id];
    Queue& queue = queues_[id];
    take(queue);
    if (queue.tail == 0) ready_ &= ~(1u << id);
    const unsigned count = batch_.count;
    if (stage.has_back_edge) {
        for (unsigned edge = 0; edge < stage.edge_count; ++edge) {
            stage.slots[edge].tail_before = stage.slots[edge].queue->tail;
        }
    }
    edges_.slots_ = stage.slots.data();
    running_ = &stage;
    if (edges_.tracing_) [[unlikely]]
        tracer_->choose(batch_, static_cast<StageId>(id), stage.name);

    enter_stage(stage.name);
    stage.function(worker_, batch_, edges_);
    leave_stage();

    settle(stage);
    const std::uint64_t now = rte_rdtsc();
    channel::StageRow& row = rows_[id];
    add(row.calls, 1);
    add(row.packets, count);
    add(row.cycles, now - last_tsc_);
    last_tsc_ = now;
}

void Driver::settle(Stage& stage) {
    for (unsigned edge = 0; edge < stage.edge_count; ++edge) {
        Edges::Slot& slot = stage.slots[edge];
        if (slot.given == 0) continue;
        add(stage.edge_counts[edge], slot.given);
        slot.given = 0;
        if (slot.back) bound_passes(slot);
        if (slot.queue->tail != slot.queue->head) ready_ |= 1u << index_of(slot.target);
    }
    if (edges_.ended_count_ != 0) edges_.free_ended();
    if (edges_.handing_over_) [[unlikely]]
        edges_.send_handovers();
}

void Driver::bound_passes(Edges::Slot& slot) {
    Queue& queue = *slot.queue;
    std::uint32_t kept = queue.tail;
    if (count_passes(std::span(queue.packets).subspan(slot.tail_before, kept - slot.tail_before)) >
        kMaxPasses) [[unlikely]] {
        kept = slot.tail_before;
        for (std::uint32_t i = slot.tail_before; i < queue.tail; ++i) {
            rte_mbuf* const packet = queue.packets[i];
            if (meta(packet).passes > kMaxPasses) {
                edges_.end(packet, channel::Counter::kTunInMalformed);
            } else {
                queue.packets[kept++] = packet;
            }
        }
    }
    queue.tail = kept;
    // A second edge to the same stage must not count these packets again.
    slot.tail_before = kept;
    for (Edges::Slot* other = edges_.slots_; other < edges_.slots_ + running_->edge_count;
         ++other) {
        if (other->queue == slot.queue) other->tail_before = kept;
    }
}

void Edges::free_ended() {
    rte_pktmbuf_free_bulk(ended_.data(), ended_count_);
    ended_count_ = 0;
}

void Edges::hand_over(rte_mbuf* packet, unsigned worker, StageId stage) {
    const bool signalling = (meta(packet).flags & kMetaSignalling) != 0;
    Handover* const handovers = signalling ? signalling_handovers_ : handovers_;
    if (worker >= worker_count_ || handovers[worker].count == kBatchSize) {
        end(packet,
            signalling ? channel::Counter::kSignallingFull : channel::Counter::kHandoverFull);
        return;
    }
    if (tracing_) [[unlikely]]
        trace_kept(packet, "hand-over");
    meta(packet).resume = static_cast<std::uint8_t>(stage);
    Handover& handover = handovers[worker];
    handover.packets[handover.count++] = packet;
    handing_over_ = true;
}

void Edges::send_handovers() {
    handing_over_ = false;
    send_handovers(signalling_handovers_, driver_.worker_.signalling_to_worker.data(),
                   channel::Counter::kSignallingFull);
    send_handovers(handovers_, driver_.worker_.to_worker.data(), channel::Counter::kHandoverFull);
    if (ended_count_ != 0) free_ended();
}

void Edges::send_handovers(Handover* handovers, rte_ring* const* rings, channel::Counter full) {
    for (unsigned worker = 0; worker < worker_count_; ++worker) {
        Handover& handover = handovers[worker];
        if (handover.count == 0) continue;
        unsigned sent = 0;
        if (rings[worker] != nullptr) {
            sent = rte_ring_enqueue_burst(rings[worker],
                                          reinterpret_cast<void**>(handover.packets.data()),
                                          handover.count, nullptr);
        }
        driver_.worker_.count(channel::Counter::kHandoverSent, sent);
        if (handovers == signalling_handovers_) {
            driver_.worker_.count(channel::Counter::kHandoverSignalling, sent);
        }
        for (unsigned i = sent; i < handover.count; ++i) end(handover.packets[i], full);
        handover.count = 0;
    }
}

void Edges::trace_given(unsigned edge, rte_mbuf* packet) {
    driver_.tracer_->record(packet, driver_.running_->name, driver_.running_->edge_names[edge]);
}

void Edges::trace_ended(rte_mbuf* packet, channel::Counter counter) {
    driver_.tracer_->record(packet, driver_.running_->name, channel::name_of(counter));
}

void Edges::trace_kept(rte_mbuf* packet, std::string_view where) {
    driver_.tracer_->record(packet, driver_.running_->name, where);
}

}  // namespace homeport::stage

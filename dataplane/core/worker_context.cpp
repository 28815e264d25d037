// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/core/worker_context.hpp"

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_random.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "dataplane/ipsec/sa.hpp"

namespace homeport::core {

namespace {

// No line that one worker writes while packets pass is written or read by another. What workers
// share for writing are rings (DPDK keeps producers and consumers on lines of their own), the locks
// of transmit queues that are fewer than workers (a line each), and the pool behind their caches.
// Associations and replay windows are whole lines (ipsec/sa.hpp) and belong to one worker; counters
// are blocks of whole lines (channel/statistics.hpp). Asserts stand beside the types;
// tests/golden/workers/lines_test.cpp looks at the memory of workers that carry packets.
static_assert(RTE_CACHE_LINE_SIZE == kCacheLine);

constexpr unsigned kRequestRingSize = 1024;
constexpr std::size_t kMaxDeferred = 256;

std::expected<rte_ring*, std::string> make_ring(const std::string& name, unsigned size,
                                                unsigned flags) {
    rte_ring* ring = rte_ring_create(name.c_str(), size, SOCKET_ID_ANY, flags);
    if (ring == nullptr) return std::unexpected("ring " + name + ": " + rte_strerror(rte_errno));
    return ring;
}

void free_ring(rte_ring* ring) {
    if (ring == nullptr) return;
    void* packet = nullptr;
    while (rte_ring_dequeue(ring, &packet) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(packet));
    rte_ring_free(ring);
}

}  // namespace

// --------------------------------------------------------------------------------------- Waker

std::expected<std::unique_ptr<Waker>, std::string> Waker::create() {
    const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) return std::unexpected(std::string("eventfd: ") + rte_strerror(errno));
    return std::unique_ptr<Waker>(new Waker(fd));
}

Waker::~Waker() {
    close(fd_);
}

void Waker::awake() {
    sleeps_.store(false, std::memory_order_relaxed);
    std::uint64_t count = 0;
    while (read(fd_, &count, sizeof count) < 0 && errno == EINTR) {
    }
}

void Waker::really_wake() {
    if (!sleeps_.exchange(false, std::memory_order_seq_cst)) return;
    const std::uint64_t one = 1;
    while (write(fd_, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

// ------------------------------------------------------------------------------- WorkerContext

WorkerContext::WorkerContext(SharedState& state, const WorkerSetup& setup)
    : state_(state),
      statistics_(setup.statistics),
      waker_(setup.waker),
      transmitter_(setup.statistics.counters) {}

std::expected<std::unique_ptr<WorkerContext>, std::string> WorkerContext::create(
    const config::DataplaneConfig& config, SharedState& state, const WorkerSetup& setup) {
    std::unique_ptr<WorkerContext> context(new WorkerContext(state, setup));
    if (auto built = context->build(config, setup); !built) {
        return std::unexpected("worker " + std::to_string(setup.index) + ": " + built.error());
    }
    return context;
}

std::expected<void, std::string> WorkerContext::build(const config::DataplaneConfig& config,
                                                      const WorkerSetup& setup) {
    worker_.index = setup.index;
    worker_.lcore = setup.lcore;
    worker_.worker_count = setup.count;
    worker_.tables = &state_.tables();
    worker_.route_cache = &route_cache_;
    worker_.ipsec_queries = &state_.queries();
    worker_.ipsec_copy_mode = config.ipsec.copy_mode;
    worker_.reply_to = &reply_to_;
    payload_owners_.reserve(config.max_bindings);
    worker_.payload_owners = &payload_owners_;
    signalling_spis_.reserve(config.max_bindings);
    worker_.signalling_spis = &signalling_spis_;
    worker_.send_queues = &transmitter_;
    worker_.pool = setup.pool;
    worker_.jumbo_pool = setup.jumbo_pool;
    worker_.counters = statistics_.counters;
    worker_.binding_rows = statistics_.bindings;
    worker_.identification = static_cast<std::uint32_t>(rte_rand());
    if (statistics_.row != nullptr) channel::store_word(statistics_.row->lcore, setup.lcore);
    adjacency_packets_ = static_cast<std::uint64_t*>(
        rte_zmalloc("adjacency packets", config.max_adjacencies * sizeof(std::uint64_t), 64));
    if (adjacency_packets_ == nullptr) return std::unexpected("no memory for counters");
    worker_.adjacency_packets = adjacency_packets_;

    const auto owner =
        setup.count > 1 ? std::optional(static_cast<std::uint8_t>(setup.index)) : std::nullopt;
    auto engine = ipsec::EspEngine::create(state_.spd(), state_.sad(), owner);
    if (!engine) return std::unexpected(engine.error().text);
    esp_ = std::move(*engine);
    worker_.esp = esp_.get();

    if (auto made = make_rings(setup); !made) return made;
    make_reassembler(config.reassembly);
    if (setup.trace_session != nullptr) {
        auto tracer = stage::Tracer::create("trace" + setup.name_suffix, *setup.trace_session);
        if (!tracer) return std::unexpected(tracer.error());
        tracer_ = std::move(*tracer);
    }
    auto driver = stage::Driver::create(worker_, setup.stages,
                                        {statistics_.stages, statistics_.edges}, tracer_.get());
    if (!driver) return std::unexpected(driver.error());
    driver_ = std::move(*driver);
    deferred_.reserve(kMaxDeferred);
    refresh();
    return {};
}

std::expected<void, std::string> WorkerContext::make_rings(const WorkerSetup& setup) {
    const auto named = [&](const char* what) { return what + setup.name_suffix; };
    auto control = make_ring(named("control"), kRingSize, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (!control) return std::unexpected(control.error());
    worker_.to_control = *control;
    auto from_main = make_ring(named("main"), kRingSize, RING_F_SC_DEQ);
    if (!from_main) return std::unexpected(from_main.error());
    from_main_ = *from_main;
    auto handed_over = make_ring(named("handover"), kRingSize, RING_F_SC_DEQ);
    if (!handed_over) return std::unexpected(handed_over.error());
    handed_over_ = *handed_over;
    auto signalling = make_ring(named("signalling"), kSignallingQueueSize, RING_F_SC_DEQ);
    if (!signalling) return std::unexpected(signalling.error());
    signalling_handed_over_ = *signalling;
    worker_.to_main =
        rte_ring_create_elem(named("request").c_str(), sizeof(stage::MainRequest), kRequestRingSize,
                             SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (worker_.to_main == nullptr) {
        return std::unexpected(named("request") + ": " + rte_strerror(rte_errno));
    }
    return {};
}

void WorkerContext::make_reassembler(const config::ReassemblyConfig& config) {
    // Fragments that never become whole must not take the buffers of everything else.
    const std::uint32_t most = worker_.pool == nullptr ? 0 : worker_.pool->size / 4;
    reassembler_ = std::make_unique<forward::Reassembler>(
        forward::ReassemblyLimits{.entries = config.entries,
                                  .fragments = most / std::max(worker_.worker_count, 1u),
                                  .per_source = config.per_source,
                                  .timeout_cycles = rte_get_tsc_hz() / 1000 * config.timeout_ms});
    worker_.reassembler = reassembler_.get();
}

WorkerContext::~WorkerContext() {
    for (rte_mbuf* packet : deferred_) rte_pktmbuf_free(packet);
    std::array<void*, tunnel::ReplyToTable::kMaxWaiting> waiting;
    const std::size_t count = reply_to_.take_all(waiting);
    for (std::size_t i = 0; i < count; ++i) rte_pktmbuf_free(static_cast<rte_mbuf*>(waiting[i]));
    driver_.reset();
    free_ring(worker_.to_control);
    free_ring(from_main_);
    free_ring(handed_over_);
    free_ring(signalling_handed_over_);
    rte_ring_free(worker_.to_main);
    rte_free(adjacency_packets_);
}

void WorkerContext::add_receive_queue(std::uint16_t port, std::uint16_t device, std::uint16_t queue,
                                      const ReceiveOptions& options) {
    ReceiveQueue added{.port = port, .device = device, .queue = queue, .first = options.first};
    if (options.look_ahead != 0) added.backlog = std::make_unique<FrameQueue>(options.look_ahead);
    const auto place = std::ranges::find_if(
        receive_queues_, [&](const ReceiveQueue& other) { return options.first && !other.first; });
    receive_queues_.insert(place, std::move(added));
}

void WorkerContext::set_port(std::uint16_t port, const stage::PortView& view) {
    worker_.ports[port] = view;
}

void WorkerContext::connect(WorkerContext& other) {
    worker_.to_worker[other.worker_.index] = other.handed_over_;
    worker_.signalling_to_worker[other.worker_.index] = other.signalling_handed_over_;
}

}  // namespace homeport::core

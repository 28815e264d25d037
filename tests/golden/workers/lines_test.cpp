// SPDX-License-Identifier: BSD-3-Clause
// No shared written line on the hot path: two and three workers in one process, as the data plane
// makes them, with ports, caches of buffers and threads of their own. `perf c2c` needs hardware
// that counts; this looks at memory itself, which tells what is written, line by line:
//
// * no cache line is in memory of two workers, whether it is ever written or not;
// * while one worker carries packets nothing changes but its own memory, its SAs, and buffers,
//   rings and devices of its packets: no line of another worker, none of the tables;
// * two workers that do the same with the same binding change no line in common;
// * a change of a binding by the main lcore changes no line that says where tables are.
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_memory.h>
#include <rte_ring.h>

#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "dataplane/base/sanitizers.hpp"
#include "dataplane/core/graph.hpp"
#include "dataplane/ipsec/sa.hpp"
#include "tests/golden/forward/home_agent.hpp"
#include "tests/golden/workers/written_lines.hpp"
#include "tests/unit/ipsec/support.hpp"

namespace homeport::golden {
namespace {

constexpr std::uintptr_t kLine = 64;
constexpr std::uint16_t kPayload = 6;  // id of the policy

template <class Function>
void for_each_line(const Region& region, Function&& function) {
    const auto at = reinterpret_cast<std::uintptr_t>(region.at);
    for (std::uintptr_t line = at / kLine * kLine; line < at + region.octets; line += kLine) {
        function(line);
    }
}

/// A thread that has an lcore number, and so caches of buffers, of its own. It does what run() is
/// given, one after the other.
class WorkerThread {
  public:
    WorkerThread() : thread_([this] { serve(); }) {
        while (!ready_.load()) std::this_thread::yield();
    }
    ~WorkerThread() {
        run([this] { stop_ = true; });
        thread_.join();
    }
    WorkerThread(const WorkerThread&) = delete;
    WorkerThread& operator=(const WorkerThread&) = delete;

    void run(const std::function<void()>& work) {
        work_ = &work;
        go_.store(true);
        while (go_.load()) std::this_thread::yield();
    }
    [[nodiscard]] Region stack() const { return stack_; }

  private:
    void serve() {
        EXPECT_EQ(rte_thread_register(), 0);
        stack_ = own_stack();
        ready_.store(true);
        while (!stop_) {
            while (!go_.load()) std::this_thread::yield();
            (*work_)();
            go_.store(false);
        }
        rte_thread_unregister();
    }

    std::atomic<bool> ready_{false}, go_{false};
    const std::function<void()>* work_ = nullptr;
    bool stop_ = false;
    Region stack_{};
    std::thread thread_;  // behind all that it uses
};

/// A worker as the data plane makes it, and all memory that is its own.
struct OneWorker {
    WorkerThread thread;
    std::unique_ptr<core::WorkerContext> context;
    std::vector<Region> regions;
    std::array<std::uint16_t, 2> received{}, sent{};  // devices, by port
    std::vector<Region> associations;
    std::uint32_t sequence = 0;  // of what the node seals
};

class WrittenLines : public ForwardTest, public ::testing::WithParamInterface<unsigned> {
  protected:
    void SetUp() override {
        count_ = GetParam();
        set_workers(count_);
        start_home_agent();
        set_protection();
        auto statistics =
            channel::StatisticsWriter::create({.stages = stage::stage_names(),
                                               .edges = stage::edge_names(core::all_stages()),
                                               .workers = count_ + 1,
                                               .adjacencies = 4096,
                                               .sas = 64,
                                               .bindings = 1001,
                                               .tsc_hz = 1});
        ASSERT_TRUE(statistics);
        rows_ = std::make_unique<channel::StatisticsWriter>(std::move(*statistics));
        packets_ = rte_pktmbuf_pool_create("lines", 8191, 256, 0, 2048 + RTE_PKTMBUF_HEADROOM,
                                           SOCKET_ID_ANY);
        jumbo_ = rte_pktmbuf_pool_create("lines jumbo", 255, 32, 0,
                                         channel::kMaxPacket + 128 + RTE_PKTMBUF_HEADROOM,
                                         SOCKET_ID_ANY);
        ASSERT_NE(packets_, nullptr);
        ASSERT_NE(jumbo_, nullptr);
        for (auto& transmit : transmit_) transmit = std::make_unique<port::TransmitPort>();
        for (unsigned i = 0; i < count_; ++i) make_worker(i);
        for (const auto& from : workers_) {
            for (const auto& to : workers_) from->context->connect(*to->context);
        }
        for (unsigned i = 0; i < count_; ++i) {
            add_rings(i);
            bind_nodes(i);
        }
    }

    void TearDown() override {
        for (const auto& worker : workers_) {
            worker->thread.run([&] { worker->context.reset(); });
            drain(*worker);
        }
        workers_.clear();
        for (rte_mbuf* packet : kept_) rte_pktmbuf_free(packet);
        EXPECT_EQ(rte_mempool_in_use_count(packets_), 0u);
        rte_mempool_free(packets_);
        rte_mempool_free(jumbo_);
        ForwardTest::TearDown();
    }

    // ------------------------------------------------------------------------------- set-up

    static Ipv6Address numbered(const char* first, unsigned number) {
        Ipv6Address address = v6(first);
        address.bytes[14] = static_cast<std::uint8_t>(number);
        return address;
    }
    /// Of worker `i`: a node whose payload goes in plain tunnels, and one whose is sealed. All have
    /// one care-of address, as if behind one router.
    static Ipv6Address plain_node(unsigned i) { return numbered("2001:db8:1::1:1", i); }
    static Ipv6Address sealed_node(unsigned i) { return numbered("2001:db8:1::2:1", i); }

    void set_protection() {
        channel::PolicyRecord protect;
        protect.id = kPayload;
        protect.action = channel::PolicyAction::kProtect;
        protect.mode = channel::SaMode::kTunnel;
        protect.per_remote_address = 1;
        protect.selector.remote_low = channel::WireAddress(sealed_node(0));
        protect.selector.remote_high = channel::WireAddress(sealed_node(255));
        channel::PolicyRecord others;
        others.id = 7;
        others.action = channel::PolicyAction::kBypass;
        const std::array policies{protect, others};
        set_policies(policies);
    }

    void make_worker(unsigned i) {
        auto worker = std::make_unique<OneWorker>();
        make_devices(*worker, i);
        config::DataplaneConfig config;
        config.max_bindings = 1001;
        config.max_adjacencies = 4096;
        {
            const AllocationLog log;
            auto context =
                core::WorkerContext::create(config, state(),
                                            {.index = i,
                                             .count = count_,
                                             .lcore = i,
                                             .name_suffix = " lines " + std::to_string(i),
                                             .statistics = rows_->worker(i),
                                             .pool = packets_,
                                             .jumbo_pool = jumbo_,
                                             .stages = core::all_stages()});
            ASSERT_TRUE(context) << context.error();
            worker->context = std::move(*context);
            for (std::uint16_t port = 0; port < 2; ++port) connect_port(*worker, port);
            worker->regions = log.blocks();
        }
        const channel::StatisticsHeader& layout = rows_->layout();
        const channel::WorkerStatistics rows = rows_->worker(i);
        worker->regions.push_back({rows.counters, layout.worker_stride, "counters"});
        worker->regions.push_back(
            {rows.bindings, 1001 * sizeof(channel::BindingRow), "rows of bindings"});
        worker->regions.push_back(
            {worker->context->adjacency_packets(), 4096 * sizeof(std::uint64_t), "adjacencies"});
        workers_.push_back(std::move(worker));
    }

    void make_devices(OneWorker& worker, unsigned i) {
        for (std::uint16_t port = 0; port < 2; ++port) {
            const std::string number = std::to_string(i) + std::to_string(port);
            worker.received[port] = ring_device("net_ring_rx" + number, packets_);
            worker.sent[port] = ring_device("net_ring_tx" + number, packets_);
        }
    }

    void connect_port(OneWorker& worker, std::uint16_t port) {
        core::WorkerContext& context = *worker.context;
        context.add_receive_queue(port, worker.received[port], 0, {.look_ahead = 512});
        context.transmitter().attach(port, worker.sent[port], 0, false, *transmit_[port]);
        context.set_port(port, {.mac = port_mac(port), .mtu = 1500, .in_use = 1});
    }

    /// Rings that this worker or others write when there is something for it, or of it.
    void add_rings(unsigned i) {
        OneWorker& worker = *workers_[i];
        const stage::Worker& view = worker.context->worker();
        const auto add = [&](const rte_ring* ring, unsigned element, const char* what) {
            worker.regions.push_back(
                {ring, static_cast<std::size_t>(rte_ring_get_memsize_elem(element, ring->size)),
                 what});
        };
        add(view.to_control, 8, "ring to the control plane");
        add(view.to_main, sizeof(stage::MainRequest), "ring to the main lcore");
        add(worker.context->from_main(), 8, "ring from the main lcore");
        add(view.to_worker[i], 8, "ring of what is handed over");
        add(view.signalling_to_worker[i], 8, "ring of signalling that is handed over");
    }

    [[nodiscard]] static ipsec::test::Pair pair(unsigned i, bool out) {
        return {.spi = ipsec::make_own_spi(1, i, 2 * i + (out ? 1u : 0u) + 1),
                .replay_window = static_cast<std::uint16_t>(out ? 0 : 1024)};
    }

    void bind_nodes(unsigned i) {
        channel::BindingSet plain = binding(plain_node(i));
        plain.counter_index = i;
        apply(plain);
        channel::BindingSet sealed = binding(sealed_node(i));
        sealed.counter_index = 500 + i;
        sealed.flags |= channel::kBindingProtected;
        apply(sealed);
        for (const bool out : {false, true}) {
            const ipsec::test::Pair keys = pair(i, out);
            channel::SaSet record;
            record.spi = keys.spi.value;
            record.direction =
                out ? channel::SaDirection::kOutbound : channel::SaDirection::kInbound;
            record.mode = channel::SaMode::kTunnel;
            record.policy_id = kPayload;
            record.owner_worker = static_cast<std::uint8_t>(i);
            record.replay_window = keys.replay_window;
            record.tunnel_local = channel::WireAddress(kHomeAgent);
            record.tunnel_remote = record.peer = channel::WireAddress(sealed_node(i));
            record.selector.remote_low = record.selector.remote_high = record.peer;
            constexpr std::string_view kAlgorithm = "aes128-gcm16";
            std::ranges::copy(kAlgorithm, record.algorithm);
            const ipsec::SaParameters parameters = ipsec::test::outbound_parameters(keys);
            const ConstByteSpan key = parameters.encryption_key.view();
            std::ranges::copy(key, record.encryption_key);
            record.encryption_key_length = static_cast<std::uint16_t>(key.size());
            apply(record);
            const ipsec::SecurityAssociation* const sa =
                ipsec().find({record.spi, record.direction, record.peer});
            ASSERT_NE(sa, nullptr);
            workers_[i]->associations.push_back({sa, sa->profile->block_size, "SA"});
        }
    }

    // ------------------------------------------------------------------------------ packets

    /// What a worker has most of, in many copies, and some of what it has seldom.
    std::vector<Frame> traffic(unsigned i) {
        std::vector<Frame> frames;
        const auto outside = [&](const Bytes& packet) {
            frames.push_back({kOutside, to_port(kOutside, packet)});
        };
        for (unsigned n = 0; n < 20; ++n) {
            outside(udp6(kCorrespondent, plain_node(i), 40));
            // One binding that all workers carry packets of.
            outside(udp6(kCorrespondent, plain_node(0), 40));
            outside(ipv6(kCareOfAddress, kHomeAgent, 41, udp6(plain_node(i), kCorrespondent, 40)));
            outside(udp6(kCorrespondent, sealed_node(i), 40));
            const Bytes text =
                ipsec::test::with_trailer(udp6(sealed_node(i), kCorrespondent, 40), 4, 41);
            const Bytes sealed =
                ipsec::test::seal_raw(pair(i, false), text, ++workers_[i]->sequence);
            outside(ipv6(kCareOfAddress, kHomeAgent, 50, {sealed.begin() + 40, sealed.end()}));
            outside(udp6(kCorrespondent, kAtHome, 40));
        }
        outside(icmp6(kCorrespondent, kHomeAgent, 128, 0, 7, Bytes(16)));
        outside(udp6(kCorrespondent, kAtHome, 40, {.hop_limit = 1}));
        outside(udp6(kCorrespondent, plain_node(i), 1480));
        // A binding update, for the control plane.
        outside(ipv6(plain_node(i), kHomeAgent, 135, from_hex("3b010500 0000 0001 0000 0001")));
        return frames;
    }

    /// Puts frames where the worker's devices have them, at most 512 a port.
    void put(OneWorker& worker, const std::vector<Frame>& frames) {
        for (const Frame& frame : frames) {
            rte_mbuf* packet = rte_pktmbuf_alloc(packets_);
            ASSERT_NE(packet, nullptr);
            void* const room =
                rte_pktmbuf_append(packet, static_cast<std::uint16_t>(frame.bytes.size()));
            std::memcpy(room, frame.bytes.data(), frame.bytes.size());
            ASSERT_EQ(rte_eth_tx_burst(worker.received[frame.port], 0, &packet, 1), 1);
        }
    }
    /// Packets are kept: freed ones would be the next worker's.
    void drain(OneWorker& worker) {
        rte_mbuf* packet = nullptr;
        for (const auto& devices : {worker.received, worker.sent}) {
            for (const std::uint16_t device : devices) {
                while (rte_eth_rx_burst(device, 0, &packet, 1) == 1) kept_.push_back(packet);
            }
        }
        void* element = nullptr;
        while (worker.context != nullptr &&
               rte_ring_dequeue(worker.context->to_control(), &element) == 0) {
            kept_.push_back(static_cast<rte_mbuf*>(element));
        }
    }
    [[nodiscard]] std::uint64_t counter(unsigned i, channel::Counter counter) const {
        return rows_->worker(i).counters[static_cast<std::size_t>(counter)];
    }

    /// Lines that change while worker `i` carries the traffic of a moment.
    std::vector<std::uintptr_t> lines_written_by(unsigned i) {
        OneWorker& worker = *workers_[i];
        const std::function<void()> work = [&] {
            for (unsigned round = 0; round < 16; ++round) (void)worker.context->poll();
        };
        std::vector<Region> stacks;
        for (const auto& each : workers_) stacks.push_back(each->thread.stack());
        stacks.push_back({&worker.thread, sizeof worker.thread, "hand-shake"});
        // The first time fills what is filled once.
        for (unsigned n = 0; n < 2; ++n) {
            put(worker, traffic(i));
            worker.thread.run(work);
            drain(worker);
        }
        put(worker, traffic(i));
        Snapshot snapshot({stacks.begin(), stacks.end() - 1});
        const auto sealed = counter(i, channel::Counter::kIpsecOutProtect);
        const auto opened = counter(i, channel::Counter::kIpsecInOk);
        snapshot.take();
        worker.thread.run(work);
        std::vector<std::uintptr_t> changed = snapshot.changed();
        // What the two threads tell each other by.
        std::set<std::uintptr_t> own;
        for_each_line(stacks.back(), [&](std::uintptr_t line) { own.insert(line); });
        std::erase_if(changed, [&](std::uintptr_t line) { return own.contains(line); });
        EXPECT_EQ(counter(i, channel::Counter::kIpsecOutProtect) - sealed, 20u);
        EXPECT_EQ(counter(i, channel::Counter::kIpsecInOk) - opened, 20u);
        EXPECT_EQ(counter(i, channel::Counter::kHandoverSent), 0u);
        EXPECT_GT(changed.size(), 100u);
        drain(worker);
        return changed;
    }

    unsigned count_ = 0;
    rte_mempool* packets_ = nullptr;
    rte_mempool* jumbo_ = nullptr;
    std::unique_ptr<channel::StatisticsWriter> rows_;
    std::array<std::unique_ptr<port::TransmitPort>, 2> transmit_;
    std::vector<std::unique_ptr<OneWorker>> workers_;
    std::vector<rte_mbuf*> kept_;
};

bool is_dpdk_memory(std::uintptr_t line) {
    return rte_mem_virt2memseg_list(reinterpret_cast<const void*>(line)) != nullptr;
}

TEST_P(WrittenLines, no_line_is_of_two_workers) {
    std::map<std::uintptr_t, std::pair<unsigned, const char*>> owners;
    std::size_t blocks = 0;
    for (unsigned i = 0; i < count_; ++i) {
        std::vector<Region> all = workers_[i]->regions;
        all.insert(all.end(), workers_[i]->associations.begin(), workers_[i]->associations.end());
        blocks += all.size();
        for (const Region& region : all) {
            for_each_line(region, [&](std::uintptr_t line) {
                const auto [at, fresh] = owners.try_emplace(line, i, region.what);
                EXPECT_TRUE(fresh || at->second.first == i)
                    << region.what << " of worker " << i << " has a line of worker "
                    << at->second.first << ", " << at->second.second << ": " << place_of(line);
            });
        }
    }
    EXPECT_GT(blocks, count_ * 20);
}

TEST_P(WrittenLines, blocks_of_a_worker_are_whole_lines) {
    // Whatever the allocator puts beside them.
    for (const Region& region : workers_[0]->regions) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(region.at) % kLine, 0u)
            << region.what << ", " << region.octets << " octets";
    }
}

TEST_P(WrittenLines, a_worker_writes_what_is_its_own) {
#ifdef HOMEPORT_SANITIZED
    GTEST_SKIP() << "a sanitizer writes its notes on every access";
#endif
    for (unsigned i = 0; i < count_; ++i) {
        std::map<std::uintptr_t, std::pair<unsigned, const char*>> owners;
        for (unsigned of = 0; of < count_; ++of) {
            for (const auto& regions : {workers_[of]->regions, workers_[of]->associations}) {
                for (const Region& region : regions) {
                    for_each_line(region, [&](std::uintptr_t line) {
                        owners.try_emplace(line, of, region.what);
                    });
                }
            }
        }
        for (const std::uintptr_t line : lines_written_by(i)) {
            const auto owner = owners.find(line);
            if (owner == owners.end()) {
                EXPECT_TRUE(is_dpdk_memory(line))
                    << "worker " << i << " wrote a line that is nobody's: " << place_of(line);
            } else {
                EXPECT_EQ(owner->second.first, i)
                    << "worker " << i << " wrote " << owner->second.second << " of worker "
                    << owner->second.first << ": " << place_of(line);
            }
        }
    }
}

TEST_P(WrittenLines, workers_write_no_line_in_common) {
#ifdef HOMEPORT_SANITIZED
    GTEST_SKIP() << "a sanitizer writes its notes on every access";
#endif
    // Packets are other ones for each worker, as from a port of its own: buffers stay in its cache.
    std::map<std::uintptr_t, unsigned> written;
    const auto* const common = static_cast<const rte_ring*>(packets_->pool_data);
    const Region pool{common, static_cast<std::size_t>(rte_ring_get_memsize(common->size)), "pool"};
    std::set<std::uintptr_t> pool_lines;
    for_each_line(pool, [&](std::uintptr_t line) { pool_lines.insert(line); });
    for (unsigned i = 0; i < count_; ++i) {
        for (const std::uintptr_t line : lines_written_by(i)) {
            if (pool_lines.contains(line)) continue;
            const auto [at, fresh] = written.try_emplace(line, i);
            EXPECT_TRUE(fresh) << "workers " << at->second << " and " << i
                               << " both wrote: " << place_of(line);
        }
    }
}

TEST_P(WrittenLines, a_change_of_a_binding_leaves_what_readers_look_at) {
#ifdef HOMEPORT_SANITIZED
    GTEST_SKIP() << "a sanitizer has notes of its own in all memory";
#endif
    const table::Tables& tables = state().tables();
    const auto change = [&](std::uint8_t number) {
        channel::BindingSet record = binding(plain_node(0));
        record.care_of_address = channel::WireAddress(numbered("2001:db8:2::1", number));
        apply(record);
        channel::BindingRemove removed;
        removed.home_address = channel::WireAddress(numbered("2001:db8:1::9:1", number));
        (void)try_apply(removed);
        record.home_address = channel::WireAddress(numbered("2001:db8:1::9:1", number + 1u));
        apply(record);
    };
    for (std::uint8_t n = 0; n < 10; ++n) change(n);
    Snapshot snapshot({});
    snapshot.take();
    for (std::uint8_t n = 0; n < 10; ++n) change(n);
    std::set<std::uintptr_t> allowed;
    for_each_line({&tables.reclaimer, sizeof tables.reclaimer, ""},
                  [&](std::uintptr_t line) { allowed.insert(line); });
    // Two lines tell readers where the parts of the table are; behind them are the count of
    // changes, which readers look at once a burst, and the writer's notes.
    constexpr std::size_t kReaders = 128;
    for_each_line({reinterpret_cast<const std::byte*>(&tables.bindings) + kReaders,
                   sizeof tables.bindings - kReaders, ""},
                  [&](std::uintptr_t line) { allowed.insert(line); });
    unsigned found = 0;
    for (const std::uintptr_t line : snapshot.changed()) {
        const auto begin = reinterpret_cast<std::uintptr_t>(&tables);
        if (line < begin || line >= begin + sizeof tables) continue;
        ++found;
        EXPECT_TRUE(allowed.contains(line)) << "octet " << line - begin << " of the tables";
    }
    EXPECT_GT(found, 0u);
}

INSTANTIATE_TEST_SUITE_P(Workers, WrittenLines, ::testing::Values(2u, 3u),
                         [](const auto& workers) { return "of_" + std::to_string(workers.param); });

}  // namespace
}  // namespace homeport::golden

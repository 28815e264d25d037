// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/driver.hpp"

#include <gtest/gtest.h>
#include <rte_cycles.h>
#include <rte_log.h>
#include <rte_ring.h>

#include <cstdlib>
#include <numeric>

#include "dataplane/stage/guard.hpp"
#include "dataplane/stage/trace.hpp"
#include "tests/unit/stage/eal.hpp"

namespace homeport::stage {
namespace {

using channel::Counter;

// Stages of these tests read their orders in the packet: octet 0 is the edge to take, 0xff drop,
// 0xfe absorb, 0xfd hand over.
std::vector<int> g_order;
std::vector<unsigned> g_seen;

template <int kStage>
void obey(Worker&, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* packet = in.packets[i];
        const std::uint8_t order = data(packet)[kStage];
        if (order == 0xff) {
            out.drop(packet, Counter::kForwardTtl);
        } else if (order == 0xfe) {
            out.absorb(packet);
        } else if (order == 0xfd) {
            out.hand_over(packet, 1, StageId::kIpsecIn);
        } else {
            out.to(order, packet);
        }
    }
}

void sink(Worker& worker, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        g_seen[g_seen.size() - worker.identification--] = data(in.packets[i])[15];
        out.absorb(in.packets[i], Counter::kToKernel);
    }
}

void amplify(Worker& worker, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        for (unsigned copy = 1; copy < kMaxAmplification; ++copy) {
            rte_mbuf* more = rte_pktmbuf_alloc(worker.pool);
            if (more == nullptr) break;
            init_meta(more);
            rte_pktmbuf_append(more, 60);
            worker.count(Counter::kRxGenerated);
            out.to(0, more);
        }
        out.to(0, in.packets[i]);
    }
}

void count_and_absorb(Worker&, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) out.absorb(in.packets[i], Counter::kToKernel);
}

void allocate(Worker&, Batch& in, Edges& out) {
    void* volatile block = std::malloc(16);
    std::free(block);
    for (unsigned i = 0; i < in.count; ++i) out.absorb(in.packets[i]);
}

void log_line(Worker&, Batch& in, Edges& out) {
    rte_log(RTE_LOG_ERR, RTE_LOGTYPE_USER1, "a stage logs\n");
    for (unsigned i = 0; i < in.count; ++i) out.absorb(in.packets[i]);
}

constexpr std::array<StageDescription, 4> kGraph{{
    {StageId::kParse, "parse", obey<0>, {{{"on", StageId::kClassify}, {"tx", StageId::kTx}}}, 2},
    {StageId::kClassify,
     "classify",
     obey<1>,
     {{{"tx", StageId::kTx}, {"again", StageId::kParse}, {"also", StageId::kParse}}},
     3},
    {StageId::kIpsecIn, "ipsec-in", obey<2>, {{{"tx", StageId::kTx}}}, 1},
    {StageId::kTx, "tx", sink, {}, 0},
}};

class DriverTest : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { testing::start_eal(); }

    void SetUp() override {
        pool_ = rte_pktmbuf_pool_create("driver", 32767, 0, 0, 512, SOCKET_ID_ANY);
        ASSERT_NE(pool_, nullptr);
        worker_.pool = pool_;
        worker_.counters = counters_.data();
        in_use_before_ = rte_mempool_in_use_count(pool_);
    }
    void TearDown() override {
        driver_.reset();
        EXPECT_EQ(rte_mempool_in_use_count(pool_), in_use_before_) << "packets leaked";
        rte_mempool_free(pool_);
    }

    template <std::size_t kCount>
    void build(const std::array<StageDescription, kCount>& graph, Tracer* tracer = nullptr) {
        edges_.assign(edge_names(graph).size(), 0);
        auto driver = Driver::create(worker_, graph, {rows_.data(), edges_.data()}, tracer);
        ASSERT_TRUE(driver) << driver.error();
        driver_ = std::move(*driver);
    }
    rte_mbuf* packet(std::initializer_list<std::uint8_t> orders, std::uint8_t number = 0) {
        rte_mbuf* made = rte_pktmbuf_alloc(pool_);
        init_meta(made, 3);
        auto* bytes = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(made, 60));
        std::fill_n(bytes, 60, std::uint8_t{0});
        std::copy(orders.begin(), orders.end(), bytes);
        bytes[15] = number;
        return made;
    }
    void inject(rte_mbuf* one, StageId stage = StageId::kParse) {
        driver_->inject(stage, std::span(&one, 1));
    }
    std::uint64_t counted(Counter counter) const {
        return counters_[static_cast<std::size_t>(counter)];
    }
    channel::StageRow row(StageId id) const { return rows_[static_cast<std::size_t>(id)]; }

    Worker worker_;
    rte_mempool* pool_ = nullptr;
    unsigned in_use_before_ = 0;
    std::array<std::uint64_t, channel::kCounterCount> counters_{};
    std::array<channel::StageRow, kStageCount> rows_{};
    std::vector<std::uint64_t> edges_;
    std::unique_ptr<Driver> driver_;
};

TEST_F(DriverTest, runs_stages_and_counts_packets_calls_and_edges) {
    build(kGraph);
    for (const unsigned size : {1u, 3u, 64u, 67u}) {
        rows_ = {};
        counters_ = {};
        std::fill(edges_.begin(), edges_.end(), 0);
        g_seen.assign(size, 0);
        worker_.identification = size;
        for (unsigned i = 0; i < size; ++i) {
            inject(packet({0, 0}, static_cast<std::uint8_t>(i)));
        }
        driver_->run();
        EXPECT_EQ(row(StageId::kParse).packets, size);
        EXPECT_EQ(row(StageId::kParse).calls, (size + 63) / 64);
        EXPECT_EQ(row(StageId::kClassify).packets, size);
        EXPECT_EQ(row(StageId::kTx).packets, size);
        EXPECT_GT(row(StageId::kTx).cycles, 0u);
        EXPECT_EQ(edges_[0], size);  // parse.on
        EXPECT_EQ(edges_[1], 0u);    // parse.tx
        EXPECT_EQ(edges_[2], size);  // classify.tx
        EXPECT_EQ(counted(Counter::kToKernel), size);
        for (unsigned i = 0; i < size; ++i) EXPECT_EQ(g_seen[i], i) << "packets changed places";
    }
}

TEST_F(DriverTest, a_dropped_packet_increments_one_counter_and_is_freed) {
    build(kGraph);
    for (int i = 0; i < 200; ++i) inject(packet({0, 0xff}));
    inject(packet({0xfe}));
    driver_->run();
    EXPECT_EQ(counted(Counter::kForwardTtl), 200u);
    EXPECT_EQ(counted(Counter::kAbsorbed), 1u);
    EXPECT_EQ(std::accumulate(counters_.begin(), counters_.end(), std::uint64_t{0}), 201u);
}

TEST_F(DriverTest, a_loop_of_stages_ends_and_is_counted) {
    build(kGraph);
    inject(packet({0, 1}));  // parse -> classify -> parse -> ...
    inject(packet({0, 2}));
    driver_->run();
    EXPECT_EQ(counted(Counter::kTunInMalformed), 2u);
    EXPECT_EQ(row(StageId::kParse).packets, 2 * (kMaxPasses + 1));
}

TEST_F(DriverTest, of_packets_that_go_back_together_only_those_in_a_loop_end) {
    build(kGraph);
    constexpr std::array<std::uint8_t, 6> kPassesBefore{0,          kMaxPasses, kMaxPasses - 1,
                                                        kMaxPasses, kMaxPasses, 1};
    for (const std::uint8_t passes : kPassesBefore) {
        rte_mbuf* const back = packet({0xfe, 1});  // classify -> parse, where it ends
        meta(back).passes = passes;
        inject(back, StageId::kClassify);
    }
    driver_->run();
    EXPECT_EQ(counted(Counter::kTunInMalformed), 3u);
    EXPECT_EQ(counted(Counter::kAbsorbed), 3u);
    EXPECT_EQ(row(StageId::kParse).packets, 3u);
}

TEST_F(DriverTest, the_largest_amplification_fits_the_queues) {
    static constexpr std::array<StageDescription, 2> graph{{
        {StageId::kFragment, "fragment", amplify, {{{"tx", StageId::kTx}}}, 1},
        {StageId::kTx, "tx", count_and_absorb, {}, 0},
    }};
    build(graph);
    for (unsigned i = 0; i < kBatchSize; ++i) inject(packet({}), StageId::kFragment);
    driver_->run();
    EXPECT_EQ(counted(Counter::kToKernel), kBatchSize * kMaxAmplification);
    EXPECT_EQ(counted(Counter::kRxGenerated), kBatchSize * (kMaxAmplification - 1));
    EXPECT_EQ(counted(Counter::kNoBuffer), 0u);
}

TEST_F(DriverTest, more_packets_than_a_queue_holds_are_counted) {
    build(kGraph);
    for (unsigned i = 0; i < Queue::kCapacity + 5; ++i) inject(packet({0xfe}));
    EXPECT_EQ(counted(Counter::kNoBuffer), 5u);
    driver_->run();
    EXPECT_EQ(counted(Counter::kAbsorbed), Queue::kCapacity);
}

TEST_F(DriverTest, another_worker_goes_on_at_the_stage_named) {
    rte_ring* ring = rte_ring_create("handover", 64, SOCKET_ID_ANY, 0);
    ASSERT_NE(ring, nullptr);
    worker_.worker_count = 2;
    worker_.to_worker[1] = ring;
    build(kGraph);
    for (int i = 0; i < 70; ++i) inject(packet({0, 0xfd, 0xfe}));
    driver_->run();
    EXPECT_EQ(rte_ring_count(ring), 63u);
    EXPECT_EQ(counted(Counter::kHandoverFull), 7u);

    std::array<rte_mbuf*, 64> taken;
    const unsigned count =
        rte_ring_dequeue_burst(ring, reinterpret_cast<void**>(taken.data()), 64, nullptr);
    driver_->inject_handed_over(std::span(taken.data(), count));
    driver_->run();
    EXPECT_EQ(row(StageId::kIpsecIn).packets, 63u);
    EXPECT_EQ(counted(Counter::kAbsorbed), 63u);
    rte_ring_free(ring);
}

TEST_F(DriverTest, signalling_goes_to_another_worker_by_a_ring_of_its_own) {
    rte_ring* data = rte_ring_create("handover", 64, SOCKET_ID_ANY, 0);
    rte_ring* signalling = rte_ring_create("signalling", 32, SOCKET_ID_ANY, 0);
    ASSERT_TRUE(data != nullptr && signalling != nullptr);
    worker_.worker_count = 2;
    worker_.to_worker[1] = data;
    worker_.signalling_to_worker[1] = signalling;
    build(kGraph);
    for (int i = 0; i < 100; ++i) {
        rte_mbuf* const made = packet({0, 0xfd, 0xfe});
        if (i % 2 == 1) meta(made).flags |= kMetaSignalling;
        inject(made);
    }
    driver_->run();
    EXPECT_EQ(rte_ring_count(data), 50u);
    EXPECT_EQ(rte_ring_count(signalling), 31u);
    EXPECT_EQ(counted(Counter::kHandoverFull), 0u);
    EXPECT_EQ(counted(Counter::kSignallingFull), 19u);
    EXPECT_EQ(counted(Counter::kHandoverSent), 81u);
    EXPECT_EQ(counted(Counter::kHandoverSignalling), 31u);
    for (rte_ring* ring : {data, signalling}) {
        void* taken = nullptr;
        while (rte_ring_dequeue(ring, &taken) == 0) {
            rte_pktmbuf_free(static_cast<rte_mbuf*>(taken));
        }
        rte_ring_free(ring);
    }
}

TEST_F(DriverTest, refuses_a_graph_with_a_dangling_edge) {
    static constexpr std::array<StageDescription, 1> graph{{
        {StageId::kParse, "parse", obey<0>, {{{"on", StageId::kForward}}}, 1},
    }};
    const auto driver = Driver::create(worker_, graph, {rows_.data(), nullptr});
    ASSERT_FALSE(driver);
    EXPECT_NE(driver.error().find("'forward', which is not there"), std::string::npos);
}

TEST_F(DriverTest, trace_shows_each_step_of_the_chosen_packets_only) {
    TraceSession session;
    auto tracer = Tracer::create("trace", session);
    ASSERT_TRUE(tracer) << tracer.error();
    build(kGraph, tracer->get());

    inject(packet({0, 0xff}));
    driver_->run();
    EXPECT_FALSE((*tracer)->read()) << "traced without being asked";

    ASSERT_TRUE((*tracer)->set_filter({.address = {}, .port = 3}));
    session.start(2);
    for (int i = 0; i < 3; ++i) inject(packet({0, 0xff}));
    rte_mbuf* elsewhere = packet({0, 0xff});
    meta(elsewhere).in_port = 1;
    inject(elsewhere);
    driver_->run();

    std::vector<std::string> steps;
    while (const auto step = (*tracer)->read()) {
        steps.push_back(std::to_string(step->packet) + " " + std::string(step->stage) + " " +
                        std::string(step->edge));
        EXPECT_EQ(step->captured, 60u);
        EXPECT_EQ(step->port, 3u);
    }
    const std::vector<std::string> expected{"1 parse in",
                                            "2 parse in",
                                            "1 parse on",
                                            "2 parse on",
                                            "1 classify forward.ttl",
                                            "2 classify forward.ttl"};
    EXPECT_EQ(steps, expected);
    EXPECT_FALSE(session.live());
}

TEST_F(DriverTest, trace_chooses_by_address_in_frames_and_in_packets) {
    TraceSession session;
    auto tracer = Tracer::create("trace", session);
    ASSERT_TRUE(tracer) << tracer.error();
    build(kGraph, tracer->get());
    const auto address = *Ipv6Address::parse("2001:db8::1");
    ASSERT_TRUE((*tracer)->set_filter({.address = channel::WireAddress(address)}));
    session.start(10);

    rte_mbuf* frame = packet({0, 0xff});
    data(frame)[14] = 0x60;
    rte_pktmbuf_append(frame, 20);
    address.store(data(frame) + 14 + 24);
    rte_mbuf* inner = packet({0x60, 0, 0xff});
    address.store(data(inner) + 8);
    rte_mbuf* other = packet({0x60, 0, 0xff});
    inject(frame);
    inject(inner, StageId::kIpsecIn);
    inject(other, StageId::kIpsecIn);
    driver_->run();
    unsigned ends = 0;
    while (const auto step = (*tracer)->read()) ends += step->edge == "forward.ttl";
    EXPECT_EQ(ends, 2u);
}

TEST_F(DriverTest, full_trace_ring_loses_steps_not_packets) {
    TraceSession session;
    auto tracer = Tracer::create("trace", session, 8);
    ASSERT_TRUE(tracer) << tracer.error();
    build(kGraph, tracer->get());
    ASSERT_TRUE((*tracer)->set_filter({}));
    session.start(300);
    for (int i = 0; i < 300; ++i) inject(packet({0, 0xff}));
    driver_->run();
    EXPECT_EQ(counted(Counter::kForwardTtl), 300u);
    EXPECT_EQ((*tracer)->lost_steps(), 900u - 7u);
}

#ifndef NDEBUG
using DriverDeathTest = DriverTest;

TEST_F(DriverDeathTest, a_stage_that_allocates_aborts) {
    static constexpr std::array<StageDescription, 1> graph{
        {{StageId::kParse, "parse", allocate, {}, 0}}};
    build(graph);
    inject(packet({}));
    EXPECT_DEATH(driver_->run(), "malloc called inside stage 'parse'");
    rte_mbuf* left = packet({});
    rte_pktmbuf_free(left);
}

TEST_F(DriverDeathTest, a_stage_that_logs_aborts) {
    static constexpr std::array<StageDescription, 1> graph{
        {{StageId::kParse, "parse", log_line, {}, 0}}};
    build(graph);
    inject(packet({}));
    EXPECT_DEATH(driver_->run(), "log called inside stage 'parse'");
}
#endif

TEST(Policer, gives_its_burst_and_then_its_rate) {
    Policer policer;
    policer.configure(100, 10, 1000000);
    std::uint64_t now = 5000000;
    unsigned taken = 0;
    while (policer.take(now)) ++taken;
    EXPECT_EQ(taken, 10u);
    EXPECT_FALSE(policer.take(now + 9999));
    EXPECT_TRUE(policer.take(now + 10000));
    now += 1000000;
    taken = 0;
    for (int i = 0; i < 1000; ++i) taken += policer.take(now += 1000) ? 1 : 0;
    EXPECT_NEAR(taken, 110, 2);
}

TEST(Policer, rate_zero_gives_nothing) {
    Policer policer;
    policer.configure(0, 10, 1000000);
    EXPECT_FALSE(policer.take(1));
}

}  // namespace
}  // namespace homeport::stage

// SPDX-License-Identifier: BSD-3-Clause
// What leaves a worker for the kernel and for the control plane: frames, notes, policers, full
// rings. What is refused is counted once and freed.
#include "dataplane/punt/punt_stages.hpp"

#include <gtest/gtest.h>
#include <rte_ring.h>

#include <numeric>
#include <vector>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/stage/driver.hpp"
#include "dataplane/stage/source_policers.hpp"
#include "dataplane/tunnel/reply_to_table.hpp"
#include "tests/unit/stage/eal.hpp"

namespace homeport::punt {
namespace {

using channel::Counter;
using channel::PuntReason;
using stage::StageId;

constexpr std::uint64_t kTscHz = 1'000'000'000;
constexpr unsigned kRing = 8;  // a ring of DPDK holds one less
constexpr MacAddress kPortMac{{2, 0, 0, 0, 0, 1}};

class PuntTest : public ::testing::Test {
  protected:
    static void SetUpTestSuite() { homeport::testing::start_eal(); }

    void SetUp() override {
        pool_ = rte_pktmbuf_pool_create("punt", 127, 0, 0, 512, SOCKET_ID_ANY);
        kernel_ = rte_ring_create("punt-kernel", kRing, SOCKET_ID_ANY, RING_F_SC_DEQ);
        control_ = rte_ring_create("punt-control", kRing, SOCKET_ID_ANY, RING_F_SC_DEQ);
        ASSERT_TRUE(pool_ != nullptr && kernel_ != nullptr && control_ != nullptr);
        worker_.pool = pool_;
        worker_.counters = counters_.data();
        worker_.now_tsc = kTscHz;
        worker_.index = 3;
        worker_.to_control = control_;
        worker_.ports[1] = {.mac = kPortMac, .in_use = 1, .to_kernel = kernel_};
        allow(1000);
        const std::array<stage::StageDescription, 2> graph{kToControlStage, kToKernelStage};
        auto driver = stage::Driver::create(worker_, graph, {rows_.data(), nullptr}, nullptr);
        ASSERT_TRUE(driver) << driver.error();
        driver_ = std::move(*driver);
    }
    void TearDown() override {
        driver_.reset();
        drain(kernel_);
        drain(control_);
        EXPECT_EQ(rte_mempool_in_use_count(pool_), 0u) << "packets leaked";
        rte_ring_free(kernel_);
        rte_ring_free(control_);
        rte_mempool_free(pool_);
    }

    void allow(std::uint64_t burst) {
        worker_.control_policer.configure(1, burst, kTscHz);
        worker_.sealed_control_policer.configure(1, burst, kTscHz);
        worker_.kernel_policer.configure(1, burst, kTscHz);
    }
    /// An IP packet whose octets behind the version are its place in the packet.
    rte_mbuf* packet(std::uint8_t family, std::uint16_t octets, std::uint16_t port = 1) {
        rte_mbuf* made = rte_pktmbuf_alloc(pool_);
        stage::PacketMeta& notes = stage::init_meta(made, port);
        notes.family = family;
        auto* bytes = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(made, octets));
        std::iota(bytes, bytes + octets, std::uint8_t{0});
        if (family != 0) bytes[0] = static_cast<std::uint8_t>(family << 4 | (family == 4 ? 5 : 0));
        return made;
    }
    void run(StageId stage, std::vector<rte_mbuf*> packets) {
        driver_->inject(stage, packets);
        driver_->run();
    }
    rte_mbuf* next(rte_ring* ring) {
        void* packet = nullptr;
        if (rte_ring_dequeue(ring, &packet) != 0) return nullptr;
        taken_.push_back(static_cast<rte_mbuf*>(packet));
        return taken_.back();
    }
    void drain(rte_ring* ring) {
        while (next(ring) != nullptr) {
        }
        for (rte_mbuf* packet : taken_) rte_pktmbuf_free(packet);
        taken_.clear();
    }
    std::uint64_t counted(Counter counter) const {
        return counters_[static_cast<std::size_t>(counter)];
    }
    static const EthernetHeader& frame_of(rte_mbuf* packet) {
        return *rte_pktmbuf_mtod(packet, const EthernetHeader*);
    }

    stage::Worker worker_;
    rte_mempool* pool_ = nullptr;
    rte_ring* kernel_ = nullptr;
    rte_ring* control_ = nullptr;
    std::vector<rte_mbuf*> taken_;
    std::array<std::uint64_t, channel::kCounterCount> counters_{};
    std::array<channel::StageRow, stage::kStageCount> rows_{};
    std::unique_ptr<stage::Driver> driver_;
};

TEST_F(PuntTest, a_packet_for_the_kernel_gets_a_frame_of_its_family_for_the_ports_address) {
    for (const auto& [family, type] : {std::pair{6, kEtherTypeIpv6}, {4, kEtherTypeIpv4}}) {
        run(StageId::kToKernel, {packet(static_cast<std::uint8_t>(family), 60)});
        rte_mbuf* out = next(kernel_);
        ASSERT_NE(out, nullptr);
        EXPECT_EQ(stage::length(out), 60 + sizeof(EthernetHeader));
        EXPECT_EQ(frame_of(out).destination, kPortMac);
        EXPECT_EQ(frame_of(out).ether_type.host(), type);
    }
    EXPECT_TRUE(worker_.wakes_main);
}

TEST_F(PuntTest, a_frame_that_still_stands_is_kept_but_for_the_ports_address) {
    rte_mbuf* in = packet(6, 60 + sizeof(EthernetHeader));
    auto& frame = *rte_pktmbuf_mtod(in, EthernetHeader*);
    frame.destination = MacAddress{{2, 9, 9, 9, 9, 9}};
    frame.source = MacAddress{{2, 7, 7, 7, 7, 7}};
    rte_pktmbuf_adj(in, sizeof(EthernetHeader));
    stage::meta(in).flags = stage::kMetaL2Intact;
    run(StageId::kToKernel, {in});
    rte_mbuf* out = next(kernel_);
    ASSERT_NE(out, nullptr);
    EXPECT_EQ(frame_of(out).destination, kPortMac);
    EXPECT_EQ(frame_of(out).source, (MacAddress{{2, 7, 7, 7, 7, 7}}));
}

TEST_F(PuntTest, frames_that_are_no_IP_stay_as_they_are) {
    run(StageId::kToKernel, {packet(0, 60)});
    rte_mbuf* out = next(kernel_);
    ASSERT_NE(out, nullptr);
    EXPECT_EQ(stage::length(out), 60);
    EXPECT_EQ(stage::data(out)[5], 5);
}

TEST_F(PuntTest, without_a_port_of_its_own_a_packet_goes_to_the_first_tap) {
    run(StageId::kToKernel, {packet(6, 60, channel::kNoPort), packet(6, 60, 0)});
    EXPECT_EQ(rte_ring_count(kernel_), 2u);
    worker_.ports[1].to_kernel = nullptr;
    run(StageId::kToKernel, {packet(6, 60)});
    EXPECT_EQ(counted(Counter::kKernelFull), 1u);
}

TEST_F(PuntTest, floods_are_policed_and_full_rings_counted_each_by_its_name) {
    allow(3);
    std::vector<rte_mbuf*> many;
    for (int i = 0; i < 5; ++i) many.push_back(packet(6, 60));
    run(StageId::kToKernel, many);
    EXPECT_EQ(counted(Counter::kKernelPoliced), 2u);
    EXPECT_EQ(rte_ring_count(kernel_), 3u);
    many.clear();
    for (int i = 0; i < 5; ++i) many.push_back(packet(6, 60));
    run(StageId::kToControl, many);
    EXPECT_EQ(counted(Counter::kPuntPoliced), 2u);

    allow(1000);
    many.clear();
    for (unsigned i = 0; i < kRing; ++i) many.push_back(packet(6, 60));
    run(StageId::kToKernel, many);
    EXPECT_EQ(counted(Counter::kKernelFull), kRing - (kRing - 1 - 3));
    many.clear();
    for (unsigned i = 0; i < kRing; ++i) many.push_back(packet(6, 60));
    run(StageId::kToControl, many);
    // What anybody can send leaves the last quarter of the ring free.
    constexpr unsigned kQuarter = (kRing - 1) / 4;
    const std::uint64_t refused = kRing - (kRing - 1 - 3 - kQuarter);
    EXPECT_EQ(counted(Counter::kPuntFull), refused);
    many.clear();
    for (unsigned i = 0; i < kQuarter + 1; ++i) {
        many.push_back(packet(6, 60));
        stage::meta(many.back()).flags = stage::kMetaDecrypted;
    }
    run(StageId::kToControl, many);
    EXPECT_EQ(counted(Counter::kPuntFull), refused + 1) << "that is for what came by an SA";
}

TEST_F(PuntTest, a_flood_of_what_anybody_can_send_does_not_use_up_what_SAs_may_send) {
    worker_.control_policer.configure(1, 2, kTscHz);
    std::vector<rte_mbuf*> many;
    for (int i = 0; i < 5; ++i) many.push_back(packet(6, 60));
    run(StageId::kToControl, many);
    EXPECT_EQ(counted(Counter::kPuntPoliced), 3u);
    rte_mbuf* const sealed = packet(6, 60);
    stage::meta(sealed).flags = stage::kMetaDecrypted;
    run(StageId::kToControl, {sealed});
    EXPECT_EQ(counted(Counter::kPuntPoliced), 3u);
    EXPECT_EQ(rte_ring_count(control_), 3u);
}

TEST_F(PuntTest, one_source_of_registrations_does_not_use_up_what_all_may_send) {
    worker_.control_policer.configure(1, 10, kTscHz);
    stage::SourcePolicers sources;
    sources.configure(1, 2, kTscHz);
    worker_.mip4_sources = &sources;
    const auto message_from = [&](std::uint32_t source) {
        rte_mbuf* const made = packet(4, 60);
        stage::meta(made).reason = static_cast<std::uint8_t>(PuntReason::kMip4Message);
        store_be32(stage::data(made) + 12, source);
        return made;
    };
    std::vector<rte_mbuf*> flood;
    for (int i = 0; i < 20; ++i) flood.push_back(message_from(0x0a000001));
    run(StageId::kToControl, flood);
    EXPECT_EQ(counted(Counter::kMip4RrqSource), 18u);
    run(StageId::kToControl, {message_from(0x0a000002), message_from(0x0a000003)});
    EXPECT_EQ(counted(Counter::kMip4RrqSource), 18u);
    EXPECT_EQ(counted(Counter::kMip4RrqPoliced), 0u);
    EXPECT_EQ(rte_ring_count(control_), 4u);
    // Whoever makes up sources meets the limit for all.
    std::vector<rte_mbuf*> spoofed;
    for (std::uint32_t i = 0; i < 20; ++i) spoofed.push_back(message_from(0x0b000000 + i));
    run(StageId::kToControl, spoofed);
    EXPECT_EQ(counted(Counter::kMip4RrqPoliced) + counted(Counter::kMip4RrqSource), 18u + 14u);
}

TEST_F(PuntTest, the_control_plane_gets_the_packet_and_what_is_known_of_it) {
    rte_mbuf* in = packet(6, 100);
    stage::PacketMeta& notes = stage::meta(in);
    notes.reason = static_cast<std::uint8_t>(PuntReason::kParameterProblem);
    notes.flags = stage::kMetaDecrypted | stage::kMetaHaoUndone;
    notes.code = 2;
    notes.parameter = 42;
    const std::vector<std::uint8_t> before(stage::data(in), stage::data(in) + 100);
    run(StageId::kToControl, {in});
    rte_mbuf* out = next(control_);
    ASSERT_NE(out, nullptr);
    EXPECT_EQ(std::vector<std::uint8_t>(stage::data(out), stage::data(out) + stage::length(out)),
              before);
    const channel::Punt punt = punt_of(out);
    EXPECT_EQ(punt.reason, PuntReason::kParameterProblem);
    EXPECT_EQ(punt.protected_by_ipsec, 1);
    EXPECT_EQ(punt.had_home_address_option, 1);
    EXPECT_EQ(punt.code, 2);
    EXPECT_EQ(punt.pointer, 42u);
    EXPECT_EQ(punt.port, 1);
    EXPECT_EQ(punt.worker, 3u);
    EXPECT_EQ(punt.received_tsc, worker_.now_tsc);
    EXPECT_EQ(punt.recorded_source.v6(), Ipv6Address::load(before.data() + 8));
}

TEST_F(PuntTest, duplicate_addresses_and_MLD_queries_are_shown_with_their_frame) {
    rte_mbuf* in = packet(6, 60);
    stage::meta(in).reason = static_cast<std::uint8_t>(PuntReason::kMldQuery);
    run(StageId::kToControl, {in});
    rte_mbuf* out = next(control_);
    ASSERT_NE(out, nullptr);
    EXPECT_EQ(stage::length(out), 60 + sizeof(EthernetHeader));
    EXPECT_EQ(frame_of(out).ether_type.host(), kEtherTypeIpv6);
}

TEST_F(PuntTest, a_packet_without_headroom_moves_and_one_that_fills_its_buffer_is_counted) {
    rte_mbuf* in = packet(6, 60);
    (void)rte_pktmbuf_prepend(in, rte_pktmbuf_headroom(in));
    const std::uint16_t octets = stage::length(in);
    std::uint8_t* const bytes = stage::data(in);
    std::iota(bytes, bytes + octets, std::uint8_t{0});
    bytes[0] = 0x60;
    run(StageId::kToControl, {in});
    rte_mbuf* out = next(control_);
    ASSERT_NE(out, nullptr);
    EXPECT_EQ(stage::length(out), octets);
    EXPECT_EQ(stage::data(out)[octets - 1], static_cast<std::uint8_t>(octets - 1));

    rte_mbuf* full = packet(6, 60);
    (void)rte_pktmbuf_prepend(full, rte_pktmbuf_headroom(full));
    (void)rte_pktmbuf_append(full, rte_pktmbuf_tailroom(full));
    run(StageId::kToControl, {full});
    EXPECT_EQ(counted(Counter::kNoBuffer), 1u);
}

TEST_F(PuntTest, without_a_control_plane_nothing_waits_for_one) {
    worker_.to_control = nullptr;
    run(StageId::kToControl, {packet(6, 60)});
    EXPECT_EQ(counted(Counter::kPuntPoliced), 1u);
}

}  // namespace
}  // namespace homeport::punt

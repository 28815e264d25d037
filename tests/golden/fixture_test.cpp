// SPDX-License-Identifier: BSD-3-Clause
// The fixture itself: what goes in comes out and is counted, whatever the stages are.
#include "tests/golden/fixture.hpp"

namespace homeport::golden {
namespace {

using channel::Counter;
using stage::StageId;

enum class Edge : std::uint8_t { kTx, kControl, kKernel, kMissing };

/// The first octet behind the Ethernet header says where a frame goes.
void sort_out(stage::Worker& worker, stage::Batch& in, stage::Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        stage::PacketMeta& notes = stage::meta(packet);
        notes.family = 6;
        notes.flags |= stage::kMetaL2Intact;
        (void)rte_pktmbuf_adj(packet, 14);
        switch (stage::data(packet)[0]) {
            case 1: {
                const auto* neighbour =
                    worker.tables->adjacencies.find(1, *Ipv6Address::parse("2001:db8:2::1"));
                notes.adjacency = neighbour == nullptr ? channel::kNoIndex : neighbour->index;
                out.to(Edge::kTx, packet);
                break;
            }
            case 2:
                notes.reason = static_cast<std::uint8_t>(channel::PuntReason::kMobilityHeader);
                out.to(Edge::kControl, packet);
                break;
            case 3:
                out.to(Edge::kKernel, packet);
                break;
            case 4:
                out.to(Edge::kMissing, packet);
                break;
            case 5:
                (void)rte_pktmbuf_prepend(packet, 14);
                notes.flags |= stage::kMetaFrame;
                out.to(Edge::kTx, packet);
                break;
            default:
                out.drop(packet, Counter::kParseVersion);
        }
    }
}

constexpr stage::StageDescription kSortOut{
    .id = StageId::kParse,
    .name = "parse",
    .function = sort_out,
    .edges = {{{"tx", StageId::kTx},
               {"control", StageId::kToControl},
               {"kernel", StageId::kToKernel},
               {"missing", StageId::kForward}}},
    .edge_count = 4,
};

class FixtureTest : public DataPlaneTest {
  protected:
    void SetUp() override {
        start({.stages = {&kSortOut}});
        add_route("2001:db8:2::/64", 1);
        add_neighbour(1, "2001:db8:2::1", 7);
    }
    static Bytes order(std::uint8_t kind, std::uint8_t number = 0) {
        Bytes packet(60, number);
        packet[0] = kind;
        return packet;
    }
};

TEST_F(FixtureTest, frames_leave_by_the_adjacency_with_its_header) {
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        for (unsigned i = 0; i < 67; ++i) {
            frames.push_back(to_port(0, order(1, static_cast<std::uint8_t>(i))));
        }
        const Result result = feed(0, frames, batch);
        ASSERT_EQ(result.sent[1].size(), 67u) << result.to_string();
        for (unsigned i = 0; i < 67; ++i) {
            EXPECT_EQ(result.sent[1][i], from_port(1, order(1, static_cast<std::uint8_t>(i)), 7));
        }
        EXPECT_EQ(result.count("rx.port"), 67u);
        EXPECT_EQ(result.count("tx.port"), 67u);
        EXPECT_EQ(result.held, 0u);
    }
}

TEST_F(FixtureTest, every_way_out_is_seen_and_counted) {
    const std::vector<Bytes> frames{to_port(0, order(1)), to_port(0, order(2)),
                                    to_port(0, order(3)), to_port(0, order(4)),
                                    to_port(0, order(5)), to_port(0, order(0))};
    const Result result = feed(0, frames);
    EXPECT_EQ(result.sent[1].size(), 1u);
    ASSERT_EQ(result.sent[0].size(), 1u);
    EXPECT_EQ(result.sent[0][0], frames[4]) << "a frame leaves as it is";
    ASSERT_EQ(result.punted.size(), 1u);
    EXPECT_EQ(result.punted[0].packet, order(2));
    EXPECT_EQ(result.punted[0].record.port, 0);
    EXPECT_EQ(result.punted[0].record.reason, channel::PuntReason::kMobilityHeader);
    ASSERT_EQ(result.kernel[0].size(), 1u);
    EXPECT_EQ(result.kernel[0][0], frames[2]);
    ASSERT_EQ(result.arrived.at(StageId::kForward).size(), 1u);
    EXPECT_EQ(result.arrived.at(StageId::kForward)[0].packet, order(4));
    EXPECT_EQ(result.count(Counter::kParseVersion), 1u);
    EXPECT_EQ(result.dropped(), 1u);
}

TEST_F(FixtureTest, next_hop_lost_meanwhile_goes_to_the_kernel_of_its_port) {
    channel::NeighbourRemove record;
    record.address = channel::WireAddress(*Ipv6Address::parse("2001:db8:2::1"));
    record.port = 1;
    channel::RouteSet gateway;  // keeps the adjacency, unresolved
    gateway.prefix = channel::WireAddress(*Ipv6Address::parse("2001:db8:3::"));
    gateway.prefix_length = 64;
    gateway.next_hop = record.address;
    gateway.port = 1;
    apply(gateway);
    apply(record);
    const Result result = feed(0, to_port(0, order(1)));
    ASSERT_EQ(result.kernel[1].size(), 1u) << result.to_string();
    EXPECT_EQ(MacAddress::load(result.kernel[1][0].data()), port_mac(1));
    EXPECT_EQ(result.count("forward.unresolved_to_kernel"), 1u);
}

TEST_F(FixtureTest, frame_of_the_control_plane_leaves_as_it_is) {
    channel::TransmitFrame record;
    const Bytes frame = from_port(1, order(9));
    record.port = 1;
    record.length = static_cast<std::uint16_t>(frame.size());
    apply(record, frame);
    const Result result = run_idle();
    ASSERT_EQ(result.sent[1].size(), 1u);
    EXPECT_EQ(result.sent[1][0], frame);
}

TEST_F(FixtureTest, a_policer_limits_what_goes_to_the_control_plane_and_the_kernel) {
    channel::ParametersSet parameters;
    parameters.punt_packets_per_second = 1;
    parameters.kernel_packets_per_second = 1;
    apply(parameters);
    std::vector<Bytes> frames;
    for (int i = 0; i < 100; ++i) {
        frames.push_back(to_port(0, order(2)));
        frames.push_back(to_port(0, order(3)));
    }
    const Result result = feed(0, frames);
    EXPECT_EQ(result.punted.size(), 64u);
    EXPECT_EQ(result.count("punt.policed"), 36u);
    EXPECT_EQ(result.kernel[0].size(), 64u);
    EXPECT_EQ(result.count("kernel.policed"), 36u);
}

TEST_F(FixtureTest, a_port_without_link_drops_and_counts) {
    std::vector<Bytes> frames(5, to_port(0, order(1)));
    port::TransmitPort down;
    down.link_up = false;
    context().transmitter().attach(1, 0, 0, false, down);
    const Result result = feed(0, frames);
    EXPECT_EQ(result.count("tx.port_down"), 5u);
}

}  // namespace
}  // namespace homeport::golden

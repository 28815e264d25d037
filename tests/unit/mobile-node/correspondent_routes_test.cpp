// SPDX-License-Identifier: BSD-3-Clause
// Route-optimised data on the mobile node's packet paths (N3; S1.36; RFC 6275 11.3.1, 11.3.3).
#include "tools/mobile-node/correspondent_routes.hpp"

#include <gtest/gtest.h>

#include "controlplane/wire/mobility_header.hpp"
#include "tests/unit/mobile-node/packets.hpp"
#include "tools/mobile-node/packet_buffer.hpp"
#include "tools/mobile-node/packet_paths.hpp"
#include "tools/mobile-node/security.hpp"

namespace homeport::mobile_node {
namespace {

using Arrived = PacketPaths::Arrived;
using Leave = PacketPaths::Leave;
using Taken = CorrespondentRoutes::Taken;

const Ipv6Address kStranger = *Ipv6Address::parse("2001:db8:3::301");

struct CorrespondentRoutesTest : testing::Test {
    CorrespondentRoutesTest() {
        config.home_address = kHomeAddress;
        config.home_agent = kHomeAgent;
        config.lab_unprotected = true;
        auto made = Security::create(config);
        EXPECT_TRUE(made) << made.error().text;
        security = std::move(*made);
        paths.emplace(PathAddresses{kHomeAddress, kHomeAgent, kIpv4HomeAddress}, std::uint8_t{64},
                      security->engine(), counters);
        paths->set_care_of_addresses({kCareOfAddress});
        paths->set_correspondents(&routes);
    }
    void bind() {
        ASSERT_TRUE(security->set_route_optimised({kCorrespondent}));
        routes.replace(kCareOfAddress, {kCorrespondent}, {kCorrespondent});
    }
    /// To the wire; empty: dropped.
    Bytes send(const Bytes& bytes, const Ipv6Address& care_of_address = kCareOfAddress) {
        packet = buffer.fill(bytes);
        const auto how = paths->outbound(packet);
        if (how == Leave::kDropped || !paths->to_wire(packet, how, care_of_address)) return {};
        return {packet.data, packet.data + packet.length};
    }
    Arrived receive(const Bytes& bytes) {
        packet = buffer.fill(bytes);
        return paths->inbound(packet).what;
    }
    static Bytes from(const Ipv6Address& source, Bytes bytes) {
        std::copy(source.bytes.begin(), source.bytes.end(), bytes.begin() + 8);
        return bytes;
    }

    Config config;
    Counters counters;
    std::vector<unsigned> told;
    CorrespondentRoutes routes{{[this](ConstByteSpan, unsigned mtu) { told.push_back(mtu); }}};
    std::unique_ptr<Security> security;
    std::optional<PacketPaths> paths;
    PacketBuffer buffer;
    Packet packet;
};

const Bytes kData(100, 0x5a);

TEST_F(CorrespondentRoutesTest, N3_data_leaves_with_home_address_option) {
    bind();
    const Bytes wire = send(ipv6(kHomeAddress, kCorrespondent, 17, kData));
    ASSERT_EQ(wire.size(), 40u + 24u + kData.size());
    EXPECT_EQ(source_of(wire), kCareOfAddress);
    EXPECT_EQ(destination_of(wire), kCorrespondent);
    EXPECT_EQ(wire[6], 60);
    EXPECT_EQ(Ipv6Address::load(wire.data() + 48), kHomeAddress);
    EXPECT_EQ(counters[Counter::kDirectSent], 1u);
    EXPECT_EQ(routes.take_used(), std::vector{kCorrespondent});
    EXPECT_TRUE(routes.take_used().empty());
}

TEST_F(CorrespondentRoutesTest, N1_others_take_the_tunnel) {
    bind();
    const auto is_tunnelled = [](const Bytes& wire) {
        return wire.size() > 40 && wire[6] == 41 && destination_of(wire) == kHomeAgent;
    };
    EXPECT_TRUE(is_tunnelled(send(ipv6(kHomeAddress, kStranger, 17, kData))));
    EXPECT_TRUE(
        is_tunnelled(send(ipv6(kHomeAddress, kCorrespondent, 17, kData), kOtherCareOfAddress)))
        << "the correspondent knows another care-of address";
    routes.replace(kCareOfAddress, {}, {kCorrespondent});
    EXPECT_TRUE(is_tunnelled(send(ipv6(kHomeAddress, kCorrespondent, 17, kData))));
    EXPECT_EQ(counters[Counter::kDirectSent], 0u);
}

TEST_F(CorrespondentRoutesTest, RFC6275_6_1_home_test_init_never_has_the_option) {
    bind();
    const Bytes wire =
        send(wire::mobility_packet(wire::HomeTestInit{1, {}}, kHomeAddress, kCorrespondent));
    ASSERT_FALSE(wire.empty());
    EXPECT_EQ(wire[6], 41);
}

TEST_F(CorrespondentRoutesTest, N3_data_with_routing_header_from_correspondents_only) {
    const Bytes from_correspondent = from(kCorrespondent, routed(17, kData));
    EXPECT_EQ(receive(from_correspondent), Arrived::kDropped);
    EXPECT_EQ(counters[Counter::kInNotCorrespondent], 1u);
    bind();
    ASSERT_EQ(receive(from_correspondent), Arrived::kPayload);
    EXPECT_EQ(destination_of({packet.data, packet.data + packet.length}), kHomeAddress);
    EXPECT_EQ(counters[Counter::kDirectReceived], 1u);
    EXPECT_EQ(receive(from(kStranger, routed(17, kData))), Arrived::kDropped);
    EXPECT_EQ(counters[Counter::kInNotCorrespondent], 2u);
    // Former care-of address: what is under way still arrives.
    routes.replace(kOtherCareOfAddress, {}, {kCorrespondent});
    EXPECT_EQ(receive(from_correspondent), Arrived::kPayload);
}

TEST_F(CorrespondentRoutesTest, RFC6275_11_3_3_without_route_optimisation_only_the_home_agent) {
    bind();
    paths->set_correspondents(nullptr);
    EXPECT_EQ(receive(from(kCorrespondent, routed(17, kData))), Arrived::kDropped);
    EXPECT_EQ(counters[Counter::kInNotHomeAgent], 1u);
    EXPECT_EQ(receive(wire::mobility_packet(wire::CareOfTest{1, 2, 3, {}}, kCorrespondent,
                                            kCareOfAddress)),
              Arrived::kDropped);
}

TEST_F(CorrespondentRoutesTest, care_of_tests_reach_the_protocol) {
    EXPECT_EQ(receive(wire::mobility_packet(wire::CareOfTest{1, 2, 3, {}}, kCorrespondent,
                                            kCareOfAddress)),
              Arrived::kSignalling);
    EXPECT_EQ(receive(wire::mobility_packet(wire::CareOfTest{1, 2, 3, {}}, kCorrespondent,
                                            kOtherCareOfAddress)),
              Arrived::kDropped)
        << "no address of ours";
    EXPECT_EQ(receive(ipv6(kCorrespondent, kCareOfAddress, 41, kData)), Arrived::kDropped);
}

TEST_F(CorrespondentRoutesTest, RFC6275_11_3_1_path_mtu_counts_the_24_octets) {
    bind();
    const auto now = CorrespondentRoutes::Clock::now();
    EXPECT_FALSE(routes.note_path_mtu(kStranger, 1400, now));
    EXPECT_FALSE(routes.note_path_mtu(kCorrespondent, 1303, now)) << "of no use";
    EXPECT_TRUE(routes.note_path_mtu(kCorrespondent, 1400, now));
    EXPECT_TRUE(routes.note_path_mtu(kCorrespondent, 1450, now));
    EXPECT_FALSE(send(ipv6(kHomeAddress, kCorrespondent, 17, Bytes(1336, 1))).empty());
    EXPECT_TRUE(send(ipv6(kHomeAddress, kCorrespondent, 17, Bytes(1337, 1))).empty());
    EXPECT_EQ(told, std::vector<unsigned>{1376});
    EXPECT_EQ(counters[Counter::kDropTooBig], 1u);
    // Another care-of address is another path.
    routes.replace(kOtherCareOfAddress, {kCorrespondent}, {kCorrespondent});
    EXPECT_FALSE(
        send(ipv6(kHomeAddress, kCorrespondent, 17, Bytes(1400, 1)), kOtherCareOfAddress).empty());
}

TEST_F(CorrespondentRoutesTest, a_packet_without_room_is_not_sent_without_the_option) {
    bind();
    Bytes octets = ipv6(kHomeAddress, kCorrespondent, 17, kData);
    ipsec::Packet tight{octets.data(), static_cast<std::uint32_t>(octets.size()), 0, 0};
    EXPECT_EQ(routes.take(tight, kCareOfAddress), Taken::kNoRoom);
}

}  // namespace
}  // namespace homeport::mobile_node

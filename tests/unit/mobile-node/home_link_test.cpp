// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/home_link.hpp"

#include <gtest/gtest.h>

#include "controlplane/wire/icmpv6.hpp"
#include "controlplane/wire/ipv6_packet.hpp"
#include "controlplane/wire/neighbor_discovery.hpp"
#include "tests/unit/mobile-node/packets.hpp"

namespace homeport::mobile_node {
namespace {

const MacAddress kMac = *MacAddress::parse("02:00:00:00:00:01");
const MacAddress kOther = *MacAddress::parse("02:00:00:00:00:02");

SolicitationAnswer answer(const Bytes& packet, bool owned) {
    return answer_solicitation(packet, kHomeAddress, kMac, owned);
}

wire::NeighborAdvertisement advertisement(const Bytes& packet) {
    const auto view = wire::view_ipv6_packet(packet);
    EXPECT_TRUE(view);
    EXPECT_EQ(view->hop_limit, 255);
    EXPECT_EQ(view->source, kHomeAddress);
    const auto message = wire::decode_icmpv6(*view);
    EXPECT_TRUE(message);
    return std::get<wire::NeighborAdvertisement>(*message);
}

TEST(HomeLink, solicitations_are_answered_by_unicast_before_and_after) {
    const Bytes asks = wire::neighbor_solicitation(kHomeAgent, kOther, kHomeAddress);
    for (const bool owned : {false, true}) {
        const auto got = answer(asks, owned);
        ASSERT_TRUE(got.is_for_us);
        EXPECT_EQ(destination_of(got.packet), kHomeAgent);
        const auto na = advertisement(got.packet);
        EXPECT_TRUE(na.solicited);
        EXPECT_TRUE(na.override_entry);
        EXPECT_FALSE(na.router);
        EXPECT_EQ(na.target, kHomeAddress);
        EXPECT_EQ(wire::find_option<wire::TargetLinkLayerAddress>(na.options)->address, kMac);
    }
}

TEST(HomeLink, probes_are_the_home_agents_until_it_let_go) {
    const Bytes probe = wire::dad_probe(kHomeAddress);
    EXPECT_TRUE(answer(probe, false).is_for_us);
    EXPECT_TRUE(answer(probe, false).packet.empty());
    const auto got = answer(probe, true);
    EXPECT_EQ(destination_of(got.packet), *Ipv6Address::parse("ff02::1"));
    EXPECT_FALSE(advertisement(got.packet).solicited);
}

TEST(HomeLink, other_targets_and_bad_packets_are_left_alone) {
    EXPECT_FALSE(
        answer(wire::neighbor_solicitation(kHomeAgent, kOther, kCorrespondent), true).is_for_us);
    Bytes asks = wire::neighbor_solicitation(kHomeAgent, kOther, kHomeAddress);
    Bytes far = asks;
    far[7] = 254;  // came through a router
    EXPECT_FALSE(answer(far, true).is_for_us);
    Bytes broken = asks;
    broken[42] ^= 1;  // checksum
    EXPECT_FALSE(answer(broken, true).is_for_us);
    for (std::size_t length = 0; length < asks.size(); ++length) {
        EXPECT_FALSE(
            answer(Bytes(asks.begin(), asks.begin() + static_cast<std::ptrdiff_t>(length)), true)
                .is_for_us);
    }
}

}  // namespace
}  // namespace homeport::mobile_node

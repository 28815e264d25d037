// SPDX-License-Identifier: BSD-3-Clause
// Packets of the LAN behind a mobile router (RFC 3963 section 5.5), and its configuration.
#include "tools/mobile-node/mobile_network.hpp"

#include <gtest/gtest.h>

#include "tests/ipsec-trivial/ipsec.hpp"
#include "tests/unit/mobile-node/packets.hpp"
#include "tools/mobile-node/packet_buffer.hpp"
#include "tools/mobile-node/packet_paths.hpp"

namespace homeport::mobile_node {
namespace {

using Arrived = PacketPaths::Arrived;
using Leave = PacketPaths::Leave;

const Ipv6Address kNode = *Ipv6Address::parse("2001:db8:5000::77");
const Ipv4Address kNode4 = *Ipv4Address::parse("10.5.0.77");
const Ipv4Address kPeer4 = *Ipv4Address::parse("198.51.100.9");

struct MobileNetworkPaths : testing::Test {
    MobileNetworkPaths() {
        ipsec::Selectors any;
        engine.replace_policies({{1, any, ipsec::Action::kBypass, false}});
        paths.set_care_of_addresses({kCareOfAddress});
        paths.set_mobile_network(
            {{*Ipv6Prefix::parse("2001:db8:5000::/48")}, {*Ipv4Prefix::parse("10.5.0.0/16")}});
    }
    static Bytes from(const Ipv6Address& source) {
        return ipv6(source, kCorrespondent, 17, Bytes(20, 1));
    }
    static Bytes ipv4_of(const Ipv4Address& source, const Ipv4Address& destination) {
        return ipv4(source, destination, Bytes(20, 1));
    }
    Leave send(const Bytes& bytes) {
        packet = buffer.fill(bytes);
        return paths.outbound(packet);
    }
    Arrived receive(const Bytes& inner, std::uint8_t next_header) {
        packet = buffer.fill(ipv6(kHomeAgent, kCareOfAddress, next_header, inner));
        return paths.inbound(packet).what;
    }
    Bytes result() const { return {packet.data, packet.data + packet.length}; }

    Counters counters;
    trivial::Ipsec engine;
    PacketPaths paths{{kHomeAddress, kHomeAgent, std::nullopt}, 64, engine, counters};
    PacketBuffer buffer;
    Packet packet;
};

TEST_F(MobileNetworkPaths, RFC3963_5_5_packets_of_the_lan_leave_in_the_tunnel) {
    for (const Bytes& inner : {from(kNode), from(kHomeAddress)}) {
        ASSERT_EQ(send(inner), Leave::kPlain);
        ASSERT_TRUE(paths.to_wire(packet, Leave::kPlain, kCareOfAddress));
        EXPECT_EQ(result(), ipv6(kCareOfAddress, kHomeAgent, 41, inner));
    }
    const Bytes inner4 = ipv4_of(kNode4, kPeer4);
    ASSERT_EQ(send(inner4), Leave::kPlain);
    ASSERT_TRUE(paths.to_wire(packet, Leave::kPlain, kCareOfAddress));
    EXPECT_EQ(result(), ipv6(kCareOfAddress, kHomeAgent, 4, inner4));
}

TEST_F(MobileNetworkPaths, RFC3963_5_5_other_sources_do_not) {
    EXPECT_EQ(send(from(*Ipv6Address::parse("2001:db8:5001::77"))), Leave::kDropped);
    EXPECT_EQ(send(ipv4_of(*Ipv4Address::parse("10.6.0.1"), kPeer4)), Leave::kDropped);
    EXPECT_EQ(counters[Counter::kDropNotHomeAddress], 2u);
    paths.set_mobile_network({});
    EXPECT_EQ(send(from(kNode)), Leave::kDropped);
    EXPECT_EQ(send(ipv4_of(kNode4, kPeer4)), Leave::kDropped) << "not served by the home agent";
}

TEST_F(MobileNetworkPaths, RFC3963_5_5_the_tunnel_brings_packets_for_the_lan_and_no_others) {
    const Bytes inner = ipv6(kCorrespondent, kNode, 17, Bytes(20, 1));
    ASSERT_EQ(receive(inner, 41), Arrived::kPayload);
    EXPECT_EQ(result(), inner);
    const Bytes inner4 = ipv4_of(kPeer4, kNode4);
    ASSERT_EQ(receive(inner4, 4), Arrived::kPayload);
    EXPECT_EQ(result(), inner4);
    EXPECT_EQ(
        receive(ipv6(kCorrespondent, *Ipv6Address::parse("2001:db8:5001::77"), 17, Bytes(20, 1)),
                41),
        Arrived::kDropped);
    EXPECT_EQ(receive(ipv4_of(kPeer4, *Ipv4Address::parse("10.6.0.1")), 4), Arrived::kDropped);
    EXPECT_EQ(counters[Counter::kInInnerAddress], 2u);
}

}  // namespace
}  // namespace homeport::mobile_node

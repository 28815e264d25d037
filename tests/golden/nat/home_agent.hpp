// SPDX-License-Identifier: BSD-3-Clause
// A home agent with two IPv4 addresses, and a mobile node behind a NAT.
#pragma once

#include <chrono>

#include "dataplane/tunnel/reply_to_table.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"
#include "tests/golden/ipsec/protected_node.hpp"

namespace homeport::golden {

using ipsec::test::Link;
using tunnel::kDsmipPort;

inline const Ipv4Address kHomeAgent4 = v4("192.0.2.1");
inline const Ipv4Address kHomeAgent4Second = v4("192.0.2.2");
inline const Ipv4Address kNat = v4("203.0.113.7");
inline const Ipv4Address kElsewhere = v4("203.0.113.99");
inline constexpr std::uint16_t kNatPort = 40000;

inline const Bytes kC7BindingUpdate =
    test::from_hex("3b030500059c1235c00000961d068000c0000264200600000a00000501020000");
inline const Bytes kC9Acknowledgement =
    test::from_hex("3b0306004db40000123500961e060080c00002641f0600000000006e01020000");
inline const Bytes kC8Wire = test::from_hex(
    "450000880000000040117c5ccb007107c00002019c40105f0074cafc600000000044324020010db800010000"
    "000000000000010020010db8000100000000000000000001100000010000000200000000000000029a25637d"
    "b4dab9f2cda0bba080040c09858353491b91ba67697f4da9e9a4b23c7ddec640ac3a50eba0a43f04acff5f37"
    "ca670f45");
inline const Bytes kC10Wire = test::from_hex(
    "450000880000000040117c5cc0000201cb007107105f9c400074577c600000000044324020010db800010000"
    "000000000000000120010db800010000000000000000010020000001000000020000000000000002f574a755"
    "0bd2a5e4f99355e9820a5a6f9990955ef506a16e0114e8b11d4a9f3c892a6840660a4dbed09231342efd7907"
    "d54ce36b");

/// Both ends of a UDP datagram that comes to the home agent.
struct Wire {
    Ipv4Address source = kNat;
    std::uint16_t port = kNatPort;
    Ipv4Address local = kHomeAgent4;
    std::uint16_t local_port = kDsmipPort;
};

inline Bytes in_udp(const Bytes& inner, const Wire& wire = {}, bool checksum = true) {
    Bytes datagram(8);
    store_be16(datagram.data(), wire.port);
    store_be16(datagram.data() + 2, wire.local_port);
    store_be16(datagram.data() + 4, static_cast<std::uint16_t>(8 + inner.size()));
    append(datagram, inner);
    if (checksum) {
        store_be16(datagram.data() + 6, tunnel::udp_checksum(wire.source, wire.local, datagram));
    }
    return ipv4(wire.source, wire.local, 17, datagram);
}

class NatTest : public ProtectedNodeTest {
  protected:
    void SetUp() override { start_behind_nat(); }

    void start_behind_nat(const stage::StageDescription& other = tunnel::kTunnelOutStage) {
        start_protected(Algorithm::kAes128CbcSha256_128, other);
        unbind();
        add_address(kOutside, "192.0.2.1", 24, true);
        add_address(kOutside, "192.0.2.2", 24, true);
        add_route("192.0.2.0/24", kOutside);
        add_route("0.0.0.0/0", kOutside, "192.0.2.254");
        add_neighbour(kOutside, "192.0.2.254");
        add_sa(channel::SaDirection::kInbound, kSpiIn, 0xa0);  // of vector C8
        node_ = std::make_unique<Link>(update_pair());
    }

    /// Where the mobile node was at its last binding update.
    void bind_behind_nat(const Ipv4Address& address = kNat, std::uint16_t port = kNatPort) {
        channel::BindingSet record = binding();
        record.care_of_address = channel::WireAddress(address);
        record.home_agent_address = channel::WireAddress(kHomeAgent4);
        record.encapsulation = channel::Encapsulation::kUdpIpv4;
        record.udp_port = port;
        apply(record);
    }

    /// IPsec may give a packet back in a later run. Times in milliseconds.
    void keep_packets(std::uint16_t lock_timeout = 60000, std::uint16_t time_to_live = 60000,
                      std::uint32_t most_pending = 0) {
        worker().ipsec_keeps_packets = true;
        channel::ParametersSet parameters;
        parameters.nat_lock_timeout_ms = lock_timeout;
        parameters.nat_pending_ttl_ms = time_to_live;
        parameters.nat_pending_max = most_pending;
        apply(parameters);
    }
    [[nodiscard]] const tunnel::WireEndpoint* record_of_node(
        const Ipv6Address& home_address = kHomeAddress) {
        return worker().reply_to->source_of(home_address, worker().now_tsc);
    }

    /// A binding update with its own sequence number of the SA, in normal form, sealed.
    Bytes update(const Ipv6Address& source = kHomeAddress) {
        Bytes sealed = node_->seal(binding_update());
        source.store(sealed.data() + 8);
        return sealed;
    }
    static Bytes binding_update() { return ipv6(kHomeAddress, kHomeAgent, 135, kC7BindingUpdate); }
    Result feed_udp(const Bytes& inner, const Wire& wire = {}) {
        return feed_packet(kOutside, in_udp(inner, wire));
    }

    static void expect_recorded(const Punted& punted, const Wire& wire) {
        EXPECT_EQ(punted.record.recorded_source, channel::WireAddress(wire.source));
        EXPECT_EQ(punted.record.recorded_port, wire.port);
        EXPECT_EQ(punted.record.recorded_local, channel::WireAddress(wire.local));
        EXPECT_EQ(punted.record.recorded_local_port, wire.local_port);
        EXPECT_EQ(punted.record.had_home_address_option, 0);
    }
    /// The control plane got one binding update, with this record.
    static void expect_update(const Result& result, const Wire& wire) {
        ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
        EXPECT_EQ(result.punted[0].packet, binding_update());
        EXPECT_EQ(result.punted[0].record.protected_by_ipsec, 1);
        expect_recorded(result.punted[0], wire);
    }
    /// The same without a record.
    static void expect_unrecorded(const Result& result) {
        ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
        EXPECT_EQ(result.punted[0].record.recorded_source.family, 0);
        EXPECT_EQ(result.punted[0].record.recorded_port, 0);
        EXPECT_EQ(result.punted[0].record.recorded_local.family, 0);
    }

    /// Another node, home address `n` of the prefix, and its SA.
    static Ipv6Address other_home_address(unsigned n) {
        Ipv6Address address = kHomeAddress;
        store_be32(address.bytes.data() + 12, 0x10000 + n);
        return address;
    }
    Pair other_pair(unsigned n) const {
        Pair pair = update_pair();
        pair.spi = ipsec::Spi{0x10010000 + n};
        return pair;
    }
    void add_other_node(unsigned n) {
        channel::SaSet record = record_of(other_pair(n), channel::SaDirection::kInbound);
        record.peer = record.selector.remote_low = record.selector.remote_high =
            channel::WireAddress(other_home_address(n));
        apply(record);
    }
    Bytes update_of_other(unsigned n) {
        Link link(other_pair(n));
        return link.seal(
            ipv6(other_home_address(n), kHomeAgent, 135, with_checksum(other_home_address(n))));
    }
    static Bytes with_checksum(const Ipv6Address& source) {
        Bytes message = kC7BindingUpdate;
        store_be16(message.data() + 4, 0);
        const std::uint64_t sum =
            pseudo_header_sum(source, kHomeAgent, static_cast<std::uint32_t>(message.size()), 135);
        store_be16(message.data() + 4, checksum_finish(checksum_add(sum, message)));
        return message;
    }

    std::unique_ptr<Link> node_;
};

}  // namespace homeport::golden

// SPDX-License-Identifier: BSD-3-Clause
// A home agent with all its stages: port 0 is the home link, port 1 leads to everywhere else.
#pragma once

#include "dataplane/forward/stages.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "tests/golden/fixture.hpp"
#include "tests/unit/tunnel/packets.hpp"

namespace homeport::golden {

using test::append;
using test::concat;
using test::ipv4;
using test::ipv6;
using test::kCareOfAddress;
using test::kCorrespondent;
using test::kHomeAddress;
using test::kHomeAgent;
using test::v4;
using test::v6;

inline constexpr std::uint16_t kHomeLink = 0;
inline constexpr std::uint16_t kOutside = 1;
inline const Ipv6Address kOutsideAddress = v6("2001:db8:f::1");
inline const Ipv6Address kAtHome = v6("2001:db8:1::77");  // a neighbour on the home link, unbound
inline const Ipv4Address kOutsideAddress4 = v4("198.51.100.1");
inline const Ipv4Address kCorrespondent4 = v4("203.0.113.9");
inline const Ipv4Address kHomeAddress4 = v4("192.0.2.100");
inline const Ipv4Address kAtHome4 = v4("192.0.2.77");

class ForwardTest : public DataPlaneTest {
  protected:
    void start_home_agent(const config::ReassemblyConfig& reassembly = {},
                          std::uint16_t mtu = 1500) {
        start(
            {.stages = {&tunnel::kParseStage, &tunnel::kClassifyStage, &tunnel::kDsmipInStage,
                        &tunnel::kHomeAddressStage, &tunnel::kTunnelInStage, &tunnel::kIpsecInStage,
                        &tunnel::kInterceptStage, &tunnel::kIpsecOutStage, &tunnel::kTunnelOutStage,
                        &forward::kForwardStage, &forward::kIcmpErrorStage, &forward::kIcmpInStage,
                        &forward::kNdProxyStage, &forward::kReassembleStage,
                        &forward::kFragmentStage},
             .mtu = mtu,
             .reassembly = reassembly});
        add_address(kHomeLink, "2001:db8:1::1", 64, true);
        add_address(kHomeLink, "fe80::1", 64);
        add_address(kOutside, "2001:db8:f::1", 64);
        add_address(kOutside, "fe80::1", 64);
        add_address(kOutside, "198.51.100.1", 24, true);
        add_route("2001:db8:1::/64", kHomeLink);
        add_route("192.0.2.0/24", kHomeLink);
        add_route("2001:db8:f::/64", kOutside);
        add_route("::/0", kOutside, "2001:db8:f::2");
        add_route("0.0.0.0/0", kOutside, "198.51.100.2");
        add_neighbour(kOutside, "2001:db8:f::2");
        add_neighbour(kOutside, "198.51.100.2");
        add_neighbour(kHomeLink, "2001:db8:1::77", 7);
        add_neighbour(kHomeLink, "192.0.2.77", 7);
        home_prefix("2001:db8:1::", 64, kHomeLink);
        home_prefix("192.0.2.0", 24, kHomeLink);
        bypass_all();
    }

    void home_prefix(std::string_view prefix, std::uint8_t length, std::uint16_t port,
                     bool drop_unbound = false) {
        channel::HomePrefixSet record;
        record.prefix = channel::WireAddress(*parse_ip_address(prefix));
        record.prefix_length = length;
        record.port = port;
        record.drop_unbound = drop_unbound ? 1 : 0;
        apply(record);
    }
    void add_special_route(std::string_view prefix, std::uint8_t length, channel::RouteType type) {
        channel::RouteSet record;
        record.prefix = channel::WireAddress(*parse_ip_address(prefix));
        record.prefix_length = length;
        record.route_type = type;
        apply(record);
    }
    channel::BindingSet binding(const IpAddress& home_address = kHomeAddress) {
        channel::BindingSet record;
        record.home_address = channel::WireAddress(home_address);
        record.care_of_address = channel::WireAddress(kCareOfAddress);
        record.home_agent_address = channel::WireAddress(kHomeAgent);
        record.counter_index = record.home_address.family == 4 ? 1 : 0;
        record.home_port = kHomeLink;
        record.flags = channel::kBindingProxyNd;
        return record;
    }
    void bind(const IpAddress& home_address = kHomeAddress) { apply(binding(home_address)); }
    /// A mobile network prefix of the binding of kHomeAddress.
    void network(std::string_view prefix, std::uint8_t length) {
        channel::MobilePrefixSet record;
        record.prefix = channel::WireAddress(*parse_ip_address(prefix));
        record.prefix_length = length;
        record.home_address = channel::WireAddress(kHomeAddress);
        apply(record);
    }
    void lose_neighbour(std::uint16_t port, std::string_view address) {
        channel::NeighbourRemove record;
        record.address = channel::WireAddress(*parse_ip_address(address));
        record.port = port;
        apply(record);
    }

    Result feed_packet(std::uint16_t port, const Bytes& packet) {
        return feed(port, to_port(port, packet));
    }
    static void expect_drop(const Result& result, std::string_view counter) {
        EXPECT_EQ(result.count(counter), 1u) << counter << ": " << result.to_string();
        EXPECT_EQ(result.dropped(), 1u) << counter << ": " << result.to_string();
    }
    /// Nothing left by a port but `packet`, once, in a frame to host number `host`.
    static void expect_sent(const Result& result, std::uint16_t port, const Bytes& packet,
                            std::uint8_t host = 1) {
        ASSERT_EQ(result.sent[port].size(), 1u) << result.to_string();
        EXPECT_EQ(to_hex(result.sent[port][0]), to_hex(from_port(port, packet, host)));
        EXPECT_TRUE(result.sent[1 - port].empty()) << result.to_string();
    }
    static void expect_nothing_sent(const Result& result) {
        EXPECT_TRUE(result.sent[0].empty()) << result.to_string();
        EXPECT_TRUE(result.sent[1].empty()) << result.to_string();
    }
};

// ----------------------------------------------------------------------------------------- packets

inline Bytes udp6(const Ipv6Address& source, const Ipv6Address& destination, std::size_t octets,
                  const test::Ipv6Options& options = {}) {
    Bytes payload(octets - 8);
    for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::uint8_t>(i * 7);
    return ipv6(source, destination, 17, test::udp(source, destination, 4000, 5000, payload),
                options);
}
inline Bytes udp4(const Ipv4Address& source, const Ipv4Address& destination, std::size_t octets,
                  const test::Ipv4Options& options = {}) {
    Bytes payload(octets);
    for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<std::uint8_t>(i * 7);
    return ipv4(source, destination, 17, payload, options);
}
inline constexpr std::uint16_t kDontFragment = 0x4000;

/// An ICMPv6 message with a right checksum.
inline Bytes icmp6(const Ipv6Address& source, const Ipv6Address& destination, std::uint8_t type,
                   std::uint8_t code, std::uint32_t data, const Bytes& rest,
                   std::uint8_t hop_limit = 64) {
    Bytes message(8);
    message[0] = type;
    message[1] = code;
    store_be32(message.data() + 4, data);
    append(message, rest);
    const auto sum =
        pseudo_header_sum(source, destination, static_cast<std::uint32_t>(message.size()), 58);
    store_be16(message.data() + 2, checksum_finish(checksum_add(sum, message)));
    return ipv6(source, destination, 58, message, {.hop_limit = hop_limit});
}
inline Bytes first_octets(const Bytes& bytes, std::size_t count) {
    return {bytes.begin(),
            bytes.begin() + static_cast<std::ptrdiff_t>(std::min(count, bytes.size()))};
}
/// An ICMPv6 error as RFC 4443 section 2.4(c) sizes it.
inline Bytes icmp6_error(const Ipv6Address& source, const Ipv6Address& destination,
                         std::uint8_t type, std::uint8_t code, std::uint32_t data,
                         const Bytes& about) {
    return icmp6(source, destination, type, code, data, first_octets(about, 1280 - 48));
}

/// `octets` of `packet` from `offset` of its payload on, as a fragment.
inline Bytes fragment6(const Bytes& packet, std::uint16_t offset, std::size_t octets, bool more,
                       std::uint32_t identification = 0x1234) {
    Bytes header(8);
    header[0] = packet[6];
    store_be16(header.data() + 2, static_cast<std::uint16_t>(offset | (more ? 1 : 0)));
    store_be32(header.data() + 4, identification);
    Bytes fragment(packet.begin(), packet.begin() + 40);
    fragment[6] = 44;
    append(fragment, header);
    fragment.insert(fragment.end(), packet.begin() + 40 + offset,
                    packet.begin() + 40 + offset + static_cast<std::ptrdiff_t>(octets));
    store_be16(fragment.data() + 4, static_cast<std::uint16_t>(octets + 8));
    return fragment;
}
/// Fragments of `octets` each (a multiple of 8), the last of what is left.
inline std::vector<Bytes> fragments6(const Bytes& packet, std::size_t octets,
                                     std::uint32_t identification = 0x1234) {
    std::vector<Bytes> fragments;
    for (std::size_t at = 0; at < packet.size() - 40; at += octets) {
        const std::size_t size = std::min(octets, packet.size() - 40 - at);
        fragments.push_back(fragment6(packet, static_cast<std::uint16_t>(at), size,
                                      at + size < packet.size() - 40, identification));
    }
    return fragments;
}
/// What fragments without other extension headers make, in any order; empty if they do not fit.
inline Bytes reassembled6(const std::vector<Bytes>& fragments) {
    Bytes payload;
    std::size_t total = 0;
    std::size_t there = 0;
    for (const Bytes& fragment : fragments) {
        if (fragment.size() < 48 || fragment[6] != 44) return {};
        const std::uint16_t field = load_be16(fragment.data() + 42);
        const std::size_t offset = field & 0xfff8;
        const std::size_t size = fragment.size() - 48;
        if (load_be16(fragment.data() + 4) != size + 8) return {};
        if (load_be32(fragment.data() + 44) != load_be32(fragments[0].data() + 44)) return {};
        if (payload.size() < offset + size) payload.resize(offset + size);
        std::copy(fragment.begin() + 48, fragment.end(),
                  payload.begin() + static_cast<std::ptrdiff_t>(offset));
        there += size;
        if ((field & 1) == 0) total = offset + size;
    }
    if (total != there || payload.size() != total) return {};
    Bytes packet = first_octets(fragments[0], 40);
    packet[6] = fragments[0][40];
    store_be16(packet.data() + 4, static_cast<std::uint16_t>(total));
    append(packet, payload);
    return packet;
}

}  // namespace homeport::golden

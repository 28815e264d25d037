// SPDX-License-Identifier: BSD-3-Clause
// A home agent with all its stages and an IPv4 address, and a mobile node that reaches it over
// IPv4 or IPv6, in each form of packet-paths section 3.
#pragma once

#include "dataplane/base/checksum.hpp"
#include "dataplane/forward/stages.hpp"
#include "dataplane/tunnel/overhead.hpp"
#include "tests/golden/tunnel/protected_payload.hpp"

namespace homeport::golden {

using channel::Encapsulation;

inline const Ipv4Address kHomeAgent4 = v4("192.0.2.1");
inline const Ipv4Address kCareOf4 = v4("203.0.113.7");
inline const Ipv4Address kElsewhere4 = v4("203.0.113.8");
inline constexpr std::uint16_t kPortZ = 40000;  // of UDP 4191 at the NAT
inline constexpr std::uint16_t kPortY = 61001;  // of UDP 4500 there

/// UDP over IPv4; the checksum is right, or 0.
inline Bytes udp4(const Ipv4Address& source, std::uint16_t from, const Ipv4Address& destination,
                  std::uint16_t to, const Bytes& payload, bool checksum = false) {
    Bytes bytes(8);
    store_be16(bytes.data(), from);
    store_be16(bytes.data() + 2, to);
    store_be16(bytes.data() + 4, static_cast<std::uint16_t>(8 + payload.size()));
    append(bytes, payload);
    if (checksum) {
        const std::uint64_t sum =
            pseudo_header_sum(source, destination, static_cast<std::uint16_t>(bytes.size()), 17);
        store_be16(bytes.data() + 6, checksum_finish(checksum_add(sum, bytes)));
    }
    return bytes;
}

class DualStack : public ProtectedPayload {
  protected:
    void start_dual_stack(bool protect = false, bool copy_mode = false) {
        start(
            {.stages = {&tunnel::kParseStage, &tunnel::kClassifyStage, &tunnel::kDsmipInStage,
                        &tunnel::kHomeAddressStage, &tunnel::kTunnelInStage, &tunnel::kIpsecInStage,
                        &tunnel::kInterceptStage, &tunnel::kIpsecOutStage, &tunnel::kTunnelOutStage,
                        &forward::kForwardStage, &forward::kIcmpErrorStage, &forward::kIcmpInStage,
                        &forward::kNdProxyStage, &forward::kReassembleStage,
                        &forward::kFragmentStage},
             .ipsec_copy_mode = copy_mode,
             .reassembly = {}});
        add_address(kHomeLink, "2001:db8:1::1", 64, true);
        add_address(kHomeLink, "fe80::1", 64);
        add_address(kOutside, "2001:db8:f::1", 64);
        add_address(kOutside, "198.18.0.1", 24);
        add_address(kOutside, "192.0.2.1", 32, true);
        add_route("2001:db8:1::/64", kHomeLink);
        add_route("2001:db8:f::/64", kOutside);
        add_route("198.18.0.0/24", kOutside);
        add_route("::/0", kOutside, "2001:db8:f::2");
        add_route("0.0.0.0/0", kOutside, "198.18.0.2");
        add_neighbour(kOutside, "2001:db8:f::2");
        add_neighbour(kOutside, "198.18.0.2");
        home_prefix("2001:db8:1::", 64, kHomeLink);
        home_prefix("192.0.2.0", 24, channel::kNoPort);
        protect ? protect_payload() : bypass_all();
    }

    /// A binding over IPv4, or for kIpv6 and kUdpIpv6 over IPv6.
    channel::BindingSet binding_by(Encapsulation encapsulation, const IpAddress& home_address,
                                   std::uint16_t flags = 0) {
        channel::BindingSet record = binding(home_address);
        record.encapsulation = encapsulation;
        record.flags = flags;
        if (encapsulation != Encapsulation::kIpv6) record.udp_port = kPortZ;
        if (encapsulation == Encapsulation::kIpv4 || encapsulation == Encapsulation::kUdpIpv4) {
            record.care_of_address = channel::WireAddress(kCareOf4);
            record.home_agent_address = channel::WireAddress(kHomeAgent4);
        }
        return record;
    }
    /// Both home addresses.
    void bind_by(Encapsulation encapsulation, std::uint16_t flags = 0) {
        apply(binding_by(encapsulation, kHomeAddress, flags));
        apply(binding_by(encapsulation, kHomeAddress4, flags));
    }

    static Bytes payload_to(bool v4_inside, std::uint8_t hops, std::size_t octets = 24) {
        if (!v4_inside) return to_mobile(hops, octets);
        return ipv4(kCorrespondent4, kHomeAddress4, 17, Bytes(octets, 0x5a), {.ttl = hops});
    }
    static Bytes payload_from(bool v4_inside, std::uint8_t hops, std::size_t octets = 24) {
        if (!v4_inside) return from_mobile(hops, octets);
        return ipv4(kHomeAddress4, kCorrespondent4, 17, Bytes(octets, 0x3c), {.ttl = hops});
    }
    static std::uint8_t plain_protocol(const Bytes& inner) { return inner[0] >> 4 == 6 ? 41 : 4; }

    /// What the mobile node sends around `inner` in that form.
    static Bytes tunnelled(Encapsulation encapsulation, const Bytes& inner,
                           std::uint16_t port = kPortZ, const Ipv4Address& source = kCareOf4) {
        switch (encapsulation) {
            case Encapsulation::kIpv4:
                return ipv4(source, kHomeAgent4, plain_protocol(inner), inner);
            case Encapsulation::kUdpIpv4:
                return ipv4(source, kHomeAgent4, 17, udp4(source, port, kHomeAgent4, 4191, inner));
            case Encapsulation::kUdpIpv6:
                return ipv6(kCareOfAddress, kHomeAgent, 17,
                            test::udp(kCareOfAddress, kHomeAgent, port, 4191, inner));
            default:
                break;
        }
        return ipv6(kCareOfAddress, kHomeAgent, plain_protocol(inner), inner);
    }
    /// ESP of the mobile node, without an IP header.
    Bytes esp_of(const Bytes& inner) {
        const Bytes sealed = mobile_node_.seal(inner);
        return {sealed.begin() + 40, sealed.end()};
    }
    static Bytes in_4500(const Bytes& payload, std::uint16_t port = kPortY,
                         const Ipv4Address& source = kCareOf4) {
        return ipv4(source, kHomeAgent4, 17, udp4(source, port, kHomeAgent4, 4500, payload));
    }

    /// The one packet that left, which goes outside; empty if there is not exactly one.
    static Bytes sent(const Result& result) {
        EXPECT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
        return result.sent[kOutside].size() == 1 ? packet_in(result.sent[kOutside][0]) : Bytes{};
    }
    /// IPv4 header of `packet`, its checksum right, from the home agent to `destination`.
    static const Ipv4Header& outer_of(const Bytes& packet, const Ipv4Address& destination) {
        const auto& ip = *reinterpret_cast<const Ipv4Header*>(packet.data());
        EXPECT_EQ(packet[0], 0x45);
        EXPECT_EQ(internet_checksum(ConstByteSpan(packet).first(20)), 0);
        EXPECT_EQ(ip.total_length.host(), packet.size());
        EXPECT_EQ(ip.source, kHomeAgent4);
        EXPECT_EQ(ip.destination, destination);
        EXPECT_EQ(ip.ttl, 64);
        return ip;
    }
    static void expect_udp(const Bytes& datagram, std::uint16_t from, std::uint16_t to) {
        EXPECT_EQ(load_be16(datagram.data()), from);
        EXPECT_EQ(load_be16(datagram.data() + 2), to);
        EXPECT_EQ(load_be16(datagram.data() + 4), datagram.size());
    }
    static Bytes behind(const Bytes& packet, std::size_t octets) {
        if (packet.size() < octets) return {};
        return {packet.begin() + static_cast<std::ptrdiff_t>(octets), packet.end()};
    }
    /// The sealed packet in normal form, from its ESP octets; opened.
    Bytes opened(const Bytes& esp) {
        return mobile_node_.open(ipv6(kHomeAgent, kHomeAddress, 50, esp));
    }
    /// Sends authentic ESP from there, so that the mapping is learnt.
    void teach_mapping(std::uint16_t port = kPortY, const Ipv4Address& source = kCareOf4) {
        const Result result =
            feed_packet(kOutside, in_4500(esp_of(payload_from(false, 64)), port, source));
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
    }
    /// The mapping that sealed packets to the node use; port 0: they went without UDP.
    std::pair<Ipv4Address, std::uint16_t> mapping_in_use() {
        const Bytes packet = sent(feed_packet(kOutside, payload_to(false, 64)));
        if (packet.size() < 28) return {};
        return {Ipv4Address::load(packet.data() + 16),
                packet[9] == 17 ? load_be16(packet.data() + 22) : std::uint16_t{0}};
    }
};

}  // namespace homeport::golden

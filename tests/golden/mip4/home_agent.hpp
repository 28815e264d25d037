// SPDX-License-Identifier: BSD-3-Clause
// A Mobile IPv4 home agent with all its stages: port 0 is the home link 192.0.2.0/24, port 1 leads
// to everywhere else. Addresses are those of vectors C14 to C18.
#pragma once

#include "dataplane/base/checksum.hpp"
#include "dataplane/forward/stages.hpp"
#include "tests/golden/tunnel/dual_stack.hpp"

namespace homeport::golden {

using channel::Mip4Role;

inline const Ipv4Address kNode = v4("192.0.2.100");        // home address
inline const Ipv4Address kOtherNode = v4("192.0.2.101");   // of the same home agent
inline const Ipv4Address kCareOf = v4("198.51.100.20");    // of the node, or of a foreign agent
inline const Ipv4Address kNatOutside = v4("203.0.113.7");  // where its NAT sends from
inline const Ipv4Address kPeer = v4("198.51.100.200");     // correspondent
inline constexpr std::uint16_t kNatPort = 40001;

/// C14, from the correspondent to the node, one hop before what the vectors hold.
inline const Bytes kC14 = test::from_hex(
    "450000281111000040117c54c63364c8c00002640fa013880014ac416d6f62696c65206970207634");
inline const Bytes kC15 = test::from_hex(
    "4500003c2222000040046c53c0000201c633641445000028111100003f117d54c63364c8c00002640fa013880014ac"
    "416d6f62696c65206970207634");
inline const Bytes kC16 = test::from_hex(
    "4500004022220000402f6c24c0000201c63364140000080045000028111100003f117d54c63364c8c00002640fa013"
    "880014ac416d6f62696c65206970207634");
inline const Bytes kC17 = test::from_hex(
    "45000034111100003f377e39c0000201c63364141180011fc0000264c63364c80fa013880014ac416d6f62696c6520"
    "6970207634");
inline const Bytes kC18 = test::from_hex(
    "450000482222000040115a7ac0000201cb00710701b29c4100344d0b0404000045000028111100003f117d54c63364"
    "c8c00002640fa013880014ac416d6f62696c65206970207634");
inline constexpr std::uint16_t kVectorIdentification = 0x2222;

/// A way through a tunnel, and what it costs.
struct Mip4Form {
    const char* name;
    Encapsulation encapsulation;
    std::uint16_t overhead;  // packet-paths section 3
    bool in_udp;

    [[nodiscard]] bool edits_header() const {
        return encapsulation == Encapsulation::kMinimal ||
               encapsulation == Encapsulation::kMipUdpMinimal;
    }
};
inline constexpr std::array kMip4Forms{
    Mip4Form{"ip_in_ip", Encapsulation::kIpv4, 20, false},
    Mip4Form{"gre", Encapsulation::kGre, 24, false},
    Mip4Form{"minimal", Encapsulation::kMinimal, 12, false},
    Mip4Form{"udp_ip", Encapsulation::kMipUdp, 32, true},
    Mip4Form{"udp_gre", Encapsulation::kMipUdpGre, 36, true},
    Mip4Form{"udp_minimal", Encapsulation::kMipUdpMinimal, 24, true}};
inline constexpr Mip4Form kInIp = kMip4Forms[0];
inline constexpr Mip4Form kInGre = kMip4Forms[1];
inline constexpr Mip4Form kInMinimal = kMip4Forms[2];
inline constexpr Mip4Form kInUdp = kMip4Forms[3];
inline constexpr Mip4Form kInUdpGre = kMip4Forms[4];

inline Bytes with_checksum(Bytes packet) {
    auto& ip = *reinterpret_cast<Ipv4Header*>(packet.data());
    ip.checksum = Be16(0);
    ip.checksum = Be16(internet_checksum(ConstByteSpan(packet).first(ip.header_length())));
    return packet;
}
inline Bytes with_ttl(Bytes packet, std::uint8_t ttl) {
    packet[8] = ttl;
    return with_checksum(std::move(packet));
}
inline Bytes with_tos(Bytes packet, std::uint8_t tos) {
    packet[1] = tos;
    return with_checksum(std::move(packet));
}
inline Bytes tail_of(const Bytes& packet, std::size_t from) {
    if (packet.size() < from) return {};
    return {packet.begin() + static_cast<std::ptrdiff_t>(from), packet.end()};
}

/// Minimal forwarding header with the original source (RFC 2004 section 3.1).
inline Bytes minimal_header(std::uint8_t protocol, const Ipv4Address& source,
                            const Ipv4Address& destination) {
    Bytes bytes(12);
    bytes[0] = protocol;
    bytes[1] = 0x80;
    destination.store(bytes.data() + 4);
    source.store(bytes.data() + 8);
    store_be16(bytes.data() + 2, internet_checksum(bytes));
    return bytes;
}

/// `inner` in a tunnel of that form, written here and not by the code under test.
inline Bytes in_tunnel(Encapsulation form, const Bytes& inner, const Ipv4Address& from,
                       const Ipv4Address& to, std::uint16_t source_port = 434,
                       std::uint16_t destination_port = 434, bool checksum = false) {
    const Bytes gre{0, 0, 8, 0};
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(inner.data());
    const auto udp = [&](std::uint8_t next_header, const Bytes& rest) {
        return udp4(from, source_port, to, destination_port,
                    concat({Bytes{4, next_header, 0, 0}, rest}), checksum);
    };
    const auto edited = [&](std::uint8_t protocol, const Bytes& payload) {
        Bytes packet(inner.begin(), inner.begin() + ip.header_length());
        auto& outer = *reinterpret_cast<Ipv4Header*>(packet.data());
        outer.protocol = protocol;
        outer.source = from;
        outer.destination = to;
        outer.total_length = Be16(static_cast<std::uint16_t>(packet.size() + payload.size()));
        return with_checksum(concat({packet, payload}));
    };
    const Bytes minimal = concat({minimal_header(ip.protocol, ip.source, ip.destination),
                                  tail_of(inner, ip.header_length())});
    switch (form) {
        case Encapsulation::kGre:
            return ipv4(from, to, 47, concat({gre, inner}));
        case Encapsulation::kMinimal:
            return edited(55, minimal);
        case Encapsulation::kMipUdp:
            return ipv4(from, to, 17, udp(4, inner));
        case Encapsulation::kMipUdpGre:
            return ipv4(from, to, 17, udp(47, concat({gre, inner})));
        case Encapsulation::kMipUdpMinimal:
            return edited(17, udp(55, minimal));
        default:
            return ipv4(from, to, 4, inner);
    }
}

/// ICMP echo request, or reply.
inline Bytes echo(const Ipv4Address& from, const Ipv4Address& to, bool reply = false,
                  std::uint8_t ttl = 64) {
    Bytes icmp{static_cast<std::uint8_t>(reply ? 0 : 8), 0, 0, 0, 0x12, 0x34, 0, 1, 'k', 'a'};
    store_be16(icmp.data() + 2, internet_checksum(icmp));
    return ipv4(from, to, 1, icmp, {.ttl = ttl});
}

class Mip4Test : public TunnelTest {
  protected:
    void start_stages() {
        start(
            {.stages = {&tunnel::kParseStage, &tunnel::kClassifyStage, &tunnel::kDsmipInStage,
                        &tunnel::kHomeAddressStage, &tunnel::kTunnelInStage, &tunnel::kMip4InStage,
                        &tunnel::kIpsecInStage, &tunnel::kInterceptStage, &tunnel::kVpnInStage,
                        &tunnel::kVpnOutStage, &tunnel::kIpsecOutStage, &tunnel::kTunnelOutStage,
                        &forward::kForwardStage, &forward::kIcmpErrorStage, &forward::kIcmpInStage,
                        &forward::kNdProxyStage, &forward::kReassembleStage,
                        &forward::kFragmentStage},
             .reassembly = {},
             .max_bindings = 2048});
    }
    void start_mip4(Mip4Role role = Mip4Role::kPlain) {
        start_stages();
        add_mip4_address("192.0.2.1", role);
        add_address(kOutside, "198.18.0.1", 24);
        add_route("192.0.2.0/24", kHomeLink);
        add_route("198.18.0.0/24", kOutside);
        add_route("0.0.0.0/0", kOutside, "198.18.0.2");
        add_neighbour(kOutside, "198.18.0.2");
        home_prefix("192.0.2.0", 24, kHomeLink);
        bypass_all();
        worker().identification = kVectorIdentification;
    }
    void add_mip4_address(std::string_view address, Mip4Role role, bool dsmip = false,
                          std::uint16_t port = kHomeLink) {
        channel::AddressSet record;
        record.address = channel::WireAddress(v4(address));
        record.port = port;
        record.prefix_length = 24;
        record.mip4_role = role;
        record.is_home_agent_address = dsmip ? 1 : 0;
        apply(record);
    }
    /// T granted, the node decapsulates itself.
    static channel::BindingSet mip4_binding(Encapsulation encapsulation = Encapsulation::kIpv4,
                                            std::uint16_t more_flags = 0,
                                            const Ipv4Address& home_address = kNode,
                                            Mip4Role role = Mip4Role::kPlain) {
        channel::BindingSet record;
        record.home_address = channel::WireAddress(home_address);
        record.prefix_length = 32;
        record.home_agent_address = channel::WireAddress(kHomeAgent4);
        record.home_port = kHomeLink;
        record.counter_index = 0;
        record.encapsulation = encapsulation;
        const bool in_udp = encapsulation >= Encapsulation::kMipUdp;
        record.care_of_address = channel::WireAddress(in_udp ? kNatOutside : kCareOf);
        record.udp_port = in_udp ? kNatPort : std::uint16_t{0};
        record.flags = static_cast<std::uint16_t>(channel::binding_flags_of(role) |
                                                  channel::kBindingReverseTunnel |
                                                  channel::kBindingCoLocated | more_flags);
        return record;
    }
    void bind4(Encapsulation encapsulation = Encapsulation::kIpv4, std::uint16_t more_flags = 0) {
        apply(mip4_binding(encapsulation, more_flags));
    }
    void unbind4(const Ipv4Address& home_address, std::uint8_t copy = 0) {
        channel::BindingRemove record;
        record.home_address = channel::WireAddress(home_address);
        record.prefix_length = 32;
        record.copy = copy;
        apply(record);
    }
    static Ipv4Address care_of(const Mip4Form& form) { return form.in_udp ? kNatOutside : kCareOf; }
    /// What the node sends.
    static Bytes from_node(const Mip4Form& form, const Bytes& inner,
                           std::uint16_t port = kNatPort) {
        return in_tunnel(form.encapsulation, inner, care_of(form), kHomeAgent4, port);
    }
    static Bytes to_node_packet(std::uint8_t ttl = 64, std::size_t octets = 24,
                                std::uint16_t flags = 0) {
        return ipv4(kPeer, kNode, 17, Bytes(octets, 0x5a), {.ttl = ttl, .flags_offset = flags});
    }
    static Bytes from_node_packet(std::uint8_t ttl = 64, std::size_t octets = 24) {
        return ipv4(kNode, kPeer, 17, Bytes(octets, 0x3c), {.ttl = ttl});
    }
    /// The one packet that left by that port; empty if there is not exactly one.
    static Bytes sent(const Result& result, std::uint16_t port = kOutside) {
        EXPECT_EQ(result.sent[port].size(), 1u) << result.to_string();
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
        return result.sent[port].size() == 1 ? packet_in(result.sent[port][0]) : Bytes{};
    }
    /// `outer` is a right packet to `to` around `inner`.
    static void expect_tunnel(const Bytes& outer, const Mip4Form& form, const Bytes& inner,
                              const Ipv4Address& to, std::uint16_t port = kNatPort,
                              const Ipv4Address& from = kHomeAgent4) {
        Bytes expected = in_tunnel(form.encapsulation, inner, from, to, 434, port);
        ASSERT_EQ(outer.size(), expected.size());
        EXPECT_EQ(outer.size(), inner.size() + form.overhead);
        EXPECT_EQ(internet_checksum(ConstByteSpan(outer).first(20)), 0);
        if (!form.edits_header()) {
            std::copy_n(outer.begin() + 4, 2, expected.begin() + 4);  // identification
            expected[6] = inner[6] & 0x40;                            // DF as inside
            expected[1] = inner[1];
            expected = with_checksum(expected);
        }
        EXPECT_EQ(to_hex(outer), to_hex(expected));
    }
};

}  // namespace homeport::golden

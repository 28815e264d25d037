// SPDX-License-Identifier: BSD-3-Clause
// ESP over IPv4 for a tunnel whose ends are IPv6 addresses (P13, S1.19): behind IPsec the IPv6
// header is replaced by an IPv4 one, with UDP 4500 where a NAT is on the way (RFC 3948); before
// IPsec it is put back. The ESP octets are not touched, and ESP does not cover the outer header.
//
// Use: out: replace_ipv6_by_ipv4(packet, tunnel, ...); in: replace_ipv4_by_ipv6(packet, offset of
// the ESP header, home address, home agent).
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/base/address.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/base/packet.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"

namespace homeport::tunnel {

/// Both ends of ESP over IPv4. With ports it goes in UDP.
struct EspOverIpv4 {
    Ipv4Address source;
    Ipv4Address destination;
    std::uint16_t source_port = 0;       // host order; 0: protocol 50 right in IPv4
    std::uint16_t destination_port = 0;  // host order

    [[nodiscard]] bool in_udp() const { return source_port != 0; }
    /// Octets of the headers before ESP.
    [[nodiscard]] std::uint16_t header_length() const {
        return in_udp() ? sizeof(Ipv4Header) + sizeof(UdpHeader) : sizeof(Ipv4Header);
    }
};

/// Writes the headers of `outer` right before ESP, over the end of the IPv6 header that begins at
/// `ip` and which has `payload` octets of ESP behind it. TTL, DSCP and ECN are those of the IPv6
/// header; the flow label is lost; no UDP checksum (RFC 3948 section 2.1). DF is set where the
/// packet fits `path_mtu`, unless the path is so narrow that IPv6 could not live on it. Octets of
/// the packet, which ends where it did; 0: it would be too long, and nothing is written.
[[nodiscard]] inline std::uint16_t write_ipv4_before_esp(std::uint8_t* ip, std::uint32_t payload,
                                                         const EspOverIpv4& outer,
                                                         std::uint16_t identification,
                                                         std::uint32_t path_mtu) {
    /// Most that ESP in tunnel mode adds to an inner packet: SPI and sequence number, IV, padding,
    /// trailer and ICV of the algorithms that are there.
    constexpr std::uint32_t kMostEspOverhead = 8 + 16 + 15 + 2 + 32;
    const std::uint16_t header_length = outer.header_length();
    const std::uint32_t total = payload + header_length;
    if (total > 0xffff) return 0;
    const Ipv4Fields fields{
        .tos = traffic_class_of(ip),
        .ttl = ip[offsetof(Ipv6Header, hop_limit)],
        .protocol = number(outer.in_udp() ? IpProtocol::kUdp : IpProtocol::kEsp),
        .dont_fragment =
            total <= path_mtu && path_mtu >= kIpv6MinimumMtu + kMostEspOverhead + header_length,
        .identification = identification,
        .total_length = static_cast<std::uint16_t>(total)};
    std::uint8_t* const at = ip + sizeof(Ipv6Header) - header_length;
    if (outer.in_udp()) {
        write_udp_header(at + sizeof(Ipv4Header), outer.source_port, outer.destination_port,
                         static_cast<std::uint16_t>(total - sizeof(Ipv4Header)));
    }
    write_ipv4_header(at, outer.source, outer.destination, fields);
    return fields.total_length;
}

/// Does that to a packet. False: not an IPv6 header with ESP right behind it, or too long; it is
/// unchanged.
[[nodiscard]] bool replace_ipv6_by_ipv4(Packet& packet, const EspOverIpv4& outer,
                                        std::uint16_t identification, std::uint32_t path_mtu);

/// `packet` is IPv4, well formed, its ESP header at `esp_offset`. The new header has next header 50
/// and what was in the IPv4 header. False: no room; it is unchanged.
[[nodiscard]] bool replace_ipv4_by_ipv6(Packet& packet, std::uint16_t esp_offset,
                                        const Ipv6Address& source, const Ipv6Address& destination);

}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
// IPv4 and UDP headers around a packet: v6-in-v4 and v4-in-v4 (RFC 4213, RFC 2003; P9), UDP 4191
// over IPv4 (RFC 5555; P10) and over IPv6 (P15).
//
// Use: encapsulate_in_ipv4(packet, {home_agent, care_of_address}, identification). The data plane,
// which has checked lengths and headroom, calls the write_...() functions itself.
#pragma once

#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/base/packet.hpp"
#include "dataplane/tunnel/encapsulate.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"

namespace homeport::tunnel {

inline constexpr std::uint16_t kIpv4TunnelOverhead = 20;
inline constexpr std::uint16_t kUdpIpv4TunnelOverhead = 28;
inline constexpr std::uint16_t kUdpIpv6TunnelOverhead = 48;

struct Ipv4Tunnel {
    Ipv4Address source;       // entry point
    Ipv4Address destination;  // exit point
    std::uint8_t ttl = 64;
    Dscp dscp = Dscp::kUniform;
};

/// The checksum field of UDP over IPv6: as the receiver wants it, or what hardware
/// goes on from: the sum of the pseudo-header, folded and not complemented.
enum class UdpChecksum : std::uint8_t { kWhole, kPseudoHeader };

/// Ports of host order. `checksum` over IPv4 only: data goes without (mipv6.md section 5.2), over
/// IPv6 there always is one.
struct UdpTunnel {
    std::uint16_t source_port = kDsmipPort;
    std::uint16_t destination_port = 0;
    bool checksum = false;
};

/// Whether the outer header forbids fragmentation, for a path of `path_mtu` octets on which the
/// tunnel headers take `overhead`.
/// * IPv6 inside (RFC 4213 section 3.2.2): yes, unless packets of 1280 octets would not get
/// through.
/// * IPv4 inside (RFC 2003 section 3.1): as the inner header says.
/// A packet that has to go in pieces says no.
[[nodiscard]] inline bool outer_dont_fragment(const std::uint8_t* inner, std::uint32_t inner_length,
                                              std::uint32_t path_mtu, std::uint32_t overhead) {
    if (inner_length + overhead > path_mtu) return false;
    if (inner[0] >> 4 == 4) return reinterpret_cast<const Ipv4Header*>(inner)->dont_fragment();
    return path_mtu >= kIpv6MinimumMtu + overhead;
}

/// What stands in an IPv4 header beside its addresses. Identification counts only without
/// `dont_fragment` (RFC 6864 section 4.1): it must be one that was not used to this destination for
/// a while.
struct Ipv4Fields {
    std::uint8_t tos = 0;
    std::uint8_t ttl = 64;
    std::uint8_t protocol = 0;
    bool dont_fragment = true;
    std::uint16_t identification = 0;
    std::uint16_t total_length = 0;  // octets, this header included
};

/// Writes 20 octets at `at`, checksum included.
inline void write_ipv4_header(std::uint8_t* at, const Ipv4Address& source,
                              const Ipv4Address& destination, const Ipv4Fields& fields) {
    const std::uint64_t first =
        std::uint64_t{0x45} << 56 | std::uint64_t{fields.tos} << 48 |
        std::uint64_t{fields.total_length} << 32 |
        std::uint64_t{fields.dont_fragment ? std::uint16_t{0} : fields.identification} << 16 |
        (fields.dont_fragment ? 0x4000u : 0u);
    const std::uint32_t third = std::uint32_t{fields.ttl} << 24 | std::uint32_t{fields.protocol}
                                                                      << 16;
    std::uint64_t sum = (first >> 32) + (first & 0xffffffff) + third;
    sum += std::uint64_t{source.host()} + destination.host();
    store_be64(at, first);
    store_be32(at + 8, third | checksum_finish(sum));
    source.store(at + 12);
    destination.store(at + 16);
}

/// Writes 8 octets at `at`. `length`: octets of header and payload.
inline void write_udp_header(std::uint8_t* at, std::uint16_t source_port,
                             std::uint16_t destination_port, std::uint16_t length,
                             std::uint16_t checksum = 0) {
    store_be64(at, std::uint64_t{source_port} << 48 | std::uint64_t{destination_port} << 32 |
                       std::uint64_t{length} << 16 | checksum);
}

/// The checksum, for a UDP header over IPv6 that stands written at `udp` with a checksum of 0.
void put_udp_checksum(std::uint8_t* udp, const Ipv6Address& source, const Ipv6Address& destination);
void put_udp_checksum(std::uint8_t* udp, const Ipv4Address& source, const Ipv4Address& destination);

/// Put headers before `packet`, IPv4 or IPv6. `path_mtu`: octets that get to the exit point. On an
/// error the packet is unchanged.
[[nodiscard]] EncapsulateError encapsulate_in_ipv4(Packet& packet, const Ipv4Tunnel& tunnel,
                                                   std::uint16_t identification,
                                                   std::uint32_t path_mtu = 1500);
[[nodiscard]] EncapsulateError encapsulate_in_udp_ipv4(Packet& packet, const Ipv4Tunnel& tunnel,
                                                       const UdpTunnel& udp,
                                                       std::uint16_t identification,
                                                       std::uint32_t path_mtu = 1500);
[[nodiscard]] EncapsulateError encapsulate_in_udp_ipv6(Packet& packet, const Ipv6Tunnel& tunnel,
                                                       const UdpTunnel& udp,
                                                       UdpChecksum checksum = UdpChecksum::kWhole);

}  // namespace homeport::tunnel

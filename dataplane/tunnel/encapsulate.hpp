// SPDX-License-Identifier: BSD-3-Clause
// Puts an IPv6 tunnel header before a packet (RFC 2473; paths P1 and P14).
//
// Use: encapsulate_in_ipv6(packet, {home_agent, care_of_address}). The data plane, which has
// checked lengths and headroom, writes the header by write_ipv6_tunnel_header() itself.
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/base/address.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/base/packet.hpp"
#include "dataplane/tunnel/traffic_class.hpp"

namespace homeport::tunnel {

using Packet = homeport::Packet;

inline constexpr std::uint16_t kIpv6TunnelOverhead = 40;
/// With a Tunnel Encapsulation Limit option.
inline constexpr std::uint16_t kEncapsulationLimitOverhead = 48;

struct Ipv6Tunnel {
    Ipv6Address source;       // entry point
    Ipv6Address destination;  // exit point
    std::uint8_t hop_limit = 64;
    Dscp dscp = Dscp::kUniform;
};

/// Traffic class of the IPv6 or IPv4 packet that begins at `inner`.
[[nodiscard]] inline std::uint8_t traffic_class_of(const std::uint8_t* inner) {
    if (inner[0] >> 4 == 4) return inner[1];
    return static_cast<std::uint8_t>(load_be16(inner) >> 4);
}

/// Writes the 40 octets of a header at `outer`. `payload_length`: octets behind it. The flow label
/// is 0.
inline void write_ipv6_tunnel_header(std::uint8_t* outer, const Ipv6Tunnel& tunnel,
                                     std::uint8_t traffic_class, std::uint16_t payload_length,
                                     std::uint8_t next_header) {
    const std::uint64_t first = std::uint64_t{6} << 60 | std::uint64_t{traffic_class} << 52 |
                                std::uint64_t{payload_length} << 16 |
                                std::uint64_t{next_header} << 8 | tunnel.hop_limit;
    store_be64(outer, first);
    tunnel.source.store(outer + 8);
    tunnel.destination.store(outer + 24);
}

enum class EncapsulateError : std::uint8_t {
    kNone,
    kNotIp,   // neither IPv4 nor IPv6, or too short for it
    kNoRoom,  // headroom used up, or the result would exceed 65535 octets of payload
};

/// Puts a tunnel header before `packet`, IPv4 or IPv6; with `encapsulation_limit` an option of that
/// value in it (RFC 2473 section 4.1.1). On an error the packet is unchanged.
[[nodiscard]] EncapsulateError encapsulate_in_ipv6(
    Packet& packet, const Ipv6Tunnel& tunnel,
    std::optional<std::uint8_t> encapsulation_limit = std::nullopt);

/// The Tunnel Encapsulation Limit option that a packet carries: where and how much. Looked for, as
/// RFC 2473 section 4.1.1 says, in a destination options header right behind the IPv6 header.
struct EncapsulationLimit {
    std::uint8_t limit = 0;
    std::uint16_t offset = 0;  // of the octet with the limit, from the IP header
};
/// Nothing: there is none, or `packet` is not IPv6, or malformed.
[[nodiscard]] std::optional<EncapsulationLimit> encapsulation_limit_of(ConstByteSpan packet);

}  // namespace homeport::tunnel

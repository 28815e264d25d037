// SPDX-License-Identifier: BSD-3-Clause
// The encapsulations of Mobile IPv4 beside IP in IP: GRE (RFC 2784; P22, P23), minimal (RFC 2004;
// P24, P25), and all three inside UDP 434 (RFC 3519; P26, P27). IPv4 packets only.
//
// Use, inbound: read_gre() or read_minimal() or read_tunnel_data() say what stands there, the
// caller checks whose it is, then cuts by `length`; a minimal header is undone by undo_minimal().
#pragma once

#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/base/packet.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"

namespace homeport::tunnel {

inline constexpr std::uint16_t kMip4Port = 434;
inline constexpr std::uint16_t kGreOverhead = 24;            // IPv4 header, GRE without checksum
inline constexpr std::uint16_t kMinimalOverhead = 12;        // with the original source
inline constexpr std::uint16_t kMipUdpOverhead = 32;         // IPv4, UDP, tunnel data
inline constexpr std::uint16_t kMipUdpGreOverhead = 36;      //
inline constexpr std::uint16_t kMipUdpMinimalOverhead = 24;  // it keeps the IP header that is there

/// Next header of tunnel data (RFC 3519 section 3.3).
enum class Mip4Encapsulation : std::uint8_t { kIpInIp = 4, kGre = 47, kMinimal = 55 };

enum class Mip4TunnelError : std::uint8_t {
    kNone,
    kNotIpv4,     // no whole IPv4 packet
    kNoRoom,      // headroom used up, or more than 65535 octets
    kFragmented,  // minimal encapsulation of a fragment (RFC 2004 section 3): minenc.frag_fallback
};

/// Puts an IPv4 and a GRE header before `packet`. On an error, here and below, the packet is
/// unchanged. `identification`, `path_mtu`: as for encapsulate_in_ipv4().
[[nodiscard]] Mip4TunnelError encapsulate_in_gre(Packet& packet, const Ipv4Tunnel& tunnel,
                                                 std::uint16_t identification,
                                                 std::uint32_t path_mtu = 1500);

/// Edits the packet's own IP header, which keeps TTL, TOS, identification and DF, and puts a
/// minimal forwarding header with the original source behind it.
[[nodiscard]] Mip4TunnelError encapsulate_minimally(Packet& packet, const Ipv4Address& source,
                                                    const Ipv4Address& destination);

/// P26: one of the three inside UDP.
[[nodiscard]] Mip4TunnelError encapsulate_in_mip_udp(Packet& packet, const Ipv4Tunnel& tunnel,
                                                     const UdpTunnel& udp,
                                                     Mip4Encapsulation encapsulation,
                                                     std::uint16_t identification,
                                                     std::uint32_t path_mtu = 1500);

/// Writes the 4 octets of a GRE header at `at`: no flags, version 0, IPv4 behind it.
inline void write_gre(std::uint8_t* at) {
    store_be32(at, 0x00000800);
}

/// Each is a counter of packet-paths section 4.
enum class GreError : std::uint8_t {
    kNone,
    kTruncated,  // tun.in.malformed
    kFlags,      // gre.bad_flags: RFC 1701 flags, or a key or sequence number (RFC 2890)
    kVersion,    // gre.version
    kProtocol,   // gre.proto: not IPv4
    kChecksum,   // gre.cksum
};
struct GreHeader {
    GreError error = GreError::kTruncated;
    std::uint8_t length = 0;  // octets: 4, or 8 with a checksum
};
/// `bytes`: from the GRE header to the end of the IP packet.
[[nodiscard]] GreHeader read_gre(ConstByteSpan bytes);

enum class MinimalError : std::uint8_t {
    kNone,
    kLength,    // minenc.len
    kChecksum,  // minenc.cksum
};
struct MinimalHeader {
    MinimalError error = MinimalError::kLength;
    std::uint8_t length = 0;  // octets: 8, or 12 with the original source
    std::uint8_t protocol = 0;
    bool has_source = false;
    Ipv4Address destination;
    Ipv4Address source;  // with `has_source`
};
/// `bytes`: from the minimal forwarding header to the end of the IP packet.
[[nodiscard]] MinimalHeader read_minimal(ConstByteSpan bytes);

/// Makes the original packet of one that carries `header` at `offset`: everything between the IP
/// header and the end of the minimal header (a UDP header and tunnel data, say) goes with it.
void undo_minimal(Packet& packet, std::uint16_t offset, const MinimalHeader& header);

/// Type 4 of RFC 3519, at the start of a UDP payload.
struct TunnelData {
    static constexpr std::uint8_t kType = 4;
    static constexpr std::uint16_t kLength = 4;
    bool well_formed = false;
    std::uint8_t next_header = 0;
};
[[nodiscard]] TunnelData read_tunnel_data(ConstByteSpan payload);
/// Writes its 4 octets at `at`.
inline void write_tunnel_data(std::uint8_t* at, Mip4Encapsulation encapsulation) {
    at[0] = TunnelData::kType;
    at[1] = static_cast<std::uint8_t>(encapsulation);
    store_be16(at + 2, 0);
}

}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
// UDP as a tunnel: what is inside port 4191 (RFC 5555 section 4.1, mipv6.md section 5.2), what is
// inside port 4500 (RFC 3948 section 2), and the checksum.
//
// Use, with `datagram` from the UDP header to the end of the IP packet:
//   const UdpDatagram udp = check_udp(datagram);
//   const UdpTunnelPayload payload = read_udp_tunnel_payload(udp.payload, tlv_allowed);
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::tunnel {

inline constexpr std::uint16_t kDsmipPort = 4191;         // RFC 5555
inline constexpr std::uint16_t kNatTraversalPort = 4500;  // RFC 3948

/// RFC 5845: before the inner packet on UDP 4191, where both sides agreed on it.
inline constexpr std::uint16_t kTlvHeaderLength = 4;

/// What a UDP header says. `payload` is empty and `well_formed` false when its length is less than
/// a header, or more than there is; octets behind the length are none of its.
struct UdpDatagram {
    bool well_formed = false;
    std::uint16_t source_port = 0;  // host order
    std::uint16_t destination_port = 0;
    ConstByteSpan payload;
};
[[nodiscard]] UdpDatagram read_udp(ConstByteSpan datagram);

/// Whether the checksum of `datagram`, which read_udp() found well formed, is right. Over IPv4
/// there may be none (RFC 768); over IPv6 there must be one (RFC 8200 section 8.1).
[[nodiscard]] bool udp_checksum_holds(const Ipv4Address& source, const Ipv4Address& destination,
                                      ConstByteSpan datagram);
[[nodiscard]] bool udp_checksum_holds(const Ipv6Address& source, const Ipv6Address& destination,
                                      ConstByteSpan datagram);

/// The value for the checksum field of `datagram`, which holds 0 there; never 0 itself.
[[nodiscard]] std::uint16_t udp_checksum(const Ipv4Address& source, const Ipv4Address& destination,
                                         ConstByteSpan datagram);
[[nodiscard]] std::uint16_t udp_checksum(const Ipv6Address& source, const Ipv6Address& destination,
                                         ConstByteSpan datagram);

/// Inside UDP 4191.
struct UdpTunnelPayload {
    enum class Kind : std::uint8_t {
        kIp,          // an IP packet, at `offset` of the payload
        kShort,       // dsmip.in.short: nothing, or less than the TLV header says
        kBadVersion,  // dsmip.in.bad_version: neither IPv4, nor IPv6, nor a TLV header with one
    };
    Kind kind = Kind::kShort;
    std::uint8_t protocol = 0;  // kIp: 41 or 4, as in an IP header before the inner packet
    std::uint8_t offset = 0;    // kIp: 0, or kTlvHeaderLength
};
/// `tlv_allowed`: a TLV header of RFC 5845 section 7.2 is accepted; its length counts the octets
/// behind it. The inner packet's own lengths are for peek_inner() to judge.
[[nodiscard]] UdpTunnelPayload read_udp_tunnel_payload(ConstByteSpan payload, bool tlv_allowed);

/// Writes a TLV header before an inner packet of `length` octets and `protocol` 41 or 4.
void write_tlv_header(std::uint8_t* at, std::uint8_t protocol, std::uint16_t length);

/// Inside UDP 4500 (RFC 3948 section 2).
enum class Udp4500Payload : std::uint8_t {
    kEsp,        // begins with an SPI
    kIke,        // four octets of zero, then IKE
    kKeepalive,  // one octet 0xff
    kBad,        // none of these
};
[[nodiscard]] Udp4500Payload classify_udp4500(ConstByteSpan payload);

}  // namespace homeport::tunnel

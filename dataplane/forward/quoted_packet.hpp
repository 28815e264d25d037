// SPDX-License-Identifier: BSD-3-Clause
// The packet that an ICMP error quotes, read as one of our tunnels' packets.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::forward {

struct QuotedPacket {
    enum class Kind : std::uint8_t {
        kOther,    // no packet of ours, or none that can be told from others
        kCutOff,   // of the tunnel, but the quote ends before the inner IP header does
        kTunnel,   // P1, P9, P10, P14, P15, P20 to P26: an IP packet; `inner` holds its whole IP
                   // header, or with `edited` what stands behind it
        kRouting,  // P6: a reply to `home_address`, with a type 2 routing header
        kSealed,   // P3, P13: ESP with `spi`; whose it is stands nowhere in it
    };
    Kind kind = Kind::kOther;
    std::uint16_t udp_port = 0;  // destination of UDP from us, host order; 0: not in UDP
    std::uint32_t spi = 0;
    std::uint8_t inner_family = 0;
    bool of_mip4 = false;  // in a form that Mobile IPv4 alone has: GRE, minimal, UDP 434
    /// RFC 2004: the outer header is the inner one, but for these and for lengths.
    bool edited = false;
    std::uint8_t inner_protocol = 0;  // with `edited`
    Ipv4Address inner_source;         // with `edited`
    bool inner_dont_fragment = false;
    Ipv6Address source;              // outer: the home agent; v4-mapped for IPv4
    Ipv6Address destination;         // outer: where it went to; v4-mapped for IPv4
    Ipv6Address home_address;        // inner destination, v4-mapped for IPv4
    std::uint32_t length = 0;        // octets of the outer packet, as its header says
    std::uint32_t inner_length = 0;  // octets of the inner packet
    std::uint32_t overhead = 0;      // octets before the inner packet, without a Fragment header
    ConstByteSpan inner;             // what is quoted of it
};

[[nodiscard]] QuotedPacket read_quote(ConstByteSpan quote);

/// The inner packet of one that was `edited`, as far as it is quoted: its header put together
/// anew. Returns the octets written to `buffer`.
inline constexpr std::size_t kMostRestored = 128;
[[nodiscard]] std::size_t restore_inner(ConstByteSpan quote, const QuotedPacket& quoted,
                                        std::array<std::uint8_t, kMostRestored>& buffer);

}  // namespace homeport::forward

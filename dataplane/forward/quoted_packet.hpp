// SPDX-License-Identifier: BSD-3-Clause
// The packet that an ICMP error quotes, read as one of our tunnels' packets.
#pragma once

#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::forward {

struct QuotedPacket {
    enum class Kind : std::uint8_t {
        kOther,    // no packet of ours, or none that can be told from others
        kCutOff,   // of the tunnel, but the quote ends before the inner IP header does
        kTunnel,   // P1, P9, P10, P14, P15: an IP packet; `inner` holds its whole IP header
        kRouting,  // P6: a reply to `home_address`, with a type 2 routing header
        kSealed,   // P3, P13: ESP with `spi`; whose it is stands nowhere in it
    };
    Kind kind = Kind::kOther;
    std::uint16_t udp_port = 0;  // destination of UDP from us, host order; 0: not in UDP
    std::uint32_t spi = 0;
    std::uint8_t inner_family = 0;
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

}  // namespace homeport::forward

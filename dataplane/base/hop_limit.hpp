// SPDX-License-Identifier: BSD-3-Clause
// What forwarding takes from a packet: one hop.
#pragma once

#include <cstddef>
#include <cstdint>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport {

/// Takes one off the hop limit of the IPv6 header at `header`, or off the TTL of the IPv4 header
/// there, whose checksum is kept right (RFC 1624). It must not be 0.
inline void decrement_hop_limit(std::uint8_t* header, std::uint8_t family) {
    if (family == 6) [[likely]] {
        --reinterpret_cast<Ipv6Header*>(header)->hop_limit;
        return;
    }
    auto& ip = *reinterpret_cast<Ipv4Header*>(header);
    const std::uint16_t old_word = load_be16(header + offsetof(Ipv4Header, ttl));
    --ip.ttl;
    const std::uint16_t new_word = load_be16(header + offsetof(Ipv4Header, ttl));
    ip.checksum = Be16(checksum_update(ip.checksum.host(), old_word, new_word));
}

}  // namespace homeport

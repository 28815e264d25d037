// SPDX-License-Identifier: BSD-3-Clause
// Takes a tunnel header off a packet (RFC 2473 section 3.3, RFC 6040; paths P2 and P14).
//
// Use: look at the inner packet first (peek_inner), check whose it is, then decapsulate().
#pragma once

#include <cstdint>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/base/packet.hpp"
#include "dataplane/tunnel/encapsulate.hpp"

namespace homeport::tunnel {

/// Each is a counter of packet-paths section 4.
enum class DecapsulateError : std::uint8_t {
    kNone,
    kMalformed,  // tun.in.malformed: too short, version and protocol differ, length that lies
    kEcn,        // tun.in.ecn_drop: outer CE, inner Not-ECT
};

/// What stands behind the tunnel header. `length`: octets of the inner packet as its header says;
/// what lies behind is padding.
struct Inner {
    std::uint8_t family = 0;  // 4 or 6; 0: malformed
    std::uint16_t length = 0;
};

/// `inner` begins behind the outer headers, the last of which named `protocol`, 41 or 4.
[[nodiscard]] inline Inner peek_inner(ConstByteSpan inner, std::uint8_t protocol) {
    if (protocol == number(IpProtocol::kIpv6)) {
        if (inner.size() < sizeof(Ipv6Header) || inner[0] >> 4 != 6) return {};
        const auto& ip = *reinterpret_cast<const Ipv6Header*>(inner.data());
        const std::size_t length = sizeof(Ipv6Header) + ip.payload_length.host();
        if (length > inner.size()) return {};
        return {6, static_cast<std::uint16_t>(length)};
    }
    if (inner.size() < sizeof(Ipv4Header) || inner[0] >> 4 != 4) return {};
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(inner.data());
    const std::uint16_t length = ip.total_length.host();
    if (ip.header_length() < sizeof(Ipv4Header) || length < ip.header_length() ||
        length > inner.size()) {
        return {};
    }
    return {4, length};
}

/// Applies the ECN rules to the inner packet, whose header is at `inner`; `outer_class` is the
/// traffic class of the outer header. False: the packet has to be dropped.
[[nodiscard]] inline bool carry_ecn_inwards(std::uint8_t* inner, std::uint8_t outer_class) {
    const std::uint8_t inner_class = traffic_class_of(inner);
    const std::uint8_t ecn = egress_ecn(inner_class, outer_class);
    if (ecn == (inner_class & kEcnMask)) [[likely]]
        return true;
    if (ecn == kEcnDrop) return false;
    if (inner[0] >> 4 == 6) {
        inner[1] = static_cast<std::uint8_t>((inner[1] & 0xcf) | ecn << 4);
        return true;
    }
    auto& ip = *reinterpret_cast<Ipv4Header*>(inner);
    const std::uint16_t old_word = load_be16(inner);
    ip.tos = static_cast<std::uint8_t>((ip.tos & ~kEcnMask) | ecn);
    ip.checksum = Be16(checksum_update(ip.checksum.host(), old_word, load_be16(inner)));
    return true;
}

/// Cuts the outer headers, `inner_offset` octets, off `packet`, and padding off its end. On an
/// error the packet is unchanged but for the inner ECN field.
[[nodiscard]] DecapsulateError decapsulate(Packet& packet, std::uint16_t inner_offset,
                                           std::uint8_t protocol);

}  // namespace homeport::tunnel

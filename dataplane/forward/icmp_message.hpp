// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors: whether one may be sent about a packet, and its octets (RFC 4443, RFC 792, RFC 1122
// section 3.2.2, RFC 1812 section 4.3.2). Work on octets alone, without tables and rates.
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "dataplane/stage/stage.hpp"

namespace homeport::forward {

/// What is said about a packet.
struct IcmpError {
    stage::IcmpErrorKind kind = stage::IcmpErrorKind::kNone;
    std::uint8_t code = 0;        // parameter problem; time exceeded (1: reassembly)
    std::uint32_t parameter = 0;  // MTU or pointer
};

/// Longest messages, IP header included: RFC 4443 section 2.4(c), RFC 1812 section 4.3.2.3.
inline constexpr std::uint16_t kMaxIcmpv6Error = 1280;
inline constexpr std::uint16_t kMaxIcmpv4Error = 576;

/// Where the upper-layer header of a packet is that may be cut off anywhere behind its IP header.
struct UpperLayer {
    std::uint8_t protocol = 0;
    std::uint16_t offset = 0;     // octets from the IP header
    bool later_fragment = false;  // has no upper-layer header at all
};
/// Nothing: the IP header is not whole or not of `family`, or the extension headers are cut off.
[[nodiscard]] std::optional<UpperLayer> find_upper_layer(ConstByteSpan packet, std::uint8_t family);

/// Whether the RFCs allow to send `error` about `packet`, which may be cut off. `to_group`: its
/// link-layer destination was multicast or broadcast.
[[nodiscard]] bool may_report(ConstByteSpan packet, std::uint8_t family, const IcmpError& error,
                              bool to_group);

/// Writes an ICMPv6 error that quotes `packet` into `out`, of at least kMaxIcmpv6Error octets.
/// Returns its length, IPv6 header included.
std::uint16_t write_icmpv6_error(std::uint8_t* out, const Ipv6Address& source,
                                 const Ipv6Address& destination, const IcmpError& error,
                                 ConstByteSpan packet);
/// The same for IPv4; `out` has at least kMaxIcmpv4Error octets.
std::uint16_t write_icmpv4_error(std::uint8_t* out, const Ipv4Address& source,
                                 const Ipv4Address& destination, std::uint16_t identification,
                                 const IcmpError& error, ConstByteSpan packet);

}  // namespace homeport::forward

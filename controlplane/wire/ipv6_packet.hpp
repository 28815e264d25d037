// SPDX-License-Identifier: BSD-3-Clause
// Whole IPv6 packets and Ethernet frames: building them, and the walk to the upper-layer header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::wire {

/// A packet whose extension headers were walked. The spans point into the packet given.
struct Ipv6PacketView {
    Ipv6Address source;
    Ipv6Address destination;
    std::uint8_t hop_limit = 0;
    std::uint8_t upper_protocol = 0;
    /// Offset of the upper-layer header from the start of the packet.
    std::size_t upper_offset = 0;
    /// The whole packet, cut to the length of its header (link padding removed).
    ConstByteSpan packet;
    /// The upper-layer header and all behind it.
    ConstByteSpan upper;
};

enum class PacketFault : std::uint8_t {
    kTooShort,
    kVersion,
    kLength,
    kExtensionHeader,  // runs past the end, or more than 8 of them
    kFragment,
};
[[nodiscard]] const char* describe(PacketFault fault);

/// Walks hop-by-hop, destination options and routing headers (with no segment left) up to the
/// upper-layer header. Fragments are refused: reassembly comes first.
[[nodiscard]] std::expected<Ipv6PacketView, PacketFault> view_ipv6_packet(ConstByteSpan packet);

/// An IPv6 header (traffic class and flow label 0) and `payload`.
[[nodiscard]] std::vector<std::uint8_t> ipv6_packet(const Ipv6Address& source,
                                                    const Ipv6Address& destination,
                                                    std::uint8_t next_header,
                                                    std::uint8_t hop_limit, ConstByteSpan payload);

/// An Ethernet II frame without FCS around an IPv6 packet. Multicast destinations need no `next`:
/// see ethernet_group_of().
[[nodiscard]] std::vector<std::uint8_t> ethernet_frame(const MacAddress& destination,
                                                       const MacAddress& source,
                                                       ConstByteSpan ipv6_packet);

}  // namespace homeport::wire

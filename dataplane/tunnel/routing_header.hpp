// SPDX-License-Identifier: BSD-3-Clause
// The type 2 routing header (RFC 6275 section 6.4; paths P6 and N3).
#pragma once

#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/tunnel/extension_headers.hpp"

namespace homeport::tunnel {

inline constexpr std::uint8_t kType2 = 2;
/// Octets that insert_type2_routing_header() adds.
inline constexpr std::uint16_t kType2RoutingHeaderLength = 24;

/// Home agent: moves the destination, a home address, into a routing header right behind any
/// hop-by-hop options, and puts the care-of address in its place. False: `packet` is no well-formed
/// IPv6 packet, or there is no room; it is unchanged.
[[nodiscard]] bool insert_type2_routing_header(Packet& packet, const Ipv6Address& care_of_address);

enum class RoutingHeaderResult : std::uint8_t {
    kNone,    // no type 2 routing header in it
    kUndone,  // destination is the home address, the header is gone
    kBad,     // to be discarded silently (RFC 6275 section 11.3.3)
};

/// Mobile node: undoes a type 2 routing header that says length 2, segments left 1, and
/// `home_address`. `headers` comes from parse::walk() of this packet and is not valid afterwards.
[[nodiscard]] RoutingHeaderResult undo_type2_routing_header(Packet& packet,
                                                            const parse::Headers& headers,
                                                            const Ipv6Address& home_address);

/// The address in a type 2 routing header of length 2; nothing of others. `headers` has
/// kRoutingHeader.
[[nodiscard]] const std::uint8_t* type2_address(ConstByteSpan packet,
                                                const parse::Headers& headers);

}  // namespace homeport::tunnel

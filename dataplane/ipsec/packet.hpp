// SPDX-License-Identifier: BSD-3-Clause
// A whole IP packet in a contiguous buffer, as IPsec takes and gives it.
//
// Use: point `data` at the first octet of the IPv6 or IPv4 header, say how much of the buffer is
// free before and behind the packet, and hand an array of such packets to EspEngine. The engine
// transforms packets in place: `data` moves into the headroom and `length` grows when it seals, the
// other way round when it opens. Nothing else about a packet goes in or comes out.
#pragma once

#include <cstdint>

#include "dataplane/base/packet.hpp"

namespace homeport::ipsec {

using Packet = homeport::Packet;

/// Room that sealing may take: outer IPv6 header, ESP header and the longest IV before the packet;
/// padding, pad length, next header and the longest ICV behind it.
inline constexpr std::uint32_t kMaxHeadroomNeeded = 40 + 8 + 16;
inline constexpr std::uint32_t kMaxTailroomNeeded = 15 + 2 + 32;

}  // namespace homeport::ipsec

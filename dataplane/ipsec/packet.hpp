// SPDX-License-Identifier: BSD-3-Clause
// A whole IP packet in a contiguous buffer, as IPsec takes and gives it.
//
// Use: point `data` at the first octet of the IPv6 or IPv4 header, say how much of the buffer is
// free before and behind the packet, and hand an array of such packets to EspEngine. The engine
// transforms packets in place: `data` moves into the headroom and `length` grows when it seals, the
// other way round when it opens. Nothing else about a packet goes in or comes out.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/base/byte_order.hpp"

namespace homeport::ipsec {

struct Packet {
    std::uint8_t* data = nullptr;  ///< first octet of the IP header; owned by the caller
    std::uint32_t length = 0;      ///< octets of the packet
    std::uint32_t headroom = 0;    ///< free octets before `data`
    std::uint32_t tailroom = 0;    ///< free octets behind `data + length`

    [[nodiscard]] ConstByteSpan bytes() const { return {data, length}; }

    /// Moves the start of the packet `octets` towards lower addresses.
    void prepend(std::uint32_t octets) {
        data -= octets;
        headroom -= octets;
        length += octets;
    }
    /// Cuts `octets` off the front.
    void cut_front(std::uint32_t octets) {
        data += octets;
        headroom += octets;
        length -= octets;
    }
    /// Makes the packet `new_length` octets long by moving its end.
    void set_length(std::uint32_t new_length) {
        tailroom += length;
        tailroom -= new_length;
        length = new_length;
    }
};

/// Room that sealing may take: outer IPv6 header, ESP header and the longest IV before the packet;
/// padding, pad length, next header and the longest ICV behind it.
inline constexpr std::uint32_t kMaxHeadroomNeeded = 40 + 8 + 16;
inline constexpr std::uint32_t kMaxTailroomNeeded = 15 + 2 + 32;

}  // namespace homeport::ipsec

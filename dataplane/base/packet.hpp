// SPDX-License-Identifier: BSD-3-Clause
// A whole IP packet in a contiguous buffer with room around it, as header work and IPsec take and
// give it. Functions that grow a packet check the room before.
#pragma once

#include <cstdint>

#include "dataplane/base/byte_order.hpp"

namespace homeport {

struct Packet {
    std::uint8_t* data = nullptr;  ///< first octet of the IP header; owned by the caller
    std::uint32_t length = 0;      ///< octets of the packet
    std::uint32_t headroom = 0;    ///< free octets before `data`
    std::uint32_t tailroom = 0;    ///< free octets behind `data + length`
    /// A number that the owner gives to packets of one destination, as long as it likes; what is
    /// right does not depend on it.
    std::uint32_t flow = kNoFlow;

    static constexpr std::uint32_t kNoFlow = 0xffff'ffff;

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

}  // namespace homeport

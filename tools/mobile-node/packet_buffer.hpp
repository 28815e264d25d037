// SPDX-License-Identifier: BSD-3-Clause
// Room for one packet, with free octets before and behind it for headers and trailers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/ipsec/packet.hpp"

namespace homeport::mobile_node {

class PacketBuffer {
  public:
    static constexpr std::uint32_t kHeadroom = 256;
    static constexpr std::uint32_t kTailroom = 256;
    static constexpr std::uint32_t kCapacity = 40 + 65535;  // IPv6 header and the longest payload

    /// All of the room for a packet.
    [[nodiscard]] ByteSpan room() { return {octets_.get() + kHeadroom, kCapacity}; }
    /// The packet of `length` octets that was put at the start of room().
    [[nodiscard]] ipsec::Packet packet(std::size_t length) {
        const auto size = static_cast<std::uint32_t>(length);
        return {octets_.get() + kHeadroom, size, kHeadroom, kCapacity - size + kTailroom};
    }
    /// A copy of `content`, at most kCapacity octets of it.
    [[nodiscard]] ipsec::Packet fill(ConstByteSpan content) {
        const std::size_t size = std::min<std::size_t>(content.size(), kCapacity);
        std::copy_n(content.data(), size, octets_.get() + kHeadroom);
        return packet(size);
    }

  private:
    std::unique_ptr<std::uint8_t[]> octets_ =
        std::make_unique_for_overwrite<std::uint8_t[]>(kHeadroom + kCapacity + kTailroom);
};

}  // namespace homeport::mobile_node

// SPDX-License-Identifier: BSD-3-Clause
// Neighbor Solicitations and Advertisements as octets (RFC 4861 sections 4.3, 4.4, 7.1).
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/base/address.hpp"
#include "dataplane/base/byte_order.hpp"

namespace homeport::forward {

inline constexpr std::uint8_t kNeighborSolicitation = 135;
inline constexpr std::uint8_t kNeighborAdvertisement = 136;

/// What a valid message says. Source and destination are those of its IP header.
struct NeighborMessage {
    std::uint8_t type = 0;
    Ipv6Address source;  // :: in a probe of duplicate address detection
    Ipv6Address destination;
    Ipv6Address target;
    std::optional<MacAddress> source_link_layer;  // option 1

    [[nodiscard]] bool is_probe() const { return source.is_unspecified(); }
};

/// Reads a Neighbor Solicitation or Advertisement from an IPv6 packet whose ICMPv6 header is at
/// `upper_offset`. Nothing if the checks of RFC 4861 section 7.1 fail.
[[nodiscard]] std::optional<NeighborMessage> read_neighbor_message(ConstByteSpan packet,
                                                                   std::uint16_t upper_offset);

struct NeighborAdvertisement {
    Ipv6Address source;
    Ipv6Address destination;
    Ipv6Address target;
    MacAddress link_layer;  // of the target: ours
    bool router = false;
    bool solicited = false;
    bool override_flag = false;
};
inline constexpr std::uint16_t kAdvertisementLength = 40 + 24 + 8;

/// Writes the IPv6 packet, kAdvertisementLength octets.
void write_neighbor_advertisement(std::uint8_t* out, const NeighborAdvertisement& advertisement);

}  // namespace homeport::forward

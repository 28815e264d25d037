// SPDX-License-Identifier: BSD-3-Clause
// Which SPD entries protect signalling of the home agent: table S1-SPD entries 2, 3 and 4b.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/base/ip_header.hpp"

namespace homeport::tunnel {

/// Immutable once workers see it.
struct SignallingPolicies {
    static constexpr unsigned kMax = 1024;
    unsigned count = 0;
    std::array<std::uint16_t, kMax> ids{};  // ipsec::PolicyId

    [[nodiscard]] std::span<const std::uint16_t> view() const { return {ids.data(), count}; }
};

/// Messages of one kind have an SA of their own: entry 2 of table S1-SPD, and entry 3.
enum class MessageKind : std::uint8_t { kMobility, kPrefixDiscovery };
inline constexpr std::size_t kMessageKinds = 2;
[[nodiscard]] inline MessageKind kind_of(std::uint8_t protocol) {
    return protocol == number(IpProtocol::kIcmpv6) ? MessageKind::kPrefixDiscovery
                                                   : MessageKind::kMobility;
}

/// Whether a message that is not sealed, of `protocol` and beginning with `upper`, is one of those
/// that go to a care-of address with a type 2 routing header: Binding Acknowledgement (RFC 6275),
/// Home Agent Switch (RFC 5142), Binding Revocation (RFC 5846), Mobile Prefix Advertisement.
[[nodiscard]] inline bool takes_routing_header(std::uint8_t protocol, ConstByteSpan upper) {
    constexpr std::size_t kMobilityType = 2;  // offset
    if (protocol == number(IpProtocol::kMobility)) {
        if (upper.size() <= kMobilityType) return false;
        const std::uint8_t type = upper[kMobilityType];
        return type == 6 || type == 12 || type == 16;
    }
    return protocol == number(IpProtocol::kIcmpv6) && !upper.empty() && upper[0] == 147;
}

}  // namespace homeport::tunnel

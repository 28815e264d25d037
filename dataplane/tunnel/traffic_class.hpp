// SPDX-License-Identifier: BSD-3-Clause
// DSCP and ECN at both ends of a tunnel (RFC 2983, RFC 6040).
#pragma once

#include <array>
#include <cstdint>

namespace homeport::tunnel {

/// RFC 2983: the DSCP of the outer header is a copy of the inner one, or 0.
enum class Dscp : std::uint8_t { kUniform, kPipe };

inline constexpr std::uint8_t kEcnMask = 0x03;
inline constexpr std::uint8_t kEcnNotEct = 0;
inline constexpr std::uint8_t kEcnEct1 = 1;
inline constexpr std::uint8_t kEcnEct0 = 2;
inline constexpr std::uint8_t kEcnCe = 3;

/// Traffic class of the outer header: ECN copied always (RFC 6040 section 4.1, normal mode).
[[nodiscard]] constexpr std::uint8_t outer_traffic_class(std::uint8_t inner, Dscp dscp) {
    return dscp == Dscp::kUniform ? inner : static_cast<std::uint8_t>(inner & kEcnMask);
}

inline constexpr std::uint8_t kEcnDrop = 0xff;

/// ECN field of the packet that leaves the tunnel (RFC 6040 section 4.2), or kEcnDrop. Only the low
/// two bits of the arguments count.
[[nodiscard]] constexpr std::uint8_t egress_ecn(std::uint8_t inner, std::uint8_t outer) {
    // Rows: inner Not-ECT, ECT(1), ECT(0), CE. Columns: the same of the outer header.
    constexpr std::array<std::array<std::uint8_t, 4>, 4> kTable{{
        {kEcnNotEct, kEcnNotEct, kEcnNotEct, kEcnDrop},
        {kEcnEct1, kEcnEct1, kEcnEct1, kEcnCe},
        {kEcnEct0, kEcnEct1, kEcnEct0, kEcnCe},
        {kEcnCe, kEcnCe, kEcnCe, kEcnCe},
    }};
    return kTable[inner & kEcnMask][outer & kEcnMask];
}

/// Bit 4 * inner + outer: leaving the tunnel changes nothing.
inline constexpr std::uint16_t kEcnKept = [] {
    unsigned kept = 0;
    for (unsigned inner = 0; inner < 4; ++inner) {
        for (unsigned outer = 0; outer < 4; ++outer) {
            const std::uint8_t ecn =
                egress_ecn(static_cast<std::uint8_t>(inner), static_cast<std::uint8_t>(outer));
            if (ecn == inner) kept |= 1u << (4 * inner + outer);
        }
    }
    return static_cast<std::uint16_t>(kept);
}();
/// Whether egress_ecn() gives the inner field back.
[[nodiscard]] constexpr bool keeps_ecn(std::uint8_t inner, std::uint8_t outer) {
    return (kEcnKept >> (4 * (inner & kEcnMask) + (outer & kEcnMask)) & 1) != 0;
}

}  // namespace homeport::tunnel

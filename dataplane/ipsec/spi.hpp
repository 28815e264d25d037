// SPDX-License-Identifier: BSD-3-Clause
// Security parameter index, and the layout of the SPIs that we choose ourselves.
//
// Own SPIs are dense: the slot bits are an array index, so an inbound lookup is one load. The group
// and owner bits let a masked match in a NIC tell two kinds of SA apart and steer an SA to its
// worker.
//
//   31  30     29..24  23..0
//    1  group  owner   slot
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace homeport::ipsec {

struct Spi {
    std::uint32_t value = 0;  ///< host order; 0 never appears on the wire, 1..255 are reserved

    friend auto operator<=>(const Spi&, const Spi&) = default;
    /// "0x80000001"
    [[nodiscard]] std::string to_string() const;
};

inline constexpr std::uint32_t kOwnSpiBit = 1u << 31;
inline constexpr std::uint32_t kSpiGroupMask = 1u << 30;
inline constexpr std::uint32_t kSpiOwnerMask = 0x3fu << 24;
inline constexpr std::uint32_t kSpiSlotMask = 0x00ffffffu;

/// `group` 0 or 1, `owner` 0..63 (a worker), `slot` 0..2^24-1, unique over all groups and owners.
[[nodiscard]] constexpr Spi make_own_spi(unsigned group, unsigned owner, std::uint32_t slot) {
    return Spi{kOwnSpiBit | ((group & 1u) << 30) | ((owner & 0x3fu) << 24) | (slot & kSpiSlotMask)};
}
/// False for manual SPIs below 2^31; those are looked up in a hash.
[[nodiscard]] constexpr bool is_own(Spi spi) {
    return (spi.value & kOwnSpiBit) != 0;
}
[[nodiscard]] constexpr unsigned spi_group(Spi spi) {
    return (spi.value & kSpiGroupMask) >> 30;
}
[[nodiscard]] constexpr unsigned spi_owner(Spi spi) {
    return (spi.value & kSpiOwnerMask) >> 24;
}
[[nodiscard]] constexpr std::uint32_t spi_slot(Spi spi) {
    return spi.value & kSpiSlotMask;
}

}  // namespace homeport::ipsec

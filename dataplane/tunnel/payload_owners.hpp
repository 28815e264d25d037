// SPDX-License-Identifier: BSD-3-Clause
// Whose payload comes under an SPI: the binding that the last packet was of, by the lower bits of
// the SPI. No more than a guess, which who uses it has to hold against the packet and the table:
// SPIs share places, and bindings move to other slots.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "dataplane/base/cache_line.hpp"

namespace homeport::tunnel {

/// Of one worker. The SPI is read from the packet before it is opened, so nothing goes through
/// IPsec beside the octets (S1.9).
class PayloadOwners {
  public:
    /// Room for `bindings` nodes with SAs of two kinds, whose SPIs are drawn one after the other.
    void reserve(std::uint32_t bindings) {
        slots_.assign(std::size_t{std::bit_ceil(std::clamp(bindings, 1u, kMost / 2))} * 2, 0);
        mask_ = static_cast<std::uint32_t>(slots_.size() - 1);
    }
    /// Where the guess for `spi`, in host order, is.
    [[nodiscard]] std::uint32_t place_of(std::uint32_t spi) const { return spi & mask_; }
    /// A slot of the table of bindings that has been somebody's; 0 at first.
    [[nodiscard]] std::uint32_t slot_at(std::uint32_t place) const { return slots_[place]; }
    void set(std::uint32_t place, std::uint32_t slot) { slots_[place] = slot; }

  private:
    static constexpr std::uint32_t kMost = 1u << 20;

    LineVector<std::uint32_t> slots_ = LineVector<std::uint32_t>(1);
    std::uint32_t mask_ = 0;
};

}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
// Inbound SPIs of our own choosing (DESIGN section 4): dense, so that the data plane finds the SA
// in an array, with a bit for signalling or data and bits for the owner worker, so that a NIC can
// tell them apart by a mask. Manual SPIs below 2^31 stand beside them.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/ipsec/spi.hpp"

namespace homeport::sa {

/// The group bit of an own SPI.
enum class SpiClass : std::uint8_t { kSignalling = 0, kData = 1 };

class SpiAllocator {
  public:
    /// `slots` as many as the data plane has SAs (max_sas).
    explicit SpiAllocator(std::uint32_t slots) : used_(slots) {}

    /// A slot comes again only after all others: a late packet of an old SA finds no new one.
    /// Nothing if all are in use.
    [[nodiscard]] std::optional<ipsec::Spi> allocate(SpiClass group, unsigned owner) {
        for (std::size_t tried = 0; tried < used_.size(); ++tried) {
            const std::size_t slot = next_;
            next_ = (next_ + 1) % used_.size();
            if (used_[slot]) continue;
            used_[slot] = true;
            return ipsec::make_own_spi(static_cast<unsigned>(group), owner,
                                       static_cast<std::uint32_t>(slot));
        }
        return std::nullopt;
    }
    /// One that is in use from before. Manual SPIs and those beyond the slots are ignored.
    void reserve(ipsec::Spi spi) { mark(spi, true); }
    void release(ipsec::Spi spi) { mark(spi, false); }

  private:
    void mark(ipsec::Spi spi, bool used) {
        if (ipsec::is_own(spi) && ipsec::spi_slot(spi) < used_.size()) {
            used_[ipsec::spi_slot(spi)] = used;
        }
    }

    std::vector<bool> used_;
    std::size_t next_ = 0;
};

}  // namespace homeport::sa

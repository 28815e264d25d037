// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/spi_heuristic.hpp"

#include <algorithm>

namespace homeport::tunnel {

namespace {

constexpr std::uint8_t kSurelyData = 255;

void add_one(std::uint8_t& number) {
    if (number != 255) ++number;
}

}  // namespace

bool SpiHeuristic::is_data(std::uint32_t spi, const Limits& limits) const {
    for (std::size_t i = 0; i < kDataSpis; ++i) {
        if (spis_[i] == spi) return counts_[i] >= limits.min_packets;
    }
    return false;
}

std::uint8_t& SpiHeuristic::slot_for(std::uint32_t spi) {
    const auto known = std::ranges::find(spis_, spi);
    if (known != spis_.end()) return counts_[static_cast<std::size_t>(known - spis_.begin())];
    std::size_t least = next_;
    for (std::size_t i = 0; i < kDataSpis; ++i) {
        if (counts_[i] < counts_[least]) least = i;
    }
    next_ = static_cast<std::uint8_t>((least + 1) % kDataSpis);
    spis_[least] = spi;
    counts_[least] = 0;
    return counts_[least];
}

void SpiHeuristic::count(std::uint32_t spi) {
    add_one(slot_for(spi));
}

void SpiHeuristic::note_data(std::uint32_t spi) {
    slot_for(spi) = kSurelyData;
}

bool SpiHeuristic::arm(std::uint64_t now, const Limits& limits) {
    const bool timed_out = expire(now);
    if (armed_ == 0) other_ = 0;
    armed_ = std::min<std::uint8_t>(static_cast<std::uint8_t>(armed_ + 1), kMostArmed);
    deadline_ = now + limits.timeout;
    return timed_out;
}

void SpiHeuristic::disarm() {
    if (armed_ != 0) --armed_;
}

/// If another SPI than the preferred one was used for the first time in the window, that was
/// perhaps the message: its SA was replaced. The next window prefers it.
bool SpiHeuristic::expire(std::uint64_t now) {
    if (armed_ == 0 || now < deadline_) return false;
    armed_ = 0;
    if (other_ != 0) {
        known_ = 0;
        candidate_ = other_;
        other_ = 0;
        unarmed_ = matches_ = 0;
    }
    return true;
}

void SpiHeuristic::confirm() {
    if (candidate_ == 0) return;
    known_ = candidate_;
    candidate_ = 0;
    matches_ = unarmed_ = 0;
}

void SpiHeuristic::match(const Limits& limits) {
    --armed_;
    unarmed_ = 0;
    if (candidate_ == 0) return;
    add_one(matches_);
    if (limits.matches_to_confirm != 0 && matches_ >= limits.matches_to_confirm) confirm();
}

/// S1.47 rules 1, 2 and 4. True: the message.
bool SpiHeuristic::in_window(std::uint32_t spi, const Limits& limits) {
    const std::uint32_t preferred = known_ != 0 ? known_ : candidate_;
    if (spi == preferred) {
        match(limits);
        return true;
    }
    if (is_data(spi, limits)) return false;
    if (preferred != 0) {
        // HoTI, MPS or the new SA of data: not the message as long as that can be known.
        if (other_ == 0) other_ = spi;
        count(spi);
        return false;
    }
    candidate_ = spi;  // also S1.48: nothing is known yet
    matches_ = 0;
    match(limits);
    return true;
}

/// True: what was taken for signalling is data.
bool SpiHeuristic::outside(std::uint32_t spi, const Limits& limits) {
    if (spi != candidate_ && spi != known_) {
        count(spi);
        return false;
    }
    add_one(unarmed_);
    const bool was_data =
        spi == candidate_ ? unarmed_ > kUnarmedUses : unarmed_ >= limits.min_packets;
    if (!was_data) return false;
    note_data(spi);
    (spi == candidate_ ? candidate_ : known_) = 0;
    unarmed_ = matches_ = 0;
    return true;
}

SpiHeuristic::Seen SpiHeuristic::packet(std::uint32_t spi, std::uint64_t now,
                                        const Limits& limits) {
    Seen seen;
    seen.timeout = expire(now);
    if (armed_ != 0) {
        seen.signalling = in_window(spi, limits);
    } else {
        seen.mismatch = outside(spi, limits);
    }
    return seen;
}

}  // namespace homeport::tunnel

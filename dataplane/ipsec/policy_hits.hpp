// SPDX-License-Identifier: BSD-3-Clause
// How many packets each entry of the SPD decided about, in each direction. One writer, the engine's
// thread; anyone may read.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/cache_line.hpp"
#include "dataplane/ipsec/selector.hpp"

namespace homeport::ipsec {

/// Where an entry's counts are; given by SecurityPolicyDatabase.
using HitSlot = std::uint16_t;
/// As many as there can be entries at a time; behind them one for what has no slot of its own: the
/// nominal DISCARD, and entries beyond the first kMaxPolicies different ids.
inline constexpr std::size_t kMaxPolicies = 4096;
inline constexpr HitSlot kCommonSlot = kMaxPolicies;
inline constexpr std::size_t kHitSlots = kMaxPolicies + 1;

class PolicyHits {
  public:
    struct Count {
        std::uint64_t packets = 0;
        std::uint64_t octets = 0;
    };

    PolicyHits() : cells_(2 * kHitSlots) {}

    /// A load, an add and a store each: nothing is locked, no line is shared with another writer.
    void count(Direction direction, HitSlot slot, std::uint64_t octets, std::uint64_t packets = 1) {
        Cell& cell = cells_[index(direction, slot)];
        cell.packets.store(cell.packets.load(std::memory_order_relaxed) + packets,
                           std::memory_order_relaxed);
        cell.octets.store(cell.octets.load(std::memory_order_relaxed) + octets,
                          std::memory_order_relaxed);
    }
    [[nodiscard]] Count read(Direction direction, HitSlot slot) const {
        const Cell& cell = cells_[index(direction, slot)];
        return {cell.packets.load(std::memory_order_relaxed),
                cell.octets.load(std::memory_order_relaxed)};
    }

    /// Adds up what packets of a burst that meet the same entry one after the other come to, so
    /// that memory is touched once for all of them. Adds what is left when it goes.
    class Run {
      public:
        Run(PolicyHits& hits, Direction direction) : hits_(hits), direction_(direction) {}
        ~Run() { flush(); }
        Run(const Run&) = delete;
        Run& operator=(const Run&) = delete;

        void count(HitSlot slot, std::uint32_t octets) {
            if (slot != slot_) [[unlikely]] {
                flush();
                slot_ = slot;
            }
            ++packets_;
            octets_ += octets;
        }

      private:
        void flush() {
            if (packets_ != 0) hits_.count(direction_, slot_, octets_, packets_);
            packets_ = octets_ = 0;
        }
        PolicyHits& hits_;
        Direction direction_;
        HitSlot slot_ = kCommonSlot;
        std::uint64_t packets_ = 0;
        std::uint64_t octets_ = 0;
    };

  private:
    struct Cell {
        std::atomic<std::uint64_t> packets{0};
        std::atomic<std::uint64_t> octets{0};
    };
    static std::size_t index(Direction direction, HitSlot slot) {
        return std::size_t{slot} * 2 + (direction == Direction::kOutbound ? 1 : 0);
    }
    LineVector<Cell> cells_;
};

}  // namespace homeport::ipsec

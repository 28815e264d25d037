// SPDX-License-Identifier: BSD-3-Clause
// Anti-replay (RFC 4303 section 3.4.3 and appendix A), with and without extended sequence numbers.
//
// The bitmap is a ring of at least `size` bits, a bit for each number. Moving the window clears
// exactly the bits of the numbers that enter it, so that all `size` numbers count at any position:
// no hole at word boundaries, and no spare word.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>

namespace homeport::ipsec {

/// A view of a window whose parts live elsewhere: the highest number in the SA's hot line, the
/// bitmap behind its keys. `size` is 64..4096 numbers. One thread uses it; others may read the
/// highest number.
class ReplayWindow {
  public:
    /// 64-bit words of bitmap for a window of `size`.
    [[nodiscard]] static constexpr std::size_t word_count(std::uint32_t size) {
        return std::bit_ceil(size) / 64;
    }
    /// The part of a number that says where its bit is.
    [[nodiscard]] static constexpr std::uint16_t mask_of(std::uint32_t size) {
        return static_cast<std::uint16_t>(word_count(size) * 64 - 1);
    }

    ReplayWindow(std::atomic<std::uint64_t>& highest, std::uint64_t* bitmap, std::uint16_t size)
        : ReplayWindow(highest, bitmap, size, mask_of(size)) {}
    /// `mask`: mask_of(size), for who has it at hand.
    ReplayWindow(std::atomic<std::uint64_t>& highest, std::uint64_t* bitmap, std::uint16_t size,
                 std::uint16_t mask)
        : highest_(highest), bitmap_(bitmap), size_(size), mask_(mask) {}

    /// The 64-bit number whose low half is `low` (RFC 4303 appendix A2.2). False if there is none:
    /// it would be below 0 or beyond 2^64.
    [[nodiscard]] bool extend(std::uint32_t low, std::uint64_t& sequence) const {
        const std::uint64_t top = highest_.load(std::memory_order_relaxed);
        const auto top_low = static_cast<std::uint32_t>(top);
        std::uint64_t high = top >> 32;
        const std::uint32_t bottom = top_low - size_ + 1u;
        if (top_low >= size_ - 1u) {
            if (low < bottom) {
                if (high == 0xffff'ffffu) return false;
                ++high;
            }
        } else if (low >= bottom) {
            if (high == 0) return false;
            --high;
        }
        sequence = high << 32 | low;
        return true;
    }

    /// True if `sequence` has not been seen and is not left of the window. Number 0 never is sent.
    [[nodiscard]] bool is_new(std::uint64_t sequence) const {
        const std::uint64_t top = highest_.load(std::memory_order_relaxed);
        if (sequence > top) return true;
        return sequence != 0 && top - sequence < size_ && !bit(sequence);
    }

    /// is_new(), and then marks `sequence` as seen. Only after the packet's ICV has been verified.
    [[nodiscard]] [[gnu::always_inline]] bool accept(std::uint64_t sequence) {
        const std::uint64_t top = highest_.load(std::memory_order_relaxed);
        if (sequence > top) [[likely]] {
            // Its own bit is set below.
            if (sequence - top != 1) clear(bitmap_, mask_, top, sequence - 1);
            highest_.store(sequence, std::memory_order_relaxed);
        } else if (!is_new(sequence)) {
            return false;
        }
        bitmap_[(sequence & mask_) / 64] |= std::uint64_t{1} << (sequence % 64);
        return true;
    }

    /// Makes `lowest` the lowest number that will be accepted.
    void start_at(std::uint64_t lowest) {
        highest_.store(lowest - 1, std::memory_order_relaxed);
        std::fill_n(bitmap_, word_count(size_), ~std::uint64_t{0});
    }

    [[nodiscard]] const void* word_of(std::uint32_t low) const {
        return &bitmap_[(low & mask_) / 64];
    }

  private:
    [[nodiscard]] bool bit(std::uint64_t sequence) const {
        return (bitmap_[(sequence & mask_) / 64] >> (sequence % 64) & 1) != 0;
    }

    /// Clears the bits of the numbers above `top` up to `sequence`. Static, so that who calls it
    /// seldom need not have the view in memory.
    [[gnu::noinline]] static void clear(std::uint64_t* bitmap, std::uint64_t mask,
                                        std::uint64_t top, std::uint64_t sequence) {
        const std::uint64_t count = sequence - top;
        if (count > mask) {
            std::fill_n(bitmap, (mask + 1) / 64, std::uint64_t{0});
            return;
        }
        std::uint64_t at = top + 1;
        for (std::uint64_t left = count; left != 0;) {
            const std::uint64_t first = at % 64;
            const std::uint64_t here = std::min<std::uint64_t>(left, 64 - first);
            const std::uint64_t bits =
                here == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << here) - 1;
            bitmap[(at & mask) / 64] &= ~(bits << first);
            at += here;
            left -= here;
        }
    }

    std::atomic<std::uint64_t>& highest_;
    std::uint64_t* bitmap_;
    std::uint32_t size_;
    std::uint64_t mask_;
};

}  // namespace homeport::ipsec

// SPDX-License-Identifier: BSD-3-Clause
// A hierarchical timer wheel: schedule and cancel in O(1), no clock of its own.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace homeport::binding {

using TimePoint = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

/// Timers are numbered by the caller, 0..n-1 and densely: a number has at most one deadline. A
/// timer fires at the first advance() at or behind its deadline rounded up to the granularity: up
/// to one granularity late, never early.
class TimerWheel {
  public:
    using Id = std::uint32_t;

    explicit TimerWheel(TimePoint origin, Duration granularity = std::chrono::milliseconds{100});

    /// Sets or moves the deadline of `id`. A deadline in the past fires with the next tick.
    void schedule(Id id, TimePoint deadline);
    void cancel(Id id);
    [[nodiscard]] bool is_scheduled(Id id) const;

    /// Moves the wheel to `now` and appends to `due` each timer that fires, in order of deadlines
    /// of different ticks. Going back in time does nothing.
    void advance(TimePoint now, std::vector<Id>& due);

    /// No timer fires before this time, and one that is due soon fires at it; for a far one it may
    /// be earlier than the deadline (an advance() then fires nothing). Nothing scheduled: nothing.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const;

    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    static constexpr unsigned kLevelBits = 6;
    static constexpr unsigned kSlots = 1u << kLevelBits;
    static constexpr unsigned kLevels = 6;  // 2^36 ticks
    static constexpr Id kNone = 0xffffffff;

    struct Node {
        std::uint64_t tick = 0;
        Id next = kNone;
        Id previous = kNone;
        std::uint16_t slot = kUnlinked;  // level * kSlots + slot
    };
    static constexpr std::uint16_t kUnlinked = 0xffff;

    [[nodiscard]] std::uint64_t tick_of(TimePoint time) const;
    void link(Id id);
    void unlink(Id id);
    void cascade(unsigned level);
    void fire_current_slot(std::vector<Id>& due);
    /// The first tick from the current one on at which a slot fires or must be spread out.
    [[nodiscard]] std::optional<std::uint64_t> next_busy_tick() const;

    TimePoint origin_;
    Duration granularity_;
    std::uint64_t current_ = 0;  // the tick whose slot fires next
    std::size_t size_ = 0;
    std::vector<Node> nodes_;
    std::array<std::array<Id, kSlots>, kLevels> heads_;
    std::array<std::uint64_t, kLevels> busy_{};  // one bit a slot
};

}  // namespace homeport::binding

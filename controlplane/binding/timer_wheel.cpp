// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/timer_wheel.hpp"

#include <algorithm>
#include <bit>

namespace homeport::binding {

// A timer lies on the level of the highest digit (base 64) in which its tick differs from the
// current one. So a slot behind the current digit is never taken, and lower levels come first.

TimerWheel::TimerWheel(TimePoint origin, Duration granularity)
    : origin_(origin), granularity_(granularity) {
    for (auto& level : heads_) level.fill(kNone);
}

std::uint64_t TimerWheel::tick_of(TimePoint time) const {
    if (time <= origin_) return 0;
    const Duration passed = time - origin_;
    // Half the range of the clock is more than the wheel can hold; nothing overflows on the way.
    const auto ticks = static_cast<std::uint64_t>(passed / granularity_);
    return ticks + (passed % granularity_ != Duration::zero() ? 1 : 0);
}

void TimerWheel::schedule(Id id, TimePoint deadline) {
    if (id >= nodes_.size()) nodes_.resize(std::size_t{id} + 1);
    if (nodes_[id].slot != kUnlinked) unlink(id);
    constexpr std::uint64_t kHorizon = (std::uint64_t{1} << (kLevelBits * kLevels)) - 1;
    nodes_[id].tick = std::clamp(tick_of(deadline), current_, std::max(current_, kHorizon));
    link(id);
}

void TimerWheel::cancel(Id id) {
    if (is_scheduled(id)) unlink(id);
}

bool TimerWheel::is_scheduled(Id id) const {
    return id < nodes_.size() && nodes_[id].slot != kUnlinked;
}

void TimerWheel::link(Id id) {
    Node& node = nodes_[id];
    const std::uint64_t difference = (node.tick ^ current_) | 1;
    const unsigned level =
        std::min((static_cast<unsigned>(std::bit_width(difference)) - 1) / kLevelBits, kLevels - 1);
    const auto slot = static_cast<unsigned>(node.tick >> (level * kLevelBits)) & (kSlots - 1);
    Id& head = heads_[level][slot];
    node.next = head;
    node.previous = kNone;
    if (head != kNone) nodes_[head].previous = id;
    head = id;
    node.slot = static_cast<std::uint16_t>(level * kSlots + slot);
    busy_[level] |= std::uint64_t{1} << slot;
    ++size_;
}

void TimerWheel::unlink(Id id) {
    Node& node = nodes_[id];
    const unsigned level = node.slot / kSlots;
    const unsigned slot = node.slot % kSlots;
    if (node.next != kNone) nodes_[node.next].previous = node.previous;
    if (node.previous != kNone) {
        nodes_[node.previous].next = node.next;
    } else {
        heads_[level][slot] = node.next;
        if (node.next == kNone) busy_[level] &= ~(std::uint64_t{1} << slot);
    }
    node.slot = kUnlinked;
    --size_;
}

void TimerWheel::cascade(unsigned level) {
    const auto slot = static_cast<unsigned>(current_ >> (level * kLevelBits)) & (kSlots - 1);
    while (heads_[level][slot] != kNone) {
        const Id id = heads_[level][slot];
        unlink(id);
        link(id);
    }
}

void TimerWheel::fire_current_slot(std::vector<Id>& due) {
    const auto slot = static_cast<unsigned>(current_) & (kSlots - 1);
    while (heads_[0][slot] != kNone) {
        const Id id = heads_[0][slot];
        unlink(id);
        due.push_back(id);
    }
}

std::optional<std::uint64_t> TimerWheel::next_busy_tick() const {
    std::optional<std::uint64_t> first;
    for (unsigned level = 0; level < kLevels; ++level) {
        const unsigned shift = level * kLevelBits;
        const auto digit = static_cast<unsigned>(current_ >> shift) & (kSlots - 1);
        const std::uint64_t ahead = busy_[level] & (~std::uint64_t{0} << digit);
        if (ahead == 0) continue;
        const auto slot = static_cast<std::uint64_t>(std::countr_zero(ahead));
        const std::uint64_t above = current_ >> (shift + kLevelBits) << (shift + kLevelBits);
        const std::uint64_t tick = std::max(above | slot << shift, current_);
        if (!first || tick < *first) first = tick;
    }
    return first;
}

void TimerWheel::advance(TimePoint now, std::vector<Id>& due) {
    if (now < origin_) return;
    const auto target = static_cast<std::uint64_t>((now - origin_) / granularity_);
    while (current_ <= target) {
        const auto next = next_busy_tick();
        if (!next || *next > target) {
            current_ = target + 1;
            return;
        }
        current_ = *next;
        for (unsigned level = kLevels - 1; level > 0; --level) {
            const std::uint64_t below = (std::uint64_t{1} << (level * kLevelBits)) - 1;
            if ((current_ & below) == 0) cascade(level);
        }
        fire_current_slot(due);
        ++current_;
    }
}

std::optional<TimePoint> TimerWheel::next_deadline() const {
    const auto tick = next_busy_tick();
    if (!tick) return std::nullopt;
    return origin_ + granularity_ * static_cast<Duration::rep>(*tick);
}

}  // namespace homeport::binding

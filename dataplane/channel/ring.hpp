// SPDX-License-Identifier: BSD-3-Clause
// A ring of length-prefixed records in shared memory, one producer process and one consumer
// process that need not trust each other (DESIGN 5).
//
// Each side keeps its own index in private memory and only publishes it. The other side's index,
// and the lengths in the ring, are checked each time they are read: a peer that writes garbage
// makes the ring broken, which is final, and never causes an access outside of the ring or a loop
// that does not end. The capacity is agreed upon beforehand, not read from the ring.
//
// Records are contiguous, eight-octet aligned and framed by a word {length, mark}. One that does
// not fit before the end of the ring goes to its start, behind a padding frame.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace homeport::channel {

inline constexpr std::size_t kCacheLine = 64;
inline constexpr std::size_t kRingDataOffset = 4096;  // the data begins on a page of its own
inline constexpr std::size_t kRingFrame = 8;          // octets of framing before each record
inline constexpr std::size_t kMinRingCapacity = 4096;
inline constexpr std::size_t kMaxRingCapacity = std::size_t{1} << 30;

/// First octets of a ring's region. Indices count octets and never wrap. All zero is an empty ring.
struct RingControl {
    alignas(kCacheLine) std::atomic<std::uint64_t> head{0};  // written by the producer
    alignas(kCacheLine) std::atomic<std::uint64_t> tail{0};  // written by the consumer
    alignas(kCacheLine) std::atomic<std::uint32_t> consumer_sleeps{0};
};
static_assert(sizeof(RingControl) == 3 * kCacheLine && sizeof(RingControl) <= kRingDataOffset);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

[[nodiscard]] constexpr bool valid_ring_capacity(std::size_t capacity) {
    return capacity >= kMinRingCapacity && capacity <= kMaxRingCapacity &&
           (capacity & (capacity - 1)) == 0;
}
/// Octets of the region that holds a ring of `capacity` octets.
[[nodiscard]] constexpr std::size_t ring_region_size(std::size_t capacity) {
    return kRingDataOffset + capacity;
}
/// The longest record: one always fits an empty ring, wherever its end is.
[[nodiscard]] constexpr std::size_t max_ring_record(std::size_t capacity) {
    return capacity < 2 * kRingFrame ? 0 : capacity / 2 - kRingFrame;
}
/// Octets of ring that a record of `length` octets takes, padding at the ring's end apart.
[[nodiscard]] constexpr std::size_t ring_frame_size(std::size_t length) {
    return (kRingFrame + length + 7) & ~std::size_t{7};
}

enum class RingState : std::uint8_t {
    kSound,
    kBadIndex,   // the peer's index is out of range
    kBadLength,  // a frame's length or mark makes no sense
};

/// What both ends have in common.
class RingEnd {
  public:
    [[nodiscard]] std::size_t capacity() const { return capacity_; }
    [[nodiscard]] std::size_t max_record() const { return max_ring_record(capacity_); }
    [[nodiscard]] RingState state() const { return state_; }
    [[nodiscard]] bool broken() const { return state_ != RingState::kSound; }

  protected:
    static constexpr std::uint32_t kRecordMark = 0x52454344;   // "RECD"
    static constexpr std::uint32_t kPaddingMark = 0x50414444;  // "PADD"

    RingEnd() = default;
    RingEnd(std::span<std::uint8_t> region, std::size_t capacity)
        : control_(reinterpret_cast<RingControl*>(region.data())),
          data_(region.data() + kRingDataOffset),
          capacity_(capacity) {}

    /// The framing word at `index`, which is a multiple of eight: never crosses the ring's end.
    [[nodiscard]] std::atomic_ref<std::uint64_t> frame_at(std::uint64_t index) const {
        return std::atomic_ref<std::uint64_t>(
            *reinterpret_cast<std::uint64_t*>(data_ + (index & (capacity_ - 1))));
    }

    RingControl* control_ = nullptr;
    std::uint8_t* data_ = nullptr;
    std::size_t capacity_ = 0;
    RingState state_ = RingState::kSound;
};

/// The writing end. `region` must be ring_region_size(capacity) octets, zeroed, page aligned, and
/// outlive this object; `capacity` must satisfy valid_ring_capacity(). One thread at a time.
class RingProducer : public RingEnd {
  public:
    RingProducer() = default;
    RingProducer(std::span<std::uint8_t> region, std::size_t capacity)
        : RingEnd(region, capacity) {}

    /// Room for a record of up to `length` octets (1..max_record()), eight-octet aligned, or
    /// nullptr: the ring is full or broken, or `length` out of range. What was reserved and not
    /// committed is forgotten by the next reserve().
    [[nodiscard]] std::uint8_t* reserve(std::size_t length) {
        reserved_ = 0;
        if (length == 0 || capacity_ == 0 || length > max_record()) return nullptr;
        const std::size_t frame = ring_frame_size(length);
        const std::size_t to_end = capacity_ - (head_ & (capacity_ - 1));
        padding_ = frame <= to_end ? 0 : to_end;
        if (!has_room(padding_ + frame)) return nullptr;
        reserved_ = length;
        return data_ + ((head_ + padding_) & (capacity_ - 1)) + kRingFrame;
    }

    /// Ends the record that was reserved, with `length` <= the reserved length octets. The
    /// consumer sees it after publish().
    void commit(std::size_t length) {
        if (length == 0 || length > reserved_) return;
        if (padding_ != 0) store_frame(head_, kPaddingMark, padding_ - kRingFrame);
        store_frame(head_ + padding_, kRecordMark, length);
        head_ += padding_ + ring_frame_size(length);
        reserved_ = 0;
    }

    /// Copies `record` and `trailing` as one record. False: full, broken, or too long.
    [[nodiscard]] bool write(std::span<const std::uint8_t> record,
                             std::span<const std::uint8_t> trailing = {}) {
        std::uint8_t* room = reserve(record.size() + trailing.size());
        if (room == nullptr) return false;
        if (!record.empty()) std::memcpy(room, record.data(), record.size());
        if (!trailing.empty()) std::memcpy(room + record.size(), trailing.data(), trailing.size());
        commit(record.size() + trailing.size());
        return true;
    }

    /// Shows the consumer all committed records.
    void publish() {
        if (head_ == published_) return;
        control_->head.store(head_, std::memory_order_release);
        published_ = head_;
    }

    /// As publish(), for a consumer that may sleep. True: it announced that it sleeps, and the
    /// caller must wake it up. The announcement is thereby taken back.
    [[nodiscard]] bool publish_and_see_sleeper() {
        if (head_ == published_) return false;
        // Sequentially consistent on both sides: either we see the announcement, or the consumer
        // sees the new head before it sleeps.
        control_->head.store(head_, std::memory_order_seq_cst);
        published_ = head_;
        if (control_->consumer_sleeps.load(std::memory_order_seq_cst) == 0) return false;
        return control_->consumer_sleeps.exchange(0, std::memory_order_seq_cst) != 0;
    }

    /// Octets that may be in use at most at this moment subtracted from the capacity. A record of
    /// n octets needs ring_frame_size(n) of them, twice that where the ring wraps.
    [[nodiscard]] std::size_t free_octets() {
        if (capacity_ == 0 || broken() || !refresh_tail()) return 0;
        return capacity_ - static_cast<std::size_t>(head_ - tail_seen_);
    }
    /// Committed and published records that the consumer has not yet released, in octets.
    [[nodiscard]] std::size_t used_octets() {
        if (capacity_ == 0 || broken() || !refresh_tail()) return 0;
        return static_cast<std::size_t>(head_ - tail_seen_);
    }

  private:
    [[nodiscard]] bool has_room(std::size_t octets) {
        if (broken()) return false;
        if (head_ - tail_seen_ + octets <= capacity_) return true;
        return refresh_tail() && head_ - tail_seen_ + octets <= capacity_;
    }
    bool refresh_tail() {
        const std::uint64_t tail = control_->tail.load(std::memory_order_acquire);
        // It may only move forward, and not beyond what was published.
        if (tail - tail_seen_ > published_ - tail_seen_ || tail % 8 != 0) {
            state_ = RingState::kBadIndex;
            return false;
        }
        tail_seen_ = tail;
        return true;
    }
    void store_frame(std::uint64_t index, std::uint32_t mark, std::size_t length) {
        frame_at(index).store(std::uint64_t{mark} << 32 | static_cast<std::uint32_t>(length),
                              std::memory_order_relaxed);
    }

    std::uint64_t head_ = 0;       // committed
    std::uint64_t published_ = 0;  // seen by the consumer
    std::uint64_t tail_seen_ = 0;  // last valid index of the consumer
    std::size_t padding_ = 0;
    std::size_t reserved_ = 0;
};

/// The reading end; the same conditions as for RingProducer.
class RingConsumer : public RingEnd {
  public:
    RingConsumer() = default;
    RingConsumer(std::span<std::uint8_t> region, std::size_t capacity)
        : RingEnd(region, capacity) {}

    /// The oldest record, or nothing: none is there or the ring is broken. The octets are shared
    /// memory: the producer can change them at any time, so read each of them once, or use
    /// peek_copy(). Valid until release().
    [[nodiscard]] std::optional<std::span<std::uint8_t>> peek() {
        if (capacity_ == 0 || broken()) return std::nullopt;
        if (peeked_ != 0) return std::span(record_at_tail(), peeked_);
        if (tail_ == head_seen_ && !refresh_head()) return std::nullopt;
        if (!read_frame()) return std::nullopt;
        return std::span(record_at_tail(), peeked_);
    }

    /// Copies the oldest record to `out` and returns what was copied: its first out.size() octets
    /// if it is longer, see record_length(). Nothing: as for peek().
    [[nodiscard]] std::optional<std::span<std::uint8_t>> peek_copy(std::span<std::uint8_t> out) {
        const auto record = peek();
        if (!record) return std::nullopt;
        const std::size_t length = record->size() < out.size() ? record->size() : out.size();
        if (length != 0) std::memcpy(out.data(), record->data(), length);
        return out.first(length);
    }
    /// Octets of the record that peek() gave; 0 if it gave none.
    [[nodiscard]] std::size_t record_length() const { return peeked_; }

    /// Passes over the record that peek() gave. The producer gets its room back with publish().
    void release() {
        if (peeked_ == 0) return;
        tail_ += ring_frame_size(peeked_);
        peeked_ = 0;
    }
    /// As release(), and overwrites the record with zeros first: for keys.
    void release_and_wipe() {
        if (peeked_ == 0) return;
        explicit_bzero(record_at_tail(), peeked_);
        release();
    }
    /// Gives the room of all released records back to the producer.
    void publish() {
        if (tail_ == published_) return;
        control_->tail.store(tail_, std::memory_order_release);
        published_ = tail_;
    }

    /// Octets of records that are published and not yet released, framing included.
    [[nodiscard]] std::size_t waiting_octets() const {
        if (capacity_ == 0 || broken()) return 0;
        const std::uint64_t waiting = control_->head.load(std::memory_order_relaxed) - tail_;
        return waiting <= capacity_ ? static_cast<std::size_t>(waiting) : 0;
    }

    /// Announces that this side is going to sleep until it is woken up. False: records have come
    /// meanwhile (or the ring is broken), do not sleep.
    [[nodiscard]] bool announce_sleep() {
        if (capacity_ == 0 || broken()) return false;
        control_->consumer_sleeps.store(1, std::memory_order_seq_cst);
        if (control_->head.load(std::memory_order_seq_cst) == tail_) return true;
        control_->consumer_sleeps.store(0, std::memory_order_seq_cst);
        return false;
    }
    /// Takes the announcement back, after waking up for whatever reason.
    void withdraw_sleep() {
        if (capacity_ != 0) control_->consumer_sleeps.store(0, std::memory_order_relaxed);
    }

  private:
    [[nodiscard]] std::uint8_t* record_at_tail() const {
        return data_ + (tail_ & (capacity_ - 1)) + kRingFrame;
    }
    bool refresh_head() {
        const std::uint64_t head = control_->head.load(std::memory_order_acquire);
        if (head == tail_) return false;
        // It may only move forward, by no more than the room that this side has given back.
        if (head - published_ > capacity_ || head - published_ < tail_ - published_ ||
            head % 8 != 0) {
            state_ = RingState::kBadIndex;
            return false;
        }
        head_seen_ = head;
        return true;
    }
    /// Skips a padding frame and checks the record behind it; sets peeked_ to its length.
    bool read_frame() {
        std::uint64_t frame = frame_at(tail_).load(std::memory_order_relaxed);
        std::size_t length = static_cast<std::uint32_t>(frame);
        if (frame >> 32 == kPaddingMark) {
            const std::size_t offset = tail_ & (capacity_ - 1);
            const std::size_t to_end = capacity_ - offset;
            // Padding is never last, never first in the ring, and reaches to the end.
            if (offset == 0 || length != to_end - kRingFrame || head_seen_ - tail_ <= to_end) {
                state_ = RingState::kBadLength;
                return false;
            }
            tail_ += to_end;
            frame = frame_at(tail_).load(std::memory_order_relaxed);
            length = static_cast<std::uint32_t>(frame);
        }
        const std::size_t to_end = capacity_ - (tail_ & (capacity_ - 1));
        if (frame >> 32 != kRecordMark || length == 0 || length > max_record() ||
            ring_frame_size(length) > to_end || ring_frame_size(length) > head_seen_ - tail_) {
            state_ = RingState::kBadLength;
            return false;
        }
        peeked_ = length;
        return true;
    }

    std::uint64_t tail_ = 0;       // released
    std::uint64_t published_ = 0;  // seen by the producer
    std::uint64_t head_seen_ = 0;  // last valid index of the producer
    std::size_t peeked_ = 0;       // octets of the record given out; 0: none
};

}  // namespace homeport::channel

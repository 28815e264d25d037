// SPDX-License-Identifier: BSD-3-Clause
// Hash table with one writer and lock-free readers: 64-byte buckets of ten 16-bit tags and ten slot
// numbers, tags compared by SIMD, entries in slots of their own (PERFORMANCE section 1).
//
// Why readers never miss a key that is there: entries are never moved. A key keeps its place in its
// bucket, or in a bucket chained to it, from insertion to removal; a change of its value writes a
// new slot and swaps the slot number in that place. Slots and chained buckets are used again only
// after every reader passed a quiescent state.
//
// The order of the stores (entry, slot number, tag) and of the loads (tag, slot number, entry)
// makes a tag imply its slot; a reader compares the key in the slot, so a place that was used again
// in between gives a miss for a key that was removed, never a wrong entry. Who remembers slots
// asks a bit for each whether there is an entry in it: set when readers can find the entry, cleared
// when they cannot any more and before the slot waits for them.
#pragma once

#include <smmintrin.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <expected>
#include <utility>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/base/cache_line.hpp"
#include "dataplane/base/sanitizers.hpp"
#include "dataplane/table/memory.hpp"
#include "dataplane/table/reclaimer.hpp"

namespace homeport::table {

inline constexpr std::uint32_t kNoSlot = 0xffffffff;

/// Hash of an address and a number; the seed, drawn at random, makes collisions unpredictable from
/// outside. It is in both factors: with one that is known, an address could be chosen that makes
/// the product zero whatever the other.
[[nodiscard]] inline std::uint64_t hash_address(const Ipv6Address& address, std::uint64_t extra,
                                                std::uint64_t seed) {
    std::uint64_t first;
    std::uint64_t second;
    std::memcpy(&first, address.bytes.data(), 8);
    std::memcpy(&second, address.bytes.data() + 8, 8);
    __extension__ using Wide = unsigned __int128;
    const Wide product =
        static_cast<Wide>(first ^ seed) * (second ^ (extra << 40) ^ std::rotl(seed, 32));
    const auto folded =
        static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
    const Wide again = static_cast<Wide>(folded) * 0xa0761d6478bd642fu;
    return static_cast<std::uint64_t>(again) ^ static_cast<std::uint64_t>(again >> 64);
}

/// Equality in one wide look at each; the comparison of arrays may become a call.
[[nodiscard]] inline bool same_address(const Ipv6Address& a, const Ipv6Address& b) {
    const auto load = [](const Ipv6Address& address) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(address.bytes.data()));
    };
    const __m128i difference = _mm_xor_si128(load(a), load(b));
    return _mm_testz_si128(difference, difference) != 0;
}

/// Process-wide random seed of the tables, drawn at the first call.
[[nodiscard]] std::uint64_t hash_seed();

/// Traits: `Entry` (trivially copyable), `Key`, `hash(const Key&, seed)`,
/// `matches(const Entry&, const Key&)`, `key_of(const Entry&) -> Key`.
template <class Traits>
class ConcurrentHash {
  public:
    using Entry = typename Traits::Entry;
    using Key = typename Traits::Key;
    static constexpr unsigned kMaxBulk = 64;

    enum class Error : std::uint8_t { kFull };
    struct Inserted {
        std::uint32_t slot;      // of the new entry
        std::uint32_t replaced;  // slot of the entry before it, readable until reclaimed; kNoSlot
    };

    /// At most `capacity` entries, 1..2^26. `reclaimer` must outlive the table's last reader and
    /// must be destroyed or synchronised before the table.
    /// `pages`: kNormal for a table that most machines never fill; it takes memory as it grows.
    ConcurrentHash(std::uint32_t capacity, Reclaimer& reclaimer,
                   PageChoice pages = PageChoice::kHuge);
    ConcurrentHash(const ConcurrentHash&) = delete;
    ConcurrentHash& operator=(const ConcurrentHash&) = delete;

    /// Whether there was memory for it; nothing else may be called if not.
    [[nodiscard]] bool valid() const {
        return entries_.valid() && buckets_.valid() && overflow_.valid();
    }

    // ------------------------------------------------------------------------------- readers
    // Slots that a reader got are valid until its next quiescent state.

    /// Slot of `key`, or kNoSlot.
    [[nodiscard]] std::uint32_t find(const Key& key) const {
        const std::uint64_t hash = Traits::hash(key, seed_);
        const Bucket& bucket = bucket_of(hash);
        return search(bucket, match(bucket, tag_of(hash)), tag_of(hash), key);
    }
    /// Looks up `count` <= kMaxBulk keys with two prefetch stages. slots[i]: slot of *keys[i], or
    /// kNoSlot. Returns the set of hits, bit i for keys[i].
    std::uint64_t find_bulk(const Key* const* keys, unsigned count, std::uint32_t* slots) const;
    /// Brings to the cache what find() of these keys will touch. slots[i]: where *keys[i] is if it
    /// is there at all, readable but perhaps another's; kNoSlot: nothing is known.
    void fetch_bulk(const Key* const* keys, unsigned count, std::uint32_t* slots) const;
    [[nodiscard]] const Entry& at(std::uint32_t slot) const { return entries_[slot]; }
    /// How often an entry went or was replaced. While it stays what it was before find() gave a
    /// slot, that slot is still the key's.
    [[nodiscard]] std::uint64_t changes() const {
        return __atomic_load_n(&changes_, __ATOMIC_ACQUIRE);
    }

    /// The bulk lookup in its three steps, for callers that have loops of their own over a burst:
    /// what a step prefetches comes while the caller does other work. For one burst: it keeps what
    /// it needs of the table in copies of its own, which may stay in registers.
    class Steps;

    // -------------------------------------------------------------------------------- writer

    /// Adds `entry`, or puts it in the place of the one of the same key.
    std::expected<Inserted, Error> put(const Entry& entry);
    /// Removes `key`; its slot stays readable until reclaimed. kNoSlot: there was none.
    std::uint32_t erase(const Key& key);
    [[nodiscard]] std::uint32_t size() const { return size_; }
    [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
    /// Slots are below this number.
    [[nodiscard]] std::uint32_t slot_limit() const { return slot_count_; }
    /// Slots beyond this number have never been used.
    [[nodiscard]] std::uint32_t high_water() const { return fresh_slot_; }
    /// Writer's view: whether `slot` holds an entry that find() can return.
    [[nodiscard]] bool in_use(std::uint32_t slot) const {
        return (in_use_[slot / 64] >> (slot % 64) & 1) != 0;
    }
    /// Calls function(slot, entry) for each entry. It may erase or put the entry it is given; new
    /// entries may or may not be visited.
    template <class Function>
    void for_each(Function&& function) const {
        const std::uint32_t end = fresh_slot_;
        for (std::uint32_t slot = 0; slot < end; ++slot) {
            if (in_use(slot)) function(slot, entries_[slot]);
        }
    }

  private:
    static constexpr unsigned kTags = 10;
    /// Of a full table: more places a bucket than entries, so that 1 key in 240 is in a chained
    /// one, which a lookup has to wait for.
    static constexpr unsigned kEntriesABucket = 5;
    struct alignas(64) Bucket {
        std::array<std::uint16_t, kTags> tags;   // 0: place is empty
        std::uint32_t next;                      // chained bucket + 1; 0: none
        std::array<std::uint32_t, kTags> slots;  // valid where tag != 0
    };
    static_assert(sizeof(Bucket) == 64);
    struct Place {
        Bucket* bucket = nullptr;  // null: not found
        Bucket* previous = nullptr;
        unsigned index = 0;
    };

    static std::uint16_t tag_of(std::uint64_t hash) {
        return static_cast<std::uint16_t>(hash | 1);  // never 0
    }
    static std::size_t index_in(std::uint64_t hash, std::uint64_t bucket_count) {
        return static_cast<std::size_t>(((hash >> 32) * bucket_count) >> 32);
    }
    [[nodiscard]] std::size_t index_of(std::uint64_t hash) const {
        return index_in(hash, bucket_count_);
    }
    [[nodiscard]] const Bucket& bucket_of(std::uint64_t hash) const {
        return buckets_[index_of(hash)];
    }
    static unsigned match(const Bucket& bucket, std::uint16_t tag);
    std::uint32_t search(const Bucket& first, unsigned mask, std::uint16_t tag,
                         const Key& key) const;
    Place locate(const Key& key, std::uint64_t hash);
    Place empty_place(std::uint64_t hash);
    std::uint32_t allocate_slot();
    std::uint32_t allocate_overflow();
    void retire_slot(std::uint32_t slot);
    void set_in_use(std::uint32_t slot, bool value);
    void unlink_if_empty(const Place& place);

    std::uint32_t capacity_;
    std::uint32_t slot_count_;
    std::uint64_t bucket_count_;
    std::uint64_t seed_ = hash_seed();
    Reclaimer& reclaimer_;
    MappedArray<Entry> entries_;
    MappedArray<Bucket> buckets_;
    MappedArray<Bucket> overflow_;
    LineVector<std::uint64_t> in_use_;  // bit by slot; of entries that find() can return
    alignas(kCacheLine) std::uint64_t changes_ = 1;  // looked at once a burst; alone on its line
    // The writer's own from here on: on lines that no reader looks at.
    alignas(kCacheLine) std::uint32_t size_ = 0;
    std::uint32_t fresh_slot_ = 0;
    std::uint32_t fresh_overflow_ = 0;
    std::vector<std::uint32_t> free_slots_;
    std::vector<std::uint32_t> free_overflow_;
};

// ---------------------------------------------------------------------------------------- readers

template <class Traits>
inline unsigned ConcurrentHash<Traits>::match(const Bucket& bucket, std::uint16_t tag) {
    constexpr unsigned kAll = (1u << kTags) - 1;
#if defined(HOMEPORT_TSAN)
    unsigned mask = 0;
    for (unsigned i = 0; i < kTags; ++i) {
        if (__atomic_load_n(&bucket.tags[i], __ATOMIC_ACQUIRE) == tag) mask |= 1u << i;
    }
    return mask & kAll;
#elif defined(__AVX512BW__) && defined(__AVX512VL__)
    const __m256i line = _mm256_load_si256(reinterpret_cast<const __m256i*>(&bucket));
    return _mm256_cmpeq_epi16_mask(line, _mm256_set1_epi16(static_cast<short>(tag))) & kAll;
#else
    const auto* line = reinterpret_cast<const __m128i*>(&bucket);
    const __m128i wanted = _mm_set1_epi16(static_cast<short>(tag));
    const __m128i equal = _mm_packs_epi16(_mm_cmpeq_epi16(_mm_load_si128(line), wanted),
                                          _mm_cmpeq_epi16(_mm_load_si128(line + 1), wanted));
    return static_cast<unsigned>(_mm_movemask_epi8(equal)) & kAll;
#endif
}

template <class Traits>
inline std::uint32_t ConcurrentHash<Traits>::search(const Bucket& first, unsigned mask,
                                                    std::uint16_t tag, const Key& key) const {
    const Bucket* bucket = &first;
    for (;;) {
        for (; mask != 0; mask &= mask - 1) {
            const std::uint32_t slot = __atomic_load_n(
                &bucket->slots[static_cast<unsigned>(std::countr_zero(mask))], __ATOMIC_ACQUIRE);
            if (Traits::matches(entries_[slot], key)) return slot;
        }
        const std::uint32_t next = __atomic_load_n(&bucket->next, __ATOMIC_ACQUIRE);
        if (next == 0) return kNoSlot;
        bucket = &overflow_[next - 1];
        mask = match(*bucket, tag);
    }
}

template <class Traits>
class ConcurrentHash<Traits>::Steps {
  public:
    /// What is known of a key between the steps; the caller keeps one for each.
    struct Guess {
        const Bucket* bucket;
        std::uint32_t slot;  // of the first place with this tag; any of the bucket if there is none
        std::uint16_t tag;
        std::uint16_t places;  // that have this tag; bit by bit
    };

    explicit Steps(const ConcurrentHash& table)
        : table_(table),
          seed_(table.seed_),
          bucket_count_(table.bucket_count_),
          buckets_(&table.buckets_[0]),
          entries_(&table.entries_[0]),
          in_use_(table.in_use_.data()) {}

    /// Instead of the three, for who remembers from earlier bursts that the key was in `slot`,
    /// which is below slot_limit(): the entry that is in it now, whatever its key; null: none is.
    [[nodiscard, gnu::always_inline]] const Entry* current(std::uint32_t slot) const {
        const std::uint64_t word = __atomic_load_n(in_use_ + slot / 64, __ATOMIC_ACQUIRE);
        return (word >> (slot % 64) & 1) != 0 ? entries_ + slot : nullptr;
    }
    [[nodiscard]] const Entry& at(std::uint32_t slot) const { return entries_[slot]; }
    /// Brings nearer what current() would give.
    void prefetch(std::uint32_t slot) const { __builtin_prefetch(entries_ + slot); }

    /// First: where `key` would be.
    [[gnu::always_inline]] void aim(const Key& key, Guess& guess) const {
        const std::uint64_t hash = Traits::hash(key, seed_);
        const Bucket* const bucket = buckets_ + index_in(hash, bucket_count_);
        __builtin_prefetch(bucket);
        guess.bucket = bucket;
        guess.tag = tag_of(hash);
    }
    /// Second: the place in the bucket that may be its.
    [[gnu::always_inline]] void approach(Guess& guess) const {
        const unsigned places = match(*guess.bucket, guess.tag);
        guess.places = static_cast<std::uint16_t>(places);
        const auto place = static_cast<unsigned>(std::countr_zero(places | 1u << (kTags - 1)));
        guess.slot = __atomic_load_n(&guess.bucket->slots[place], __ATOMIC_ACQUIRE);
        __builtin_prefetch(entries_ + guess.slot);
    }
    /// Third: the entry of `key`, whose slot is guess.slot then; null: it is not there.
    [[nodiscard, gnu::always_inline]] const Entry* find(const Key& key, Guess& guess) const {
        const Entry* const entry = entries_ + guess.slot;
        if (guess.places != 0 && Traits::matches(*entry, key)) [[likely]]
            return entry;
        return search(key, guess);
    }

  private:
    [[gnu::noinline]] const Entry* search(const Key& key, Guess& guess) const {
        guess.slot = table_.search(*guess.bucket, guess.places, guess.tag, key);
        return guess.slot == kNoSlot ? nullptr : entries_ + guess.slot;
    }

    const ConcurrentHash& table_;
    std::uint64_t seed_;
    std::uint64_t bucket_count_;
    const Bucket* buckets_;
    const Entry* entries_;
    const std::uint64_t* in_use_;
};

template <class Traits>
inline void ConcurrentHash<Traits>::fetch_bulk(const Key* const* keys, unsigned count,
                                               std::uint32_t* slots) const {
    const Steps steps(*this);
    std::array<typename Steps::Guess, kMaxBulk> guesses;
    for (unsigned i = 0; i < count; ++i) steps.aim(*keys[i], guesses[i]);
    for (unsigned i = 0; i < count; ++i) {
        steps.approach(guesses[i]);
        slots[i] = guesses[i].places == 0 ? kNoSlot : guesses[i].slot;
    }
}

template <class Traits>
inline std::uint64_t ConcurrentHash<Traits>::find_bulk(const Key* const* keys, unsigned count,
                                                       std::uint32_t* slots) const {
    const Steps steps(*this);
    std::array<typename Steps::Guess, kMaxBulk> guesses;
    for (unsigned i = 0; i < count; ++i) steps.aim(*keys[i], guesses[i]);
    for (unsigned i = 0; i < count; ++i) steps.approach(guesses[i]);
    std::uint64_t hits = 0;
    for (unsigned i = 0; i < count; ++i) {
        const bool found = steps.find(*keys[i], guesses[i]) != nullptr;
        slots[i] = guesses[i].slot;
        hits |= std::uint64_t{found} << i;
    }
    return hits;
}

// ----------------------------------------------------------------------------------------- writer

template <class Traits>
ConcurrentHash<Traits>::ConcurrentHash(std::uint32_t capacity, Reclaimer& reclaimer,
                                       PageChoice pages)
    : capacity_(std::clamp(capacity, 1u, 1u << 26)),
      slot_count_(capacity_ + std::max(capacity_ / 8, 64u)),  // the rest awaits reclaim
      bucket_count_(std::max<std::uint64_t>(capacity_ / kEntriesABucket, 4)),
      reclaimer_(reclaimer),
      entries_(slot_count_, pages),
      buckets_(bucket_count_, pages),
      overflow_(slot_count_, PageChoice::kNormal),
      in_use_((slot_count_ + 63) / 64) {}

template <class Traits>
std::uint32_t ConcurrentHash<Traits>::allocate_slot() {
    if (free_slots_.empty() && fresh_slot_ == slot_count_) reclaimer_.synchronize();
    if (!free_slots_.empty()) {
        const std::uint32_t slot = free_slots_.back();
        free_slots_.pop_back();
        return slot;
    }
    return fresh_slot_++;
}

template <class Traits>
std::uint32_t ConcurrentHash<Traits>::allocate_overflow() {
    // Each chained bucket in use holds an entry, so after reclaim there are always enough.
    if (free_overflow_.empty() && fresh_overflow_ == slot_count_) reclaimer_.synchronize();
    if (!free_overflow_.empty()) {
        const std::uint32_t index = free_overflow_.back();
        free_overflow_.pop_back();
        return index;
    }
    return fresh_overflow_++;
}

template <class Traits>
void ConcurrentHash<Traits>::set_in_use(std::uint32_t slot, bool value) {
    std::uint64_t& word = in_use_[slot / 64];
    const std::uint64_t bit = std::uint64_t{1} << (slot % 64);
    __atomic_store_n(&word, value ? word | bit : word & ~bit, __ATOMIC_RELEASE);
}

template <class Traits>
void ConcurrentHash<Traits>::retire_slot(std::uint32_t slot) {
    __atomic_store_n(&changes_, changes_ + 1, __ATOMIC_RELEASE);
    set_in_use(slot, false);
    reclaimer_.retire(
        reinterpret_cast<void*>(std::uintptr_t{slot}),
        [](void* object, void* owner) {
            static_cast<ConcurrentHash*>(owner)->free_slots_.push_back(
                static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(object)));
        },
        this);
}

template <class Traits>
auto ConcurrentHash<Traits>::locate(const Key& key, std::uint64_t hash) -> Place {
    Place place{&buckets_[index_of(hash)], nullptr, 0};
    for (;;) {
        for (unsigned mask = match(*place.bucket, tag_of(hash)); mask != 0; mask &= mask - 1) {
            place.index = static_cast<unsigned>(std::countr_zero(mask));
            if (Traits::matches(entries_[place.bucket->slots[place.index]], key)) return place;
        }
        if (place.bucket->next == 0) return {};
        place.previous = place.bucket;
        place.bucket = &overflow_[place.bucket->next - 1];
    }
}

template <class Traits>
auto ConcurrentHash<Traits>::empty_place(std::uint64_t hash) -> Place {
    Place place{&buckets_[index_of(hash)], nullptr, 0};
    for (;;) {
        const unsigned empty = match(*place.bucket, 0);
        if (empty != 0) {
            place.index = static_cast<unsigned>(std::countr_zero(empty));
            return place;
        }
        if (place.bucket->next == 0) break;
        place.bucket = &overflow_[place.bucket->next - 1];
    }
    const std::uint32_t index = allocate_overflow();
    overflow_[index] = Bucket{};
    __atomic_store_n(&place.bucket->next, index + 1, __ATOMIC_RELEASE);
    return {&overflow_[index], place.bucket, 0};
}

template <class Traits>
auto ConcurrentHash<Traits>::put(const Entry& entry) -> std::expected<Inserted, Error> {
    const Key key = Traits::key_of(entry);
    const std::uint64_t hash = Traits::hash(key, seed_);
    const Place old = locate(key, hash);
    if (old.bucket == nullptr && size_ == capacity_) return std::unexpected(Error::kFull);

    const std::uint32_t slot = allocate_slot();
    entries_[slot] = entry;
    if (old.bucket != nullptr) {
        const std::uint32_t replaced = old.bucket->slots[old.index];
        __atomic_store_n(&old.bucket->slots[old.index], slot, __ATOMIC_RELEASE);
        set_in_use(slot, true);
        retire_slot(replaced);
        return Inserted{slot, replaced};
    }
    const Place place = empty_place(hash);
    __atomic_store_n(&place.bucket->slots[place.index], slot, __ATOMIC_RELEASE);
    __atomic_store_n(&place.bucket->tags[place.index], tag_of(hash), __ATOMIC_RELEASE);
    set_in_use(slot, true);
    ++size_;
    return Inserted{slot, kNoSlot};
}

template <class Traits>
void ConcurrentHash<Traits>::unlink_if_empty(const Place& place) {
    if (place.previous == nullptr) return;
    for (const std::uint16_t tag : place.bucket->tags) {
        if (tag != 0) return;
    }
    // Its own `next` stays for readers that are in it now.
    const std::uint32_t index = place.previous->next - 1;
    __atomic_store_n(&place.previous->next, place.bucket->next, __ATOMIC_RELEASE);
    reclaimer_.retire(
        reinterpret_cast<void*>(std::uintptr_t{index}),
        [](void* object, void* owner) {
            static_cast<ConcurrentHash*>(owner)->free_overflow_.push_back(
                static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(object)));
        },
        this);
}

template <class Traits>
std::uint32_t ConcurrentHash<Traits>::erase(const Key& key) {
    const Place place = locate(key, Traits::hash(key, seed_));
    if (place.bucket == nullptr) return kNoSlot;
    const std::uint32_t slot = place.bucket->slots[place.index];
    __atomic_store_n(&place.bucket->tags[place.index], std::uint16_t{0}, __ATOMIC_RELEASE);
    unlink_if_empty(place);
    retire_slot(slot);
    --size_;
    return slot;
}

}  // namespace homeport::table

// SPDX-License-Identifier: BSD-3-Clause
// A hash table of pointers with one writer and lock-free readers.
//
// Buckets are cache lines of eight words. A word is a pointer of 48 bits with 15 bits of the hash
// and one flag bit above it, so that a reader compares without following pointers that cannot
// match, and one atomic load gets all of an entry. Each entry is in its first bucket or, if that
// was nearly full, perhaps in its second; entries never move but into a larger array, which
// replaces the old one as a whole. Arrays grow by a half, and only when both buckets of an entry
// are full, so that an entry costs 10 to 16 octets.
#pragma once

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/sanitizers.hpp"
#include "dataplane/ipsec/reclaimer.hpp"

namespace homeport::ipsec {

class TaggedTable {
  public:
    /// What the table stores for an entry; 0: nothing.
    using Word = std::uint64_t;

    /// `hash_of(word, context)` gives the hash under which a word was inserted; used to grow.
    using HashOf = std::uint64_t (*)(Word word, void* context);
    TaggedTable(Reclaimer& reclaimer, HashOf hash_of, void* context);
    ~TaggedTable();
    TaggedTable(const TaggedTable&) = delete;
    TaggedTable& operator=(const TaggedTable&) = delete;

    [[nodiscard]] static Word make_word(const void* pointer, bool flag, std::uint64_t hash) {
        return (hash & kTagMask) | (flag ? kFlag : 0) | reinterpret_cast<std::uintptr_t>(pointer);
    }
    template <class T>
    [[nodiscard]] static T* pointer(Word word) {
        return reinterpret_cast<T*>(word & kPointerMask);
    }
    [[nodiscard]] static bool flag(Word word) { return (word & kFlag) != 0; }

    // Any reader.

    /// The word under `hash` for which `matches(word)`; 0 if there is none.
    template <class Matches>
    [[nodiscard]] [[gnu::always_inline]] Word find(std::uint64_t hash, Matches matches) const {
        const Array* array = array_.load(std::memory_order_acquire);
        for (const bool second : {false, true}) {
            const Bucket& bucket =
                array->buckets()[second ? array->second(hash) : array->first(hash)];
            for (unsigned mask = match(bucket, hash); mask != 0; mask &= mask - 1) {
                const Word word =
                    bucket.slots[std::countr_zero(mask)].load(std::memory_order_acquire);
                if (word != 0 && matches(word)) return word;
            }
        }
        return 0;
    }
    void prefetch(std::uint64_t hash) const {
        const Array* array = array_.load(std::memory_order_acquire);
        __builtin_prefetch(&array->buckets()[array->first(hash)]);
    }
    /// A word under `hash` that may be the right one, or 0: to prefetch what it points to.
    [[nodiscard]] Word guess(std::uint64_t hash) const {
        const Array* array = array_.load(std::memory_order_acquire);
        const Bucket* bucket = &array->buckets()[array->first(hash)];
        unsigned mask = match(*bucket, hash);
        if (mask == 0) [[unlikely]] {
            bucket = &array->buckets()[array->second(hash)];
            mask = match(*bucket, hash);
            if (mask == 0) return 0;
        }
        return bucket->slots[std::countr_zero(mask)].load(std::memory_order_acquire);
    }

    // Writer.

    /// `word` is not in the table yet and was made with `hash`. Grows if there is no room.
    void insert(std::uint64_t hash, Word word);
    /// Puts `word` where `old`, found under `hash`, is.
    void replace(std::uint64_t hash, Word old, Word word);
    void erase(std::uint64_t hash, Word old) { replace(hash, old, 0); }
    [[nodiscard]] std::size_t size() const { return size_; }

  private:
    static constexpr Word kTagMask = 0xfffe'0000'0000'0000u;
    static constexpr Word kFlag = 0x0001'0000'0000'0000u;
    static constexpr Word kPointerMask = 0x0000'ffff'ffff'ffffu;

    struct alignas(64) Bucket {
        std::atomic<Word> slots[8];
    };
    struct alignas(64) Array {
        std::uint64_t bucket_count;  ///< 2 to 2^32 - 1

        /// The tag has other bits of the hash than these.
        [[nodiscard]] std::uint64_t first(std::uint64_t hash) const {
            return (hash & 0xffff'ffffu) * bucket_count >> 32;
        }
        /// Never the first bucket of the same hash.
        [[nodiscard]] std::uint64_t second(std::uint64_t hash) const {
            const std::uint64_t other = (hash * 0x9e37'79b1u & 0xffff'ffffu) * bucket_count >> 32;
            if (other != first(hash)) return other;
            return other + 1 == bucket_count ? 0 : other + 1;
        }
        [[nodiscard]] const Bucket* buckets() const {
            return reinterpret_cast<const Bucket*>(this + 1);
        }
        [[nodiscard]] Bucket* buckets() { return reinterpret_cast<Bucket*>(this + 1); }
    };
    static_assert(sizeof(Bucket) == 64 && sizeof(Array) == 64);

    /// The words of a bucket whose tag is that of `hash`, bit by bit; a word that is empty may be
    /// among them, and one that changes meanwhile: who follows a word loads it itself.
    [[nodiscard]] static unsigned match(const Bucket& bucket, std::uint64_t hash) {
        // ThreadSanitizer cannot see that a vector load of words that are written atomically is
        // meant so.
#if defined(__AVX512F__) && !defined(HOMEPORT_TSAN)
        const __m512i words = _mm512_load_si512(&bucket);
        const __m512i difference =
            _mm512_xor_si512(words, _mm512_set1_epi64(static_cast<long long>(hash)));
        return _mm512_testn_epi64_mask(difference,
                                       _mm512_set1_epi64(static_cast<long long>(kTagMask)));
#elif defined(__AVX2__) && !defined(HOMEPORT_TSAN)
        const auto* const line = reinterpret_cast<const __m256i*>(&bucket);
        const __m256i wanted = _mm256_set1_epi64x(static_cast<long long>(hash & kTagMask));
        const __m256i mask = _mm256_set1_epi64x(static_cast<long long>(kTagMask));
        const auto half = [&](const __m256i* at) {
            const __m256i tags = _mm256_and_si256(_mm256_load_si256(at), mask);
            return static_cast<unsigned>(
                _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpeq_epi64(tags, wanted))));
        };
        return half(line) | half(line + 1) << 4;
#else
        unsigned mask = 0;
        for (unsigned i = 0; i < 8; ++i) {
            const Word word = bucket.slots[i].load(std::memory_order_acquire);
            if (((word ^ hash) & kTagMask) == 0) mask |= 1u << i;
        }
        return mask;
#endif
    }
    [[nodiscard]] static Array* make_array(std::uint64_t bucket_count);
    static void free_array(void* object, void* owner);
    [[nodiscard]] static bool place(Array& array, std::uint64_t hash, Word word);
    void grow();

    Reclaimer& reclaimer_;
    HashOf hash_of_;
    void* context_;
    std::atomic<Array*> array_;
    std::size_t size_ = 0;
};

}  // namespace homeport::ipsec

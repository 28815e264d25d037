// SPDX-License-Identifier: BSD-3-Clause
// Longest prefix match with one writer and lock-free readers: one hash table of all prefixes, asked
// once for each length in use, longest first. Every change is one swap, so readers never see a
// route table in between two states; memory is 32 octets a prefix and a share of a bucket.
#pragma once

#include <array>
#include <cstdint>
#include <expected>

#include "dataplane/base/address.hpp"
#include "dataplane/table/concurrent_hash.hpp"

namespace homeport::table {

/// The first `length` bits of `address`, the rest zero. length <= 128.
[[nodiscard]] inline Ipv6Address masked(const Ipv6Address& address, unsigned length) {
    const std::uint64_t high = length >= 64  ? ~std::uint64_t{0}
                               : length == 0 ? 0
                                             : ~std::uint64_t{0} << (64 - length);
    const std::uint64_t low = length >= 128  ? ~std::uint64_t{0}
                              : length <= 64 ? 0
                                             : ~std::uint64_t{0} << (128 - length);
    Ipv6Address result;
    store_be64(result.bytes.data(), address.high() & high);
    store_be64(result.bytes.data() + 8, address.low() & low);
    return result;
}

struct PrefixKey {
    Ipv6Address prefix;  // masked
    std::uint8_t length;
};

/// PrefixEntry: a trivially copyable struct with members `Ipv6Address prefix` (masked) and
/// `std::uint8_t length` (of 128 bits, also for v4-mapped prefixes).
template <class PrefixEntry>
class PrefixTable {
    struct Traits {
        using Entry = PrefixEntry;
        using Key = PrefixKey;
        static std::uint64_t hash(const Key& key, std::uint64_t seed) {
            return hash_address(key.prefix, key.length, seed);
        }
        static bool matches(const Entry& entry, const Key& key) {
            return entry.length == key.length && same_address(entry.prefix, key.prefix);
        }
        static Key key_of(const Entry& entry) { return {entry.prefix, entry.length}; }
    };

  public:
    using Error = typename ConcurrentHash<Traits>::Error;
    static constexpr unsigned kMaxBulk = ConcurrentHash<Traits>::kMaxBulk;

    PrefixTable(std::uint32_t max_prefixes, Reclaimer& reclaimer)
        : hash_(max_prefixes, reclaimer), reclaimer_(reclaimer), lengths_(new Lengths) {}
    ~PrefixTable() { delete lengths_; }
    PrefixTable(const PrefixTable&) = delete;
    PrefixTable& operator=(const PrefixTable&) = delete;

    [[nodiscard]] bool valid() const { return hash_.valid(); }

    // ------------------------------------------------------------------------------- readers

    /// Whether there is no prefix at all: one load.
    [[nodiscard]] bool empty() const {
        return __atomic_load_n(&lengths_, __ATOMIC_ACQUIRE)->count == 0;
    }
    /// Rises with each change, once it can be seen.
    [[nodiscard]] std::uint64_t generation() const {
        return __atomic_load_n(&generation_, __ATOMIC_ACQUIRE);
    }
    /// The longest prefix that contains `address`; null: none.
    [[nodiscard]] const PrefixEntry* find(const Ipv6Address& address) const {
        const Lengths& lengths = *__atomic_load_n(&lengths_, __ATOMIC_ACQUIRE);
        for (unsigned i = 0; i < lengths.count; ++i) {
            const std::uint8_t length = lengths.values[i];
            const std::uint32_t slot = hash_.find({masked(address, length), length});
            if (slot != kNoSlot) return &hash_.at(slot);
        }
        return nullptr;
    }
    /// The same for `count` <= kMaxBulk addresses.
    void find_bulk(const Ipv6Address* const* addresses, unsigned count,
                   const PrefixEntry** out) const;

    // -------------------------------------------------------------------------------- writer

    std::expected<void, Error> put(const PrefixEntry& entry);
    /// False: there was none.
    bool erase(const Ipv6Address& prefix, std::uint8_t length);
    [[nodiscard]] const PrefixEntry* find_exact(const Ipv6Address& prefix,
                                                std::uint8_t length) const {
        const std::uint32_t slot = hash_.find({prefix, length});
        return slot == kNoSlot ? nullptr : &hash_.at(slot);
    }
    [[nodiscard]] std::uint32_t size() const { return hash_.size(); }
    [[nodiscard]] std::uint32_t capacity() const { return hash_.capacity(); }
    template <class Function>
    void for_each(Function&& function) const {  // function(const PrefixEntry&); may erase it
        hash_.for_each([&](std::uint32_t, const PrefixEntry& entry) { function(entry); });
    }

  private:
    static constexpr unsigned kLengthCount = 129;
    struct Lengths {  // in use, descending; immutable
        unsigned count = 0;
        std::array<std::uint8_t, kLengthCount> values;
    };
    void publish_lengths();
    void count_change() { __atomic_store_n(&generation_, generation_ + 1, __ATOMIC_RELEASE); }

    ConcurrentHash<Traits> hash_;
    Reclaimer& reclaimer_;
    const Lengths* lengths_;
    std::uint64_t generation_ = 0;
    std::array<std::uint32_t, kLengthCount> uses_{};
};

template <class PrefixEntry>
void PrefixTable<PrefixEntry>::find_bulk(const Ipv6Address* const* addresses, unsigned count,
                                         const PrefixEntry** out) const {
    std::array<PrefixKey, kMaxBulk> keys;
    std::array<const PrefixKey*, kMaxBulk> pointers;
    std::array<std::uint32_t, kMaxBulk> slots;
    std::array<std::uint8_t, kMaxBulk> open;  // numbers of addresses without a match yet
    for (unsigned i = 0; i < count; ++i) {
        open[i] = static_cast<std::uint8_t>(i);
        out[i] = nullptr;
        pointers[i] = &keys[i];
    }
    const Lengths& lengths = *__atomic_load_n(&lengths_, __ATOMIC_ACQUIRE);
    unsigned left = count;
    for (unsigned i = 0; i < lengths.count && left != 0; ++i) {
        const std::uint8_t length = lengths.values[i];
        for (unsigned k = 0; k < left; ++k) keys[k] = {masked(*addresses[open[k]], length), length};
        hash_.find_bulk(pointers.data(), left, slots.data());
        unsigned still = 0;
        for (unsigned k = 0; k < left; ++k) {
            if (slots[k] == kNoSlot) {
                open[still++] = open[k];
            } else {
                out[open[k]] = &hash_.at(slots[k]);
            }
        }
        left = still;
    }
}

template <class PrefixEntry>
void PrefixTable<PrefixEntry>::publish_lengths() {
    auto* lengths = new Lengths;
    for (unsigned length = kLengthCount; length-- > 0;) {
        if (uses_[length] != 0) {
            lengths->values[lengths->count++] = static_cast<std::uint8_t>(length);
        }
    }
    const Lengths* const old = lengths_;
    __atomic_store_n(&lengths_, lengths, __ATOMIC_RELEASE);
    reclaimer_.retire(
        const_cast<Lengths*>(old),
        [](void* object, void*) { delete static_cast<Lengths*>(object); }, nullptr);
}

template <class PrefixEntry>
auto PrefixTable<PrefixEntry>::put(const PrefixEntry& entry) -> std::expected<void, Error> {
    const auto inserted = hash_.put(entry);
    if (!inserted) return std::unexpected(inserted.error());
    if (inserted->replaced == kNoSlot && uses_[entry.length]++ == 0) publish_lengths();
    count_change();
    return {};
}

template <class PrefixEntry>
bool PrefixTable<PrefixEntry>::erase(const Ipv6Address& prefix, std::uint8_t length) {
    if (hash_.erase({prefix, length}) == kNoSlot) return false;
    if (--uses_[length] == 0) publish_lengths();
    count_change();
    return true;
}

}  // namespace homeport::table

// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/tagged_table.hpp"

#include <algorithm>
#include <new>

namespace homeport::ipsec {

namespace {

constexpr std::uint64_t kFirstBucketCount = 16;

}  // namespace

TaggedTable::TaggedTable(Reclaimer& reclaimer, HashOf hash_of, void* context)
    : reclaimer_(reclaimer),
      hash_of_(hash_of),
      context_(context),
      array_(make_array(kFirstBucketCount)) {}

TaggedTable::~TaggedTable() {
    free_array(array_.load(), nullptr);
}

TaggedTable::Array* TaggedTable::make_array(std::uint64_t bucket_count) {
    void* memory =
        ::operator new(sizeof(Array) + bucket_count * sizeof(Bucket), std::align_val_t{64});
    auto* array = new (memory) Array{bucket_count};
    for (std::uint64_t i = 0; i < bucket_count; ++i) new (&array->buckets()[i]) Bucket{};
    return array;
}

void TaggedTable::free_array(void* object, void*) {
    ::operator delete(object, std::align_val_t{64});
}

bool TaggedTable::place(Array& array, std::uint64_t hash, Word word) {
    // Entries in second buckets cost readers a cache line more, so first buckets are filled first;
    // but not to the brim, or there would soon be an entry whose two buckets are both full.
    constexpr std::size_t kNearlyFull = 6;
    const auto used = [](const Bucket& bucket) {
        return static_cast<std::size_t>(std::ranges::count_if(bucket.slots, [](const auto& slot) {
            return slot.load(std::memory_order_relaxed) != 0;
        }));
    };
    Bucket& first = array.buckets()[array.first(hash)];
    Bucket& second = array.buckets()[array.second(hash)];
    Bucket& bucket = used(first) >= kNearlyFull && used(second) < used(first) ? second : first;
    for (auto& slot : bucket.slots) {
        if (slot.load(std::memory_order_relaxed) != 0) continue;
        slot.store(word, std::memory_order_release);
        return true;
    }
    return false;
}

void TaggedTable::grow() {
    Array* old = array_.load(std::memory_order_relaxed);
    for (std::uint64_t count = old->bucket_count;;) {
        count += count / 2;
        Array* larger = make_array(count);
        bool all = true;
        for (std::uint64_t i = 0; all && i < old->bucket_count; ++i) {
            for (const auto& slot : old->buckets()[i].slots) {
                const Word word = slot.load(std::memory_order_relaxed);
                if (word != 0) all = all && place(*larger, hash_of_(word, context_), word);
            }
        }
        if (!all) {
            free_array(larger, nullptr);
            continue;
        }
        array_.store(larger, std::memory_order_release);
        reclaimer_.retire(old, free_array, nullptr);
        return;
    }
}

void TaggedTable::insert(std::uint64_t hash, Word word) {
    while (!place(*array_.load(std::memory_order_relaxed), hash, word)) grow();
    ++size_;
}

void TaggedTable::replace(std::uint64_t hash, Word old, Word word) {
    Array& array = *array_.load(std::memory_order_relaxed);
    for (const std::uint64_t at : {array.first(hash), array.second(hash)}) {
        for (auto& slot : array.buckets()[at].slots) {
            if (slot.load(std::memory_order_relaxed) != old) continue;
            slot.store(word, std::memory_order_release);
            if (word == 0) --size_;
            return;
        }
    }
}

}  // namespace homeport::ipsec

// SPDX-License-Identifier: BSD-3-Clause
// Finds dense numbers by a key that is kept elsewhere, at the place that the number says.
//
// A node of std::unordered_map takes 48 octets for an address and a number, the address a second
// time, and 10 of a bucket. Here it is eight octets a cell, of which at most three quarters are
// used: half a hash beside each number, so that the place that a number says is looked at once it
// is nearly certain, and nothing but cells when the table grows. Open addressing with linear
// probing; what is erased leaves no mark, as later cells of the run move up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace homeport::binding {

/// `key_of(number)` of the calls below gives the key of a number that is in the index.
template <class Key, class Hash = std::hash<Key>>
class IdIndex {
  public:
    using Id = std::uint32_t;
    static constexpr Id kNone = 0xffffffff;  // no number

    /// kNone: there is none.
    template <class KeyOf>
    [[nodiscard]] Id find(const Key& key, KeyOf&& key_of) const {
        const std::size_t at = place_of(key, key_of);
        return at == kNowhere ? kNone : cells_[at].id;
    }
    /// Precondition: neither `key` nor `id` is there; id != kNone.
    void insert(const Key& key, Id id) {
        if ((size_ + 1) * 4 > cells_.size() * 3) grow();
        put({.id = id, .hash = half_hash(key)});
        ++size_;
    }
    /// The number that `key` had; kNone: there was none.
    template <class KeyOf>
    Id erase(const Key& key, KeyOf&& key_of) {
        std::size_t hole = place_of(key, key_of);
        if (hole == kNowhere) return kNone;
        const Id id = cells_[hole].id;
        const std::size_t mask = cells_.size() - 1;
        for (std::size_t at = (hole + 1) & mask; cells_[at].id != kNone; at = (at + 1) & mask) {
            // One that would not be found across the hole moves into it.
            const std::size_t away_from_home = (at - cells_[at].hash) & mask;
            if (away_from_home < ((at - hole) & mask)) continue;
            cells_[hole] = cells_[at];
            hole = at;
        }
        cells_[hole] = {};
        --size_;
        return id;
    }
    [[nodiscard]] std::size_t size() const { return size_; }
    /// Calls `visit(number)` for each, in no order. It must not change the index.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for (const Cell& cell : cells_) {
            if (cell.id != kNone) visit(cell.id);
        }
    }

  private:
    struct Cell {
        Id id = kNone;
        std::uint32_t hash = 0;
    };
    static constexpr std::size_t kNowhere = ~std::size_t{0};
    static constexpr std::size_t kLeast = 16;  // cells; a power of two, as all their numbers are

    [[nodiscard]] static std::uint32_t half_hash(const Key& key) {
        const std::uint64_t hash = Hash{}(key);
        return static_cast<std::uint32_t>(hash ^ hash >> 32);
    }
    template <class KeyOf>
    [[nodiscard]] std::size_t place_of(const Key& key, KeyOf&& key_of) const {
        if (size_ == 0) return kNowhere;
        const std::size_t mask = cells_.size() - 1;
        const std::uint32_t hash = half_hash(key);
        for (std::size_t at = hash & mask; cells_[at].id != kNone; at = (at + 1) & mask) {
            if (cells_[at].hash == hash && key_of(cells_[at].id) == key) return at;
        }
        return kNowhere;
    }
    void put(const Cell& cell) {
        const std::size_t mask = cells_.size() - 1;
        std::size_t at = cell.hash & mask;
        while (cells_[at].id != kNone) at = (at + 1) & mask;
        cells_[at] = cell;
    }
    void grow() {
        const std::size_t count = cells_.empty() ? kLeast : 2 * cells_.size();
        const std::vector<Cell> before = std::exchange(cells_, std::vector<Cell>(count));
        for (const Cell& cell : before) {
            if (cell.id != kNone) put(cell);
        }
    }

    std::vector<Cell> cells_;
    std::size_t size_ = 0;
};

}  // namespace homeport::binding

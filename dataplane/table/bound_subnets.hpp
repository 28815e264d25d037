// SPDX-License-Identifier: BSD-3-Clause
// Where bound addresses are: one bit for each hash of a /64, set with the first binding in it and
// never cleared. A clear bit says that no address of the /64 is bound, so a worker that keeps this
// beside a route need not ask the binding table about each packet to a correspondent.
//
// Because bits are never cleared, an answer "none" ends at most once for each bit, however often
// bindings come and go. With bindings in very many /64s the answer is "perhaps", and the table is
// asked as before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/base/address.hpp"

namespace homeport::table {

/// One writer, readers without locks. 8 KiB.
class BoundSubnets {
  public:
    // ------------------------------------------------------------------------------- readers

    /// Rises when a bit is set, after it can be seen: how long an answer may be kept.
    [[nodiscard]] std::uint64_t generation() const {
        return __atomic_load_n(&generation_, __ATOMIC_ACQUIRE);
    }
    /// False: no address in the /64 of `address` is bound.
    [[nodiscard]] bool may_hold(const Ipv6Address& address) const {
        const std::size_t bit = bit_of(address);
        return (__atomic_load_n(&words_[bit / 64], __ATOMIC_RELAXED) >> bit % 64 & 1) != 0;
    }

    // -------------------------------------------------------------------------------- writer

    /// After the binding of `address` can be seen.
    void add(const Ipv6Address& address) {
        if (may_hold(address)) return;
        const std::size_t bit = bit_of(address);
        std::uint64_t& word = words_[bit / 64];
        __atomic_store_n(&word, word | std::uint64_t{1} << bit % 64, __ATOMIC_RELAXED);
        __atomic_store_n(&generation_, generation_ + 1, __ATOMIC_RELEASE);
    }

  private:
    static constexpr unsigned kBits = 16;
    static std::size_t bit_of(const Ipv6Address& address) {
        return static_cast<std::size_t>(address.high() * 0x9e3779b97f4a7c15u >> (64 - kBits));
    }

    std::vector<std::uint64_t> words_ = std::vector<std::uint64_t>((std::size_t{1} << kBits) / 64);
    std::uint64_t generation_ = 0;
};

}  // namespace homeport::table

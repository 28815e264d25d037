// SPDX-License-Identifier: BSD-3-Clause
// Successive IPv4 addresses that are given to one holder each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/base/address.hpp"

namespace homeport {

/// Not thread-safe. One bit an address; a search reads a 64th of them at most.
class Ipv4Pool {
  public:
    /// From `first` to `last`, both included; `first` <= `last`.
    Ipv4Pool(const Ipv4Address& first, const Ipv4Address& last);

    [[nodiscard]] bool contains(const Ipv4Address& address) const;
    [[nodiscard]] bool is_taken(const Ipv4Address& address) const;
    /// An address that nobody has, or nothing. The one that was given back longest ago comes late:
    /// the search goes on behind the last that was taken.
    [[nodiscard]] std::optional<Ipv4Address> next_free() const;
    /// Outside the pool: no effect.
    void take(const Ipv4Address& address);
    void give_back(const Ipv4Address& address);

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::size_t taken() const { return taken_; }

  private:
    [[nodiscard]] std::size_t index_of(const Ipv4Address& address) const {
        return address.host() - first_.host();
    }
    [[nodiscard]] std::uint64_t free_bits(std::size_t word) const;

    Ipv4Address first_;
    std::size_t size_;
    std::size_t taken_ = 0;
    std::size_t cursor_ = 0;  // index behind the last one taken, below size_
    std::vector<std::uint64_t> bits_;
};

}  // namespace homeport

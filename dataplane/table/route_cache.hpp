// SPDX-License-Identifier: BSD-3-Clause
// What one worker found out about destinations beyond its home links: the next hop, and that the
// address is neither one of ours nor of a home prefix nor of a mobile network. Whether an address
// is bound changes all the time, and the binding table is asked each time; but where no address of
// a whole /64 was ever bound (BoundSubnets), that is kept as well.
//
// An answer holds as long as Tables::generation() is what it was when the answer was made, so a
// change of a route, an address or a prefix is seen with the next batch.
#pragma once

#include <nmmintrin.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "dataplane/table/tables.hpp"

namespace homeport::table {

class RouteCache {
  public:
    struct alignas(32) Entry {
        Ipv6Address destination;
        std::uint64_t generation = 0;  // 0: no entry; Tables::generation() is never 0
        std::uint32_t adjacency = 0;
        std::uint16_t mtu = 0;     // octets: the route's
        std::uint8_t unbound = 0;  // 1: no address of its /64 is bound
        std::uint8_t reserved = 0;
    };

    /// What is known about `destination`; null: nothing.
    [[nodiscard]] const Entry* find(const Ipv6Address& destination,
                                    std::uint64_t generation) const {
        const Entry& entry = entries_[index_of(destination)];
        if (entry.generation != generation || !same_address(entry.destination, destination)) {
            return nullptr;
        }
        return &entry;
    }
    /// Asks the tables about an IPv6 destination, and keeps the answer. Null: it is not simply to
    /// be forwarded over an adjacency, if it is not bound. `generation` was read before.
    const Entry* look_up(const Tables& tables, const Ipv6Address& destination,
                         std::uint64_t generation) {
        if (tables.local_addresses.find(destination) != nullptr ||
            tables.home_prefixes.find(destination) != nullptr ||
            (!tables.mobile_prefixes.empty() &&
             tables.mobile_prefixes.find(destination) != nullptr)) {
            return nullptr;
        }
        const Hop hop = tables.next_hop(6, destination);
        if (hop.type != Hop::Type::kForward) return nullptr;
        Entry& entry = entries_[index_of(destination)];
        entry = {.destination = destination,
                 .generation = generation,
                 .adjacency = hop.adjacency,
                 .mtu = hop.mtu,
                 .unbound = tables.bound_subnets.may_hold(destination) ? std::uint8_t{0}
                                                                       : std::uint8_t{1}};
        return &entry;
    }

  private:
    static constexpr unsigned kBits = 10;
    static std::size_t index_of(const Ipv6Address& address) {
        std::uint64_t halves[2];
        std::memcpy(halves, address.bytes.data(), sizeof halves);
        return _mm_crc32_u64(_mm_crc32_u64(0, halves[0]), halves[1]) & ((1u << kBits) - 1);
    }

    std::array<Entry, 1u << kBits> entries_{};
};

}  // namespace homeport::table

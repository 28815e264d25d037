// SPDX-License-Identifier: BSD-3-Clause
// Routes of both families.
#pragma once

#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/table/binding_table.hpp"
#include "dataplane/table/prefix_table.hpp"

namespace homeport::table {

/// IPv4 prefixes are v4-mapped, their lengths counted in 128 bits (0.0.0.0/0 is length 96).
struct Route {
    Ipv6Address prefix;       // masked
    std::uint32_t adjacency;  // of the gateway; channel::kNoIndex: on-link, or not unicast
    std::uint16_t mtu;        // octets, never 0: the route's or the port's, the lesser
    std::uint16_t port;       // egress; channel::kNoPort if not unicast
    std::uint8_t length;
    channel::RouteType type;
    std::uint8_t on_link;
    std::uint8_t reserved[5];
};
static_assert(sizeof(Route) == 32);

class Fib {
  public:
    static constexpr unsigned kMaxBulk = PrefixTable<Route>::kMaxBulk;
    using Error = PrefixTable<Route>::Error;

    /// `max_routes` for each family.
    Fib(std::uint32_t max_routes, Reclaimer& reclaimer)
        : v6_(max_routes, reclaimer), v4_(max_routes, reclaimer) {}
    [[nodiscard]] bool valid() const { return v6_.valid() && v4_.valid(); }

    /// Rises with each change, once it can be seen.
    [[nodiscard]] std::uint64_t generation() const { return v6_.generation() + v4_.generation(); }

    // Readers; null: no route. The addresses of one bulk are of one family; v4 ones v4-mapped.
    [[nodiscard]] const Route* find_v6(const Ipv6Address& address) const {
        return v6_.find(address);
    }
    [[nodiscard]] const Route* find_v4(const Ipv6Address& mapped) const { return v4_.find(mapped); }
    void find_bulk_v6(const Ipv6Address* const* addresses, unsigned count,
                      const Route** out) const {
        v6_.find_bulk(addresses, count, out);
    }
    void find_bulk_v4(const Ipv6Address* const* mapped, unsigned count, const Route** out) const {
        v4_.find_bulk(mapped, count, out);
    }

    // Writer.
    [[nodiscard]] PrefixTable<Route>& of_family(std::uint8_t family) {
        return family == 4 ? v4_ : v6_;
    }
    [[nodiscard]] const PrefixTable<Route>& of_family(std::uint8_t family) const {
        return family == 4 ? v4_ : v6_;
    }
    [[nodiscard]] std::uint32_t size() const { return v6_.size() + v4_.size(); }

  private:
    PrefixTable<Route> v6_;
    PrefixTable<Route> v4_;
};

}  // namespace homeport::table

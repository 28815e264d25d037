// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/tables.hpp"

#include <array>

namespace homeport::table {

Tables::Tables(const Sizes& sizes, rte_rcu_qsbr* readers)
    : qsbr(readers),
      reclaimer(readers),
      bindings(sizes.max_bindings, reclaimer),
      return_paths(bindings.slot_limit()),
      adjacencies(sizes.max_adjacencies, reclaimer),
      local_addresses(sizes.max_addresses, reclaimer),
      home_prefixes(sizes.max_home_prefixes, reclaimer),
      mobile_prefixes(sizes.max_mobile_prefixes, reclaimer),
      vpn_clients(sizes.max_vpn_clients, reclaimer),
      broadcast_nodes(reclaimer),
      broken_tunnels(reclaimer),
      fib(sizes.max_routes, reclaimer) {}

Tables::~Tables() {
    // No reader is left; what is retired belongs to tables that are destroyed before reclaimer.
    reclaimer.free_now();
}

bool Tables::valid() const {
    return bindings.valid() && return_paths.valid() && adjacencies.valid() &&
           local_addresses.valid() && home_prefixes.valid() && mobile_prefixes.valid() &&
           vpn_clients.valid() && fib.valid();
}

std::uint32_t Tables::find_mobile_network(const Ipv6Address& address) const {
    const MobilePrefix* const prefix = mobile_prefixes.find(address);
    if (prefix == nullptr) return kNoSlot;
    const std::uint32_t slot = bindings.find(prefix->home_address);
    return slot == kNoSlot || bindings.at(slot).tentative() ? kNoSlot : slot;
}

Hop Tables::hop_of(std::uint32_t index) const {
    const Adjacency* const adjacency = adjacencies.find(index);
    if (adjacency == nullptr) return {};
    return {adjacency->resolved != 0 ? Hop::Type::kForward : Hop::Type::kUnresolved,
            adjacency->port, static_cast<std::uint16_t>(adjacency->mtu), index};
}

Hop Tables::hop_over(const Route* route, const Ipv6Address& destination) const {
    if (route == nullptr) return {};
    switch (route->type) {
        case channel::RouteType::kKernel:
            return {.type = Hop::Type::kKernel};
        case channel::RouteType::kBlackhole:
            return {.type = Hop::Type::kBlackhole};
        case channel::RouteType::kUnreachable:
            return {.type = Hop::Type::kUnreachable};
        case channel::RouteType::kUnicast:
            break;
    }
    const Adjacency* const adjacency = route->on_link != 0
                                           ? adjacencies.find(route->port, destination)
                                           : adjacencies.find(route->adjacency);
    const bool resolved = adjacency != nullptr && adjacency->resolved != 0;
    return {resolved ? Hop::Type::kForward : Hop::Type::kUnresolved, route->port, route->mtu,
            adjacency != nullptr ? adjacency->index : channel::kNoIndex};
}

Hop Tables::next_hop(std::uint8_t family, const Ipv6Address& destination) const {
    return hop_over(family == 4 ? fib.find_v4(destination) : fib.find_v6(destination), destination);
}

void Tables::next_hop_bulk(std::uint8_t family, const Ipv6Address* const* destinations,
                           unsigned count, Hop* out) const {
    std::array<const Route*, Fib::kMaxBulk> routes;
    if (family == 4) {
        fib.find_bulk_v4(destinations, count, routes.data());
    } else {
        fib.find_bulk_v6(destinations, count, routes.data());
    }
    for (unsigned i = 0; i < count; ++i) out[i] = hop_over(routes[i], *destinations[i]);
}

}  // namespace homeport::table

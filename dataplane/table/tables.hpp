// SPDX-License-Identifier: BSD-3-Clause
// All that workers look things up in. Readers call const members from threads registered with the
// QSBR variable; TableWriter, on the main lcore, is the only one that changes anything.
#pragma once

#include <cstdint>

#include "dataplane/base/address.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/table/adjacency_table.hpp"
#include "dataplane/table/binding_table.hpp"
#include "dataplane/table/bound_subnets.hpp"
#include "dataplane/table/broadcast_nodes.hpp"
#include "dataplane/table/broken_tunnels.hpp"
#include "dataplane/table/fib.hpp"
#include "dataplane/table/home_prefixes.hpp"
#include "dataplane/table/local_addresses.hpp"
#include "dataplane/table/mobile_prefixes.hpp"
#include "dataplane/table/reclaimer.hpp"
#include "dataplane/table/return_paths.hpp"
#include "dataplane/table/vpn_clients.hpp"

namespace homeport::table {

struct Sizes {
    std::uint32_t max_bindings = 65536;
    std::uint32_t max_routes = 65536;  // of each family
    std::uint32_t max_adjacencies = 65536;
    std::uint32_t max_addresses = 4096;
    std::uint32_t max_home_prefixes = 4096;
    std::uint32_t max_mobile_prefixes = 65536;
    std::uint32_t max_vpn_clients = 65536;
};

/// Where a packet to some destination goes.
struct Hop {
    enum class Type : std::uint8_t {
        kNone,         // no route
        kForward,      // over `adjacency`, which is resolved
        kUnresolved,   // to the kernel by the exception TAP of `port`, which resolves the next hop
        kKernel,       // to the kernel: its route leads to none of our ports
        kBlackhole,    // drop silently
        kUnreachable,  // drop with an ICMP error
    };
    Type type = Type::kNone;
    std::uint16_t port = channel::kNoPort;
    std::uint16_t mtu = 0;  // octets of IP packet; for kForward and kUnresolved
    std::uint32_t adjacency = channel::kNoIndex;
};

struct Tables {
    Tables(const Sizes& sizes, rte_rcu_qsbr* qsbr);

    /// Whether there was memory for all of them.
    [[nodiscard]] bool valid() const;

    /// Rises with each change of an address, a prefix or a route, when an adjacency index goes, and
    /// with the first binding in a /64: how long answers about destinations without binding may be
    /// kept. Never 0.
    [[nodiscard]] std::uint64_t generation() const {
        return 1 + fib.generation() + local_addresses.generation() + home_prefixes.generation() +
               mobile_prefixes.generation() + adjacencies.generation() + bound_subnets.generation();
    }
    /// Route and next hop of a destination; IPv4 ones in v4-mapped form, `family` 4 or 6.
    [[nodiscard]] Hop next_hop(std::uint8_t family, const Ipv6Address& destination) const;
    /// The same for `count` <= Fib::kMaxBulk destinations of one family.
    void next_hop_bulk(std::uint8_t family, const Ipv6Address* const* destinations, unsigned count,
                       Hop* out) const;
    /// Slot of the binding whose mobile network holds `address` (IPv4: v4-mapped); kNoSlot: none,
    /// or one that is tentative. Bindings of single addresses are not asked.
    [[nodiscard]] std::uint32_t mobile_network_of(const Ipv6Address& address) const {
        return mobile_prefixes.empty() ? kNoSlot : find_mobile_network(address);
    }
    /// What an adjacency index says now, for a packet whose next hop was found before.
    [[nodiscard]] Hop hop_of(std::uint32_t adjacency) const;

    rte_rcu_qsbr* qsbr;
    Reclaimer reclaimer;  // the writer's; before the tables, so that it is destroyed after them
    BindingTable bindings;
    BoundSubnets bound_subnets;        // of the addresses in `bindings`
    mutable ReturnPaths return_paths;  // workers write it, too
    AdjacencyTable adjacencies;
    LocalAddresses local_addresses;
    HomePrefixes home_prefixes;
    MobilePrefixTable mobile_prefixes;
    VpnClients vpn_clients;
    BroadcastNodes broadcast_nodes;
    BrokenTunnels broken_tunnels;
    Fib fib;

    ~Tables();

  private:
    [[nodiscard]] std::uint32_t find_mobile_network(const Ipv6Address& address) const;
    [[nodiscard]] Hop hop_over(const Route* route, const Ipv6Address& destination) const;
};

}  // namespace homeport::table

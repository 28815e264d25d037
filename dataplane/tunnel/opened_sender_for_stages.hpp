// SPDX-License-Identifier: BSD-3-Clause
// Packets that came out of IPsec for correspondents that the kept routes know (P4): what express
// would come to for them, in one look. Not for others.
#pragma once

#include <cstdint>

#include "dataplane/stage/egress.hpp"
#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/route_cache.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/tunnel/express_headers.hpp"

namespace homeport::tunnel {

/// A local variable of the loop over a burst, all inlined.
class OpenedSender {
  public:
    /// To be made before anything is asked of the packets. `edge`: the stage's edge to tx.
    OpenedSender(stage::Worker& worker, stage::Edges& out, auto edge)
        : routes_(worker.route_cache),
          generation_(worker.tables->generation()),
          egress_(worker, out, edge) {}

    /// Takes one hop off a bare packet of `length` octets, which begins with `ip` and `first`, and
    /// sends it. False, and nothing has happened: express has to look at it. A kept route is to
    /// an ordinary address that is not ours.
    [[nodiscard, gnu::always_inline]] bool take(rte_mbuf* packet, Ipv6Header& ip, FirstWord first,
                                                std::uint32_t length) {
        if (first.version() != 6 || !turn_to(ip.destination)) [[unlikely]]
            return false;
        const table::RouteCache::Entry* const route = route_;
        auto* const start = reinterpret_cast<std::uint8_t*>(&ip);
        if (route->unbound == 0 || first.packet_length() != length || length > route->mtu ||
            first.hop_limit() <= 1 || !is_ordinary(ip.source.bytes[0]) ||
            !passes_through(kind_of(first.next_header())) || !egress_.has_room(packet, start) ||
            !egress_.turn_to(route->adjacency)) [[unlikely]] {
            return false;
        }
        --ip.hop_limit;
        egress_.put(packet, start, length);
        return true;
    }
    /// Nothing is taken behind it.
    [[gnu::always_inline]] void finish() { egress_.finish(); }

  private:
    /// Whether a route to it is kept, which is route_ then. Packets of a flow come in trains.
    [[nodiscard, gnu::always_inline]] bool turn_to(const Ipv6Address& destination) {
        if (route_ != nullptr && table::same_address(route_->destination, destination)) return true;
        if (routes_ == nullptr) return false;
        const table::RouteCache::Entry* const route = routes_->find(destination, generation_);
        if (route == nullptr) return false;
        route_ = route;
        return true;
    }

    const table::RouteCache* routes_;
    const table::RouteCache::Entry* route_ = nullptr;  // of the last packet that had one
    std::uint64_t generation_;
    stage::Egress egress_;
};

}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
// Packets that came out of IPsec for correspondents that the kept routes know (P4): what express
// would come to for them, in one look. Not for others.
#pragma once

#include <cstdint>

#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/route_cache.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/tunnel/express_headers.hpp"
#include "dataplane/tunnel/last_hop_for_stages.hpp"

namespace homeport::tunnel {

/// A local variable of the loop over a burst, all inlined.
class OpenedSender {
  public:
    /// To be made before anything is asked of the packets.
    explicit OpenedSender(const stage::Worker& worker)
        : routes_(worker.route_cache),
          generation_(worker.tables->generation()),
          hop_(*worker.tables) {}

    /// Takes one hop off a bare packet, of which at least 40 octets are there, and notes where it
    /// leaves: then it is for tx. False, and nothing has happened: express has to look at it. A
    /// kept route is to an ordinary address that is not ours.
    [[nodiscard, gnu::always_inline]] bool take(rte_mbuf* packet, stage::PacketMeta& notes) {
        auto& ip = *reinterpret_cast<Ipv6Header*>(stage::data(packet));
        const FirstWord first(ip);
        const table::RouteCache::Entry* const route =
            first.version() != 6 || routes_ == nullptr ? nullptr
                                                       : routes_->find(ip.destination, generation_);
        if (route == nullptr || route->unbound == 0 || !hop_.is_resolved(route->adjacency) ||
            first.packet_length() != stage::length(packet) || first.packet_length() > route->mtu ||
            first.hop_limit() <= 1 || !is_ordinary(ip.source.bytes[0]) ||
            !passes_through(kind_of(first.next_header()))) [[unlikely]] {
            return false;
        }
        notes.family = 6;
        notes.protocol = first.next_header();
        notes.upper_offset = kIpv6HeaderLength;
        notes.adjacency = route->adjacency;
        --ip.hop_limit;
        return true;
    }

  private:
    const table::RouteCache* routes_;
    std::uint64_t generation_;
    LastHop hop_;
};

}  // namespace homeport::tunnel

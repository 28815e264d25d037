// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <array>

#include "dataplane/base/hop_limit.hpp"
#include "dataplane/forward/fragment_stage.hpp"
#include "dataplane/forward/stage_support.hpp"
#include "dataplane/forward/stages.hpp"

namespace homeport::forward {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::IcmpErrorKind;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;
using table::Hop;

enum class ForwardEdge : std::uint8_t { kTx, kToKernel, kFragment, kIcmpError };

constexpr unsigned kOwn =
    stage::kMetaEncapsulated | stage::kMetaOriginated | stage::kMetaMayFragmentOuter;

/// One call of the stage. Each method that takes a packet and returns nothing gives it away.
class Forwarding {
  public:
    Forwarding(Worker& worker, Edges& out) : worker_(worker), tables_(*worker.tables), out_(out) {}

    void run(Batch& in);

  private:
    /// Packets of one family whose destination is to be looked up.
    struct Lookups {
        unsigned count = 0;
        std::array<rte_mbuf*, stage::kBatchSize> packets;
        std::array<const Ipv6Address*, stage::kBatchSize> destinations;
        std::array<Hop, stage::kBatchSize> hops;
        std::array<const table::HomePrefix*, stage::kBatchSize> homes;
    };

    void error(rte_mbuf* packet, IcmpErrorKind kind, Counter drop, std::uint32_t parameter = 0) {
        note_icmp_error(packet, {kind, 0, parameter}, drop);
        out_.to(ForwardEdge::kIcmpError, packet);
    }
    [[nodiscard]] bool settle_by_scope(rte_mbuf* packet, PacketMeta& notes);
    void send_on_link(rte_mbuf* packet, PacketMeta& notes);
    void send_to_group(rte_mbuf* packet, PacketMeta& notes);
    [[nodiscard]] bool send_over_adjacency(rte_mbuf* packet, PacketMeta& notes);
    void look_up(Lookups& lookups, std::uint8_t family);
    void settle_unbound(rte_mbuf* packet, PacketMeta& notes, const Ipv6Address& destination,
                        const table::HomePrefix& home, Hop hop);
    void settle(rte_mbuf* packet, PacketMeta& notes, const Hop& hop);
    void settle_too_big(rte_mbuf* packet, PacketMeta& notes, const Hop& hop, std::uint16_t mtu);
    void to_kernel(rte_mbuf* packet, PacketMeta& notes, std::uint16_t port);

    Worker& worker_;
    const table::Tables& tables_;
    Edges& out_;
};

// ------------------------------------------------------------------------------------------ scope

bool never_routed(const Ipv6Address& source, const Ipv6Address& destination) {
    return destination.is_multicast() || destination.is_link_local() || destination.high() == 0 ||
           source.is_link_local() || source.is_multicast() || source.is_unspecified() ||
           source.is_loopback();
}

bool never_routed(const Ipv4Address& source, const Ipv4Address& destination) {
    return !destination.is_unicast() || destination.is_link_local() || !source.is_unicast() ||
           source.is_link_local();
}

bool stays_on_link(rte_mbuf* packet, std::uint8_t family) {
    if (family == 6) {
        const Ipv6Address& destination = ipv6_of(packet).destination;
        return destination.is_multicast() || destination.is_link_local();
    }
    const Ipv4Address& destination = ipv4_of(packet).destination;
    return destination.is_multicast() || destination.is_broadcast();
}

/// Scope and hop limit. True: the packet is given away.
bool Forwarding::settle_by_scope(rte_mbuf* packet, PacketMeta& notes) {
    if (has(notes, kOwn)) {
        if (!stays_on_link(packet, notes.family)) return false;
        send_on_link(packet, notes);
        return true;
    }
    bool refused = has(notes, stage::kMetaToGroup);
    std::uint8_t hops;
    if (notes.family == 6) [[likely]] {
        const Ipv6Header& ip = ipv6_of(packet);
        refused |= never_routed(ip.source, ip.destination);
        hops = ip.hop_limit;
    } else {
        const Ipv4Header& ip = ipv4_of(packet);
        refused |= never_routed(ip.source, ip.destination);
        hops = ip.ttl;
    }
    if (refused) [[unlikely]] {
        out_.drop(packet, Counter::kForwardScope);
        return true;
    }
    if (hops <= 1) [[unlikely]] {
        error(packet, IcmpErrorKind::kTimeExceeded, Counter::kForwardTtl);
        return true;
    }
    return false;
}

/// A packet of this host to a group or a neighbour, by the port that its maker named.
void Forwarding::send_on_link(rte_mbuf* packet, PacketMeta& notes) {
    if (notes.in_port >= channel::kMaxPorts || worker_.ports[notes.in_port].in_use == 0) {
        out_.drop(packet, Counter::kForwardScope);
        return;
    }
    if (notes.family == 4 || ipv6_of(packet).destination.is_multicast()) {
        send_to_group(packet, notes);
        return;
    }
    const table::Adjacency* const adjacency =
        tables_.adjacencies.find(notes.in_port, ipv6_of(packet).destination);
    if (adjacency == nullptr || adjacency->resolved == 0) {
        // The kernel does not route link-local packets, so it would not resolve this one.
        out_.drop(packet, Counter::kForwardUnresolvedFull);
        return;
    }
    notes.adjacency = adjacency->index;
    out_.to(ForwardEdge::kTx, packet);
}

void Forwarding::send_to_group(rte_mbuf* packet, PacketMeta& notes) {
    MacAddress group;
    if (notes.family == 6) {
        group = ethernet_group_of(ipv6_of(packet).destination);
    } else {
        const Ipv4Address& destination = ipv4_of(packet).destination;
        group = MacAddress{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
        if (destination.is_multicast()) {  // RFC 1112 section 6.4
            const auto low = static_cast<std::uint8_t>(destination.bytes[1] & 0x7f);
            group = {{0x01, 0x00, 0x5e, low, destination.bytes[2], destination.bytes[3]}};
        }
    }
    auto* const frame =
        reinterpret_cast<EthernetHeader*>(rte_pktmbuf_prepend(packet, sizeof(EthernetHeader)));
    if (frame == nullptr) {
        out_.drop(packet, Counter::kNoBuffer);
        return;
    }
    frame->destination = group;
    frame->source = worker_.ports[notes.in_port].mac;
    frame->ether_type = Be16(notes.family == 6 ? kEtherTypeIpv6 : kEtherTypeIpv4);
    notes.flags |= stage::kMetaFrame;
    out_.to(ForwardEdge::kTx, packet);
}

// ----------------------------------------------------------------------------------------- routes

/// The next hop of a binding is known. False: it has to be looked up after all.
bool Forwarding::send_over_adjacency(rte_mbuf* packet, PacketMeta& notes) {
    if (notes.adjacency == channel::kNoIndex) return false;
    const Hop hop = tables_.hop_of(notes.adjacency);
    if (hop.type == Hop::Type::kNone) return false;
    settle(packet, notes, hop);
    return true;
}

void Forwarding::look_up(Lookups& lookups, std::uint8_t family) {
    if (lookups.count == 0) return;
    const Ipv6Address* const* const destinations = lookups.destinations.data();
    tables_.next_hop_bulk(family, destinations, lookups.count, lookups.hops.data());
    tables_.home_prefixes.find_bulk(destinations, lookups.count, lookups.homes.data());
    for (unsigned i = 0; i < lookups.count; ++i) {
        rte_mbuf* const packet = lookups.packets[i];
        PacketMeta& notes = stage::meta(packet);
        if (lookups.homes[i] != nullptr && !has(notes, kOwn)) {
            settle_unbound(packet, notes, *lookups.destinations[i], *lookups.homes[i],
                           lookups.hops[i]);
        } else {
            settle(packet, notes, lookups.hops[i]);
        }
    }
}

/// P30: an address of a home prefix without binding is at home, or nowhere (S1.17).
void Forwarding::settle_unbound(rte_mbuf* packet, PacketMeta& notes, const Ipv6Address& destination,
                                const table::HomePrefix& home, Hop hop) {
    if (home.drop_unbound != 0) {
        out_.drop(packet, Counter::kTunOutNoBinding);
        return;
    }
    const table::Route* const route =
        notes.family == 6 ? tables_.fib.find_v6(destination) : tables_.fib.find_v4(destination);
    const bool routed = route != nullptr && route->length >= home.length;
    if (!routed && home.is_virtual()) {
        // There is no home link. A default route would only bring the packet back.
        error(packet, IcmpErrorKind::kAddressUnreachable, Counter::kTunOutNoBinding);
        return;
    }
    if (!routed) {
        const table::Adjacency* const neighbour = tables_.adjacencies.find(home.port, destination);
        const bool resolved = neighbour != nullptr && neighbour->resolved != 0;
        hop = {resolved ? Hop::Type::kForward : Hop::Type::kUnresolved, home.port,
               worker_.ports[home.port].mtu,
               neighbour != nullptr ? neighbour->index : channel::kNoIndex};
    }
    settle(packet, notes, hop);
}

void Forwarding::to_kernel(rte_mbuf* packet, PacketMeta& notes, std::uint16_t port) {
    if (port != notes.in_port) clear(notes, stage::kMetaL2Intact);
    notes.in_port = port;
    worker_.count(Counter::kUnresolvedToKernel);
    out_.to(ForwardEdge::kToKernel, packet);
}

void Forwarding::settle(rte_mbuf* packet, PacketMeta& notes, const Hop& hop) {
    switch (hop.type) {
        case Hop::Type::kForward:
        case Hop::Type::kUnresolved:
            break;
        case Hop::Type::kKernel:
            out_.to(ForwardEdge::kToKernel, packet);
            return;
        case Hop::Type::kBlackhole:
            out_.drop(packet, Counter::kForwardBlackhole);
            return;
        case Hop::Type::kUnreachable:
            error(packet, IcmpErrorKind::kNoRoute, Counter::kForwardUnreachable);
            return;
        case Hop::Type::kNone:
            error(packet, IcmpErrorKind::kNoRoute, Counter::kForwardNoRoute);
            return;
    }
    std::uint16_t mtu = hop.mtu;
    if (has(notes, stage::kMetaEncapsulated) && notes.parameter != 0) {
        mtu = static_cast<std::uint16_t>(std::min<std::uint32_t>(mtu, notes.parameter));
    }
    if (stage::length(packet) > mtu) [[unlikely]] {
        settle_too_big(packet, notes, hop, mtu);
        return;
    }
    if (hop.type == Hop::Type::kUnresolved) [[unlikely]] {
        to_kernel(packet, notes, hop.port);  // it decrements the hop limit itself
        return;
    }
    if (!has(notes, kOwn)) decrement_hop_limit(stage::data(packet), notes.family);
    notes.adjacency = hop.adjacency;
    out_.to(ForwardEdge::kTx, packet);
}

void Forwarding::settle_too_big(rte_mbuf* packet, PacketMeta& notes, const Hop& hop,
                                std::uint16_t mtu) {
    const bool own = has(notes, kOwn);
    const bool may_fragment = notes.family == 6 ? own : !ipv4_of(packet).dont_fragment();
    if (!may_fragment) {
        const std::uint16_t least = notes.family == 6 ? kIpv6MinimumMtu : std::uint16_t{68};
        error(packet, IcmpErrorKind::kPacketTooBig, Counter::kForwardTooBig, std::max(mtu, least));
        return;
    }
    if (!own && hop.type == Hop::Type::kUnresolved) {
        to_kernel(packet, notes, hop.port);  // it fragments, too
        return;
    }
    if (!own) decrement_hop_limit(stage::data(packet), notes.family);
    notes.adjacency = hop.adjacency;
    notes.parameter = mtu;
    notes.reason = static_cast<std::uint8_t>(PiecesGo::kByAdjacency);
    if (hop.type == Hop::Type::kUnresolved) {
        clear(notes, stage::kMetaL2Intact);
        notes.in_port = hop.port;
        notes.reason = static_cast<std::uint8_t>(PiecesGo::kToKernel);
    }
    out_.to(ForwardEdge::kFragment, packet);
}

void Forwarding::run(Batch& in) {
    Lookups v6;
    Lookups v4;
    std::array<Ipv6Address, stage::kBatchSize> mapped;
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        PacketMeta& notes = stage::meta(packet);
        if (settle_by_scope(packet, notes) || send_over_adjacency(packet, notes)) continue;
        if (notes.family == 6) [[likely]] {
            v6.packets[v6.count] = packet;
            v6.destinations[v6.count++] = &ipv6_of(packet).destination;
        } else {
            mapped[v4.count] = table::v4_mapped(ipv4_of(packet).destination);
            v4.packets[v4.count] = packet;
            v4.destinations[v4.count] = &mapped[v4.count];
            ++v4.count;
        }
    }
    look_up(v6, 6);
    look_up(v4, 4);
}

void forward(Worker& worker, Batch& in, Edges& out) {
    Forwarding(worker, out).run(in);
}

}  // namespace

const stage::StageDescription kForwardStage{
    .id = StageId::kForward,
    .name = "forward",
    .function = forward,
    .edges = {{{"tx", StageId::kTx},
               {"to-kernel", StageId::kToKernel},
               {"fragment", StageId::kFragment},
               {"icmp-error", StageId::kIcmpError}}},
    .edge_count = 4,
};

}  // namespace homeport::forward

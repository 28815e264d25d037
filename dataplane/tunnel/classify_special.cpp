// SPDX-License-Identifier: BSD-3-Clause
// Groups, link-local and void addresses, and neighbor discovery.
#include "dataplane/tunnel/classification.hpp"
#include "dataplane/tunnel/mip4_broadcasts_for_stages.hpp"
#include "dataplane/tunnel/mip4_tunnel.hpp"

namespace homeport::tunnel {

using channel::Counter;
using stage::PacketMeta;

namespace {

constexpr std::uint8_t kNeighborSolicitation = 135;
constexpr std::uint8_t kNeighborAdvertisement = 136;
constexpr std::uint8_t kMldQuery = 130;

const Ipv6Header& ipv6_of(rte_mbuf* packet) {
    return *reinterpret_cast<const Ipv6Header*>(stage::data(packet));
}

}  // namespace

/// Groups, link-local and void addresses, and neighbor discovery. True: the packet is given away.
bool Classification::settle_special(rte_mbuf* packet, PacketMeta& notes) {
    if (notes.family == 6) {
        const Ipv6Header& ip = ipv6_of(packet);
        if (notes.protocol == number(IpProtocol::kIcmpv6) && is_neighbor_discovery(packet, notes)) {
            give(ClassifyEdge::kNdProxy, packet);
            return true;
        }
        if (ip.destination.is_multicast()) {
            settle_group(packet, notes);
            return true;
        }
        if (ip.destination.is_link_local()) {
            settle_link_local(packet, notes);
            return true;
        }
        if (ip.destination.high() == 0) {  // ::, ::1, v4-mapped: never on a wire
            out_.drop(packet, Counter::kForwardScope);
            return true;
        }
        return false;
    }
    settle_group(packet, notes);
    return true;
}

void Classification::settle_group(rte_mbuf* packet, const PacketMeta& notes) {
    if (has_flag(notes, stage::kMetaOriginated) && has_flag(notes, stage::kMetaL2Intact)) {
        settle_transit(packet, stage::meta(packet), Ipv6Address{});
        return;
    }
    if (!has_flag(notes, stage::kMetaL2Intact)) {  // out of a tunnel: it has no link
        out_.drop(packet, Counter::kForwardScope);
        return;
    }
    if (notes.family == 6 && notes.protocol == number(IpProtocol::kIcmpv6) &&
        upper_octet(packet, notes) == kMldQuery &&
        tables_.home_prefixes.is_home_port(notes.in_port)) {
        copy_query_to_control(packet);
    }
    if (notes.family == 4 && tables_.local_addresses.serves_mip4()) {
        settle_group_of_home_link(packet, notes);
        return;
    }
    give(ClassifyEdge::kToKernel, packet);
}

/// IPv4 on a link that may be the home of Mobile IPv4 nodes: requests to whatever home agent there
/// is (RFC 5944 section 3.8.3.2), and broadcasts that nodes elsewhere want (P29).
void Classification::settle_group_of_home_link(rte_mbuf* packet, const PacketMeta& notes) {
    constexpr int kRouterSolicitation = 10;
    if (!tables_.home_prefixes.is_home_port(notes.in_port)) {
        give(ClassifyEdge::kToKernel, packet);
        return;
    }
    if (is_udp_to(packet, notes, kMip4Port)) {
        give(ClassifyEdge::kMip4In, packet);
        return;
    }
    if (notes.protocol == number(IpProtocol::kIcmp) &&
        upper_octet(packet, notes) == kRouterSolicitation) {
        rte_mbuf* const copy = copy_for_control(packet);
        if (copy != nullptr) punt(copy, channel::PuntReason::kAgentSolicitation);
    }
    const bool multicast =
        reinterpret_cast<const Ipv4Header*>(stage::data(packet))->destination.is_multicast();
    if (!multicast && wants_broadcast(tables_, notes.in_port)) {
        rte_mbuf* const copy = copy_of(worker_, packet);
        if (copy != nullptr) give(ClassifyEdge::kMip4In, copy);
    }
    give(ClassifyEdge::kToKernel, packet);
}

/// Kernel and control plane both report groups: those of its own addresses, and those of the home
/// addresses that are defended. No buffer: the querier asks again.
void Classification::copy_query_to_control(rte_mbuf* packet) {
    rte_mbuf* const copy = copy_for_control(packet);
    if (copy != nullptr) punt(copy, channel::PuntReason::kMldQuery);
}

/// With the Ethernet header before it, as in the packet.
rte_mbuf* Classification::copy_for_control(rte_mbuf* packet) {
    (void)rte_pktmbuf_prepend(packet, kEthernetLength);  // where it still stands
    rte_mbuf* const copy = rte_pktmbuf_copy(packet, worker_.pool, 0, UINT32_MAX);
    cut_front(packet, kEthernetLength);
    if (copy == nullptr) return nullptr;
    cut_front(copy, kEthernetLength);
    worker_.count(Counter::kRxGenerated);
    return copy;
}

/// RFC 6275 section 10.4.2: packets to a mobile node's link-local address are never tunnelled.
void Classification::settle_link_local(rte_mbuf* packet, PacketMeta& notes) {
    const Ipv6Address& destination = ipv6_of(packet).destination;
    if (has_flag(notes, stage::kMetaOriginated) && has_flag(notes, stage::kMetaL2Intact)) {
        settle_transit(packet, notes, Ipv6Address{});
        return;
    }
    if (!has_flag(notes, stage::kMetaL2Intact)) {
        out_.drop(packet, Counter::kForwardScope);
        return;
    }
    const table::LocalAddress* local = tables_.local_addresses.find(destination);
    if (local != nullptr && local->on_port(notes.in_port)) {
        give(ClassifyEdge::kToKernel, packet);
        return;
    }
    for (const table::HomePrefix& prefix : tables_.home_prefixes.on_port(notes.in_port)) {
        if (prefix.prefix.is_v4_mapped()) continue;
        Ipv6Address home_address = prefix.prefix;
        std::copy_n(destination.bytes.begin() + 8, 8, home_address.bytes.begin() + 8);
        const std::uint32_t slot = tables_.bindings.find(home_address);
        if (slot == table::kNoSlot || tables_.bindings.at(slot).tentative()) continue;
        notes.binding = slot;
        give(ClassifyEdge::kIntercept, packet);
        return;
    }
    out_.drop(packet, Counter::kForwardScope);
}

bool Classification::is_neighbor_discovery(rte_mbuf* packet, const PacketMeta& notes) const {
    const int type = upper_octet(packet, notes);
    if (type != kNeighborSolicitation && type != kNeighborAdvertisement) return false;
    // What this host's own kernel advertises is no news here; what it asks for may be bound.
    if (has_flag(notes, stage::kMetaOriginated) && type != kNeighborSolicitation) return false;
    return has_flag(notes, stage::kMetaL2Intact) && ipv6_of(packet).hop_limit == 255 &&
           tables_.home_prefixes.is_home_port(notes.in_port);
}

}  // namespace homeport::tunnel

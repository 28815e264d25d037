// SPDX-License-Identifier: BSD-3-Clause
// Neighbor discovery for bound addresses on their home link (RFC 6275 section 10.4.1), and ARP.
#include <algorithm>

#include "dataplane/forward/arp_proxy.hpp"
#include "dataplane/forward/neighbor_message.hpp"
#include "dataplane/forward/stage_support.hpp"
#include "dataplane/forward/stages.hpp"

namespace homeport::forward {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class NdProxyEdge : std::uint8_t { kToKernel, kToControl, kTx };

constexpr Ipv6Address kAllNodes{{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01}};

/// The binding that `target` on the link at `port` belongs to: of that home address, or of one
/// whose link-local address is defended too (L flag). Null: none.
const table::Binding* binding_of(const Worker& worker, std::uint16_t port,
                                 const Ipv6Address& target) {
    const table::Tables& tables = *worker.tables;
    if (!target.is_link_local()) {
        const std::uint32_t slot = tables.bindings.find(target);
        if (slot == table::kNoSlot || tables.bindings.at(slot).home_port != port) return nullptr;
        return &tables.bindings.at(slot);
    }
    for (const table::HomePrefix& prefix : tables.home_prefixes.on_port(port)) {
        if (prefix.prefix.is_v4_mapped()) continue;
        Ipv6Address home_address = prefix.prefix;
        std::copy_n(target.bytes.begin() + 8, 8, home_address.bytes.begin() + 8);
        const std::uint32_t slot = tables.bindings.find(home_address);
        if (slot == table::kNoSlot) continue;
        const table::Binding& binding = tables.bindings.at(slot);
        if (binding.home_port == port && (binding.flags & channel::kBindingLinkLocal) != 0) {
            return &binding;
        }
    }
    return nullptr;
}

void punt(rte_mbuf* packet, Edges& out) {
    stage::meta(packet).reason = static_cast<std::uint8_t>(channel::PuntReason::kDuplicateAddress);
    out.to(NdProxyEdge::kToControl, packet);
}

/// A copy for the control plane; without a buffer it learns of the next one.
void punt_copy(Worker& worker, rte_mbuf* packet, Edges& out) {
    (void)rte_pktmbuf_prepend(packet, sizeof(EthernetHeader));  // where it still stands
    rte_mbuf* const copy = rte_pktmbuf_copy(packet, worker.pool, 0, UINT32_MAX);
    (void)rte_pktmbuf_adj(packet, sizeof(EthernetHeader));
    if (copy == nullptr) return;
    (void)rte_pktmbuf_adj(copy, sizeof(EthernetHeader));
    stage::meta(copy).trace = 0;
    worker.count(Counter::kRxGenerated);
    punt(copy, out);
}

/// Our address for an answer: of the solicitation's scope, else the link-local one.
std::optional<Ipv6Address> own_address(const Worker& worker, std::uint16_t port,
                                       const Ipv6Address& destination) {
    const table::LocalAddresses& local = worker.tables->local_addresses;
    const auto source = local.source_for(port, destination);
    return source ? source : local.source_for(port, Ipv6Address{{0xfe, 0x80}});
}

/// The frame that answers `solicitation`; null: no buffer, or no address to speak as.
rte_mbuf* make_answer(Worker& worker, std::uint16_t port, const NeighborMessage& solicitation,
                      const table::Binding& binding, const MacAddress& asker) {
    const bool probe = solicitation.is_probe();
    const Ipv6Address destination = probe ? kAllNodes : solicitation.source;
    auto source = own_address(worker, port, destination);
    if (!source) source = binding.home_agent_address;
    rte_mbuf* const frame = rte_pktmbuf_alloc(worker.pool);
    if (frame == nullptr) return nullptr;
    auto* const ethernet = reinterpret_cast<EthernetHeader*>(
        rte_pktmbuf_append(frame, sizeof(EthernetHeader) + kAdvertisementLength));
    if (ethernet == nullptr) {
        rte_pktmbuf_free(frame);
        return nullptr;
    }
    const MacAddress& own = worker.ports[port].mac;
    ethernet->destination = probe ? ethernet_group_of(kAllNodes) : asker;
    ethernet->source = own;
    ethernet->ether_type = Be16(kEtherTypeIpv6);
    // O=0: RFC 4861 section 7.2.8 demands it of solicited advertisements of a proxy.
    write_neighbor_advertisement(reinterpret_cast<std::uint8_t*>(ethernet + 1),
                                 {.source = *source,
                                  .destination = destination,
                                  .target = solicitation.target,
                                  .link_layer = own,
                                  .router = (binding.flags & channel::kBindingRouter) != 0,
                                  .solicited = !probe,
                                  .override_flag = false});
    stage::init_meta(frame, port).flags = stage::kMetaFrame;
    stage::meta(frame).family = 6;
    return frame;
}

void answer(Worker& worker, rte_mbuf* packet, const PacketMeta& notes,
            const NeighborMessage& solicitation, const table::Binding& binding, Edges& out) {
    const auto* const received =
        reinterpret_cast<const EthernetHeader*>(stage::data(packet) - sizeof(EthernetHeader));
    const MacAddress asker = solicitation.source_link_layer.value_or(received->source);
    rte_mbuf* const frame = make_answer(worker, notes.in_port, solicitation, binding, asker);
    if (frame == nullptr) {
        out.drop(packet, Counter::kNoBuffer);
        return;
    }
    worker.count(Counter::kRxGenerated);
    worker.count(Counter::kNdProxy);
    out.to(NdProxyEdge::kTx, frame);
    if (solicitation.is_probe()) {
        punt(packet, out);
    } else {
        out.absorb(packet);
    }
}

/// The kernel of this host asks: its packets to bound addresses are tunnelled like everyone's, so
/// it gets the answer that every neighbor gets. All else that it asks goes out as it made it.
void handle_of_kernel(Worker& worker, rte_mbuf* packet, PacketMeta& notes, Edges& out) {
    const auto message = read_neighbor_message(bytes_of(packet), notes.upper_offset);
    const table::Binding* const binding =
        message ? binding_of(worker, notes.in_port, message->target) : nullptr;
    if (binding == nullptr || binding->tentative() || message->is_probe() ||
        (binding->flags & channel::kBindingProxyNd) == 0) {
        (void)rte_pktmbuf_prepend(packet, sizeof(EthernetHeader));  // where it still stands
        notes.flags |= stage::kMetaFrame;
        out.to(NdProxyEdge::kTx, packet);
        return;
    }
    rte_mbuf* const frame =
        make_answer(worker, notes.in_port, *message, *binding, worker.ports[notes.in_port].mac);
    if (frame == nullptr) {
        out.drop(packet, Counter::kNoBuffer);
        return;
    }
    stage::meta(frame).family = 0;  // a frame all the way
    worker.count(Counter::kRxGenerated);
    worker.count(Counter::kNdProxy);
    out.to(NdProxyEdge::kToKernel, frame);
    out.absorb(packet);
}

void handle(Worker& worker, rte_mbuf* packet, const PacketMeta& notes, Edges& out) {
    const auto message = has(notes, stage::kMetaL2Intact) && notes.family == 6
                             ? read_neighbor_message(bytes_of(packet), notes.upper_offset)
                             : std::nullopt;
    const table::Binding* const binding =
        message ? binding_of(worker, notes.in_port, message->target) : nullptr;
    if (binding != nullptr && message->type == kNeighborAdvertisement) {
        punt_copy(worker, packet, out);
    } else if (binding != nullptr && binding->tentative()) {
        punt(packet, out);
        return;
    } else if (binding != nullptr && (binding->flags & channel::kBindingProxyNd) != 0) {
        answer(worker, packet, notes, *message, *binding, out);
        return;
    }
    out.to(NdProxyEdge::kToKernel, packet);
}

void handle_arp(Worker& worker, rte_mbuf* packet, Edges& out) {
    rte_mbuf* reply = nullptr;
    switch (answer_arp(worker, packet, reply)) {
        case ArpProxyResult::kNotOurs:
            out.to(NdProxyEdge::kToKernel, packet);
            return;
        case ArpProxyResult::kNoBuffer:
            out.drop(packet, Counter::kNoBuffer);
            return;
        case ArpProxyResult::kAnswered:
            break;
    }
    worker.count(Counter::kRxGenerated);
    worker.count(Counter::kArpProxy);
    out.to(NdProxyEdge::kTx, reply);
    out.absorb(packet);
}

void nd_proxy(Worker& worker, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        PacketMeta& notes = stage::meta(packet);
        if (notes.family == 0) {
            handle_arp(worker, packet, out);
        } else if (has(notes, stage::kMetaOriginated)) {
            handle_of_kernel(worker, packet, notes, out);
        } else {
            handle(worker, packet, notes, out);
        }
    }
}

}  // namespace

const stage::StageDescription kNdProxyStage{
    .id = StageId::kNdProxy,
    .name = "nd-proxy",
    .function = nd_proxy,
    .edges = {{{"to-kernel", StageId::kToKernel},
               {"to-control", StageId::kToControl},
               {"tx", StageId::kTx}}},
    .edge_count = 3,
};

}  // namespace homeport::forward

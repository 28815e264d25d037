// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/mip4_broadcasts_for_stages.hpp"

#include "dataplane/base/hop_limit.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"
#include "dataplane/tunnel/mip4_headers_for_stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using stage::PacketMeta;
using stage::Worker;

/// RFC 5944 section 4.3: without flag D it is a unicast packet to the home address that the foreign
/// agent delivers, and the node opens itself. False: there is no room.
bool nest(Worker& worker, rte_mbuf* packet, const table::Binding& binding) {
    const std::uint8_t* const inner = stage::data(packet);
    const std::uint16_t length = stage::length(packet);
    if (rte_pktmbuf_headroom(packet) <
        kIpv4TunnelOverhead + table::overhead_of(binding.encapsulation)) {
        return false;
    }
    const bool dont_fragment = reinterpret_cast<const Ipv4Header*>(inner)->dont_fragment();
    const Ipv4Fields fields{
        .tos = inner[1],
        .ttl = worker.parameters->tunnel_hop_limit,
        .protocol = number(IpProtocol::kIpv4),
        .dont_fragment = dont_fragment,
        .identification = dont_fragment ? std::uint16_t{0} : next_identification(worker),
        .total_length = static_cast<std::uint16_t>(length + kIpv4TunnelOverhead)};
    auto* const outer =
        reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(packet, kIpv4TunnelOverhead));
    write_ipv4_header(outer, table::v4_of(binding.home_agent_address),
                      table::v4_of(binding.home_address), fields);
    return true;
}

}  // namespace

bool wants_broadcast(const table::Tables& tables, std::uint16_t port) {
    for (const table::BroadcastNodes::Node& node : tables.broadcast_nodes.all()) {
        if (node.port == port) return true;
    }
    return false;
}

rte_mbuf* broadcast_copy(Worker& worker, rte_mbuf* broadcast,
                         const table::BroadcastNodes::Node& node) {
    const std::uint32_t slot = worker.tables->bindings.find(node.home_address);
    if (slot == table::kNoSlot) return nullptr;  // it has just gone
    const table::Binding& binding = worker.tables->bindings.at(slot);
    rte_mbuf* const copy = copy_of(worker, broadcast);
    if (copy == nullptr) return nullptr;
    PacketMeta& notes = stage::meta(copy);
    decrement_hop_limit(stage::data(copy), 4);
    const bool nested = (binding.flags & channel::kBindingCoLocated) == 0;
    if (nested && !nest(worker, copy, binding)) {
        worker.count(Counter::kNoBuffer);
        rte_pktmbuf_free(copy);
        return nullptr;
    }
    if (nested) notes.protocol = number(IpProtocol::kIpv4);
    if (nested) notes.upper_offset = sizeof(Ipv4Header);
    notes.flags = 0;
    notes.binding = slot;
    worker.count(Counter::kMip4Broadcasts);
    return copy;
}

}  // namespace homeport::tunnel

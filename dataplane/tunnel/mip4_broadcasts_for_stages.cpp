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

bool is_for_home_link(const table::Tables& tables, const table::Binding& binding,
                      const Ipv4Address& destination) {
    if (binding.home_port == table::kNoHomePort) return false;
    if (destination.is_broadcast()) return true;
    constexpr std::uint32_t kOfOneLink = 0xe00000;  // 224.0.0.0/24 (RFC 5771)
    if (destination.is_multicast()) return destination.host() >> 8 != kOfOneLink;
    for (const table::HomePrefix& home : tables.home_prefixes.on_port(binding.home_port)) {
        if (!home.prefix.is_v4_mapped() || home.length < 96 || home.length >= 127) continue;
        const std::uint32_t host_bits = home.length == 96 ? ~0u : (1u << (128 - home.length)) - 1;
        if ((table::v4_of(home.prefix).host() | host_bits) == destination.host()) return true;
    }
    return false;
}

bool make_home_link_frame(const Worker& worker, rte_mbuf* packet, const table::Binding& binding) {
    constexpr std::uint32_t kGroupBits = 0x7fffff;  // RFC 1112 section 6.4
    const Ipv4Address destination =
        reinterpret_cast<const Ipv4Header*>(stage::data(packet))->destination;
    if (rte_pktmbuf_headroom(packet) < sizeof(EthernetHeader)) return false;
    decrement_hop_limit(stage::data(packet), 4);
    auto* const ethernet =
        reinterpret_cast<EthernetHeader*>(rte_pktmbuf_prepend(packet, sizeof(EthernetHeader)));
    ethernet->destination = MacAddress{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    if (destination.is_multicast()) {
        ethernet->destination = MacAddress{{0x01, 0x00, 0x5e}};
        const std::uint32_t group = destination.host() & kGroupBits;
        ethernet->destination.bytes[3] = static_cast<std::uint8_t>(group >> 16);
        ethernet->destination.bytes[4] = static_cast<std::uint8_t>(group >> 8);
        ethernet->destination.bytes[5] = static_cast<std::uint8_t>(group);
    }
    ethernet->source = worker.ports[binding.home_port].mac;
    ethernet->ether_type = Be16(kEtherTypeIpv4);
    PacketMeta& notes = stage::meta(packet);
    notes.flags = stage::kMetaFrame;
    notes.in_port = binding.home_port;
    return true;
}

}  // namespace homeport::tunnel

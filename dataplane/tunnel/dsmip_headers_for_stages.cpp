// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/dsmip_headers_for_stages.hpp"

#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/family_change.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using channel::Encapsulation;
using stage::PacketMeta;
using stage::Worker;

/// Makes room for `octets` before the packet; null: there is none.
std::uint8_t* grow(rte_mbuf* packet, std::uint16_t octets) {
    if (stage::length(packet) + std::uint32_t{octets} > 0xffff) return nullptr;
    return reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(packet, octets));
}

/// IPv4 alone, or with UDP, before an IP packet.
OuterDone put_ipv4(Worker& worker, rte_mbuf* packet, const table::Binding& binding, bool in_udp) {
    const std::uint8_t* const inner = stage::data(packet);
    const std::uint16_t length = stage::length(packet);
    const std::uint16_t overhead = in_udp ? kUdpIpv4TunnelOverhead : kIpv4TunnelOverhead;
    const bool pipe = (binding.flags & channel::kBindingDscpPipe) != 0;
    const bool dont_fragment = outer_dont_fragment(inner, length, binding.path_mtu, overhead);
    const IpProtocol plain = inner[0] >> 4 == 6 ? IpProtocol::kIpv6 : IpProtocol::kIpv4;
    const Ipv4Fields fields{
        .tos = outer_traffic_class(traffic_class_of(inner), pipe ? Dscp::kPipe : Dscp::kUniform),
        .ttl = worker.parameters->tunnel_hop_limit,
        .protocol = number(in_udp ? IpProtocol::kUdp : plain),
        .dont_fragment = dont_fragment,
        .identification = dont_fragment ? std::uint16_t{0} : next_identification(worker),
        .total_length = static_cast<std::uint16_t>(length + overhead)};
    std::uint8_t* const outer = grow(packet, overhead);
    if (outer == nullptr) return {Counter::kNoBuffer};
    if (in_udp) {
        write_udp_header(outer + sizeof(Ipv4Header), kDsmipPort, binding.udp_port,
                         static_cast<std::uint16_t>(length + sizeof(UdpHeader)));
    }
    write_ipv4_header(outer, table::v4_of(binding.home_agent_address),
                      table::v4_of(binding.care_of_address), fields);
    PacketMeta& notes = stage::meta(packet);
    notes.family = 4;
    notes.protocol = fields.protocol;
    notes.upper_offset = sizeof(Ipv4Header);
    return {};
}

/// P15.
OuterDone put_udp_ipv6(Worker& worker, rte_mbuf* packet, const table::Binding& binding) {
    const bool pipe = (binding.flags & channel::kBindingDscpPipe) != 0;
    const Ipv6Tunnel tunnel{binding.home_agent_address, binding.care_of_address,
                            worker.parameters->tunnel_hop_limit,
                            pipe ? Dscp::kPipe : Dscp::kUniform};
    ipsec::Packet view = view_of(packet);
    // It covers all of the packet: left to the port that it leaves by, or to its stage.
    if (encapsulate_in_udp_ipv6(view, tunnel, {kDsmipPort, binding.udp_port, true},
                                UdpChecksum::kPseudoHeader) != EncapsulateError::kNone) {
        return {Counter::kNoBuffer};
    }
    apply(view, packet);
    packet->l3_len = sizeof(Ipv6Header);
    packet->ol_flags |= RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM;
    PacketMeta& notes = stage::meta(packet);
    notes.family = 6;
    notes.protocol = number(IpProtocol::kUdp);
    notes.upper_offset = sizeof(Ipv6Header);
    return {};
}

}  // namespace

OuterDone put_dsmip_headers(Worker& worker, rte_mbuf* packet, const table::Binding& binding) {
    switch (current_form(*worker.tables, stage::meta(packet).binding, binding)) {
        case Encapsulation::kIpv4:
            return put_ipv4(worker, packet, binding, false);
        case Encapsulation::kUdpIpv4:
            return put_ipv4(worker, packet, binding, true);
        case Encapsulation::kUdpIpv6:
            return put_udp_ipv6(worker, packet, binding);
        case Encapsulation::kIpv6:
        case Encapsulation::kGre:  // these have stages of their own
        case Encapsulation::kMinimal:
        case Encapsulation::kMipUdp:
        case Encapsulation::kMipUdpGre:
        case Encapsulation::kMipUdpMinimal:
            break;
    }
    return {Counter::kTunOutNoBinding};
}

OuterDone put_sealed_dsmip_headers(Worker& worker, rte_mbuf* packet,
                                   const table::Binding& binding) {
    if ((binding.flags & channel::kBindingNestedEsp) != 0) {
        return put_ipv4(worker, packet, binding, true);
    }
    const SealedWay way = sealed_way(*worker.tables, stage::meta(packet).binding, binding);
    if (!way.known) {
        // Until the node shows its port on UDP 4500: where its binding update came from (S1.19). A
        // packet that was sealed is not lost, and the sequence of its SA has no gap (S1.14).
        const OuterDone nested = put_ipv4(worker, packet, binding, true);
        return nested.drop ? OuterDone{Counter::kDsmipOutNo4500Mapping} : nested;
    }
    ipsec::Packet view = view_of(packet);
    if (!replace_ipv6_by_ipv4(view, way.outer, next_identification(worker), binding.path_mtu)) {
        return {Counter::kTunOutFragFail};
    }
    apply(view, packet);
    PacketMeta& notes = stage::meta(packet);
    notes.family = 4;
    notes.protocol = number(way.outer.in_udp() ? IpProtocol::kUdp : IpProtocol::kEsp);
    notes.upper_offset = sizeof(Ipv4Header);
    return {std::nullopt, way.to_care_of_address};
}

int sealed_overhead(const table::Tables& tables, std::uint32_t slot,
                    const table::Binding& binding) {
    if (binding.encapsulation == Encapsulation::kIpv6 ||
        binding.encapsulation == Encapsulation::kUdpIpv6) {
        return 0;
    }
    if ((binding.flags & channel::kBindingNestedEsp) != 0) return kUdpIpv4TunnelOverhead;
    const bool mapped = tables.return_paths.esp_mapping(slot, binding).has_value();
    const int outer = seals_in_udp(binding, mapped) ? kUdpIpv4TunnelOverhead : kIpv4TunnelOverhead;
    return outer - static_cast<int>(kIpv6TunnelOverhead);
}

}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/mip4_headers_for_stages.hpp"

#include <algorithm>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"
#include "dataplane/tunnel/mip4_tunnel.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using channel::Encapsulation;
using stage::PacketMeta;
using stage::Worker;

const Ipv4Header& ipv4_of(rte_mbuf* packet) {
    return *reinterpret_cast<const Ipv4Header*>(stage::data(packet));
}

/// RFC 2004 section 3: what is a fragment already goes as IP in IP.
Encapsulation form_of(Worker& worker, rte_mbuf* packet, Encapsulation encapsulation) {
    const bool minimal =
        encapsulation == Encapsulation::kMinimal || encapsulation == Encapsulation::kMipUdpMinimal;
    if (!minimal || !ipv4_of(packet).is_fragment()) [[likely]]
        return encapsulation;
    worker.count(Counter::kMinimalFallback);
    return encapsulation == Encapsulation::kMinimal ? Encapsulation::kIpv4 : Encapsulation::kMipUdp;
}

/// Octets between the outer IPv4 header and the inner packet.
constexpr std::uint16_t between(Encapsulation form) {
    return static_cast<std::uint16_t>(table::overhead_of(form) - kIpv4TunnelOverhead);
}

constexpr IpProtocol outer_protocol(Encapsulation form) {
    switch (form) {
        case Encapsulation::kGre:
            return IpProtocol::kGre;
        case Encapsulation::kMipUdp:
        case Encapsulation::kMipUdpGre:
            return IpProtocol::kUdp;
        default:
            return IpProtocol::kIpv4;
    }
}

/// All of them but the minimal ones: a new IPv4 header, and what stands behind it.
bool put_new_header(Worker& worker, rte_mbuf* packet, const table::Binding& binding,
                    Encapsulation form) {
    const std::uint8_t* const inner = stage::data(packet);
    const std::uint16_t length = stage::length(packet);
    const std::uint16_t overhead = table::overhead_of(form);
    if (length + std::uint32_t{overhead} > 0xffff || rte_pktmbuf_headroom(packet) < overhead) {
        return false;
    }
    const bool pipe = (binding.flags & channel::kBindingDscpPipe) != 0;
    const bool dont_fragment = outer_dont_fragment(inner, length, binding.path_mtu, overhead);
    const Ipv4Fields fields{
        .tos = outer_traffic_class(inner[1], pipe ? Dscp::kPipe : Dscp::kUniform),
        .ttl = worker.parameters->tunnel_hop_limit,
        .protocol = number(outer_protocol(form)),
        .dont_fragment = dont_fragment,
        .identification = dont_fragment ? std::uint16_t{0} : next_identification(worker),
        .total_length = static_cast<std::uint16_t>(length + overhead)};
    auto* const outer = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(packet, overhead));
    std::uint8_t* at = outer + kIpv4TunnelOverhead;
    if (goes_by_mip_udp(form)) {
        write_udp_header(at, kMip4Port, binding.udp_port,
                         static_cast<std::uint16_t>(length + between(form)));
        at += sizeof(UdpHeader);
        write_tunnel_data(at, form == Encapsulation::kMipUdpGre ? Mip4Encapsulation::kGre
                                                                : Mip4Encapsulation::kIpInIp);
        at += TunnelData::kLength;
    }
    if (form == Encapsulation::kGre || form == Encapsulation::kMipUdpGre) write_gre(at);
    write_ipv4_header(outer, table::v4_of(binding.home_agent_address),
                      table::v4_of(binding.care_of_address), fields);
    return true;
}

/// The packet's own header becomes that of the tunnel.
bool edit_header(rte_mbuf* packet, const table::Binding& binding, bool in_udp) {
    const Ipv4Address source = table::v4_of(binding.home_agent_address);
    const Ipv4Address destination = table::v4_of(binding.care_of_address);
    ipsec::Packet view = view_of(packet);
    const auto error =
        in_udp ? encapsulate_in_mip_udp(view, {source, destination}, {kMip4Port, binding.udp_port},
                                        Mip4Encapsulation::kMinimal, 0)
               : encapsulate_minimally(view, source, destination);
    if (error != Mip4TunnelError::kNone) return false;
    apply(view, packet);
    return true;
}

}  // namespace

bool has_to_be_cut_first(rte_mbuf* packet, const table::Binding& binding) {
    const Encapsulation form = binding.encapsulation;
    if (form != Encapsulation::kMipUdp && form != Encapsulation::kMipUdpGre) return false;
    return stage::length(packet) > binding.tunnel_mtu() && !ipv4_of(packet).dont_fragment();
}

std::uint16_t least_tunnel_mtu(const table::Tables& tables, const table::Binding& first) {
    std::uint16_t mtu = first.tunnel_mtu();
    for_each_copy(tables, first, [&mtu](std::uint32_t, const table::Binding& binding) {
        mtu = std::min(mtu, binding.tunnel_mtu());
    });
    return mtu;
}

OuterDone put_mip4_headers(Worker& worker, rte_mbuf* packet, const table::Binding& binding) {
    if ((binding.flags & channel::kBindingHalfBound) != 0) [[unlikely]] {
        return {Counter::kMip4UdpHalfBound};
    }
    const Encapsulation form = form_of(worker, packet, binding.encapsulation);
    const bool minimal = form == Encapsulation::kMinimal || form == Encapsulation::kMipUdpMinimal;
    const bool done = minimal ? edit_header(packet, binding, form == Encapsulation::kMipUdpMinimal)
                              : put_new_header(worker, packet, binding, form);
    if (!done) return {Counter::kNoBuffer};
    PacketMeta& notes = stage::meta(packet);
    notes.family = 4;
    notes.protocol = ipv4_of(packet).protocol;
    notes.upper_offset = ipv4_of(packet).header_length();
    return {};
}

}  // namespace homeport::tunnel

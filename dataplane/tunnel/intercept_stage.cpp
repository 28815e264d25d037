// SPDX-License-Identifier: BSD-3-Clause
// Packets to bound addresses, before IPsec: what a router and a tunnel entry point check (P1, P14).
#include <algorithm>

#include "dataplane/base/hop_limit.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/dsmip_headers_for_stages.hpp"
#include "dataplane/tunnel/encapsulate.hpp"
#include "dataplane/tunnel/mip4_headers_for_stages.hpp"
#include "dataplane/tunnel/overhead.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::IcmpErrorKind;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class InterceptEdge : std::uint8_t { kIpsecOut, kIcmpError };

/// Why a packet is not tunnelled; kNone with a drop counter: silently.
struct Refusal {
    bool refused = false;
    IcmpErrorKind kind = IcmpErrorKind::kNone;
    Counter drop = Counter::kTunOutLoop;
    std::uint32_t parameter = 0;
};

Refusal refuse(IcmpErrorKind kind, Counter drop, std::uint32_t parameter = 0) {
    return {true, kind, drop, parameter};
}

/// RFC 2473 section 4.1.1: how deep tunnels may nest is up to the packet's own source.
Refusal check_encapsulation_limit(rte_mbuf* packet) {
    const auto limit = encapsulation_limit_of(bytes_of(packet));
    if (!limit || limit->limit != 0) return {};
    return refuse(IcmpErrorKind::kParameterProblem, Counter::kTunOutLoop, limit->offset);
}

/// Where payload is sealed, its SA knows what fits (S1.22).
bool is_sealed(const table::Binding& binding) {
    return (binding.flags & channel::kBindingProtected) != 0;
}

Refusal check_ipv6(const table::Tables& tables, rte_mbuf* packet, const PacketMeta& notes,
                   const table::Binding& binding) {
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(stage::data(packet));
    if (ip.source.is_link_local() || ip.destination.is_link_local()) [[unlikely]] {
        return refuse(IcmpErrorKind::kAddressUnreachable, Counter::kMip6OutLinkLocal);
    }
    const bool originated = (notes.flags & stage::kMetaOriginated) != 0;
    if (!originated) {
        // RFC 2473 section 4.1.2, RFC 2003 section 3.2
        if (table::same_address(ip.source, binding.home_agent_address) ||
            table::same_address(ip.source, binding.care_of_address)) [[unlikely]] {
            return refuse(IcmpErrorKind::kNone, Counter::kTunOutLoop);
        }
        if (ip.hop_limit <= 1) [[unlikely]] {
            return refuse(IcmpErrorKind::kTimeExceeded, Counter::kTunOutTtl);
        }
    }
    const std::uint16_t mtu = tunnel_mtu_now(tables, notes.binding, binding);
    if (stage::length(packet) > mtu && stage::length(packet) > kIpv6MinimumMtu &&
        !is_sealed(binding)) [[unlikely]] {
        return refuse(IcmpErrorKind::kPacketTooBig, Counter::kTunOutPtb, packet_too_big_mtu(mtu));
    }
    if (ip.next_header == number(IpProtocol::kDestinationOptions)) [[unlikely]] {
        return check_encapsulation_limit(packet);
    }
    return {};
}

/// RFC 2003 section 3.2, RFC 5944 section 4.2.3: what carries an address of ours as its source, on
/// whatever interface, is on its way round.
bool comes_back(const table::Tables& tables, const table::Binding& binding,
                const Ipv6Address& source) {
    return is_mip4(binding) && tables.local_addresses.find(source) != nullptr;
}

Refusal check_ipv4(const table::Tables& tables, rte_mbuf* packet, const PacketMeta& notes,
                   const table::Binding& binding) {
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(stage::data(packet));
    if (ip.source.is_link_local() || ip.destination.is_link_local()) {
        return refuse(IcmpErrorKind::kAddressUnreachable, Counter::kMip6OutLinkLocal);
    }
    if ((notes.flags & stage::kMetaOriginated) == 0) {
        const Ipv6Address source = table::v4_mapped(ip.source);
        if (source == binding.home_agent_address || source == binding.care_of_address ||
            comes_back(tables, binding, source)) {
            return refuse(IcmpErrorKind::kNone, Counter::kTunOutLoop);
        }
        if (ip.ttl <= 1) return refuse(IcmpErrorKind::kTimeExceeded, Counter::kTunOutTtl);
    }
    const std::uint16_t mtu = is_mip4(binding) ? least_tunnel_mtu(tables, binding)
                                               : tunnel_mtu_now(tables, notes.binding, binding);
    // This host is told nothing; what it made goes in pieces of the tunnel's.
    const bool goes_in_pieces = is_mip4(binding) && (notes.flags & stage::kMetaOriginated) != 0;
    if (stage::length(packet) > mtu && ip.dont_fragment() && !is_sealed(binding) &&
        !goes_in_pieces) {
        return refuse(IcmpErrorKind::kPacketTooBig, Counter::kTunOutPtb, mtu);
    }
    return {};
}

/// RFC 2003 section 5: whether nothing of a node's tunnels is thought to get anywhere.
bool is_broken(const table::Tables& tables, const table::Binding& first) {
    const auto broken = tables.broken_tunnels.all();
    const auto is_end = [&](const table::Binding& binding) {
        const std::uint16_t port =
            table::is_in_udp(binding.encapsulation) ? binding.udp_port : std::uint16_t{0};
        return std::ranges::any_of(broken, [&](const table::BrokenTunnels::End& end) {
            return end.udp_port == port &&
                   table::same_address(end.care_of_address, binding.care_of_address);
        });
    };
    bool all = is_mip4(first) && is_end(first);
    for_each_copy(tables, first, [&](std::uint32_t, const table::Binding& binding) {
        all = all && is_end(binding);
    });
    return all;
}

/// They may get there all the same; their senders hear what routers said, one of them a burst:
/// nobody vouches for what routers said, so it must not make each packet cost a copy.
void tell_senders(Worker& worker, const Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        const PacketMeta& notes = stage::meta(packet);
        if ((notes.flags & stage::kMetaOriginated) != 0 || notes.family != 4 ||
            !is_broken(*worker.tables, worker.tables->bindings.at(notes.binding))) {
            continue;
        }
        rte_mbuf* const copy = copy_of(worker, packet);
        if (copy == nullptr) continue;
        note_icmp_error(copy, IcmpErrorKind::kAddressUnreachable, Counter::kMip4TunnelBroken);
        out.to(InterceptEdge::kIcmpError, copy);
        return;
    }
}

void intercept(Worker& worker, Batch& in, Edges& out) {
    const table::BindingTable& bindings = worker.tables->bindings;
    if (!worker.tables->broken_tunnels.all().empty()) [[unlikely]] {
        tell_senders(worker, in, out);
    }
    unsigned kept = 0;
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        const PacketMeta& notes = stage::meta(packet);
        const table::Binding& binding = bindings.at(notes.binding);
        // Written by tunnel-out, two stages on.
        BindingRows(worker).prefetch(binding);
        const Refusal refusal = notes.family == 6
                                    ? check_ipv6(*worker.tables, packet, notes, binding)
                                    : check_ipv4(*worker.tables, packet, notes, binding);
        if (refusal.refused) [[unlikely]] {
            if (refusal.kind == IcmpErrorKind::kNone) {
                out.drop(packet, refusal.drop);
            } else {
                note_icmp_error(packet, refusal.kind, refusal.drop, refusal.parameter);
                out.to(InterceptEdge::kIcmpError, packet);
            }
            continue;
        }
        if ((notes.flags & stage::kMetaOriginated) == 0)
            decrement_hop_limit(stage::data(packet), notes.family);
        in.packets[kept++] = packet;
    }
    in.count = kept;
    out.to_all(InterceptEdge::kIpsecOut, in);
}

}  // namespace

const stage::StageDescription kInterceptStage{
    .id = StageId::kIntercept,
    .name = "intercept",
    .function = intercept,
    .edges = {{{"ipsec-out", StageId::kIpsecOut}, {"icmp-error", StageId::kIcmpError}}},
    .edge_count = 2,
};

}  // namespace homeport::tunnel

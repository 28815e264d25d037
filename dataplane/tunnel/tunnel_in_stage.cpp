// SPDX-License-Identifier: BSD-3-Clause
// Reverse tunnels: P2, and P14 for IPv4 inside; P9i, P10i and P15 over IPv4 and UDP.

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/tunnel/decapsulate.hpp"
#include "dataplane/tunnel/dsmip_source_for_stages.hpp"
#include "dataplane/tunnel/rewrite.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class TunnelInEdge : std::uint8_t { kExpress };

/// Packets of the batch whose inner source is to be looked up.
struct Lookups {
    unsigned count = 0;
    std::array<rte_mbuf*, stage::kBatchSize> packets;
    std::array<Inner, stage::kBatchSize> inners;
    std::array<const Ipv6Address*, stage::kBatchSize> sources;
    std::array<Ipv6Address, stage::kBatchSize> mapped;
    std::array<std::uint32_t, stage::kBatchSize> slots;
};

/// Inner sources that nobody's tunnel may bring (mipv6.md section 4.2, RFC 6275 section 10.4.5).
bool is_forbidden(const std::uint8_t* inner, std::uint8_t family) {
    if (family == 6) {
        const Ipv6Address& source = reinterpret_cast<const Ipv6Header*>(inner)->source;
        const std::uint8_t first = source.bytes[0];
        if (first != 0 && first < 0xfe) [[likely]]
            return false;
        return !source.is_unicast_routable();
    }
    const Ipv4Address& source = reinterpret_cast<const Ipv4Header*>(inner)->source;
    return !source.is_unicast() || source.is_link_local();
}

/// Looks at the inner header; what can be judged without a binding is.
void collect(rte_mbuf* packet, Lookups& lookups, Edges& out) {
    const PacketMeta& notes = stage::meta(packet);
    const std::uint8_t* const inner = stage::data(packet) + notes.upper_offset;
    const Inner peeked = peek_inner(bytes_of(packet).subspan(notes.upper_offset), notes.protocol);
    if (peeked.family == 0) [[unlikely]] {
        out.drop(packet, Counter::kTunInMalformed);
        return;
    }
    if (is_forbidden(inner, peeked.family)) [[unlikely]] {
        out.drop(packet, Counter::kTunInBadInnerSource);
        return;
    }
    const unsigned i = lookups.count++;
    lookups.packets[i] = packet;
    lookups.inners[i] = peeked;
    if (peeked.family == 6) [[likely]] {
        lookups.sources[i] = &reinterpret_cast<const Ipv6Header*>(inner)->source;
    } else {
        lookups.mapped[i] = table::v4_mapped(reinterpret_cast<const Ipv4Header*>(inner)->source);
        lookups.sources[i] = &lookups.mapped[i];
    }
}

/// RFC 3963 section 6.4: nodes behind a mobile router send from its prefixes, and what is asked of
/// the outer header is asked of its binding.
void find_mobile_networks(const table::Tables& tables, Lookups& lookups) {
    if (tables.mobile_prefixes.empty()) [[likely]]
        return;
    for (unsigned i = 0; i < lookups.count; ++i) {
        if (lookups.slots[i] != table::kNoSlot) continue;
        lookups.slots[i] = tables.mobile_network_of(*lookups.sources[i]);
    }
}

/// A source without binding is a home address that is not bound, or none at all.
Counter without_binding(const Worker& worker, const Ipv6Address& source) {
    return worker.tables->home_prefixes.find(source) != nullptr ? Counter::kMip6RtNoBinding
                                                                : Counter::kMip6RtInnerSource;
}

/// S1.34, S1.35: what the policy protects must not come in the clear. The SPD is asked about return
/// routability, and about everything else where payload is protected.
bool lacks_esp(const Worker& worker, const PacketMeta& notes, std::uint8_t* inner,
               const Inner& peeked, const table::Binding& binding) {
    if ((notes.flags & stage::kMetaDecrypted) != 0) return false;
    if ((binding.flags & channel::kBindingRequireEsp) != 0) return true;
    const bool is_mobility = peeked.family == 6 && inner[offsetof(Ipv6Header, next_header)] ==
                                                       number(IpProtocol::kMobility);
    if ((binding.flags & channel::kBindingProtected) == 0 && !is_mobility) [[likely]]
        return false;
    const ipsec::Packet view{inner, peeked.length, 0, 0};
    return worker.esp->inbound_policy_check(view) == ipsec::Verdict::kInPolicy;
}

/// True: decapsulated.
bool decapsulate_one(const Worker& worker, rte_mbuf* packet, const Inner& inner, std::uint32_t slot,
                     Edges& out) {
    const table::Binding& binding = worker.tables->bindings.at(slot);
    PacketMeta& notes = stage::meta(packet);
    std::uint8_t* const outer = stage::data(packet);
    const bool dsmip = came_by_dsmip(notes);
    if (dsmip) [[unlikely]] {
        if (!outer_is_of(binding, packet, notes)) {
            out.drop(packet, Counter::kDsmipInBadOuter);
            return false;
        }
    } else if (!table::same_address(reinterpret_cast<const Ipv6Header*>(outer)->source,
                                    binding.care_of_address)) [[unlikely]] {
        out.drop(packet, Counter::kMip6RtBadSource);
        return false;
    }
    if (lacks_esp(worker, notes, outer + notes.upper_offset, inner, binding)) [[unlikely]] {
        out.drop(packet, Counter::kMip6RtNeedEsp);
        return false;
    }
    if (!carry_ecn_inwards(outer + notes.upper_offset, traffic_class_of(outer))) [[unlikely]] {
        out.drop(packet, Counter::kTunInEcnDrop);
        return false;
    }
    if (dsmip && (binding.flags & channel::kBindingFollowForm) != 0) {
        worker.tables->return_paths.learn_form(slot, binding, notes.parameter != 0);
    }
    cut_front(packet, notes.upper_offset);
    set_length(packet, inner.length);
    notes.parameter = 0;
    count_in(worker, binding, inner.length);
    stage::meta(packet).flags = stage::kMetaDecapsulated;  // the rest is for parse to say
    return true;
}

void tunnel_in(Worker& worker, Batch& in, Edges& out) {
    Lookups lookups;
    for (unsigned i = 0; i < in.count; ++i) collect(in.packets[i], lookups, out);
    if (lookups.count == 0) return;
    const table::BindingTable& bindings = worker.tables->bindings;
    bindings.find_bulk(lookups.sources.data(), lookups.count, lookups.slots.data());
    find_mobile_networks(*worker.tables, lookups);
    const BindingRows rows(worker);
    for (unsigned i = 0; i < lookups.count; ++i) {
        if (lookups.slots[i] != table::kNoSlot) rows.prefetch(bindings.at(lookups.slots[i]));
    }
    unsigned done = 0;
    for (unsigned i = 0; i < lookups.count; ++i) {
        rte_mbuf* const packet = lookups.packets[i];
        const std::uint32_t slot = lookups.slots[i];
        if (slot == table::kNoSlot || bindings.at(slot).tentative()) [[unlikely]] {
            out.drop(packet, slot != table::kNoSlot ? Counter::kMip6RtNoBinding
                                                    : without_binding(worker, *lookups.sources[i]));
            continue;
        }
        if (decapsulate_one(worker, packet, lookups.inners[i], slot, out)) {
            in.packets[done++] = packet;
        }
    }
    if (done == 0) return;
    worker.count(Counter::kTunInDecapsulated, done);
    in.count = done;
    out.to_all(TunnelInEdge::kExpress, in);
}

}  // namespace

const stage::StageDescription kTunnelInStage{
    .id = StageId::kTunnelIn,
    .name = "tunnel-in",
    .function = tunnel_in,
    .edges = {{{"express", StageId::kExpress}}},
    .edge_count = 1,
};

}  // namespace homeport::tunnel

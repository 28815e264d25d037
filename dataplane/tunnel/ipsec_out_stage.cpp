// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/tunnel/overhead.hpp"
#include "dataplane/tunnel/sealed_notes_for_stages.hpp"
#include "dataplane/tunnel/sealed_sender_for_stages.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"
#include "dataplane/tunnel/vpn_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using ipsec::Verdict;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class IpsecOutEdge : std::uint8_t { kTunnelOut, kIcmpError, kVpnOut, kTx };

/// After kOutElsewhere: sequence numbers of an SA have one writer, its owner.
void hand_to_owner(Worker& worker, rte_mbuf* packet, Edges& out) {
    const auto owner = worker.esp->outbound_owner(view_of(packet));
    if (!owner) {  // the SA went meanwhile
        out.drop(packet, Counter::kIpsecOutNoSa);
        return;
    }
    // A slot found by this worker means nothing to readers of another.
    PacketMeta& notes = stage::meta(packet);
    notes.binding = channel::kNoIndex;
    const bool is_message = notes.protocol == number(IpProtocol::kMobility);
    if (is_message) notes.flags |= stage::kMetaSignalling;
    out.hand_over(packet, *owner, StageId::kIpsecOut);
}

/// S1.37: while a node is at home, entries 4 and 6 are not for it. Packets of others never come
/// here then; of those that this host makes, only the messages that keep their SAs do.
bool is_for_a_node_at_home(const Worker& worker, rte_mbuf* packet) {
    const PacketMeta& notes = stage::meta(packet);
    if ((notes.flags & stage::kMetaOriginated) == 0 || notes.binding != channel::kNoIndex) {
        return false;
    }
    constexpr std::uint8_t kMobilePrefixAdvertisement = 147;
    if (notes.protocol == number(IpProtocol::kMobility)) return false;
    if (notes.protocol == number(IpProtocol::kIcmpv6) &&
        notes.upper_offset < stage::length(packet) &&
        stage::data(packet)[notes.upper_offset] == kMobilePrefixAdvertisement) {
        return false;
    }
    const std::uint8_t* const ip = stage::data(packet);
    const Ipv6Address destination =
        notes.family == 6 ? reinterpret_cast<const Ipv6Header*>(ip)->destination
                          : table::v4_mapped(reinterpret_cast<const Ipv4Header*>(ip)->destination);
    if (worker.tables->home_prefixes.find(destination) == nullptr) return false;
    const std::uint32_t slot = worker.tables->bindings.find(destination);
    if (slot != table::kNoSlot) return worker.tables->bindings.at(slot).tentative();
    return worker.tables->mobile_network_of(destination) == table::kNoSlot;
}

/// Writes anew, from the packet alone, what the stages behind IPsec have to know of it.
bool note_sealed(Worker& worker, rte_mbuf* packet) {
    if (is_bare_esp(bytes_of(packet))) {
        GuessedBinding::forget(stage::meta(packet));
        note_bare_esp(stage::meta(packet));
        return true;
    }
    PacketMeta& notes = stage::reset_meta(packet);
    notes.in_port = channel::kNoPort;
    if (!renew_notes(packet)) return false;
    // A tunnel or transport header of ours takes no hop; what passed by may be ours or not.
    const bool sealed = notes.protocol == number(IpProtocol::kEsp);
    const std::uint8_t* const ip = stage::data(packet);
    const Ipv6Address source =
        notes.family == 6 ? reinterpret_cast<const Ipv6Header*>(ip)->source
                          : table::v4_mapped(reinterpret_cast<const Ipv4Header*>(ip)->source);
    notes.flags = stage::kMetaPolicyChecked;
    if (sealed || is_own(worker, source)) notes.flags |= stage::kMetaOriginated;
    return true;
}

/// The port of a packet of link scope, which belongs to its addresses as their octets do (RFC 4007
/// section 6): without it nobody knows which link is meant. kNoPort for others.
std::uint16_t zone_of(rte_mbuf* packet) {
    const PacketMeta& notes = stage::meta(packet);
    if (notes.family != 6) return channel::kNoPort;
    constexpr std::uint8_t kLinkScope = 2;
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(stage::data(packet));
    const bool of_link =
        ip.destination.is_link_local() ||
        (ip.destination.is_multicast() && ip.destination.multicast_scope() <= kLinkScope);
    return of_link ? notes.in_port : channel::kNoPort;
}

/// What goes on to tunnel-out; null: the packet was dropped.
rte_mbuf* leave_ipsec(Worker& worker, rte_mbuf* packet, Verdict verdict, Edges& out) {
    std::uint16_t zone = channel::kNoPort;
    if (worker.ipsec_copy_mode) {
        if (verdict == Verdict::kOutBypass) zone = zone_of(packet);
        rte_mbuf* const fresh = into_fresh_buffer(worker, packet);
        if (fresh == nullptr) {
            out.drop(packet, Counter::kNoBuffer);
            return nullptr;
        }
        packet = fresh;
    }
    // What IPsec let pass untouched is as it was, and so are its notes.
    if ((verdict == Verdict::kOutProtect || worker.ipsec_copy_mode) &&
        !note_sealed(worker, packet)) {
        out.drop(packet, Counter::kIpsecOutMalformed);
        return nullptr;
    }
    if (zone != channel::kNoPort) stage::meta(packet).in_port = zone;
    return packet;
}

/// RFC 4301 section 8.2.1: tells the sender what fits.
void refuse_too_big(Worker& worker, rte_mbuf* packet, Edges& out) {
    const PacketMeta& notes = stage::meta(packet);
    const std::uint32_t mtu = worker.esp->mtu_for(view_of(packet));
    const std::uint8_t* const ip = stage::data(packet);
    const bool may_fragment =
        notes.family == 4 && !reinterpret_cast<const Ipv4Header*>(ip)->dont_fragment();
    if (mtu == 0 || may_fragment || (notes.flags & stage::kMetaOriginated) != 0) {
        out.drop(packet, Counter::kIpsecOutTooBig);
        return;
    }
    note_icmp_error(packet, stage::IcmpErrorKind::kPacketTooBig, Counter::kIpsecOutTooBig,
                    notes.family == 6 ? packet_too_big_mtu(mtu) : mtu);
    out.to(IpsecOutEdge::kIcmpError, packet);
}

/// Copy mode: the packet in a buffer of its own, for IPsec; null: there was none.
rte_mbuf* in_own_buffer(Worker& worker, rte_mbuf* packet, Edges& out) {
    const PacketMeta notes = stage::meta(packet);
    rte_mbuf* const fresh = into_fresh_buffer(worker, packet);
    if (fresh == nullptr) {
        out.drop(packet, Counter::kNoBuffer);
        return nullptr;
    }
    // For the error about a packet that comes to nothing; leave_ipsec() forgets it.
    stage::meta(fresh) = notes;
    return fresh;
}

/// What is not sealed, or not in the ordinary way. What goes on to tunnel-out; null: it went
/// elsewhere.
rte_mbuf* settle(Worker& worker, rte_mbuf* packet, const ipsec::Packet& view, Verdict verdict,
                 Edges& out) {
    if (!ipsec::passes(verdict)) {
        if (verdict == Verdict::kOutElsewhere) {
            hand_to_owner(worker, packet, out);
        } else if (verdict == Verdict::kOutTooBig) {
            refuse_too_big(worker, packet, out);
        } else {
            out.drop(packet, counter_of(verdict));
        }
        return nullptr;
    }
    if (verdict == Verdict::kOutProtect || view.length != stage::length(packet)) {
        apply(view, packet);
    }
    packet = leave_ipsec(worker, packet, verdict, out);
    if (packet != nullptr && verdict == Verdict::kOutProtect &&
        is_sealed_for_client(worker, packet)) {
        out.to(IpsecOutEdge::kVpnOut, packet);
        return nullptr;
    }
    return packet;
}

/// A batch inside IPsec.
struct Views {
    unsigned count = 0;
    std::array<rte_mbuf*, stage::kBatchSize> packets;
    std::array<ipsec::Packet, stage::kBatchSize> views;
    std::array<ipsec::Packet*, stage::kBatchSize> pointers;  // to `views`
    std::array<Verdict, stage::kBatchSize> verdicts;
};

/// Those that IPsec has to do with; others leave at once.
void enter(Worker& worker, const Batch& in, Edges& out, Views& to) {
    unsigned count = 0;
    for (unsigned i = 0, end = in.count; i < end; ++i) {
        rte_mbuf* packet = in.packets[i];
        if (is_for_a_node_at_home(worker, packet)) [[unlikely]] {
            out.to(IpsecOutEdge::kTunnelOut, packet);
            continue;
        }
        if (worker.ipsec_copy_mode) [[unlikely]] {
            packet = in_own_buffer(worker, packet, out);
            if (packet == nullptr) continue;
        }
        to.packets[count] = packet;
        to.views[count] = view_of(packet);
        to.views[count].flow = stage::meta(packet).binding;
        to.pointers[count] = &to.views[count];
        ++count;
    }
    to.count = count;
}

/// Gives the packets to where they go, those for tunnel-out in `batch`. Nearly all that IPsec seals
/// is bare ESP for bound home addresses, and leaves from here (P3, P13).
void leave(Worker& worker, const Views& from, Edges& out, Batch& batch) {
    const bool in_place = !worker.ipsec_copy_mode;
    const table::BindingTable::Steps bindings(worker.tables->bindings);
    const std::uint32_t mark = GuessedBinding::mark_of(worker.tables->bindings.changes());
    const SignallingSpis::Known known(*worker.signalling_spis,
                                      {worker.ipsec_queries, worker.signalling});
    // They were in the nearest cache before IPsec, which needs all of it.
    for (unsigned i = 0, end = from.count; i < end; ++i) {
        known.prefetch(from.views[i].flow);
        bindings.prefetch(from.views[i].flow);
    }
    SealedSender sender(worker, known, out, IpsecOutEdge::kTx);
    unsigned bypassed = 0;
    unsigned sealed = 0;
    rte_mbuf** kept = batch.packets.data();
    for (unsigned i = 0, end = from.count; i < end; ++i) {
        rte_mbuf* packet = from.packets[i];
        const ipsec::Packet& view = from.views[i];
        const Verdict verdict = from.verdicts[i];
        if (verdict == Verdict::kOutProtect) [[likely]] {
            ++sealed;
            if (in_place && is_bare_esp(view.bytes())) [[likely]] {
                PacketMeta& notes = stage::meta(packet);
                if (sender.take(packet, *reinterpret_cast<Ipv6Header*>(view.data), view.length,
                                GuessedBinding::of(notes, mark))) [[likely]] {
                    continue;
                }
                apply(view, packet);
                note_bare_esp(notes);
                GuessedBinding::forget(notes);
                *kept++ = packet;
                continue;
            }
        } else if (verdict == Verdict::kOutBypass) {
            ++bypassed;
            if (in_place && view.length == stage::length(packet)) {
                *kept++ = packet;
                continue;
            }
        }
        packet = settle(worker, packet, view, verdict, out);
        if (packet != nullptr) *kept++ = packet;
    }
    sender.finish();
    batch.count = static_cast<unsigned>(kept - batch.packets.data());
    if (bypassed != 0) worker.count(Counter::kIpsecOutBypass, bypassed);
    if (sealed != 0) worker.count(Counter::kIpsecOutProtect, sealed);
    out.to_all(IpsecOutEdge::kTunnelOut, batch);
}

void ipsec_out(Worker& worker, Batch& in, Edges& out) {
    Views inside;
    enter(worker, in, out, inside);
    if (inside.count == 0) return;
    worker.esp->outbound(std::span(inside.pointers.data(), inside.count),
                         std::span(inside.verdicts.data(), inside.count));
    if (worker.tables->vpn_clients.worth_fetching()) {
        table::VpnClients::Fetch fetch(worker.tables->vpn_clients);
        for (unsigned i = 0; i < inside.count; ++i) {
            if (inside.verdicts[i] == Verdict::kOutProtect) {
                fetch_sealed(fetch, inside.views[i].data);
            }
        }
    }
    leave(worker, inside, out, in);
}

}  // namespace

const stage::StageDescription kIpsecOutStage{
    .id = StageId::kIpsecOut,
    .name = "ipsec-out",
    .function = ipsec_out,
    .edges = {{{"tunnel-out", StageId::kTunnelOut},
               {"icmp-error", StageId::kIcmpError},
               {"vpn-out", StageId::kVpnOut},
               {"tx", StageId::kTx}}},
    .edge_count = 4,
};

}  // namespace homeport::tunnel

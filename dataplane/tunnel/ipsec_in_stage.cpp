// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/tunnel/reply_to_table.hpp"
#include "dataplane/tunnel/rewrite.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using ipsec::Verdict;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class IpsecInEdge : std::uint8_t { kParse, kToControl };

constexpr std::uint8_t kHomeAgentDiscoveryRequest = 144;

/// Signalling that is not ESP: what the policy lets pass goes to the control plane. IPsec only
/// looks at the packet, so its notes stay.
void check_policy(Worker& worker, rte_mbuf* packet, PacketMeta& notes, Edges& out) {
    const Verdict verdict = worker.esp->inbound_policy_check(view_of(packet));
    if (!ipsec::passes(verdict)) {
        out.drop(packet, counter_of(verdict));
        return;
    }
    worker.count(counter_of(verdict));
    channel::PuntReason reason = channel::PuntReason::kMobilityHeader;
    if (notes.protocol == number(IpProtocol::kIcmpv6)) {
        reason = stage::data(packet)[notes.upper_offset] == kHomeAgentDiscoveryRequest
                     ? channel::PuntReason::kHomeAgentDiscovery
                     : channel::PuntReason::kMobilePrefix;
    }
    notes.reason = static_cast<std::uint8_t>(reason);
    out.to(IpsecInEdge::kToControl, packet);
}

/// A packet without Home Address option while one of the same node with it is inside IPsec: it
/// would take the other's note. True: it waits or is dropped.
bool has_to_wait(Worker& worker, rte_mbuf* packet, const PacketMeta& notes, Edges& out) {
    if (notes.family != 6 || (notes.flags & stage::kMetaHaoUndone) != 0) return false;
    const Ipv6Address source = source_of(bytes_of(packet));
    if (!worker.reply_to->is_busy(source)) [[likely]]
        return false;
    if (worker.reply_to->wait(source, packet)) {
        out.kept(packet, "waits");
    } else {
        out.drop(packet, Counter::kMip6HaoBusy);
    }
    return true;
}

/// Behind IPsec the packet is like one that was just received, but for what the driver notes.
void give_on(Worker& worker, rte_mbuf* packet, Edges& out) {
    if (worker.ipsec_copy_mode) {
        rte_mbuf* const fresh = into_fresh_buffer(worker, packet);
        if (fresh == nullptr) {
            out.drop(packet, Counter::kNoBuffer);
            return;
        }
        packet = fresh;
    }
    PacketMeta& notes = stage::reset_meta(packet);
    notes.in_port = channel::kNoPort;
    notes.flags = stage::kMetaDecrypted;
    out.to(IpsecInEdge::kParse, packet);
}

void ipsec_in(Worker& worker, Batch& in, Edges& out) {
    std::array<rte_mbuf*, stage::kBatchSize> packets;
    std::array<ipsec::Packet, stage::kBatchSize> views;
    std::array<ipsec::Packet*, stage::kBatchSize> pointers;
    std::array<Verdict, stage::kBatchSize> verdicts;
    unsigned count = 0;
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* packet = in.packets[i];
        PacketMeta& notes = stage::meta(packet);
        if (has_to_wait(worker, packet, notes, out)) continue;
        if (notes.protocol != number(IpProtocol::kEsp)) {
            check_policy(worker, packet, notes, out);
            continue;
        }
        if (worker.ipsec_copy_mode) {
            rte_mbuf* const fresh = into_fresh_buffer(worker, packet);
            if (fresh == nullptr) {
                out.drop(packet, Counter::kNoBuffer);
                continue;
            }
            packet = fresh;
        }
        packets[count] = packet;
        views[count] = view_of(packet);
        pointers[count] = &views[count];
        ++count;
    }
    if (count == 0) return;
    worker.esp->inbound(std::span(pointers.data(), count), std::span(verdicts.data(), count));
    unsigned ok = 0;
    for (unsigned i = 0; i < count; ++i) {
        if (verdicts[i] == Verdict::kInOk) [[likely]] {
            ++ok;
            apply(views[i], packets[i]);
            give_on(worker, packets[i], out);
        } else if (verdicts[i] == Verdict::kInDummy) {
            out.absorb(packets[i], counter_of(verdicts[i]));
        } else {
            out.drop(packets[i], counter_of(verdicts[i]));
        }
    }
    if (ok != 0) worker.count(Counter::kIpsecInOk, ok);
}

}  // namespace

const stage::StageDescription kIpsecInStage{
    .id = StageId::kIpsecIn,
    .name = "ipsec-in",
    .function = ipsec_in,
    .edges = {{{"parse", StageId::kParse}, {"to-control", StageId::kToControl}}},
    .edge_count = 2,
};

}  // namespace homeport::tunnel

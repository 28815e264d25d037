// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/home_address_option.hpp"
#include "dataplane/tunnel/reply_to_table.hpp"
#include "dataplane/tunnel/rewrite.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"
#include "dataplane/tunnel/udp_signalling_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class HomeAddressEdge : std::uint8_t { kIpsecIn, kParse, kToControl };

/// RFC 6275 section 9.3.1: these are judged later, by IPsec or by the binding update itself.
bool is_exempt(std::uint8_t protocol) {
    return protocol == number(IpProtocol::kEsp) || protocol == number(IpProtocol::kAh) ||
           protocol == number(IpProtocol::kMobility);
}

/// What may be a binding update.
bool needs_record(std::uint8_t protocol) {
    return protocol == number(IpProtocol::kEsp) || protocol == number(IpProtocol::kMobility);
}

bool is_bound_to(const Worker& worker, const Ipv6Address& home_address,
                 const Ipv6Address& care_of_address) {
    const table::BindingTable& bindings = worker.tables->bindings;
    const std::uint32_t slot = bindings.find(home_address);
    if (slot == table::kNoSlot) return false;
    const table::Binding& binding = bindings.at(slot);
    return !binding.tentative() && binding.care_of_address == care_of_address;
}

/// The control plane answers with a Binding Error that names the addresses of the packet. It gets a
/// copy, because the packet itself is dropped. No buffer: no answer, as if the rate limit said so.
void report_missing_binding(Worker& worker, rte_mbuf* packet, Edges& out) {
    rte_mbuf* const copy = rte_pktmbuf_copy(packet, worker.pool, 0, UINT32_MAX);
    if (copy == nullptr) return;
    worker.count(Counter::kRxGenerated);
    PacketMeta& notes = stage::meta(copy);
    notes.flags &= static_cast<std::uint16_t>(~stage::kMetaL2Intact);
    notes.reason = static_cast<std::uint8_t>(channel::PuntReason::kHaoWithoutBinding);
    out.to(HomeAddressEdge::kToControl, copy);
}

/// S1.66: at most one packet that may be a binding update of this home address is inside IPsec.
/// False: the packet waits for the next run, or is dropped.
bool record_wire_source(Worker& worker, rte_mbuf* packet, const Ipv6Address& home_address,
                        Edges& out) {
    const WireEndpoint source{.address = source_of(bytes_of(packet))};
    const bool bound = worker.tables->bindings.find(home_address) != table::kNoSlot;
    using Result = ReplyToTable::Result;
    const Result result = worker.reply_to->record_source(
        home_address, source, worker.now_tsc,
        bound ? ReplyToTable::Kind::kBound : ReplyToTable::Kind::kPending);
    if (result == Result::kOk) return true;
    if (result == Result::kBusy || !worker.ipsec_keeps_packets) {
        wait_or_drop(worker, packet, home_address, Counter::kMip6HaoBusy, out);
    } else {
        out.drop(packet, Counter::kMip6HaoBusy);
    }
    return false;
}

void undo(Worker& worker, rte_mbuf* packet, PacketMeta& notes, const OptionsReport& report) {
    ipsec::Packet view = view_of(packet);
    const std::uint32_t before = view.length;
    (void)undo_home_address_option(view, report);
    apply(view, packet);
    notes.upper_offset = static_cast<std::uint16_t>(notes.upper_offset - (before - view.length));
    notes.flags |= stage::kMetaHaoUndone;
    notes.flags &= static_cast<std::uint16_t>(~stage::kMetaL2Intact);
    worker.count(Counter::kHaoUndone);
}

void take_packet(Worker& worker, rte_mbuf* packet, Edges& out) {
    PacketMeta& notes = stage::meta(packet);
    if (notes.family == 4) {
        if (open_udp_signalling(worker, packet, out)) out.to(HomeAddressEdge::kIpsecIn, packet);
        return;
    }
    const OptionsReport report = examine_options(bytes_of(packet));
    if (!report.has_home_address) {  // it waited behind one whose source was recorded
        worker.reply_to->note_unrecorded(source_of(bytes_of(packet)), worker.now_tsc);
        out.to(HomeAddressEdge::kIpsecIn, packet);
        return;
    }
    const Ipv6Address home_address =
        Ipv6Address::load(stage::data(packet) + report.option_offset + 2);
    if (is_own(worker, home_address)) {
        out.drop(packet, Counter::kMip6HaoBad);
        return;
    }
    if (!is_exempt(notes.protocol) &&
        !is_bound_to(worker, home_address, source_of(bytes_of(packet)))) {
        report_missing_binding(worker, packet, out);
        out.drop(packet, Counter::kMip6HaoNoBinding);
        return;
    }
    if (needs_record(notes.protocol) && !record_wire_source(worker, packet, home_address, out)) {
        return;
    }
    undo(worker, packet, notes, report);
    if (!needs_record(notes.protocol)) {
        out.to(HomeAddressEdge::kParse, packet);
        return;
    }
    notes.flags |= stage::kMetaSourceSettled;
    out.to(HomeAddressEdge::kIpsecIn, packet);
}

void home_address(Worker& worker, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) take_packet(worker, in.packets[i], out);
}

}  // namespace

const stage::StageDescription kHomeAddressStage{
    .id = StageId::kHomeAddress,
    .name = "home-address",
    .function = home_address,
    .edges = {{{"ipsec-in", StageId::kIpsecIn},
               {"parse", StageId::kParse},
               {"to-control", StageId::kToControl}}},
    .edge_count = 3,
};

}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/udp_signalling_stages.hpp"

#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/tunnel/decapsulate.hpp"
#include "dataplane/tunnel/home_address_option.hpp"
#include "dataplane/tunnel/ipv4_tunnel.hpp"
#include "dataplane/tunnel/nat_detection.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

/// The binding of `home_address` that data may be compared with. Null: there is none.
const table::Binding* binding_of(const Worker& worker, const Ipv6Address& home_address) {
    const table::BindingTable& bindings = worker.tables->bindings;
    const std::uint32_t slot = bindings.find(home_address);
    if (slot == table::kNoSlot || bindings.at(slot).tentative()) return nullptr;
    return &bindings.at(slot);
}

WireEndpoint outer_source(rte_mbuf* packet) {
    const std::uint8_t* const outer = stage::data(packet);
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(outer);
    const auto& udp = *reinterpret_cast<const UdpHeader*>(outer + ip.header_length());
    return {.address = ip.source,
            .udp_port = udp.source_port.host(),
            .local_port = udp.destination_port.host(),
            .local = ip.destination};
}

Ipv6Address mapped_source(const WireEndpoint& source) {
    return table::v4_mapped(std::get<Ipv4Address>(source.address));
}

/// S1.65: compared with the last outer source, not with what the node says of itself; a port that
/// changed alone counts, too.
bool is_from(const table::Binding& binding, const WireEndpoint& source) {
    return binding.care_of_address == mapped_source(source) && binding.udp_port == source.udp_port;
}

/// Sequence numbers of an SA have one writer, and the record has to be made where the packet is
/// opened.
bool hand_to_owner(Worker& worker, rte_mbuf* packet, std::uint16_t inner_offset, Edges& out) {
    if (worker.worker_count <= 1) return false;
    ipsec::Packet inner = view_of(packet);
    inner.data += inner_offset;
    inner.length -= inner_offset;
    const auto owner = worker.esp->inbound_owner(inner);
    if (!owner || *owner == worker.index) return false;
    stage::meta(packet).flags |= stage::kMetaSignalling;
    out.hand_over(packet, *owner, StageId::kHomeAddress);
    return true;
}

/// False: the packet waits for an earlier one of its home address, or is dropped.
bool record(Worker& worker, rte_mbuf* packet, const Ipv6Address& home_address,
            const table::Binding* binding, Edges& out) {
    using Result = ReplyToTable::Result;
    const auto kind =
        binding == nullptr ? ReplyToTable::Kind::kPending : ReplyToTable::Kind::kBound;
    const Result result =
        worker.reply_to->record_source(home_address, outer_source(packet), worker.now_tsc, kind);
    if (result == Result::kOk) return true;
    // At the end of the run there is room again, unless IPsec keeps packets.
    const Counter full =
        result == Result::kBusy ? Counter::kDsmipInNatLockFull : Counter::kDsmipInNatPendingFull;
    if (result == Result::kBusy || !worker.ipsec_keeps_packets) {
        wait_or_drop(worker, packet, home_address, full, out);
    } else {
        out.drop(packet, full);
    }
    return false;
}

/// For a packet from where the binding is. One that follows it from elsewhere must not be recorded
/// before this one is through IPsec (S1.67), and the other way round. False: it waits for an
/// earlier one of its home address, or is dropped.
bool go_unrecorded(Worker& worker, rte_mbuf* packet, const Ipv6Address& home_address, Edges& out) {
    if (!worker.reply_to->is_busy(home_address, worker.now_tsc)) {
        worker.reply_to->note_unrecorded(home_address, worker.now_tsc);
        return true;
    }
    wait_or_drop(worker, packet, home_address, Counter::kMip6HaoBusy, out);
    return false;
}

/// Does what `judgement` says. False: the packet was given away.
bool settle_source(Worker& worker, rte_mbuf* packet, const SourceJudgement& judgement,
                   std::uint16_t& flags, Edges& out) {
    if (judgement.rule == SourceRule::kNone) {
        flags |= stage::kMetaSourceSettled;
        return true;
    }
    const table::Binding* const binding = binding_of(worker, judgement.home_address);
    const bool from_there = binding != nullptr && is_from(*binding, outer_source(packet));
    switch (judgement.rule) {
        case SourceRule::kRecordIfElsewhere:
            if (!from_there) break;
            return go_unrecorded(worker, packet, judgement.home_address, out);
        case SourceRule::kRequireBinding:
            flags |= stage::kMetaSourceSettled;
            if (from_there) return true;
            out.drop(packet, Counter::kDsmipInBadOuter);
            return false;
        case SourceRule::kRecord:
        case SourceRule::kNone:
            break;
    }
    flags |= stage::kMetaSourceSettled;
    return record(worker, packet, judgement.home_address, binding, out);
}

/// S1.62, S1.65: only technique A asks IPsec.
SourceJudgement judge(const Worker& worker, const UdpSignalling& inside, std::uint32_t spi) {
    const bool heuristic = worker.parameters->technique == channel::Technique::kHeuristic;
    return judge_source(inside, spi, heuristic ? nullptr : worker.ipsec_queries);
}

/// What no packet of a mobile node says of itself.
bool is_bad_source(const Worker& worker, const Ipv6Address& source) {
    return !source.is_unicast_routable() || is_own(worker, source);
}

/// Of the packet inside, which becomes the packet. False: it was dropped.
bool make_normal_form(Worker& worker, rte_mbuf* packet, std::uint16_t inner_offset,
                      const UdpSignalling& inside, std::uint16_t flags, Edges& out) {
    std::uint8_t* const outer = stage::data(packet);
    if (!carry_ecn_inwards(outer + inner_offset, traffic_class_of(outer))) {
        out.drop(packet, Counter::kTunInEcnDrop);
        return false;
    }
    cut_front(packet, inner_offset);
    set_length(packet, inside.length);
    std::uint16_t upper_offset = inside.upper_offset;
    if (inside.options.has_home_address) {
        ipsec::Packet view = view_of(packet);
        (void)undo_home_address_option(view, inside.options);
        upper_offset = static_cast<std::uint16_t>(upper_offset - (inside.length - view.length));
        apply(view, packet);
        flags |= stage::kMetaHaoUndone;
        worker.count(Counter::kHaoUndone);
    }
    PacketMeta& notes = stage::reset_meta(packet);
    notes.family = 6;
    notes.protocol = inside.protocol;
    notes.upper_offset = upper_offset;
    notes.flags = flags;
    return true;
}

}  // namespace

bool takes_signalling_path(const Worker& worker, ConstByteSpan inner) {
    const auto inside = read_udp_signalling(inner);
    if (!inside) return false;
    const table::LocalAddress* const local =
        worker.tables->local_addresses.find(inside->destination);
    return local != nullptr && local->is_home_agent_address != 0;
}

bool open_udp_signalling(Worker& worker, rte_mbuf* packet, Edges& out) {
    const auto inner_offset = static_cast<std::uint16_t>(stage::meta(packet).parameter);
    const ConstByteSpan inner = bytes_of(packet).subspan(inner_offset);
    const auto inside = read_udp_signalling(inner);
    if (!inside || inside->options.action == OptionsReport::Action::kMalformed) {
        out.drop(packet, Counter::kParseHeader);
        return false;
    }
    if (inside->options.action == OptionsReport::Action::kBadHomeAddress ||
        is_bad_source(worker, inside->source)) {
        out.drop(packet, inside->options.action == OptionsReport::Action::kAccept &&
                                 !inside->options.has_home_address
                             ? Counter::kTunInBadInnerSource
                             : Counter::kMip6HaoBad);
        return false;
    }
    if (inside->options.action != OptionsReport::Action::kAccept) {
        out.drop(packet, Counter::kParseHeader);
        return false;
    }
    if (inside->protocol == number(IpProtocol::kEsp) &&
        hand_to_owner(worker, packet, inner_offset, out)) {
        return false;
    }
    std::uint32_t spi = 0;
    if (inside->protocol == number(IpProtocol::kEsp) &&
        inside->length >= inside->upper_offset + sizeof spi) {
        spi = load_be32(inner.data() + inside->upper_offset);
        if (refuse_payload_from_elsewhere(worker, packet, spi, mapped_source(outer_source(packet)),
                                          out)) {
            return false;
        }
    }
    std::uint16_t flags = stage::kMetaOuterChecked;
    return settle_source(worker, packet, judge(worker, *inside, spi), flags, out) &&
           make_normal_form(worker, packet, inner_offset, *inside, flags, out);
}

bool put_reply_headers(Worker& worker, rte_mbuf* packet, const WireEndpoint& reply) {
    ipsec::Packet view = view_of(packet);
    if (view.headroom < kUdpIpv4TunnelOverhead) return false;
    const std::uint8_t traffic_class = traffic_class_of(view.data);
    const auto& to = std::get<Ipv4Address>(reply.address);
    view.prepend(sizeof(UdpHeader));
    write_udp_header(view.data, reply.local_port, reply.udp_port,
                     static_cast<std::uint16_t>(view.length));
    put_udp_checksum(view.data, reply.local, to);
    view.prepend(kIpv4TunnelOverhead);
    // An answer is short and has to arrive, however narrow the path is.
    write_ipv4_header(view.data, reply.local, to,
                      {.tos = traffic_class,
                       .ttl = worker.parameters->tunnel_hop_limit,
                       .protocol = number(IpProtocol::kUdp),
                       .dont_fragment = false,
                       .identification = next_identification(worker),
                       .total_length = static_cast<std::uint16_t>(view.length)});
    apply(view, packet);
    PacketMeta& notes = stage::meta(packet);
    notes.family = 4;
    notes.protocol = number(IpProtocol::kUdp);
    notes.upper_offset = sizeof(Ipv4Header);
    return true;
}

}  // namespace homeport::tunnel

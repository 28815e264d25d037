// SPDX-License-Identifier: BSD-3-Clause
// Behind IPsec: everything that goes to a home address goes to the care-of address from here on.
// The binding is looked at here and nowhere before, so a packet that was inside IPsec when the
// mobile node moved takes the new way (S1.13).
#include <bit>
#include <span>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/dsmip_headers_for_stages.hpp"
#include "dataplane/tunnel/encapsulate.hpp"
#include "dataplane/tunnel/ipv6_tunnel_for_stages.hpp"
#include "dataplane/tunnel/mip4_headers_for_stages.hpp"
#include "dataplane/tunnel/mip4_tunnel.hpp"
#include "dataplane/tunnel/reply_to_table.hpp"
#include "dataplane/tunnel/rewrite.hpp"
#include "dataplane/tunnel/routing_header.hpp"
#include "dataplane/tunnel/sealed_sender_for_stages.hpp"
#include "dataplane/tunnel/signalling.hpp"
#include "dataplane/tunnel/signalling_spis.hpp"
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

constexpr std::uint16_t kEspHeaderLength = 8;

enum class TunnelOutEdge : std::uint8_t { kTx, kForward, kFragment, kVpnOut };

class TunnelOut {
  public:
    TunnelOut(Worker& worker, Edges& out)
        : worker_(worker),
          tables_(*worker.tables),
          question_(worker.ipsec_queries, worker.signalling),
          hop_limit_(worker.parameters->tunnel_hop_limit),
          out_(out),
          hop_(tables_) {}

    void run(Batch& in);

  private:
    void flush_tx() {
        out_.to_all(TunnelOutEdge::kTx, to_tx_);
        to_tx_.count = 0;
    }
    void find_bindings(const Batch& in);
    void fetch_clients(const Batch& in) const;
    void take(rte_mbuf* packet);
    void take_sealed(Batch& in);
    /// A sealed packet: where its binding is, if anywhere, and its number in the batch.
    struct Sealed {
        std::uint32_t slot;
        std::uint32_t number;
    };
    void fetch_slots(const Batch& in, std::uint64_t asked,
                     std::array<Sealed, stage::kBatchSize>& sealed) const;
    [[nodiscard]] bool send_sealed(rte_mbuf* packet);
    [[nodiscard]] bool is_ours(rte_mbuf* packet, const PacketMeta& notes,
                               const table::Binding* binding) const;
    [[nodiscard]] bool is_signalling(rte_mbuf* packet, const PacketMeta& notes) const;
    void send_signalling(rte_mbuf* packet, PacketMeta& notes, const table::Binding* binding);
    void send_over_udp(rte_mbuf* packet, PacketMeta& notes, const table::Binding* binding,
                       const WireEndpoint& reply);
    void send_in_tunnel(rte_mbuf* packet, PacketMeta& notes, const table::Binding& binding);
    void rewrite(rte_mbuf* packet, PacketMeta& notes, const table::Binding& binding);
    void send_home(rte_mbuf* packet);
    void encapsulate(rte_mbuf* packet, PacketMeta& notes, const table::Binding& binding);
    void send_by_dsmip(rte_mbuf* packet, PacketMeta& notes, const table::Binding& binding,
                       bool sealed);
    void send_by_mip4(rte_mbuf* packet, PacketMeta& notes, const table::Binding& binding);
    void send_to_care_of(rte_mbuf* packet, PacketMeta& notes, const table::Binding& binding);
    [[nodiscard]] bool is_for_vpn(rte_mbuf* packet, const PacketMeta& notes) const;
    void send_past_binding(rte_mbuf* packet, PacketMeta& notes);
    [[nodiscard]] bool goes_on_inside(rte_mbuf* packet, PacketMeta& notes,
                                      const table::Binding& binding);
    [[nodiscard]] bool put_limited_header(rte_mbuf* packet, const table::Binding& binding);
    void send(rte_mbuf* packet, PacketMeta& notes, std::uint32_t adjacency, std::uint16_t mtu);

    Worker& worker_;
    const table::Tables& tables_;
    SignallingSpis::Question question_;
    std::uint8_t hop_limit_;
    Edges& out_;
    unsigned encapsulated_ = 0;
    unsigned rewritten_ = 0;
    std::array<unsigned, 4> by_role_{};  // of Mobile IPv4; Mip4Role
    LastHop hop_;
    Batch to_tx_;
};

/// Packets that were sealed, or made here, have no binding in their notes.
void TunnelOut::find_bindings(const Batch& in) {
    std::array<PacketMeta*, stage::kBatchSize> asking;
    std::array<const Ipv6Address*, stage::kBatchSize> keys;
    std::array<Ipv6Address, stage::kBatchSize> mapped;
    std::array<std::uint32_t, stage::kBatchSize> slots;
    unsigned count = 0;
    for (unsigned i = 0; i < in.count; ++i) {
        PacketMeta& notes = stage::meta(in.packets[i]);
        if (notes.binding != channel::kNoIndex) continue;
        const std::uint8_t* const ip = stage::data(in.packets[i]);
        asking[count] = &notes;
        keys[count] = &reinterpret_cast<const Ipv6Header*>(ip)->destination;
        if (notes.family != 6) [[unlikely]] {
            mapped[count] = table::v4_mapped(reinterpret_cast<const Ipv4Header*>(ip)->destination);
            keys[count] = &mapped[count];
        }
        ++count;
    }
    if (count == 0) return;
    tables_.bindings.find_bulk(keys.data(), count, slots.data());
    for (unsigned i = 0; i < count; ++i) {
        std::uint32_t slot = slots[i];
        if (slot == table::kNoSlot) [[unlikely]] {
            slot = tables_.mobile_network_of(*keys[i]);
            if (slot == table::kNoSlot) continue;
        }
        if (tables_.bindings.at(slot).tentative()) [[unlikely]]
            continue;
        asking[i]->binding = slot;
        worker_.signalling_spis->prefetch(slot);
    }
}

/// S1.12: what this home agent made; the same from a correspondent is payload.
bool TunnelOut::is_ours(rte_mbuf* packet, const PacketMeta& notes,
                        const table::Binding* binding) const {
    if (notes.family != 6) return false;
    const Ipv6Address& source = reinterpret_cast<const Ipv6Header*>(stage::data(packet))->source;
    if (binding != nullptr && table::same_address(source, binding->home_agent_address)) return true;
    return is_own(worker_, source);
}

/// S1.18: ESP is told by its SPI, plain signalling (of a laboratory) by its type.
bool TunnelOut::is_signalling(rte_mbuf* packet, const PacketMeta& notes) const {
    const ConstByteSpan upper = bytes_of(packet).subspan(notes.upper_offset);
    const Ipv6Address home_address = destination_of(bytes_of(packet));
    if (notes.protocol != number(IpProtocol::kEsp)) {
        if (!takes_routing_header(notes.protocol, upper)) return false;
        worker_.signalling_spis->passed_unsealed(home_address, kind_of(notes.protocol));
        return true;
    }
    if (upper.size() < 8) return false;
    const std::uint64_t place =
        notes.binding != channel::kNoIndex ? notes.binding : std::hash<Ipv6Address>{}(home_address);
    return worker_.signalling_spis->is_signalling(home_address, place, load_be32(upper.data()),
                                                  worker_.now_tsc, question_);
}

/// P6, P12, S1.50: to where the request came from, or else to where the mobile node is.
void TunnelOut::send_signalling(rte_mbuf* packet, PacketMeta& notes,
                                const table::Binding* binding) {
    const Ipv6Address home_address = destination_of(bytes_of(packet));
    IpAddress wire_destination = home_address;
    if (const auto reply = worker_.reply_to->take_reply(home_address, worker_.now_tsc)) {
        if (std::holds_alternative<Ipv4Address>(reply->address)) {
            send_over_udp(packet, notes, binding, *reply);
            return;
        }
        wire_destination = reply->address;
    } else if (binding == nullptr) {
        out_.drop(packet, Counter::kMip6NoReplyTo);
        return;
    } else if (binding->care_of_address.is_v4_mapped()) {
        send_in_tunnel(packet, notes, *binding);
        return;
    } else {
        wire_destination = binding->care_of_address;
    }
    const Ipv6Address* const care_of_address = std::get_if<Ipv6Address>(&wire_destination);
    if (care_of_address == nullptr || care_of_address->is_v4_mapped()) {
        out_.drop(packet, Counter::kMip6NoReplyTo);
        return;
    }
    notes.flags |= stage::kMetaEncapsulated | stage::kMetaMayFragmentOuter;
    if (*care_of_address == home_address) {  // at home: no routing header
        out_.to(TunnelOutEdge::kForward, packet);
        return;
    }
    ipsec::Packet view = view_of(packet);
    if (!insert_type2_routing_header(view, *care_of_address)) {
        out_.drop(packet, Counter::kNoBuffer);
        return;
    }
    apply(view, packet);
    notes.upper_offset = static_cast<std::uint16_t>(notes.upper_offset + kType2RoutingHeaderLength);
    worker_.count(Counter::kRh2Inserted);
    if (binding != nullptr && *care_of_address == binding->care_of_address) {
        send(packet, notes, binding->adjacency, binding->path_mtu);
    } else {
        out_.to(TunnelOutEdge::kForward, packet);
    }
}

/// P12: the answer to a request that came in UDP over IPv4, whatever the binding says. One that did
/// not come in UDP has no answer over IPv4 (RFC 5555 section 4.2).
void TunnelOut::send_over_udp(rte_mbuf* packet, PacketMeta& notes, const table::Binding* binding,
                              const WireEndpoint& reply) {
    if (reply.udp_port == 0) {
        out_.drop(packet, Counter::kMip6NoReplyTo);
        return;
    }
    if (!put_reply_headers(worker_, packet, reply)) {
        out_.drop(packet, Counter::kNoBuffer);
        return;
    }
    notes.flags |= stage::kMetaEncapsulated;
    if (binding != nullptr &&
        binding->care_of_address == table::v4_mapped(std::get<Ipv4Address>(reply.address))) {
        send(packet, notes, binding->adjacency, binding->path_mtu);
    } else {
        out_.to(TunnelOutEdge::kForward, packet);
    }
}

/// P7 over IPv4: the way of data. Mobile nodes refuse a Mobile Prefix Advertisement without routing
/// header (RFC 6275 section 11.4.3), so both addresses are the home address.
void TunnelOut::send_in_tunnel(rte_mbuf* packet, PacketMeta& notes, const table::Binding& binding) {
    ipsec::Packet view = view_of(packet);
    if (!insert_type2_routing_header(view, binding.home_address)) {
        out_.drop(packet, Counter::kNoBuffer);
        return;
    }
    apply(view, packet);
    notes.upper_offset = static_cast<std::uint16_t>(notes.upper_offset + kType2RoutingHeaderLength);
    worker_.count(Counter::kRh2Inserted);
    encapsulate(packet, notes, binding);
}

/// P3, S1.12: octets 24 to 39 and nothing else.
void TunnelOut::rewrite(rte_mbuf* packet, PacketMeta& notes, const table::Binding& binding) {
    if (goes_by_dsmip(binding) && binding.encapsulation != channel::Encapsulation::kUdpIpv6)
        [[unlikely]] {
        send_by_dsmip(packet, notes, binding, true);
        return;
    }
    count_out(worker_, binding, stage::length(packet));
    reinterpret_cast<Ipv6Header*>(stage::data(packet))->destination = binding.care_of_address;
    ++rewritten_;
    notes.flags |= stage::kMetaEncapsulated | stage::kMetaMayFragmentOuter;
    send(packet, notes, binding.adjacency, binding.path_mtu);
}

/// S1.17: sealed for a home address without binding. It is at home, or nowhere.
void TunnelOut::send_home(rte_mbuf* packet) {
    const table::HomePrefix* const home =
        tables_.home_prefixes.find(destination_of(bytes_of(packet)));
    if (home != nullptr && (home->is_virtual() || home->drop_unbound != 0)) {
        out_.drop(packet, Counter::kTunOutNoBinding);
        return;
    }
    out_.to(TunnelOutEdge::kForward, packet);
}

/// The packet is itself a tunnel packet with a limit, which the new header carries on (RFC 2473
/// section 4.1.1).
bool TunnelOut::put_limited_header(rte_mbuf* packet, const table::Binding& binding) {
    const bool pipe = (binding.flags & channel::kBindingDscpPipe) != 0;
    const Ipv6Tunnel tunnel{binding.home_agent_address, binding.care_of_address, hop_limit_,
                            pipe ? Dscp::kPipe : Dscp::kUniform};
    std::optional<std::uint8_t> carried;
    if (const auto limit = encapsulation_limit_of(bytes_of(packet)); limit && limit->limit != 0) {
        carried = static_cast<std::uint8_t>(limit->limit - 1);
    }
    ipsec::Packet view = view_of(packet);
    if (encapsulate_in_ipv6(view, tunnel, carried) != EncapsulateError::kNone) return false;
    apply(view, packet);
    return true;
}

/// P1, P14.
void TunnelOut::encapsulate(rte_mbuf* packet, PacketMeta& notes, const table::Binding& binding) {
    if (goes_by_dsmip(binding)) [[unlikely]] {
        if (is_mip4(binding)) {
            send_by_mip4(packet, notes, binding);
        } else {
            send_by_dsmip(packet, notes, binding, false);
        }
        return;
    }
    const std::uint8_t* const inner = stage::data(packet);
    const std::uint16_t length = stage::length(packet);
    if (rte_pktmbuf_headroom(packet) < kEncapsulationLimitOverhead) [[unlikely]] {
        out_.drop(packet, Counter::kNoBuffer);
        return;
    }
    if (notes.family == 6 && inner[offsetof(Ipv6Header, next_header)] ==
                                 number(IpProtocol::kDestinationOptions)) [[unlikely]] {
        if (!put_limited_header(packet, binding)) {
            out_.drop(packet, Counter::kNoBuffer);
            return;
        }
    } else {
        put_ipv6_tunnel_header(packet, inner, length, notes.family, binding, hop_limit_);
    }
    notes.family = 6;
    notes.flags |= stage::kMetaEncapsulated | stage::kMetaMayFragmentOuter;
    count_out(worker_, binding, length);
    ++encapsulated_;
    send(packet, notes, binding.adjacency, binding.path_mtu);
}

/// P9, P10, P13, P15.
void TunnelOut::send_by_dsmip(rte_mbuf* packet, PacketMeta& notes, const table::Binding& binding,
                              bool sealed) {
    const std::uint16_t length = stage::length(packet);
    const OuterDone done = sealed ? put_sealed_dsmip_headers(worker_, packet, binding)
                                  : put_dsmip_headers(worker_, packet, binding);
    if (done.drop) {
        out_.drop(packet, *done.drop);
        return;
    }
    notes.flags |= stage::kMetaEncapsulated | stage::kMetaMayFragmentOuter;
    count_out(worker_, binding, length);
    if (sealed) {
        worker_.count(Counter::kTunOutRewritten);
    } else {
        ++encapsulated_;
    }
    send(packet, notes, done.to_care_of_address ? binding.adjacency : channel::kNoIndex,
         binding.path_mtu);
}

/// P28: the home agent's own message to the home address of a node that is at home, or says so.
bool is_message_to_home(rte_mbuf* packet, const PacketMeta& notes, const table::Binding& binding) {
    if ((notes.flags & stage::kMetaOriginated) == 0 || notes.protocol != number(IpProtocol::kUdp) ||
        notes.family != 4 || stage::length(packet) < notes.upper_offset + sizeof(UdpHeader)) {
        return false;
    }
    const std::uint8_t* const at = stage::data(packet);
    return load_be16(at + notes.upper_offset) == kMip4Port &&
           reinterpret_cast<const Ipv4Header*>(at)->source ==
               table::v4_of(binding.home_agent_address);
}

/// RFC 5944 section 3.8.3.1: onto the home link, as if there were no binding.
void TunnelOut::send_past_binding(rte_mbuf* packet, PacketMeta& notes) {
    notes.binding = channel::kNoIndex;
    if ((notes.flags & stage::kMetaL2Intact) != 0) {  // the kernel made this frame
        (void)rte_pktmbuf_prepend(packet, kEthernetLength);
        notes.flags |= stage::kMetaFrame;
        to_tx_.packets[to_tx_.count++] = packet;
        return;
    }
    if (notes.in_port < channel::kMaxPorts) {
        const auto& ip = *reinterpret_cast<const Ipv4Header*>(stage::data(packet));
        const table::Adjacency* const neighbour =
            tables_.adjacencies.find(notes.in_port, table::v4_mapped(ip.destination));
        if (neighbour != nullptr && neighbour->resolved != 0) notes.adjacency = neighbour->index;
    }
    out_.to(TunnelOutEdge::kForward, packet);
}

/// A reply of the control plane to an address that stands for a client's inner one (S2.36), which
/// the policy does not know.
bool TunnelOut::is_for_vpn(rte_mbuf* packet, const PacketMeta& notes) const {
    if (notes.family != 4 || (notes.flags & stage::kMetaVpnClient) != 0) return false;
    return is_vpn_client(tables_,
                         reinterpret_cast<const Ipv4Header*>(stage::data(packet))->destination);
}

/// S2.131: where another role of this box has to do with the packet next. True: it is given away.
bool TunnelOut::goes_on_inside(rte_mbuf* packet, PacketMeta& notes, const table::Binding& binding) {
    if (is_vpn_client(tables_, table::v4_of(binding.care_of_address))) {
        notes.binding = channel::kNoIndex;
        notes.adjacency = channel::kNoIndex;
        notes.flags &= static_cast<std::uint16_t>(~(stage::kMetaL2Intact | stage::kMetaOneCareOf));
        out_.to(TunnelOutEdge::kVpnOut, packet);
        return true;
    }
    const std::uint32_t slot = tables_.bindings.find(binding.care_of_address);
    if (slot == table::kNoSlot) return false;
    const table::Binding& outer = tables_.bindings.at(slot);
    if (outer.mip4_role() != channel::Mip4Role::kExternal) return false;
    notes.binding = slot;
    notes.flags &= static_cast<std::uint16_t>(~stage::kMetaOneCareOf);
    send_by_mip4(packet, notes, outer);
    return true;
}

/// P20, P22, P24, P26, to one care-of address.
void TunnelOut::send_to_care_of(rte_mbuf* packet, PacketMeta& notes,
                                const table::Binding& binding) {
    if (has_to_be_cut_first(packet, binding)) [[unlikely]] {  // and comes back in pieces
        notes.parameter = binding.tunnel_mtu();
        notes.reason = 0;
        notes.adjacency = channel::kNoIndex;
        notes.flags |= stage::kMetaOneCareOf;
        notes.flags &=
            static_cast<std::uint16_t>(~(stage::kMetaL2Intact | stage::kMetaEncapsulated));
        out_.to(TunnelOutEdge::kFragment, packet);
        return;
    }
    const std::uint16_t length = stage::length(packet);
    const OuterDone done = put_mip4_headers(worker_, packet, binding);
    if (done.drop) [[unlikely]] {
        out_.drop(packet, *done.drop);
        return;
    }
    notes.flags |= stage::kMetaEncapsulated;
    count_out(worker_, binding, length);
    ++encapsulated_;
    ++by_role_[static_cast<std::size_t>(binding.mip4_role())];
    if (binding.mip4_role() == channel::Mip4Role::kInternal &&
        goes_on_inside(packet, notes, binding)) {
        return;
    }
    send(packet, notes, binding.adjacency, binding.path_mtu);
}

/// A copy for each care-of address (RFC 5944 section 4.2.3).
void TunnelOut::send_by_mip4(rte_mbuf* packet, PacketMeta& notes, const table::Binding& binding) {
    if (is_message_to_home(packet, notes, binding)) [[unlikely]] {
        send_past_binding(packet, notes);
        return;
    }
    if ((notes.flags & stage::kMetaOneCareOf) == 0) {
        for_each_copy(tables_, binding, [&](std::uint32_t slot, const table::Binding& other) {
            rte_mbuf* const copy = copy_of(worker_, packet);
            if (copy == nullptr) return;
            worker_.count(Counter::kMip4Copies);
            flush_tx();  // it has room for the packets of the batch alone
            stage::meta(copy).binding = slot;
            send_to_care_of(copy, stage::meta(copy), other);
        });
    }
    send_to_care_of(packet, notes, binding);
}

/// `adjacency`: of the care-of address, or kNoIndex. `mtu`: octets that get there.
void TunnelOut::send(rte_mbuf* packet, PacketMeta& notes, std::uint32_t adjacency,
                     std::uint16_t mtu) {
    notes.adjacency = adjacency;
    notes.parameter = mtu;
    notes.reason = 0;  // pieces go by the adjacency
    notes.flags &= static_cast<std::uint16_t>(~stage::kMetaL2Intact);
    if (stage::length(packet) > mtu) [[unlikely]] {
        out_.to(TunnelOutEdge::kFragment, packet);
        return;
    }
    if (hop_.is_resolved(adjacency)) [[likely]] {
        to_tx_.packets[to_tx_.count++] = packet;
    } else {
        out_.to(TunnelOutEdge::kForward, packet);
    }
}

/// P3, P13: what was sealed for bound home addresses, which is nearly all that comes here under
/// ESP, in loops that know of nothing else. `in` keeps the others, in their order.
void TunnelOut::take_sealed(Batch& in) {
    const SignallingSpis::Known known(*worker_.signalling_spis, question_);
    const std::uint32_t mark = GuessedBinding::mark_of(tables_.bindings.changes());
    // They were in the nearest cache before IPsec, which needs all of it.
    const table::BindingTable::Steps bindings(tables_.bindings);
    std::array<Sealed, stage::kBatchSize> sealed;
    unsigned count = 0;
    std::uint64_t left = 0;   // bit by bit: what `in` keeps
    std::uint64_t asked = 0;  // those of which nobody knows where their bindings may be
    for (unsigned i = 0, end = in.count; i < end; ++i) {
        rte_mbuf* const packet = in.packets[i];
        PacketMeta& notes = stage::meta(packet);
        if (!are_of_bare_esp(notes)) [[unlikely]] {
            left |= std::uint64_t{1} << i;
            continue;
        }
        if (stage::length(packet) < sizeof(Ipv6Header) + kEspHeaderLength) [[unlikely]] {
            GuessedBinding::forget(notes);
            left |= std::uint64_t{1} << i;
            continue;
        }
        const std::uint32_t slot = GuessedBinding::of(notes, mark);
        if (slot == table::kNoSlot) [[unlikely]]
            asked |= std::uint64_t{1} << count;
        known.prefetch(slot);
        bindings.prefetch(slot);
        sealed[count++] = {slot, i};
    }
    if (count == 0) return;
    if (asked != 0) [[unlikely]]
        fetch_slots(in, asked, sealed);
    std::uint64_t special = 0;
    SealedSender sender(worker_, known, to_tx_);
    for (const Sealed& one : std::span(sealed.data(), count)) {
        rte_mbuf* const packet = in.packets[one.number];
        auto& ip = *reinterpret_cast<Ipv6Header*>(stage::data(packet));
        if (!sender.take(packet, ip, one.slot)) [[unlikely]]
            special |= std::uint64_t{1} << one.number;
    }
    sender.finish();
    for (; special != 0; special &= special - 1) {
        if (!send_sealed(in.packets[static_cast<unsigned>(std::countr_zero(special))])) {
            left |= special & -special;
        }
    }
    in.count = 0;
    for (; left != 0; left &= left - 1) {
        rte_mbuf* const packet = in.packets[static_cast<unsigned>(std::countr_zero(left))];
        PacketMeta& notes = stage::meta(packet);
        if (are_of_bare_esp(notes)) GuessedBinding::forget(notes);
        in.packets[in.count++] = packet;
    }
}

/// Of those of `sealed` that are `asked`, bit by bit: where their bindings are, if they have any.
void TunnelOut::fetch_slots(const Batch& in, std::uint64_t asked,
                            std::array<Sealed, stage::kBatchSize>& sealed) const {
    std::array<const Ipv6Address*, stage::kBatchSize> destinations;
    std::array<std::uint32_t, stage::kBatchSize> found;
    unsigned count = 0;
    for (std::uint64_t rest = asked; rest != 0; rest &= rest - 1) {
        rte_mbuf* const packet =
            in.packets[sealed[static_cast<unsigned>(std::countr_zero(rest))].number];
        destinations[count++] =
            &reinterpret_cast<const Ipv6Header*>(stage::data(packet))->destination;
    }
    tables_.bindings.fetch_bulk(destinations.data(), count, found.data());
    count = 0;
    for (; asked != 0; asked &= asked - 1) {
        const std::uint32_t slot = found[count++];
        worker_.signalling_spis->prefetch(slot);
        sealed[static_cast<unsigned>(std::countr_zero(asked))].slot = slot;
    }
}

/// What SealedSender did not take. False: take() has to look at it, and nothing has changed.
bool TunnelOut::send_sealed(rte_mbuf* packet) {
    const auto& ip = *reinterpret_cast<const Ipv6Header*>(stage::data(packet));
    const std::uint32_t slot = tables_.bindings.find(ip.destination);
    if (slot == table::kNoSlot) return false;
    const table::Binding& binding = tables_.bindings.at(slot);
    if (binding.tentative() || !is_own(worker_, ip.source)) return false;
    PacketMeta& notes = stage::meta(packet);
    notes.binding = slot;
    notes.parameter = 0;
    const std::uint32_t spi = load_be32(reinterpret_cast<const std::uint8_t*>(&ip + 1));
    if (worker_.signalling_spis->is_signalling(ip.destination, slot, spi, worker_.now_tsc,
                                               question_)) [[unlikely]] {
        send_signalling(packet, notes, &binding);
    } else {
        rewrite(packet, notes, binding);
    }
    return true;
}

void TunnelOut::take(rte_mbuf* packet) {
    PacketMeta& notes = stage::meta(packet);
    const table::Binding* const binding =
        notes.binding == channel::kNoIndex ? nullptr : &tables_.bindings.at(notes.binding);
    const bool esp = notes.protocol == number(IpProtocol::kEsp);
    // Packets that can be signalling of this home agent are few.
    if (esp || notes.protocol == number(IpProtocol::kMobility) ||
        notes.protocol == number(IpProtocol::kIcmpv6)) [[unlikely]] {
        if (is_ours(packet, notes, binding)) {
            if (is_signalling(packet, notes)) {
                send_signalling(packet, notes, binding);
                return;
            }
            if (esp) {
                if (binding != nullptr) {
                    rewrite(packet, notes, *binding);
                } else {
                    send_home(packet);
                }
                return;
            }
        }
    }
    if (binding != nullptr) {
        encapsulate(packet, notes, *binding);
    } else if (is_for_vpn(packet, notes)) [[unlikely]] {
        out_.to(TunnelOutEdge::kVpnOut, packet);
    } else {
        out_.to(TunnelOutEdge::kForward, packet);
    }
}

/// What goes_on_inside() and is_for_vpn() will ask of the VPN gateway.
void TunnelOut::fetch_clients(const Batch& in) const {
    table::VpnClients::Fetch fetch(tables_.vpn_clients);
    for (unsigned i = 0; i < in.count; ++i) {
        const PacketMeta& notes = stage::meta(in.packets[i]);
        if (notes.family != 4) continue;
        if (notes.binding == channel::kNoIndex) {
            fetch.inside(
                reinterpret_cast<const Ipv4Header*>(stage::data(in.packets[i]))->destination);
            continue;
        }
        const table::Binding& binding = tables_.bindings.at(notes.binding);
        if (is_mip4(binding)) fetch.inside(table::v4_of(binding.care_of_address));
    }
}

void TunnelOut::run(Batch& in) {
    take_sealed(in);
    if (in.count != 0) {
        find_bindings(in);
        if (tables_.vpn_clients.worth_fetching()) fetch_clients(in);
        for (unsigned i = 0; i < in.count; ++i) take(in.packets[i]);
    }
    flush_tx();
    if (encapsulated_ != 0) worker_.count(Counter::kTunOutEncapsulated, encapsulated_);
    if (rewritten_ != 0) worker_.count(Counter::kTunOutRewritten, rewritten_);
    for (std::size_t role = 1; role < by_role_.size(); ++role) {
        if (by_role_[role] == 0) continue;
        worker_.count(tunnel_out_of(static_cast<channel::Mip4Role>(role)), by_role_[role]);
    }
}

void tunnel_out(Worker& worker, Batch& in, Edges& out) {
    TunnelOut(worker, out).run(in);
}

}  // namespace

const stage::StageDescription kTunnelOutStage{
    .id = StageId::kTunnelOut,
    .name = "tunnel-out",
    .function = tunnel_out,
    .edges = {{{"tx", StageId::kTx},
               {"forward", StageId::kForward},
               {"fragment", StageId::kFragment},
               {"vpn-out", StageId::kVpnOut}}},
    .edge_count = 4,
};

}  // namespace homeport::tunnel

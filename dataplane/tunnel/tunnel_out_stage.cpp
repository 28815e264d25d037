// SPDX-License-Identifier: BSD-3-Clause
// Behind IPsec: everything that goes to a home address goes to the care-of address from here on.
// The binding is looked at here, or at the end of ipsec-out for what leaves from there, and nowhere
// before, so a packet that was inside IPsec when the mobile node moved takes the new way (S1.13).
#include <bit>
#include <span>

#include "dataplane/tunnel/dsmip_headers_for_stages.hpp"
#include "dataplane/tunnel/encapsulate.hpp"
#include "dataplane/tunnel/ipv6_tunnel_for_stages.hpp"
#include "dataplane/tunnel/mip4_headers_for_stages.hpp"
#include "dataplane/tunnel/rewrite.hpp"
#include "dataplane/tunnel/sealed_sender_for_stages.hpp"
#include "dataplane/tunnel/tunnel_out_for_stages.hpp"

namespace homeport::tunnel {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

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

/// P3, P13: what was sealed for bound home addresses, of which ipsec-out did not know where their
/// bindings are. `in` keeps the others, in their order.
void TunnelOut::take_sealed(Batch& in) {
    std::array<std::uint8_t, stage::kBatchSize> numbers;
    std::array<const Ipv6Address*, stage::kBatchSize> destinations;
    unsigned count = 0;
    std::uint64_t left = 0;  // bit by bit: what `in` keeps
    for (unsigned i = 0, end = in.count; i < end; ++i) {
        rte_mbuf* const packet = in.packets[i];
        if (!are_of_bare_esp(stage::meta(packet))) {
            left |= std::uint64_t{1} << i;
            continue;
        }
        numbers[count] = static_cast<std::uint8_t>(i);
        destinations[count++] =
            &reinterpret_cast<const Ipv6Header*>(stage::data(packet))->destination;
    }
    if (count == 0) return;
    std::array<std::uint32_t, stage::kBatchSize> slots;
    tables_.bindings.fetch_bulk(destinations.data(), count, slots.data());
    const SignallingSpis::Known known(*worker_.signalling_spis, question_);
    for (unsigned k = 0; k < count; ++k) known.prefetch(slots[k]);
    std::uint64_t special = 0;
    SealedSender sender(worker_, known, out_, TunnelOutEdge::kTx);
    for (unsigned k = 0; k < count; ++k) {
        rte_mbuf* const packet = in.packets[numbers[k]];
        auto& ip = *reinterpret_cast<Ipv6Header*>(stage::data(packet));
        if (!sender.take(packet, ip, stage::length(packet), slots[k])) {
            special |= std::uint64_t{1} << numbers[k];
        }
    }
    sender.finish();
    for (; special != 0; special &= special - 1) {
        if (!send_sealed(in.packets[static_cast<unsigned>(std::countr_zero(special))])) {
            left |= special & -special;
        }
    }
    in.count = 0;
    for (; left != 0; left &= left - 1) {
        in.packets[in.count++] = in.packets[static_cast<unsigned>(std::countr_zero(left))];
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
    using channel::Mip4Role;
    for (const Mip4Role role : {Mip4Role::kPlain, Mip4Role::kInternal, Mip4Role::kExternal}) {
        const unsigned count = by_role_[static_cast<std::size_t>(role)];
        if (count != 0) worker_.count(tunnel_out_of(role), count);
    }
}

namespace {

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

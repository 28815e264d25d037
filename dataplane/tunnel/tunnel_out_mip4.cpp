// SPDX-License-Identifier: BSD-3-Clause
// Mobile IPv4 behind IPsec, and the VPN gateway beside it: P20, P22, P24, P26, P28.
#include "dataplane/tunnel/mip4_headers_for_stages.hpp"
#include "dataplane/tunnel/mip4_tunnel.hpp"
#include "dataplane/tunnel/tunnel_out_for_stages.hpp"
#include "dataplane/tunnel/vpn_for_stages.hpp"

namespace homeport::tunnel {

using channel::Counter;
using stage::Batch;
using stage::PacketMeta;

namespace {

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

}  // namespace

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

}  // namespace homeport::tunnel

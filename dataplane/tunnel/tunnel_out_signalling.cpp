// SPDX-License-Identifier: BSD-3-Clause
// Messages of this home agent behind IPsec: P6, P7, P12.
#include "dataplane/tunnel/reply_to_table.hpp"
#include "dataplane/tunnel/rewrite.hpp"
#include "dataplane/tunnel/routing_header.hpp"
#include "dataplane/tunnel/signalling.hpp"
#include "dataplane/tunnel/tunnel_out_for_stages.hpp"

namespace homeport::tunnel {

using channel::Counter;
using stage::PacketMeta;

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

}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
// What came to a Mobile IPv4 home agent: reverse tunnels (P21, P23, P25, P27), messages for the
// control plane (P28), and broadcasts of a home link on their way to nodes that want them (P29).
// Fragments have been put together before.
#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/decapsulate.hpp"
#include "dataplane/tunnel/mip4_broadcasts_for_stages.hpp"
#include "dataplane/tunnel/mip4_headers_for_stages.hpp"
#include "dataplane/tunnel/mip4_in_for_stages.hpp"
#include "dataplane/tunnel/mip4_tunnel.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using channel::Encapsulation;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class Mip4InEdge : std::uint8_t { kParse, kTunnelIn, kTunnelOut, kToControl, kTx };

const Ipv4Header& ipv4_of(rte_mbuf* packet) {
    return *reinterpret_cast<const Ipv4Header*>(stage::data(packet));
}

class Mip4In {
  public:
    Mip4In(Worker& worker, Edges& out) : worker_(worker), tables_(*worker.tables), out_(out) {}

    void run(const Batch& in);

  private:
    void take(rte_mbuf* packet);
    void take_udp(rte_mbuf* packet, const PacketMeta& notes);
    void take_message(rte_mbuf* packet, PacketMeta& notes);
    void take_tunnel_data(rte_mbuf* packet, const PacketMeta& notes, const UdpDatagram& udp);
    void take_tunnel(rte_mbuf* packet, Mip4Arrival arrival, std::uint16_t offset);
    void take_minimal(rte_mbuf* packet, Mip4Arrival arrival, std::uint16_t offset);
    void collect(const Mip4Arrival& arrival);
    void settle(const Mip4Arrival& arrival, std::uint32_t slot);
    [[nodiscard]] bool lacks_vpn(const Mip4Arrival& arrival, const table::Binding& binding) const;
    void settle_without_binding(const Mip4Arrival& arrival);
    void settle_keepalive(const Mip4Arrival& arrival, std::uint32_t slot);
    void decapsulate(const Mip4Arrival& arrival, std::uint32_t slot);
    void send_to_home_link(rte_mbuf* packet, const table::Binding& binding);
    void send_to_nodes(rte_mbuf* broadcast);
    [[nodiscard]] bool copy_to_nodes(rte_mbuf* broadcast, std::uint16_t port,
                                     const Ipv6Address& sender);
    void drop(const Mip4Arrival& arrival, Counter counter) { out_.drop(arrival.packet, counter); }

    Worker& worker_;
    const table::Tables& tables_;
    Edges& out_;
    unsigned count_ = 0;
    std::array<Mip4Arrival, stage::kBatchSize> arrivals_;
    unsigned decapsulated_ = 0;
    std::array<unsigned, 4> by_role_{};
    Batch opened_;
};

// ------------------------------------------------------------------------------- what it is

void Mip4In::collect(const Mip4Arrival& arrival) {
    const Ipv4Address source = arrival.inner_source();
    if (!source.is_unicast() || source.is_link_local()) {
        drop(arrival, Counter::kTunInBadInnerSource);
        return;
    }
    arrivals_[count_] = arrival;
    arrivals_[count_++].key = table::v4_mapped(source);
}

/// P21, P23 and what is like them inside UDP. `offset`: of what stands behind the outer headers.
void Mip4In::take_tunnel(rte_mbuf* packet, Mip4Arrival arrival, std::uint16_t offset) {
    const bool gre =
        arrival.form == Encapsulation::kGre || arrival.form == Encapsulation::kMipUdpGre;
    if (gre) {
        const GreHeader header = read_gre(bytes_of(packet).subspan(offset));
        if (header.error != GreError::kNone) {
            drop(arrival, counter_of(header.error));
            return;
        }
        offset = static_cast<std::uint16_t>(offset + header.length);
    }
    const Inner inner = peek_inner(bytes_of(packet).subspan(offset), number(IpProtocol::kIpv4));
    if (inner.family == 0) {
        drop(arrival, Counter::kTunInMalformed);
        return;
    }
    arrival.offset = offset;
    arrival.length = inner.length;
    // RFC 2784 section 4: forwarded by the inner destination alone, so not back to where it came
    // from.
    if (gre && arrival.inner_destination() == ipv4_of(packet).source) {
        drop(arrival, Counter::kGreLoop);
        return;
    }
    collect(arrival);
}

/// P25: the inner packet has the outer header.
void Mip4In::take_minimal(rte_mbuf* packet, Mip4Arrival arrival, std::uint16_t offset) {
    arrival.minimal = read_minimal(bytes_of(packet).subspan(offset));
    if (arrival.minimal.error != MinimalError::kNone) {
        drop(arrival, arrival.minimal.error == MinimalError::kLength ? Counter::kMinimalLength
                                                                     : Counter::kMinimalChecksum);
        return;
    }
    arrival.offset = offset;
    arrival.length = static_cast<std::uint16_t>(
        stage::length(packet) - offset - arrival.minimal.length + ipv4_of(packet).header_length());
    collect(arrival);
}

void Mip4In::take(rte_mbuf* packet) {
    const PacketMeta& notes = stage::meta(packet);
    Mip4Arrival arrival{.packet = packet};
    switch (notes.protocol) {
        case number(IpProtocol::kUdp):
            take_udp(packet, notes);
            return;
        case number(IpProtocol::kGre):
            arrival.form = Encapsulation::kGre;
            take_tunnel(packet, arrival, notes.upper_offset);
            return;
        case number(IpProtocol::kMinimalEncapsulation):
            arrival.form = Encapsulation::kMinimal;
            take_minimal(packet, arrival, notes.upper_offset);
            return;
        default:
            take_tunnel(packet, arrival, notes.upper_offset);
            return;
    }
}

/// Of UDP 434 the first octet says what it is (RFC 3519 section 3.3).
void Mip4In::take_udp(rte_mbuf* packet, const PacketMeta& notes) {
    const UdpDatagram udp = read_udp(bytes_of(packet).subspan(notes.upper_offset));
    if (!udp.well_formed) {
        out_.drop(packet, Counter::kMip4UdpMalformed);
        return;
    }
    const int type = udp.payload.empty() ? -1 : udp.payload[0];
    if (type == TunnelData::kType) {
        take_tunnel_data(packet, notes, udp);
    } else if (is_mip4_message(type)) {
        take_message(packet, stage::meta(packet));
    } else {
        out_.drop(packet, Counter::kMip4UnknownType);
    }
}

/// P28. What is wrong inside is for the control plane to say (mipv4.md section 4).
void Mip4In::take_message(rte_mbuf* packet, PacketMeta& notes) {
    if (!udp_checksum_holds(packet, notes)) {
        out_.drop(packet, Counter::kMip4RrqChecksum);
        return;
    }
    notes.reason = static_cast<std::uint8_t>(channel::PuntReason::kMip4Message);
    out_.to(Mip4InEdge::kToControl, packet);
}

/// P27.
void Mip4In::take_tunnel_data(rte_mbuf* packet, const PacketMeta& notes, const UdpDatagram& udp) {
    const TunnelData header = read_tunnel_data(udp.payload);
    if (!header.well_formed || !udp_checksum_holds(packet, notes)) {
        out_.drop(packet, Counter::kMip4UdpMalformed);
        return;
    }
    // What lies behind the datagram is none of its.
    const std::size_t end = notes.upper_offset + sizeof(UdpHeader) + udp.payload.size();
    set_length(packet, static_cast<std::uint16_t>(end));
    const auto offset =
        static_cast<std::uint16_t>(notes.upper_offset + sizeof(UdpHeader) + TunnelData::kLength);
    Mip4Arrival arrival{.packet = packet, .port = udp.source_port, .in_udp = true};
    switch (static_cast<Mip4Encapsulation>(header.next_header)) {
        case Mip4Encapsulation::kIpInIp:
            arrival.form = Encapsulation::kMipUdp;
            take_tunnel(packet, arrival, offset);
            return;
        case Mip4Encapsulation::kGre:
            arrival.form = Encapsulation::kMipUdpGre;
            take_tunnel(packet, arrival, offset);
            return;
        case Mip4Encapsulation::kMinimal:
            arrival.form = Encapsulation::kMipUdpMinimal;
            take_minimal(packet, arrival, offset);
            return;
    }
    out_.drop(packet, Counter::kMip4UdpBadNextHeader);
}

// --------------------------------------------------------------------------------- whose it is

/// IP in IP to an address that is DSMIPv6's, too: its stage knows what is missing there.
void Mip4In::settle_without_binding(const Mip4Arrival& arrival) {
    const table::LocalAddress* const local =
        tables_.local_addresses.find(ipv4_of(arrival.packet).destination);
    if (arrival.form == Encapsulation::kIpv4 && local != nullptr &&
        local->is_home_agent_address != 0) {
        out_.to(Mip4InEdge::kTunnelIn, arrival.packet);
        return;
    }
    drop(arrival, arrival.in_udp ? Counter::kMip4UdpBadOuter : Counter::kMip4RtNoBinding);
}

/// RFC 4301 section 5.2: a care-of address that is the VPN's own (VPN-TIA) sends nothing in the
/// clear, so whoever does is not that node.
bool Mip4In::lacks_vpn(const Mip4Arrival& arrival, const table::Binding& binding) const {
    if (tables_.vpn_clients.empty() ||
        (stage::meta(arrival.packet).flags & stage::kMetaDecrypted) != 0) {
        return false;
    }
    return is_vpn_client(tables_, table::v4_of(binding.care_of_address));
}

/// mipv4.md section 7: binding, then the mode that was agreed on, then whether it was granted.
void Mip4In::settle(const Mip4Arrival& arrival, std::uint32_t slot) {
    if (slot == table::kNoSlot || !is_mip4(tables_.bindings.at(slot))) {
        settle_without_binding(arrival);
        return;
    }
    slot = binding_of_outer(tables_, arrival, slot);
    if (slot == table::kNoSlot) {
        drop(arrival, arrival.in_udp ? Counter::kMip4UdpBadOuter : Counter::kMip4RtNoBinding);
        return;
    }
    const table::Binding& binding = tables_.bindings.at(slot);
    if (!is_agreed_form(arrival, binding)) {
        drop(arrival, arrival.in_udp ? Counter::kMip4UdpBadNextHeader : Counter::kMip4RtBadMode);
        return;
    }
    if (arrival.in_udp && is_keepalive(arrival, binding)) {
        settle_keepalive(arrival, slot);
        return;
    }
    if ((binding.flags & channel::kBindingHalfBound) != 0) {  // its port is not known
        drop(arrival, Counter::kMip4UdpBadOuter);
        return;
    }
    if ((binding.flags & channel::kBindingReverseTunnel) == 0) {
        drop(arrival, Counter::kMip4RtBadMode);
        return;
    }
    if (lacks_vpn(arrival, binding)) {
        drop(arrival, Counter::kIpsecInPolicy);
        return;
    }
    decapsulate(arrival, slot);
}

/// RFC 3519 section 4.9. The first one of a half-bound node says where its tunnel ends.
void Mip4In::settle_keepalive(const Mip4Arrival& arrival, std::uint32_t slot) {
    rte_mbuf* const packet = arrival.packet;
    const table::Binding& binding = tables_.bindings.at(slot);
    const Ipv4Address outer_source = ipv4_of(packet).source;
    strip_outer_headers(arrival);
    if (!is_sound_echo(packet)) {
        out_.drop(packet, Counter::kTunInMalformed);
        return;
    }
    PacketMeta& notes = stage::meta(packet);
    if ((binding.flags & channel::kBindingHalfBound) != 0) {
        notes.reason = static_cast<std::uint8_t>(channel::PuntReason::kMip4Keepalive);
        note_tunnel_end(notes, outer_source, arrival.port);
        out_.to(Mip4InEdge::kToControl, packet);
        return;
    }
    make_echo_reply(packet, worker_.parameters->tunnel_hop_limit);
    notes.flags = stage::kMetaOriginated | stage::kMetaOneCareOf;
    notes.binding = slot;
    worker_.count(Counter::kMip4Keepalive);
    out_.to(Mip4InEdge::kTunnelOut, packet);
}

void Mip4In::decapsulate(const Mip4Arrival& arrival, std::uint32_t slot) {
    rte_mbuf* const packet = arrival.packet;
    const table::Binding& binding = tables_.bindings.at(slot);
    // Minimal encapsulation has one header, and so one ECN field.
    if (arrival.minimal.length == 0 &&
        !carry_ecn_inwards(stage::data(packet) + arrival.offset, ipv4_of(packet).tos)) {
        drop(arrival, Counter::kTunInEcnDrop);
        return;
    }
    strip_outer_headers(arrival);
    count_in(worker_, binding, arrival.length);
    ++decapsulated_;
    ++by_role_[static_cast<std::size_t>(channel::mip4_role(binding.flags))];
    if (binding.home_port != table::kNoHomePort &&
        is_for_home_link(tables_, binding, ipv4_of(packet).destination)) [[unlikely]] {
        return send_to_home_link(packet, binding);
    }
    stage::meta(packet).flags = stage::kMetaDecapsulated;  // the rest is for parse to say
    opened_.packets[opened_.count++] = packet;
}

/// As if the node were on its home link: for those there, and for nodes elsewhere that want the
/// broadcasts of it.
void Mip4In::send_to_home_link(rte_mbuf* packet, const table::Binding& binding) {
    if (ipv4_of(packet).ttl <= 1) {
        out_.drop(packet, Counter::kForwardTtl);
        return;
    }
    if (!ipv4_of(packet).destination.is_multicast()) {
        (void)copy_to_nodes(packet, binding.home_port, binding.home_address);
    }
    if (!make_home_link_frame(worker_, packet, binding)) {
        out_.drop(packet, Counter::kNoBuffer);
        return;
    }
    worker_.count(Counter::kMip4ReverseBroadcasts);
    out_.to(Mip4InEdge::kTx, packet);
}

/// Copies for all of the link at `port` that want them, but `sender`. False: more than are made.
bool Mip4In::copy_to_nodes(rte_mbuf* broadcast, std::uint16_t port, const Ipv6Address& sender) {
    for (const table::BroadcastNodes::Node& node : tables_.broadcast_nodes.all()) {
        if (node.port != port || node.home_address == sender) continue;
        if (!worker_.broadcast_policer.take(worker_.now_tsc)) return false;
        rte_mbuf* const copy = broadcast_copy(worker_, broadcast, node);
        if (copy != nullptr) out_.to(Mip4InEdge::kTunnelOut, copy);
    }
    return true;
}

/// P29. The packet is a copy that classify made; what is on a link is a message (P28).
void Mip4In::send_to_nodes(rte_mbuf* broadcast) {
    const PacketMeta& notes = stage::meta(broadcast);
    if (ipv4_of(broadcast).ttl > 1 && !copy_to_nodes(broadcast, notes.in_port, {})) {
        out_.drop(broadcast, Counter::kMip4BroadcastLimit);
        return;
    }
    out_.absorb(broadcast);
}

void Mip4In::run(const Batch& in) {
    for (unsigned i = 0; i < in.count; ++i) {
        const PacketMeta& notes = stage::meta(in.packets[i]);
        constexpr std::uint16_t kGroupOnLink = stage::kMetaToGroup | stage::kMetaL2Intact;
        if ((notes.flags & kGroupOnLink) == stage::kMetaToGroup) [[unlikely]] {
            send_to_nodes(in.packets[i]);
        } else {
            take(in.packets[i]);
        }
    }
    if (count_ == 0) return;
    std::array<const Ipv6Address*, stage::kBatchSize> keys;
    std::array<std::uint32_t, stage::kBatchSize> slots;
    for (unsigned i = 0; i < count_; ++i) keys[i] = &arrivals_[i].key;
    tables_.bindings.find_bulk(keys.data(), count_, slots.data());
    const BindingRows rows(worker_);
    for (unsigned i = 0; i < count_; ++i) {
        if (slots[i] != table::kNoSlot) rows.prefetch(tables_.bindings.at(slots[i]));
    }
    for (unsigned i = 0; i < count_; ++i) settle(arrivals_[i], slots[i]);
    if (decapsulated_ == 0) return;
    worker_.count(Counter::kTunInDecapsulated, decapsulated_);
    for (std::size_t role = 0; role < by_role_.size(); ++role) {
        if (by_role_[role] == 0) continue;
        worker_.count(tunnel_in_of(static_cast<channel::Mip4Role>(role)), by_role_[role]);
    }
    out_.to_all(Mip4InEdge::kParse, opened_);
}

void mip4_in(Worker& worker, Batch& in, Edges& out) {
    Mip4In(worker, out).run(in);
}

}  // namespace

const stage::StageDescription kMip4InStage{
    .id = StageId::kMip4In,
    .name = "mip4-in",
    .function = mip4_in,
    .edges = {{{"parse", StageId::kParse},
               {"tunnel-in", StageId::kTunnelIn},
               {"tunnel-out", StageId::kTunnelOut},
               {"to-control", StageId::kToControl},
               {"tx", StageId::kTx}}},
    .edge_count = 5,
};

}  // namespace homeport::tunnel

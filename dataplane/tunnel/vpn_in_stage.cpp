// SPDX-License-Identifier: BSD-3-Clause
// ESP of VPN clients (P31). A packet comes here twice: sealed, where UDP 4500 is taken off and a
// new source noted (RFC 3948), and after IPsec, where it is known to be a client's.
#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/ipsec/interface.hpp"
#include "dataplane/tunnel/address_translation.hpp"
#include "dataplane/tunnel/dsmip_source_for_stages.hpp"
#include "dataplane/tunnel/stages.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"
#include "dataplane/tunnel/udp_tunnel.hpp"
#include "dataplane/tunnel/vpn_for_stages.hpp"

namespace homeport::tunnel {

namespace {

using channel::Counter;
using stage::Batch;
using stage::Edges;
using stage::PacketMeta;
using stage::StageId;
using stage::Worker;

enum class VpnInEdge : std::uint8_t { kIpsecIn, kClassify, kToKernel };

/// Takes the UDP header out: the IP header moves up to what UDP carried. False: it is given away.
bool take_off_udp(Worker& worker, rte_mbuf* packet, PacketMeta& notes, SealedSource& source,
                  Edges& out) {
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(stage::data(packet));
    const ConstByteSpan datagram = bytes_of(packet).subspan(notes.upper_offset);
    const UdpDatagram udp = read_udp(datagram);
    if (!udp.well_formed ||
        !udp_checksum_holds(ip.source, ip.destination,
                            datagram.first(udp.payload.size() + sizeof(UdpHeader)))) {
        out.drop(packet, Counter::kUdp4500Bad);
        return false;
    }
    switch (classify_udp4500(udp.payload)) {
        case Udp4500Payload::kKeepalive:
            out.absorb(packet, Counter::kUdp4500Keepalive);
            return false;
        case Udp4500Payload::kIke:
            worker.count(Counter::kUdp4500Ike);
            out.to(VpnInEdge::kToKernel, packet);
            return false;
        case Udp4500Payload::kBad:
            out.drop(packet, Counter::kUdp4500Bad);
            return false;
        case Udp4500Payload::kEsp:
            break;
    }
    worker.count(Counter::kUdp4500Esp);
    source.mapping = {.address = ip.source, .port = udp.source_port};
    const auto length =
        static_cast<std::uint16_t>(notes.upper_offset + sizeof(UdpHeader) + udp.payload.size());
    set_length(packet, length);  // what lies behind UDP's length is nobody's
    std::uint8_t* const header = stage::data(packet);
    std::memmove(header + sizeof(UdpHeader), header, notes.upper_offset);
    cut_front(packet, sizeof(UdpHeader));
    std::uint8_t* const moved = stage::data(packet);
    store_be16(moved + 2, static_cast<std::uint16_t>(length - sizeof(UdpHeader)));
    moved[9] = number(IpProtocol::kEsp);
    store_be16(moved + 10, 0);
    store_be16(moved + 10, internet_checksum({moved, notes.upper_offset}));
    notes.protocol = number(IpProtocol::kEsp);
    notes.flags &= static_cast<std::uint16_t>(~stage::kMetaL2Intact);
    return true;
}

/// Sequence numbers and replay window of an SA have one writer, its owner.
bool hand_to_owner(Worker& worker, rte_mbuf* packet, Edges& out) {
    if (worker.worker_count <= 1) return false;
    const auto owner = worker.esp->inbound_owner(view_of(packet));
    if (!owner || *owner == worker.index) return false;
    out.hand_over(packet, *owner, StageId::kIpsecIn);
    return true;
}

void take_sealed(Worker& worker, rte_mbuf* packet, PacketMeta& notes, Edges& out) {
    SealedSource source;
    if (notes.protocol == number(IpProtocol::kUdp)) {
        if (!take_off_udp(worker, packet, notes, source, out)) return;
    }
    constexpr std::uint16_t kSpiLength = 4;
    if (stage::length(packet) >= notes.upper_offset + kSpiLength) {
        const std::uint32_t spi = load_be32(stage::data(packet) + notes.upper_offset);
        const table::VpnClient* const client = worker.tables->vpn_clients.of_spi(spi);
        if (client != nullptr && is_vpn_news(*worker.tables, *client, source)) {
            source.slot = vpn_slot(*client);
            note_sealed_source(notes, source);
        }
    }
    if (!hand_to_owner(worker, packet, out)) out.to(VpnInEdge::kIpsecIn, packet);
}

/// Its SA let only the client's inner address pass.
void take_opened(Worker& worker, rte_mbuf* packet, PacketMeta& notes, Edges& out) {
    std::uint8_t* const ip = stage::data(packet);
    const Ipv4Address source = reinterpret_cast<const Ipv4Header*>(ip)->source;
    const table::VpnClient* const client = worker.tables->vpn_clients.of_inner(source);
    if (client == nullptr) {
        out.drop(packet, Counter::kVpnInBadSource);
        return;
    }
    worker.count(Counter::kVpnIn);
    if (!client->translated.is_unspecified()) {
        translate_address(ip, stage::length(packet), AddressField::kSource, source,
                          client->translated);
        worker.count(Counter::kVpnTranslated);
    }
    notes.flags |= stage::kMetaVpnClient;
    out.to(VpnInEdge::kClassify, packet);
}

/// What take_sealed() or take_opened() will ask about a packet.
void fetch(table::VpnClients::Fetch& fetch, rte_mbuf* packet) {
    const PacketMeta& notes = stage::meta(packet);
    const std::uint8_t* const data = stage::data(packet);
    const bool is_udp = notes.protocol == number(IpProtocol::kUdp);
    if (!is_udp && notes.protocol != number(IpProtocol::kEsp)) {
        fetch.inner(reinterpret_cast<const Ipv4Header*>(data)->source);
        return;
    }
    const std::uint32_t at = notes.upper_offset + (is_udp ? std::uint32_t{sizeof(UdpHeader)} : 0u);
    if (stage::length(packet) >= at + 4u) fetch.spi(load_be32(data + at));
}

void vpn_in(Worker& worker, Batch& in, Edges& out) {
    if (worker.tables->vpn_clients.worth_fetching()) {
        table::VpnClients::Fetch ahead(worker.tables->vpn_clients);
        for (unsigned i = 0; i < in.count; ++i) fetch(ahead, in.packets[i]);
    }
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        PacketMeta& notes = stage::meta(packet);
        const bool is_sealed = notes.protocol == number(IpProtocol::kUdp) ||
                               notes.protocol == number(IpProtocol::kEsp);
        const bool is_for_gateway =
            is_sealed &&
            is_vpn_gateway(worker,
                           reinterpret_cast<const Ipv4Header*>(stage::data(packet))->destination);
        if (is_for_gateway) {
            take_sealed(worker, packet, notes, out);
        } else {
            take_opened(worker, packet, notes, out);
        }
    }
}

}  // namespace

const stage::StageDescription kVpnInStage{
    .id = StageId::kVpnIn,
    .name = "vpn-in",
    .function = vpn_in,
    .edges = {{{"ipsec-in", StageId::kIpsecIn},
               {"classify", StageId::kClassify},
               {"to-kernel", StageId::kToKernel}}},
    .edge_count = 3,
};

}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
// Packets to VPN clients (P32). A packet comes here twice: before IPsec, where it takes a hop and
// gets the client's inner address, and sealed, where it is put into UDP 4500 if the client is
// behind a NAT, and goes on to the client's outer address like any other packet: that address may
// be one that is bound here (S2.131).
#include <cstring>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/hop_limit.hpp"
#include "dataplane/base/ip_header.hpp"
#include "dataplane/tunnel/address_translation.hpp"
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
using table::VpnClient;

enum class VpnOutEdge : std::uint8_t { kIpsecOut, kClassify, kIcmpError };

const VpnClient* client_of(const table::VpnClients& clients, const Ipv4Address& destination) {
    if (const VpnClient* const client = clients.of_translated(destination)) return client;
    return clients.of_inner(destination);
}

void take_payload(Worker& worker, rte_mbuf* packet, PacketMeta& notes, Edges& out) {
    std::uint8_t* const data = stage::data(packet);
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(data);
    const table::VpnClients& clients = worker.tables->vpn_clients;
    const VpnClient* const client = client_of(clients, ip.destination);
    if (client == nullptr) {  // it has just gone
        out.drop(packet, Counter::kIpsecOutNoSa);
        return;
    }
    // What this box made, a tunnel's header too, has taken its hop, or needs none.
    constexpr std::uint16_t kTakesNoHop = stage::kMetaOriginated | stage::kMetaEncapsulated;
    if ((notes.flags & kTakesNoHop) == 0) {
        if (ip.ttl <= 1) {
            note_icmp_error(packet, stage::IcmpErrorKind::kTimeExceeded, Counter::kTunOutTtl);
            out.to(VpnOutEdge::kIcmpError, packet);
            return;
        }
        decrement_hop_limit(data, notes.family);
    }
    if (client->udp_encapsulation == channel::UdpEncapsulation::kAlways &&
        !clients.return_path(*client)) {
        out.drop(packet, Counter::kVpnOutNoPort);
        return;
    }
    if (client->translated == ip.destination) {
        translate_address(data, stage::length(packet), AddressField::kDestination,
                          client->translated, client->inner);
        worker.count(Counter::kVpnTranslated);
    }
    notes.binding = channel::kNoIndex;
    notes.flags |= stage::kMetaVpnClient;
    out.to(VpnOutEdge::kIpsecOut, packet);
}

/// RFC 3948 section 3.3: between the IP header and ESP, without a checksum.
bool put_udp(rte_mbuf* packet, const VpnClient& client, const table::VpnClients::ReturnPath& path) {
    const std::uint16_t header = sizeof(Ipv4Header);  // of ours: no options
    std::uint8_t* const data = stage::data(packet);
    if (rte_pktmbuf_headroom(packet) < sizeof(UdpHeader)) return false;
    const auto length = static_cast<std::uint16_t>(stage::length(packet) + sizeof(UdpHeader));
    std::uint8_t* const moved =
        reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(packet, sizeof(UdpHeader)));
    std::memmove(moved, data, header);
    store_be16(moved + 2, length);
    moved[9] = number(IpProtocol::kUdp);
    client.gateway.store(moved + 12);
    path.address.store(moved + 16);
    store_be16(moved + 10, 0);
    store_be16(moved + 10, internet_checksum({moved, header}));
    std::uint8_t* const udp = moved + header;
    store_be16(udp, kNatTraversalPort);
    store_be16(udp + 2, path.port);
    store_be16(udp + 4, static_cast<std::uint16_t>(length - header));
    store_be16(udp + 6, 0);
    return true;
}

void take_sealed(Worker& worker, rte_mbuf* packet, PacketMeta& notes, Edges& out) {
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(stage::data(packet));
    const table::VpnClients& clients = worker.tables->vpn_clients;
    worker.count(Counter::kVpnOut);
    const VpnClient* const client = clients.of_outer(ip.destination);
    const auto path =
        client == nullptr || client->udp_encapsulation == channel::UdpEncapsulation::kOff
            ? std::nullopt
            : clients.return_path(*client);
    if (path) {
        if (!put_udp(packet, *client, *path)) {
            out.drop(packet, Counter::kNoBuffer);
            return;
        }
        notes.protocol = number(IpProtocol::kUdp);
    }
    notes.binding = channel::kNoIndex;
    out.to(VpnOutEdge::kClassify, packet);
}

void vpn_out(Worker& worker, Batch& in, Edges& out) {
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        PacketMeta& notes = stage::meta(packet);
        if (is_sealed_for_client(worker, packet)) {
            take_sealed(worker, packet, notes, out);
        } else {
            take_payload(worker, packet, notes, out);
        }
    }
}

}  // namespace

const stage::StageDescription kVpnOutStage{
    .id = StageId::kVpnOut,
    .name = "vpn-out",
    .function = vpn_out,
    .edges = {{{"ipsec-out", StageId::kIpsecOut},
               {"classify", StageId::kClassify},
               {"icmp-error", StageId::kIcmpError}}},
    .edge_count = 3,
};

}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
// What the stages of the VPN gateway and those around IPsec share (P31, P32). Not for others.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/tunnel/dsmip_source_for_stages.hpp"

namespace homeport::tunnel {

/// In place of a binding's slot in SealedSource: a VPN client's index with this bit.
inline constexpr std::uint32_t kVpnSlot = 1u << 31;
[[nodiscard]] inline std::uint32_t vpn_slot(const table::VpnClient& client) {
    return client.index | kVpnSlot;
}
[[nodiscard]] inline bool is_vpn_slot(std::uint32_t slot) {
    return slot != channel::kNoIndex && (slot & kVpnSlot) != 0;
}

/// Whether the source, or that there is no UDP, would change where the client's packets go, were
/// the packet authentic. Where UDP is demanded, ESP without it says nothing about the port.
[[nodiscard]] inline bool is_vpn_news(const table::Tables& tables, const table::VpnClient& client,
                                      const SealedSource& source) {
    if (!source.mapping && client.udp_encapsulation == channel::UdpEncapsulation::kAlways) {
        return false;
    }
    const auto known = tables.vpn_clients.return_path(client);
    if (!source.mapping || !known) return source.mapping.has_value() != known.has_value();
    return known->address != source.mapping->address || known->port != source.mapping->port;
}

/// The packet was authentic: the client's packets go there from now on.
inline void learn_vpn_source(stage::Worker& worker, const SealedSource& source) {
    std::optional<table::VpnClients::ReturnPath> path;
    if (source.mapping) {
        path = {.address = source.mapping->address, .port = source.mapping->port};
    }
    if (worker.tables->vpn_clients.learn(source.slot & ~kVpnSlot, path)) {
        worker.count(channel::Counter::kVpnMoved);
    }
}

[[nodiscard]] inline bool is_vpn_gateway(const stage::Worker& worker, const Ipv4Address& address) {
    const table::LocalAddress* const local = worker.tables->local_addresses.find(address);
    return local != nullptr && local->is_vpn_gateway != 0;
}

/// Puts into `fetch` what is_sealed_for_client() of this packet asks for.
inline void fetch_sealed(table::VpnClients::Fetch& fetch, const std::uint8_t* packet) {
    if (packet[0] >> 4 != 4 || packet[9] != number(IpProtocol::kEsp)) return;
    fetch.outer(reinterpret_cast<const Ipv4Header*>(packet)->destination);
}

/// ESP of the gateway to where a client's SA ends.
[[nodiscard]] inline bool is_sealed_for_client(const stage::Worker& worker, rte_mbuf* packet) {
    const std::uint8_t* const data = stage::data(packet);
    if (worker.tables->vpn_clients.empty() || data[0] >> 4 != 4 ||
        data[9] != number(IpProtocol::kEsp)) {
        return false;
    }
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(data);
    const table::VpnClient* const client = worker.tables->vpn_clients.of_outer(ip.destination);
    return client != nullptr && client->gateway == ip.source;
}

}  // namespace homeport::tunnel

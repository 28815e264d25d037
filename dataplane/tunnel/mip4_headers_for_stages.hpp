// SPDX-License-Identifier: BSD-3-Clause
// Outbound headers of Mobile IPv4 bindings: P20, P22, P24, P26. Of tunnel-out and mip4-in.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>

#include "dataplane/channel/counter.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/tunnel/dsmip_headers_for_stages.hpp"

namespace homeport::tunnel {

[[nodiscard]] inline bool is_mip4(const table::Binding& binding) {
    return (binding.flags & channel::kBindingMip4Role) != 0;
}

/// What a role counts of its tunnels, as if it were alone (S2.131).
[[nodiscard]] inline channel::Counter tunnel_in_of(channel::Mip4Role role) {
    constexpr std::array kCounters{channel::Counter::kMip4TunIn, channel::Counter::kMip4TunIn,
                                   channel::Counter::kInternalTunIn,
                                   channel::Counter::kExternalTunIn};
    return kCounters[static_cast<std::size_t>(role)];
}
[[nodiscard]] inline channel::Counter tunnel_out_of(channel::Mip4Role role) {
    constexpr std::array kCounters{channel::Counter::kMip4TunOut, channel::Counter::kMip4TunOut,
                                   channel::Counter::kInternalTunOut,
                                   channel::Counter::kExternalTunOut};
    return kCounters[static_cast<std::size_t>(role)];
}

/// Whether its packets go through UDP 434.
[[nodiscard]] constexpr bool goes_by_mip_udp(channel::Encapsulation encapsulation) {
    return encapsulation >= channel::Encapsulation::kMipUdp;
}

/// Whether a packet for `address` goes through the VPN gateway's IPsec (P32).
[[nodiscard]] inline bool is_vpn_client(const table::Tables& tables, const Ipv4Address& address) {
    return tables.vpn_clients.of_inner(address) != nullptr ||
           tables.vpn_clients.of_translated(address) != nullptr;
}

/// RFC 3519 section 4.8: fragmented before encapsulation, because a NAT may not let the pieces
/// of a UDP datagram through. Minimal encapsulation, which must not be done to fragments, is
/// fragmented afterwards.
[[nodiscard]] bool has_to_be_cut_first(rte_mbuf* packet, const table::Binding& binding);

/// The other bindings of a home address that has several, by calls of `visit(slot, binding)`.
template <class Visitor>
void for_each_copy(const table::Tables& tables, const table::Binding& first, Visitor&& visit) {
    if ((first.flags & channel::kBindingMoreCareOf) == 0) [[likely]]
        return;
    for (std::uint8_t copy = 1; copy < channel::kMaxCareOfAddresses; ++copy) {
        const std::uint32_t slot = tables.bindings.find(table::copy_key(first.home_address, copy));
        if (slot == table::kNoSlot) return;  // there are no gaps
        visit(slot, tables.bindings.at(slot));
    }
}

/// The largest packet that reaches all of them without fragments of a tunnel.
[[nodiscard]] std::uint16_t least_tunnel_mtu(const table::Tables& tables,
                                             const table::Binding& first);

/// Puts the headers of `binding`'s tunnel on an IPv4 packet, and notes what it is then.
[[nodiscard]] OuterDone put_mip4_headers(stage::Worker& worker, rte_mbuf* packet,
                                         const table::Binding& binding);

}  // namespace homeport::tunnel

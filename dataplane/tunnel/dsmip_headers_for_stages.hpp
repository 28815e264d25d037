// SPDX-License-Identifier: BSD-3-Clause
// Outbound headers of bindings whose care-of address is IPv4, or that go through UDP: P9, P10, P13,
// P15. Of intercept and tunnel-out; what IPv6 in IPv6 costs stays in those.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>
#include <optional>

#include "dataplane/channel/counter.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/tunnel/family_change.hpp"

namespace homeport::tunnel {

/// How a tunnel packet to `binding`, found in `slot`, leaves now: its own encapsulation, or with
/// kBindingFollowForm the form of the last valid packet from there (mipv6.md section 5.3 rule 7).
[[nodiscard]] inline channel::Encapsulation current_form(const table::Tables& tables,
                                                         std::uint32_t slot,
                                                         const table::Binding& binding) {
    if ((binding.flags & channel::kBindingFollowForm) != 0 &&
        binding.encapsulation == channel::Encapsulation::kIpv4 && binding.udp_port != 0 &&
        tables.return_paths.in_udp(slot, binding)) {
        return channel::Encapsulation::kUdpIpv4;
    }
    return binding.encapsulation;
}

/// Largest inner packet that needs no outer fragmentation, in that form.
[[nodiscard]] inline std::uint16_t tunnel_mtu_now(const table::Tables& tables, std::uint32_t slot,
                                                  const table::Binding& binding) {
    if ((binding.flags & channel::kBindingFollowForm) == 0) [[likely]]
        return binding.tunnel_mtu();
    return static_cast<std::uint16_t>(binding.path_mtu -
                                      table::overhead_of(current_form(tables, slot, binding)));
}

/// Whether what tunnel-out does to packets of `binding` is to be done here.
[[nodiscard]] inline bool goes_by_dsmip(const table::Binding& binding) {
    return binding.encapsulation != channel::Encapsulation::kIpv6;
}

/// Where a packet with its outer headers on goes: over the binding's adjacency, unless its
/// destination is not the care-of address.
struct OuterDone {
    std::optional<channel::Counter> drop;  ///< it could not be done; the packet is to be dropped
    bool to_care_of_address = true;
};

/// P9, P10, P15: puts the tunnel headers before `packet`, and the family in its notes.
[[nodiscard]] OuterDone put_dsmip_headers(stage::Worker& worker, rte_mbuf* packet,
                                          const table::Binding& binding);
/// P13, behind IPsec: replaces the IPv6 header before ESP, or with kBindingNestedEsp puts UDP 4191
/// before it. For kUdpIpv6 sealed packets go as over IPv6 (mipv6.md section 5.4): not for here.
[[nodiscard]] OuterDone put_sealed_dsmip_headers(stage::Worker& worker, rte_mbuf* packet,
                                                 const table::Binding& binding);

/// Sealed packets without NAT follow the last authentic one, if the binding says so: in UDP where a
/// mapping is known, because a packet in IPv4 alone takes it back.
[[nodiscard]] inline bool seals_in_udp(const table::Binding& binding, bool mapped) {
    return binding.encapsulation == channel::Encapsulation::kUdpIpv4 ||
           ((binding.flags & channel::kBindingFollowForm) != 0 && mapped);
}

/// How ESP for a binding over IPv4, found in `slot`, leaves now.
struct SealedWay {
    bool known = false;  ///< false: in UDP, and the node's port for it has not been seen yet
    bool to_care_of_address = true;  ///< and not to another address of a NAT
    EspOverIpv4 outer;
};
[[nodiscard]] inline SealedWay sealed_way(const table::Tables& tables, std::uint32_t slot,
                                          const table::Binding& binding) {
    const auto mapping = tables.return_paths.esp_mapping(slot, binding);
    const Ipv4Address source = table::v4_of(binding.home_agent_address);
    const Ipv4Address care_of_address = table::v4_of(binding.care_of_address);
    if (!seals_in_udp(binding, mapping.has_value())) {
        return {true, true, {.source = source, .destination = care_of_address}};
    }
    if (!mapping) return {};
    return {true,
            mapping->address.host() == care_of_address.host(),
            {.source = source,
             .destination = mapping->address,
             .source_port = kNatTraversalPort,
             .destination_port = mapping->port}};
}

/// Octets that the outer headers of a sealed packet have more (or, below 0, less) than the IPv6
/// header that IPsec put on: what an SA's path MTU differs from the path's (S1.22).
[[nodiscard]] int sealed_overhead(const table::Tables& tables, std::uint32_t slot,
                                  const table::Binding& binding);

}  // namespace homeport::tunnel

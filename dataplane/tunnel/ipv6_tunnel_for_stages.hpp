// SPDX-License-Identifier: BSD-3-Clause
// The IPv6 tunnel header of a binding before a packet (P1, P14), for the two stages that put it on.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/stage/stage.hpp"
#include "dataplane/table/binding_table.hpp"
#include "dataplane/tunnel/encapsulate.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::tunnel {

/// Writes the header of `binding`'s tunnel right before the inner packet at `inner`, `length`
/// octets of IPv`family`, and makes the mbuf begin there. The caller has seen to the headroom.
inline void put_ipv6_tunnel_header(rte_mbuf* packet, const std::uint8_t* inner,
                                   std::uint16_t length, std::uint8_t family,
                                   const table::Binding& binding, std::uint8_t hop_limit) {
    const bool pipe = (binding.flags & channel::kBindingDscpPipe) != 0;
    const std::uint8_t traffic_class =
        outer_traffic_class(traffic_class_of(inner), pipe ? Dscp::kPipe : Dscp::kUniform);
    const auto offset = static_cast<std::uint16_t>(
        inner - static_cast<const std::uint8_t*>(packet->buf_addr) - kIpv6TunnelOverhead);
    packet->data_off = offset;
    set_length(packet, static_cast<std::uint16_t>(length + kIpv6TunnelOverhead));
    std::uint8_t* const outer = static_cast<std::uint8_t*>(packet->buf_addr) + offset;
    const std::uint64_t first =
        std::uint64_t{6} << 60 | std::uint64_t{traffic_class} << 52 | std::uint64_t{length} << 16 |
        std::uint64_t{number(family == 6 ? IpProtocol::kIpv6 : IpProtocol::kIpv4)} << 8 | hop_limit;
    store_be64(outer, first);
    std::memcpy(outer + offsetof(Ipv6Header, source), &binding.home_agent_address, 16);
    std::memcpy(outer + offsetof(Ipv6Header, destination), &binding.care_of_address, 16);
}

}  // namespace homeport::tunnel

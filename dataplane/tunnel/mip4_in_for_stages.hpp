// SPDX-License-Identifier: BSD-3-Clause
// What mip4-in asks about a packet in a Mobile IPv4 tunnel, and does to it. Not for others.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/base/ip_header.hpp"
#include "dataplane/channel/counter.hpp"
#include "dataplane/stage/stage.hpp"
#include "dataplane/table/tables.hpp"
#include "dataplane/tunnel/mip4_tunnel.hpp"

namespace homeport::tunnel {

/// A packet in a tunnel, as far as its headers say.
struct Mip4Arrival {
    rte_mbuf* packet = nullptr;
    channel::Encapsulation form = channel::Encapsulation::kIpv4;  // the one that it came in
    std::uint16_t offset = 0;  // of the inner IP header; with `minimal`: of that header
    std::uint16_t length = 0;  // octets of the inner packet
    std::uint16_t port = 0;    // UDP source, host order
    bool in_udp = false;
    MinimalHeader minimal{};  // `length` 0: there is none
    Ipv6Address key{};        // inner source, v4-mapped

    [[nodiscard]] const Ipv4Header& outer() const {
        return *reinterpret_cast<const Ipv4Header*>(stage::data(packet));
    }
    [[nodiscard]] const Ipv4Header& inner() const {
        return *reinterpret_cast<const Ipv4Header*>(stage::data(packet) + offset);
    }
    [[nodiscard]] Ipv4Address inner_source() const {
        if (minimal.length == 0) return inner().source;
        return minimal.has_source ? minimal.source : outer().source;
    }
    [[nodiscard]] Ipv4Address inner_destination() const {
        return minimal.length == 0 ? inner().destination : minimal.destination;
    }
};

[[nodiscard]] channel::Counter counter_of(GreError error);

/// First octets of UDP 434 that the control plane knows (mipv4.md section 1).
[[nodiscard]] bool is_mip4_message(int type);

/// Which of the bindings of a home address, the first of which is in `slot`, the outer header is
/// of: care-of address, home agent and, inside UDP, the port. kNoSlot: none.
[[nodiscard]] std::uint32_t binding_of_outer(const table::Tables& tables,
                                             const Mip4Arrival& arrival, std::uint32_t slot);

/// Whether it came as the node and its home agent have agreed. What is a fragment already may not
/// be encapsulated minimally, so it comes as IP in IP (RFC 2004 section 3).
[[nodiscard]] bool is_agreed_form(const Mip4Arrival& arrival, const table::Binding& binding);

/// An ICMP echo request to the home agent (RFC 3519 section 4.9).
[[nodiscard]] bool is_keepalive(const Mip4Arrival& arrival, const table::Binding& binding);
/// Whether the IPv4 packet that `packet` is now holds an echo request whose checksums are right.
[[nodiscard]] bool is_sound_echo(rte_mbuf* packet);
/// Makes the answer of it.
void make_echo_reply(rte_mbuf* packet, std::uint8_t ttl);

/// Leaves the inner packet, with notes of its own but for flags.
void strip_outer_headers(const Mip4Arrival& arrival);

/// For to-control: where the tunnel of the packet came from.
void note_tunnel_end(stage::PacketMeta& notes, const Ipv4Address& address, std::uint16_t port);

}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
// The stages that route, and those that speak about what cannot be routed. Paths P1, P2, P30.
//
// What they expect:
// * forward: an IP packet, notes with family. Whoever encapsulated sets kMetaEncapsulated,
//   `adjacency` if the binding has one, and `parameter` to the path MTU towards the destination
//   (0: that of the link alone). kMetaOriginated: made here. To a multicast or link-local
//   destination such a packet leaves by port `in_port`.
// * icmp-error: the packet as it came in, notes with reason (IcmpErrorKind), code, parameter and
//   drop, the counter under which it ends.
// * fragment: `parameter` is the MTU of each piece, `adjacency` the next hop.
// * reassemble: fragments to a home agent address. The worker's loop calls Reassembler::expire().
// * icmp-in: ICMPv6 errors to a home agent address, notes with upper_offset.
// * nd-proxy: Neighbor Solicitations and Advertisements with hop limit 255 that came in on a home
//   port, notes with upper_offset, Ethernet header intact; ARP from there, notes with family 0.
#pragma once

#include "dataplane/stage/stage.hpp"

namespace homeport::forward {

/// Route, hop limit, scope, MTU (P30 and everything that was decapsulated or encapsulated).
extern const stage::StageDescription kForwardStage;
/// Makes an ICMP error about a packet, which ends here.
extern const stage::StageDescription kIcmpErrorStage;
/// ICMP errors about our tunnels: learns the path MTU, relays (RFC 2473 section 8).
extern const stage::StageDescription kIcmpInStage;
/// Answers solicitations for bound addresses (RFC 6275 section 10.4.1), and ARP (RFC 5944 4.6).
extern const stage::StageDescription kNdProxyStage;
/// Fragments addressed to us become packets again (RFC 8200 section 4.5, RFC 815, RFC 5722).
extern const stage::StageDescription kReassembleStage;
/// Packets that are larger than their way allows, and that we may fragment.
extern const stage::StageDescription kFragmentStage;

}  // namespace homeport::forward

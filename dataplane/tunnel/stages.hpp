// SPDX-License-Identifier: BSD-3-Clause
// The stages of the tunnel module, and those that bring packets to it. Paths P1 to P15.
//
// What they expect of whoever injects packets:
// * express, parse: Ethernet frames of a port, notes from init_meta(); or bare IP packets that some
// stage
//   gave it back (the driver has counted their passes). Frames that the kernel sent by an
//   exception TAP have kMetaOriginated: those to bound addresses are tunnelled, all others leave
//   by port `in_port` as they are.
// * home-address: what ReplyToTable::take_waiting() gives, before each run.
// * ipsec-out: packets of the control plane in normal form, kMetaOriginated. If they have a
// reply-to
//   address it goes into ReplyToTable::set_reply() in the same run.
#pragma once

#include "dataplane/stage/stage.hpp"

namespace homeport::tunnel {

/// Ordinary IPv6 packets as parse, classify, intercept and forward would treat them; others go to
/// parse.
extern const stage::StageDescription kExpressStage;
/// Ethernet, the header walk, padding cut off.
extern const stage::StageDescription kParseStage;
/// What a packet is and whose.
extern const stage::StageDescription kClassifyStage;
/// What came over IPv4 or UDP: checks, IPv6 headers put back (P10, P13, P15).
extern const stage::StageDescription kDsmipInStage;
/// ESP of VPN clients: out of UDP 4500, and the packets that came out of it (P31).
extern const stage::StageDescription kVpnInStage;
/// Home Address option, and what may be a binding update in UDP over IPv4: record the wire source,
/// make normal form (P5, P11).
extern const stage::StageDescription kHomeAddressStage;
/// Reverse tunnels: check and strip (P2, P9, P10, P14).
extern const stage::StageDescription kTunnelInStage;
/// Mobile IPv4: reverse tunnels in their four forms, and messages (P21, P23, P25, P27, P28).
extern const stage::StageDescription kMip4InStage;
/// ESP for us; SPD check of signalling that is not ESP.
extern const stage::StageDescription kIpsecInStage;
/// Packets to bound addresses: TTL, loops, scope, MTU (P1, P14).
extern const stage::StageDescription kInterceptStage;
/// Packets to VPN clients: TTL, MTU, translation of the inner address (P32).
extern const stage::StageDescription kVpnOutStage;
/// SPD and protection of what goes to bound addresses, and of what the control plane sends.
extern const stage::StageDescription kIpsecOutStage;
/// Towards the care-of address: tunnel header, routing header or rewriting (P1, P3, P6, P9, P10,
/// P13 to P15).
extern const stage::StageDescription kTunnelOutStage;

}  // namespace homeport::tunnel

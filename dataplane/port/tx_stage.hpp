// SPDX-License-Identifier: BSD-3-Clause
// The last stage: Ethernet header by adjacency, then the port's queue of frames to send.
#pragma once

#include "dataplane/stage/stage.hpp"

namespace homeport::port {

/// Takes packets whose notes name a resolved `adjacency`, and frames (kMetaFrame) for `in_port`.
///
/// A stage that makes an IPv4 header may leave its checksum to this one: checksum field 0,
/// l3_len = length of the header, ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM. Hardware
/// or software, the result is the same.
extern const stage::StageDescription kTxStage;

/// Puts the checksum that was left to tx into the IPv4 header. For those that hand packets to
/// somebody else.
void finish_ipv4_checksum(rte_mbuf* packet);

}  // namespace homeport::port

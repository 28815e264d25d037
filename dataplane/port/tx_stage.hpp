// SPDX-License-Identifier: BSD-3-Clause
// The last stage: Ethernet header by adjacency, then the port's queue of frames to send.
#pragma once

#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"

namespace homeport::port {

/// Takes packets whose notes name a resolved `adjacency`, and frames (kMetaFrame) for `in_port`.
///
/// A stage that makes an IPv4 header may leave its checksum to this one: checksum field 0,
/// l3_len = length of the header, ol_flags |= RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM. One that
/// makes a UDP header over IPv6 may leave that checksum: the sum of the pseudo-header in the field,
/// l3_len = 40, ol_flags |= RTE_MBUF_F_TX_IPV6 | RTE_MBUF_F_TX_UDP_CKSUM. Hardware or software, the
/// result is the same.
extern const stage::StageDescription kTxStage;

/// Puts the checksums that were left to tx into the packet. For those that hand packets to somebody
/// else; stages that cut packets do the same (stage::finish_checksums).
inline void finish_checksums(rte_mbuf* packet) {
    stage::finish_checksums(packet);
}

}  // namespace homeport::port

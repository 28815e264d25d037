// SPDX-License-Identifier: BSD-3-Clause
// Binding updates over UDP and IPv4, and their answers, as far as stages have to do with them: P11
// before IPsec, P12 behind it. Of classify, home-address and tunnel-out; no stage of its own.
#pragma once

#include <cstdint>

#include "dataplane/base/byte_order.hpp"
#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"
#include "dataplane/tunnel/reply_to_table.hpp"

namespace homeport::tunnel {

/// For classify: whether `inner`, from UDP 4191, takes path P11. Its packet then goes to the stage
/// home-address as it is, from its IPv4 header on, `parameter` in its notes the octets from there
/// to `inner`; UDP length and checksum have been found right.
[[nodiscard]] bool takes_signalling_path(const stage::Worker& worker, ConstByteSpan inner);

/// For home-address: records where such a packet came from, and makes its normal form of it. True:
/// it goes to IPsec; false: it was given away.
[[nodiscard]] bool open_udp_signalling(stage::Worker& worker, rte_mbuf* packet, stage::Edges& out);

/// For tunnel-out: puts IPv4 and UDP headers before a message that goes to `reply` (P12). False: no
/// room, nothing changed.
[[nodiscard]] bool put_reply_headers(stage::Worker& worker, rte_mbuf* packet,
                                     const WireEndpoint& reply);

}  // namespace homeport::tunnel

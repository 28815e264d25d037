// SPDX-License-Identifier: BSD-3-Clause
// P29: broadcasts of a home link for Mobile IPv4 nodes that asked for them (flag B, RFC 5944
// section 4.3). Of classify and mip4-in.
#pragma once

#include <rte_mbuf.h>

#include <cstdint>

#include "dataplane/stage/worker.hpp"
#include "dataplane/table/tables.hpp"

namespace homeport::tunnel {

/// Whether any node of the link at `port` does.
[[nodiscard]] bool wants_broadcast(const table::Tables& tables, std::uint16_t port);

/// The copy of `broadcast` for `node`, for tunnel-out: hop limit decremented, and with a header to
/// the home address if the node does not end its tunnel itself. Null: no binding any more, or no
/// buffer, which is counted.
[[nodiscard]] rte_mbuf* broadcast_copy(stage::Worker& worker, rte_mbuf* broadcast,
                                       const table::BroadcastNodes::Node& node);

}  // namespace homeport::tunnel

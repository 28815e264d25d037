// SPDX-License-Identifier: BSD-3-Clause
// P29: broadcasts of a home link for Mobile IPv4 nodes that asked for them (flag B, RFC 5944
// section 4.3), and those that nodes send by their reverse tunnels. Of classify and mip4-in.
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

/// Whether a packet out of the reverse tunnel of `binding` is for all or many on its home link:
/// the broadcast address of that link or of any, or a group of more than one link (RFC 3024
/// section 5.3, RFC 5944 section 4.4). Never on a virtual one.
[[nodiscard]] bool is_for_home_link(const table::Tables& tables, const table::Binding& binding,
                                    const Ipv4Address& destination);
/// Makes a frame of the home link of it, hop limit decremented, to leave by notes.in_port as it
/// is. False: there is no room.
[[nodiscard]] bool make_home_link_frame(const stage::Worker& worker, rte_mbuf* packet,
                                        const table::Binding& binding);

}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
// Whether a received frame looks like signalling, before anything else is known of it: what the
// rules of dataplane/port/steering_rules.hpp say to hardware, said to a worker whose receive queue
// runs over. A wrong answer costs time, never correctness: every packet takes the same way after.
#pragma once

#include "dataplane/base/byte_order.hpp"
#include "dataplane/table/tables.hpp"

namespace homeport::core {

/// `frame` from its Ethernet header. Signalling is addressed to this host: what passes through does
/// not get before other traffic by its looks. ARP and neighbor discovery count as well, or a flood
/// of data would have neighbours forget us.
[[nodiscard]] bool looks_like_signalling(ConstByteSpan frame, const table::Tables& tables);

}  // namespace homeport::core

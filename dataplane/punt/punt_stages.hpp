// SPDX-License-Identifier: BSD-3-Clause
// Where packets leave the worker for the main lcore: to the control plane, and to the kernel.
#pragma once

#include <optional>

#include "dataplane/channel/messages.hpp"
#include "dataplane/stage/stage.hpp"

namespace homeport::punt {

/// Takes packets whose notes hold `reason` (channel::PuntReason), and `code` and `parameter` with
/// it. Those of the reasons kDuplicateAddress and kMldQuery get their Ethernet header back.
/// A message in normal form gets the record of its wire source, if one was made before IPsec;
/// without, Punt::recorded_source has family 0.
/// Policed by the worker's control_policer (punt.policed); a full ring drops (punt.full).
extern const stage::StageDescription kToControlStage;

/// Gives packets to the exception TAP of the port in their notes' `in_port`: who sends a packet
/// here because its next hop is not resolved sets that to the egress port. Without a port it is the
/// first one there is. Unless the received Ethernet header still stands, a new one is made.
/// Policed by the worker's kernel_policer (kernel.policed); a full ring drops (kernel.full).
extern const stage::StageDescription kToKernelStage;

/// For the main lcore: the event of a packet that came from Worker::to_control. The packet follows
/// in the mbuf; header and length are not yet filled in.
[[nodiscard]] channel::Punt punt_of(const rte_mbuf* packet);

}  // namespace homeport::punt

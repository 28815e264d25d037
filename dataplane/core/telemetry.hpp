// SPDX-License-Identifier: BSD-3-Clause
// /homeport/... commands of DPDK's telemetry socket, for when there is no control plane to ask:
// dpdk-telemetry.py -f FILE_PREFIX, then /homeport/counters, /homeport/stages, /homeport/ports.
#pragma once

#include <memory>
#include <vector>

#include "dataplane/channel/statistics_writer.hpp"
#include "dataplane/core/main_lcore.hpp"

namespace homeport::core {

/// Registers the commands; what is given must live until stop_telemetry().
void start_telemetry(const channel::StatisticsWriter& statistics,
                     const std::vector<std::unique_ptr<PortContext>>& ports);
/// From now on the commands answer with nothing.
void stop_telemetry();

}  // namespace homeport::core

// SPDX-License-Identifier: BSD-3-Clause
// What the configuration means to the protocol module and to the data plane.
#pragma once

#include "controlplane/core/port_map.hpp"
#include "controlplane/mip6/config.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/config/config.hpp"

namespace homeport::core {

/// Lifetimes of home prefixes count from `now`. Ports are the configuration's numbers.
[[nodiscard]] mip6::HomeAgentConfig home_agent_config(const config::ControlplaneConfig& config,
                                                      const PortMap& ports, mip6::TimePoint now);

[[nodiscard]] channel::ParametersSet parameters_of(const config::ControlplaneConfig& config);

/// Names of settings that differ and that only a restart puts in force.
[[nodiscard]] std::vector<std::string> restart_needed(const config::Config& running,
                                                      const config::Config& wanted);

}  // namespace homeport::core

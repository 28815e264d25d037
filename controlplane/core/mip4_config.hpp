// SPDX-License-Identifier: BSD-3-Clause
// What the configuration means to the home agents of Mobile IPv4, their keys included.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "controlplane/core/port_map.hpp"
#include "controlplane/mip4/agent_advertiser.hpp"
#include "controlplane/mip4/config.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/config/config.hpp"

namespace homeport::core {

/// One for each of `controlplane.mobile_ipv4`, in its order. Reads the key files; each error is a
/// sentence. Ports are the configuration's numbers.
[[nodiscard]] std::expected<std::vector<mip4::HomeAgentConfig>, std::vector<std::string>>
mip4_configs(const config::ControlplaneConfig& config, const PortMap& ports);

/// How the home agent advertises itself on that home link; of networks with an interval only.
[[nodiscard]] mip4::AdvertiserConfig advertiser_config(
    const config::Mip4HomeAgentConfig& agent, const config::Mip4HomeNetworkConfig& network);

/// What may be meant, and probably is not. Sentences.
[[nodiscard]] std::vector<std::string> doubts_about(const config::ControlplaneConfig& config);

[[nodiscard]] channel::Mip4Role mip4_role_of(config::Mip4Role role);

}  // namespace homeport::core

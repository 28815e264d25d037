// SPDX-License-Identifier: BSD-3-Clause
// What can be shown without the control plane: the data plane's statistics region, or if even that
// cannot be had, the telemetry socket that every DPDK program has.
#pragma once

#include <expected>
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace homeport::hactl {

struct DataPlanePlace {
    std::string channel_socket;
    std::string file_prefix;  // DPDK's, for the telemetry socket
};

/// True for commands whose data the data plane itself has.
[[nodiscard]] bool works_offline(const std::string& command);

/// The data of the reply, shaped like the control plane's. The error is a sentence.
[[nodiscard]] std::expected<nlohmann::json, std::string> offline_reply(
    const std::string& command, const nlohmann::json& arguments, const DataPlanePlace& place);

/// Asks DPDK's telemetry (v2) socket of this file prefix: "/ethdev/list", "/ethdev/stats,0".
[[nodiscard]] std::expected<nlohmann::json, std::string> ask_telemetry(
    const std::string& file_prefix, const std::string& command);

}  // namespace homeport::hactl

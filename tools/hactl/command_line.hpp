// SPDX-License-Identifier: BSD-3-Clause
// The command line of hactl, made from the command specifications.
#pragma once

#include <expected>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/management/command_spec.hpp"

namespace homeport::hactl {

struct Invocation {
    std::string socket;
    std::string channel;
    std::string file_prefix = "homeport";
    bool as_json = false;
    double watch_seconds = 0;  // 0: once

    /// A command of the control plane, or one of the local ones: "config check" with a file,
    /// "completion bash", "documents markdown", "documents man".
    std::string command;
    nlohmann::json arguments = nlohmann::json::object();
    bool is_local = false;
    std::string file;         // of config check
    bool check_keys = false;  // of config check
};

/// Text to print and the exit status when there is nothing to do: help, or wrong usage.
struct Ending {
    std::string text;
    int status = 0;
};

[[nodiscard]] std::expected<Invocation, Ending> parse_command_line(
    const std::vector<management::CommandSpec>& specs, int argc, const char* const* argv);

}  // namespace homeport::hactl

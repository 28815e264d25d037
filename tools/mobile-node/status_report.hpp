// SPDX-License-Identifier: BSD-3-Clause
// The mobile node's state as JSON, and for people.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "controlplane/mip6/mobile_node.hpp"
#include "dataplane/ipsec/sad.hpp"
#include "tools/mobile-node/attachment.hpp"
#include "tools/mobile-node/config.hpp"
#include "tools/mobile-node/counters.hpp"
#include "tools/mobile-node/data_path.hpp"
#include "tools/mobile-node/mobility.hpp"

namespace homeport::mobile_node {

struct StatusSource {
    const Config& config;
    const Mobility& mobility;
    const DataPath& data_path;
    const Counters& counters;
    std::vector<ipsec::SaStatus> associations;
    std::chrono::steady_clock::time_point now;
    std::chrono::steady_clock::time_point started;
};

/// One line of JSON.
[[nodiscard]] std::string status_json(const StatusSource& source);
/// One line of JSON: "event", "text", "time" in seconds since 1970, "state" and where we are.
[[nodiscard]] std::string event_json(const char* event, const std::string& text,
                                     const Mobility& mobility);

/// What status_json() said, as a few lines for people. Throws what the JSON library throws.
[[nodiscard]] std::string status_text(const std::string& json);
/// What event_json() said, as one line.
[[nodiscard]] std::string event_text(const std::string& json);

/// The error in a reply; empty if there is none.
[[nodiscard]] std::string error_text(const std::string& json);

}  // namespace homeport::mobile_node

// SPDX-License-Identifier: BSD-3-Clause
// The state of a Mobile IPv4 node as JSON, and for people.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "controlplane/mip4/mobile_node.hpp"
#include "dataplane/ipsec/sad.hpp"
#include "tools/mobile-node/counters.hpp"
#include "tools/mobile-node/mip4/config.hpp"
#include "tools/mobile-node/mip4/layers.hpp"
#include "tools/mobile-node/mip4/user_path.hpp"

namespace homeport::mobile_node {

/// A time without a way for user data.
struct Mip4Handover {
    std::string from;  // mode before; "none" at the start
    std::string to;
    std::chrono::milliseconds took{0};
    std::uint64_t lost = 0;  // packets of applications
};

struct Mip4StatusSource {
    const Mip4Config& config;
    const mip4::MobileNode& node;
    const UserPath& path;
    const Layers& layers;
    const Counters& counters;
    std::vector<ipsec::SaStatus> associations;
    unsigned esp_overhead = 0;
    std::map<int, std::string> names;  // of interfaces
    const std::deque<Mip4Handover>& handovers;
    mip4::TimePoint now;
    std::chrono::steady_clock::time_point started;
};

/// One line of JSON, with "mobile_ipv4": true.
[[nodiscard]] std::string mip4_status_json(const Mip4StatusSource& source);
/// A line for those who watch.
[[nodiscard]] std::string mip4_event_json(const char* event, const std::string& text,
                                          const std::string& state);
/// What mip4_status_json() said, for people. Throws what the JSON library throws.
[[nodiscard]] std::string mip4_status_text(const std::string& json);

}  // namespace homeport::mobile_node

// SPDX-License-Identifier: BSD-3-Clause
// What `homeport-fa status` shows.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "controlplane/mip4/agent_advertiser.hpp"
#include "controlplane/mip4/foreign_agent.hpp"

namespace homeport::foreign_agent {

struct StatusSource {
    const mip4::ForeignAgentService& service;
    const mip4::ForeignAgentCounters& counters;
    struct Link {
        std::string name;
        const mip4::AgentAdvertiser* advertiser = nullptr;
    };
    std::vector<Link> links;
    mip4::TimePoint now{};
    mip4::TimePoint started{};
};

/// One line of JSON.
[[nodiscard]] std::string status_json(const StatusSource& source);
/// The same for people.
[[nodiscard]] std::string status_text(const std::string& json);
/// The "error" of a reply; empty: none.
[[nodiscard]] std::string error_of(const std::string& json);

}  // namespace homeport::foreign_agent

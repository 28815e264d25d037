// SPDX-License-Identifier: BSD-3-Clause
// Log lines of the foreign agent, each with an id that keeps its meaning:
// docs/messages-foreign-agent.md has a paragraph for each.
#pragma once

#include <spdlog/spdlog.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "tools/foreign-agent/ipv4_packet.hpp"

namespace homeport::foreign_agent {

// clang-format off
#define HOMEPORT_FOREIGN_AGENT_MESSAGES(X) \
    X(kStarts, 1, kInfo) \
    X(kStops, 2, kInfo) \
    X(kBadConfiguration, 3, kError) \
    X(kCannotStart, 4, kError) \
    X(kReloaded, 5, kInfo) \
    X(kNeedsRestart, 6, kWarning) \
    X(kRegistered, 10, kInfo) \
    X(kGone, 11, kInfo) \
    X(kDenied, 12, kInfo) \
    X(kSecurity, 13, kWarning) \
    X(kReplaced, 14, kWarning) \
    X(kKeepalivesLost, 15, kWarning) \
    X(kLargeFrame, 16, kWarning) \
    X(kSocket, 17, kError) \
    X(kRule, 18, kError) \
    X(kHeldBack, 60, kWarning)
// clang-format on

enum class Message : std::uint16_t {
#define X(id, number, level) id = number,
    HOMEPORT_FOREIGN_AGENT_MESSAGES(X)
#undef X
};

/// Writes lines; those that a packet can cause 20 a second at most.
class Log {
  public:
    void write(Message message, std::string_view text);
    /// The same, held back if there were too many.
    void write_limited(Message message, std::string_view text);

  private:
    Limiter limiter_{20, 20};
    std::uint64_t held_back_ = 0;
};

}  // namespace homeport::foreign_agent

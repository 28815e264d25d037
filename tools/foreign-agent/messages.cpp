// SPDX-License-Identifier: BSD-3-Clause
#include "tools/foreign-agent/messages.hpp"

#include <chrono>
#include <utility>

namespace homeport::foreign_agent {

namespace {

enum class Level : std::uint8_t { kInfo, kWarning, kError };

Level level_of(Message message) {
    switch (message) {
#define X(id, number, level) \
    case Message::id:        \
        return Level::level;
        HOMEPORT_FOREIGN_AGENT_MESSAGES(X)
#undef X
    }
    return Level::kError;
}

}  // namespace

void Log::write(Message message, std::string_view text) {
    const auto line = fmt::format("HP-FA-{:04} {}", static_cast<unsigned>(message), text);
    switch (level_of(message)) {
        case Level::kInfo:
            return spdlog::info("{}", line);
        case Level::kWarning:
            return spdlog::warn("{}", line);
        case Level::kError:
            return spdlog::error("{}", line);
    }
}

void Log::write_limited(Message message, std::string_view text) {
    if (!limiter_.take(std::chrono::steady_clock::now())) {
        ++held_back_;
        return;
    }
    if (held_back_ > 0) {
        const auto count = std::exchange(held_back_, 0);
        write(Message::kHeldBack, fmt::format("{} lines were held back", count));
    }
    write(message, text);
}

}  // namespace homeport::foreign_agent

// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/core/log.hpp"

#include <rte_log.h>
#include <time.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "dataplane/stage/guard.hpp"

namespace homeport::core {

namespace {

constexpr auto kMessages = std::to_array<MessageDescription>({
#define HOMEPORT_MESSAGE_ROW(id, number, severity, meaning) \
    {Message::id, Severity::severity, meaning},
    HOMEPORT_DATAPLANE_MESSAGES(HOMEPORT_MESSAGE_ROW)
#undef HOMEPORT_MESSAGE_ROW
});

int g_log_type = RTE_LOGTYPE_USER1;

Severity severity_of(Message message) {
    for (const MessageDescription& description : kMessages) {
        if (description.message == message) return description.severity;
    }
    return Severity::kError;
}

struct Level {
    std::uint32_t dpdk;
    const char* name;
};
Level level_of(Severity severity) {
    switch (severity) {
        case Severity::kDebug:
            return {RTE_LOG_DEBUG, "debug"};
        case Severity::kInfo:
            return {RTE_LOG_INFO, "info"};
        case Severity::kWarning:
            return {RTE_LOG_WARNING, "warning"};
        case Severity::kError:
            break;
    }
    return {RTE_LOG_ERR, "error"};
}

}  // namespace

std::span<const MessageDescription> all_messages() {
    return kMessages;
}

void start_log() {
    stage::guard_log();
    const int type = rte_log_register_type_and_pick_level("homeport", RTE_LOG_INFO);
    if (type >= 0) g_log_type = type;
}

void log(Message message, std::string_view text) {
    const Level level = level_of(severity_of(message));
    std::array<char, 32> when{};
    // The journal has its own clock.
    static const bool in_journal = std::getenv("JOURNAL_STREAM") != nullptr;  // NOLINT
    if (!in_journal) {
        const time_t now = time(nullptr);
        tm parts{};
        gmtime_r(&now, &parts);
        strftime(when.data(), when.size(), "%Y-%m-%dT%H:%M:%SZ ", &parts);
    }
    rte_log(level.dpdk, static_cast<std::uint32_t>(g_log_type), "%sHP-DP-%04u %s: %.*s\n",
            when.data(), static_cast<unsigned>(message), level.name, static_cast<int>(text.size()),
            text.data());
}

}  // namespace homeport::core

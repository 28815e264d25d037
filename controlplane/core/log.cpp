// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/core/log.hpp"

#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

namespace homeport::core {

namespace {

struct MessageRow {
    Message message;
    Level level;
};
constexpr MessageRow kRows[] = {
#define HOMEPORT_MESSAGE_ROW(name, number, level) {Message::name, Level::level},
    HOMEPORT_MESSAGES(HOMEPORT_MESSAGE_ROW)
#undef HOMEPORT_MESSAGE_ROW
};

spdlog::level::level_enum spdlog_level(Level level) {
    static constexpr std::array kLevels{spdlog::level::debug, spdlog::level::info,
                                        spdlog::level::warn, spdlog::level::err};
    return kLevels.at(static_cast<std::size_t>(level));
}

// What the journal reads at the start of a line of standard error (sd-daemon(3)).
const char* journal_priority(Level level) {
    static constexpr std::array kPriorities{"<7>", "<6>", "<4>", "<3>"};
    return kPriorities.at(static_cast<std::size_t>(level));
}

std::string one_line(std::string_view text) {
    std::string out(text.substr(0, 4000));
    std::ranges::replace_if(
        out,
        [](char c) {
            const auto octet = static_cast<unsigned char>(c);
            return octet < 0x20 || octet == 0x7f;
        },
        ' ');
    return out;
}

}  // namespace

Level level_of(Message message) {
    for (const auto& [candidate, level] : kRows) {
        if (candidate == message) return level;
    }
    return Level::kError;
}

std::string id_of(Message message) {
    const std::string digits = std::to_string(static_cast<unsigned>(message));
    return "HP-CP-" + std::string(4 - std::min<std::size_t>(4, digits.size()), '0') + digits;
}

struct Log::Sink {
    spdlog::logger logger;
    bool to_journal = false;

    void put(Level level, const std::string& text) {
        logger.log(spdlog_level(level), "{}{}", to_journal ? journal_priority(level) : "", text);
    }
};

Log::Log(std::unique_ptr<Sink> sink) : sink_(std::move(sink)) {}
Log::~Log() = default;

std::expected<std::unique_ptr<Log>, std::string> Log::open(const config::LogConfig& config) {
    try {
        spdlog::sink_ptr target;
        if (config.target == config::LogTarget::kFile) {
            target = std::make_shared<spdlog::sinks::rotating_file_sink_st>(
                config.file, std::size_t{config.rotate_mb} << 20, config.rotate_files);
        } else {
            target = std::make_shared<spdlog::sinks::stderr_sink_st>();
        }
        const bool to_journal = config.target == config::LogTarget::kJournal;
        auto sink = std::make_unique<Sink>(Sink{spdlog::logger("homeport", target), to_journal});
        sink->logger.set_pattern(to_journal ? "%v" : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
        sink->logger.flush_on(spdlog::level::debug);
        auto log = std::unique_ptr<Log>(new Log(std::move(sink)));
        log->set_level(config.level);
        return log;
    } catch (const spdlog::spdlog_ex& error) {
        return std::unexpected("cannot open the log " + config.file + ": " + error.what());
    }
}

void Log::set_level(config::LogLevel level) {
    static constexpr std::array kLevels{Level::kDebug, Level::kInfo, Level::kWarning,
                                        Level::kError};
    level_ = kLevels.at(static_cast<std::size_t>(level));
    sink_->logger.set_level(spdlog_level(level_));
}

void Log::write(Message message, std::string_view text) {
    const Level level = level_of(message);
    if (level < level_) return;
    sink_->put(level, id_of(message) + " " + one_line(text));
}

bool Log::admits(Message message) {
    if (level_of(message) < level_) return false;
    const auto now = std::chrono::steady_clock::now();
    Budget& budget = budgets_[message];
    if (now - budget.since >= std::chrono::seconds(1)) {
        budget.since = now;
        budget.lines = 0;
    }
    if (budget.lines >= kLinesPerSecond) {
        ++budget.suppressed;
        return false;
    }
    ++budget.lines;
    return true;
}

void Log::debug(std::string_view text) {
    if (is_debug()) sink_->put(Level::kDebug, one_line(text));
}

void Log::flush_suppressed() {
    for (auto& [message, budget] : budgets_) {
        if (budget.suppressed == 0) continue;
        write(Message::kSuppressed, std::to_string(budget.suppressed) + " more lines of " +
                                        id_of(message) + " were held back");
        budget.suppressed = 0;
    }
}

}  // namespace homeport::core

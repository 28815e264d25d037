// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace homeport::mobile_node {

void start_log(config::LogLevel level) {
    spdlog::set_default_logger(spdlog::stderr_logger_st("homeport-mn"));
    spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
    spdlog::flush_on(spdlog::level::trace);
    set_log_level(level);
}

void set_log_level(config::LogLevel level) {
    switch (level) {
        case config::LogLevel::kDebug:
            return spdlog::set_level(spdlog::level::debug);
        case config::LogLevel::kInfo:
            return spdlog::set_level(spdlog::level::info);
        case config::LogLevel::kWarning:
            return spdlog::set_level(spdlog::level::warn);
        case config::LogLevel::kError:
            return spdlog::set_level(spdlog::level::err);
    }
}

}  // namespace homeport::mobile_node

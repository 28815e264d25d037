// SPDX-License-Identifier: BSD-3-Clause
// The log. What a packet or a peer can cause goes through limited(), so that nobody can fill a
// disk.
#pragma once

#include <chrono>
#include <expected>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "controlplane/core/messages.hpp"
#include "dataplane/config/config.hpp"

namespace homeport::core {

class Log {
  public:
    /// Lines of one id in a second before limited() holds them back.
    static constexpr unsigned kLinesPerSecond = 20;

    /// The error is a sentence: the file cannot be opened.
    [[nodiscard]] static std::expected<std::unique_ptr<Log>, std::string> open(
        const config::LogConfig& config);
    ~Log();
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    /// One line; control characters in `text` are replaced.
    void write(Message message, std::string_view text);
    /// The same, but what is over the limit is counted and told once a second or later.
    void limited(Message message, std::string_view text) {
        if (admits(message)) write(message, text);
    }
    /// Likewise; `text()` is asked for only if the line is written.
    template <class Text>
        requires std::is_invocable_r_v<std::string, Text>
    void limited(Message message, Text&& text) {
        if (admits(message)) write(message, text());
    }
    /// Without an id; nothing unless the level is debug.
    void debug(std::string_view text);
    [[nodiscard]] bool is_debug() const { return level_ == Level::kDebug; }
    /// Tells what limited() held back. To be called about once a second.
    void flush_suppressed();
    void set_level(config::LogLevel level);

  private:
    [[nodiscard]] bool admits(Message message);

    struct Sink;
    struct Budget {
        std::chrono::steady_clock::time_point since{};
        unsigned lines = 0;
        std::uint64_t suppressed = 0;
    };
    explicit Log(std::unique_ptr<Sink> sink);

    std::unique_ptr<Sink> sink_;
    Level level_ = Level::kInfo;
    std::map<Message, Budget> budgets_;
};

}  // namespace homeport::core

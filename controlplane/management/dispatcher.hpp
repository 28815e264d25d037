// SPDX-License-Identifier: BSD-3-Clause
// From the line of a request to the line of its reply. No I/O.
//
//   request  {"command": "show bindings", "arguments": {"limit": 10}}
//   reply    {"result": 0, "data": {...}}
//            {"result": 1, "error": {"code": "not_found", "text": "...", "details": [...]}}
#pragma once

#include <expected>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/management/command_spec.hpp"

namespace homeport::management {

class Dispatcher {
  public:
    /// `arguments` were checked and hold the defaults.
    using Handler =
        std::function<std::expected<nlohmann::json, CommandError>(const nlohmann::json& arguments)>;

    static constexpr std::size_t kMostReplyOctets = std::size_t{16} << 20;

    Dispatcher();
    Dispatcher(const Dispatcher&) = delete;
    Dispatcher& operator=(const Dispatcher&) = delete;

    /// Precondition: there is a specification of this name.
    void handle(const std::string& command, Handler handler);
    /// Commands that are specified but that nobody handles.
    [[nodiscard]] std::vector<std::string> unhandled() const;
    [[nodiscard]] const std::vector<CommandSpec>& specs() const { return specs_; }

    /// The reply to one request line, without a line end. Never throws; a reply that would be
    /// longer than kMostReplyOctets is replaced by an error.
    [[nodiscard]] std::string answer(std::string_view line) const;

    /// The name of the command in a request, for the log; empty if there is none.
    [[nodiscard]] static std::string command_of(std::string_view line);

  private:
    [[nodiscard]] std::expected<nlohmann::json, CommandError> carry_out(
        std::string_view line) const;

    std::vector<CommandSpec> specs_;
    std::map<std::string, Handler> handlers_;
};

/// One line, without a line end.
[[nodiscard]] std::string error_reply(const CommandError& error);

}  // namespace homeport::management

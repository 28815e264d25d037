// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/management/dispatcher.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace homeport::management {

namespace {

using nlohmann::json;

std::string one_line(const json& reply) {
    return reply.dump(-1, ' ', false, json::error_handler_t::replace);
}

json parse(std::string_view line) {
    return json::parse(line.begin(), line.end(), nullptr, false);
}

}  // namespace

std::string error_reply(const CommandError& error) {
    json body{{"code", error.code}, {"text", error.text}};
    if (!error.details.empty()) body["details"] = error.details;
    return one_line({{"result", 1}, {"error", std::move(body)}});
}

Dispatcher::Dispatcher() : specs_(load_command_specs()) {
    handle("list commands", [this](const json&) -> std::expected<json, CommandError> {
        json commands = json::array();
        for (const CommandSpec& spec : specs_) commands.push_back(json::parse(spec.text));
        return json{{"commands", std::move(commands)}};
    });
}

void Dispatcher::handle(const std::string& command, Handler handler) {
    handlers_[command] = std::move(handler);
}

std::vector<std::string> Dispatcher::unhandled() const {
    std::vector<std::string> names;
    for (const CommandSpec& spec : specs_) {
        if (!handlers_.contains(spec.name)) names.push_back(spec.name);
    }
    return names;
}

std::string Dispatcher::command_of(std::string_view line) {
    const json request = parse(line);
    if (!request.is_object()) return "";
    const auto it = request.find("command");
    if (it == request.end() || !it->is_string()) return "";
    return it->get<std::string>().substr(0, 64);
}

std::expected<json, CommandError> Dispatcher::carry_out(std::string_view line) const {
    const json request = parse(line);
    if (!request.is_object()) {
        return std::unexpected(
            CommandError{"bad_request",
                         "found a line that is not a JSON object, expected {\"command\": ...}",
                         {}});
    }
    for (const auto& [name, value] : request.items()) {
        if (name != "command" && name != "arguments") {
            return std::unexpected(CommandError{"bad_request",
                                                "found the member '" + name.substr(0, 60) +
                                                    "', expected command and arguments only",
                                                {}});
        }
    }
    const auto command = request.find("command");
    if (command == request.end() || !command->is_string()) {
        return std::unexpected(CommandError{
            "bad_request", "found no command, expected a member 'command' that is text", {}});
    }
    const auto& name = command->get_ref<const std::string&>();
    const auto spec = std::ranges::find(specs_, name, &CommandSpec::name);
    const auto handler = handlers_.find(name);
    if (spec == specs_.end() || handler == handlers_.end()) {
        return std::unexpected(CommandError{
            "unknown_command",
            "found the command '" + name.substr(0, 60) + "', expected one of `list commands`",
            {}});
    }
    auto arguments = check_arguments(*spec, request.value("arguments", json()));
    if (!arguments) return std::unexpected(std::move(arguments.error()));
    return handler->second(*arguments);
}

std::string Dispatcher::answer(std::string_view line) const {
    try {
        auto data = carry_out(line);
        if (!data) return error_reply(data.error());
        std::string reply = one_line({{"result", 0}, {"data", std::move(*data)}});
        if (reply.size() <= kMostReplyOctets) return reply;
        return error_reply({"too_large",
                            "the reply would be longer than 16 MiB, expected a "
                            "smaller limit",
                            {}});
    } catch (const std::exception& error) {
        return error_reply({"internal", std::string("the command failed: ") + error.what(), {}});
    }
}

}  // namespace homeport::management

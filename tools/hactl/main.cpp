// SPDX-License-Identifier: BSD-3-Clause
// hactl: the operator's tool. Exit status: 0 done, 1 the command failed, 2 wrong usage, 3 the
// control plane cannot be reached.
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "controlplane/ipsec/sa_source.hpp"
#include "controlplane/management/command_spec.hpp"
#include "dataplane/config/config.hpp"
#include "dataplane/ipsec/algorithm.hpp"
#include "tools/hactl/command_line.hpp"
#include "tools/hactl/connection.hpp"
#include "tools/hactl/documents.hpp"
#include "tools/hactl/offline.hpp"
#include "tools/hactl/render.hpp"
#include "tools/hactl/table.hpp"

namespace homeport::hactl {
namespace {

using nlohmann::json;

enum ExitStatus { kDone = 0, kFailed = 1, kUsage = 2, kUnreachable = 3 };

volatile sig_atomic_t g_interrupted = 0;

void on_interrupt(int) {
    g_interrupted = 1;
}

struct Outcome {
    int status = kDone;
    json data;
    std::string problem;  // for stderr
};

Outcome failed(const json& error) {
    std::string text = "error: " + error.value("text", std::string("the command failed")) + " (" +
                       error.value("code", std::string("?")) + ")";
    for (const json& detail : error.value("details", json::array())) {
        text += "\n  " + (detail.is_string() ? detail.get<std::string>() : detail.dump());
    }
    return {kFailed, nullptr, printable(text)};
}

std::expected<json, std::string> ask(Connection& connection, const Invocation& invocation,
                                     const json& arguments) {
    auto line =
        connection.ask(json{{"command", invocation.command}, {"arguments", arguments}}.dump());
    if (!line) return std::unexpected(line.error());
    json reply = json::parse(*line, nullptr, false);
    if (!reply.is_object() || !reply.contains("result")) {
        return std::unexpected("found a reply that is not understood");
    }
    return reply;
}

// The member of a reply that is a list of pages, if it has one.
json* paged_list(json& data) {
    if (!data.contains("next")) return nullptr;
    for (auto& member : data) {
        if (member.is_array()) return &member;
    }
    return nullptr;
}

// All pages of a list, unless the user asked for some of it.
std::expected<json, std::string> ask_for_all(Connection& connection, const Invocation& invocation) {
    auto reply = ask(connection, invocation, invocation.arguments);
    if (!reply || (*reply)["result"] != 0 || invocation.arguments.contains("limit")) return reply;
    json& data = (*reply)["data"];
    json* const list = paged_list(data);
    while (list != nullptr && !data["next"].is_null() && g_interrupted == 0) {
        json arguments = invocation.arguments;
        arguments["after"] = data["next"];
        auto more = ask(connection, invocation, arguments);
        if (!more || (*more)["result"] != 0) return more;
        json& page = (*more)["data"];
        json* const rows = paged_list(page);
        if (rows == nullptr || rows->empty()) break;
        for (json& row : *rows) list->push_back(std::move(row));
        data["next"] = page["next"];
    }
    return reply;
}

Outcome without_control_plane(const Invocation& invocation, const std::string& reason) {
    const std::string problem =
        "the control plane does not answer at " + invocation.socket + ": " + reason;
    if (!works_offline(invocation.command)) return {kUnreachable, nullptr, "error: " + problem};
    auto data = offline_reply(invocation.command, invocation.arguments,
                              {invocation.channel, invocation.file_prefix});
    if (!data) return {kUnreachable, nullptr, "error: " + problem + "\nerror: " + data.error()};
    return {kUnreachable, std::move(*data),
            "warning: " + problem + "\nwarning: this is what the data plane says itself"};
}

Outcome carry_out(const Invocation& invocation) {
    auto connection = Connection::open(invocation.socket, std::chrono::seconds(10));
    if (!connection) return without_control_plane(invocation, connection.error());
    const auto reply = ask_for_all(*connection, invocation);
    if (!reply) return without_control_plane(invocation, reply.error());
    if ((*reply)["result"] != 0) return failed(reply->value("error", json::object()));
    Outcome outcome{kDone, reply->value("data", json::object()), ""};
    if (invocation.command == "config check" && !outcome.data.value("valid", false)) {
        outcome.status = kFailed;
    }
    return outcome;
}

void show(const Invocation& invocation, const Outcome& outcome) {
    if (!outcome.problem.empty()) std::cerr << outcome.problem << '\n';
    if (outcome.data.is_null()) return;
    if (invocation.as_json) {
        std::cout << outcome.data.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
    } else {
        std::cout << render(invocation.command, outcome.data);
    }
    std::cout.flush();
}

void pause_for(double seconds) {
    double whole = 0;
    const double rest = std::modf(seconds, &whole);
    const timespec wait{static_cast<time_t>(whole), static_cast<long>(rest * 1e9)};
    ::nanosleep(&wait, nullptr);  // a signal ends it
}

int watch(const Invocation& invocation) {
    struct sigaction action{};
    action.sa_handler = on_interrupt;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
    const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
    int status = kDone;
    while (g_interrupted == 0) {
        const Outcome outcome = carry_out(invocation);
        if (is_terminal && !invocation.as_json) std::cout << "\033[H\033[2J";
        show(invocation, outcome);
        if (!std::cout) break;
        status = outcome.status;
        pause_for(invocation.watch_seconds);
    }
    return status;
}

int check_file(const Invocation& invocation) {
    std::vector<std::string_view> algorithms;
    for (const auto& info : ipsec::all_algorithms()) algorithms.push_back(info.name);
    const auto config = config::load_file(invocation.file, algorithms);
    std::vector<std::string> errors;
    if (!config) {
        for (const auto& error : config.error()) errors.push_back(error.to_string());
    } else if (invocation.check_keys) {
        auto source = sa::StaticSaSource::load(config->controlplane);
        if (!source) errors = std::move(source.error());
    }
    const json data{{"file", invocation.file}, {"valid", errors.empty()}, {"errors", errors}};
    show(invocation, {kDone, data, ""});
    return errors.empty() ? kDone : kFailed;
}

int run_locally(const Invocation& invocation, const Specs& specs) {
    if (invocation.command == "config check") return check_file(invocation);
    if (invocation.command == "completion bash") {
        std::cout << bash_completion(specs);
    } else if (invocation.command == "documents man") {
        std::cout << manual_page(specs);
    } else {
        std::cout << commands_markdown(specs);
    }
    return kDone;
}

int run(int argc, const char* const* argv) {
    const Specs specs = management::load_command_specs();
    const auto invocation = parse_command_line(specs, argc, argv);
    if (!invocation) {
        const Ending& ending = invocation.error();
        (ending.status == 0 ? std::cout : std::cerr) << ending.text;
        return ending.status;
    }
    if (invocation->is_local) return run_locally(*invocation, specs);
    if (invocation->watch_seconds > 0) return watch(*invocation);
    const Outcome outcome = carry_out(*invocation);
    show(*invocation, outcome);
    return outcome.status;
}

}  // namespace
}  // namespace homeport::hactl

int main(int argc, char** argv) {
    try {
        return homeport::hactl::run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
}

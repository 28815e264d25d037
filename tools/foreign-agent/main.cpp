// SPDX-License-Identifier: BSD-3-Clause
// homeport-fa: a small foreign agent of Mobile IPv4.
#include <CLI/CLI.hpp>
#include <iostream>

#include "tools/foreign-agent/app.hpp"
#include "tools/foreign-agent/config.hpp"
#include "tools/foreign-agent/status_report.hpp"
#include "tools/mobile-node/log.hpp"
#include "tools/mobile-node/status_client.hpp"

namespace {

using namespace homeport;

constexpr int kBadConfiguration = 2;
constexpr const char* kName = "homeport-fa";

int run(const std::string& file) {
    const auto config = foreign_agent::load_file(file);
    if (!config) {
        std::cerr << config::to_string(config.error()) << "\n";
        return kBadConfiguration;
    }
    mobile_node::start_log(config->log_level);
    auto app = foreign_agent::App::create(*config);
    if (!app) {
        foreign_agent::Log().write(foreign_agent::Message::kCannotStart, app.error().text);
        return 1;
    }
    (*app)->run();
    return 0;
}

int check(const std::string& file) {
    const auto config = foreign_agent::load_file(file);
    if (!config) {
        std::cerr << config::to_string(config.error()) << "\n";
        return kBadConfiguration;
    }
    std::cout << file << ": no errors\n";
    return 0;
}

// The socket of the configuration; its default when there is no (good) configuration.
std::string socket_of(const std::string& file, const std::string& given) {
    if (!given.empty()) return given;
    const auto config = foreign_agent::load_file(file);
    return config ? config->status_socket : std::string(foreign_agent::kDefaultStatusSocket);
}

int show_status(const std::string& socket, bool json) {
    const auto line = mobile_node::ask(socket, "status", kName);
    if (line) std::cout << (json ? *line + "\n" : foreign_agent::status_text(*line));
    return line ? 0 : 1;
}

int revoke(const std::string& socket, const std::string& home_address) {
    const auto line = mobile_node::ask(socket, "revoke " + home_address, kName);
    if (!line) return 1;
    const std::string problem = foreign_agent::error_of(*line);
    if (!problem.empty()) std::cerr << kName << ": " << problem << "\n";
    return problem.empty() ? 0 : 1;
}

int command_line(int argc, char** argv) {
    CLI::App cli("The Homeport foreign agent (RFC 5944): without a command it runs until SIGTERM.",
                 kName);
    cli.set_version_flag("--version", "homeport-fa " HOMEPORT_VERSION);
    std::string file{foreign_agent::kDefaultFile};
    std::string socket;
    std::string home_address;
    bool only_check = false;
    bool json = false;
    cli.add_option("-c,--config", file, "configuration file")->capture_default_str();
    cli.add_flag("--check", only_check, "read the configuration file, say what is wrong, and end");
    cli.add_option("--socket", socket, "status socket, instead of the configuration's");
    CLI::App* status = cli.add_subcommand("status", "show links, visitors and counters");
    status->fallthrough();
    status->add_flag("--json", json, "for programs");
    CLI::App* end = cli.add_subcommand("revoke", "end a visitor's registration");
    end->fallthrough();
    end->add_option("home_address", home_address, "of the visitor")->required();
    CLI11_PARSE(cli, argc, argv);
    if (status->parsed()) return show_status(socket_of(file, socket), json);
    if (end->parsed()) return revoke(socket_of(file, socket), home_address);
    return only_check ? check(file) : run(file);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return command_line(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "homeport-fa: " << error.what() << "\n";
        return 1;
    }
}

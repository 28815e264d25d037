// SPDX-License-Identifier: BSD-3-Clause
// homeport-mn: the reference mobile node.
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <iostream>

#include "tools/mobile-node/app.hpp"
#include "tools/mobile-node/config.hpp"
#include "tools/mobile-node/log.hpp"
#include "tools/mobile-node/mip4/app.hpp"
#include "tools/mobile-node/status_client.hpp"

namespace {

using namespace homeport;

constexpr int kBadConfiguration = 2;

int run_mip4(const mobile_node::Config& config) {
    auto app = mobile_node::Mip4App::create(config);
    if (!app) {
        spdlog::error("{}", app.error().text);
        return 1;
    }
    (*app)->run();
    return 0;
}

int run(const std::string& file) {
    const auto config = mobile_node::load_file(file);
    if (!config) {
        std::cerr << config::to_string(config.error()) << "\n";
        return kBadConfiguration;
    }
    mobile_node::start_log(config->log_level);
    if (config->mobile_ipv4) return run_mip4(*config);
    auto app = mobile_node::App::create(*config);
    if (!app) {
        spdlog::error("{}", app.error().text);
        return 1;
    }
    (*app)->run();
    return 0;
}

int check(const std::string& file) {
    const auto config = mobile_node::load_file(file);
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
    const auto config = mobile_node::load_file(file);
    return config ? config->status_socket : std::string(mobile_node::kDefaultStatusSocket);
}

int command_line(int argc, char** argv) {
    CLI::App cli(
        "The Homeport mobile node (RFC 6275; RFC 5944 with mobile_ipv4): without a command it runs "
        "until SIGTERM.",
        "homeport-mn");
    cli.set_version_flag("--version", "homeport-mn " HOMEPORT_VERSION);
    std::string file{mobile_node::kDefaultFile};
    std::string socket;
    bool only_check = false;
    bool json = false;
    cli.add_option("-c,--config", file, "configuration file")->capture_default_str();
    cli.add_flag("--check", only_check, "read the configuration file, say what is wrong, and end");
    cli.add_option("--socket", socket, "status socket, instead of the configuration's");
    CLI::App* status = cli.add_subcommand("status", "show the state of a running mobile node");
    CLI::App* solicit = cli.add_subcommand(
        "solicit-prefixes", "have a running mobile node ask for the prefixes of the home link");
    solicit->fallthrough();
    CLI::App* watch = cli.add_subcommand("watch", "show what happens, as it happens");
    for (CLI::App* command : {status, watch}) {
        command->fallthrough();
        command->add_flag("--json", json, "for programs");
    }
    CLI11_PARSE(cli, argc, argv);
    if (status->parsed()) return mobile_node::show_status(socket_of(file, socket), json);
    if (solicit->parsed()) return mobile_node::solicit_prefixes(socket_of(file, socket));
    if (watch->parsed()) return mobile_node::watch(socket_of(file, socket), json);
    return only_check ? check(file) : run(file);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return command_line(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "homeport-mn: " << error.what() << "\n";
        return 1;
    }
}

// SPDX-License-Identifier: BSD-3-Clause
// homeport-controlplane. Exit status: 0 stopped as asked, or a valid file with --check; 1 could not
// start, or an invalid file; 2 wrong usage.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "controlplane/core/app.hpp"
#include "controlplane/core/log.hpp"
#include "controlplane/core/service_manager.hpp"
#include "dataplane/base/sanitizers.hpp"

namespace homeport::core {
namespace {

struct Options {
    std::string file;
    bool check = false;
    bool version = false;
};

// Keys are in this process's memory: no core file, no debugger of another user.
void protect_secrets() {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
#ifndef HOMEPORT_ASAN  // whose leak check is a debugger
    ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}

std::string file_of(const Options& options) {
    if (!options.file.empty()) return options.file;
    const std::string standard{config::kDefaultFile};
    return ::access(standard.c_str(), F_OK) == 0 ? standard : "";
}

int check(const std::string& file) {
    const auto config = load_config(file);
    if (config) {
        std::cout << (file.empty() ? "built-in defaults" : file) << ": valid\n";
        return 0;
    }
    for (const std::string& error : config.error()) std::cerr << error << '\n';
    return 1;
}

void serve_signals(asio::signal_set& signals, App& app, Log& log, asio::io_context& context) {
    signals.async_wait([&](std::error_code error, int number) {
        if (error) return;
        if (number == SIGHUP) {
            notify_service_manager("RELOADING=1");
            (void)app.reload_config();  // what is wrong was logged
            notify_service_manager("READY=1");
            return serve_signals(signals, app, log, context);
        }
        notify_service_manager("STOPPING=1");
        log.write(Message::kStopping, "stops on signal " + std::to_string(number) +
                                          "; bindings are kept, forwarding goes on");
        app.stop();
        context.stop();
    });
}

int run(const std::string& file) {
    auto config = load_config(file);
    if (!config) {
        for (const std::string& error : config.error()) {
            std::cerr << id_of(Message::kConfigInvalid) << " " << error << '\n';
        }
        return 1;
    }
    const auto log = Log::open(config->controlplane.log);
    if (!log) {
        std::cerr << id_of(Message::kStartFailed) << " " << log.error() << '\n';
        return 1;
    }
    (*log)->write(Message::kStarting, "homeport-controlplane " HOMEPORT_VERSION " starts with " +
                                          (file.empty() ? std::string("built-in defaults") : file) +
                                          ", configuration " + config::hash(*config).substr(0, 12));
    asio::io_context context(1);
    asio::signal_set signals(context, SIGTERM, SIGINT, SIGHUP);
    const auto app = App::create(context, std::move(*config), **log);
    if (!app) {
        for (const std::string& error : app.error()) (*log)->write(Message::kStartFailed, error);
        return 1;
    }
    serve_signals(signals, **app, **log, context);
    (*app)->start();
    notify_service_manager("READY=1");
    context.run();
    return 0;
}

int main_of(int argc, char** argv) {
    CLI::App command_line{"The control plane of a Homeport home agent.", "homeport-controlplane"};
    Options options;
    command_line.add_option("--config", options.file,
                            "configuration file; default " + std::string(config::kDefaultFile) +
                                " if it is there, else built-in defaults");
    command_line.add_flag("--check", options.check, "test the configuration and its key files");
    command_line.add_flag("--version", options.version, "print the version");
    try {
        command_line.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return command_line.exit(error) == 0 ? 0 : 2;
    }
    if (options.version) {
        std::cout << "homeport-controlplane " HOMEPORT_VERSION "\n";
        return 0;
    }
    std::signal(SIGPIPE, SIG_IGN);
    protect_secrets();
    const std::string file = file_of(options);
    return options.check ? check(file) : run(file);
}

}  // namespace
}  // namespace homeport::core

int main(int argc, char** argv) {
    try {
        return homeport::core::main_of(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "homeport-controlplane: " << error.what() << '\n';
        return 1;
    }
}

// SPDX-License-Identifier: BSD-3-Clause
// homeport-dataplane: command line, signals, exit code.
#include <malloc.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/core/log.hpp"
#include "dataplane/core/program.hpp"

namespace {

using homeport::core::ExitCode;

constexpr std::string_view kUsage =
    "usage: homeport-dataplane [--config FILE] [--check] [-- EAL ARGUMENTS]\n"
    "\n"
    "The data plane of the Homeport home agent. Without --config it starts on two virtual ports.\n"
    "  --config FILE  homeport.yaml\n"
    "  --check        reads the configuration, says what is wrong with it, and ends\n"
    "  --version      version and instruction set of this build\n"
    "  -- ...         what follows goes to DPDK as it is\n"
    "Exit status: 0 it ran and was told to stop (or the configuration is good), 1 it could not\n"
    "start, 2 command line or configuration are wrong.\n";

struct CommandLine {
    std::string config;
    bool check = false;
    bool help = false;
    bool version = false;
    std::vector<std::string> eal_arguments;
    std::string error;
};

CommandLine read_command_line(int argc, char** argv) {
    CommandLine line;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--") {
            line.eal_arguments.assign(argv + i + 1, argv + argc);
            break;
        }
        if (word == "--config" || word == "-c") {
            if (++i == argc) {
                line.error = "--config: the name of a file is missing";
                break;
            }
            line.config = argv[i];
        } else if (word.starts_with("--config=")) {
            line.config = word.substr(9);
        } else if (word == "--check") {
            line.check = true;
        } else if (word == "--help" || word == "-h") {
            line.help = true;
        } else if (word == "--version") {
            line.version = true;
        } else {
            line.error =
                "'" + std::string(word) + "' is not known (arguments of DPDK go behind --)";
            break;
        }
    }
    return line;
}

std::atomic<bool> g_stop{false};

void stop_on_signal(int) {
    g_stop.store(true, std::memory_order_relaxed);
}

void catch_signals() {
    struct sigaction action{};
    action.sa_handler = stop_on_signal;
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    // A control plane that goes away while it is written to must not end us.
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
}

int report(const homeport::core::Failure& failure) {
    homeport::core::log(failure.message, failure.text);
    return failure.message == homeport::core::Message::kBadConfiguration ? ExitCode::kExitUsage
                                                                         : ExitCode::kExitFailed;
}

int check_cpu() {
    const std::vector<std::string> missing = homeport::core::missing_cpu_features();
    if (missing.empty()) return ExitCode::kExitOk;
    std::string names;
    for (const std::string& name : missing) names += (names.empty() ? "" : ", ") + name;
    std::fprintf(stderr,
                 "HP-DP-0005 error: this program was built for a processor with %s (-Dcpu=%s), "
                 "and this one lacks that; build it with -Dcpu=x86-64-v2\n",
                 names.c_str(), HOMEPORT_CPU);
    return ExitCode::kExitFailed;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace homeport;
    // Tables grow by being replaced. glibc would soon put even large ones on the heap, where the
    // memory of the old ones stays.
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    if (const int code = check_cpu(); code != ExitCode::kExitOk) return code;
    const CommandLine line = read_command_line(argc, argv);
    if (!line.error.empty()) {
        std::fprintf(stderr, "homeport-dataplane: %s\n%s", line.error.c_str(), kUsage.data());
        return ExitCode::kExitUsage;
    }
    if (line.help) {
        std::fputs(kUsage.data(), stdout);
        return ExitCode::kExitOk;
    }
    if (line.version) {
        std::printf("homeport-dataplane %s, built for %s\n", HOMEPORT_VERSION, HOMEPORT_CPU);
        return ExitCode::kExitOk;
    }
    config::Config config = config::defaults();
    if (!line.config.empty()) {
        auto loaded = config::load_file(line.config);
        if (!loaded) {
            std::fprintf(stderr, "%s\n", config::to_string(loaded.error()).c_str());
            return ExitCode::kExitUsage;
        }
        config = std::move(*loaded);
    }
    if (line.check) {
        std::printf("%s: the configuration is good\n",
                    line.config.empty() ? "defaults" : line.config.c_str());
        return ExitCode::kExitOk;
    }
    catch_signals();
    core::start_log();
    {
        core::Program program(std::move(config.dataplane));
        if (auto started = program.start(line.eal_arguments); !started) {
            return report(started.error());
        }
        program.run(g_stop);
    }
    std::fputs("HP-DP-0003 info: the data plane has stopped\n", stderr);
    return ExitCode::kExitOk;
}

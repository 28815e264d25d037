// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mip4/native_guard.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <chrono>
#include <thread>

namespace homeport::mobile_node {

namespace {

constexpr std::chrono::seconds kLongest{5};  // that nft may take
constexpr std::chrono::milliseconds kLook{2};

/// Waits for the child; one that does not end is ended.
int exit_status_of(pid_t child) {
    const auto until = std::chrono::steady_clock::now() + kLongest;
    int status = 0;
    while (::waitpid(child, &status, WNOHANG) == 0) {
        if (std::chrono::steady_clock::now() > until) {
            ::kill(child, SIGKILL);
            ::waitpid(child, &status, 0);
            break;
        }
        std::this_thread::sleep_for(kLook);
    }
    return status;
}

/// Runs "nft -f -" with `script` as its input; what it says is not ours to repeat.
Result<void> run_nft(const std::string& script) {
    const FileDescriptor input(::memfd_create("rules of homeport-mn", MFD_CLOEXEC));
    const FileDescriptor nowhere(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    if (!input.is_open() || !nowhere.is_open() ||
        ::write(input.get(), script.data(), script.size()) != static_cast<ssize_t>(script.size()) ||
        ::lseek(input.get(), 0, SEEK_SET) != 0) {
        return fail_errno("rules for nft");
    }
    posix_spawn_file_actions_t files;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawn_file_actions_adddup2(&files, input.get(), 0);
    ::posix_spawn_file_actions_adddup2(&files, nowhere.get(), 1);
    ::posix_spawn_file_actions_adddup2(&files, nowhere.get(), 2);
    char name[] = "nft", flag[] = "-f", from[] = "-";
    const std::array<char*, 4> arguments{name, flag, from, nullptr};
    pid_t child = -1;
    int code = ENOENT;
    // The system's own directories first: PATH is whoever's started us.
    for (const char* const program : {"/usr/sbin/nft", "/sbin/nft", "nft"}) {
        code = ::posix_spawnp(&child, program, &files, nullptr, arguments.data(), environ);
        if (code == 0) break;
    }
    ::posix_spawn_file_actions_destroy(&files);
    if (code != 0) {
        errno = code;
        return fail_errno("nft");
    }
    const int status = exit_status_of(child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
    return fail("nft refused our table, or did not end");
}

}  // namespace

std::string NativeGuard::table_name(const std::string& tun) {
    std::string name = "homeport_mn_";
    for (const char c : tun) {
        name += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
    }
    return name;
}

std::string NativeGuard::rules(const std::string& tun, const Ipv4Address& home,
                               const Ipv4Address& home_agent, const std::string& home_interface) {
    const std::string table = "table ip " + table_name(tun);
    // It is there after the first line whatever was before, so that the second one cannot fail; all
    // of it comes into force at once.
    std::string out = table + "\ndelete " + table + "\n";
    if (home.is_unspecified()) return out;
    out += table + " {\n  chain input {\n" +
           "    type filter hook input priority -150; policy accept;\n" +
           "    ip daddr != " + home.to_string() + " accept\n" + "    iifname { \"lo\", \"" + tun +
           "\" } accept\n" + "    ip saddr " + home_agent.to_string() + " udp sport 434 accept\n";
    if (!home_interface.empty()) out += "    iifname \"" + home_interface + "\" accept\n";
    return out + "    counter drop\n  }\n}\n";
}

Result<void> NativeGuard::set(const Ipv4Address& home, const Ipv4Address& home_agent,
                              const std::string& home_interface) {
    const std::string wanted = rules(tun_, home, home_agent, home_interface);
    if (wanted == in_force_) return {};
    if (auto done = run_nft(wanted); !done) return done;
    in_force_ = wanted;
    is_active_ = true;
    return {};
}

void NativeGuard::remove() {
    if (is_active_) (void)set({}, {}, {});
    is_active_ = false;
}

}  // namespace homeport::mobile_node

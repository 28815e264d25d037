// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/status_client.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <functional>
#include <iostream>
#include <optional>

#include "tools/mobile-node/status_report.hpp"

namespace homeport::mobile_node {

namespace {

constexpr std::size_t kLongestLine = 1u << 20;
constexpr int kPatience = 5;  // seconds for the reply to "status"

Result<FileDescriptor> connect_to(const std::string& path, const std::string& request,
                                  std::string_view program) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return fail(path + ": the name is too long");
    std::ranges::copy(path, address.sun_path);
    FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!fd.is_open()) return fail_errno("socket");
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
        return fail_errno("no " + std::string(program) + " at " + path);
    }
    const std::string line = request + "\n";
    if (::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0) return fail_errno(path);
    return fd;
}

// Calls `take` with each line until it returns false or the other side ends.
bool read_lines(int fd, const std::function<bool(const std::string&)>& take) {
    std::string text;
    std::array<char, 65536> buffer;
    while (text.size() < kLongestLine) {
        const auto length = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (length < 0 && errno == EINTR) continue;
        if (length <= 0) return false;
        text.append(buffer.data(), static_cast<std::size_t>(length));
        std::size_t end = 0;
        while ((end = text.find('\n')) != std::string::npos) {
            const std::string line = text.substr(0, end);
            text.erase(0, end + 1);
            if (!take(line)) return true;
        }
    }
    return false;
}

}  // namespace

std::optional<std::string> ask(const std::string& socket, const std::string& request,
                               std::string_view program) {
    const auto fd = connect_to(socket, request, program);
    if (!fd) {
        std::cerr << program << ": " << fd.error().text << "\n";
        return std::nullopt;
    }
    const timeval patience{kPatience, 0};
    (void)::setsockopt(fd->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    std::optional<std::string> reply;
    (void)read_lines(fd->get(), [&](const std::string& line) {
        reply = line;
        return false;
    });
    if (!reply) std::cerr << program << ": no answer from " << socket << "\n";
    return reply;
}

int show_status(const std::string& socket, bool json) {
    const auto line = ask(socket, "status");
    if (line) std::cout << (json ? *line + "\n" : status_text(*line));
    return line ? 0 : 1;
}

int solicit_prefixes(const std::string& socket) {
    const auto line = ask(socket, "solicit-prefixes");
    if (!line) return 1;
    const std::string problem = error_text(*line);
    if (!problem.empty()) std::cerr << "homeport-mn: " << problem << "\n";
    return problem.empty() ? 0 : 1;
}

int watch(const std::string& socket, bool json) {
    const auto fd = connect_to(socket, "watch", "homeport-mn");
    if (!fd) {
        std::cerr << "homeport-mn: " << fd.error().text << "\n";
        return 1;
    }
    (void)read_lines(fd->get(), [&](const std::string& line) {
        std::cout << (json ? line : event_text(line)) << std::endl;
        return std::cout.good();
    });
    return 0;
}

}  // namespace homeport::mobile_node

// SPDX-License-Identifier: BSD-3-Clause
#include "tools/hactl/connection.hpp"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace homeport::hactl {

namespace {

constexpr std::size_t kMostReply = std::size_t{64} << 20;

std::string reason(int error) {
    if (error == EAGAIN || error == EWOULDBLOCK) return "no answer in time";
    return std::generic_category().message(error);
}

}  // namespace

std::expected<Connection, std::string> Connection::open(const std::string& path,
                                                        std::chrono::seconds timeout) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return std::unexpected("the path is too long");
    path.copy(address.sun_path, path.size());
    Connection connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (connection.fd_ < 0) return std::unexpected(reason(errno));
    const timeval limit{timeout.count(), 0};
    ::setsockopt(connection.fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(connection.fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (::connect(connection.fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
        0) {
        return std::unexpected(reason(errno));
    }
    return connection;
}

Connection::Connection(Connection&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Connection& Connection::operator=(Connection&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

Connection::~Connection() {
    if (fd_ >= 0) ::close(fd_);
}

std::expected<std::string, std::string> Connection::ask(std::string_view line) {
    const std::string request = std::string(line) + "\n";
    for (std::size_t sent = 0; sent < request.size();) {
        const ssize_t n = ::send(fd_, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return std::unexpected(reason(errno));
        sent += static_cast<std::size_t>(n);
    }
    std::string reply;
    std::array<char, 65536> buffer;
    while (true) {
        const ssize_t n = ::recv(fd_, buffer.data(), buffer.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return std::unexpected(reason(errno));
        if (n == 0) return std::unexpected("the connection was closed before the reply was whole");
        reply.append(buffer.data(), static_cast<std::size_t>(n));
        if (reply.ends_with('\n')) {
            reply.pop_back();
            return reply;
        }
        if (reply.size() > kMostReply) return std::unexpected("the reply is too long");
    }
}

}  // namespace homeport::hactl

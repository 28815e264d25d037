// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/channel/socket.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace homeport::channel {

namespace {

std::expected<sockaddr_un, Error> address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
        return std::unexpected(
            Error{ErrorCode::kSystem, "the socket path \"" + path + "\" has " +
                                          std::to_string(path.size()) + " octets, expected 1 to " +
                                          std::to_string(sizeof address.sun_path - 1)});
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    return address;
}

const sockaddr* generic(const sockaddr_un& address) {
    return reinterpret_cast<const sockaddr*>(&address);
}

/// Removes a socket at `path` that nobody serves.
std::expected<void, Error> clear_stale_socket(const std::string& path, const sockaddr_un& address) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) {
        if (errno == ENOENT) return {};
        return std::unexpected(system_error("looking at " + path, errno));
    }
    if (!S_ISSOCK(status.st_mode)) {
        return std::unexpected(
            Error{ErrorCode::kSystem, path + " exists and is not a socket; remove it"});
    }
    const FileDescriptor probe(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!probe) return std::unexpected(system_error("socket", errno));
    const bool connected = ::connect(probe.get(), generic(address), sizeof address) == 0;
    if (!connected && errno == ECONNREFUSED) {
        if (::unlink(path.c_str()) == 0 || errno == ENOENT) return {};
        return std::unexpected(system_error("removing the stale socket " + path, errno));
    }
    if (!connected && errno == ENOENT) return {};
    return std::unexpected(Error{ErrorCode::kAlreadyRunning, "another process listens on " + path});
}

}  // namespace

std::expected<FileDescriptor, Error> lock_socket_path(const std::string& path) {
    const std::string lock_path = path + ".lock";
    FileDescriptor lock(::open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) return std::unexpected(system_error("opening " + lock_path, errno));
    if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno != EWOULDBLOCK) return std::unexpected(system_error("locking " + lock_path, errno));
    return std::unexpected(Error{ErrorCode::kAlreadyRunning, "another data plane serves " + path});
}

std::expected<FileDescriptor, Error> listen_on(const std::string& path, mode_t mode,
                                               std::optional<gid_t> group) {
    const auto address = address_of(path);
    if (!address) return std::unexpected(address.error());
    if (auto cleared = clear_stale_socket(path, *address); !cleared) {
        return std::unexpected(std::move(cleared.error()));
    }
    FileDescriptor listener(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!listener) return std::unexpected(system_error("socket", errno));
    // The file is made with the socket's mode less the umask, so it is never wider than wanted;
    // the chmod behind it gives back what the umask took.
    if (::fchmod(listener.get(), mode) != 0 ||
        ::bind(listener.get(), generic(*address), sizeof *address) != 0) {
        return std::unexpected(system_error("binding the socket " + path, errno));
    }
    const bool prepared = (!group || ::chown(path.c_str(), static_cast<uid_t>(-1), *group) == 0) &&
                          ::chmod(path.c_str(), mode) == 0 && ::listen(listener.get(), 16) == 0;
    if (!prepared) {
        const int cause = errno;
        ::unlink(path.c_str());
        return std::unexpected(system_error("preparing the socket " + path, cause));
    }
    return listener;
}

std::expected<FileDescriptor, Error> connect_to(const std::string& path,
                                                std::chrono::milliseconds timeout) {
    const auto address = address_of(path);
    if (!address) return std::unexpected(address.error());
    FileDescriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (!socket) return std::unexpected(system_error("socket", errno));
    const timeval limit{timeout.count() / 1000, (timeout.count() % 1000) * 1000};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (::connect(socket.get(), generic(*address), sizeof *address) == 0) return socket;
    const int cause = errno;
    if (cause == ENOENT || cause == ECONNREFUSED) {
        return std::unexpected(Error{ErrorCode::kNotRunning, "no data plane listens on " + path});
    }
    if (cause == EAGAIN) {
        return std::unexpected(Error{ErrorCode::kTimeout,
                                     "the data plane at " + path + " does not accept connections"});
    }
    return std::unexpected(system_error("connecting to " + path, cause));
}

}  // namespace homeport::channel

// SPDX-License-Identifier: BSD-3-Clause
// The Unix socket at which the data plane listens: made by one data plane at a time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <expected>
#include <optional>
#include <string>

#include "dataplane/channel/error.hpp"
#include "dataplane/channel/file_descriptor.hpp"

namespace homeport::channel {

/// Locks "PATH.lock", which says that this process serves `path` as long as the descriptor is open.
/// kAlreadyRunning: another process does.
[[nodiscard]] std::expected<FileDescriptor, Error> lock_socket_path(const std::string& path);

/// A non-blocking SOCK_SEQPACKET listener at `path` with exactly `mode`, at no time more. Replaces
/// a socket that nobody serves; anything else that lies there is an error and stays.
[[nodiscard]] std::expected<FileDescriptor, Error> listen_on(const std::string& path, mode_t mode,
                                                             std::optional<gid_t> group);

/// Connects to `path`; waits at most `timeout` where the listener is busy. kNotRunning: nobody
/// listens.
[[nodiscard]] std::expected<FileDescriptor, Error> connect_to(const std::string& path,
                                                              std::chrono::milliseconds timeout);

}  // namespace homeport::channel

// SPDX-License-Identifier: BSD-3-Clause
// Reads whole tables of the kernel into a fresh state, one dump after the other, over a
// non-blocking socket.
#pragma once

#include <cstdint>
#include <deque>
#include <expected>

#include "controlplane/netlink/kernel_state.hpp"

struct nlmsghdr;

namespace homeport::netlink {

class Socket;
struct Error;

class Dump {
  public:
    /// Dumps that were interrupted by changes are begun anew so often, all tables from the start.
    static constexpr unsigned kMaxAttempts = 8;

    /// Begins to read `tables`; forgets an earlier reading.
    [[nodiscard]] std::expected<void, Error> begin(Socket& socket, unsigned tables);

    /// Takes a message of the socket. True: it belongs to a dump; false: it is somebody else's.
    [[nodiscard]] std::expected<bool, Error> take(Socket& socket, const nlmsghdr& message);

    [[nodiscard]] bool running() const { return running_; }
    /// Tables that are being read, or were.
    [[nodiscard]] unsigned tables() const { return tables_; }
    /// Every attempt was interrupted: entries may be missing.
    [[nodiscard]] bool incomplete() const { return interrupted_; }
    [[nodiscard]] unsigned interruptions() const { return interruptions_; }
    [[nodiscard]] KernelState& state() { return state_; }

  private:
    struct Request {
        std::uint16_t type = 0;
        std::uint8_t family = 0;
        std::uint8_t route_table = 0;
    };
    void plan();
    [[nodiscard]] std::expected<void, Error> send_next(Socket& socket);
    [[nodiscard]] std::expected<void, Error> finish_request(Socket& socket, int error);

    KernelState state_;
    std::deque<Request> requests_;
    Request current_;
    unsigned tables_ = 0;
    unsigned attempts_ = 0;
    unsigned interruptions_ = 0;
    std::uint32_t sequence_ = 0;
    bool running_ = false;
    bool interrupted_ = false;
};

}  // namespace homeport::netlink

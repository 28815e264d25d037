// SPDX-License-Identifier: BSD-3-Clause
// A non-blocking NETLINK_ROUTE socket.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/base/byte_order.hpp"

struct mnl_socket;
struct nlmsghdr;

namespace homeport::netlink {

struct Error;

/// "what: strerror(number)".
[[nodiscard]] Error system_error(const std::string& what, int number);

class Socket {
  public:
    /// `receive_buffer` in octets, 0 for the system's; beyond its limit where we may.
    [[nodiscard]] static std::expected<Socket, Error> open(int receive_buffer);

    [[nodiscard]] std::expected<void, Error> join(std::span<const unsigned> groups);
    [[nodiscard]] int fd() const;

    /// errno, or 0.
    [[nodiscard]] int send(const nlmsghdr& message);

    enum class Received : std::uint8_t {
        kDatagram,
        kNothing,  // no more for now
        kLost,     // the kernel had to throw messages away (or one was longer than our buffer)
        kFailed,   // errno says why
    };
    /// The datagram lies in an inner buffer until the next call. Those that are not the kernel's
    /// come out empty.
    [[nodiscard]] Received receive(ConstByteSpan& datagram);

  private:
    struct Close {
        void operator()(mnl_socket* socket) const;
    };
    explicit Socket(mnl_socket* socket);

    std::unique_ptr<mnl_socket, Close> socket_;
    std::vector<std::uint32_t> buffer_;  // words, for their alignment
};

}  // namespace homeport::netlink

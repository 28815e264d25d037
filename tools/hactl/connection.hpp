// SPDX-License-Identifier: BSD-3-Clause
// A blocking connection to the management socket.
#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <string_view>

namespace homeport::hactl {

class Connection {
  public:
    /// The error is a sentence.
    [[nodiscard]] static std::expected<Connection, std::string> open(const std::string& path,
                                                                     std::chrono::seconds timeout);
    Connection(Connection&& other) noexcept;
    Connection& operator=(Connection&& other) noexcept;
    ~Connection();

    /// Sends one line and gives the line that comes back, both without line ends.
    [[nodiscard]] std::expected<std::string, std::string> ask(std::string_view line);

  private:
    explicit Connection(int fd) : fd_(fd) {}
    int fd_ = -1;
};

}  // namespace homeport::hactl

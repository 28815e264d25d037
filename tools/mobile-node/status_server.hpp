// SPDX-License-Identifier: BSD-3-Clause
// The Unix socket of `homeport-mn status`, `watch` and `solicit-prefixes`. A request is one line,
// the command; the reply is one line of JSON, or a line for each event until the client goes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tools/mobile-node/file_descriptor.hpp"

namespace asio {
class io_context;
}

namespace homeport::mobile_node {

class StatusServer {
  public:
    static constexpr std::size_t kMostClients = 16;
    static constexpr std::size_t kLongestRequest = 256;  // octets
    static constexpr std::size_t kMostUnsent = std::size_t{1}
                                               << 20;  // octets; then a client is cut

    struct Commands {
        std::function<std::string()> status;            // its reply
        std::function<std::string()> solicit_prefixes;  // empty: done; else why not
        /// Of other programs: the reply to a request that is none of these; nothing: unknown.
        std::function<std::optional<std::string>(const std::string&)> other{};
        std::string known = "status, watch, solicit-prefixes";  // for people
    };
    /// Takes over a socket that nobody listens on.
    [[nodiscard]] static Result<std::unique_ptr<StatusServer>> create(asio::io_context& context,
                                                                      const std::string& path,
                                                                      Commands commands);
    ~StatusServer();
    StatusServer(const StatusServer&) = delete;
    StatusServer& operator=(const StatusServer&) = delete;

    /// Sends a line to all that watch.
    void publish(const std::string& line);

  private:
    struct State;
    explicit StatusServer(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

}  // namespace homeport::mobile_node

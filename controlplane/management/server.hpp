// SPDX-License-Identifier: BSD-3-Clause
// The management socket: a Unix stream socket, one JSON object a line each way.
//
// Bounds: so many clients, so long a line, one request of a client at a time. A client's next
// request is not read before its reply was taken: a slow reader holds up nobody but itself, and is
// sent away after a while.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace asio {
class io_context;
}

namespace homeport::management {

struct ServerOptions {
    std::string path;
    std::string group;  // empty: the process's own
    mode_t mode = 0660;
    std::size_t max_clients = 32;
    std::size_t max_line = 65536;
    std::chrono::seconds idle{300};     // a silent client is sent away
    std::chrono::seconds patience{10};  // to take a reply
};

/// Who is at the other end, as the kernel says (SO_PEERCRED).
struct PeerCredentials {
    pid_t pid = 0;
    uid_t uid = 0;
    gid_t gid = 0;
};

class Server {
  public:
    struct Callbacks {
        /// The reply to one line, without line ends.
        std::function<std::string(std::string_view line, const PeerCredentials& peer)> answer;
        /// A client was sent away; a sentence.
        std::function<void(const std::string& reason, const PeerCredentials& peer)> refused;
    };

    /// Binds and listens. A socket file that nobody serves is replaced. The error is a sentence.
    [[nodiscard]] static std::expected<std::unique_ptr<Server>, std::string> open(
        asio::io_context& context, ServerOptions options, Callbacks callbacks);
    /// Closes all connections and removes the socket file.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    [[nodiscard]] std::size_t clients() const;

  private:
    struct State;
    class Session;
    explicit Server(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

}  // namespace homeport::management

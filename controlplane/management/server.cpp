// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/management/server.hpp"

#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/read_until.hpp>
#include <asio/steady_timer.hpp>
#include <asio/write.hpp>
#include <cerrno>
#include <set>
#include <system_error>
#include <vector>

#include "controlplane/management/dispatcher.hpp"

namespace homeport::management {

namespace {

using Protocol = asio::local::stream_protocol;

std::string failed(const std::string& what, int error) {
    return what + ": " + std::generic_category().message(error);
}

PeerCredentials credentials_of(int fd) {
    ucred found{};
    socklen_t length = sizeof found;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &found, &length) != 0) return {};
    return {found.pid, found.uid, found.gid};
}

std::expected<gid_t, std::string> group_id(const std::string& name) {
    std::vector<char> buffer(16384);
    group entry{};
    group* found = nullptr;
    if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 ||
        found == nullptr) {
        return std::unexpected("found the group '" + name + "', expected one that exists");
    }
    return found->gr_gid;
}

// True if a process listens behind the socket file.
bool is_served(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    const bool served =
        ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    return served;
}

}  // namespace

struct Server::State {
    State(asio::io_context& io, ServerOptions wanted, Callbacks calls)
        : context(io),
          options(std::move(wanted)),
          callbacks(std::move(calls)),
          acceptor(io),
          retry(io) {}

    asio::io_context& context;
    ServerOptions options;
    Callbacks callbacks;
    Protocol::acceptor acceptor;
    asio::steady_timer retry;
    std::set<std::shared_ptr<Session>> sessions;
    bool closed = false;
};

class Server::Session : public std::enable_shared_from_this<Session> {
  public:
    Session(std::shared_ptr<State> state, Protocol::socket socket)
        : state_(state),
          socket_(std::move(socket)),
          timer_(state->context),
          peer_(credentials_of(socket_.native_handle())) {}

    [[nodiscard]] const PeerCredentials& peer() const { return peer_; }

    void read() {
        arm(options().idle, "silent for too long");
        asio::async_read_until(socket_, asio::dynamic_buffer(input_, options().max_line + 1), '\n',
                               [self = shared_from_this()](std::error_code error, std::size_t n) {
                                   self->on_read(error, n);
                               });
    }
    // Writes one line and then goes away.
    void write_last(std::string reply) {
        is_last_ = true;
        write(std::move(reply));
    }
    void close() {
        timer_.cancel();
        std::error_code ignored;
        socket_.close(ignored);
        if (const auto state = state_.lock()) state->sessions.erase(shared_from_this());
    }

  private:
    [[nodiscard]] ServerOptions options() const {
        const auto state = state_.lock();
        return state ? state->options : ServerOptions{};
    }

    void arm(std::chrono::seconds time, const char* reason) {
        timer_.expires_after(time);
        timer_.async_wait([self = shared_from_this(), reason](std::error_code error) {
            if (!error) self->send_away(reason);
        });
    }
    void send_away(const std::string& reason) {
        if (const auto state = state_.lock()) state->callbacks.refused(reason, peer_);
        close();
    }

    void on_read(std::error_code error, std::size_t length) {
        const auto state = state_.lock();
        if (!state) return;
        timer_.cancel();
        if (error == asio::error::not_found) {  // the buffer is full and holds no line end
            state->callbacks.refused(
                "a line of more than " + std::to_string(state->options.max_line) + " octets",
                peer_);
            return write_last(error_reply({"line_too_long",
                                           "found a line of more than " +
                                               std::to_string(state->options.max_line) +
                                               " octets, expected a shorter one",
                                           {}}));
        }
        if (error) return close();
        std::string line = input_.substr(0, length - 1);
        input_.erase(0, length);
        if (line.ends_with('\r')) line.pop_back();
        if (line.empty()) return read();
        write(state->callbacks.answer(line, peer_));
    }

    void write(std::string reply) {
        output_ = std::move(reply);
        output_ += '\n';
        arm(options().patience, "does not take its reply");
        asio::async_write(socket_, asio::buffer(output_),
                          [self = shared_from_this()](std::error_code error, std::size_t) {
                              self->timer_.cancel();
                              self->output_.clear();
                              self->output_.shrink_to_fit();
                              if (error || self->is_last_) return self->close();
                              self->read();
                          });
    }

    std::weak_ptr<State> state_;
    Protocol::socket socket_;
    asio::steady_timer timer_;
    PeerCredentials peer_;
    std::string input_, output_;
    bool is_last_ = false;
};

namespace {

std::expected<void, std::string> prepare_path(const ServerOptions& options) {
    struct stat status{};
    if (::lstat(options.path.c_str(), &status) != 0) return {};
    if (!S_ISSOCK(status.st_mode)) {
        return std::unexpected("found " + options.path + ", which is not a socket, expected none");
    }
    if (is_served(options.path)) {
        return std::unexpected("another process serves " + options.path);
    }
    if (::unlink(options.path.c_str()) != 0) {
        return std::unexpected(failed("cannot remove " + options.path, errno));
    }
    return {};
}

}  // namespace

std::expected<std::unique_ptr<Server>, std::string> Server::open(asio::io_context& context,
                                                                 ServerOptions options,
                                                                 Callbacks callbacks) {
    if (options.path.size() >= sizeof(sockaddr_un::sun_path)) {
        return std::unexpected("found a socket path of " + std::to_string(options.path.size()) +
                               " octets, expected at most 107");
    }
    if (auto ready = prepare_path(options); !ready) return std::unexpected(ready.error());
    gid_t group = static_cast<gid_t>(-1);
    if (!options.group.empty()) {
        const auto found = group_id(options.group);
        if (!found) return std::unexpected(found.error());
        group = *found;
    }
    const std::string path = options.path;
    const mode_t mode = options.mode;
    auto state = std::make_shared<State>(context, std::move(options), std::move(callbacks));
    std::error_code error;
    state->acceptor.open(Protocol(), error);
    if (!error) {
        // Nobody may connect before the mode is right.
        const mode_t before = ::umask(0177);
        state->acceptor.bind(Protocol::endpoint(path), error);
        ::umask(before);
    }
    if (error) return std::unexpected("cannot bind " + path + ": " + error.message());
    if (group != static_cast<gid_t>(-1) && ::chown(path.c_str(), static_cast<uid_t>(-1), group)) {
        return std::unexpected(failed("cannot give " + path + " to its group", errno));
    }
    if (::chmod(path.c_str(), mode) != 0) {
        return std::unexpected(failed("cannot set the mode of " + path, errno));
    }
    state->acceptor.listen(16, error);
    if (error) return std::unexpected("cannot listen on " + path + ": " + error.message());
    auto server = std::unique_ptr<Server>(new Server(std::move(state)));
    return server;
}

namespace {

// Accepts for as long as the state lives; too many clients are told so and sent away.
template <class State, class Session>
void accept_next(const std::shared_ptr<State>& state) {
    state->acceptor.async_accept([weak = std::weak_ptr<State>(state)](std::error_code error,
                                                                      Protocol::socket socket) {
        const auto self = weak.lock();
        if (!self || self->closed || error == asio::error::operation_aborted) return;
        if (!error) {
            auto session = std::make_shared<Session>(self, std::move(socket));
            const bool is_full = self->sessions.size() >= self->options.max_clients;
            if (is_full) {
                self->callbacks.refused("too many clients", session->peer());
                // Not in the list: the reply fits into the socket's buffer or is lost.
                session->write_last(error_reply({"busy",
                                                 "found " + std::to_string(self->sessions.size()) +
                                                     " clients, expected fewer: try again",
                                                 {}}));
            } else {
                self->sessions.insert(session);
                session->read();
            }
        } else {  // out of descriptors: not again at once
            self->retry.expires_after(std::chrono::milliseconds(200));
            self->retry.async_wait([weak](std::error_code aborted) {
                const auto later = weak.lock();
                if (later && !aborted) accept_next<State, Session>(later);
            });
            return;
        }
        accept_next<State, Session>(self);
    });
}

}  // namespace

Server::Server(std::shared_ptr<State> state) : state_(std::move(state)) {
    accept_next<State, Session>(state_);
}

Server::~Server() {
    state_->closed = true;
    std::error_code ignored;
    state_->acceptor.close(ignored);
    state_->retry.cancel();
    ::unlink(state_->options.path.c_str());
    const auto sessions = state_->sessions;
    for (const auto& session : sessions) session->close();
}

std::size_t Server::clients() const {
    return state_->sessions.size();
}

}  // namespace homeport::management

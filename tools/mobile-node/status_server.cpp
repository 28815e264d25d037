// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/status_server.hpp"

#include <sys/stat.h>
#include <sys/un.h>

#include <asio/buffer.hpp>
#include <asio/io_context.hpp>
#include <asio/local/stream_protocol.hpp>
#include <asio/read_until.hpp>
#include <asio/write.hpp>
#include <set>

namespace homeport::mobile_node {

namespace {

using Protocol = asio::local::stream_protocol;

}  // namespace

struct StatusServer::State : std::enable_shared_from_this<State> {
    struct Client : std::enable_shared_from_this<Client> {
        Client(std::shared_ptr<State> owner, Protocol::socket connected)
            : server(std::move(owner)), socket(std::move(connected)) {}

        void read() {
            asio::async_read_until(
                socket, asio::dynamic_buffer(request, kLongestRequest), '\n',
                [self = shared_from_this()](const asio::error_code& error, std::size_t length) {
                    if (error) return self->close();
                    std::string line = self->request.substr(0, length - 1);
                    self->request.erase(0, length);
                    self->answer(line);
                    self->read();
                });
        }
        void answer(const std::string& line) {
            if (line == "status") {
                send(server->commands.status());
            } else if (line == "watch") {
                watches = true;
            } else if (line == "solicit-prefixes" && server->commands.solicit_prefixes) {
                const std::string problem = server->commands.solicit_prefixes();
                send(problem.empty() ? R"({"done":true})" : R"({"error":")" + problem + "\"}");
            } else {
                const auto reply =
                    server->commands.other ? server->commands.other(line) : std::nullopt;
                send(reply ? *reply
                           : R"({"error":"unknown request; known are )" + server->commands.known +
                                 "\"}");
            }
        }
        void send(const std::string& line) {
            if (unsent.size() + line.size() > kMostUnsent) return close();
            unsent += line;
            unsent += '\n';
            if (sending.empty()) flush();
        }
        void flush() {
            if (unsent.empty()) return;
            sending.swap(unsent);
            asio::async_write(
                socket, asio::buffer(sending),
                [self = shared_from_this()](const asio::error_code& error, std::size_t) {
                    if (error) return self->close();
                    self->sending.clear();
                    self->flush();
                });
        }
        void close() {
            asio::error_code ignored;
            socket.close(ignored);
            server->clients.erase(shared_from_this());
        }

        std::shared_ptr<State> server;
        Protocol::socket socket;
        std::string request;
        std::string sending;
        std::string unsent;
        bool watches = false;
    };

    State(asio::io_context& context, std::string socket_path, Commands known)
        : acceptor(context), path(std::move(socket_path)), commands(std::move(known)) {}

    void accept() {
        acceptor.async_accept(
            [self = shared_from_this()](const asio::error_code& error, Protocol::socket socket) {
                if (error == asio::error::operation_aborted || !self->acceptor.is_open()) return;
                if (!error && self->clients.size() < kMostClients) {
                    auto client = std::make_shared<Client>(self, std::move(socket));
                    self->clients.insert(client);
                    client->read();
                }
                self->accept();
            });
    }

    Protocol::acceptor acceptor;
    std::string path;
    Commands commands;
    std::set<std::shared_ptr<Client>> clients;
};

StatusServer::StatusServer(std::shared_ptr<State> state) : state_(std::move(state)) {}

StatusServer::~StatusServer() {
    asio::error_code ignored;
    state_->acceptor.close(ignored);
    const auto clients = state_->clients;
    for (const auto& client : clients) client->close();
    ::unlink(state_->path.c_str());
}

Result<std::unique_ptr<StatusServer>> StatusServer::create(asio::io_context& context,
                                                           const std::string& path,
                                                           Commands commands) {
    auto state = std::make_shared<State>(context, path, std::move(commands));
    asio::error_code error;
    Protocol::socket probe(context);
    probe.connect(Protocol::endpoint(path), error);
    if (!error) {
        return fail("status socket " + path + ": another process listens there");
    }
    struct stat found{};
    if (::lstat(path.c_str(), &found) == 0) {
        if (!S_ISSOCK(found.st_mode)) return fail("status socket " + path + ": is no socket");
        ::unlink(path.c_str());
    }
    const auto failed = [&] { return fail("status socket " + path + ": " + error.message()); };
    state->acceptor.open(Protocol(), error);
    if (error) return failed();
    const mode_t old_mask = ::umask(0117);
    state->acceptor.bind(Protocol::endpoint(path), error);
    ::umask(old_mask);
    if (error) return failed();
    state->acceptor.listen(8, error);
    if (error) return failed();
    state->accept();
    return std::unique_ptr<StatusServer>(new StatusServer(std::move(state)));
}

void StatusServer::publish(const std::string& line) {
    const auto clients = state_->clients;
    for (const auto& client : clients) {
        if (client->watches) client->send(line);
    }
}

}  // namespace homeport::mobile_node

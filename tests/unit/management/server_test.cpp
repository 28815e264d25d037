// SPDX-License-Identifier: BSD-3-Clause
// The management socket against clients that do not behave.
#include "controlplane/management/server.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <asio/io_context.hpp>
#include <filesystem>
#include <fstream>

namespace homeport::management {
namespace {

using namespace std::chrono_literals;

class Client {
  public:
    explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    ~Client() { ::close(fd_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    [[nodiscard]] bool connected() const { return connected_; }
    void send(const std::string& text) const {
        (void)::send(fd_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    /// What is there now; sets closed() at the end.
    std::string receive() {
        std::string out(65536, '\0');
        const ssize_t n = ::recv(fd_, out.data(), out.size(), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) closed_ = true;
        out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return out;
    }
    [[nodiscard]] bool closed() const { return closed_; }

  private:
    int fd_;
    bool connected_ = false;
    bool closed_ = false;
};

class ServerTest : public testing::Test {
  protected:
    void SetUp() override {
        std::string name =
            (std::filesystem::temp_directory_path() / "homeport-srv-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        directory_ = name;
        options_.path = directory_ / "s";
        options_.max_clients = 4;
        options_.max_line = 1024;
        options_.idle = 1s;
        options_.patience = 1s;
    }
    void TearDown() override {
        server_.reset();
        std::filesystem::remove_all(directory_);
    }
    void open() {
        auto server = Server::open(
            context_, options_,
            {[this](std::string_view line, const PeerCredentials& peer) {
                 EXPECT_EQ(peer.pid, ::getpid());
                 ++answered_;
                 return line == "big" ? std::string(std::size_t{8} << 20, 'x') : std::string(line);
             },
             [this](const std::string& reason, const PeerCredentials&) { refused_ += reason; }});
        ASSERT_TRUE(server) << server.error();
        server_ = std::move(*server);
    }
    void run(std::chrono::milliseconds time = 50ms) {
        context_.restart();
        context_.run_for(time);
    }
    std::string wait_for(Client& client) {
        std::string text;
        for (int i = 0; i < 200 && text.empty() && !client.closed(); ++i) {
            run(10ms);
            text = client.receive();
        }
        return text;
    }

    std::filesystem::path directory_;
    ServerOptions options_;
    asio::io_context context_{1};
    std::unique_ptr<Server> server_;
    unsigned answered_ = 0;
    std::string refused_;
};

TEST_F(ServerTest, answers_line_by_line_also_when_lines_come_in_pieces_or_together) {
    open();
    Client client(options_.path);
    client.send("on");
    run();
    client.send("e\ntwo\r\n\nthree\n");
    std::string all;
    for (int i = 0; i < 100 && all.size() < 14; ++i) {
        run(10ms);
        all += client.receive();
    }
    EXPECT_EQ(all, "one\ntwo\nthree\n");
}

TEST_F(ServerTest, the_socket_is_for_owner_and_group_only) {
    open();
    struct stat status{};
    ASSERT_EQ(::stat(options_.path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0660u);
    server_.reset();
    EXPECT_FALSE(std::filesystem::exists(options_.path));
}

TEST_F(ServerTest, a_line_that_is_too_long_is_answered_and_ends_the_connection) {
    open();
    Client client(options_.path);
    client.send(std::string(5000, 'a'));
    EXPECT_NE(wait_for(client).find("line_too_long"), std::string::npos);
    run();
    (void)client.receive();
    EXPECT_TRUE(client.closed());
    EXPECT_EQ(answered_, 0u);
    EXPECT_EQ(server_->clients(), 0u);
}

TEST_F(ServerTest, too_many_clients_are_told_so) {
    open();
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 4; ++i) clients.push_back(std::make_unique<Client>(options_.path));
    run();
    EXPECT_EQ(server_->clients(), 4u);
    Client more(options_.path);
    EXPECT_NE(wait_for(more).find("busy"), std::string::npos);
    clients.pop_back();
    run();
    Client again(options_.path);
    again.send("hello\n");
    EXPECT_EQ(wait_for(again), "hello\n");
}

TEST_F(ServerTest, a_slow_reader_holds_up_nobody_and_is_sent_away) {
    open();
    Client slow(options_.path);
    slow.send("big\nbig\nbig\n");
    Client quick(options_.path);
    quick.send("hello\n");
    EXPECT_EQ(wait_for(quick), "hello\n");
    EXPECT_EQ(answered_, 2u);  // the slow one's next request waits
    for (int i = 0; i < 40 && refused_.empty(); ++i) run(100ms);
    EXPECT_NE(refused_.find("does not take its reply"), std::string::npos);
}

TEST_F(ServerTest, a_silent_client_is_sent_away) {
    open();
    Client silent(options_.path);
    run();
    EXPECT_EQ(server_->clients(), 1u);
    for (int i = 0; i < 40 && refused_.empty(); ++i) run(100ms);
    EXPECT_EQ(server_->clients(), 0u);
}

TEST_F(ServerTest, a_socket_that_nobody_serves_is_replaced_and_one_that_is_served_is_not) {
    open();
    const auto second = Server::open(context_, options_, {});
    ASSERT_FALSE(second);
    EXPECT_NE(second.error().find("another process serves"), std::string::npos);
    server_.reset();
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    options_.path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::close(fd);  // the file stays
    open();
    server_.reset();
    std::ofstream(options_.path) << "precious";
    const auto third = Server::open(context_, options_, {});
    ASSERT_FALSE(third);
    EXPECT_TRUE(std::filesystem::exists(options_.path));
}

TEST_F(ServerTest, an_unknown_group_is_an_error) {
    options_.group = "no-such-group-here";
    const auto server = Server::open(context_, options_, {});
    ASSERT_FALSE(server);
    EXPECT_NE(server.error().find("no-such-group-here"), std::string::npos);
}

}  // namespace
}  // namespace homeport::management

// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/channel/support.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <filesystem>
#include <thread>

#include "dataplane/channel/socket.hpp"

namespace homeport::channel::test {

bool eventually(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        ::sched_yield();
    }
    return true;
}

ScratchDirectory::ScratchDirectory() {
    char name[] = "/tmp/homeport-channel-XXXXXX";
    if (::mkdtemp(name) == nullptr) std::abort();
    path_ = name;
}
ScratchDirectory::~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

RingMemory::RingMemory(std::size_t capacity)
    : size_(ring_region_size(capacity)),
      memory_(static_cast<std::uint8_t*>(std::aligned_alloc(4096, size_))) {
    std::memset(memory_.get(), 0, size_);
}

Child::Child(const std::function<int()>& body) {
    std::fflush(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) ::_exit(body());
}
Child::~Child() {
    kill();
}
void Child::kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
}
int Child::wait() {
    int status = -1;
    const bool ended =
        pid_ > 0 && eventually([&] { return ::waitpid(pid_, &status, WNOHANG) == pid_; });
    if (!ended) return -1;
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

namespace {

StatisticsWriter make_statistics() {
    StatisticsShape shape;
    shape.stages = {"rx", "tx"};
    shape.edges = {"rx.parse", "tx.done"};
    shape.workers = 2;
    shape.adjacencies = 4;
    shape.sas = 4;
    shape.bindings = 16;
    return std::move(*StatisticsWriter::create(shape));
}

Server make_server(const std::string& path, std::size_t capacity,
                   std::chrono::milliseconds hello_timeout, const StatisticsWriter& statistics) {
    ServerConfig config;
    config.socket_path = path;
    config.build_id = "dp-build";
    config.command_capacity = capacity;
    config.event_capacity = capacity;
    config.hello_timeout = hello_timeout;
    auto server = Server::open(config, statistics.region());
    if (!server) {
        std::fprintf(stderr, "%s\n", server.error().text.c_str());
        std::abort();
    }
    return std::move(*server);
}

}  // namespace

TestServer::TestServer(const std::string& socket_path, std::size_t capacity,
                       std::chrono::milliseconds hello_timeout)
    : statistics(make_statistics()),
      server(make_server(socket_path, capacity, hello_timeout, statistics)) {}

ServerEvent TestServer::next_event() {
    ServerEvent event;
    eventually([&] {
        event = server.poll();
        return event.kind != ServerEvent::Kind::kNothing;
    });
    return event;
}

std::expected<Client, Error> connect_while_polling(TestServer& server, const std::string& path,
                                                   Role role, ServerEvent* event) {
    std::expected<Client, Error> client = std::unexpected(Error{});
    std::thread connector([&] { client = Client::connect(path, role, "cp-build", kPatience); });
    const ServerEvent seen = server.next_event();
    connector.join();
    if (event != nullptr) *event = seen;
    return client;
}

void RawClient::say(const std::string& path, ConstByteSpan hello) {
    auto connected = connect_to(path, kPatience);
    ASSERT_TRUE(connected) << connected.error().text;
    socket = std::move(*connected);
    ASSERT_EQ(::send(socket.get(), hello.data(), hello.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(hello.size()));
}

bool RawClient::read_reply() {
    pollfd readable{socket.get(), POLLIN, 0};
    const auto patience = std::chrono::milliseconds(kPatience).count();
    if (::poll(&readable, 1, static_cast<int>(patience)) != 1) return false;
    iovec data{&reply, sizeof reply};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(8 * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC) != static_cast<ssize_t>(sizeof reply)) {
        return false;
    }
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        for (std::size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            fds.emplace_back(fd);
        }
    }
    return true;
}

}  // namespace homeport::channel::test

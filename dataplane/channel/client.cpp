// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/channel/client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "dataplane/channel/socket.hpp"

namespace homeport::channel {

namespace {

constexpr std::size_t kMaxDescriptors = kControlPlaneDescriptors;

struct Answer {
    std::array<std::uint8_t, 2 * sizeof(HelloReply)> bytes;
    std::size_t length = 0;
    std::vector<FileDescriptor> fds;
};

/// Receives one message and takes every descriptor that came with it.
std::expected<Answer, Error> receive_answer(int socket) {
    Answer answer;
    iovec data{answer.bytes.data(), answer.bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kMaxDescriptors * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t length = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (length < 0) return std::unexpected(system_error("receiving the data plane's hello", errno));
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (std::size_t i = 0; i < count; ++i) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            answer.fds.emplace_back(fd);
        }
    }
    if (length == 0) {
        return std::unexpected(
            Error{ErrorCode::kProtocol, "the data plane closed the channel before its hello"});
    }
    answer.length = static_cast<std::size_t>(length);
    return answer;
}

std::expected<Answer, Error> shake_hands(int socket, const Hello& hello,
                                         std::chrono::milliseconds timeout) {
    if (::send(socket, &hello, sizeof hello, MSG_NOSIGNAL) != static_cast<ssize_t>(sizeof hello)) {
        return std::unexpected(system_error("sending the hello", errno));
    }
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        pollfd readable{socket, POLLIN, 0};
        const int ready =
            ::poll(&readable, 1, left.count() > 0 ? static_cast<int>(left.count()) : 0);
        if (ready > 0) return receive_answer(socket);
        if (ready < 0 && errno != EINTR) return std::unexpected(system_error("poll", errno));
        if (left.count() <= 0) {
            return std::unexpected(
                Error{ErrorCode::kTimeout, "the data plane did not answer the hello within " +
                                               std::to_string(timeout.count()) + " ms"});
        }
    }
}

}  // namespace

std::expected<Client, Error> Client::connect(const std::string& socket_path, Role role,
                                             std::string_view build_id,
                                             std::chrono::milliseconds timeout) {
    auto socket = connect_to(socket_path, timeout);
    if (!socket) return std::unexpected(std::move(socket.error()));
    auto answer = shake_hands(socket->get(), make_hello(role, build_id), timeout);
    if (!answer) return std::unexpected(std::move(answer.error()));
    const auto reply =
        decode_hello_reply(ConstByteSpan(answer->bytes).first(answer->length), role, build_id);
    if (!reply) return std::unexpected(reply.error());
    const bool controls = role == Role::kControlPlane;
    auto& fds = answer->fds;
    const std::size_t expected = controls ? kControlPlaneDescriptors : 1;
    if (fds.size() != expected) {
        return std::unexpected(
            Error{ErrorCode::kProtocol, "the data plane sent " + std::to_string(fds.size()) +
                                            " descriptors, expected " + std::to_string(expected)});
    }

    Client client;
    client.build_id_ = printable(text_of(reply->build_id));
    auto statistics = Region::map(std::move(fds[controls ? 2 : 0]), reply->statistics_size,
                                  PeerAccess::kReadOnly, CoreDump::kInclude);
    if (!statistics) return std::unexpected(std::move(statistics.error()));
    client.statistics_ = std::move(*statistics);
    if (controls) {
        auto commands = Region::map(std::move(fds[0]), ring_region_size(reply->command_capacity),
                                    PeerAccess::kReadWrite, CoreDump::kExclude);
        if (!commands) return std::unexpected(std::move(commands.error()));
        auto events = Region::map(std::move(fds[1]), ring_region_size(reply->event_capacity),
                                  PeerAccess::kReadWrite, CoreDump::kInclude);
        if (!events) return std::unexpected(std::move(events.error()));
        client.command_region_ = std::move(*commands);
        client.event_region_ = std::move(*events);
        client.wake_up_ = std::move(fds[3]);
        client.bell_ = std::move(fds[4]);
        client.commands_ =
            RingProducer(client.command_region_.writable_bytes(), reply->command_capacity);
        client.events_ = RingConsumer(client.event_region_.writable_bytes(), reply->event_capacity);
    }
    client.socket_ = std::move(*socket);
    return client;
}

void Client::flush() {
    if (!commands_.publish_and_see_sleeper()) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(bell_.get(), &one, sizeof one);
}

void Client::woken() {
    std::uint64_t count = 0;
    if (wake_up_) {
        [[maybe_unused]] const ssize_t length = ::read(wake_up_.get(), &count, sizeof count);
    }
    events_.withdraw_sleep();
}

bool Client::closed() const {
    pollfd socket{socket_.get(), POLLIN | POLLRDHUP, 0};
    return ::poll(&socket, 1, 0) > 0 && (socket.revents & (POLLHUP | POLLRDHUP | POLLERR)) != 0;
}

}  // namespace homeport::channel

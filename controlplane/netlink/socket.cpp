// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/socket.hpp"

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "controlplane/netlink/kernel_mirror.hpp"

namespace homeport::netlink {

namespace {

// Dumps come in datagrams of up to 32 KiB when the reader offers as much.
constexpr std::size_t kBufferSize = 65536;

}  // namespace

Error system_error(const std::string& what, int number) {
    char buffer[128];
    // The GNU variant: returns the text, which need not be in the buffer.
    const char* cause = strerror_r(number, buffer, sizeof buffer);
    return {what + ": " + cause};
}

void Socket::Close::operator()(mnl_socket* socket) const {
    mnl_socket_close(socket);
}

Socket::Socket(mnl_socket* socket) : socket_(socket), buffer_(kBufferSize / 4) {}

std::expected<Socket, Error> Socket::open(int receive_buffer) {
    mnl_socket* opened = mnl_socket_open2(NETLINK_ROUTE, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (opened == nullptr) return std::unexpected(system_error("opening a netlink socket", errno));
    Socket socket(opened);
    if (receive_buffer > 0 && ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer,
                                           sizeof receive_buffer) != 0) {
        ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    }
    // Lets dumps be asked for one table, and errors be short.
    int on = 1;
    mnl_socket_setsockopt(opened, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    mnl_socket_setsockopt(opened, NETLINK_CAP_ACK, &on, sizeof on);
    if (mnl_socket_bind(opened, 0, MNL_SOCKET_AUTOPID) != 0) {
        return std::unexpected(system_error("binding a netlink socket", errno));
    }
    return socket;
}

std::expected<void, Error> Socket::join(std::span<const unsigned> groups) {
    for (const unsigned group : groups) {
        int number = static_cast<int>(group);
        if (mnl_socket_setsockopt(socket_.get(), NETLINK_ADD_MEMBERSHIP, &number, sizeof number) !=
            0) {
            return std::unexpected(
                system_error("joining netlink group " + std::to_string(group), errno));
        }
    }
    return {};
}

int Socket::fd() const {
    return mnl_socket_get_fd(socket_.get());
}

int Socket::send(const nlmsghdr& message) {
    const ssize_t sent = mnl_socket_sendto(socket_.get(), &message, message.nlmsg_len);
    return sent < 0 ? errno : 0;
}

Socket::Received Socket::receive(ConstByteSpan& datagram) {
    sockaddr_nl sender{};
    iovec data{buffer_.data(), kBufferSize};
    msghdr message{};
    message.msg_name = &sender;
    message.msg_namelen = sizeof sender;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    ssize_t length;
    do {
        length = ::recvmsg(fd(), &message, MSG_DONTWAIT);
    } while (length < 0 && errno == EINTR);
    if (length < 0) {
        if (errno == EAGAIN) return Received::kNothing;
        return errno == ENOBUFS ? Received::kLost : Received::kFailed;
    }
    if ((message.msg_flags & MSG_TRUNC) != 0) return Received::kLost;
    const bool from_kernel = message.msg_namelen == sizeof sender && sender.nl_pid == 0;
    datagram = {reinterpret_cast<const std::uint8_t*>(buffer_.data()),
                from_kernel ? static_cast<std::size_t>(length) : 0};
    return Received::kDatagram;
}

}  // namespace homeport::netlink

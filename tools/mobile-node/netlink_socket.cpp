// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/netlink_socket.hpp"

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>

namespace homeport::mobile_node {

Result<void> NetlinkSocket::open() {
    socket_ = FileDescriptor(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    if (!socket_.is_open()) return fail_errno("netlink socket");
    const timeval patience{5, 0};
    (void)::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_nl self{};
    self.nl_family = AF_NETLINK;
    if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&self), sizeof self) < 0) {
        return fail_errno("netlink bind");
    }
    return {};
}

Result<void> NetlinkSocket::transact(nlmsghdr& message, int (*callback)(const nlmsghdr*, void*),
                                     void* context) {
    message.nlmsg_seq = ++sequence_;
    last_errno_ = 0;
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    if (::sendto(socket_.get(), &message, message.nlmsg_len, 0,
                 reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0) {
        last_errno_ = errno;
        return fail_errno("netlink request");
    }
    alignas(nlmsghdr) static thread_local std::array<char, 1 << 16> buffer;
    while (true) {
        const auto length = ::recv(socket_.get(), buffer.data(), buffer.size(), 0);
        if (length < 0) {
            if (errno == EINTR) continue;
            last_errno_ = errno;
            return fail_errno("netlink answer");
        }
        const int result = mnl_cb_run(buffer.data(), static_cast<std::size_t>(length), sequence_, 0,
                                      callback, context);
        if (result < 0) {
            last_errno_ = errno;
            return fail_errno("netlink");
        }
        if (result == MNL_CB_STOP) return {};
    }
}

}  // namespace homeport::mobile_node

// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/dump.hpp"

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "controlplane/netlink/kernel_mirror.hpp"
#include "controlplane/netlink/socket.hpp"

namespace homeport::netlink {

namespace {

const char* name_of(std::uint16_t request_type) {
    switch (request_type) {
        case RTM_GETLINK:
            return "links";
        case RTM_GETADDR:
            return "addresses";
        case RTM_GETROUTE:
            return "routes";
        default:
            return "neighbours";
    }
}

template <class Header>
Header* put_header(nlmsghdr* message) {
    return static_cast<Header*>(mnl_nlmsg_put_extra_header(message, sizeof(Header)));
}

/// The error that ended a dump: a positive errno, or 0. Both kinds of end carry an int.
int error_of(const nlmsghdr& message) {
    if (mnl_nlmsg_get_payload_len(&message) < sizeof(int)) return 0;
    int error;
    std::memcpy(&error, mnl_nlmsg_get_payload(&message), sizeof error);
    return -error;
}

}  // namespace

std::expected<void, Error> Dump::begin(Socket& socket, unsigned tables) {
    tables_ = tables;
    attempts_ = 0;
    interruptions_ = 0;
    running_ = true;
    plan();
    return send_next(socket);
}

void Dump::plan() {
    state_ = {};
    requests_.clear();
    interrupted_ = false;
    ++attempts_;
    if ((tables_ & kLinks) != 0) requests_.push_back({RTM_GETLINK, AF_UNSPEC, 0});
    for (const auto family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}}) {
        if ((tables_ & kAddresses) != 0) requests_.push_back({RTM_GETADDR, family, 0});
        if ((tables_ & kRoutes) != 0) {
            requests_.push_back({RTM_GETROUTE, family, RT_TABLE_MAIN});
            requests_.push_back({RTM_GETROUTE, family, RT_TABLE_LOCAL});
        }
        if ((tables_ & kNeighbours) != 0) requests_.push_back({RTM_GETNEIGH, family, 0});
    }
}

std::expected<void, Error> Dump::send_next(Socket& socket) {
    if (requests_.empty()) {
        running_ = false;
        return {};
    }
    current_ = requests_.front();
    requests_.pop_front();
    alignas(nlmsghdr) std::array<char, 256> buffer{};
    nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type = current_.type;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    message->nlmsg_seq = ++sequence_;
    switch (current_.type) {
        case RTM_GETLINK:
            put_header<ifinfomsg>(message)->ifi_family = AF_UNSPEC;
            mnl_attr_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
            break;
        case RTM_GETADDR:
            put_header<ifaddrmsg>(message)->ifa_family = current_.family;
            break;
        case RTM_GETROUTE: {
            auto* header = put_header<rtmsg>(message);
            header->rtm_family = current_.family;
            header->rtm_table = current_.route_table;
            break;
        }
        default:
            put_header<ndmsg>(message)->ndm_family = current_.family;
    }
    if (const int error = socket.send(*message); error != 0) {
        return std::unexpected(system_error(
            std::string("asking the kernel for its ") + name_of(current_.type), error));
    }
    return {};
}

std::expected<bool, Error> Dump::take(Socket& socket, const nlmsghdr& message) {
    if (!running_ || message.nlmsg_seq != sequence_) return false;
    if ((message.nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted_ = true;
    if (message.nlmsg_type == NLMSG_DONE || message.nlmsg_type == NLMSG_ERROR) {
        if (auto done = finish_request(socket, error_of(message)); !done) {
            return std::unexpected(std::move(done.error()));
        }
        return true;
    }
    if (auto parsed = parse_message(message)) {
        Changes ignored;
        if (auto* route = std::get_if<RouteMessage>(&*parsed)) route->listed = true;
        state_.apply(*parsed, tables_, ignored);
    }
    return true;
}

std::expected<void, Error> Dump::finish_request(Socket& socket, int error) {
    // A table, or a protocol, that is not there is an empty one.
    const bool absent = error == ENOENT || error == EAFNOSUPPORT || error == EOPNOTSUPP;
    if (error != 0 && !absent) {
        return std::unexpected(
            system_error(std::string("reading the kernel's ") + name_of(current_.type), error));
    }
    if (interrupted_) {
        ++interruptions_;
        if (attempts_ < kMaxAttempts) plan();
    }
    return send_next(socket);
}

}  // namespace homeport::netlink

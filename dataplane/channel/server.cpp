// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/channel/server.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

#include "dataplane/channel/socket.hpp"

namespace homeport::channel {

namespace {

std::string describe(const Peer& peer) {
    return "pid " + std::to_string(peer.pid) + ", uid " + std::to_string(peer.uid) + ", gid " +
           std::to_string(peer.gid);
}

const char* fault_of(RingState state) {
    return state == RingState::kBadIndex ? "an index that is out of range"
                                         : "a record whose length makes no sense";
}

/// Sends `reply` and `fds` as one message; never blocks. False: the peer is gone or does not read.
bool send_reply(int socket, HelloReply& reply, std::span<const int> fds) {
    iovec data{&reply, sizeof reply};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(kControlPlaneDescriptors * sizeof(int))> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    return ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) ==
           static_cast<ssize_t>(sizeof reply);
}

bool has_closed(short revents) {
    return (revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL)) != 0;
}

}  // namespace

Server::Server(ServerConfig config, const Region& statistics, FileDescriptor lock,
               FileDescriptor listener)
    : config_(std::move(config)),
      statistics_(&statistics),
      lock_(std::move(lock)),
      listener_(std::move(listener)) {
    pending_.reserve(kMaxPending);
    observers_.reserve(kMaxObservers);
}

Server::~Server() {
    if (!listener_) return;
    ::unlink(config_.socket_path.c_str());
    drop_regions();
}

std::expected<Server, Error> Server::open(ServerConfig config, const Region& statistics) {
    if (!valid_ring_capacity(config.command_capacity) ||
        !valid_ring_capacity(config.event_capacity)) {
        return std::unexpected(
            Error{ErrorCode::kBadRegion, "the rings of the channel have " +
                                             std::to_string(config.command_capacity) + " and " +
                                             std::to_string(config.event_capacity) +
                                             " octets, expected powers of two from 4096 to 2^30"});
    }
    auto lock = lock_socket_path(config.socket_path);
    if (!lock) return std::unexpected(std::move(lock.error()));
    auto listener = listen_on(config.socket_path, config.socket_mode, config.socket_group);
    if (!listener) return std::unexpected(std::move(listener.error()));
    return Server(std::move(config), statistics, std::move(*lock), std::move(*listener));
}

ServerEvent Server::poll() {
    if (!attached_ && command_region_) drop_regions();

    std::array<pollfd, 2 + kMaxPending + kMaxObservers> fds{};
    std::size_t count = 0;
    const auto watch = [&](int fd) { fds[count++] = {fd, POLLIN | POLLRDHUP, 0}; };
    watch(pending_.size() < kMaxPending ? listener_.get() : -1);
    watch(peer_socket_.get());
    for (const Pending& pending : pending_) watch(pending.socket.get());
    for (const FileDescriptor& observer : observers_) watch(observer.get());
    if (::poll(fds.data(), count, 0) < 0) return {};

    // The peer first: when it is gone, its successor may be let in.
    if (attached_) {
        ServerEvent event = look_after_peer(fds[1].revents);
        if (event.kind != ServerEvent::Kind::kNothing) return event;
    }
    const std::size_t pending_count = pending_.size();
    for (std::size_t i = observers_.size(); i-- > 0;) {
        // An observer has nothing to say either.
        if (fds[2 + pending_count + i].revents != 0) {
            observers_.erase(observers_.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    for (std::size_t i = 0; i < pending_count; ++i) {
        const bool readable = fds[2 + i].revents != 0;
        if (!readable && std::chrono::steady_clock::now() < pending_[i].deadline) continue;
        Pending pending = std::move(pending_[i]);
        pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(i));
        if (!readable) return refuse(pending, HelloStatus::kMalformed, "no hello came in time");
        std::array<std::uint8_t, 2 * sizeof(Hello)> bytes;
        const ssize_t length =
            ::recv(pending.socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_TRUNC);
        if (length <= 0) return {};  // it went without a word
        const auto received = std::min(static_cast<std::size_t>(length), bytes.size());
        return greet(std::move(pending), ConstByteSpan(bytes).first(received));
    }
    if (fds[0].revents != 0) accept_connections();
    return {};
}

void Server::accept_connections() {
    while (pending_.size() < kMaxPending) {
        FileDescriptor socket(
            ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
        if (!socket) return;
        ucred credentials{};
        socklen_t length = sizeof credentials;
        if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
            continue;
        }
        pending_.push_back({std::move(socket),
                            Peer{credentials.pid, credentials.uid, credentials.gid, {}},
                            std::chrono::steady_clock::now() + config_.hello_timeout});
    }
}

ServerEvent Server::look_after_peer(short revents) {
    std::string reason = std::exchange(detach_reason_, {});
    if (!reason.empty()) {
        // as the caller says
    } else if (commands_.broken()) {
        reason = std::string("it wrote ") + fault_of(commands_.state()) + " to the command ring";
    } else if (events_.broken()) {
        reason = std::string("it wrote ") + fault_of(events_.state()) + " to the event ring";
    } else if (has_closed(revents)) {
        reason = "it closed the channel or died";
    } else if ((revents & POLLIN) != 0) {
        reason = "it sent an unexpected message over the socket";
    } else {
        return {};
    }
    attached_ = false;
    peer_socket_.reset();
    return {ServerEvent::Kind::kDetached,
            "control plane (" + describe(peer_) + ") detached: " + reason};
}

ServerEvent Server::greet(Pending pending, ConstByteSpan bytes) {
    const auto hello = decode_hello(bytes, config_.build_id);
    if (!hello) return refuse(pending, hello.error().status, hello.error().text);
    pending.peer.build_id = printable(text_of(hello->build_id));
    return hello->role == Role::kControlPlane ? attach(std::move(pending))
                                              : attach_observer(std::move(pending));
}

ServerEvent Server::attach(Pending pending) {
    if (attached_) {
        return refuse(pending, HelloStatus::kBusy,
                      "a control plane (" + describe(peer_) + ") is attached already");
    }
    auto command_region =
        Region::create("homeport-commands", ring_region_size(config_.command_capacity),
                       PeerAccess::kReadWrite, CoreDump::kExclude);
    if (!command_region) {
        return refuse(pending, HelloStatus::kInternal, command_region.error().text);
    }
    auto event_region = Region::create("homeport-events", ring_region_size(config_.event_capacity),
                                       PeerAccess::kReadWrite, CoreDump::kInclude);
    if (!event_region) return refuse(pending, HelloStatus::kInternal, event_region.error().text);
    FileDescriptor wake_up(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    FileDescriptor bell(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
    if (!wake_up || !bell) {
        return refuse(pending, HelloStatus::kInternal, system_error("eventfd", errno).text);
    }

    HelloReply reply = make_reply(HelloStatus::kAccepted);
    reply.command_capacity = config_.command_capacity;
    reply.event_capacity = config_.event_capacity;
    const std::array fds{command_region->fd(), event_region->fd(), statistics_->fd(), wake_up.get(),
                         bell.get()};
    static_assert(std::tuple_size_v<decltype(fds)> == kControlPlaneDescriptors);
    if (!send_reply(pending.socket.get(), reply, fds)) {
        return {ServerEvent::Kind::kRefused,
                "control plane (" + describe(pending.peer) + ") went away during the hand-shake"};
    }
    command_region_ = std::move(*command_region);
    event_region_ = std::move(*event_region);
    wake_up_ = std::move(wake_up);
    bell_ = std::move(bell);
    commands_ = RingConsumer(command_region_.writable_bytes(), config_.command_capacity);
    events_ = RingProducer(event_region_.writable_bytes(), config_.event_capacity);
    peer_ = std::move(pending.peer);
    peer_socket_ = std::move(pending.socket);
    detach_reason_.clear();
    attached_ = true;
    return {ServerEvent::Kind::kAttached,
            "control plane (" + describe(peer_) + ", build \"" + peer_.build_id + "\") attached"};
}

ServerEvent Server::attach_observer(Pending pending) {
    if (observers_.size() >= kMaxObservers) {
        return refuse(pending, HelloStatus::kBusy,
                      std::to_string(kMaxObservers) + " observers are attached already");
    }
    HelloReply reply = make_reply(HelloStatus::kAccepted);
    const std::array fds{statistics_->fd()};
    if (!send_reply(pending.socket.get(), reply, fds)) return {};
    observers_.push_back(std::move(pending.socket));
    return {ServerEvent::Kind::kObserverAttached,
            "observer (" + describe(pending.peer) + ") attached"};
}

ServerEvent Server::refuse(const Pending& pending, HelloStatus status, std::string_view text) {
    HelloReply reply = make_reply(status);
    reply.statistics_size = 0;
    copy_text(reply.text, text);
    send_reply(pending.socket.get(), reply, {});
    return {ServerEvent::Kind::kRefused,
            "refused a client (" + describe(pending.peer) + "): " + std::string(text)};
}

HelloReply Server::make_reply(HelloStatus status) const {
    HelloReply reply;
    reply.abi_layout = kAbiLayout;
    reply.status = status;
    copy_text(reply.build_id, config_.build_id);
    reply.statistics_size = statistics_->bytes().size();
    return reply;
}

void Server::flush() {
    if (!attached_ || !events_.publish_and_see_sleeper()) return;
    // The peer shares the eventfd's open file and could have filled it and made it blocking.
    pollfd writable{wake_up_.get(), POLLOUT, 0};
    const auto interrupted = [](auto result) { return result < 0 && errno == EINTR; };
    int ready = 0;
    do {  // its announcement is taken back: if this does not wake it up nothing will
        ready = ::poll(&writable, 1, 0);
    } while (interrupted(ready));
    if (ready != 1 || (writable.revents & POLLOUT) == 0) return;
    const std::uint64_t one = 1;
    while (interrupted(::write(wake_up_.get(), &one, sizeof one))) {
    }
}

void Server::detach(std::string reason) {
    if (attached_) detach_reason_ = reason.empty() ? "no reason given" : std::move(reason);
}

void Server::drop_regions() {
    commands_ = {};
    events_ = {};
    command_region_.wipe();  // unread commands may carry keys
    command_region_ = {};
    event_region_ = {};
    wake_up_.reset();
    bell_.reset();
}

}  // namespace homeport::channel

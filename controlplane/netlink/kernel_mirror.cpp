// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/kernel_mirror.hpp"

#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include "controlplane/netlink/dump.hpp"
#include "controlplane/netlink/kernel_state.hpp"
#include "controlplane/netlink/projection.hpp"
#include "controlplane/netlink/socket.hpp"
#include "dataplane/channel/file_descriptor.hpp"

namespace homeport::netlink {

namespace {

using channel::FileDescriptor;

constexpr std::array<unsigned, 7> kGroups{
    RTNLGRP_LINK,       RTNLGRP_NEIGH,      RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
    RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP};

// Changes heard while tables are read, to be applied behind them. More of them are an overrun.
constexpr std::size_t kMaxMissed = 262144;
constexpr long kRetryNanoseconds = 250'000'000;
// Sequence numbers of requests that are no dumps.
constexpr std::uint32_t kTouchSequence = 0x80000000;

/// An error report, but for one about a neighbour that there was nothing to forget of.
bool is_refusal(const nlmsghdr& message) {
    if (message.nlmsg_type != NLMSG_ERROR) return false;
    if (mnl_nlmsg_get_payload_len(&message) < sizeof(nlmsgerr)) return true;
    const auto* report = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message));
    return report->error != -ENOENT || report->msg.nlmsg_type != RTM_DELNEIGH;
}

}  // namespace

class KernelMirror::Implementation {
  public:
    Implementation(MirrorSink& sink, const MirrorOptions& options, Socket monitor, Socket requests,
                   FileDescriptor timer, FileDescriptor poll)
        : sink_(sink),
          options_(options),
          monitor_(std::move(monitor)),
          requests_(std::move(requests)),
          timer_(std::move(timer)),
          poll_(std::move(poll)) {}

    [[nodiscard]] int fd() const { return poll_.get(); }
    [[nodiscard]] bool in_sync() const { return started_ && !dump_.running() && wanted_ == 0; }
    [[nodiscard]] const MirrorStatistics& statistics() const { return statistics_; }

    std::expected<void, Error> process();
    std::expected<void, Error> begin_wanted();
    void set_port(const std::string& interface_name, std::uint16_t port);
    void clear_port(std::uint16_t port);
    void replay_all(MirrorSink& sink) const;
    bool touch_neighbour(std::uint16_t port, const IpAddress& address);
    bool forget_neighbour(std::uint16_t port, const IpAddress& address);

  private:
    bool ask(std::uint16_t type, std::uint16_t flags, std::uint8_t neighbour_flags,
             std::uint16_t port, const IpAddress& address);
    std::expected<void, Error> listen();
    std::expected<void, Error> read_answers();
    void hear(const nlmsghdr& message);
    void note_overrun();
    void take_over_dump();
    void retry_later();

    MirrorSink& sink_;
    MirrorOptions options_;
    Socket monitor_;
    Socket requests_;
    FileDescriptor timer_;
    FileDescriptor poll_;  // readable when any of the others is

    KernelState state_;
    Changes changes_;
    Projection projection_;
    Dump dump_;
    unsigned wanted_ = kAllTables;  // tables to read as soon as no dump runs
    std::vector<Message> missed_;   // heard while a dump ran
    bool started_ = false;          // the first picture is whole
    std::uint32_t touches_ = 0;
    MirrorStatistics statistics_;
};

std::expected<void, Error> KernelMirror::Implementation::process() {
    std::uint64_t expirations;
    if (::read(timer_.get(), &expirations, sizeof expirations) > 0) wanted_ |= kAllTables;
    if (auto heard = listen(); !heard) return heard;
    const bool was_running = dump_.running();
    if (auto read = read_answers(); !read) return read;
    const bool finished = was_running && !dump_.running();
    if (finished) take_over_dump();
    wanted_ |= std::exchange(changes_.reread, 0u);
    if (auto begun = begin_wanted(); !begun) return begun;
    if (started_) projection_.update(state_, changes_, sink_);
    if (finished && in_sync()) sink_.in_sync();
    return {};
}

std::expected<void, Error> KernelMirror::Implementation::listen() {
    for (std::size_t i = 0; i < options_.datagrams_per_round; ++i) {
        ConstByteSpan datagram;
        switch (monitor_.receive(datagram)) {
            case Socket::Received::kNothing:
                return {};
            case Socket::Received::kFailed:
                return std::unexpected(system_error("hearing the kernel's changes", errno));
            case Socket::Received::kLost:
                note_overrun();
                break;
            case Socket::Received::kDatagram:
                while (const nlmsghdr* message = take_message(datagram)) hear(*message);
                if (!datagram.empty()) ++statistics_.malformed;
        }
    }
    return {};
}

void KernelMirror::Implementation::hear(const nlmsghdr& message) {
    ++statistics_.changes;
    auto parsed = parse_message(message);
    if (!parsed) {
        if (parsed.error() == NotParsed::kMalformed) ++statistics_.malformed;
        return;
    }
    state_.apply(*parsed, kAllTables, changes_);
    if (!dump_.running()) return;
    if (missed_.size() < kMaxMissed) {
        missed_.push_back(std::move(*parsed));
    } else {
        note_overrun();
    }
}

void KernelMirror::Implementation::note_overrun() {
    ++statistics_.overruns;
    wanted_ = kAllTables;
}

std::expected<void, Error> KernelMirror::Implementation::read_answers() {
    for (std::size_t i = 0; i < options_.datagrams_per_round; ++i) {
        ConstByteSpan datagram;
        switch (requests_.receive(datagram)) {
            case Socket::Received::kNothing:
                return {};
            case Socket::Received::kFailed:
                return std::unexpected(system_error("reading the kernel's tables", errno));
            case Socket::Received::kLost:
                // The kernel goes on with a dump when there is room again; an error report may
                // be gone.
                note_overrun();
                break;
            case Socket::Received::kDatagram:
                while (const nlmsghdr* message = take_message(datagram)) {
                    const auto taken = dump_.take(requests_, *message);
                    if (!taken) return std::unexpected(taken.error());
                    if (!*taken && is_refusal(*message)) ++statistics_.refused_requests;
                }
        }
    }
    return {};
}

std::expected<void, Error> KernelMirror::Implementation::begin_wanted() {
    if (wanted_ == 0 || dump_.running()) return {};
    missed_.clear();
    return dump_.begin(requests_, std::exchange(wanted_, 0u));
}

void KernelMirror::Implementation::take_over_dump() {
    ++statistics_.resynchronisations;
    statistics_.interrupted_dumps += dump_.interruptions();
    if (dump_.incomplete()) {
        dump_.state().complete_from(state_, dump_.tables());
        retry_later();
    }
    state_.replace(std::move(dump_.state()), dump_.tables(), changes_);
    for (const Message& message : missed_) state_.apply(message, dump_.tables(), changes_);
    missed_.clear();
    missed_.shrink_to_fit();
    started_ = true;
}

void KernelMirror::Implementation::retry_later() {
    itimerspec when{};
    when.it_value.tv_nsec = kRetryNanoseconds;
    ::timerfd_settime(timer_.get(), 0, &when, nullptr);
}

void KernelMirror::Implementation::set_port(const std::string& interface_name, std::uint16_t port) {
    projection_.set_port(interface_name, port);
    if (started_) projection_.update_all(state_, sink_);
}

void KernelMirror::Implementation::clear_port(std::uint16_t port) {
    projection_.clear_port(port);
    if (started_) projection_.update_all(state_, sink_);
}

void KernelMirror::Implementation::replay_all(MirrorSink& sink) const {
    if (started_) projection_.replay(sink);
}

bool KernelMirror::Implementation::touch_neighbour(std::uint16_t port, const IpAddress& address) {
    return ask(RTM_NEWNEIGH, NLM_F_REQUEST | NLM_F_CREATE, NTF_USE, port, address);
}

bool KernelMirror::Implementation::forget_neighbour(std::uint16_t port, const IpAddress& address) {
    return ask(RTM_DELNEIGH, NLM_F_REQUEST, 0, port, address);
}

bool KernelMirror::Implementation::ask(std::uint16_t type, std::uint16_t flags,
                                       std::uint8_t neighbour_flags, std::uint16_t port,
                                       const IpAddress& address) {
    const int index = projection_.index_of(port, state_);
    if (index == 0) return false;
    alignas(nlmsghdr) std::array<char, 128> buffer{};
    nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type = type;
    message->nlmsg_flags = flags;
    message->nlmsg_seq = kTouchSequence | (++touches_ & (kTouchSequence - 1));
    auto* header = static_cast<ndmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(ndmsg)));
    header->ndm_ifindex = index;
    header->ndm_flags = neighbour_flags;
    std::visit(
        [&](const auto& a) {
            header->ndm_family = sizeof a.bytes == 4 ? AF_INET : AF_INET6;
            mnl_attr_put(message, NDA_DST, sizeof a.bytes, a.bytes.data());
        },
        address);
    return requests_.send(*message) == 0;
}

std::expected<std::unique_ptr<KernelMirror>, Error> KernelMirror::open(
    MirrorSink& sink, const MirrorOptions& options) {
    auto monitor = Socket::open(options.receive_buffer);
    if (!monitor) return std::unexpected(std::move(monitor.error()));
    auto requests = Socket::open(0);
    if (!requests) return std::unexpected(std::move(requests.error()));
    FileDescriptor timer(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
    FileDescriptor poll(::epoll_create1(EPOLL_CLOEXEC));
    for (const int fd : {monitor->fd(), requests->fd(), timer.get()}) {
        epoll_event event{};
        event.events = EPOLLIN;
        if (::epoll_ctl(poll.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
            return std::unexpected(system_error("preparing to wait for netlink", errno));
        }
    }
    // Heard from now on, so that no change falls between the dumps and the monitor.
    if (auto joined = monitor->join(kGroups); !joined) {
        return std::unexpected(std::move(joined.error()));
    }
    auto implementation =
        std::make_unique<Implementation>(sink, options, std::move(*monitor), std::move(*requests),
                                         std::move(timer), std::move(poll));
    if (auto begun = implementation->begin_wanted(); !begun) {
        return std::unexpected(std::move(begun.error()));
    }
    return std::unique_ptr<KernelMirror>(new KernelMirror(std::move(implementation)));
}

KernelMirror::KernelMirror(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
KernelMirror::~KernelMirror() = default;

int KernelMirror::fd() const {
    return implementation_->fd();
}
std::expected<void, Error> KernelMirror::process() {
    return implementation_->process();
}
bool KernelMirror::in_sync() const {
    return implementation_->in_sync();
}
void KernelMirror::set_port(const std::string& interface_name, std::uint16_t port) {
    implementation_->set_port(interface_name, port);
}
void KernelMirror::clear_port(std::uint16_t port) {
    implementation_->clear_port(port);
}
void KernelMirror::replay_all(MirrorSink& sink) const {
    implementation_->replay_all(sink);
}
bool KernelMirror::touch_neighbour(std::uint16_t port, const IpAddress& address) {
    return implementation_->touch_neighbour(port, address);
}
bool KernelMirror::forget_neighbour(std::uint16_t port, const IpAddress& address) {
    return implementation_->forget_neighbour(port, address);
}
const MirrorStatistics& KernelMirror::statistics() const {
    return implementation_->statistics();
}

}  // namespace homeport::netlink

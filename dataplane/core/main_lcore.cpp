// SPDX-License-Identifier: BSD-3-Clause
// The main lcore's loop, and its traffic with the kernel.
#include "dataplane/core/main_lcore.hpp"

#include <rte_cycles.h>
#include <rte_ring.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "dataplane/core/log.hpp"
#include "dataplane/stage/stage.hpp"

namespace homeport::core {

using channel::Counter;

namespace {

/// Without work. Whoever has some rings a bell, so staying awake saves a few microseconds at most;
/// and often the control plane, for which this is to make room, has the same CPU.
constexpr unsigned kRoundsBeforeSleep = 3;
/// Rounds from one look at the TAPs, a system call each, to the next while there is other work.
constexpr unsigned kRoundsBetweenTaps = 8;
constexpr int kLongestSleepMs = 1;  // housekeeping

}  // namespace

MainLcore::MainLcore(const MainSetup& setup)
    : state_(setup.state),
      ipsec_(setup.ipsec),
      workers_(setup.workers),
      ports_(setup.ports),
      region_(setup.statistics),
      statistics_(setup.own_statistics),
      server_(setup.server),
      waker_(setup.waker),
      trace_session_(setup.trace_session),
      pool_(setup.pool),
      jumbo_pool_(setup.jumbo_pool),
      applier_(state_, ipsec_, *this),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      hz_(rte_get_tsc_hz()),
      started_(rte_rdtsc()) {
    const auto watch = [this](int fd) {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = fd;
        epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    };
    watch(waker_.fd());
    for (const auto& port : ports_) {
        if (port->tap != nullptr) watch(port->tap->fd());
    }
    adjacency_rows_in_use_.resize(region_.layout().adjacency_count, 0);
    policy_rows_in_use_.resize(ipsec::kHitSlots, 0);
}

MainLcore::~MainLcore() {
    if (epoll_ >= 0) close(epoll_);
}

void MainLcore::run(const std::atomic<bool>& stop) {
    unsigned idle_rounds = 0;
    while (!stop.load(std::memory_order_relaxed)) {
        idle_rounds = round() ? 0 : idle_rounds + 1;
        if (idle_rounds < kRoundsBeforeSleep) continue;
        // Whoever puts something into a ring after this wakes us up.
        waker_.announce_sleep();
        server_.announce_sleep();
        if (!round()) sleep();
        rounds_ = 0;  // what woke us up may be a TAP
        server_.awake();
        waker_.awake();
    }
}

bool MainLcore::round() {
    const std::uint64_t now = rte_rdtsc();
    // Packets first: they are what has no time.
    bool busy = to_taps();
    if (rounds_++ % kRoundsBetweenTaps == 0) busy |= from_taps();
    busy |= punts();
    busy |= commands();
    busy |= requests();
    busy |= traces();
    busy |= state_.writer().poll((now - started_) / hz_, 256);
    housekeeping(now);
    server_.flush();
    return busy;
}

void MainLcore::sleep() {
    std::array<epoll_event, 8> events;
    (void)epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), kLongestSleepMs);
}

void MainLcore::housekeeping(std::uint64_t now) {
    if (now < next_millisecond_) return;
    next_millisecond_ = now + hz_ / 1000;
    region_.beat();
    look_at_channel();
    look_at_lifetimes();
    look_at_associations();
    if (now >= next_link_look_) {
        next_link_look_ = now + hz_ / 5;
        look_at_links();
    }
    if (now >= next_second_) {
        next_second_ = now + hz_;
        write_statistics();
    }
}

// -------------------------------------------------------------------------------- the kernel

bool MainLcore::to_taps() {
    bool busy = false;
    for (const auto& port : ports_) busy |= to_taps(*port);
    return busy;
}

bool MainLcore::to_taps(PortContext& port) {
    std::array<rte_mbuf*, kBurst> frames;
    const unsigned count = rte_ring_sc_dequeue_burst(
        port.to_kernel, reinterpret_cast<void**>(frames.data()), kBurst, nullptr);
    for (unsigned i = 0; i < count; ++i) {
        const bool written = port.tap != nullptr &&
                             port.tap->write({stage::data(frames[i]), stage::length(frames[i])});
        if (written) ++port.kernel_tx;
        this->count(written ? Counter::kToKernel : Counter::kKernelFull);
    }
    if (count != 0) rte_pktmbuf_free_bulk(frames.data(), count);
    return count != 0;
}

bool MainLcore::from_taps() {
    bool busy = false;
    for (const auto& port : ports_) {
        if (port->tap == nullptr) continue;
        for (unsigned i = 0; i < kBurst; ++i) {
            rte_mbuf* const frame = make_mbuf(port->port->frame_size());
            // Without a buffer or room the kernel keeps its frames a while, and then drops.
            if (frame == nullptr) break;
            const std::size_t length =
                port->tap->read({stage::data(frame), rte_pktmbuf_tailroom(frame)});
            if (length == 0) {
                rte_pktmbuf_free(frame);
                break;
            }
            busy = true;
            ++port->kernel_rx;
            frame->data_len = static_cast<std::uint16_t>(length);
            frame->pkt_len = static_cast<std::uint32_t>(length);
            count(Counter::kRxKernel);
            const FromMain order{.kind = FromMain::Kind::kKernelFrame, .port = port->number};
            std::memcpy(frame->buf_addr, &order, sizeof order);
            if (rte_ring_enqueue(workers_.front()->from_main(), frame) != 0) {
                count(Counter::kHandoverFull);
                rte_pktmbuf_free(frame);
            }
        }
    }
    return busy;
}

rte_mbuf* MainLcore::make_mbuf(std::size_t octets) {
    const bool fits = octets + RTE_PKTMBUF_HEADROOM <= rte_pktmbuf_data_room_size(pool_);
    return rte_pktmbuf_alloc(fits ? pool_ : jumbo_pool_);
}

void MainLcore::drain() {
    while (to_taps()) {
    }
    while (punts()) {
    }
    server_.flush();
    write_statistics();
}

// --------------------------------------------------------------------------------- the links

void MainLcore::look_at_links() {
    for (const auto& port : ports_) {
        const port::LinkState link = port->port->link();
        if (link == port->link) continue;
        const bool changed = link.up != port->link.up;
        port->link = link;
        port->transmit.link_up.store(link.up, std::memory_order_relaxed);
        if (changed) {
            if (port->tap != nullptr) port->tap->set_carrier(link.up);
            log(link.up ? Message::kLinkUp : Message::kLinkDown,
                "port " + port->port->name() + (link.up ? ": link" : ": no link"));
        }
        send_port_info(*port);
    }
}

}  // namespace homeport::core

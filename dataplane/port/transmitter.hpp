// SPDX-License-Identifier: BSD-3-Clause
// How a worker sends: what its stages put into the queues goes to the drivers when the worker's
// loop flushes them.
#pragma once

#include <rte_spinlock.h>

#include <array>
#include <atomic>
#include <cstdint>

#include "dataplane/base/cache_line.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/stage/send_queues.hpp"

namespace homeport::port {

/// What the workers share about sending on one port.
struct TransmitPort {
    /// A cache line each: workers that send by different queues write no common line.
    struct alignas(kCacheLine) QueueLock {
        rte_spinlock_t lock{};
    };
    std::atomic<bool> link_up{true};           // read by all, written when the link changes
    std::array<QueueLock, 128> queue_locks{};  // used where workers share a queue
};
static_assert(kFillsLines<TransmitPort> && kFillsLines<TransmitPort::QueueLock>);

class Transmitter : public stage::SendQueues {
  public:
    /// A driver that takes nothing for this many flushes has what waits dropped (tx.full).
    static constexpr unsigned kPatience = 256;

    using SendQueues::SendQueues;

    /// Frames for port number `port` go to `queue` of DPDK port `device`; `shared_queue`: another
    /// worker uses it too. `shared` must outlive this object.
    void attach(std::uint16_t port, std::uint16_t device, std::uint16_t queue, bool shared_queue,
                TransmitPort& shared);
    /// Gives what waits to the drivers; counts tx.port. True: nothing waits any more.
    bool flush() { return waiting_ == 0 || flush_waiting(); }

  private:
    struct Line {
        std::uint16_t device = 0;
        std::uint16_t queue = 0;
        bool shared_queue = false;
        unsigned futile = 0;  // flushes in a row of which the driver took nothing
        TransmitPort* shared = nullptr;
    };

    bool flush_waiting();
    void flush_port(Line& line, Queue& queue);

    std::array<Line, channel::kMaxPorts> lines_;
};

}  // namespace homeport::port

// SPDX-License-Identifier: BSD-3-Clause
// What a worker sends: frames wait here, by port, until the worker's loop flushes them. Thus the tx
// stage makes no system call, whatever the driver.
#pragma once

#include <rte_mbuf.h>
#include <rte_spinlock.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "dataplane/base/cache_line.hpp"
#include "dataplane/channel/counter.hpp"
#include "dataplane/channel/messages.hpp"

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

class Transmitter {
  public:
    static constexpr std::uint32_t kCapacity = 2048;  // frames of one port
    static constexpr std::uint32_t kMostAtOnce = 64;  // of which room() is asked for
    /// A driver that takes nothing for this many flushes has what waits dropped (tx.full).
    static constexpr unsigned kPatience = 256;

    /// `counters`: channel::kCounterCount words of the worker.
    explicit Transmitter(std::uint64_t* counters) : counters_(counters) {}
    /// Drops what still waits, uncounted.
    ~Transmitter();
    Transmitter(const Transmitter&) = delete;
    Transmitter& operator=(const Transmitter&) = delete;

    /// Frames for port number `port` go to `queue` of DPDK port `device`; `shared_queue`: another
    /// worker uses it too. `shared` must outlive this object.
    void attach(std::uint16_t port, std::uint16_t device, std::uint16_t queue, bool shared_queue,
                TransmitPort& shared);

    /// Takes a frame for `port`, or counts it as tx.full or tx.port_down and frees it.
    void put(std::uint16_t port, rte_mbuf* frame) {
        if (port >= channel::kMaxPorts || queues_[port] == nullptr ||
            queues_[port]->count == kCapacity) [[unlikely]] {
            refuse(port, frame);
            return;
        }
        Queue& queue = *queues_[port];
        queue.frames[queue.count++] = frame;
        waiting_ |= std::uint32_t{1} << port;
    }
    /// Where the next frames for `port` go, kMostAtOnce at most: to be written there and then said
    /// by added(), so that a run of them costs no more than its stores. Null: there is no such port.
    [[nodiscard]] rte_mbuf** room(std::uint16_t port) {
        if (port >= channel::kMaxPorts || queues_[port] == nullptr) [[unlikely]]
            return nullptr;
        return queues_[port]->frames.data() + queues_[port]->count;
    }
    /// Takes `count` frames that were written to room(port), or counts what is too much for the
    /// port as tx.full and frees it.
    void added(std::uint16_t port, unsigned count) {
        Queue& queue = *queues_[port];
        queue.count += count;
        waiting_ |= std::uint32_t{1} << port;
        if (queue.count > kCapacity) [[unlikely]]
            cut(queue);
    }
    /// Gives what waits to the drivers; counts tx.port. True: nothing waits any more.
    bool flush() { return waiting_ == 0 || flush_waiting(); }

  private:
    struct alignas(kCacheLine) Queue {
        std::uint16_t device = 0;
        std::uint16_t queue = 0;
        bool shared_queue = false;
        TransmitPort* shared = nullptr;
        std::uint32_t count = 0;
        unsigned futile = 0;
        std::array<rte_mbuf*, kCapacity + kMostAtOnce> frames;
    };
    static_assert(kFillsLines<Queue>);
    static_assert(channel::kMaxPorts <= 32);

    void refuse(std::uint16_t port, rte_mbuf* frame);
    bool flush_waiting();
    void flush_port(Queue& queue);
    void drop(Queue& queue, channel::Counter counter);
    void cut(Queue& queue);
    void count(channel::Counter counter, std::uint64_t n);

    std::uint64_t* counters_;
    std::uint32_t waiting_ = 0;  // bit by port
    std::array<std::unique_ptr<Queue>, channel::kMaxPorts> queues_;
};

}  // namespace homeport::port

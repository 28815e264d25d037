// SPDX-License-Identifier: BSD-3-Clause
// What a worker has to send: frames wait here, by port, until port::Transmitter gives them to the
// drivers behind the run. Thus no stage makes a system call, whatever the driver.
#pragma once

#include <rte_mbuf.h>

#include <array>
#include <cstdint>
#include <memory>

#include "dataplane/base/cache_line.hpp"
#include "dataplane/channel/counter.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/stage/stage.hpp"

namespace homeport::stage {

/// Of one worker, which alone uses it. Owns the frames that wait.
class SendQueues {
  public:
    static constexpr std::uint32_t kCapacity = 2048;  // frames of one port

    /// `counters`: channel::kCounterCount words of the worker.
    explicit SendQueues(std::uint64_t* counters) : counters_(counters) {}
    /// Drops what still waits, uncounted.
    ~SendQueues();
    SendQueues(const SendQueues&) = delete;
    SendQueues& operator=(const SendQueues&) = delete;

    /// Takes a frame for `port`, or counts it as tx.full or tx.port_down and frees it.
    void put(std::uint16_t port, rte_mbuf* frame) {
        if (port >= channel::kMaxPorts || queues_[port] == nullptr ||
            queues_[port]->count >= kCapacity) [[unlikely]] {
            refuse(port, frame);
            return;
        }
        Queue& queue = *queues_[port];
        queue.frames[queue.count++] = frame;
        waiting_ |= std::uint32_t{1} << port;
    }
    /// Where the next frames for `port` go, a batch at most: to be written there and then said by
    /// added(), so that a run of them costs no more than its stores. Null: there is no such port.
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

  protected:
    struct alignas(kCacheLine) Queue {
        std::uint32_t count = 0;
        std::array<rte_mbuf*, kCapacity + kBatchSize> frames;  // a batch more, for room()
    };
    static_assert(kFillsLines<Queue>);
    static_assert(channel::kMaxPorts <= 32);

    void make_queue(std::uint16_t port);
    void count(channel::Counter counter, std::uint64_t n);
    /// Counts and frees all that waits in `queue`.
    void drop(Queue& queue, channel::Counter counter);

    std::uint32_t waiting_ = 0;  // bit by port
    std::array<std::unique_ptr<Queue>, channel::kMaxPorts> queues_;

  private:
    void refuse(std::uint16_t port, rte_mbuf* frame);
    void cut(Queue& queue);

    std::uint64_t* counters_;
};

}  // namespace homeport::stage

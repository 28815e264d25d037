// SPDX-License-Identifier: BSD-3-Clause
// A receive queue as the worker that polls it has it, and the frames that were taken off it and
// wait: data behind signalling. One thread.
#pragma once

#include <rte_mbuf.h>

#include <bit>
#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/base/cache_line.hpp"

namespace homeport::core {

/// Frames in the order in which they came, at most `capacity`.
class alignas(kCacheLine) FrameQueue {
  public:
    explicit FrameQueue(std::uint32_t capacity)
        : capacity_(capacity),
          mask_(std::bit_ceil(capacity) - 1),
          frames_(std::size_t{mask_} + 1) {}
    ~FrameQueue() {
        while (head_ != tail_) rte_pktmbuf_free(frames_[head_++ & mask_]);
    }
    FrameQueue(const FrameQueue&) = delete;
    FrameQueue& operator=(const FrameQueue&) = delete;

    [[nodiscard]] bool empty() const { return head_ == tail_; }
    [[nodiscard]] std::uint32_t size() const { return tail_ - head_; }
    [[nodiscard]] std::uint32_t capacity() const { return capacity_; }
    /// False: it is full.
    [[nodiscard]] bool push(rte_mbuf* frame) {
        if (size() == capacity_) return false;
        frames_[tail_++ & mask_] = frame;
        return true;
    }
    /// The first of them, at most as many as `out` has room for.
    [[nodiscard]] std::size_t take(std::span<rte_mbuf*> out) {
        std::size_t count = 0;
        while (count < out.size() && head_ != tail_) out[count++] = frames_[head_++ & mask_];
        return count;
    }

  private:
    std::uint32_t capacity_;
    std::uint32_t mask_;
    std::uint32_t head_ = 0;  // both only rise, and are cut to places by the mask
    std::uint32_t tail_ = 0;
    LineVector<rte_mbuf*> frames_;
};
static_assert(kFillsLines<FrameQueue>);

struct ReceiveOptions {
    bool first = false;            // polled before those that are not
    std::uint32_t look_ahead = 0;  // frames to look at for signalling when it runs over; 0: none
};

struct ReceiveQueue {
    std::uint16_t port;  // number of the port
    std::uint16_t device;
    std::uint16_t queue;
    bool first = false;
    bool tells_length = true;               // the driver says whether a descriptor is done
    std::unique_ptr<FrameQueue> backlog{};  // null: no look ahead
};

}  // namespace homeport::core

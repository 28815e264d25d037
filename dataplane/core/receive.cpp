// SPDX-License-Identifier: BSD-3-Clause
// How a worker takes frames off its receive queues: in batches, as they come, while it keeps up.
//
// A queue that fills up is looked through. What looks like signalling goes first, in a queue of its
// own; data waits behind it, as much as the queue's backlog holds, and what comes beyond is dropped
// here, by name, and not by the device, which would take signalling with it. So a binding update
// waits for one round of the worker, whatever comes beside it. Signalling is bounded as well: in
// each round a share of it, then a batch of data of each queue.
#include <rte_ethdev.h>
#include <rte_prefetch.h>

#include <algorithm>

#include "dataplane/core/signalling_peek.hpp"
#include "dataplane/core/worker_context.hpp"

namespace homeport::core {

using channel::Counter;
using stage::kBatchSize;

namespace {

/// Some drivers give a few less than they were asked for, to end on a cache line.
constexpr unsigned kFullBurst = kBatchSize - 8;
constexpr unsigned kPrefetchDistance = 6;
constexpr unsigned kSignallingBatches = 2;  // a round

}  // namespace

bool WorkerContext::poll_queue(ReceiveQueue& queue) {
    std::array<rte_mbuf*, kBatchSize> frames;
    const std::uint16_t count =
        rte_eth_rx_burst(queue.device, queue.queue, frames.data(), kBatchSize);
    const auto taken = std::span<rte_mbuf* const>(frames.data(), count);
    if (queue.backlog == nullptr ||
        (queue.backlog->empty() && (count < kFullBurst || !runs_over(queue)))) {
        if (count == 0) return false;
        receive(queue.port, taken);
        return true;
    }
    look_ahead(queue, taken);
    return true;
}

/// More waits than a round may take. A driver that cannot tell is believed to have more behind a
/// full burst.
bool WorkerContext::runs_over(ReceiveQueue& queue) {
    if (!queue.tells_length) return true;
    const auto offset = static_cast<std::uint16_t>(queue.backlog->capacity() / 4);
    const int status = rte_eth_rx_descriptor_status(queue.device, queue.queue, offset);
    if (status < 0) queue.tells_length = false;
    return status < 0 || status == RTE_ETH_RX_DESC_DONE;
}

/// Takes what there is, at most as much as the backlog is long, then begins with some of it.
void WorkerContext::look_ahead(ReceiveQueue& queue, std::span<rte_mbuf* const> frames) {
    sort_out(queue, frames);
    std::array<rte_mbuf*, kBatchSize> more;
    std::size_t last = frames.size();
    for (std::size_t seen = last; last >= kFullBurst && seen < queue.backlog->capacity();
         seen += last) {
        last = rte_eth_rx_burst(queue.device, queue.queue, more.data(), kBatchSize);
        sort_out(queue, std::span<rte_mbuf* const>(more.data(), last));
    }
    (void)serve_signalling();
    const std::size_t count = queue.backlog->take(more);
    if (count != 0) begin_with(queue.port, std::span<rte_mbuf* const>(more.data(), count), 0);
}

void WorkerContext::sort_out(ReceiveQueue& queue, std::span<rte_mbuf* const> frames) {
    if (frames.empty()) return;
    worker_.count(Counter::kRxPort, frames.size());
    std::array<rte_mbuf*, kBatchSize> refused;
    unsigned refused_count = 0;
    std::uint64_t no_room = 0;
    std::uint64_t first = 0;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        if (i + kPrefetchDistance < frames.size()) {
            rte_prefetch0(rte_pktmbuf_mtod(frames[i + kPrefetchDistance], void*));
        }
        rte_mbuf* const frame = frames[i];
        const ConstByteSpan bytes(stage::data(frame), stage::length(frame));
        if (looks_like_signalling(bytes, state_.tables())) [[unlikely]] {
            stage::init_meta(frame, queue.port);
            if (signalling_.push(frame)) {
                ++first;
                continue;
            }
            ++no_room;
            refused[refused_count++] = frame;
        } else if (!queue.backlog->push(frame)) {
            refused[refused_count++] = frame;
        }
    }
    if (first != 0) worker_.count(Counter::kSignallingFirst, first);
    if (refused_count == 0) return;
    if (no_room != 0) worker_.count(Counter::kSignallingFull, no_room);
    worker_.count(Counter::kRxOverload, refused_count - no_room);
    rte_pktmbuf_free_bulk(refused.data(), refused_count);
}

/// Some of the signalling that was found here or handed over by other workers.
bool WorkerContext::serve_signalling() {
    bool busy = false;
    for (unsigned batch = 0; batch < kSignallingBatches && !signalling_.empty(); ++batch) {
        std::array<rte_mbuf*, kBatchSize> frames;
        const std::size_t count = signalling_.take(frames);
        // Frames of one port together, in their order.
        for (std::size_t begin = 0, end = 0; begin < count; begin = end) {
            const std::uint16_t port = stage::meta(frames[begin]).in_port;
            while (end < count && stage::meta(frames[end]).in_port == port) ++end;
            begin_with(port, std::span<rte_mbuf* const>(&frames[begin], end - begin),
                       stage::kMetaSignalling);
        }
        busy = true;
    }
    if (worker_.worker_count > 1) {
        for (unsigned batch = 0; batch < kSignallingBatches; ++batch) {
            if (!poll_ring(signalling_handed_over_)) break;
            busy = true;
        }
    }
    return busy;
}

}  // namespace homeport::core

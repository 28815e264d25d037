// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/send_queues.hpp"

namespace homeport::stage {

using channel::Counter;

SendQueues::~SendQueues() {
    for (auto& queue : queues_) {
        if (queue != nullptr) rte_pktmbuf_free_bulk(queue->frames.data(), queue->count);
    }
}

void SendQueues::make_queue(std::uint16_t port) {
    queues_[port] = std::make_unique<Queue>();
}

void SendQueues::count(Counter counter, std::uint64_t n) {
    std::uint64_t& word = counters_[static_cast<std::size_t>(counter)];
    __atomic_store_n(&word, word + n, __ATOMIC_RELAXED);
}

void SendQueues::refuse(std::uint16_t port, rte_mbuf* frame) {
    const bool known = port < channel::kMaxPorts && queues_[port] != nullptr;
    count(known ? Counter::kTxFull : Counter::kTxPortDown, 1);
    rte_pktmbuf_free(frame);
}

void SendQueues::drop(Queue& queue, Counter counter) {
    count(counter, queue.count);
    rte_pktmbuf_free_bulk(queue.frames.data(), queue.count);
    queue.count = 0;
}

/// Drops what is behind the capacity.
void SendQueues::cut(Queue& queue) {
    count(Counter::kTxFull, queue.count - kCapacity);
    rte_pktmbuf_free_bulk(queue.frames.data() + kCapacity, queue.count - kCapacity);
    queue.count = kCapacity;
}

}  // namespace homeport::stage

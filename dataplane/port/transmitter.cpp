// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/transmitter.hpp"

#include <rte_ethdev.h>

#include <bit>
#include <cstring>

namespace homeport::port {

using channel::Counter;

Transmitter::~Transmitter() {
    for (auto& queue : queues_) {
        if (queue != nullptr) rte_pktmbuf_free_bulk(queue->frames.data(), queue->count);
    }
}

void Transmitter::attach(std::uint16_t port, std::uint16_t device, std::uint16_t queue,
                         bool shared_queue, TransmitPort& shared) {
    if (port >= channel::kMaxPorts) return;
    queues_[port] = std::make_unique<Queue>();
    queues_[port]->device = device;
    queues_[port]->queue = queue;
    queues_[port]->shared_queue = shared_queue;
    queues_[port]->shared = &shared;
}

void Transmitter::count(Counter counter, std::uint64_t n) {
    std::uint64_t& word = counters_[static_cast<std::size_t>(counter)];
    __atomic_store_n(&word, word + n, __ATOMIC_RELAXED);
}

void Transmitter::refuse(std::uint16_t port, rte_mbuf* frame) {
    const bool known = port < channel::kMaxPorts && queues_[port] != nullptr;
    count(known ? Counter::kTxFull : Counter::kTxPortDown, 1);
    rte_pktmbuf_free(frame);
}

bool Transmitter::flush_waiting() {
    for (std::uint32_t ports = waiting_; ports != 0; ports &= ports - 1) {
        const auto port = static_cast<unsigned>(std::countr_zero(ports));
        Queue& queue = *queues_[port];
        if (!queue.shared->link_up.load(std::memory_order_relaxed)) [[unlikely]] {
            drop(queue, Counter::kTxPortDown);
        } else {
            flush_port(queue);
        }
        if (queue.count == 0) waiting_ &= ~(std::uint32_t{1} << port);
    }
    return waiting_ == 0;
}

void Transmitter::flush_port(Queue& queue) {
    rte_spinlock_t* const lock =
        queue.shared_queue ? &queue.shared->queue_locks[queue.queue].lock : nullptr;
    if (lock != nullptr) rte_spinlock_lock(lock);
    std::uint32_t sent = 0;
    while (sent < queue.count) {
        const auto rest = static_cast<std::uint16_t>(queue.count - sent);
        const std::uint16_t taken =
            rte_eth_tx_burst(queue.device, queue.queue, queue.frames.data() + sent, rest);
        sent += taken;
        if (taken < rest) break;
    }
    if (lock != nullptr) rte_spinlock_unlock(lock);
    if (sent != 0) count(Counter::kTxPort, sent);
    if (sent == queue.count) {
        queue.count = 0;
        queue.futile = 0;
        return;
    }
    std::memmove(queue.frames.data(), queue.frames.data() + sent,
                 (queue.count - sent) * sizeof(rte_mbuf*));
    queue.count -= sent;
    queue.futile = sent != 0 ? 0 : queue.futile + 1;
    if (queue.futile >= kPatience) drop(queue, Counter::kTxFull);
}

void Transmitter::drop(Queue& queue, Counter counter) {
    count(counter, queue.count);
    rte_pktmbuf_free_bulk(queue.frames.data(), queue.count);
    queue.count = 0;
    queue.futile = 0;
}

/// What is behind its capacity.
void Transmitter::cut(Queue& queue) {
    count(Counter::kTxFull, queue.count - kCapacity);
    rte_pktmbuf_free_bulk(queue.frames.data() + kCapacity, queue.count - kCapacity);
    queue.count = kCapacity;
}

}  // namespace homeport::port

// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/port/transmitter.hpp"

#include <rte_ethdev.h>

#include <algorithm>
#include <bit>

namespace homeport::port {

using channel::Counter;

void Transmitter::attach(std::uint16_t port, std::uint16_t device, std::uint16_t queue,
                         bool shared_queue, TransmitPort& shared) {
    if (port >= channel::kMaxPorts) return;
    make_queue(port);
    lines_[port] = {
        .device = device, .queue = queue, .shared_queue = shared_queue, .shared = &shared};
}

bool Transmitter::flush_waiting() {
    for (std::uint32_t ports = waiting_; ports != 0; ports &= ports - 1) {
        const auto port = static_cast<unsigned>(std::countr_zero(ports));
        Line& line = lines_[port];
        Queue& queue = *queues_[port];
        if (!line.shared->link_up.load(std::memory_order_relaxed)) [[unlikely]] {
            drop(queue, Counter::kTxPortDown);
            line.futile = 0;
        } else {
            flush_port(line, queue);
        }
        if (queue.count == 0) waiting_ &= ~(std::uint32_t{1} << port);
    }
    return waiting_ == 0;
}

void Transmitter::flush_port(Line& line, Queue& queue) {
    rte_spinlock_t* const lock =
        line.shared_queue ? &line.shared->queue_locks[line.queue].lock : nullptr;
    if (lock != nullptr) rte_spinlock_lock(lock);
    std::uint32_t sent = 0;
    while (sent < queue.count) {
        const auto rest = static_cast<std::uint16_t>(queue.count - sent);
        const std::uint16_t taken =
            rte_eth_tx_burst(line.device, line.queue, queue.frames.data() + sent, rest);
        sent += taken;
        if (taken < rest) break;
    }
    if (lock != nullptr) rte_spinlock_unlock(lock);
    if (sent != 0) count(Counter::kTxPort, sent);
    if (sent == queue.count) {
        queue.count = 0;
        line.futile = 0;
        return;
    }
    std::copy(queue.frames.data() + sent, queue.frames.data() + queue.count, queue.frames.data());
    queue.count -= sent;
    line.futile = sent != 0 ? 0 : line.futile + 1;
    if (line.futile < kPatience) return;
    drop(queue, Counter::kTxFull);
    line.futile = 0;
}

}  // namespace homeport::port

// SPDX-License-Identifier: BSD-3-Clause
// The worker's loop: sources, stages, sink.
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_prefetch.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>
#include <sys/prctl.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "dataplane/core/worker_context.hpp"
#include "dataplane/parse/header_walk.hpp"
#include "dataplane/tunnel/support_for_stages.hpp"

namespace homeport::core {

using channel::Counter;
using stage::kBatchSize;
using stage::StageId;

namespace {

constexpr unsigned kRoundsBeforeSleep = 200;
constexpr std::size_t kMaxDeferredReplies = 256;
constexpr std::uint32_t kReportsPerSecond = 10;
constexpr std::uint32_t kBroadcastCopiesPerSecond = 10000;

/// The token bucket holds a tenth of a second, and some packets however low the rate is.
void configure(stage::Policer& policer, std::uint32_t per_second, std::uint32_t least_burst) {
    policer.configure(per_second, std::max(per_second / 10, least_burst), rte_get_tsc_hz());
}

}  // namespace

void WorkerContext::refresh() {
    worker_.signalling = state_.signalling();
    const channel::ParametersSet* parameters = state_.parameters();
    if (parameters == parameters_) return;
    parameters_ = parameters;
    worker_.parameters = parameters;
    configure(worker_.icmp_policer, parameters->icmp_errors_per_second, 10);
    configure(worker_.control_policer, parameters->punt_packets_per_second, 64);
    configure(worker_.sealed_control_policer, parameters->punt_packets_per_second, 64);
    configure(worker_.known_control_policer, parameters->punt_packets_per_second, 64);
    const std::uint32_t of_source = std::max(parameters->punt_packets_per_second / 8, 1u);
    mip4_sources_.configure(of_source, std::max(of_source / 10, 64u), rte_get_tsc_hz());
    worker_.mip4_sources = &mip4_sources_;
    configure(worker_.kernel_policer, parameters->kernel_packets_per_second, 64);
    configure(worker_.report_policer, kReportsPerSecond, 4);
    configure(worker_.broadcast_policer, kBroadcastCopiesPerSecond, 128);
    signalling_spis_.configure(
        {.technique = parameters->technique == channel::Technique::kHeuristic
                          ? tunnel::SignallingSpis::Technique::kHeuristic
                          : tunnel::SignallingSpis::Technique::kApi,
         .timeout = rte_get_tsc_hz() / 1000 * parameters->heuristic_timeout_ms,
         .min_packets = parameters->heuristic_min_packets});
    const std::uint64_t millisecond = rte_get_tsc_hz() / 1000;
    const std::uint32_t most_pending = parameters->nat_pending_max != 0
                                           ? parameters->nat_pending_max
                                           : state_.tables().bindings.capacity() / 16;
    reply_to_.configure({.records = {.synchronous = !worker_.ipsec_keeps_packets,
                                     .lock_timeout = millisecond * parameters->nat_lock_timeout_ms,
                                     .time_to_live = millisecond * parameters->nat_pending_ttl_ms,
                                     .most_pending = std::max(most_pending, 1u)},
                         .lock_depth = parameters->nat_lock_depth});
}

void WorkerContext::inject_one(StageId stage, rte_mbuf* packet) {
    driver_->inject(stage, std::span(&packet, 1));
}

/// Packets that had to wait for an earlier one go first, at most so many that a batch fits behind.
void WorkerContext::run_stages() {
    driver_->run();
    reply_to_.end_run(driver_->ended_tsc());
    look_at_signalling();
    while (retry_waiting()) {
    }
}

/// True: some of the packets that wait could go on, and did.
bool WorkerContext::retry_waiting() {
    if (reply_to_.waiting() == 0) [[likely]]
        return false;
    std::array<void*, kBatchSize> waiting;
    const std::size_t count = reply_to_.take_waiting(waiting, rte_rdtsc());
    if (count == 0) return false;
    for (std::size_t i = 0; i < count; ++i) {
        inject_one(StageId::kHomeAddress, static_cast<rte_mbuf*>(waiting[i]));
    }
    driver_->run();
    reply_to_.end_run(driver_->ended_tsc());
    return true;
}

void WorkerContext::receive(std::uint16_t port, std::span<rte_mbuf* const> frames) {
    worker_.count(Counter::kRxPort, frames.size());
    for (std::size_t first = 0; first < frames.size(); first += kBatchSize) {
        begin_with(port,
                   frames.subspan(first, std::min<std::size_t>(kBatchSize, frames.size() - first)),
                   0);
    }
}

/// At most a batch of frames, which are counted as received; `flags`: MetaFlags of all of them.
void WorkerContext::begin_with(std::uint16_t port, std::span<rte_mbuf* const> frames,
                               std::uint16_t flags) {
    const stage::PacketMeta notes = stage::fresh_meta(port, flags);
    unsigned chained = 0;
#pragma GCC unroll 4
    for (rte_mbuf* frame : frames) {
        rte_prefetch0(rte_pktmbuf_mtod(frame, void*));
        stage::meta(frame) = notes;
        chained |= frame->nb_segs ^ 1u;
    }
    const StageId first = state_.ready() ? StageId::kExpress : StageId::kToKernel;
    if (chained == 0) [[likely]] {
        driver_->inject(first, frames);
    } else {
        inject_in_one_piece(first, frames);
    }
    run_stages();
}

/// Only drivers that were told of larger frames than the pool takes chain buffers.
void WorkerContext::inject_in_one_piece(StageId stage, std::span<rte_mbuf* const> frames) {
    for (rte_mbuf* frame : frames) {
        if (rte_pktmbuf_linearize(frame) != 0) {
            worker_.count(Counter::kParseTruncated);
            rte_pktmbuf_free(frame);
        } else {
            inject_one(stage, frame);
        }
    }
}

void WorkerContext::start_packet(rte_mbuf* packet) {
    FromMain order;
    std::memcpy(&order, packet->buf_addr, sizeof order);
    if (order.kind == FromMain::Kind::kFrame) {
        transmitter_.put(order.port, packet);
        return;
    }
    if (order.kind == FromMain::Kind::kKernelFrame) {
        if (!state_.ready()) return transmitter_.put(order.port, packet);
        stage::init_meta(packet, order.port).flags = stage::kMetaOriginated;
        inject_one(StageId::kParse, packet);
        return;
    }
    parse::Headers headers;
    const parse::Error error = parse::walk({stage::data(packet), stage::length(packet)}, headers);
    if (error != parse::Error::kNone) {
        worker_.count(tunnel::counter_of(error));
        rte_pktmbuf_free(packet);
        return;
    }
    if (order.reply_to.family != 0 && headers.family == 6 && !note_reply(order, packet)) return;
    // S1.18, technique B: the protocol module has a message for this home address.
    if (headers.family == 6 &&
        tunnel::takes_routing_header(
            headers.protocol,
            ConstByteSpan(stage::data(packet), headers.end).subspan(headers.upper_offset))) {
        signalling_spis_.arm(
            Ipv6Address::load(stage::data(packet) + offsetof(Ipv6Header, destination)), rte_rdtsc(),
            tunnel::kind_of(headers.protocol));
    }
    stage::PacketMeta& notes = stage::init_meta(packet, order.port);
    notes.family = headers.family;
    notes.protocol = headers.protocol;
    notes.upper_offset = headers.upper_offset;
    notes.flags = stage::kMetaOriginated;
    inject_one(StageId::kIpsecOut, packet);
}

/// S1.50. False: the packet waits, or was dropped.
bool WorkerContext::note_reply(const FromMain& order, rte_mbuf* packet) {
    const auto home_address =
        Ipv6Address::load(stage::data(packet) + offsetof(Ipv6Header, destination));
    const tunnel::WireEndpoint destination{.address = order.reply_to.family == 6
                                                          ? IpAddress(order.reply_to.v6())
                                                          : IpAddress(order.reply_to.v4()),
                                           .udp_port = order.reply_to_port,
                                           .local_port = order.reply_from_port,
                                           .local = order.reply_from.v4()};
    const std::uint64_t now = rte_rdtsc();
    if (reply_to_.set_reply(home_address, destination, now) == tunnel::ReplyToTable::Result::kOk) {
        return true;
    }
    if (deferred_.size() < kMaxDeferredReplies) {
        deferred_.push_back(packet);
        return false;
    }
    worker_.count(Counter::kMip6HaoBusy);
    rte_pktmbuf_free(packet);
    return false;
}

bool WorkerContext::poll_from_main() {
    std::array<rte_mbuf*, kBatchSize> packets;
    std::size_t count = 0;
    if (!deferred_.empty()) [[unlikely]] {
        count = std::min(deferred_.size(), packets.size());
        std::copy_n(deferred_.begin(), count, packets.begin());
        deferred_.erase(deferred_.begin(), deferred_.begin() + static_cast<std::ptrdiff_t>(count));
    } else if (rte_ring_empty(from_main_) == 0) {
        count = rte_ring_sc_dequeue_burst(from_main_, reinterpret_cast<void**>(packets.data()),
                                          kBatchSize, nullptr);
    }
    if (count == 0) return false;
    for (std::size_t i = 0; i < count; ++i) start_packet(packets[i]);
    run_stages();
    return true;
}

bool WorkerContext::poll_handed_over() {
    return worker_.worker_count > 1 && poll_ring(handed_over_);
}

bool WorkerContext::poll_ring(rte_ring* ring) {
    if (rte_ring_empty(ring) != 0) return false;
    std::array<rte_mbuf*, kBatchSize> packets;
    const unsigned count = rte_ring_sc_dequeue_burst(ring, reinterpret_cast<void**>(packets.data()),
                                                     kBatchSize, nullptr);
    if (statistics_.row != nullptr) channel::bump(statistics_.row->handed_over, count);
    driver_->inject_handed_over(std::span(packets.data(), count));
    run_stages();
    return count != 0;
}

/// Packets whose fragments did not all come in time.
bool WorkerContext::expire_fragments() {
    if (reassembler_->size() == 0) [[likely]]
        return false;
    const std::uint64_t now = rte_rdtsc();
    if (!reassembler_->due(now)) return false;
    std::array<rte_mbuf*, kBatchSize> first_fragments;
    const unsigned count = reassembler_->expire(worker_, now, first_fragments);
    driver_->inject(StageId::kIcmpError, std::span(first_fragments.data(), count));
    run_stages();
    return true;
}

/// Technique B: windows end by time; and what happened is counted.
void WorkerContext::look_at_signalling() {
    if (signalling_spis_.awaits()) [[unlikely]]
        signalling_spis_.expire(rte_rdtsc());
    if (!signalling_spis_.has_events()) [[likely]]
        return;
    const auto events = signalling_spis_.take_events();
    worker_.count(Counter::kTunOutSpiTimeout, events.timeout);
    worker_.count(Counter::kTunOutSpiMismatch, events.mismatch);
    worker_.count(Counter::kTunOutSpiFull, events.full);
    worker_.count(Counter::kTunOutSpiAsked, events.asked);
}

bool WorkerContext::poll() {
    refresh();
    bool busy = retry_waiting();
    busy |= serve_signalling();
    for (ReceiveQueue& queue : receive_queues_) busy |= poll_queue(queue);
    busy |= poll_handed_over();
    busy |= poll_from_main();
    busy |= expire_fragments();
    look_at_signalling();
    busy |= !transmitter_.flush();
    if (worker_.wakes_main) [[unlikely]]
        wake_main();
    return busy;
}

void WorkerContext::wake_main() {
    worker_.wakes_main = false;
    if (waker_ != nullptr) waker_->wake();
}

bool WorkerContext::idle() const {
    return deferred_.empty() && reply_to_.waiting() == 0 && rte_ring_empty(from_main_) != 0 &&
           rte_ring_empty(handed_over_) != 0 && rte_ring_empty(signalling_handed_over_) != 0 &&
           signalling_.empty() &&
           std::ranges::all_of(receive_queues_, [](const ReceiveQueue& queue) {
               return queue.backlog == nullptr || queue.backlog->empty();
           });
}

void WorkerContext::run(const std::atomic<bool>& stop, std::uint32_t idle_backoff_us) {
    rte_rcu_qsbr* const qsbr = state_.qsbr();
    const unsigned thread = worker_.index;
    rte_rcu_qsbr_thread_register(qsbr, thread);
    rte_rcu_qsbr_thread_online(qsbr, thread);
    // The kernel may otherwise add 50 us to each sleep.
    prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
    channel::WorkerRow& row = *statistics_.row;
    unsigned idle_rounds = 0;
    std::uint64_t begin = rte_rdtsc();
    while (!stop.load(std::memory_order_relaxed)) {
        if (idle_rounds != 0) begin = rte_rdtsc();  // else the last round's end
        const bool busy = poll();
        channel::bump(row.polls, 1);
        if (busy) {
            const std::uint64_t end = rte_rdtsc();
            channel::bump(row.busy_cycles, end - begin);
            begin = end;
            idle_rounds = 0;
        } else {
            channel::bump(row.empty_polls, 1);
            ++idle_rounds;
        }
        rte_rcu_qsbr_quiescent(qsbr, thread);
        if (idle_rounds <= kRoundsBeforeSleep) continue;
        if (idle_backoff_us == 0) continue;
        rte_rcu_qsbr_thread_offline(qsbr, thread);
        sleep(idle_rounds - kRoundsBeforeSleep, idle_backoff_us);
        channel::bump(row.sleeps, 1);
        rte_rcu_qsbr_thread_online(qsbr, thread);
    }
    while (!transmitter_.flush() &&
           idle_rounds++ < port::Transmitter::kPatience + kRoundsBeforeSleep) {
    }
    rte_rcu_qsbr_thread_offline(qsbr, thread);
    rte_rcu_qsbr_thread_unregister(qsbr, thread);
}

void WorkerContext::sleep(unsigned idle_rounds, std::uint32_t longest_us) {
    const std::uint32_t us = std::min<std::uint32_t>(longest_us, idle_rounds);
    const timespec duration{.tv_sec = 0, .tv_nsec = static_cast<long>(us) * 1000};
    nanosleep(&duration, nullptr);
}

}  // namespace homeport::core

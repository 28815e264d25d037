// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/stage/trace.hpp"

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>

#include "dataplane/base/ip_header.hpp"

namespace homeport::stage {

static_assert(sizeof(TraceStep) % 4 == 0 && std::is_trivially_copyable_v<TraceStep>);

std::uint8_t TraceSession::take() {
    std::uint32_t left = left_.load(std::memory_order_relaxed);
    while (left != 0) {
        if (left_.compare_exchange_weak(left, left - 1, std::memory_order_relaxed)) {
            const std::uint32_t number = taken_.fetch_add(1, std::memory_order_relaxed) + 1;
            const auto slot = static_cast<std::uint8_t>(1 + number % 255);
            numbers_[slot].store(number, std::memory_order_relaxed);
            return slot;
        }
    }
    return 0;
}

std::expected<std::unique_ptr<Tracer>, std::string> Tracer::create(const std::string& name,
                                                                   TraceSession& session,
                                                                   std::uint32_t steps) {
    rte_ring* ring = rte_ring_create_elem(name.c_str(), sizeof(TraceStep), std::bit_ceil(steps),
                                          SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring == nullptr) {
        return std::unexpected("trace ring " + name + ": " + rte_strerror(rte_errno));
    }
    return std::unique_ptr<Tracer>(new Tracer(ring, session));
}

Tracer::~Tracer() {
    rte_ring_free(ring_);
}

bool Tracer::set_filter(const TraceFilter& filter) {
    const std::uint32_t number = offered_number_.load(std::memory_order_relaxed);
    if (seen_number_.load(std::memory_order_acquire) != number) return false;
    offered_ = filter;
    offered_number_.store(number + 1, std::memory_order_release);
    return true;
}

std::optional<TraceStep> Tracer::read() {
    TraceStep step;
    if (rte_ring_sc_dequeue_elem(ring_, &step, sizeof step) != 0) return std::nullopt;
    return step;
}

bool Tracer::begin_run() {
    const std::uint32_t number = offered_number_.load(std::memory_order_acquire);
    if (number != seen_number_.load(std::memory_order_relaxed)) [[unlikely]] {
        filter_ = offered_;
        seen_number_.store(number, std::memory_order_release);
    }
    return session_.live();
}

namespace {

bool holds(ConstByteSpan packet, std::size_t offset, const channel::WireAddress& address) {
    const std::size_t length = address.family == 4 ? 4 : 16;
    return packet.size() >= offset + length &&
           std::memcmp(packet.data() + offset, address.bytes.data(), length) == 0;
}

bool has_address(ConstByteSpan packet, const channel::WireAddress& address) {
    if (packet.empty() || packet[0] >> 4 != address.family) return false;
    if (address.family == 4) return holds(packet, 12, address) || holds(packet, 16, address);
    return holds(packet, 8, address) || holds(packet, 24, address);
}

}  // namespace

bool Tracer::matches(rte_mbuf* packet, StageId stage) const {
    if (filter_.port != channel::kNoPort && filter_.port != meta(packet).in_port) return false;
    if (filter_.address.family == 0) return true;
    ConstByteSpan bytes(data(packet), length(packet));
    // The first stage sees frames, all others packets; an inner packet comes back as a packet.
    const bool is_frame =
        (stage == StageId::kExpress || stage == StageId::kParse) && meta(packet).passes == 0;
    if (is_frame) bytes = bytes.subspan(std::min(bytes.size(), sizeof(EthernetHeader)));
    return has_address(bytes, filter_.address);
}

void Tracer::choose(const Batch& batch, StageId stage, std::string_view stage_name) {
    for (unsigned i = 0; i < batch.count; ++i) {
        PacketMeta& notes = meta(batch.packets[i]);
        if (notes.trace != 0 || !matches(batch.packets[i], stage)) continue;
        notes.trace = session_.take();
        notes.trace_step = 0;
        if (notes.trace == 0) return;
        record(batch.packets[i], stage_name, "in");
    }
}

void Tracer::record(rte_mbuf* packet, std::string_view stage, std::string_view edge) {
    PacketMeta& notes = meta(packet);
    if (notes.trace == 0) return;
    TraceStep step;
    step.tsc = rte_rdtsc();
    step.stage = stage;
    step.edge = edge;
    step.packet = session_.numbers_[notes.trace].load(std::memory_order_relaxed);
    step.length = length(packet);
    step.step = notes.trace_step++;
    step.port = notes.in_port;
    step.captured = std::min<std::uint32_t>(step.length, step.bytes.size());
    std::memcpy(step.bytes.data(), data(packet), step.captured);
    if (rte_ring_sp_enqueue_elem(ring_, &step, sizeof step) != 0) {
        lost_.store(lost_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
}

}  // namespace homeport::stage

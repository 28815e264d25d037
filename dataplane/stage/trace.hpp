// SPDX-License-Identifier: BSD-3-Clause
// Trace of chosen packets: what every stage made of them. One Tracer a worker writes steps to a
// ring that the main lcore reads; one TraceSession is shared by all of them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "dataplane/base/cache_line.hpp"
#include "dataplane/channel/messages.hpp"
#include "dataplane/stage/stage.hpp"

struct rte_ring;

namespace homeport::stage {

struct TraceFilter {
    channel::WireAddress address;  // source or destination at any stage; family 0: every packet
    std::uint16_t port = channel::kNoPort;  // received on; kNoPort: any
};

/// One step: `packet` as `stage` gave it to `edge`. The names live as long as the program.
struct TraceStep {
    std::uint64_t tsc = 0;
    std::string_view stage;
    std::string_view edge;
    std::uint32_t packet = 0;  // number of the packet, from 1
    std::uint32_t length = 0;  // octets of the packet
    std::uint16_t step = 0;
    std::uint16_t port = channel::kNoPort;
    std::uint32_t captured = 0;
    std::array<std::uint8_t, 128> bytes{};
};

/// How many packets are still to be traced, and their numbers. Shared by all workers.
/// Read in each run; written while packets are traced.
class alignas(kCacheLine) TraceSession {
  public:
    void start(std::uint32_t packets) { left_.store(packets, std::memory_order_release); }
    void stop() { left_.store(0, std::memory_order_release); }
    [[nodiscard]] bool live() const { return left_.load(std::memory_order_relaxed) != 0; }

  private:
    friend class Tracer;
    /// A slot for one more packet, 1..255, or 0: enough are traced.
    std::uint8_t take();

    std::atomic<std::uint32_t> left_{0};
    std::atomic<std::uint32_t> taken_{0};
    std::array<std::atomic<std::uint32_t>, 256> numbers_{};
};

class alignas(kCacheLine) Tracer {
  public:
    /// A ring of `steps` steps (rounded up to a power of two) named `name`.
    [[nodiscard]] static std::expected<std::unique_ptr<Tracer>, std::string> create(
        const std::string& name, TraceSession& session, std::uint32_t steps = 2048);
    ~Tracer();
    Tracer(const Tracer&) = delete;
    Tracer& operator=(const Tracer&) = delete;

    // Main lcore.
    /// False: the worker has not yet seen the filter before; try again.
    [[nodiscard]] bool set_filter(const TraceFilter& filter);
    [[nodiscard]] std::optional<TraceStep> read();
    [[nodiscard]] std::uint64_t lost_steps() const { return lost_.load(std::memory_order_relaxed); }

    // Worker.
    /// Whether packets of the coming run are to be looked at.
    [[nodiscard]] bool begin_run();
    /// Marks those packets of `batch` that the filter chooses.
    void choose(const Batch& batch, StageId stage, std::string_view stage_name);
    void record(rte_mbuf* packet, std::string_view stage, std::string_view edge);

  private:
    Tracer(rte_ring* ring, TraceSession& session) : ring_(ring), session_(session) {}
    [[nodiscard]] bool matches(rte_mbuf* packet, StageId stage) const;

    rte_ring* ring_;
    TraceSession& session_;
    TraceFilter filter_;  // the worker's copy
    TraceFilter offered_;
    std::atomic<std::uint32_t> offered_number_{0};
    std::atomic<std::uint32_t> seen_number_{0};
    std::atomic<std::uint64_t> lost_{0};
};
static_assert(kFillsLines<TraceSession> && kFillsLines<Tracer>);

}  // namespace homeport::stage

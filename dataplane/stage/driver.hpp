// SPDX-License-Identifier: BSD-3-Clause
// The stage driver: runs a fixed graph of stages over batches of packets until all of them have
// left it, counts what passes and traces chosen packets (DESIGN 3). One worker, one thread.
//
//   auto driver = Driver::create(worker, descriptions, statistics);
//   driver->inject(StageId::kParse, packets);
//   driver->run();
//
// The stage with the lowest number that has packets waiting runs next, with up to 64 of them. An
// edge back to an earlier stage is allowed; a packet may take kMaxPasses of those.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/base/cache_line.hpp"
#include "dataplane/channel/statistics.hpp"
#include "dataplane/stage/stage.hpp"
#include "dataplane/stage/worker.hpp"

namespace homeport::stage {

class Tracer;

/// Where the driver counts: rows of the statistics region, or of a test.
struct DriverStatistics {
    channel::StageRow* stages = nullptr;  // by StageId, kStageCount rows
    std::uint64_t* edges = nullptr;       // in the order of edge_names()
};

/// Names of all stages, by StageId; of a stage that is not described its own name all the same.
[[nodiscard]] std::vector<std::string> stage_names();
/// "stage.edge" of all edges, in the order in which they are counted.
[[nodiscard]] std::vector<std::string> edge_names(std::span<const StageDescription> stages);

class alignas(kCacheLine) Driver {
  public:
    /// Checks the graph: each stage once, edges named, their targets present. `stages` must have
    /// static storage. The error says what is wrong.
    [[nodiscard]] static std::expected<std::unique_ptr<Driver>, std::string> create(
        Worker& worker, std::span<const StageDescription> stages, DriverStatistics statistics,
        Tracer* tracer = nullptr);
    ~Driver();
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;

    /// Puts up to kBatchSize packets before `stage`; their notes must be set. Only between runs.
    void inject(StageId stage, std::span<rte_mbuf* const> packets);
    /// Packets from another worker's hand_over(): each goes on where it was.
    void inject_handed_over(std::span<rte_mbuf* const> packets);
    /// Runs stages until no packet waits.
    void run();
    /// When the last run ended, TSC.
    [[nodiscard]] std::uint64_t ended_tsc() const { return last_tsc_; }

    [[nodiscard]] Worker& worker() { return worker_; }

  private:
    friend class Edges;
    struct Stage {
        StageFunction function = nullptr;
        std::string_view name;
        unsigned edge_count = 0;
        bool has_back_edge = false;
        std::array<std::string_view, kMaxEdges> edge_names;
        std::array<Edges::Slot, kMaxEdges> slots;
        std::uint64_t* edge_counts = nullptr;
    };

    explicit Driver(Worker& worker);
    [[nodiscard]] std::expected<void, std::string> build(std::span<const StageDescription> stages,
                                                         DriverStatistics statistics);
    void run_stage(unsigned id);
    void take(Queue& queue);
    void settle(Stage& stage);
    void bound_passes(Edges::Slot& slot);

    Worker& worker_;
    std::uint32_t ready_ = 0;  // bit by StageId: packets wait
    std::uint64_t last_tsc_ = 0;
    channel::StageRow* rows_ = nullptr;
    Tracer* tracer_ = nullptr;
    const Stage* running_ = nullptr;
    Batch batch_;
    Edges edges_;
    std::array<Stage, kStageCount> stages_;
    LineVector<Edges::Handover> handovers_;  // of data by worker, then of signalling by worker
    LineVector<Queue> queues_;               // by StageId
};
static_assert(kFillsLines<Driver>);

}  // namespace homeport::stage

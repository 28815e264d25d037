// SPDX-License-Identifier: BSD-3-Clause
// The data plane's side of the statistics region: makes it and writes it. Every word has one
// writing thread; a reader in another process sees whole words, and whole rows where a row has a
// sequence.
#pragma once

#include <atomic>
#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "dataplane/channel/counter.hpp"
#include "dataplane/channel/error.hpp"
#include "dataplane/channel/region.hpp"
#include "dataplane/channel/statistics.hpp"

namespace homeport::channel {

/// What the region must have room for. Names longer than 47 octets are cut.
struct StatisticsShape {
    std::vector<std::string> stages;
    std::vector<std::string> edges;  // "stage.edge"
    std::uint32_t workers = 1;       // at most kMaxStatisticsWorkers
    std::uint32_t adjacencies = 0;
    std::uint32_t sas = 0;
    std::uint32_t policies = 0;
    std::uint32_t bindings = 0;
    std::uint64_t tsc_hz = 0;
};

/// Limits that writer and reader agree on, so that no product of them overflows.
inline constexpr std::uint32_t kMaxStatisticsNames = 4096;
inline constexpr std::uint32_t kMaxStatisticsWorkers = 128;
inline constexpr std::uint32_t kMaxStatisticsRows = 1u << 26;

/// Header with all offsets and the size filled in, or why there can be none of that shape.
[[nodiscard]] std::expected<StatisticsHeader, Error> lay_out_statistics(
    const StatisticsShape& shape);

/// Stores a word that readers in other processes load.
inline void store_word(std::uint64_t& word, std::uint64_t value) {
    std::atomic_ref<std::uint64_t>(word).store(value, std::memory_order_relaxed);
}
/// Adds to a word that this thread alone writes: a load, an add and a store, nothing locked.
inline void bump(std::uint64_t& word, std::uint64_t by) {
    const std::atomic_ref<std::uint64_t> shared(word);
    shared.store(shared.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

/// What one worker writes, and nobody else. Arrays are those of the region.
struct WorkerStatistics {
    std::uint64_t* counters = nullptr;  // [kCounterCount]
    StageRow* stages = nullptr;         // [stages]
    std::uint64_t* edges = nullptr;     // [edges]
    WorkerRow* row = nullptr;
    BindingRow* bindings = nullptr;  // [bindings], by BindingSet::counter_index
    std::uint32_t stage_count = 0, edge_count = 0, binding_count = 0;

    void count(Counter counter, std::uint64_t by = 1) const {
        bump(counters[static_cast<std::size_t>(counter)], by);
    }
};

class StatisticsWriter {
  public:
    [[nodiscard]] static std::expected<StatisticsWriter, Error> create(
        const StatisticsShape& shape);

    [[nodiscard]] const Region& region() const { return region_; }
    [[nodiscard]] const StatisticsHeader& layout() const { return layout_; }

    /// Precondition: worker < shape.workers.
    [[nodiscard]] WorkerStatistics worker(std::uint32_t worker) const;

    // Main lcore only. An index beyond the table is ignored. `sequence` of a row is filled in.
    void set_port(std::uint32_t index, const PortRow& row);
    void set_adjacency(std::uint32_t index, const AdjacencyRow& row);
    void set_sa(std::uint32_t index, const SaRow& row);
    void set_policy(std::uint32_t index, const PolicyRow& row);
    /// What set_sa() wrote last; a row at rest for an index beyond the table.
    [[nodiscard]] SaRow sa(std::uint32_t index) const;

    /// Sets one of the header's changing words: current_*, mbufs_*, fast_path_ready.
    void set(std::uint64_t StatisticsHeader::* word, std::uint64_t value) {
        store_word(header()->*word, value);
    }
    /// Shows that the main lcore lives; at least ten times a second.
    void beat() { bump(header()->heartbeat, 1); }

  private:
    StatisticsWriter(Region region, const StatisticsHeader& layout)
        : region_(std::move(region)), layout_(layout) {}
    [[nodiscard]] std::uint8_t* at(std::uint64_t offset) const {
        return region_.writable_bytes().data() + offset;
    }
    [[nodiscard]] StatisticsHeader* header() const {
        return reinterpret_cast<StatisticsHeader*>(at(0));
    }

    Region region_;
    StatisticsHeader layout_;
};

}  // namespace homeport::channel

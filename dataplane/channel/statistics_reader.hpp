// SPDX-License-Identifier: BSD-3-Clause
// Reads a statistics region of any data plane of this ABI by what the region says of itself. Sizes
// and offsets are checked once, against the region's real size, and kept privately.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/channel/counter.hpp"
#include "dataplane/channel/error.hpp"
#include "dataplane/channel/statistics.hpp"

namespace homeport::channel {

struct CounterValue {
    std::string_view name;  // lives as long as the reader
    CounterKind kind{};
    std::uint64_t value = 0;
};
struct StageValue {
    std::string_view name;
    std::uint64_t calls = 0, packets = 0, cycles = 0;
};
struct EdgeValue {
    std::string_view name;  // "stage.edge"
    std::uint64_t packets = 0;
};

/// A row that is in use, and its place in its table.
template <class Row>
struct IndexedRow {
    std::uint32_t index = 0;
    Row row;
};

class StatisticsReader {
  public:
    /// `region` must stay mapped as long as the reader lives. kBadRegion: it lies about itself.
    [[nodiscard]] static std::expected<StatisticsReader, Error> open(
        std::span<const std::uint8_t> region);

    /// One of the header's words as it is now: heartbeat, current_*, mbufs_*, fast_path_ready.
    [[nodiscard]] std::uint64_t value(std::uint64_t StatisticsHeader::* word) const;
    /// Sizes and offsets, as checked when the region was opened.
    [[nodiscard]] const StatisticsHeader& layout() const { return layout_; }
    [[nodiscard]] std::uint32_t worker_count() const { return layout_.worker_count; }

    // Summed over all workers, or of one; a worker that does not exist gives zeros.
    [[nodiscard]] std::vector<CounterValue> counters() const;
    [[nodiscard]] std::vector<CounterValue> counters(std::uint32_t worker) const;
    [[nodiscard]] std::vector<StageValue> stages() const;
    [[nodiscard]] std::vector<StageValue> stages(std::uint32_t worker) const;
    [[nodiscard]] std::vector<EdgeValue> edges() const;
    [[nodiscard]] std::vector<EdgeValue> edges(std::uint32_t worker) const;
    [[nodiscard]] std::optional<std::uint64_t> counter(std::string_view name) const;
    [[nodiscard]] std::vector<WorkerRow> workers() const;

    /// Rows in use. One that stays in the middle of a change all the time is left out.
    [[nodiscard]] std::vector<IndexedRow<PortRow>> ports() const;
    [[nodiscard]] std::vector<IndexedRow<AdjacencyRow>> adjacencies() const;
    [[nodiscard]] std::vector<IndexedRow<SaRow>> sas() const;
    [[nodiscard]] std::vector<IndexedRow<PolicyRow>> policies() const;
    /// The row `counter_index`, summed over workers; nothing if there is none.
    [[nodiscard]] std::optional<BindingRow> binding(std::uint32_t counter_index) const;

  private:
    StatisticsReader(std::span<const std::uint8_t> region, const StatisticsHeader& layout);
    [[nodiscard]] std::uint64_t word(std::uint64_t offset) const;
    [[nodiscard]] std::uint64_t worker_base(std::uint32_t worker) const;
    void add_counters(std::uint32_t worker, std::vector<CounterValue>& sums) const;
    void add_stages(std::uint32_t worker, std::vector<StageValue>& sums) const;
    void add_edges(std::uint32_t worker, std::vector<EdgeValue>& sums) const;
    template <class Row>
    [[nodiscard]] std::vector<IndexedRow<Row>> rows(std::uint64_t offset,
                                                    std::uint32_t count) const;

    std::span<const std::uint8_t> region_;
    StatisticsHeader layout_;
    // Names are copied: what the peer changes later cannot move them.
    std::vector<std::pair<std::string, CounterKind>> counter_names_;
    std::vector<std::string> stage_names_, edge_names_;
};

}  // namespace homeport::channel

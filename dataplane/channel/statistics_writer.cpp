// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/channel/statistics_writer.hpp"

#include <array>
#include <bit>
#include <cstring>
#include <ctime>
#include <new>
#include <utility>

#include "dataplane/channel/records.hpp"

namespace homeport::channel {

namespace {

constexpr std::uint64_t align_to_line(std::uint64_t offset) {
    return (offset + 63) & ~std::uint64_t{63};
}

/// Writes a row whose first word begins with its sequence; all words become visible as one. Every
/// store is a release, so none of them can be seen before the odd sequence.
template <class Row>
void write_row(std::uint8_t* place, const Row& row) {
    using Words = std::array<std::uint64_t, sizeof(Row) / 8>;
    const auto values = std::bit_cast<Words>(row);
    auto* words = reinterpret_cast<std::uint64_t*>(place);
    const std::atomic_ref<std::uint64_t> sequence(words[0]);
    constexpr std::uint64_t kSequence = 0xffff;
    const std::uint64_t before = sequence.load(std::memory_order_relaxed);
    sequence.store(before | 1, std::memory_order_relaxed);
    for (std::size_t i = 1; i < values.size(); ++i) {
        std::atomic_ref<std::uint64_t>(words[i]).store(values[i], std::memory_order_release);
    }
    sequence.store((values[0] & ~kSequence) | ((before + 2) & kSequence),
                   std::memory_order_release);
}

void write_names(std::uint8_t* place, const std::vector<std::string>& names) {
    for (std::size_t i = 0; i < names.size(); ++i) {
        auto* row = new (place + i * sizeof(NameRow)) NameRow;
        copy_text(row->name, names[i]);
    }
}

}  // namespace

std::expected<StatisticsHeader, Error> lay_out_statistics(const StatisticsShape& shape) {
    if (shape.stages.size() > kMaxStatisticsNames || shape.edges.size() > kMaxStatisticsNames ||
        shape.workers > kMaxStatisticsWorkers || shape.adjacencies > kMaxStatisticsRows ||
        shape.sas > kMaxStatisticsRows || shape.policies > kMaxStatisticsRows ||
        shape.bindings > kMaxStatisticsRows) {
        return std::unexpected(
            Error{ErrorCode::kBadRegion,
                  "statistics for " + std::to_string(shape.workers) + " workers, " +
                      std::to_string(shape.bindings) + " bindings, " + std::to_string(shape.sas) +
                      " SAs and " + std::to_string(shape.adjacencies) +
                      " adjacencies, expected at most " + std::to_string(kMaxStatisticsWorkers) +
                      " and " + std::to_string(kMaxStatisticsRows)});
    }
    StatisticsHeader layout;
    layout.tsc_hz = shape.tsc_hz;
    layout.counter_count = kCounterCount;
    layout.stage_count = static_cast<std::uint32_t>(shape.stages.size());
    layout.edge_count = static_cast<std::uint32_t>(shape.edges.size());
    layout.worker_count = shape.workers;
    layout.port_count = kMaxPorts;
    layout.adjacency_count = shape.adjacencies;
    layout.sa_count = shape.sas;
    layout.policy_count = shape.policies;
    // An even number: a worker's rows are whole cache lines, and none is of two workers.
    static_assert(2 * sizeof(BindingRow) == 64);
    layout.binding_count = (shape.bindings + 1) / 2 * 2;

    std::uint64_t offset = align_to_line(sizeof(StatisticsHeader));
    const auto take = [&offset](std::uint64_t count, std::uint64_t size) {
        return std::exchange(offset, align_to_line(offset + count * size));
    };
    layout.counter_names = take(layout.counter_count, sizeof(NameRow));
    layout.stage_names = take(layout.stage_count, sizeof(NameRow));
    layout.edge_names = take(layout.edge_count, sizeof(NameRow));

    layout.worker_stages = align_to_line(layout.counter_count * sizeof(std::uint64_t));
    layout.worker_edges =
        align_to_line(layout.worker_stages + layout.stage_count * sizeof(StageRow));
    layout.worker_row =
        align_to_line(layout.worker_edges + layout.edge_count * sizeof(std::uint64_t));
    layout.worker_stride = align_to_line(layout.worker_row + sizeof(WorkerRow));
    layout.workers = take(layout.worker_count, layout.worker_stride);

    layout.ports = take(layout.port_count, sizeof(PortRow));
    layout.adjacencies = take(layout.adjacency_count, sizeof(AdjacencyRow));
    layout.sas = take(layout.sa_count, sizeof(SaRow));
    layout.policies = take(layout.policy_count, sizeof(PolicyRow));
    layout.bindings =
        take(std::uint64_t{layout.worker_count} * layout.binding_count, sizeof(BindingRow));
    layout.size = (offset + 4095) & ~std::uint64_t{4095};
    return layout;
}

std::expected<StatisticsWriter, Error> StatisticsWriter::create(const StatisticsShape& shape) {
    auto layout = lay_out_statistics(shape);
    if (!layout) return std::unexpected(std::move(layout.error()));
    layout->started_unix_seconds = static_cast<std::uint64_t>(std::time(nullptr));
    auto region = Region::create("homeport-statistics", layout->size, PeerAccess::kReadOnly,
                                 CoreDump::kInclude);
    if (!region) return std::unexpected(std::move(region.error()));
    StatisticsWriter writer(std::move(*region), *layout);
    for (std::size_t i = 0; i < kCounterCount; ++i) {
        auto* row = new (writer.at(layout->counter_names + i * sizeof(NameRow))) NameRow;
        copy_text(row->name, kCounters[i].name);
        row->kind = static_cast<std::uint8_t>(kCounters[i].kind);
    }
    write_names(writer.at(layout->stage_names), shape.stages);
    write_names(writer.at(layout->edge_names), shape.edges);
    // Rows with members that are not zero at rest.
    for (std::uint32_t i = 0; i < shape.adjacencies; ++i) writer.set_adjacency(i, {});
    new (writer.at(0)) StatisticsHeader(*layout);
    return writer;
}

WorkerStatistics StatisticsWriter::worker(std::uint32_t worker) const {
    const std::uint64_t base = layout_.workers + worker * layout_.worker_stride;
    WorkerStatistics result;
    result.counters = reinterpret_cast<std::uint64_t*>(at(base));
    result.stages = reinterpret_cast<StageRow*>(at(base + layout_.worker_stages));
    result.edges = reinterpret_cast<std::uint64_t*>(at(base + layout_.worker_edges));
    result.row = reinterpret_cast<WorkerRow*>(at(base + layout_.worker_row));
    result.bindings = reinterpret_cast<BindingRow*>(
        at(layout_.bindings + std::uint64_t{worker} * layout_.binding_count * sizeof(BindingRow)));
    result.stage_count = layout_.stage_count;
    result.edge_count = layout_.edge_count;
    result.binding_count = layout_.binding_count;
    return result;
}

void StatisticsWriter::set_port(std::uint32_t index, const PortRow& row) {
    if (index < layout_.port_count) write_row(at(layout_.ports + index * sizeof row), row);
}
void StatisticsWriter::set_adjacency(std::uint32_t index, const AdjacencyRow& row) {
    if (index < layout_.adjacency_count) {
        write_row(at(layout_.adjacencies + index * sizeof row), row);
    }
}
void StatisticsWriter::set_sa(std::uint32_t index, const SaRow& row) {
    if (index < layout_.sa_count) write_row(at(layout_.sas + index * sizeof row), row);
}
void StatisticsWriter::set_policy(std::uint32_t index, const PolicyRow& row) {
    if (index < layout_.policy_count) write_row(at(layout_.policies + index * sizeof row), row);
}
SaRow StatisticsWriter::sa(std::uint32_t index) const {
    SaRow row;
    if (index < layout_.sa_count) {
        std::memcpy(&row, at(layout_.sas + index * sizeof row), sizeof row);
    }
    return row;
}

}  // namespace homeport::channel

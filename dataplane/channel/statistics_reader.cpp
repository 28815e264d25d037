// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/channel/statistics_reader.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstring>
#include <utility>

#include "dataplane/channel/records.hpp"
#include "dataplane/channel/statistics_writer.hpp"

namespace homeport::channel {

namespace {

constexpr int kRowAttempts = 1000;

std::uint64_t load_word(const std::uint8_t* place, std::memory_order order) {
    // A load through atomic_ref does not write: right for a read-only mapping too.
    auto& word = *reinterpret_cast<std::uint64_t*>(const_cast<std::uint8_t*>(place));
    return std::atomic_ref<std::uint64_t>(word).load(order);
}

template <class Row>
std::optional<Row> read_row(const std::uint8_t* place) {
    std::array<std::uint64_t, sizeof(Row) / 8> words;
    for (int attempt = 0; attempt < kRowAttempts; ++attempt) {
        words[0] = load_word(place, std::memory_order_acquire);
        if (words[0] % 2 != 0) continue;
        for (std::size_t i = 1; i < words.size(); ++i) {
            words[i] = load_word(place + i * 8, std::memory_order_acquire);
        }
        if (load_word(place, std::memory_order_relaxed) == words[0]) {
            return std::bit_cast<Row>(words);
        }
    }
    return std::nullopt;
}

/// Whether `count` rows of `size` octets at `offset` lie within `limit` octets, aligned. The limits
/// on counts keep the product far from overflow.
bool within(std::uint64_t offset, std::uint64_t count, std::uint64_t size, std::uint64_t limit) {
    return offset % 8 == 0 && offset <= limit && count * size <= limit - offset;
}

const char* find_fault(const StatisticsHeader& layout, std::uint64_t region_size) {
    if (layout.magic != kMagic) return "it has no magic number";
    if (layout.abi_version != kAbiVersion) return "its ABI version is another one";
    if (layout.size > region_size) return "it is smaller than it says";
    if (layout.counter_count > kMaxStatisticsNames || layout.stage_count > kMaxStatisticsNames ||
        layout.edge_count > kMaxStatisticsNames || layout.worker_count > kMaxStatisticsWorkers ||
        layout.port_count > kMaxPorts || layout.adjacency_count > kMaxStatisticsRows ||
        layout.sa_count > kMaxStatisticsRows || layout.policy_count > kMaxStatisticsRows ||
        layout.binding_count > kMaxStatisticsRows || layout.worker_stride > layout.size) {
        return "one of its tables is larger than any can be";
    }
    const std::uint64_t size = layout.size;
    const bool tables_fit =
        within(layout.counter_names, layout.counter_count, sizeof(NameRow), size) &&
        within(layout.stage_names, layout.stage_count, sizeof(NameRow), size) &&
        within(layout.edge_names, layout.edge_count, sizeof(NameRow), size) &&
        within(layout.ports, layout.port_count, sizeof(PortRow), size) &&
        within(layout.adjacencies, layout.adjacency_count, sizeof(AdjacencyRow), size) &&
        within(layout.sas, layout.sa_count, sizeof(SaRow), size) &&
        within(layout.policies, layout.policy_count, sizeof(PolicyRow), size) &&
        within(layout.bindings, std::uint64_t{layout.worker_count} * layout.binding_count,
               sizeof(BindingRow), size) &&
        within(layout.workers, layout.worker_count, layout.worker_stride, size);
    if (!tables_fit) return "one of its tables lies outside of it";
    const std::uint64_t stride = layout.worker_stride;
    const bool worker_fits =
        stride % 8 == 0 && within(0, layout.counter_count, sizeof(std::uint64_t), stride) &&
        within(layout.worker_stages, layout.stage_count, sizeof(StageRow), stride) &&
        within(layout.worker_edges, layout.edge_count, sizeof(std::uint64_t), stride) &&
        within(layout.worker_row, 1, sizeof(WorkerRow), stride);
    return worker_fits ? nullptr : "a worker's tables do not fit its share";
}

NameRow name_row(std::span<const std::uint8_t> region, std::uint64_t offset, std::size_t index) {
    NameRow row;
    std::memcpy(&row, region.data() + offset + index * sizeof row, sizeof row);
    return row;
}

}  // namespace

std::expected<StatisticsReader, Error> StatisticsReader::open(
    std::span<const std::uint8_t> region) {
    StatisticsHeader layout;
    const char* fault = "it is shorter than its header";
    if (region.size() >= sizeof layout &&
        reinterpret_cast<std::uintptr_t>(region.data()) % 8 == 0) {
        std::memcpy(&layout, region.data(), sizeof layout);
        fault = find_fault(layout, region.size());
    }
    if (fault != nullptr) {
        return std::unexpected(Error{ErrorCode::kBadRegion,
                                     std::string("the statistics region is not valid: ") + fault});
    }
    return StatisticsReader(region, layout);
}

StatisticsReader::StatisticsReader(std::span<const std::uint8_t> region,
                                   const StatisticsHeader& layout)
    : region_(region), layout_(layout) {
    for (std::uint32_t i = 0; i < layout.counter_count; ++i) {
        const NameRow row = name_row(region, layout.counter_names, i);
        const bool known = row.kind <= static_cast<std::uint8_t>(CounterKind::kEvent);
        counter_names_.emplace_back(
            text_of(row.name), known ? static_cast<CounterKind>(row.kind) : CounterKind::kEvent);
    }
    for (std::uint32_t i = 0; i < layout.stage_count; ++i) {
        stage_names_.emplace_back(text_of(name_row(region, layout.stage_names, i).name));
    }
    for (std::uint32_t i = 0; i < layout.edge_count; ++i) {
        edge_names_.emplace_back(text_of(name_row(region, layout.edge_names, i).name));
    }
}

std::uint64_t StatisticsReader::word(std::uint64_t offset) const {
    return load_word(region_.data() + offset, std::memory_order_relaxed);
}

std::uint64_t StatisticsReader::worker_base(std::uint32_t worker) const {
    return layout_.workers + worker * layout_.worker_stride;
}

std::uint64_t StatisticsReader::value(std::uint64_t StatisticsHeader::* member) const {
    const auto* base = reinterpret_cast<const std::uint8_t*>(&layout_);
    const auto* place = reinterpret_cast<const std::uint8_t*>(&(layout_.*member));
    return word(static_cast<std::uint64_t>(place - base));
}

void StatisticsReader::add_counters(std::uint32_t worker, std::vector<CounterValue>& sums) const {
    if (worker >= layout_.worker_count) return;
    for (std::size_t i = 0; i < sums.size(); ++i)
        sums[i].value += word(worker_base(worker) + i * 8);
}
void StatisticsReader::add_stages(std::uint32_t worker, std::vector<StageValue>& sums) const {
    if (worker >= layout_.worker_count) return;
    for (std::size_t i = 0; i < sums.size(); ++i) {
        const std::uint64_t row =
            worker_base(worker) + layout_.worker_stages + i * sizeof(StageRow);
        sums[i].calls += word(row + offsetof(StageRow, calls));
        sums[i].packets += word(row + offsetof(StageRow, packets));
        sums[i].cycles += word(row + offsetof(StageRow, cycles));
    }
}
void StatisticsReader::add_edges(std::uint32_t worker, std::vector<EdgeValue>& sums) const {
    if (worker >= layout_.worker_count) return;
    for (std::size_t i = 0; i < sums.size(); ++i) {
        sums[i].packets += word(worker_base(worker) + layout_.worker_edges + i * 8);
    }
}

namespace {

std::vector<CounterValue> zero_counters(
    const std::vector<std::pair<std::string, CounterKind>>& names) {
    std::vector<CounterValue> values;
    values.reserve(names.size());
    for (const auto& [name, kind] : names) values.push_back({name, kind, 0});
    return values;
}
template <class Value>
std::vector<Value> zero_values(const std::vector<std::string>& names) {
    std::vector<Value> values(names.size());
    for (std::size_t i = 0; i < names.size(); ++i) values[i].name = names[i];
    return values;
}

}  // namespace

std::vector<CounterValue> StatisticsReader::counters() const {
    auto sums = zero_counters(counter_names_);
    for (std::uint32_t w = 0; w < layout_.worker_count; ++w) add_counters(w, sums);
    return sums;
}
std::vector<CounterValue> StatisticsReader::counters(std::uint32_t worker) const {
    auto values = zero_counters(counter_names_);
    add_counters(worker, values);
    return values;
}
std::vector<StageValue> StatisticsReader::stages() const {
    auto sums = zero_values<StageValue>(stage_names_);
    for (std::uint32_t w = 0; w < layout_.worker_count; ++w) add_stages(w, sums);
    return sums;
}
std::vector<StageValue> StatisticsReader::stages(std::uint32_t worker) const {
    auto values = zero_values<StageValue>(stage_names_);
    add_stages(worker, values);
    return values;
}
std::vector<EdgeValue> StatisticsReader::edges() const {
    auto sums = zero_values<EdgeValue>(edge_names_);
    for (std::uint32_t w = 0; w < layout_.worker_count; ++w) add_edges(w, sums);
    return sums;
}
std::vector<EdgeValue> StatisticsReader::edges(std::uint32_t worker) const {
    auto values = zero_values<EdgeValue>(edge_names_);
    add_edges(worker, values);
    return values;
}

std::optional<std::uint64_t> StatisticsReader::counter(std::string_view name) const {
    for (std::size_t i = 0; i < counter_names_.size(); ++i) {
        if (counter_names_[i].first != name) continue;
        std::uint64_t sum = 0;
        for (std::uint32_t w = 0; w < layout_.worker_count; ++w)
            sum += word(worker_base(w) + i * 8);
        return sum;
    }
    return std::nullopt;
}

std::vector<WorkerRow> StatisticsReader::workers() const {
    std::vector<WorkerRow> rows;
    for (std::uint32_t w = 0; w < layout_.worker_count; ++w) {
        std::array<std::uint64_t, sizeof(WorkerRow) / 8> words;
        for (std::size_t i = 0; i < words.size(); ++i) {
            words[i] = word(worker_base(w) + layout_.worker_row + i * 8);
        }
        rows.push_back(std::bit_cast<WorkerRow>(words));
    }
    return rows;
}

template <class Row>
std::vector<IndexedRow<Row>> StatisticsReader::rows(std::uint64_t offset,
                                                    std::uint32_t count) const {
    std::vector<IndexedRow<Row>> result;
    for (std::uint32_t i = 0; i < count; ++i) {
        const auto row = read_row<Row>(region_.data() + offset + i * sizeof(Row));
        if (row && row->in_use != 0) result.push_back({i, *row});
    }
    return result;
}

std::vector<IndexedRow<PortRow>> StatisticsReader::ports() const {
    return rows<PortRow>(layout_.ports, layout_.port_count);
}
std::vector<IndexedRow<AdjacencyRow>> StatisticsReader::adjacencies() const {
    return rows<AdjacencyRow>(layout_.adjacencies, layout_.adjacency_count);
}
std::vector<IndexedRow<SaRow>> StatisticsReader::sas() const {
    return rows<SaRow>(layout_.sas, layout_.sa_count);
}
std::vector<IndexedRow<PolicyRow>> StatisticsReader::policies() const {
    return rows<PolicyRow>(layout_.policies, layout_.policy_count);
}

std::optional<BindingRow> StatisticsReader::binding(std::uint32_t counter_index) const {
    if (counter_index >= layout_.binding_count) return std::nullopt;
    BindingRow sum;
    for (std::uint32_t w = 0; w < layout_.worker_count; ++w) {
        const std::uint64_t row =
            layout_.bindings +
            (std::uint64_t{w} * layout_.binding_count + counter_index) * sizeof(BindingRow);
        sum.out_packets += word(row + offsetof(BindingRow, out_packets));
        sum.out_bytes += word(row + offsetof(BindingRow, out_bytes));
        sum.in_packets += word(row + offsetof(BindingRow, in_packets));
        sum.in_bytes += word(row + offsetof(BindingRow, in_bytes));
    }
    return sum;
}

}  // namespace homeport::channel

// SPDX-License-Identifier: BSD-3-Clause
// A worker's rows of statistics of bindings, for one burst.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>

#include "dataplane/stage/worker.hpp"
#include "dataplane/table/binding_table.hpp"

namespace homeport::tunnel {

class BindingRows {
  public:
    explicit BindingRows(const stage::Worker& worker)
        : rows_(worker.binding_rows), end_index_(rows_ == nullptr ? 0 : channel::kNoIndex) {}

    /// A row that is not there is an address like any other to a prefetch.
    [[gnu::always_inline]] void prefetch(const table::Binding& binding) const {
        const auto rows = reinterpret_cast<std::uintptr_t>(rows_);
        __builtin_prefetch(reinterpret_cast<const void*>(rows + binding.counter_index *
                                                                    sizeof(channel::BindingRow)),
                           1);
    }
    /// One packet more of `octets` towards the node, if the binding has a row.
    [[gnu::always_inline]] void count_out(const table::Binding& binding,
                                          std::uint32_t octets) const {
        if (has_row(binding)) add_out(rows_[binding.counter_index], octets);
    }
    /// The same from the node.
    [[gnu::always_inline]] void count_in(const table::Binding& binding,
                                         std::uint32_t octets) const {
        if (has_row(binding)) add_in(rows_[binding.counter_index], octets);
    }

  protected:
    [[gnu::always_inline]] bool has_row(const table::Binding& binding) const {
        return binding.counter_index < end_index_;
    }
    [[gnu::always_inline]] static void add_out(channel::BindingRow& row, std::uint32_t octets,
                                               std::uint32_t packets = 1) {
        __atomic_store_n(&row.out_packets, row.out_packets + packets, __ATOMIC_RELAXED);
        __atomic_store_n(&row.out_bytes, row.out_bytes + octets, __ATOMIC_RELAXED);
    }
    [[gnu::always_inline]] static void add_in(channel::BindingRow& row, std::uint32_t octets,
                                              std::uint32_t packets = 1) {
        __atomic_store_n(&row.in_packets, row.in_packets + packets, __ATOMIC_RELAXED);
        __atomic_store_n(&row.in_bytes, row.in_bytes + octets, __ATOMIC_RELAXED);
    }

    channel::BindingRow* rows_;
    std::uint32_t end_index_;  // of those that have a row; 0 if nothing is counted
};

/// A note of one packet, and one of a run of packets of one binding.
struct NotedPacket {
    channel::BindingRow* row;
    std::uint32_t octets;
    static constexpr std::uint32_t packets = 1;

    static NotedPacket first(channel::BindingRow* row, std::uint32_t octets) {
        return {row, octets};
    }
};
struct NotedRun {
    channel::BindingRow* row;
    std::uint32_t octets;
    std::uint32_t packets;

    static NotedRun first(channel::BindingRow* row, std::uint32_t octets) {
        return {row, octets, 1};
    }
};

/// Counts packets behind the burst, so that their rows have come in the meantime. A local variable,
/// or used as one.
template <class Noted>
class NotedBindingRows : public BindingRows {
  public:
    using BindingRows::BindingRows;
    using BindingRows::count_in;
    using BindingRows::count_out;

    /// Of a packet of the burst, of which it is told once. False: the binding has no row.
    [[gnu::always_inline]] bool note(const table::Binding& binding, std::uint32_t octets) {
        if (!has_row(binding)) return false;
        channel::BindingRow* const row = rows_ + binding.counter_index;
        __builtin_prefetch(row, 1);
        *end_++ = Noted::first(row, octets);
        return true;
    }
    /// One more for the binding of the last note.
    [[gnu::always_inline]] void repeat(std::uint32_t octets)
        requires std::same_as<Noted, NotedRun>
    {
        end_[-1].octets += octets;
        ++end_[-1].packets;
    }
    /// Counts what was noted as towards the nodes; nothing is noted behind it.
    [[gnu::always_inline]] void count_out() const {
        const Noted* const end = end_;
#pragma GCC unroll 4
        for (const Noted* noted = noted_.data(); noted != end; ++noted) {
            add_out(*noted->row, noted->octets, noted->packets);
        }
    }
    /// The same as from the nodes.
    [[gnu::always_inline]] void count_in() const {
        const Noted* const end = end_;
#pragma GCC unroll 4
        for (const Noted* noted = noted_.data(); noted != end; ++noted) {
            add_in(*noted->row, noted->octets, noted->packets);
        }
    }

  private:
    std::array<Noted, stage::kBatchSize> noted_;
    Noted* end_ = noted_.data();
};
using LateBindingRows = NotedBindingRows<NotedPacket>;
using BindingRowsOfRuns = NotedBindingRows<NotedRun>;

}  // namespace homeport::tunnel

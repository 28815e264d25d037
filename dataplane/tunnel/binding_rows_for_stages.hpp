// SPDX-License-Identifier: BSD-3-Clause
// A worker's rows of statistics of bindings, for one burst.
#pragma once

#include <cstdint>

#include "dataplane/stage/worker.hpp"
#include "dataplane/table/binding_table.hpp"

namespace homeport::tunnel {

class BindingRows {
  public:
    explicit BindingRows(const stage::Worker& worker) : rows_(worker.binding_rows) {}

    /// False: nothing is counted.
    [[nodiscard]] bool exist() const { return rows_ != nullptr; }
    /// A row that is not there is an address like any other to a prefetch.
    [[gnu::always_inline]] void prefetch(const table::Binding& binding) const {
        const auto rows = reinterpret_cast<std::uintptr_t>(rows_);
        __builtin_prefetch(reinterpret_cast<const void*>(rows + binding.counter_index *
                                                                    sizeof(channel::BindingRow)),
                           1);
    }
    /// One packet more of `octets` towards the node of the binding that has row `index`, if it has
    /// one.
    [[gnu::always_inline]] void count_out(std::uint32_t index, std::uint32_t octets) const {
        if (rows_ == nullptr || index == channel::kNoIndex) return;
        channel::BindingRow& row = rows_[index];
        __atomic_store_n(&row.out_packets, row.out_packets + 1, __ATOMIC_RELAXED);
        __atomic_store_n(&row.out_bytes, row.out_bytes + octets, __ATOMIC_RELAXED);
    }
    [[gnu::always_inline]] void count_out(const table::Binding& binding,
                                          std::uint32_t octets) const {
        count_out(binding.counter_index, octets);
    }
    /// The same from the node.
    [[gnu::always_inline]] void count_in(const table::Binding& binding,
                                         std::uint32_t octets) const {
        if (rows_ == nullptr || binding.counter_index == channel::kNoIndex) return;
        channel::BindingRow& row = rows_[binding.counter_index];
        __atomic_store_n(&row.in_packets, row.in_packets + 1, __ATOMIC_RELAXED);
        __atomic_store_n(&row.in_bytes, row.in_bytes + octets, __ATOMIC_RELAXED);
    }

  private:
    channel::BindingRow* rows_;
};

}  // namespace homeport::tunnel

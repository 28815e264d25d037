// SPDX-License-Identifier: BSD-3-Clause
// Rows of the data plane's binding statistics: dense numbers, one each bound home address.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "controlplane/binding/id_index.hpp"
#include "dataplane/base/address.hpp"
#include "dataplane/channel/messages.hpp"

namespace homeport::core {

class CounterRows {
    using Index = binding::IdIndex<Ipv6Address>;
    static constexpr std::uint32_t kNone = Index::kNone;
    [[nodiscard]] auto address_of_row() const {
        return [this](std::uint32_t row) -> const Ipv6Address& { return addresses_[row]; };
    }

  public:
    explicit CounterRows(std::uint32_t capacity) : capacity_(capacity) {}

    /// The row of this address, a new one if it has none; kNoIndex if all are taken.
    [[nodiscard]] std::uint32_t take(const Ipv6Address& home_address) {
        std::uint32_t row = index_.find(home_address, address_of_row());
        if (row != kNone) return row;
        if (!free_.empty()) {
            row = free_.back();
            free_.pop_back();
            addresses_[row] = home_address;
        } else if (addresses_.size() < capacity_) {
            row = static_cast<std::uint32_t>(addresses_.size());
            addresses_.push_back(home_address);
        } else {
            return channel::kNoIndex;
        }
        index_.insert(home_address, row);
        return row;
    }
    void give_back(const Ipv6Address& home_address) {
        const std::uint32_t row = index_.erase(home_address, address_of_row());
        if (row != kNone) free_.push_back(row);
    }
    [[nodiscard]] std::optional<std::uint32_t> find(const Ipv6Address& home_address) const {
        const std::uint32_t row = index_.find(home_address, address_of_row());
        return row == kNone ? std::nullopt : std::optional(row);
    }
    [[nodiscard]] std::size_t size() const { return index_.size(); }

  private:
    std::uint32_t capacity_;
    std::vector<std::uint32_t> free_;
    std::vector<Ipv6Address> addresses_;  // by row; of rows in free_ what it was
    Index index_;
};

}  // namespace homeport::core

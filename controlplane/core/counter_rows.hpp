// SPDX-License-Identifier: BSD-3-Clause
// Rows of the data plane's binding statistics: dense numbers, one each bound home address.
#pragma once

#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "dataplane/base/address.hpp"
#include "dataplane/channel/messages.hpp"

namespace homeport::core {

class CounterRows {
  public:
    explicit CounterRows(std::uint32_t capacity) : capacity_(capacity) {}

    /// The row of this address, a new one if it has none; kNoIndex if all are taken.
    [[nodiscard]] std::uint32_t take(const Ipv6Address& home_address) {
        const auto it = rows_.find(home_address);
        if (it != rows_.end()) return it->second;
        std::uint32_t row = next_;
        if (!free_.empty()) {
            row = free_.back();
            free_.pop_back();
        } else if (next_ < capacity_) {
            ++next_;
        } else {
            return channel::kNoIndex;
        }
        rows_.emplace(home_address, row);
        return row;
    }
    void give_back(const Ipv6Address& home_address) {
        const auto it = rows_.find(home_address);
        if (it == rows_.end()) return;
        free_.push_back(it->second);
        rows_.erase(it);
    }
    [[nodiscard]] std::optional<std::uint32_t> find(const Ipv6Address& home_address) const {
        const auto it = rows_.find(home_address);
        if (it == rows_.end()) return std::nullopt;
        return it->second;
    }
    [[nodiscard]] std::size_t size() const { return rows_.size(); }

  private:
    std::uint32_t capacity_;
    std::uint32_t next_ = 0;
    std::vector<std::uint32_t> free_;
    std::unordered_map<Ipv6Address, std::uint32_t> rows_;
};

}  // namespace homeport::core

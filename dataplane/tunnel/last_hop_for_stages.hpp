// SPDX-License-Identifier: BSD-3-Clause
// Whether packets can go out over an adjacency. Not for others.
#pragma once

#include <cstdint>

#include "dataplane/table/tables.hpp"

namespace homeport::tunnel {

/// The next hop that was asked for last: packets of a burst have few.
class LastHop {
  public:
    explicit LastHop(const table::Tables& tables) : tables_(tables) {}

    [[nodiscard]] bool is_resolved(std::uint32_t adjacency) {
        return adjacency == resolved_ || ask(adjacency);
    }

  private:
    [[nodiscard]] bool ask(std::uint32_t adjacency) {
        const table::Adjacency* const hop = tables_.adjacencies.find(adjacency);
        const bool resolved = hop != nullptr && hop->resolved != 0;
        if (resolved) resolved_ = adjacency;
        return resolved;
    }

    static constexpr std::uint32_t kNone = channel::kNoIndex - 1;  // neither an index nor kNoIndex

    const table::Tables& tables_;
    std::uint32_t resolved_ = kNone;  // the last one that is
};

}  // namespace homeport::tunnel

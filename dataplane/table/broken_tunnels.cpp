// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/broken_tunnels.hpp"

#include <algorithm>

namespace homeport::table {

void BrokenTunnels::add(const End& end, std::uint64_t now_seconds) {
    const auto known = std::ranges::find(all(), end);
    const auto index = static_cast<std::size_t>(known - all().begin());
    if (index == kMax) return;
    // Whoever says it a thousand times a second changes the list once in that second.
    if (index < list_->count && list_->until[index] == now_seconds + kSeconds) return;
    auto* const fresh = new List(*list_);
    fresh->count = std::max(fresh->count, index + 1);
    fresh->ends[index] = end;
    fresh->until[index] = now_seconds + kSeconds;
    publish(fresh);
}

void BrokenTunnels::age(std::uint64_t now_seconds) {
    if (all().empty()) return;
    auto* const fresh = new List;
    for (std::size_t i = 0; i < list_->count; ++i) {
        if (list_->until[i] <= now_seconds) continue;
        fresh->ends[fresh->count] = list_->ends[i];
        fresh->until[fresh->count++] = list_->until[i];
    }
    if (fresh->count == list_->count) {
        delete fresh;
    } else {
        publish(fresh);
    }
}

void BrokenTunnels::publish(List* fresh) {
    const List* const old = list_;
    __atomic_store_n(&list_, fresh, __ATOMIC_RELEASE);
    reclaimer_.retire(
        const_cast<List*>(old), [](void* list, void*) { delete static_cast<List*>(list); },
        nullptr);
}

}  // namespace homeport::table

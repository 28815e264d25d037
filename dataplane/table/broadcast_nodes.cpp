// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/broadcast_nodes.hpp"

namespace homeport::table {

void BroadcastNodes::set(const Node& node) {
    const auto [known, is_new] = ports_.try_emplace(node.home_address, node.port);
    if (!is_new && known->second == node.port) return;
    known->second = node.port;
    publish();
}

void BroadcastNodes::remove(const Ipv6Address& home_address) {
    if (ports_.erase(home_address) != 0) publish();
}

void BroadcastNodes::publish() {
    auto* const fresh = new List;
    for (const auto& [home_address, port] : ports_) {
        if (fresh->count == kMax) break;
        fresh->nodes[fresh->count++] = {home_address, port};
    }
    const List* const old = list_;
    __atomic_store_n(&list_, fresh, __ATOMIC_RELEASE);
    reclaimer_.retire(
        const_cast<List*>(old), [](void* list, void*) { delete static_cast<List*>(list); },
        nullptr);
}

}  // namespace homeport::table

// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/adjacency_table.hpp"

#include "dataplane/base/ip_header.hpp"

namespace homeport::table {

AdjacencyTable::AdjacencyTable(std::uint32_t max_adjacencies, Reclaimer& reclaimer)
    : hash_(max_adjacencies, reclaimer),
      current_(hash_.capacity(), PageChoice::kNormal),
      reclaimer_(reclaimer),
      references_(hash_.capacity(), 0) {}

void AdjacencyTable::publish(const Adjacency& adjacency) {
    const auto inserted = hash_.put(adjacency);
    if (!inserted) return;  // cannot be: acquire() keeps an index and a place for each
    __atomic_store_n(&current_[adjacency.index], inserted->slot + 1, __ATOMIC_RELEASE);
}

auto AdjacencyTable::acquire(std::uint16_t port, const Ipv6Address& address, std::uint32_t mtu)
    -> std::expected<std::uint32_t, Error> {
    if (const Adjacency* const known = find(port, address); known != nullptr) {
        ++references_[known->index];
        return known->index;
    }
    if (hash_.size() == hash_.capacity()) return std::unexpected(Error::kFull);
    // Indices of removed adjacencies come back with a delay; all of them are there after a wait.
    if (free_.empty() && fresh_ == hash_.capacity()) reclaimer_.synchronize();
    Adjacency adjacency{};
    if (free_.empty()) {
        adjacency.index = fresh_++;
    } else {
        adjacency.index = free_.back();
        free_.pop_back();
    }
    adjacency.next_hop = address;
    adjacency.mtu = mtu;
    adjacency.port = port;
    adjacency.family = address.is_v4_mapped() ? 4 : 6;
    references_[adjacency.index] = 1;
    publish(adjacency);
    return adjacency.index;
}

void AdjacencyTable::release(std::uint32_t index) {
    const Adjacency* const adjacency = find(index);
    if (adjacency == nullptr || --references_[index] != 0) return;
    __atomic_store_n(&current_[index], 0u, __ATOMIC_RELEASE);
    hash_.erase({adjacency->next_hop, adjacency->port});
    __atomic_store_n(&generation_, generation_ + 1, __ATOMIC_RELEASE);
    reclaimer_.retire(
        reinterpret_cast<void*>(std::uintptr_t{index}),
        [](void* object, void* owner) {
            static_cast<AdjacencyTable*>(owner)->free_.push_back(
                static_cast<std::uint32_t>(reinterpret_cast<std::uintptr_t>(object)));
        },
        this);
}

bool AdjacencyTable::resolve(std::uint32_t index, const MacAddress& neighbour,
                             const MacAddress& own) {
    const Adjacency* const old = find(index);
    if (old == nullptr) return false;
    Adjacency changed = *old;
    neighbour.store(changed.ethernet.data());
    own.store(changed.ethernet.data() + 6);
    store_be16(changed.ethernet.data() + 12, changed.family == 4 ? kEtherTypeIpv4 : kEtherTypeIpv6);
    changed.resolved = 1;
    if (old->resolved != 0 && old->ethernet == changed.ethernet) return false;
    publish(changed);
    return true;
}

void AdjacencyTable::unresolve(std::uint32_t index) {
    const Adjacency* const old = find(index);
    if (old == nullptr || old->resolved == 0) return;
    Adjacency changed = *old;
    changed.ethernet = {};
    changed.resolved = 0;
    publish(changed);
}

void AdjacencyTable::set_mtu(std::uint32_t index, std::uint32_t mtu) {
    const Adjacency* const old = find(index);
    if (old == nullptr || old->mtu == mtu) return;
    Adjacency changed = *old;
    changed.mtu = mtu;
    publish(changed);
}

}  // namespace homeport::table

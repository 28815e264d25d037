// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/cache.hpp"

#include <utility>

namespace homeport::binding {

const char* to_string(State state) {
    switch (state) {
        case State::kTentative:
            return "tentative";
        case State::kActive:
            return "active";
        case State::kDeleteWait:
            return "delete-wait";
    }
    return "";
}

const char* to_string(Encapsulation encapsulation) {
    switch (encapsulation) {
        case Encapsulation::kIpv6:
            return "ipv6";
        case Encapsulation::kIpv4:
            return "ipv4";
        case Encapsulation::kIpv4Udp:
            return "ipv4-udp";
        case Encapsulation::kIpv6Udp:
            return "ipv6-udp";
    }
    return "";
}

Cache::Cache(Limits limits, TimePoint origin) : limits_(limits), wheel_(origin) {}

Entry* Cache::find(const Ipv6Address& home_address) {
    const TimerWheel::Id id = slot_of(home_address);
    return id == kNone ? nullptr : slots_[id].get();
}

const Entry* Cache::find(const Ipv6Address& home_address) const {
    const TimerWheel::Id id = slot_of(home_address);
    return id == kNone ? nullptr : slots_[id].get();
}

std::size_t Cache::count_of_node(const std::string& node) const {
    const auto found = per_node_.find(key_of(node));
    return found == per_node_.end() ? 0 : found->second;
}

std::optional<InsertRefusal> Cache::refusal_for(const std::string& node) const {
    if (index_.size() >= limits_.bindings) return InsertRefusal::kFull;
    if (!node.empty() && count_of_node(node) >= limits_.bindings_per_node) {
        return InsertRefusal::kNodeFull;
    }
    return std::nullopt;
}

std::expected<Entry*, InsertRefusal> Cache::insert(Entry entry) {
    if (slot_of(entry.home_address) != kNone) return std::unexpected(InsertRefusal::kExists);
    if (const auto refusal = refusal_for(entry.node)) return std::unexpected(*refusal);
    auto id = static_cast<TimerWheel::Id>(slots_.size());
    if (free_.empty()) {
        slots_.emplace_back();
    } else {
        id = free_.back();
        free_.pop_back();
    }
    slots_[id] = std::make_unique<Entry>(std::move(entry));
    Entry* const placed = slots_[id].get();
    index_.insert(placed->home_address, id);
    if (!placed->node.empty()) ++per_node_[key_of(placed->node)];
    wheel_.schedule(id, placed->deadline);
    return placed;
}

void Cache::erase(const Ipv6Address& home_address) {
    const TimerWheel::Id id = index_.erase(home_address, address_in_slot());
    if (id == kNone) return;
    const auto node =
        slots_[id]->node.empty() ? per_node_.end() : per_node_.find(key_of(slots_[id]->node));
    if (node != per_node_.end() && --node->second == 0) per_node_.erase(node);
    wheel_.cancel(id);
    slots_[id].reset();
    free_.push_back(id);
}

void Cache::set_deadline(Entry& entry, TimePoint deadline) {
    entry.deadline = deadline;
    const TimerWheel::Id id = slot_of(entry.home_address);
    if (id != kNone) wheel_.schedule(id, deadline);
}

void Cache::collect_due(TimePoint now, std::vector<Ipv6Address>& due) {
    due_.clear();
    wheel_.advance(now, due_);
    for (const TimerWheel::Id id : due_) due.push_back(slots_[id]->home_address);
}

}  // namespace homeport::binding

// SPDX-License-Identifier: BSD-3-Clause
// The binding cache: entries by home address, their deadlines, and the limits on their number.
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/binding/entry.hpp"
#include "controlplane/binding/id_index.hpp"
#include "controlplane/binding/timer_wheel.hpp"

namespace homeport::binding {

struct Limits {
    std::size_t bindings = 1'000'000;  // in all, every state counted
    std::size_t bindings_per_node = 16;
};

enum class InsertRefusal : std::uint8_t { kExists, kFull, kNodeFull };

/// Not thread-safe: one owner. An Entry* stays valid until its entry is erased. `home_address` and
/// `node` of an entry must not be changed in place, and `deadline` only by set_deadline().
class Cache {
  public:
    Cache(Limits limits, TimePoint origin);

    [[nodiscard]] Entry* find(const Ipv6Address& home_address);
    [[nodiscard]] const Entry* find(const Ipv6Address& home_address) const;
    /// Takes the entry and arms its deadline.
    [[nodiscard]] std::expected<Entry*, InsertRefusal> insert(Entry entry);
    /// Whether insert() would refuse an entry of this node for want of room.
    [[nodiscard]] std::optional<InsertRefusal> refusal_for(const std::string& node) const;
    void erase(const Ipv6Address& home_address);
    void set_deadline(Entry& entry, TimePoint deadline);

    /// Appends the home addresses of entries whose deadline has come. They stay in the cache until
    /// erased, or until set_deadline() gives them another deadline.
    void collect_due(TimePoint now, std::vector<Ipv6Address>& due);
    [[nodiscard]] std::optional<TimePoint> next_deadline() const { return wheel_.next_deadline(); }

    [[nodiscard]] std::size_t size() const { return index_.size(); }
    [[nodiscard]] std::size_t count_of_node(const std::string& node) const;
    [[nodiscard]] const Limits& limits() const { return limits_; }
    /// Lower limits refuse new entries; what is there stays.
    void set_limits(Limits limits) { limits_ = limits; }

    /// Calls `visit(const Entry&)` for each entry, in no order. It must not change the cache.
    template <class Visit>
    void for_each(Visit&& visit) const {
        index_.for_each([&](TimerWheel::Id id) { visit(std::as_const(*slots_[id])); });
    }

  private:
    [[nodiscard]] static std::uint64_t key_of(const std::string& node) {
        return std::hash<std::string>{}(node);
    }
    /// For the index.
    [[nodiscard]] auto address_in_slot() const {
        return [this](TimerWheel::Id id) -> const Ipv6Address& { return slots_[id]->home_address; };
    }
    /// kNone: there is none.
    [[nodiscard]] TimerWheel::Id slot_of(const Ipv6Address& home_address) const {
        return index_.find(home_address, address_in_slot());
    }
    static constexpr TimerWheel::Id kNone = IdIndex<Ipv6Address>::kNone;

    Limits limits_;
    TimerWheel wheel_;
    IdIndex<Ipv6Address> index_;                 // of slots_, by home address
    std::vector<std::unique_ptr<Entry>> slots_;  // by timer number
    std::vector<TimerWheel::Id> free_;
    /// By the hash of the node's name: a name again beside each binding would take more than the
    /// count. Should two names meet, they share a limit.
    std::unordered_map<std::uint64_t, std::uint32_t> per_node_;
    std::vector<TimerWheel::Id> due_;
};

}  // namespace homeport::binding

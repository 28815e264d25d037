// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/kernel_state.hpp"

#include <algorithm>
#include <utility>

namespace homeport::netlink {

namespace {

unsigned tables_of(const Message& message) {
    struct Visitor {
        unsigned operator()(const LinkMessage&) const { return kLinks; }
        unsigned operator()(const AddressMessage&) const { return kAddresses; }
        unsigned operator()(const RouteMessage&) const { return kRoutes; }
        unsigned operator()(const NeighbourMessage&) const { return kNeighbours; }
        unsigned operator()(const NextHopObjectRemoved&) const { return kRoutes; }
    };
    return std::visit(Visitor{}, message);
}

RouteEntry entry_of(const RouteMessage& message) {
    return {message.type, message.metric,          message.preference,
            message.mtu,  message.next_hop_object, message.next_hops};
}

bool share_a_path(const std::vector<NextHop>& a, const std::vector<NextHop>& b) {
    return std::ranges::find_first_of(a, b) != a.end();
}

bool is_better(const RouteEntry& a, const RouteEntry& b) {
    return a.metric != b.metric ? a.metric < b.metric : a.preference > b.preference;
}

/// Puts `entry` in front of or behind those that are as good.
void insert_in_order(std::vector<RouteEntry>& entries, RouteEntry entry, bool behind_equals) {
    const auto place = behind_equals ? std::ranges::upper_bound(entries, entry, is_better)
                                     : std::ranges::lower_bound(entries, entry, is_better);
    entries.insert(place, std::move(entry));
}

/// IPv4: entries of one metric are told one by one, in the order of the kernel's list.
void add_ipv4(std::vector<RouteEntry>& entries, const RouteMessage& message) {
    const auto same_metric = [&](const RouteEntry& e) { return e.metric == message.metric; };
    RouteEntry entry = entry_of(message);
    if (message.replaces) {
        const auto old = std::ranges::find_if(entries, same_metric);
        if (old != entries.end()) {
            *old = std::move(entry);
            // A replacement that is heard twice must not leave a second copy.
            const auto rest = std::remove(old + 1, entries.end(), *old);
            entries.erase(rest, entries.end());
            return;
        }
    }
    const auto known = std::ranges::find_if(entries, [&](const RouteEntry& e) {
        return same_metric(e) && e.type == entry.type && e.next_hops == entry.next_hops;
    });
    if (known != entries.end()) {
        *known = std::move(entry);
    } else {
        insert_in_order(entries, std::move(entry), message.appends);
    }
}

/// Brings `hops` into the order of `known`, those that are new behind. The kernel's message begins
/// with the next hop that was added, its list and its dumps end with it.
void keep_order(std::vector<NextHop>& hops, const std::vector<NextHop>& known) {
    auto place = hops.begin();
    for (const NextHop& hop : known) {
        const auto found = std::find(place, hops.end(), hop);
        if (found == hops.end()) continue;
        std::rotate(place, found, found + 1);
        ++place;
    }
}

/// IPv6: a message about a route of several next hops tells all of them each time.
void add_ipv6(std::vector<RouteEntry>& entries, const RouteMessage& message, Changes& changes) {
    RouteEntry entry = entry_of(message);
    const auto is_older_state = [&](const RouteEntry& e) {
        if (e.metric != entry.metric || e.preference != entry.preference) return false;
        return message.replaces || share_a_path(e.next_hops, entry.next_hops) ||
               (e.next_hops.empty() && entry.next_hops.empty());
    };
    const auto first = std::ranges::find_if(entries, is_older_state);
    if (first == entries.end()) {
        // Where among others of its metric the kernel puts it, only the kernel's list tells.
        const auto as_good = [&](const RouteEntry& e) { return e.metric == entry.metric; };
        if (std::ranges::any_of(entries, as_good)) changes.reread |= kRoutes;
        insert_in_order(entries, std::move(entry), true);
        return;
    }
    if (!message.replaces) keep_order(entry.next_hops, first->next_hops);
    // Which one of several routes of a metric was replaced, the message does not tell.
    if (message.replaces && std::any_of(first + 1, entries.end(), is_older_state)) {
        changes.reread |= kRoutes;
    }
    *first = std::move(entry);
}

void remove_route(std::vector<RouteEntry>& entries, const RouteMessage& message) {
    const auto exact = std::ranges::find_if(entries, [&](const RouteEntry& e) {
        return e.metric == message.metric && e.type == message.type &&
               e.next_hops == message.next_hops;
    });
    if (exact != entries.end()) {
        entries.erase(exact);
        return;
    }
    if (std::holds_alternative<Ipv4Address>(message.prefix)) return;
    // IPv6 removes the next hops of a route one by one.
    std::erase_if(entries, [&](RouteEntry& entry) {
        if (entry.metric != message.metric || entry.type != message.type) return false;
        const auto gone = std::erase_if(entry.next_hops, [&](const NextHop& hop) {
            return std::ranges::find(message.next_hops, hop) != message.next_hops.end();
        });
        return gone != 0 && entry.next_hops.empty();
    });
}

/// Calls `changed(key)` for every key whose value differs between two ordered maps.
template <class Map, class Changed>
void for_each_difference(const Map& before, const Map& after, Changed&& changed) {
    auto a = before.begin();
    auto b = after.begin();
    while (a != before.end() || b != after.end()) {
        if (b == after.end() || (a != before.end() && a->first < b->first)) {
            changed((a++)->first);
        } else if (a == before.end() || b->first < a->first) {
            changed((b++)->first);
        } else {
            if (!(a->second == b->second)) changed(a->first);
            ++a;
            ++b;
        }
    }
}

}  // namespace

void KernelState::apply(const Message& message, unsigned tables, Changes& changes) {
    if ((tables_of(message) & tables) == 0) return;
    std::visit([&](const auto& m) { apply(m, changes); }, message);
}

void KernelState::apply(const LinkMessage& message, Changes& changes) {
    const auto known = links.find(message.index);
    const bool was_up = known == links.end() || known->second.up;
    // The kernel drops the IPv4 routes of such a link, and may drop the IPv6 ones, without a word.
    if (was_up && (message.removed || !message.up)) changes.reread |= kRoutes;
    if (message.removed) {
        if (known == links.end()) return;
        links.erase(known);
    } else {
        LinkState state{message.name, message.up, message.carrier, message.mtu, message.mac};
        if (known != links.end() && known->second == state) return;
        links[message.index] = std::move(state);
    }
    changes.interfaces.insert(message.index);
}

void KernelState::apply(const AddressMessage& message, Changes& changes) {
    const AddressKey key{message.address, message.index, message.prefix_length};
    if (message.removed) {
        // Routes that preferred it as their source go with it, without a word.
        if (std::holds_alternative<Ipv4Address>(message.address)) changes.reread |= kRoutes;
        if (addresses.erase(key) == 0) return;
    } else {
        const auto [place, is_new] = addresses.try_emplace(key, message.usable);
        if (!is_new && std::exchange(place->second, message.usable) == message.usable) return;
    }
    changes.addresses.insert(message.address);
}

void KernelState::apply(const RouteMessage& message, Changes& changes) {
    const RouteKey key{message.prefix, message.prefix_length};
    const auto place = message.removed ? routes.find(key) : routes.try_emplace(key).first;
    if (place == routes.end()) return;
    auto& entries = message.local_table ? place->second.local : place->second.main;
    if (message.removed) {
        remove_route(entries, message);
    } else if (message.listed) {
        insert_in_order(entries, entry_of(message), true);
    } else if (std::holds_alternative<Ipv4Address>(message.prefix)) {
        add_ipv4(entries, message);
    } else {
        add_ipv6(entries, message, changes);
    }
    if (place->second.local.empty() && place->second.main.empty()) routes.erase(place);
    changes.routes.insert(key);
}

void KernelState::apply(const NeighbourMessage& message, Changes& changes) {
    const NeighbourKey key{message.address, message.index};
    if (message.removed || !message.mac) {
        if (neighbours.erase(key) == 0) return;
    } else {
        const auto [place, is_new] = neighbours.try_emplace(key, *message.mac);
        if (!is_new && std::exchange(place->second, *message.mac) == *message.mac) return;
    }
    changes.neighbours.insert(message.address);
}

void KernelState::apply(const NextHopObjectRemoved& message, Changes& changes) {
    const auto uses = [&](const RouteEntry& e) { return e.next_hop_object == message.id; };
    const bool used = std::ranges::any_of(routes, [&](const auto& route) {
        return std::ranges::any_of(route.second.main, uses) ||
               std::ranges::any_of(route.second.local, uses);
    });
    if (used) changes.reread |= kRoutes;
}

void KernelState::replace(KernelState&& fresh, unsigned tables, Changes& changes) {
    if ((tables & kLinks) != 0) {
        for_each_difference(links, fresh.links,
                            [&](int index) { changes.interfaces.insert(index); });
        links.swap(fresh.links);
    }
    if ((tables & kAddresses) != 0) {
        for_each_difference(addresses, fresh.addresses,
                            [&](const AddressKey& key) { changes.addresses.insert(key.address); });
        addresses.swap(fresh.addresses);
    }
    if ((tables & kRoutes) != 0) {
        for_each_difference(routes, fresh.routes,
                            [&](const RouteKey& key) { changes.routes.insert(key); });
        routes.swap(fresh.routes);
    }
    if ((tables & kNeighbours) != 0) {
        for_each_difference(neighbours, fresh.neighbours, [&](const NeighbourKey& key) {
            changes.neighbours.insert(key.address);
        });
        neighbours.swap(fresh.neighbours);
    }
}

void KernelState::complete_from(const KernelState& older, unsigned tables) {
    // insert() leaves what is there already.
    if ((tables & kLinks) != 0) links.insert(older.links.begin(), older.links.end());
    if ((tables & kAddresses) != 0) {
        addresses.insert(older.addresses.begin(), older.addresses.end());
    }
    if ((tables & kRoutes) != 0) routes.insert(older.routes.begin(), older.routes.end());
    if ((tables & kNeighbours) != 0) {
        neighbours.insert(older.neighbours.begin(), older.neighbours.end());
    }
}

}  // namespace homeport::netlink

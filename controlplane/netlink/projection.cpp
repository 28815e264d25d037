// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/projection.hpp"

#include <algorithm>

namespace homeport::netlink {

namespace {

using channel::kNoPort;
using channel::RouteType;

bool is_link_local(const IpAddress& address) {
    return std::visit([](const auto& a) { return a.is_link_local(); }, address);
}
bool is_loopback(const IpAddress& address) {
    return std::visit([](const auto& a) { return a.is_loopback(); }, address);
}

/// Tells the differences between what was told of `address` and what holds now, port by port.
template <class Value, class Set, class Remove>
void tell_differences(std::map<std::pair<IpAddress, std::uint16_t>, Value>& told,
                      const IpAddress& address, const std::map<std::uint16_t, Value>& now,
                      Set&& set, Remove&& remove) {
    for (auto it = told.lower_bound({address, 0});
         it != told.end() && it->first.first == address;) {
        const std::uint16_t port = it->first.second;
        if (now.contains(port)) {
            ++it;
        } else {
            it = told.erase(it);
            remove(port);
        }
    }
    for (const auto& [port, value] : now) {
        const auto [place, is_new] = told.try_emplace({address, port}, value);
        if (!is_new && place->second == value) continue;
        place->second = value;
        set(port, value);
    }
}

}  // namespace

void Projection::set_port(const std::string& interface_name, std::uint16_t port) {
    clear_port(port);
    ports_[interface_name] = port;
}

void Projection::clear_port(std::uint16_t port) {
    std::erase_if(ports_, [port](const auto& entry) { return entry.second == port; });
}

std::uint16_t Projection::port_of(int index, const KernelState& state) const {
    const auto link = state.links.find(index);
    if (link == state.links.end()) return kNoPort;
    const auto port = ports_.find(link->second.name);
    return port == ports_.end() ? kNoPort : port->second;
}

int Projection::index_of(std::uint16_t port, const KernelState& state) const {
    for (const auto& [name, its_port] : ports_) {
        if (its_port != port) continue;
        for (const auto& [index, link] : state.links) {
            if (link.name == name) return index;
        }
    }
    return 0;
}

void Projection::update(const KernelState& state, Changes& changes, MirrorSink& sink) {
    if (!changes.interfaces.empty()) {
        expand(state, changes);
        update_links(state, sink);
    }
    for (const auto& address : changes.addresses) update_address(address, state, sink);
    for (const auto& address : changes.neighbours) update_neighbour(address, state, sink);
    for (const auto& key : changes.routes) update_route(key, state, sink);
    changes.interfaces.clear();
    changes.addresses.clear();
    changes.neighbours.clear();
    changes.routes.clear();
}

void Projection::update_all(const KernelState& state, MirrorSink& sink) {
    Changes all;
    for (const auto& [key, usable] : state.addresses) all.addresses.insert(key.address);
    for (const auto& [key, length] : addresses_) all.addresses.insert(key.first);
    for (const auto& [key, mac] : state.neighbours) all.neighbours.insert(key.address);
    for (const auto& [key, mac] : neighbours_) all.neighbours.insert(key.first);
    for (const auto& [key, slot] : state.routes) all.routes.insert(all.routes.end(), key);
    for (const auto& [key, route] : routes_) all.routes.insert(key);
    update_links(state, sink);
    update(state, all, sink);
}

void Projection::expand(const KernelState& state, Changes& changes) const {
    const auto& touched = changes.interfaces;
    for (const auto& [key, usable] : state.addresses) {
        if (touched.contains(key.index)) changes.addresses.insert(key.address);
    }
    for (const auto& [key, mac] : state.neighbours) {
        if (touched.contains(key.index)) changes.neighbours.insert(key.address);
    }
    const auto leads_there = [&](const RouteEntry& entry) {
        return std::ranges::any_of(entry.next_hops,
                                   [&](const NextHop& hop) { return touched.contains(hop.index); });
    };
    for (const auto& [key, slot] : state.routes) {
        if (std::ranges::any_of(slot.main, leads_there) ||
            std::ranges::any_of(slot.local, leads_there)) {
            changes.routes.insert(key);
        }
    }
}

void Projection::update_links(const KernelState& state, MirrorSink& sink) {
    std::map<std::uint16_t, Link> now;
    for (const auto& [index, link] : state.links) {
        const auto port = ports_.find(link.name);
        if (port == ports_.end()) continue;
        now[port->second] = {link.name, index, true, link.up, link.carrier, link.mtu, link.mac};
    }
    for (auto& [port, told] : links_) {
        if (now.contains(port) || !told.present) continue;
        told.present = told.up = told.carrier = false;
        sink.link_changed(port, told);
    }
    for (const auto& [port, link] : now) {
        const auto [place, is_new] = links_.try_emplace(port, link);
        if (!is_new && place->second == link) continue;
        place->second = link;
        sink.link_changed(port, link);
    }
}

void Projection::update_address(const IpAddress& address, const KernelState& state,
                                MirrorSink& sink) {
    std::map<std::uint16_t, std::uint8_t> now;
    for (auto it = state.addresses.lower_bound({address, 0, 0});
         it != state.addresses.end() && it->first.address == address; ++it) {
        if (!it->second || !state.links.contains(it->first.index)) continue;
        const std::uint16_t port = port_of(it->first.index, state);
        if (port == kNoPort && (is_link_local(address) || is_loopback(address))) continue;
        auto& length = now[port];
        length = std::max(length, it->first.prefix_length);
    }
    tell_differences(
        addresses_, address, now,
        [&](std::uint16_t port, std::uint8_t length) { sink.address_set(port, address, length); },
        [&](std::uint16_t port) { sink.address_removed(port, address); });
}

void Projection::update_neighbour(const IpAddress& address, const KernelState& state,
                                  MirrorSink& sink) {
    std::map<std::uint16_t, MacAddress> now;
    for (auto it = state.neighbours.lower_bound({address, 0});
         it != state.neighbours.end() && it->first.address == address; ++it) {
        const std::uint16_t port = port_of(it->first.index, state);
        if (port != kNoPort) now[port] = it->second;
    }
    tell_differences(
        neighbours_, address, now,
        [&](std::uint16_t port, const MacAddress& mac) { sink.neighbour_set(port, address, mac); },
        [&](std::uint16_t port) { sink.neighbour_removed(port, address); });
}

void Projection::update_route(const RouteKey& key, const KernelState& state, MirrorSink& sink) {
    const auto slot = state.routes.find(key);
    const auto chosen =
        slot == state.routes.end() ? std::nullopt : choose_route(key, slot->second, state);
    const auto told = routes_.find(key);
    if (!chosen) {
        if (told == routes_.end()) return;
        routes_.erase(told);
        sink.route_removed(key.prefix, key.prefix_length);
    } else if (told == routes_.end()) {
        routes_.emplace(key, *chosen);
        sink.route_set(*chosen);
    } else if (told->second != *chosen) {
        told->second = *chosen;
        sink.route_set(*chosen);
    }
}

std::optional<Route> Projection::choose_route(const RouteKey& key, const RouteSlot& slot,
                                              const KernelState& state) const {
    for (const auto* table : {&slot.local, &slot.main}) {
        for (const RouteEntry& entry : *table) {
            Route route{key.prefix, key.prefix_length, entry.type,
                        kNoPort,    std::nullopt,      entry.mtu};
            if (entry.type != RouteType::kUnicast) return route;
            if (entry.next_hops.empty()) {
                // Only the kernel knows what its next-hop object stands for.
                if (entry.next_hop_object == 0) continue;
                route.type = RouteType::kKernel;
                return route;
            }
            const NextHop* hop = choose_next_hop(entry, state);
            if (hop == nullptr) continue;
            route.port = hop->encapsulated ? kNoPort : port_of(hop->index, state);
            if (route.port == kNoPort) {
                route.type = RouteType::kKernel;
            } else {
                route.next_hop = hop->gateway;
            }
            return route;
        }
    }
    return std::nullopt;
}

const NextHop* Projection::choose_next_hop(const RouteEntry& entry,
                                           const KernelState& state) const {
    const NextHop* without_carrier = nullptr;
    for (const NextHop& hop : entry.next_hops) {
        const auto link = state.links.find(hop.index);
        if (link == state.links.end() || !link->second.up) continue;
        if (link->second.carrier) return &hop;
        if (without_carrier == nullptr) without_carrier = &hop;
    }
    return without_carrier;
}

void Projection::replay(MirrorSink& sink) const {
    for (const auto& [port, link] : links_) sink.link_changed(port, link);
    for (const auto& [key, length] : addresses_) sink.address_set(key.second, key.first, length);
    for (const auto& [key, mac] : neighbours_) sink.neighbour_set(key.second, key.first, mac);
    for (const auto& [key, route] : routes_) sink.route_set(route);
}

}  // namespace homeport::netlink

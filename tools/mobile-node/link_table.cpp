// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/link_table.hpp"

#include <algorithm>

namespace homeport::mobile_node {

void LinkTable::clear() {
    links_.clear();
    routes_.clear();
}

void LinkTable::set_link(const Link& link) {
    const auto it = links_.find(link.index);
    if (it == links_.end()) {
        if (links_.size() < kMostLinks) links_.emplace(link.index, link);
        return;
    }
    auto addresses = std::move(it->second.addresses);
    it->second = link;
    it->second.addresses = std::move(addresses);
}

void LinkTable::remove_link(int index) {
    links_.erase(index);
    std::erase_if(routes_, [&](const LinkRoute& route) { return route.interface == index; });
}

void LinkTable::set_address(int index, const LinkAddress& address) {
    const auto link = links_.find(index);
    if (link == links_.end()) return;
    auto& all = link->second.addresses;
    const auto it = std::ranges::find(all, address.address, &LinkAddress::address);
    if (it != all.end()) {
        *it = address;
    } else if (all.size() < kMostAddresses) {
        all.push_back(address);
    }
}

void LinkTable::remove_address(int index, const Ipv6Address& address) {
    const auto link = links_.find(index);
    if (link == links_.end()) return;
    std::erase_if(link->second.addresses,
                  [&](const LinkAddress& other) { return other.address == address; });
}

void LinkTable::set_route(const LinkRoute& route) {
    const bool is_home = route.destination == home_prefix_;
    if (!is_home && !route.destination.contains(home_agent_)) return;
    if (std::ranges::find(routes_, route) != routes_.end()) return;
    if (routes_.size() < kMostRoutes) routes_.push_back(route);
}

void LinkTable::remove_route(const LinkRoute& route) {
    std::erase(routes_, route);
}

const Link* LinkTable::find(int index) const {
    const auto it = links_.find(index);
    return it == links_.end() ? nullptr : &it->second;
}

bool LinkTable::has_address(int index, const Ipv6Address& address) const {
    const Link* link = find(index);
    if (link == nullptr || !link->running) return false;
    return std::ranges::any_of(link->addresses, [&](const LinkAddress& other) {
        return other.address == address && !other.tentative;
    });
}

}  // namespace homeport::mobile_node

// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/link_table.hpp"

#include <algorithm>

namespace homeport::mobile_node {

void LinkTable::clear() {
    ++lost_all_;
    links_.clear();
    routes_.clear();
    routes4_.clear();
}

void LinkTable::set_link(const Link& link) {
    const auto it = links_.find(link.index);
    if (it == links_.end()) {
        if (links_.size() < kMostLinks) links_.emplace(link.index, link);
        return;
    }
    if ((it->second.running && !link.running) ||
        it->second.carrier_changes != link.carrier_changes) {
        ++losses_[link.index];
    }
    auto addresses = std::move(it->second.addresses);
    auto addresses4 = std::move(it->second.addresses4);
    it->second = link;
    it->second.addresses = std::move(addresses);
    it->second.addresses4 = std::move(addresses4);
}

void LinkTable::remove_link(int index) {
    if (links_.erase(index) != 0) ++losses_[index];
    std::erase_if(routes_, [&](const LinkRoute& route) { return route.interface == index; });
    std::erase_if(routes4_, [&](const LinkRoute4& route) { return route.interface == index; });
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

void LinkTable::set_address(int index, const LinkAddress4& address) {
    const auto link = links_.find(index);
    if (link == links_.end()) return;
    auto& all = link->second.addresses4;
    const auto it = std::ranges::find(all, address.address, &LinkAddress4::address);
    if (it != all.end()) {
        *it = address;
    } else if (all.size() < kMostAddresses) {
        all.push_back(address);
    }
}

void LinkTable::remove_address(int index, const Ipv4Address& address) {
    const auto link = links_.find(index);
    if (link == links_.end()) return;
    ++losses_[index];
    std::erase_if(link->second.addresses4,
                  [&](const LinkAddress4& other) { return other.address == address; });
    // With the last address of a link the kernel silently takes its routes away.
    if (link->second.addresses4.empty()) remove_routes4(index);
}

void LinkTable::remove_routes4(int index) {
    std::erase_if(routes4_, [&](const LinkRoute4& route) { return route.interface == index; });
}

void LinkTable::set_route(const LinkRoute4& route) {
    const bool leads = std::ranges::any_of(home_agents4_, [&](const Ipv4Address& home_agent) {
        return route.destination.contains(home_agent);
    });
    if (!leads || std::ranges::find(routes4_, route) != routes4_.end()) return;
    if (routes4_.size() < kMostRoutes) routes4_.push_back(route);
}

void LinkTable::remove_route(const LinkRoute4& route) {
    std::erase(routes4_, route);
}

std::uint64_t LinkTable::losses(int index) const {
    const auto it = losses_.find(index);
    return lost_all_ + (it == losses_.end() ? 0 : it->second);
}

const Link* LinkTable::find(int index) const {
    const auto it = links_.find(index);
    return it == links_.end() ? nullptr : &it->second;
}

bool LinkTable::has_address(int index, const Ipv4Address& address) const {
    const Link* link = find(index);
    return link != nullptr && link->running &&
           std::ranges::find(link->addresses4, address, &LinkAddress4::address) !=
               link->addresses4.end();
}

bool LinkTable::has_address(int index, const Ipv6Address& address) const {
    const Link* link = find(index);
    if (link == nullptr || !link->running) return false;
    return std::ranges::any_of(link->addresses, [&](const LinkAddress& other) {
        return other.address == address && !other.tentative;
    });
}

}  // namespace homeport::mobile_node

// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/core/port_map.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "dataplane/channel/records.hpp"

namespace homeport::core {

namespace {

/// Of all ports together: what a data plane says is bounded here, too.
constexpr std::size_t kMaxFlowRules = channel::kMaxPorts * 128;

}  // namespace

PortMap::PortMap(const std::vector<config::PortConfig>& ports) {
    for (const config::PortConfig& port : ports) names_.push_back(port.name);
}

bool PortMap::learn(const channel::PortInfo& info) {
    const auto it = std::ranges::find(infos_, info.port, &channel::PortInfo::port);
    if (it == infos_.end()) {
        if (infos_.size() < channel::kMaxPorts) infos_.push_back(info);
        return true;
    }
    const bool changed = std::memcmp(&*it, &info, sizeof info) != 0;
    *it = info;
    return changed;
}

void PortMap::learn(const channel::FlowRuleInfo& rule) {
    std::erase_if(flow_rules_, [&](const channel::FlowRuleInfo& known) {
        return known.port == rule.port && (known.index == rule.index || known.index >= rule.rules);
    });
    if (flow_rules_.size() == kMaxFlowRules) return;
    const auto place = std::ranges::find_if(flow_rules_, [&](const channel::FlowRuleInfo& known) {
        return std::pair(known.port, known.index) > std::pair(rule.port, rule.index);
    });
    flow_rules_.insert(place, rule);
}

std::uint16_t PortMap::number_of(std::string_view name) const {
    const auto it = std::ranges::find(names_, name);
    return it == names_.end() ? channel::kNoPort : static_cast<std::uint16_t>(it - names_.begin());
}

const channel::PortInfo* PortMap::info(std::uint16_t number) const {
    if (number >= names_.size()) return nullptr;
    const auto it = std::ranges::find_if(infos_, [&](const channel::PortInfo& info) {
        return channel::text_of(info.name) == names_[number];
    });
    return it == infos_.end() ? nullptr : &*it;
}

std::uint16_t PortMap::to_data_plane(std::uint16_t number) const {
    const channel::PortInfo* const found = info(number);
    return found == nullptr ? channel::kNoPort : found->port;
}

std::uint16_t PortMap::from_data_plane(std::uint16_t port) const {
    const auto it = std::ranges::find(infos_, port, &channel::PortInfo::port);
    return it == infos_.end() ? channel::kNoPort : number_of(channel::text_of(it->name));
}

}  // namespace homeport::core

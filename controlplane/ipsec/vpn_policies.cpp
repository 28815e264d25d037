// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ipsec/vpn_policies.hpp"

#include <algorithm>
#include <optional>

#include "controlplane/ipsec/policy_table.hpp"

namespace homeport::sa {

namespace {

using config::ControlplaneConfig;
using config::VpnClientConfig;
using ipsec::AddressRange;
using ipsec::PolicyEntry;

/// Successive inner addresses, in ascending order.
std::vector<AddressRange> inner_ranges(const std::vector<VpnClientConfig>& clients) {
    std::vector<Ipv4Address> addresses;
    for (const VpnClientConfig& client : clients) addresses.push_back(client.inner);
    std::ranges::sort(addresses);
    std::vector<AddressRange> ranges;
    for (const Ipv4Address& address : addresses) {
        if (!ranges.empty() &&
            std::get<Ipv4Address>(ranges.back().last).host() + 1 == address.host()) {
            ranges.back().last = address;
        } else {
            ranges.push_back(AddressRange::of(IpAddress(address)));
        }
    }
    return ranges;
}

ipsec::Selectors between(const AddressRange& local, const AddressRange& remote) {
    return {{local},
            {remote},
            ipsec::ProtocolSelector::any(),
            ipsec::ValueSelector::any(),
            ipsec::ValueSelector::any()};
}

PolicyEntry entry(TableEntry kind, std::size_t index, const char* name,
                  ipsec::Selectors selectors) {
    PolicyEntry made;
    made.id = policy_id(kind, index);
    made.name = name;
    made.selectors = std::move(selectors);
    made.action = ipsec::Action::kDiscard;
    return made;
}

bool contains(const AddressRange& range, const IpAddress& address) {
    return range.first.index() == address.index() && range.first <= address &&
           address <= range.last;
}

}  // namespace

std::vector<AddressRange> vpn_networks(const ControlplaneConfig& config) {
    std::vector<AddressRange> networks;
    for (const Ipv4Prefix& prefix : config.vpn_gateway.networks) {
        networks.push_back(AddressRange::of(prefix));
    }
    if (networks.empty()) return {AddressRange::of(Ipv4Prefix{})};
    for (const config::Mip4HomeAgentConfig& agent : config.mobile_ipv4) {
        if (agent.role == config::Mip4Role::kExternal) continue;
        for (const Ipv4Address& address : agent.addresses) {
            const bool known = std::ranges::any_of(
                networks, [&](const AddressRange& network) { return contains(network, address); });
            if (!known) networks.push_back(AddressRange::of(IpAddress(address)));
        }
    }
    return networks;
}

std::size_t vpn_policy_count(const ControlplaneConfig& config) {
    if (config.vpn_gateway.addresses.empty()) return 0;
    return vpn_networks(config).size() * inner_ranges(config.vpn_gateway.clients).size();
}

std::vector<PolicyEntry> vpn_policies(const ControlplaneConfig& config) {
    std::vector<PolicyEntry> entries;
    if (config.vpn_gateway.addresses.empty()) return entries;
    const auto networks = vpn_networks(config);
    const auto ranges = inner_ranges(config.vpn_gateway.clients);
    std::size_t next = 0;
    for (const AddressRange& range : ranges) {
        for (const AddressRange& network : networks) {
            PolicyEntry made =
                entry(TableEntry::kVpnClient, next++, "vpn-client", between(network, range));
            made.action = ipsec::Action::kProtect;
            made.protect.mode = ipsec::Mode::kTunnel;
            made.protect.populate_remote = true;
            made.protect.tunnel_local = config.vpn_gateway.addresses.front();
            entries.push_back(std::move(made));
        }
    }
    const AddressRange everything = AddressRange::of(Ipv4Prefix{});
    if (std::ranges::find(networks, everything) != networks.end()) return entries;
    for (std::size_t i = 0; i < ranges.size(); ++i) {
        entries.push_back(
            entry(TableEntry::kVpnOther, i, "vpn-other", between(everything, ranges[i])));
    }
    return entries;
}

VpnPolicyUse vpn_policies_of(const std::vector<PolicyEntry>& policies, const Ipv4Address& inner) {
    VpnPolicyUse use;
    bool found = false;
    for (const PolicyEntry& made : policies) {
        if (table_entry(made.id) != TableEntry::kVpnClient ||
            !contains(made.selectors.remote.front(), inner)) {
            continue;
        }
        if (!found) {
            use.first = made.id;
            found = true;
            continue;
        }
        channel::SaNetwork network;
        network.policy_id = made.id;
        network.is_local = 1;
        network.low = channel::WireAddress(made.selectors.local.front().first);
        network.high = channel::WireAddress(made.selectors.local.front().last);
        use.others.push_back(network);
    }
    return use;
}

}  // namespace homeport::sa

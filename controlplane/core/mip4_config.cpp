// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/core/mip4_config.hpp"

#include <algorithm>

#include "controlplane/ipsec/mobility_key.hpp"

namespace homeport::core {

namespace {

using config::Mip4HomeAgentConfig;
using Errors = std::vector<std::string>;

mip4::Algorithm algorithm_of(config::Mip4Algorithm algorithm) {
    switch (algorithm) {
        case config::Mip4Algorithm::kHmacMd5:
            return mip4::Algorithm::kHmacMd5;
        case config::Mip4Algorithm::kKeyedMd5:
            return mip4::Algorithm::kKeyedMd5;
        case config::Mip4Algorithm::kHmacSha1:
            return mip4::Algorithm::kHmacSha1;
        case config::Mip4Algorithm::kHmacSha256:
            return mip4::Algorithm::kHmacSha256;
    }
    return mip4::Algorithm::kHmacMd5;
}

mip4::Role role_of(config::Mip4Role role) {
    switch (role) {
        case config::Mip4Role::kPlain:
            return mip4::Role::kPlain;
        case config::Mip4Role::kInternal:
            return mip4::Role::kInternal;
        case config::Mip4Role::kExternal:
            return mip4::Role::kExternal;
    }
    return mip4::Role::kPlain;
}

/// `one` is an association, or a range as far as it describes one.
template <class Association>
mip4::SecurityAssociation association_of(const Association& one, const std::string& key_file,
                                         Errors& errors) {
    mip4::SecurityAssociation made;
    made.spi = one.spi;
    made.algorithm = algorithm_of(one.algorithm);
    made.replay = one.replay == config::Mip4Replay::kNonces ? mip4::ReplayStyle::kNonces
                                                            : mip4::ReplayStyle::kTimestamps;
    made.window = std::chrono::seconds(one.window);
    const auto key = sa::load_mobility_key(key_file);
    if (key) {
        made.key.assign(key->view().begin(), key->view().end());
    } else {
        errors.push_back(key.error().text);
    }
    return made;
}

std::vector<mip4::SecurityAssociation> associations_of(
    const std::vector<config::Mip4AssociationConfig>& associations, Errors& errors) {
    std::vector<mip4::SecurityAssociation> made;
    for (const auto& one : associations) made.push_back(association_of(one, one.key_file, errors));
    return made;
}

void add_nodes(const Mip4HomeAgentConfig& agent, mip4::HomeAgentConfig& made, Errors& errors) {
    for (const config::Mip4NodeConfig& node : agent.nodes) {
        made.nodes.push_back({.name = node.name,
                              .home_address = node.home_address,
                              .nai = node.nai,
                              .associations = associations_of(node.associations, errors),
                              .prohibited = node.prohibited});
    }
    for (const config::Mip4NodeRangeConfig& range : agent.ranges) {
        for (std::uint32_t i = 0; i < range.count; ++i) {
            Ipv4Address address;
            store_be32(address.bytes.data(), range.first.host() + i);
            const std::string text = address.to_string();
            made.nodes.push_back({.name = text,
                                  .home_address = address,
                                  .associations = {association_of(
                                      range, range.key_directory + "/" + text + ".key", errors)}});
        }
    }
}

mip4::HomeAgentConfig config_of(const Mip4HomeAgentConfig& agent, const PortMap& ports,
                                Errors& errors) {
    mip4::HomeAgentConfig made;
    made.role = role_of(agent.role);
    made.profile = agent.profile == config::Mip4Profile::kDraft02 ? mip4::Profile::kDraft02
                                                                  : mip4::Profile::kRfc5265;
    made.addresses = agent.addresses;
    for (const config::Mip4HomeNetworkConfig& network : agent.networks) {
        mip4::HomeNetwork one;
        one.prefix = network.prefix;
        one.is_virtual = network.is_virtual();
        one.port = network.is_virtual() ? channel::kNoPort : ports.number_of(network.port);
        if (network.pool) {
            one.pool_first = network.pool->first;
            one.pool_last = network.pool->last;
        }
        made.home_networks.push_back(one);
    }
    add_nodes(agent, made, errors);
    for (const config::Mip4ForeignAgentConfig& one : agent.foreign_agents) {
        made.foreign_agents.push_back(
            {.address = one.address, .associations = associations_of(one.associations, errors)});
    }
    made.trusted_subnets = agent.trusted_subnets;
    made.max_lifetime = std::chrono::seconds(agent.max_lifetime);
    made.max_lifetime_nat = std::chrono::seconds(agent.udp.max_lifetime);
    made.simultaneous_bindings = agent.simultaneous_bindings;
    made.max_bindings = agent.max_bindings;
    made.reverse_tunnel_available = agent.reverse_tunnel;
    made.reverse_tunnel_mandatory = agent.reverse_tunnel_mandatory;
    made.gre = agent.gre;
    made.minimal = agent.minimal;
    made.udp.allowed = agent.udp.allowed;
    made.udp.forced_allowed = agent.udp.forced_allowed;
    made.udp.foreign_agent_registration = agent.udp.foreign_agent_registration;
    made.udp.strict_source = agent.udp.strict_source;
    made.udp.refuse_reserved = agent.udp.refuse_reserved;
    made.udp.gre = agent.gre;
    made.udp.minimal = agent.minimal;
    made.udp.keepalive = agent.udp.keepalive;
    made.broadcasts = agent.broadcasts;
    made.revocation = agent.revocation;
    return made;
}

bool is_inside(const Ipv4Address& address, const std::vector<Ipv4Prefix>& subnets) {
    return std::ranges::any_of(subnets,
                               [&](const Ipv4Prefix& subnet) { return subnet.contains(address); });
}

}  // namespace

channel::Mip4Role mip4_role_of(config::Mip4Role role) {
    switch (role) {
        case config::Mip4Role::kPlain:
            return channel::Mip4Role::kPlain;
        case config::Mip4Role::kInternal:
            return channel::Mip4Role::kInternal;
        case config::Mip4Role::kExternal:
            return channel::Mip4Role::kExternal;
    }
    return channel::Mip4Role::kPlain;
}

std::expected<std::vector<mip4::HomeAgentConfig>, std::vector<std::string>> mip4_configs(
    const config::ControlplaneConfig& config, const PortMap& ports) {
    Errors errors;
    std::vector<mip4::HomeAgentConfig> made;
    for (const Mip4HomeAgentConfig& agent : config.mobile_ipv4) {
        made.push_back(config_of(agent, ports, errors));
    }
    if (!errors.empty()) return std::unexpected(std::move(errors));
    return made;
}

mip4::AdvertiserConfig advertiser_config(const config::Mip4HomeAgentConfig& agent,
                                         const config::Mip4HomeNetworkConfig& network) {
    mip4::AdvertiserConfig made;
    const auto own = std::ranges::find_if(agent.addresses, [&](const Ipv4Address& address) {
        return network.prefix.contains(address);
    });
    if (own != agent.addresses.end()) made.address = *own;
    made.flags.home_agent = true;
    made.flags.gre = agent.gre;
    made.flags.minimal = agent.minimal;
    made.flags.reverse_tunnel = agent.reverse_tunnel;
    made.flags.udp_tunnel = agent.udp.allowed;
    made.flags.revocation = agent.revocation;
    made.registration_lifetime = agent.max_lifetime;
    made.routers = {{made.address, 0}};
    made.prefix_lengths = {network.prefix.length};
    const std::chrono::seconds interval(network.advertisement_interval);
    made.max_interval = interval;
    made.min_interval = std::chrono::milliseconds(interval) * 3 / 4;
    made.lifetime = static_cast<std::uint16_t>(3 * interval.count());
    return made;
}

std::vector<std::string> doubts_about(const config::ControlplaneConfig& config) {
    std::vector<std::string> doubts;
    for (const Mip4HomeAgentConfig& agent : config.mobile_ipv4) {
        if (agent.role != config::Mip4Role::kInternal ||
            agent.profile != config::Mip4Profile::kRfc5265) {
            continue;
        }
        if (agent.trusted_subnets.empty()) {
            doubts.push_back("the internal home agent '" + agent.name +
                             "' has no trusted_subnets and answers nobody (S2.90)");
        }
        // S2.99: their requests come through the VPN and would be dropped.
        for (const config::VpnClientConfig& client : config.vpn_gateway.clients) {
            const Ipv4Address seen = client.translated.value_or(client.inner);
            if (agent.trusted_subnets.empty() || is_inside(seen, agent.trusted_subnets)) continue;
            doubts.push_back("the VPN client '" + client.name + "' comes from " + seen.to_string() +
                             ", which no trusted subnet of '" + agent.name +
                             "' holds: its registrations there are dropped (S2.99)");
        }
    }
    return doubts;
}

}  // namespace homeport::core

// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/core/home_agent_config.hpp"

#include "controlplane/ipsec/sa_source.hpp"

namespace homeport::core {

namespace {

std::optional<mip6::TimePoint> end_of(std::uint32_t lifetime, mip6::TimePoint now) {
    if (lifetime == config::kInfiniteLifetime) return std::nullopt;
    return now + std::chrono::seconds(lifetime);
}

mip6::RateLimit rate(std::uint32_t per_second) {
    return {static_cast<double>(per_second), 2.0 * per_second};
}

}  // namespace

mip6::HomeAgentConfig home_agent_config(const config::ControlplaneConfig& config,
                                        const PortMap& ports, mip6::TimePoint now) {
    mip6::HomeAgentConfig made;
    made.enabled = !config.home_links.empty();
    made.home_agent_addresses = config.home_agent.addresses;
    for (const config::HomeLinkConfig& link : config.home_links) {
        mip6::HomePrefix prefix;
        prefix.prefix = link.prefix;
        prefix.is_virtual = link.is_virtual();
        prefix.port = link.is_virtual() ? channel::kNoPort : ports.number_of(link.port);
        prefix.valid_until = end_of(link.valid_lifetime, now);
        prefix.preferred_until = end_of(link.preferred_lifetime, now);
        made.home_prefixes.push_back(prefix);
    }
    for (const config::MobileNodeConfig& node : config.mobile_nodes) {
        mip6::MobileNodePolicy policy;
        policy.identity = node.name;
        policy.home_addresses = {node.home_address};
        policy.ipv4_home_address = node.ipv4_home_address;
        policy.mobile_prefixes = node.mobile_prefixes;
        policy.mobile_router = !node.mobile_prefixes.empty() || !node.ipv4_mobile_prefixes.empty();
        made.mobile_router_service |= policy.mobile_router;
        made.nodes.push_back(std::move(policy));
    }
    for (const config::MobileNodeRangeConfig& range : config.mobile_node_ranges) {
        for (std::uint32_t i = 0; i < range.count; ++i) {
            mip6::MobileNodePolicy policy;
            policy.home_addresses = {sa::nth_home_address(range.first, i)};
            policy.identity = policy.home_addresses.front().to_string();
            made.nodes.push_back(std::move(policy));
        }
    }
    made.allow_unprotected = config.policy.allow_unprotected;
    made.max_lifetime = std::chrono::seconds(config.policy.max_lifetime);
    made.persistent_bindings = !config.store_path.empty();
    if (config.policy.refresh_advice != 0) {
        made.refresh_advice =
            wire::FourSecondUnits::floor(std::chrono::seconds(config.policy.refresh_advice));
    }
    made.coa_deny = config.policy.coa_deny;
    made.limits.bindings = config.limits.bindings;
    made.limits.bindings_per_node = config.limits.bindings_per_node;
    made.bu_rate_node = rate(config.limits.bu_per_node_per_second);
    made.bu_rate_all = rate(config.limits.bu_per_second);
    made.min_prefix_advertisement_interval =
        std::chrono::seconds(config.home_agent.min_prefix_advertisement_interval);
    made.max_prefix_advertisement_interval =
        std::chrono::seconds(config.home_agent.max_prefix_advertisement_interval);
    made.dhaad_preference = config.home_agent.preference;
    return made;
}

channel::ParametersSet parameters_of(const config::ControlplaneConfig& config) {
    channel::ParametersSet parameters;
    parameters.icmp_errors_per_second = config.rates.icmp_errors_per_second;
    parameters.punt_packets_per_second = config.rates.punt_packets_per_second;
    parameters.kernel_packets_per_second = config.rates.kernel_packets_per_second;
    parameters.default_path_mtu = config.tunnel.path_mtu;
    parameters.tunnel_hop_limit = config.tunnel.hop_limit;
    parameters.technique = config.policy.technique == config::Technique::kHeuristic
                               ? channel::Technique::kHeuristic
                               : channel::Technique::kApi;
    parameters.heuristic_timeout_ms = config.policy.bu_heur_timeout;
    parameters.heuristic_min_packets = config.policy.bu_heur_min_pkts;
    parameters.protect_payload = config.policy.protect_payload ? 1 : 0;
    parameters.believe_packet_too_big = config.policy.believe_packet_too_big ? 1 : 0;
    switch (config.policy.check_esp_outer) {
        case config::CheckEspOuter::kOff:
            parameters.check_esp_outer = channel::EspOuterCheck::kOff;
            break;
        case config::CheckEspOuter::kLog:
            parameters.check_esp_outer = channel::EspOuterCheck::kCount;
            break;
        case config::CheckEspOuter::kDrop:
            parameters.check_esp_outer = channel::EspOuterCheck::kDrop;
            break;
    }
    return parameters;
}

std::vector<std::string> restart_needed(const config::Config& running,
                                        const config::Config& wanted) {
    std::vector<std::string> names;
    const auto compare = [&](const char* name, bool is_equal) {
        if (!is_equal) names.emplace_back(name);
    };
    compare("dataplane (homeport-dataplane reads it when it starts)",
            running.dataplane == wanted.dataplane);
    compare("controlplane.store.path",
            running.controlplane.store_path == wanted.controlplane.store_path);
    compare("controlplane.management",
            running.controlplane.management == wanted.controlplane.management);
    config::LogConfig log = wanted.controlplane.log;
    log.level = running.controlplane.log.level;  // the level takes effect at once
    compare("controlplane.log", running.controlplane.log == log);
    return names;
}

}  // namespace homeport::core

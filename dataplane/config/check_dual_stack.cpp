// SPDX-License-Identifier: BSD-3-Clause
// Whole-file checks of IPv4 pools, the home agent's IPv4 addresses and mobile networks.
#include <algorithm>

#include "dataplane/config/reader.hpp"

namespace homeport::config {

namespace {

std::string element(std::string_view list, std::size_t index) {
    return std::string(list) + "[" + std::to_string(index) + "]";
}

template <class Prefix>
bool overlap(const Prefix& a, const Prefix& b) {
    return a.length <= b.length ? a.contains(b.address) : b.contains(a.address);
}

std::string text_of(const Ipv4PoolConfig& pool) {
    return pool.first.to_string() + " to " + pool.last.to_string();
}

// Network and broadcast address of a prefix are nobody's home address.
bool is_of_a_host(const Ipv4Prefix& prefix, const Ipv4Address& address) {
    if (!prefix.contains(address)) return false;
    if (prefix.length > 30) return true;
    const std::uint32_t host_bits = 0xffffffffu >> prefix.length;
    const std::uint32_t host = address.host() & host_bits;
    return host != 0 && host != host_bits;
}

void check_pool(const ControlplaneConfig& config, const HomeLinkConfig& link,
                const std::string& path, Report& report) {
    const Ipv4PoolConfig& pool = *link.ipv4_pool;
    if (!link.ipv4_prefix) {
        return report.add_at(path, text_of(pool), "a pool inside ipv4_prefix, which is not set");
    }
    for (const auto& [key, address] :
         {std::pair("first", pool.first), std::pair("last", pool.last)}) {
        if (is_of_a_host(*link.ipv4_prefix, address)) continue;
        report.add_at(path + "." + key, address.to_string(),
                      "the address of a host in the ipv4_prefix " + link.ipv4_prefix->to_string());
    }
    for (const Ipv4Address& own : config.home_agent.ipv4_addresses) {
        if (own < pool.first || pool.last < own) continue;
        report.add_at(path, text_of(pool),
                      "a pool without the home agent's own address " + own.to_string());
    }
}

// What is given to whoever asks cannot be promised to one node as well.
void check_static(const ControlplaneConfig& config, const std::string& path,
                  const Ipv4Address& first, std::uint32_t count, Report& report) {
    if (count == 0) return;
    const std::uint64_t last = std::uint64_t{first.host()} + count - 1;
    const auto holds = [&](const Ipv4Address& address) {
        return first <= address && address.host() <= last;
    };
    for (const HomeLinkConfig& link : config.home_links) {
        if (!link.ipv4_pool || link.ipv4_pool->last < first ||
            last < link.ipv4_pool->first.host()) {
            continue;
        }
        report.add_at(path, first.to_string() + (count > 1 ? " and those behind it" : ""),
                      "IPv4 home addresses outside the ipv4_pool " + text_of(*link.ipv4_pool));
    }
    for (const Ipv4Address& own : config.home_agent.ipv4_addresses) {
        if (holds(own)) {
            report.add_at(path, own.to_string(), "not an address of the home agent itself");
        }
    }
}

// A prefix is behind one mobile router, and the home agent never is.
template <class Prefix, class Address>
void check_prefixes(const ControlplaneConfig& config, const char* key,
                    std::vector<Prefix> MobileNodeConfig::* prefixes,
                    const std::vector<Address>& own_addresses, Report& report) {
    std::vector<Prefix> seen;
    for (std::size_t i = 0; i < config.mobile_nodes.size(); ++i) {
        const std::vector<Prefix>& of_node = config.mobile_nodes[i].*prefixes;
        for (std::size_t j = 0; j < of_node.size(); ++j) {
            const Prefix& prefix = of_node[j];
            const std::string path =
                element(element("controlplane.mobile_nodes", i) + "." + key, j);
            for (const Prefix& other : seen) {
                if (!overlap(prefix, other)) continue;
                report.add_at(path, prefix.to_string(),
                              "a prefix that does not meet " + other.to_string());
                break;
            }
            for (const Address& own : own_addresses) {
                if (!prefix.contains(own)) continue;
                report.add_at(path, prefix.to_string(),
                              "a prefix without the home agent's own address " + own.to_string());
            }
            seen.push_back(prefix);
        }
    }
}

// Where payload is protected, each network has an entry in the SPD, and the SA of its router names
// them all.
void check_protected_networks(const ControlplaneConfig& config, Report& report) {
    constexpr std::size_t kMostOfRouter = 64;
    constexpr std::size_t kMostOfFamily = 512;
    if (!config.policy.protect_payload) return;
    std::size_t ipv6 = 0;
    std::size_t ipv4 = 0;
    for (std::size_t i = 0; i < config.mobile_nodes.size(); ++i) {
        const MobileNodeConfig& node = config.mobile_nodes[i];
        const std::size_t of_router =
            node.mobile_prefixes.size() + node.ipv4_mobile_prefixes.size();
        ipv6 += node.mobile_prefixes.size();
        ipv4 += node.ipv4_mobile_prefixes.size();
        if (of_router <= kMostOfRouter) continue;
        report.add_at(element("controlplane.mobile_nodes", i),
                      std::to_string(of_router) + " mobile prefixes",
                      "at most 64 of one node, since policy.protect_payload is on");
    }
    if (std::max(ipv6, ipv4) <= kMostOfFamily) return;
    report.add_at("controlplane.mobile_nodes",
                  std::to_string(std::max(ipv6, ipv4)) + " mobile prefixes",
                  "at most 512 of each family, since policy.protect_payload is on");
}

void check_mobile_routers(const ControlplaneConfig& config, Report& report) {
    for (std::size_t i = 0; i < config.mobile_nodes.size(); ++i) {
        const MobileNodeConfig& node = config.mobile_nodes[i];
        const std::string path = element("controlplane.mobile_nodes", i);
        for (const HomeLinkConfig& link : config.home_links) {
            for (const Ipv4Prefix& prefix : node.ipv4_mobile_prefixes) {
                if (!link.ipv4_prefix || prefix.length > link.ipv4_prefix->length ||
                    !overlap(prefix, *link.ipv4_prefix)) {
                    continue;
                }
                report.add_at(
                    path + ".ipv4_mobile_prefixes", prefix.to_string(),
                    "a prefix that does not hold the home link's " + link.ipv4_prefix->to_string());
            }
        }
    }
}

}  // namespace

void check_dual_stack(const ControlplaneConfig& config, Report& report) {
    check_mobile_routers(config, report);
    check_protected_networks(config, report);
    for (std::size_t i = 0; i < config.home_links.size(); ++i) {
        if (!config.home_links[i].ipv4_pool) continue;
        check_pool(config, config.home_links[i],
                   element("controlplane.home_links", i) + ".ipv4_pool", report);
    }
    for (std::size_t i = 0; i < config.mobile_nodes.size(); ++i) {
        const MobileNodeConfig& node = config.mobile_nodes[i];
        if (!node.ipv4_home_address) continue;
        check_static(config, element("controlplane.mobile_nodes", i) + ".ipv4_home_address",
                     *node.ipv4_home_address, 1, report);
    }
    for (std::size_t i = 0; i < config.mobile_node_ranges.size(); ++i) {
        const MobileNodeRangeConfig& range = config.mobile_node_ranges[i];
        if (!range.ipv4_first) continue;
        check_static(config, element("controlplane.mobile_node_ranges", i) + ".ipv4_first",
                     *range.ipv4_first, range.count, report);
    }
    check_prefixes(config, "mobile_prefixes", &MobileNodeConfig::mobile_prefixes,
                   config.home_agent.addresses, report);
    check_prefixes(config, "ipv4_mobile_prefixes", &MobileNodeConfig::ipv4_mobile_prefixes,
                   config.home_agent.ipv4_addresses, report);
}

}  // namespace homeport::config

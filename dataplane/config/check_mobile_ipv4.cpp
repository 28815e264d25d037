// SPDX-License-Identifier: BSD-3-Clause
// Whole-file checks of the home agents of Mobile IPv4: addresses and networks that must not meet,
// names that must exist.
#include <algorithm>
#include <map>
#include <set>

#include "dataplane/config/reader.hpp"

namespace homeport::config {

namespace {

std::string element(std::string_view list, std::size_t index) {
    return std::string(list) + "[" + std::to_string(index) + "]";
}

bool overlap(const Ipv4Prefix& a, const Ipv4Prefix& b) {
    return a.length <= b.length ? a.contains(b.address) : b.contains(a.address);
}

Ipv4Address address_of(std::uint32_t host) {
    Ipv4Address address;
    store_be32(address.bytes.data(), host);
    return address;
}

// Network and broadcast address of a prefix are nobody's home address.
bool is_of_a_host(const Ipv4Prefix& prefix, const Ipv4Address& address) {
    const std::uint32_t host_bits = 0xffffffffu >> prefix.length;
    const std::uint32_t host = address.host() & host_bits;
    return prefix.contains(address) && host != 0 && host != host_bits;
}

std::string text_of(const Ipv4PoolConfig& pool) {
    return pool.first.to_string() + " to " + pool.last.to_string();
}

class Checks {
  public:
    Checks(const Config& config, Report& report)
        : dataplane_(config.dataplane), config_(config.controlplane), report_(report) {}

    void run() {
        for (std::size_t i = 0; i < config_.mobile_ipv4.size(); ++i) {
            const Mip4HomeAgentConfig& agent = config_.mobile_ipv4[i];
            const std::string path = element("controlplane.mobile_ipv4", i);
            if (!names_.insert(agent.name).second) {
                report_.add_at(path + ".name", "'" + agent.name + "' again",
                               "each home agent's name once");
            }
            addresses(path, agent);
            networks(path, agent);
            filters(path, agent);
            nodes(path, agent);
            foreign_agents(path, agent);
            services(path, agent);
        }
    }

  private:
    // S2.73: foreign agents could not tell requests to an internal and an external one apart.
    void addresses(const std::string& path, const Mip4HomeAgentConfig& agent) {
        if (agent.addresses.empty()) {
            report_.add_at(path + ".addresses", "no address", "at least one address");
        }
        for (std::size_t i = 0; i < agent.addresses.size(); ++i) {
            const auto [known, is_new] = own_.emplace(agent.addresses[i], agent.name);
            if (is_new) continue;
            report_.add_at(element(path + ".addresses", i), agent.addresses[i].to_string(),
                           "an address that is not that of '" + known->second + "' too (S2.73)");
        }
    }

    void port(const std::string& path, const std::string& name, const char* or_else) {
        const auto& ports = dataplane_.ports;
        if (std::ranges::find(ports, name, &PortConfig::name) != ports.end()) return;
        std::vector<std::string> names;
        names.reserve(ports.size());
        for (const PortConfig& one : ports) names.push_back(one.name);
        report_.add_at(path, "'" + name + "'",
                       "the name of a port of dataplane.ports" + std::string(or_else) +
                           "; the nearest is '" + nearest(name, names) + "'");
    }

    void networks(const std::string& path, const Mip4HomeAgentConfig& agent) {
        if (agent.networks.empty()) {
            report_.add_at(path + ".networks", "no home network", "at least one");
        }
        for (std::size_t i = 0; i < agent.networks.size(); ++i) {
            const Mip4HomeNetworkConfig& network = agent.networks[i];
            const std::string at = element(path + ".networks", i);
            if (!network.is_virtual()) port(at + ".port", network.port, ", or virtual");
            for (const Ipv4Prefix& other : networks_) {
                if (!overlap(network.prefix, other)) continue;
                report_.add_at(at + ".prefix", network.prefix.to_string(),
                               "a prefix that does not meet " + other.to_string());
                break;
            }
            for (const HomeLinkConfig& link : config_.home_links) {
                if (!link.ipv4_prefix || !overlap(network.prefix, *link.ipv4_prefix)) continue;
                report_.add_at(
                    at + ".prefix", network.prefix.to_string(),
                    "a prefix that does not meet the home link's " + link.ipv4_prefix->to_string());
            }
            networks_.push_back(network.prefix);
            if (network.pool) pool(at + ".pool", network, agent);
            if (network.advertisement_interval != 0 &&
                std::ranges::none_of(agent.addresses, [&](const Ipv4Address& own) {
                    return network.prefix.contains(own);
                })) {
                report_.add_at(at + ".advertisement_interval", "no address of the home agent there",
                               "an address of it inside " + network.prefix.to_string());
            }
        }
    }

    void pool(const std::string& path, const Mip4HomeNetworkConfig& network,
              const Mip4HomeAgentConfig& agent) {
        for (const auto& [key, address] :
             {std::pair("first", network.pool->first), std::pair("last", network.pool->last)}) {
            if (is_of_a_host(network.prefix, address)) continue;
            report_.add_at(path + "." + key, address.to_string(),
                           "the address of a host in " + network.prefix.to_string());
        }
        for (const Ipv4Address& own : agent.addresses) {
            if (own < network.pool->first || network.pool->last < own) continue;
            report_.add_at(path, text_of(*network.pool),
                           "a pool without the home agent's own address " + own.to_string());
        }
    }

    void filters(const std::string& path, const Mip4HomeAgentConfig& agent) {
        for (std::size_t i = 0; i < agent.inside_ports.size(); ++i) {
            port(element(path + ".inside_ports", i), agent.inside_ports[i], "");
        }
        const bool trusts =
            agent.role == Mip4Role::kInternal && agent.profile == Mip4Profile::kRfc5265;
        if (trusts || agent.trusted_subnets.empty()) return;
        report_.add_at(path + ".trusted_subnets", "trusted subnets",
                       "none: only a home agent of role internal and profile rfc5265 has them");
    }

    void nodes(const std::string& path, const Mip4HomeAgentConfig& agent) {
        std::set<std::string> names, identifiers;
        const auto once = [&](const std::string& at, std::set<std::string>& seen,
                              const std::string& name) {
            if (name.empty() || seen.insert(name).second) return;
            report_.add_at(at, "'" + name + "' again", "each once");
        };
        Runs homes;
        bool needs_pool = false;
        for (std::size_t i = 0; i < agent.nodes.size(); ++i) {
            const Mip4NodeConfig& node = agent.nodes[i];
            const std::string at = element(path + ".nodes", i);
            once(at + ".name", names, node.name);
            once(at + ".nai", identifiers, node.nai);
            needs_pool |= !node.home_address;
            if (node.home_address) {
                home_addresses(at + ".home_address", agent, homes, *node.home_address, 1);
            }
        }
        for (std::size_t i = 0; i < agent.ranges.size(); ++i) {
            const std::string at = element(path + ".ranges", i);
            const Mip4NodeRangeConfig& range = agent.ranges[i];
            home_addresses(at + ".first", agent, homes, range.first, range.count);
        }
        const bool has_pool = std::ranges::any_of(
            agent.networks,
            [](const Mip4HomeNetworkConfig& network) { return network.pool.has_value(); });
        if (needs_pool && !has_pool) {
            report_.add_at(path + ".networks", "no pool, and nodes without home_address",
                           "a pool, or a home_address for each node");
        }
    }

    using Runs = std::map<std::uint32_t, std::uint64_t>;  // first -> last

    void home_addresses(const std::string& path, const Mip4HomeAgentConfig& agent, Runs& homes,
                        const Ipv4Address& first, std::uint32_t count) {
        if (count == 0 || first.is_unspecified()) return;
        const std::string found = first.to_string() + (count > 1 ? " and those behind it" : "");
        const std::uint64_t last = std::uint64_t{first.host()} + count - 1;
        const auto holds = [&](const Ipv4Address& address) {
            return first <= address && address.host() <= last;
        };
        const auto network =
            std::ranges::find_if(agent.networks, [&](const Mip4HomeNetworkConfig& one) {
                return is_of_a_host(one.prefix, first) && last <= 0xffffffff &&
                       is_of_a_host(one.prefix, address_of(static_cast<std::uint32_t>(last)));
            });
        if (network == agent.networks.end()) {
            return report_.add_at(path, found, "addresses of hosts in one of the home networks");
        }
        if (network->pool && network->pool->first.host() <= last &&
            first.host() <= network->pool->last.host()) {
            report_.add_at(path, found,
                           "home addresses outside the pool " + text_of(*network->pool));
        }
        for (const auto& [own, name] : own_) {
            if (!holds(own)) continue;
            report_.add_at(path, own.to_string(), "not an address of the home agent itself");
        }
        const auto next = homes.lower_bound(first.host());
        if ((next != homes.end() && next->first <= last) ||
            (next != homes.begin() && std::prev(next)->second >= first.host())) {
            return report_.add_at(path, found, "each home address once");
        }
        homes.emplace(first.host(), last);
    }

    void foreign_agents(const std::string& path, const Mip4HomeAgentConfig& agent) {
        std::set<Ipv4Address> seen;
        for (std::size_t i = 0; i < agent.foreign_agents.size(); ++i) {
            const Ipv4Address& address = agent.foreign_agents[i].address;
            if (seen.insert(address).second) continue;
            report_.add_at(element(path + ".foreign_agents", i) + ".address",
                           address.to_string() + " again", "each foreign agent once");
        }
    }

    void services(const std::string& path, const Mip4HomeAgentConfig& agent) {
        if (agent.reverse_tunnel_mandatory && !agent.reverse_tunnel) {
            report_.add_at(path + ".reverse_tunnel_mandatory", "on, and reverse_tunnel off",
                           "reverse_tunnel: on, or not mandatory");
        }
        if (agent.max_bindings > dataplane_.max_bindings) {
            report_.add_at(
                path + ".max_bindings", std::to_string(agent.max_bindings),
                "at most dataplane.max_bindings, " + std::to_string(dataplane_.max_bindings));
        }
    }

    const DataplaneConfig& dataplane_;
    const ControlplaneConfig& config_;
    Report& report_;
    std::set<std::string> names_;
    std::map<Ipv4Address, std::string> own_;
    std::vector<Ipv4Prefix> networks_;
};

}  // namespace

void check_mobile_ipv4(const Config& config, Report& report) {
    Checks(config, report).run();
}

}  // namespace homeport::config

// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <map>
#include <set>

#include "dataplane/config/reader.hpp"

namespace homeport::config {

namespace {

std::string element(std::string_view list, std::size_t index) {
    return std::string(list) + "[" + std::to_string(index) + "]";
}

// Last address of a run of `count` from `first`; nothing if it does not fit into the interface id.
std::optional<Ipv6Address> last_of(const Ipv6Address& first, std::uint64_t count) {
    if (count == 0 || first.low() > ~std::uint64_t{0} - (count - 1)) return std::nullopt;
    Ipv6Address last = first;
    store_be64(last.bytes.data() + 8, first.low() + count - 1);
    return last;
}

template <class Prefix>
bool overlap(const Prefix& a, const Prefix& b) {
    return a.length <= b.length ? a.contains(b.address) : b.contains(a.address);
}

void check_dataplane(const DataplaneConfig& config, Report& report) {
    const auto& lcores = config.workers.lcores;
    if (std::ranges::find(lcores, config.main_lcore) != lcores.end()) {
        report.add_at("dataplane.workers", "the main lcore " + std::to_string(config.main_lcore),
                      "workers on other lcores than main_lcore");
    }
    std::set<std::string, std::less<>> names, taps, devices;
    for (std::size_t i = 0; i < config.ports.size(); ++i) {
        const PortConfig& port = config.ports[i];
        const std::string path = element("dataplane.ports", i);
        if (!port.name.empty() && !names.insert(port.name).second) {
            report.add_at(path + ".name", "'" + port.name + "' again", "each name once");
        }
        if (!taps.insert(port.tap).second) {
            report.add_at(path + ".tap", "'" + port.tap + "' again",
                          "each exception TAP once (names longer than 15 characters are cut)");
        }
        for (const unsigned worker : port.workers) {
            if (worker < config.workers.count) continue;
            report.add_at(path + ".workers", "worker " + std::to_string(worker),
                          "numbers below " + std::to_string(config.workers.count) +
                              ", as many as dataplane.workers has");
        }
        const std::string device = port.device.substr(0, port.device.find(','));
        if (!device.empty() && !devices.insert(device).second) {
            report.add_at(path + ".device", "'" + device + "' again", "each device once");
        }
    }
}

void check_home_links(const Config& config, Report& report) {
    const ControlplaneConfig& cp = config.controlplane;
    if (!cp.home_links.empty() && cp.home_agent.addresses.empty()) {
        report.add_at("controlplane.home_agent.addresses", "no address",
                      "an address of the home agent for each home link");
    }
    for (std::size_t i = 0; i < cp.home_links.size(); ++i) {
        const HomeLinkConfig& link = cp.home_links[i];
        const std::string path = element("controlplane.home_links", i);
        if (!link.is_virtual() &&
            std::ranges::none_of(config.dataplane.ports,
                                 [&](const PortConfig& port) { return port.name == link.port; })) {
            std::vector<std::string> names{"virtual"};
            for (const PortConfig& port : config.dataplane.ports) names.push_back(port.name);
            report.add_at(path + ".port", "'" + link.port + "'",
                          "the name of a port of dataplane.ports, or virtual; the nearest is '" +
                              nearest(link.port, names) + "'");
        }
        for (std::size_t j = 0; j < i; ++j) {
            if (overlap(link.prefix, cp.home_links[j].prefix)) {
                report.add_at(path + ".prefix", link.prefix.to_string(),
                              "a prefix that does not meet " + cp.home_links[j].prefix.to_string());
            }
            const auto& ipv4 = cp.home_links[j].ipv4_prefix;
            if (ipv4 && link.ipv4_prefix && overlap(*link.ipv4_prefix, *ipv4)) {
                report.add_at(path + ".ipv4_prefix", link.ipv4_prefix->to_string(),
                              "a prefix that does not meet " + ipv4->to_string());
            }
        }
    }
}

class NodeChecks {
  public:
    NodeChecks(const ControlplaneConfig& config, Report& report)
        : config_(config), report_(report) {}

    void run() {
        for (std::size_t i = 0; i < config_.mobile_nodes.size(); ++i) {
            const MobileNodeConfig& node = config_.mobile_nodes[i];
            const std::string path = element("controlplane.mobile_nodes", i);
            home_addresses(path + ".home_address", node.home_address, 1);
            if (node.ipv4_home_address) {
                ipv4_addresses(path + ".ipv4_home_address", node.home_address,
                               *node.ipv4_home_address, 1);
            }
            if (node.binding_update) pair(path + ".security.bu", *node.binding_update);
            if (node.prefix_discovery) pair(path + ".security.mps", *node.prefix_discovery);
            if (node.return_routability) pair(path + ".security.rr", *node.return_routability);
            if (node.correspondent) {
                pair(path + ".security.cn", *node.correspondent);
                routability_is_protected(path + ".security.cn");
            }
            if (node.payload) {
                pair(path + ".security.payload", *node.payload);
                payload_is_protected(path + ".security.payload");
            }
        }
        for (std::size_t i = 0; i < config_.mobile_node_ranges.size(); ++i) {
            const MobileNodeRangeConfig& range = config_.mobile_node_ranges[i];
            const std::string path = element("controlplane.mobile_node_ranges", i);
            home_addresses(path + ".first", range.first, range.count);
            if (range.ipv4_first) {
                ipv4_addresses(path + ".ipv4_first", range.first, *range.ipv4_first, range.count);
            }
            range_sas(path + ".security", range.binding_update, range.count);
            range_sas(path + ".security.mps", range.prefix_discovery, range.count);
            range_sas(path + ".security.rr", range.return_routability, range.count);
            range_sas(path + ".security.cn", range.correspondent, range.count);
            if (range.correspondent) routability_is_protected(path + ".security.cn");
            range_sas(path + ".security.payload", range.payload, range.count);
            if (range.payload) payload_is_protected(path + ".security.payload");
        }
        for (std::size_t i = 0; i < config_.vpn_gateway.clients.size(); ++i) {
            pair(element("controlplane.vpn_gateway.clients", i) + ".sa",
                 config_.vpn_gateway.clients[i].sa);
        }
    }

  private:
    using Runs = std::map<std::uint64_t, std::uint64_t>;  // first -> last

    void pair(const std::string& path, const SaPairConfig& sas) {
        spis(path + ".spi_in", in_, sas.spi_in, 1);
        spis(path + ".spi_out", out_, sas.spi_out, 1);
        if (sas.key_file_in == sas.key_file_out && !sas.key_file_in.empty()) {
            report_.add_at(path + ".key_file_out", "'" + sas.key_file_out + "', as key_file_in",
                           "keys of its own for each direction");
        }
    }

    void range_sas(const std::string& path, const std::optional<RangeSasConfig>& sas,
                   std::uint32_t count) {
        if (!sas) return;
        spis(path + ".spi_in", in_, sas->spi_in, count);
        spis(path + ".spi_out", out_, sas->spi_out, count);
    }

    // Keys that nobody uses look like protection that there is not.
    void payload_is_protected(const std::string& path) {
        if (config_.policy.protect_payload) return;
        report_.add_at(path, "keys, and policy.protect_payload off",
                       "protect_payload: on, or no keys");
    }

    void routability_is_protected(const std::string& path) {
        if (config_.policy.protect_return_routability) return;
        report_.add_at(path, "keys, and policy.protect_return_routability off",
                       "protect_return_routability: on, or no keys");
    }

    // Inbound SPIs select the SA alone (RFC 4301 section 4.1); outbound ones are kept unlike too,
    // so that a capture names its SA.
    void spis(const std::string& path, Runs& runs, std::uint32_t first, std::uint32_t count) {
        if (first == 0 || count == 0) return;
        const std::uint64_t last = std::uint64_t{first} + count - 1;
        if (last > 0xffffffff) {
            report_.add_at(
                path, std::to_string(first),
                "an SPI that leaves room for " + std::to_string(count) + " more below 2^32");
            return;
        }
        const auto next = runs.lower_bound(first);
        const bool meets = (next != runs.end() && next->first <= last) ||
                           (next != runs.begin() && std::prev(next)->second >= first);
        if (meets) {
            report_.add_at(path, std::to_string(first),
                           "an SPI that no other SA of this direction"
                           " uses");
            return;
        }
        runs.emplace(first, last);
    }

    void home_addresses(const std::string& path, const Ipv6Address& first, std::uint32_t count) {
        if (first.is_unspecified() || count == 0) return;
        const auto last = last_of(first, count);
        if (!last || std::ranges::none_of(config_.home_links, [&](const HomeLinkConfig& link) {
                return link.prefix.contains(first) && link.prefix.contains(*last);
            })) {
            report_.add_at(path, first.to_string() + (count > 1 ? " and those behind it" : ""),
                           "home addresses inside one prefix of controlplane.home_links");
            return;
        }
        for (const Ipv6Address& own : config_.home_agent.addresses) {
            if (own >= first && own <= *last) {
                report_.add_at(path, own.to_string(), "not an address of the home agent itself");
            }
        }
        const auto next = homes_.lower_bound(first);
        if ((next != homes_.end() && next->first <= *last) ||
            (next != homes_.begin() && std::prev(next)->second >= first)) {
            report_.add_at(path, first.to_string(), "each home address once");
            return;
        }
        homes_.emplace(first, *last);
    }

    void ipv4_addresses(const std::string& path, const Ipv6Address& home_address,
                        const Ipv4Address& first, std::uint32_t count) {
        const std::uint64_t last = std::uint64_t{first.host()} + count - 1;
        const auto link =
            std::ranges::find_if(config_.home_links, [&](const HomeLinkConfig& candidate) {
                return candidate.prefix.contains(home_address);
            });
        if (link == config_.home_links.end() || count == 0) return;  // has its own error
        Ipv4Address end;
        store_be32(end.bytes.data(), static_cast<std::uint32_t>(last));
        // Entry 6 protects the prefix, not addresses one by one.
        const bool needs_prefix = link->ipv4_prefix || config_.policy.protect_payload;
        const bool in_prefix = link->ipv4_prefix && link->ipv4_prefix->contains(first) &&
                               link->ipv4_prefix->contains(end);
        if (last > 0xffffffff || (needs_prefix && !in_prefix)) {
            report_.add_at(path, first.to_string() + (count > 1 ? " and those behind it" : ""),
                           "IPv4 addresses inside the ipv4_prefix of the node's home link, " +
                               link->prefix.to_string());
            return;
        }
        const auto next = ipv4_homes_.lower_bound(first.host());
        if ((next != ipv4_homes_.end() && next->first <= last) ||
            (next != ipv4_homes_.begin() && std::prev(next)->second >= first.host())) {
            report_.add_at(path, first.to_string(), "each home address once");
            return;
        }
        ipv4_homes_.emplace(first.host(), last);
    }

    const ControlplaneConfig& config_;
    Report& report_;
    Runs in_, out_, ipv4_homes_;
    std::map<Ipv6Address, Ipv6Address> homes_;
};

}  // namespace

void check_whole(const Config& config, Report& report) {
    check_dataplane(config.dataplane, report);
    check_home_links(config, report);
    NodeChecks(config.controlplane, report).run();
    check_dual_stack(config.controlplane, report);
    check_mobile_ipv4(config, report);
    check_vpn_gateway(config.controlplane, report);
    if (config.controlplane.limits.bindings > config.dataplane.max_bindings) {
        report.add_at(
            "controlplane.limits.bindings", std::to_string(config.controlplane.limits.bindings),
            "at most dataplane.max_bindings, " + std::to_string(config.dataplane.max_bindings));
    }
    const std::uint32_t advice = config.controlplane.policy.refresh_advice;
    if (advice != 0 && advice >= config.controlplane.policy.max_lifetime) {
        report.add_at("controlplane.policy.refresh_advice", std::to_string(advice),
                      "less than max_lifetime (RFC 6275 section 6.2.4)");
    }
    const PolicyConfig& policy = config.controlplane.policy;
    if (policy.technique == Technique::kHeuristic && policy.require_api) {
        // S1.82: whoever knows a home address could keep its updates waiting.
        report.add_at("controlplane.policy.technique", "'heuristic'",
                      "api, because policy.require_api is on");
    }
    if (config.dataplane.channel_socket == config.controlplane.management.socket) {
        report.add_at("controlplane.management.socket",
                      "'" + config.dataplane.channel_socket + "', the data plane's",
                      "a socket of its own");
    }
}

}  // namespace homeport::config

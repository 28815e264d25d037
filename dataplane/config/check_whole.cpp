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

bool overlap(const Ipv6Prefix& a, const Ipv6Prefix& b) {
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
                ipv4_home(path + ".ipv4_home_address", *node.ipv4_home_address);
            }
            if (node.binding_update) pair(path + ".security.bu", *node.binding_update);
            if (node.prefix_discovery) pair(path + ".security.mps", *node.prefix_discovery);
            if (node.return_routability) pair(path + ".security.rr", *node.return_routability);
        }
        for (std::size_t i = 0; i < config_.mobile_node_ranges.size(); ++i) {
            const MobileNodeRangeConfig& range = config_.mobile_node_ranges[i];
            const std::string path = element("controlplane.mobile_node_ranges", i);
            home_addresses(path + ".first", range.first, range.count);
            if (range.algorithm.empty()) continue;
            spis(path + ".security.spi_in", in_, range.spi_in, range.count);
            spis(path + ".security.spi_out", out_, range.spi_out, range.count);
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

    void ipv4_home(const std::string& path, const Ipv4Address& address) {
        if (!ipv4_homes_.insert(address).second) {
            report_.add_at(path, address.to_string(), "each home address once");
        }
    }

    const ControlplaneConfig& config_;
    Report& report_;
    Runs in_, out_;
    std::map<Ipv6Address, Ipv6Address> homes_;
    std::set<Ipv4Address> ipv4_homes_;
};

}  // namespace

void check_whole(const Config& config, Report& report) {
    check_dataplane(config.dataplane, report);
    check_home_links(config, report);
    NodeChecks(config.controlplane, report).run();
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

// SPDX-License-Identifier: BSD-3-Clause
// The VPN gateway's keys of the file, and what must hold between them.
#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "dataplane/config/reader.hpp"

namespace homeport::config {

namespace {

constexpr std::array<std::pair<std::string_view, VpnUdp>, 3> kVpnUdpTable{
    {{"auto", VpnUdp::kAuto}, {"off", VpnUdp::kOff}, {"always", VpnUdp::kAlways}}};

constexpr std::size_t kLongestName = 64;
constexpr std::uint16_t kLeastPathMtu = 576;
constexpr std::uint16_t kMostPathMtu = 9216;

/// An address of one host, which is required.
void read_host(Section& section, std::string_view key, std::string_view what, Ipv4Address& out) {
    if (const auto v = section.require(key, what)) v->address(out);
}

void read_client(Report& report, const Value& element, const std::string& directory,
                 std::vector<VpnClientConfig>& out) {
    Section section(report, element.node(), element.path());
    VpnClientConfig client;
    read_host(section, "outer", "where the client's ESP ends (x-HoA)", client.outer);
    read_host(section, "inner", "the client's address inside the VPN (VPN-TIA)", client.inner);
    client.name = client.inner.to_string();
    if (const auto v = section.find("name")) v->string(client.name, kLongestName);
    if (section.find("translated")) {
        Ipv4Address translated;
        read_host(section, "translated", "an address", translated);
        client.translated = translated;
    }
    if (const auto v = section.find("udp_encapsulation")) {
        v->choice(client.udp_encapsulation, kVpnUdpNames);
    }
    if (auto pair = read_sa_pair(section, "sa", directory)) {
        client.sa = std::move(*pair);
    } else {
        (void)section.require("sa", "the client's security associations");
    }
    section.finish();
    out.push_back(std::move(client));
}

class Checks {
  public:
    Checks(const ControlplaneConfig& config, Report& report) : config_(config), report_(report) {}

    void run() {
        const VpnGatewayConfig& gateway = config_.vpn_gateway;
        if (gateway.addresses.empty() && !gateway.clients.empty()) {
            report_.add_at("controlplane.vpn_gateway.addresses", "no address",
                           "one at which the clients' ESP ends");
        }
        for (const Ipv4Address& address : gateway.addresses) {
            const auto& others = config_.home_agent.ipv4_addresses;
            if (std::ranges::find(others, address) == others.end()) continue;
            report_.add_at("controlplane.vpn_gateway.addresses", address.to_string(),
                           "an address that is none of home_agent.ipv4_addresses: ESP ends at "
                           "both, and each wants its own");
        }
        for (std::size_t i = 0; i < gateway.clients.size(); ++i) {
            const std::string path = "controlplane.vpn_gateway.clients[" + std::to_string(i) + "]";
            const VpnClientConfig& client = gateway.clients[i];
            once(addresses_, path + ".inner", client.inner, client.name);
            once(outer_, path + ".outer", client.outer, client.name);
            if (client.translated) {
                once(addresses_, path + ".translated", *client.translated, client.name);
            }
            own(path + ".inner", client.inner);
            own(path + ".outer", client.outer);
        }
    }

  private:
    void once(std::map<Ipv4Address, std::string>& known, const std::string& path,
              const Ipv4Address& value, const std::string& name) {
        const auto [found, is_new] = known.emplace(value, name);
        if (is_new) return;
        report_.add_at(path, value.to_string(),
                       "one that is not that of '" + found->second + "' too");
    }
    void own(const std::string& path, const Ipv4Address& address) {
        const auto is_in = [&](const std::vector<Ipv4Address>& all) {
            return std::ranges::find(all, address) != all.end();
        };
        bool ours = is_in(config_.vpn_gateway.addresses);
        for (const Mip4HomeAgentConfig& agent : config_.mobile_ipv4) {
            ours = ours || is_in(agent.addresses);
        }
        if (ours) report_.add_at(path, address.to_string(), "an address that is not our own");
    }

    const ControlplaneConfig& config_;
    Report& report_;
    std::map<Ipv4Address, std::string> addresses_, outer_;
};

}  // namespace

const std::span<const std::pair<std::string_view, VpnUdp>> kVpnUdpNames = kVpnUdpTable;

void read_vpn_gateway(Section section, const std::string& directory, VpnGatewayConfig& out) {
    section.list("addresses", "IPv4 addresses", [&](const Value& v) {
        Ipv4Address address;
        if (!v.address(address)) return;
        if (!out.addresses.empty()) return v.fail("one address");
        out.addresses.push_back(address);
    });
    section.list("networks", "IPv4 prefixes", [&](const Value& v) {
        Ipv4Prefix prefix;
        if (v.prefix(prefix)) out.networks.push_back(prefix);
    });
    section.list("clients", "VPN clients",
                 [&](const Value& v) { read_client(section.report(), v, directory, out.clients); });
    if (const auto v = section.find("path_mtu")) {
        v->number(out.path_mtu, kLeastPathMtu, kMostPathMtu, "octets");
    }
    section.finish();
}

void check_vpn_gateway(const ControlplaneConfig& config, Report& report) {
    Checks(config, report).run();
}

}  // namespace homeport::config

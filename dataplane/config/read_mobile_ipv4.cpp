// SPDX-License-Identifier: BSD-3-Clause
// Reading of controlplane.mobile_ipv4: the home agents of Mobile IPv4.
#include <algorithm>
#include <array>
#include <filesystem>

#include "dataplane/config/reader.hpp"

namespace homeport::config {

namespace {

constexpr std::array<std::pair<std::string_view, Mip4Role>, 3> kRoleTable{
    {{"plain", Mip4Role::kPlain},
     {"internal", Mip4Role::kInternal},
     {"external", Mip4Role::kExternal}}};
constexpr std::array<std::pair<std::string_view, Mip4Profile>, 2> kProfileTable{
    {{"rfc5265", Mip4Profile::kRfc5265}, {"draft02", Mip4Profile::kDraft02}}};
constexpr std::array<std::pair<std::string_view, Mip4Algorithm>, 4> kAlgorithmTable{
    {{"hmac-md5", Mip4Algorithm::kHmacMd5},
     {"keyed-md5", Mip4Algorithm::kKeyedMd5},
     {"hmac-sha1", Mip4Algorithm::kHmacSha1},
     {"hmac-sha256", Mip4Algorithm::kHmacSha256}}};
constexpr std::array<std::pair<std::string_view, Mip4Replay>, 2> kReplayTable{
    {{"timestamps", Mip4Replay::kTimestamps}, {"nonces", Mip4Replay::kNonces}}};

constexpr std::uint16_t kInfinite = 0xffff;
constexpr std::size_t kLongestName = 31;
constexpr std::size_t kLongestNai = 253;  // octets of the extension (RFC 2794 section 2)

std::string absolute(const std::string& directory, const std::string& path) {
    return (std::filesystem::path(directory) / path).lexically_normal().string();
}

/// A name that commands and the log can show: no control characters.
bool read_name(const Value& value, std::string& out, std::size_t most) {
    if (!value.string(out, most)) return false;
    if (std::ranges::all_of(out, [](char c) { return c > ' ' && c != 0x7f; })) return true;
    value.fail("a name without spaces and control characters");
    return false;
}

/// Algorithm, replay protection and window, of one association or of a range's.
template <class Association>
void read_association(Section& section, Association& out) {
    if (const auto v = section.find("algorithm")) v->choice(out.algorithm, kMip4AlgorithmNames);
    if (const auto v = section.find("replay")) v->choice(out.replay, kMip4ReplayNames);
    if (const auto v = section.find("window")) v->number(out.window, 1, 3600, "seconds");
}

void read_associations(Section& parent, const std::string& directory,
                       std::vector<Mip4AssociationConfig>& out) {
    const bool is_there = parent.list("associations", "security associations", [&](const Value& v) {
        Section section(parent.report(), v.node(), v.path());
        Mip4AssociationConfig one;
        if (const auto spi = section.require("spi", "an SPI")) {
            spi->number(one.spi, 256, 0xffffffff, "SPI; up to 255 they are reserved");
        }
        read_association(section, one);
        if (const auto file = section.require("key_file", "a key file")) {
            if (file->string(one.key_file)) one.key_file = absolute(directory, one.key_file);
        }
        section.finish();
        const auto same = std::ranges::find(out, one.spi, &Mip4AssociationConfig::spi);
        if (same != out.end() && one.spi != 0) v.fail("each SPI of a node once");
        out.push_back(std::move(one));
    });
    if (!is_there || out.empty()) {
        parent.report().add_at(parent.path(), "no associations",
                               "at least one security association");
    }
}

void read_network(Report& report, const Value& element, std::vector<Mip4HomeNetworkConfig>& out) {
    Section section(report, element.node(), element.path());
    Mip4HomeNetworkConfig network;
    if (const auto v = section.require("prefix", "the home network")) {
        if (v->prefix(network.prefix) &&
            (network.prefix.length < 8 || network.prefix.length > 30)) {
            v->fail("a prefix length from 8 to 30");
        }
    }
    if (const auto v = section.require("port", "the name of a port, or virtual")) {
        if (v->string(network.port, kLongestName) && network.port == "virtual") {
            network.port.clear();
        }
    }
    if (network.is_virtual()) network.no_binding = NoBinding::kDrop;
    read_ipv4_pool(section, network.pool, "pool");
    if (const auto v = section.find("no_binding")) {
        v->choice(network.no_binding, kNoBindingNames);
        if (network.is_virtual() && network.no_binding == NoBinding::kForwardHome) {
            v->fail("drop: a virtual network has no link to forward to");
        }
    }
    if (const auto v = section.find("advertisement_interval")) {
        const bool is_off = v->is_scalar() && (v->text() == "off" || v->text() == "0");
        if (!is_off) v->number(network.advertisement_interval, 3, 1800, "seconds, or off");
        if (network.is_virtual() && network.advertisement_interval != 0) {
            v->fail("off: a virtual network has no link to advertise on");
        }
    }
    section.finish();
    out.push_back(std::move(network));
}

void read_node(Report& report, const Value& element, const std::string& directory,
               std::vector<Mip4NodeConfig>& out) {
    Section section(report, element.node(), element.path());
    Mip4NodeConfig node;
    if (const auto v = section.find("home_address")) {
        Ipv4Address address;
        if (v->address(address)) {
            node.home_address = address;
            node.name = address.to_string();
        }
    }
    if (const auto v = section.find("nai")) {
        if (read_name(*v, node.nai, kLongestNai) && node.name.empty()) node.name = node.nai;
    }
    if (const auto v = section.find("name")) read_name(*v, node.name, 64);
    if (!node.home_address && node.nai.empty()) {
        report.add_at(section.path(), "neither home_address nor nai",
                      "one of them: the node must be told from others");
    }
    if (const auto v = section.find("prohibited")) v->boolean(node.prohibited);
    read_associations(section, directory, node.associations);
    section.finish();
    out.push_back(std::move(node));
}

void read_range(Report& report, const Value& element, const std::string& directory,
                std::vector<Mip4NodeRangeConfig>& out) {
    Section section(report, element.node(), element.path());
    Mip4NodeRangeConfig range;
    if (const auto v = section.require("first", "the first home address")) {
        if (v->address(range.first)) range.name = range.first.to_string();
    }
    if (const auto v = section.find("name")) read_name(*v, range.name, 64);
    if (const auto v = section.require("count", "how many nodes")) {
        v->number(range.count, 1, 1u << 20);
    }
    if (const auto v = section.require("key_directory", "where the key files are")) {
        if (v->string(range.key_directory)) {
            range.key_directory = absolute(directory, range.key_directory);
        }
    }
    if (const auto v = section.find("spi")) v->number(range.spi, 256, 0xffffffff, "SPI");
    read_association(section, range);
    section.finish();
    out.push_back(std::move(range));
}

void read_foreign_agent(Report& report, const Value& element, const std::string& directory,
                        std::vector<Mip4ForeignAgentConfig>& out) {
    Section section(report, element.node(), element.path());
    Mip4ForeignAgentConfig agent;
    if (const auto v = section.require("address", "the foreign agent's care-of address")) {
        v->address(agent.address);
    }
    read_associations(section, directory, agent.associations);
    section.finish();
    out.push_back(std::move(agent));
}

void read_udp(Section section, Mip4UdpConfig& out) {
    if (const auto v = section.find("allowed")) v->boolean(out.allowed);
    if (const auto v = section.find("forced_allowed")) v->boolean(out.forced_allowed);
    if (const auto v = section.find("foreign_agent_registration")) {
        v->boolean(out.foreign_agent_registration);
    }
    if (const auto v = section.find("strict_source")) v->boolean(out.strict_source);
    if (const auto v = section.find("refuse_reserved")) v->boolean(out.refuse_reserved);
    if (const auto v = section.find("keepalive")) {
        const bool is_their_own = v->is_scalar() && v->text() == "0";
        if (is_their_own) out.keepalive = 0;
        if (!is_their_own) v->number(out.keepalive, 10, 65535, "seconds; or 0, the node's own");
    }
    if (const auto v = section.find("max_lifetime")) {
        v->number(out.max_lifetime, 10, kInfinite - 1, "seconds");
    }
    section.finish();
}

void read_max_lifetime(const Value& value, std::uint16_t& out) {
    if (value.is_scalar() && value.text() == "infinite") {
        out = kInfinite;
        return;
    }
    value.number(out, 10, kInfinite - 1, "seconds, or infinite");
}

void read_services(Section& section, Mip4HomeAgentConfig& agent) {
    if (const auto v = section.find("max_lifetime")) read_max_lifetime(*v, agent.max_lifetime);
    if (const auto v = section.find("simultaneous_bindings")) {
        v->number(agent.simultaneous_bindings, 1, 8);
    }
    if (const auto v = section.find("max_bindings")) {
        v->number(agent.max_bindings, 1, 1u << 24);
    }
    for (const auto& [key, out] :
         {std::pair("reverse_tunnel", &agent.reverse_tunnel),
          std::pair("reverse_tunnel_mandatory", &agent.reverse_tunnel_mandatory),
          std::pair("gre", &agent.gre), std::pair("minimal", &agent.minimal),
          std::pair("broadcasts", &agent.broadcasts), std::pair("revocation", &agent.revocation)}) {
        if (const auto v = section.find(key)) v->boolean(*out);
    }
    read_udp(section.section("udp"), agent.udp);
}

void read_filters(Section& section, Mip4HomeAgentConfig& agent) {
    section.list("trusted_subnets", "IPv4 prefixes", [&](const Value& element) {
        Ipv4Prefix prefix;
        if (element.prefix(prefix)) agent.trusted_subnets.push_back(prefix);
    });
    section.list("inside_ports", "names of ports", [&](const Value& element) {
        std::string name;
        if (!element.string(name, kLongestName)) return;
        if (std::ranges::find(agent.inside_ports, name) != agent.inside_ports.end()) {
            return element.fail("each port once");
        }
        agent.inside_ports.push_back(std::move(name));
    });
    // An empty list can be meant: then only what comes through IPsec is answered. A missing one
    // cannot be told from a forgotten one (S2.83).
    if (agent.role == Mip4Role::kInternal && !section.find("inside_ports")) {
        section.report().add_at(section.path(), "an internal home agent without inside_ports",
                                "the ports of the trusted network; [] if requests come through "
                                "IPsec only");
    }
}

void read_agent(Report& report, const Value& element, const std::string& directory,
                std::vector<Mip4HomeAgentConfig>& out) {
    Section section(report, element.node(), element.path());
    Mip4HomeAgentConfig agent;
    if (const auto v = section.find("role")) v->choice(agent.role, kMip4RoleNames);
    agent.name = name_of(agent.role, kMip4RoleNames);
    if (const auto v = section.find("name")) read_name(*v, agent.name, kLongestName);
    if (const auto v = section.find("profile")) v->choice(agent.profile, kMip4ProfileNames);
    section.list("addresses", "IPv4 addresses", [&](const Value& v) {
        Ipv4Address address;
        if (!v.address(address)) return;
        if (!address.is_unicast()) return v.fail("a unicast address");
        if (std::ranges::find(agent.addresses, address) != agent.addresses.end()) {
            return v.fail("each address once");
        }
        agent.addresses.push_back(address);
    });
    section.list("networks", "home networks",
                 [&](const Value& v) { read_network(report, v, agent.networks); });
    section.list("nodes", "mobile nodes",
                 [&](const Value& v) { read_node(report, v, directory, agent.nodes); });
    section.list("ranges", "ranges of mobile nodes",
                 [&](const Value& v) { read_range(report, v, directory, agent.ranges); });
    section.list("foreign_agents", "foreign agents", [&](const Value& v) {
        read_foreign_agent(report, v, directory, agent.foreign_agents);
    });
    read_filters(section, agent);
    read_services(section, agent);
    section.finish();
    out.push_back(std::move(agent));
}

}  // namespace

const std::span<const std::pair<std::string_view, Mip4Role>> kMip4RoleNames = kRoleTable;
const std::span<const std::pair<std::string_view, Mip4Profile>> kMip4ProfileNames = kProfileTable;
const std::span<const std::pair<std::string_view, Mip4Algorithm>> kMip4AlgorithmNames =
    kAlgorithmTable;
const std::span<const std::pair<std::string_view, Mip4Replay>> kMip4ReplayNames = kReplayTable;

void read_mobile_ipv4(Section& parent, const std::string& directory,
                      std::vector<Mip4HomeAgentConfig>& out) {
    parent.list("mobile_ipv4", "home agents of Mobile IPv4", [&](const Value& element) {
        read_agent(parent.report(), element, directory, out);
    });
}

}  // namespace homeport::config

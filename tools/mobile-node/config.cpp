// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/config.hpp"

#include <algorithm>
#include <array>

#include "dataplane/config/document.hpp"
#include "dataplane/config/reader.hpp"
#include "dataplane/ipsec/algorithm.hpp"
#include "tools/mobile-node/mobile_router_config.hpp"

namespace homeport::mobile_node {

namespace {

using config::ConfigError;
using config::ConfigErrors;
using config::Report;
using config::Section;
using config::Value;

constexpr std::size_t kMostOctets = 1u << 20;
constexpr std::size_t kMostInterfaces = 32;
constexpr std::size_t kMostRoutes = 256;
constexpr std::size_t kDeviceName = 15;
constexpr std::size_t kMostHomeAgents4 = 8;
constexpr auto kProtectedDataNames =
    std::to_array<std::pair<std::string_view, bool>>({{"rfc5555", false}, {"nested", true}});

void read_device_name(const Value& value, std::string& out) {
    std::string name;
    if (!value.string(name, kDeviceName)) return;
    if (name == "." || name == ".." || name.find_first_of("/: \t\n%") != std::string::npos) {
        return value.fail("the name of a network device, 1 to 15 characters");
    }
    out = name;
}

void read_security(Section section, const std::filesystem::path& directory, Config& out) {
    const auto pair = [&](const char* key, std::optional<SaPair>& into) {
        if (section.find(key)) into = read_sa_pair(section.section(key), directory);
    };
    pair("bu", out.binding_update);
    pair("mps", out.prefix_discovery);
    pair("rr", out.return_routability);
    pair("cn", out.correspondent);
    pair("payload", out.payload);
    section.finish();
}

// "off", "on", or a section, which means on.
void read_route_optimisation(Section& top, RouteOptimisationConfig& out) {
    const auto value = top.find("route_optimisation");
    out.correspondents = {Ipv6Prefix{}};
    if (!value) return;
    if (value->is_scalar()) {
        (void)value->boolean(out.enabled);
        return;
    }
    Section section = top.section("route_optimisation");
    out.enabled = true;
    std::vector<Ipv6Prefix> listed;
    const bool has_list = section.list("correspondents", "prefixes", [&](const Value& element) {
        if (listed.size() >= kMostRoutes) return element.fail("at most 256 prefixes");
        Ipv6Prefix prefix;
        if (element.prefix(prefix)) listed.push_back(prefix);
    });
    if (has_list) out.correspondents = std::move(listed);
    if (const auto v = section.find("most")) v->number(out.most, 1, 1024);
    if (const auto v = section.find("lifetime")) {
        std::uint32_t seconds = 0;
        if (v->number(seconds, 4, 420, "seconds")) out.lifetime = std::chrono::seconds{seconds};
    }
    section.finish();
}

void read_tunnel(Section section, TunnelConfig& out) {
    if (const auto v = section.find("name")) read_device_name(*v, out.name);
    if (const auto v = section.find("table")) {
        if (v->number(out.table, 1, 0xfffffffe) && out.table >= 252 && out.table <= 255) {
            v->fail("a routing table other than 252 to 255, which the kernel uses (and the next)");
        }
    }
    if (const auto v = section.find("rule_priority")) v->number(out.rule_priority, 1, 32765);
    if (const auto v = section.find("hop_limit")) v->number(out.hop_limit, 1, 255);
    const bool has_routes = section.list("routes", "prefixes", [&](const Value& element) {
        if (out.routes.size() + out.routes4.size() >= kMostRoutes) {
            return element.fail("at most 256 routes");
        }
        if (const auto v4 =
                element.is_scalar() ? Ipv4Prefix::parse(element.text()) : std::nullopt) {
            out.routes4.push_back(v4->masked());
            return;
        }
        Ipv6Prefix prefix;
        if (element.prefix(prefix)) out.routes.push_back(prefix);
    });
    if (!has_routes) {
        out.routes = {Ipv6Prefix{}};
        out.routes4 = {Ipv4Prefix{}};
    }
    section.finish();
}

void read_interfaces(Section& top, Config& out) {
    const auto value = top.find("interfaces");
    if (!value || (value->is_scalar() && value->text() == "all")) return;
    const bool is_list =
        for_each(top.report(), *value, "network devices, or all", [&](const Value& element) {
            std::string name;
            read_device_name(element, name);
            if (name.empty()) return;
            if (std::ranges::find(out.interfaces, name) != out.interfaces.end()) {
                return element.fail("each interface once");
            }
            if (out.interfaces.size() >= kMostInterfaces) {
                return element.fail("at most 32 interfaces");
            }
            out.interfaces.push_back(name);
        });
    if (is_list && out.interfaces.empty()) value->fail("at least one interface, or all");
}

void read_home_agent4(const Value& value, Config& out) {
    const auto parsed = value.is_scalar() ? Ipv4Address::parse(value.text()) : std::nullopt;
    if (!parsed || !parsed->is_unicast()) return value.fail("a unicast IPv4 address");
    if (std::ranges::find(out.home_agent_ipv4, *parsed) != out.home_agent_ipv4.end()) {
        return value.fail("each address once");
    }
    if (parsed == out.ipv4_home_address) {
        return value.fail("an address other than the IPv4 home address");
    }
    if (out.home_agent_ipv4.size() >= kMostHomeAgents4) return value.fail("at most 8 addresses");
    out.home_agent_ipv4.push_back(*parsed);
}

void read_home_agents4(Section& top, Config& out) {
    const auto value = top.find("home_agent_ipv4");
    if (!value) return;
    if (value->is_scalar()) return read_home_agent4(*value, out);
    (void)for_each(top.report(), *value, "IPv4 addresses of the home agent",
                   [&](const Value& element) { read_home_agent4(element, out); });
}

void read_split(Section section, SplitConfig& out) {
    if (const auto v = section.find("technique")) {
        v->choice(out.technique, config::kTechniqueNames);
    }
    if (const auto v = section.find("bu_heur_timeout")) {
        v->number(out.bu_heur_timeout, 10, 10000, "milliseconds");
    }
    if (const auto v = section.find("bu_heur_min_pkts")) {
        v->number(out.bu_heur_min_pkts, 1, 250, "packets");
    }
    section.finish();
}

void read_dual_stack(Section section, DualStackConfig& out) {
    const auto seconds = [&](const char* key, std::uint32_t least, std::chrono::seconds& into) {
        std::uint32_t number = 0;
        const auto v = section.find(key);
        if (v && v->number(number, least, 3600, "seconds")) into = std::chrono::seconds{number};
    };
    if (const auto v = section.find("force_udp")) v->boolean(out.force_udp);
    if (const auto v = section.find("force_udp_ipv6")) v->boolean(out.force_udp_ipv6);
    if (const auto v = section.find("nat_keepalive")) v->boolean(out.nat_keepalive);
    seconds("esp_keepalive", 0, out.esp_keepalive);
    if (const auto v = section.find("protected_data_over_v4")) {
        v->choice<bool>(out.nested_esp, kProtectedDataNames);
    }
    seconds("retry", 1, out.retry);
    section.finish();
}

void read_addresses(Section& top, Config& out) {
    bool has_home_address = false;
    if (const auto v = top.require("home_address", "the home address")) {
        has_home_address = v->address(out.home_address);
    }
    if (const auto v = top.require("home_agent", "the address of the home agent")) {
        if (v->address(out.home_agent) && has_home_address && out.home_agent == out.home_address) {
            v->fail("an address other than the home address");
        }
    }
    out.home_prefix = Ipv6Prefix{out.home_address, 64}.masked();
    if (const auto v = top.find("home_prefix")) {
        if (v->prefix(out.home_prefix) && has_home_address &&
            !out.home_prefix.contains(out.home_address)) {
            v->fail("a prefix that holds the home address " + out.home_address.to_string());
        }
    }
    if (const auto v = top.find("ipv4_home_address")) {
        const auto parsed = v->is_scalar() ? Ipv4Address::parse(v->text()) : std::nullopt;
        if (v->is_scalar() && v->text() == "dynamic") {
            out.ipv4_home_address = Ipv4Address{};
        } else if (!parsed || !parsed->is_unicast()) {
            v->fail("a unicast IPv4 address, or dynamic");
        } else {
            out.ipv4_home_address = *parsed;
        }
    }
    read_home_agents4(top, out);
}

/// What both kinds of mobile node have.
void read_common(Section& top, const std::filesystem::path& directory, Config& out) {
    read_interfaces(top, out);
    read_tunnel(top.section("tunnel"), out.tunnel);
    if (const auto v = top.find("status_socket")) {
        read_path(*v, directory, out.status_socket);
        if (out.status_socket.size() > 107) v->fail("a path of at most 107 characters");
    }
    if (const auto v = top.find("state_file")) read_path(*v, directory, out.state_file);
    if (const auto v = top.find("log_level")) v->choice(out.log_level, config::kLogLevelNames);
    if (const auto v = top.find("keep_binding_on_exit")) v->boolean(out.keep_binding_on_exit);
    Section lab = top.section("lab");
    if (const auto v = lab.find("static_gcm")) v->boolean(out.lab_static_gcm);
    if (const auto v = lab.find("unprotected")) v->boolean(out.lab_unprotected);
    lab.finish();
}

void read_top(Section top, const std::filesystem::path& directory, Config& out) {
    read_common(top, directory, out);
    if (top.find("mobile_ipv4")) {
        out.mobile_ipv4.emplace();
        read_mip4(top.section("mobile_ipv4"), directory, *out.mobile_ipv4);
        return top.finish();
    }
    read_addresses(top, out);
    if (const auto v = top.find("home_interface")) read_device_name(*v, out.home_interface);
    if (const auto v = top.find("lifetime")) {
        std::uint32_t seconds = 0;
        if (v->number(seconds, 4, 262140, "seconds")) out.lifetime = std::chrono::seconds{seconds};
    }
    if (const auto v = top.find("first_registration_timeout_ms")) {
        std::uint32_t ms = 0;
        if (v->number(ms, 100, 32000, "milliseconds")) {
            out.first_registration_timeout = std::chrono::milliseconds{ms};
        }
    }
    read_security(top.section("security"), directory, out);
    read_split(top.section("signalling"), out.signalling);
    read_dual_stack(top.section("dual_stack"), out.dual_stack);
    read_route_optimisation(top, out.route_optimisation);
    if (top.find("mobile_router")) {
        read_mobile_router(top.section("mobile_router"), out.mobile_router);
    }
    top.finish();
}

void check_pairs(const Config& out, Report& report) {
    const std::pair<const char*, const std::optional<SaPair>*> all[] = {
        {"bu", &out.binding_update},
        {"mps", &out.prefix_discovery},
        {"rr", &out.return_routability},
        {"cn", &out.correspondent},
        {"payload", &out.payload}};
    for (const auto& [key, pair] : all) {
        if (!*pair) continue;
        const std::string path = std::string("security.") + key;
        const auto algorithm = ipsec::parse_algorithm((*pair)->algorithm);
        if (!out.lab_static_gcm && algorithm && ipsec::info(*algorithm).is_counter_mode()) {
            report.add_at(path + ".algorithm", "'" + (*pair)->algorithm + "'",
                          "another cipher: static keys and counter modes do not go together "
                          "(RFC 4106 section 2); lab.static_gcm allows it");
        }
        for (const auto& [other_key, other] : all) {
            if (other == pair) break;
            if (!*other) continue;
            if ((*other)->spi_in == (*pair)->spi_in) {
                report.add_at(path + ".spi_in", std::to_string((*pair)->spi_in),
                              std::string("an SPI other than that of security.") + other_key);
            }
            if ((*other)->spi_out == (*pair)->spi_out) {
                report.add_at(path + ".spi_out", std::to_string((*pair)->spi_out),
                              std::string("an SPI other than that of security.") + other_key);
            }
        }
    }
}

// What no single value shows.
void check_whole(const Config& out, Report& report) {
    if (std::ranges::find(out.interfaces, out.tunnel.name) != out.interfaces.end()) {
        report.add_at("interfaces", "the tunnel device '" + out.tunnel.name + "'",
                      "access interfaces");
    }
    if (out.mobile_ipv4) return check_mip4(*out.mobile_ipv4, out.lab_static_gcm, report);
    if (!out.binding_update && !out.lab_unprotected) {
        report.add_at("security.bu", "nothing",
                      "the keys of BU and BA (only lab.unprotected goes without)");
    }
    if (out.binding_update && out.lab_unprotected) {
        report.add_at("security.bu", "keys, and lab.unprotected", "one of the two");
    }
    check_pairs(out, report);
    check_mobile_router(out, report);
    if (!out.home_interface.empty() && !out.interfaces.empty() &&
        std::ranges::find(out.interfaces, out.home_interface) == out.interfaces.end()) {
        report.add_at("home_interface", "'" + out.home_interface + "'", "one of interfaces");
    }
}

std::expected<Config, ConfigErrors> read_document(const YAML::Node& node, std::string_view file) {
    Report report(file);
    Config out;
    out.file = file;
    const auto directory = std::filesystem::absolute(std::filesystem::path(file)).parent_path();
    read_top(Section(report, node, ""), directory, out);
    if (report.empty()) check_whole(out, report);
    if (!report.empty()) return std::unexpected(report.take());
    return out;
}

}  // namespace

std::expected<Config, ConfigErrors> parse(std::string_view text, std::string_view file) {
    return config::read_document_of(
        text, file, [&](const YAML::Node& document) { return read_document(document, file); });
}

std::expected<Config, ConfigErrors> load_file(const std::filesystem::path& file) {
    const auto text = config::read_text(file, kMostOctets);
    if (!text) return std::unexpected(text.error());
    return parse(*text, file.string());
}

std::string needs_restart(const Config& old_config, const Config& new_config) {
    std::string keys;
    const auto compare = [&](bool same, const char* key) {
        if (same) return;
        keys += (keys.empty() ? "" : ", ") + std::string(key);
    };
    compare(old_config.mobile_ipv4 == new_config.mobile_ipv4, "mobile_ipv4");
    compare(old_config.home_address == new_config.home_address, "home_address");
    compare(old_config.home_prefix == new_config.home_prefix, "home_prefix");
    compare(old_config.home_agent == new_config.home_agent, "home_agent");
    compare(old_config.home_agent_ipv4 == new_config.home_agent_ipv4, "home_agent_ipv4");
    compare(old_config.signalling == new_config.signalling, "signalling");
    compare(old_config.dual_stack == new_config.dual_stack, "dual_stack");
    compare(old_config.ipv4_home_address == new_config.ipv4_home_address, "ipv4_home_address");
    compare(old_config.binding_update == new_config.binding_update, "security.bu");
    compare(old_config.prefix_discovery == new_config.prefix_discovery, "security.mps");
    compare(old_config.return_routability == new_config.return_routability, "security.rr");
    compare(old_config.route_optimisation == new_config.route_optimisation, "route_optimisation");
    compare(old_config.correspondent == new_config.correspondent, "security.cn");
    compare(old_config.mobile_router == new_config.mobile_router, "mobile_router");
    compare(old_config.payload == new_config.payload, "security.payload");
    compare(old_config.lab_static_gcm == new_config.lab_static_gcm, "lab.static_gcm");
    compare(old_config.lab_unprotected == new_config.lab_unprotected, "lab.unprotected");
    compare(old_config.lifetime == new_config.lifetime, "lifetime");
    compare(old_config.first_registration_timeout == new_config.first_registration_timeout,
            "first_registration_timeout_ms");
    compare(old_config.tunnel == new_config.tunnel, "tunnel");
    compare(old_config.status_socket == new_config.status_socket, "status_socket");
    compare(old_config.state_file == new_config.state_file, "state_file");
    return keys;
}

}  // namespace homeport::mobile_node

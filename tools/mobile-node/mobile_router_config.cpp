// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/mobile_router_config.hpp"

#include <algorithm>
#include <array>

namespace homeport::mobile_node {

namespace {

using config::Value;
using mip6::MobileRouterMode;

constexpr std::size_t kMostPrefixes = 16;
constexpr std::size_t kDeviceName = 15;
constexpr auto kModes = std::to_array<std::pair<std::string_view, MobileRouterMode>>(
    {{"implicit", MobileRouterMode::kImplicit}, {"explicit", MobileRouterMode::kExplicit}});

template <class Prefix>
bool overlap(const Prefix& a, const Prefix& b) {
    return a.length <= b.length ? a.contains(b.address) : b.contains(a.address);
}

template <class Prefix>
void add_prefix(const Value& element, const Prefix& prefix, std::vector<Prefix>& out) {
    for (const Prefix& other : out) {
        if (overlap(prefix, other)) {
            return element.fail("a prefix that does not meet " + other.to_string());
        }
    }
    if (out.size() >= kMostPrefixes) return element.fail("at most 16 prefixes");
    out.push_back(prefix);
}

}  // namespace

void read_mobile_router(config::Section section, MobileRouterConfig& out) {
    mip6::MobileRouterConfig& router = out.protocol;
    router.mode = MobileRouterMode::kExplicit;
    if (const auto v = section.require("lan", "the network device of the LAN")) {
        if (v->string(out.lan, kDeviceName) &&
            out.lan.find_first_of("/: \t\n%") != std::string::npos) {
            v->fail("the name of a network device, 1 to 15 characters");
        }
    }
    if (const auto v = section.find("mode")) v->choice<MobileRouterMode>(router.mode, kModes);
    section.list("prefixes", "IPv6 prefixes", [&](const Value& element) {
        Ipv6Prefix prefix;
        if (!element.prefix(prefix)) return;
        if (prefix.length < 16 || !prefix.address.is_unicast_routable()) {
            return element.fail("a unicast routable prefix with a length from 16 to 128");
        }
        add_prefix(element, prefix, router.prefixes);
    });
    section.list("ipv4_prefixes", "IPv4 prefixes", [&](const Value& element) {
        Ipv4Prefix prefix;
        if (!element.prefix(prefix)) return;
        if (prefix.length < 8 || prefix.length > 31 || !prefix.address.is_unicast()) {
            return element.fail("a unicast prefix with a length from 8 to 31");
        }
        add_prefix(element, prefix, router.ipv4_prefixes);
    });
    section.finish();
}

void check_mobile_router(const Config& config, config::Report& report) {
    const mip6::MobileRouterConfig& router = config.mobile_router.protocol;
    if (!router.is_on()) return;
    if (router.prefixes.empty() && router.ipv4_prefixes.empty()) {
        report.add_at("mobile_router", "no prefix",
                      "prefixes or ipv4_prefixes of the LAN, in either mode");
    }
    for (const Ipv6Prefix& prefix : router.prefixes) {
        if (!prefix.contains(config.home_address) && !prefix.contains(config.home_agent)) continue;
        report.add_at("mobile_router.prefixes", prefix.to_string(),
                      "a prefix without the home address and the home agent");
    }
    // A LAN that may be taken for an access network would be registered as one.
    if (config.interfaces.empty()) {
        report.add_at("interfaces", "all",
                      "a list of access interfaces, without mobile_router.lan");
    } else if (std::ranges::find(config.interfaces, config.mobile_router.lan) !=
               config.interfaces.end()) {
        report.add_at("mobile_router.lan", "'" + config.mobile_router.lan + "', one of interfaces",
                      "a network device of its own");
    }
    if (config.mobile_router.lan == config.tunnel.name) {
        report.add_at("mobile_router.lan", "the tunnel device '" + config.tunnel.name + "'",
                      "the network device of the LAN");
    }
    if (config.tunnel.rule_priority < 2) {
        report.add_at("tunnel.rule_priority", std::to_string(config.tunnel.rule_priority),
                      "at least 2: a mobile router has rules one before it");
    }
}

}  // namespace homeport::mobile_node

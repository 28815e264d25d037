// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/router_network.hpp"

#include <linux/fib_rules.h>
#include <net/if.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "tools/mobile-node/netlink_request.hpp"

namespace homeport::mobile_node {

namespace {

constexpr const char* kIpv6Settings = "/proc/sys/net/ipv6/conf";
constexpr const char* kIpv6Forwarding = "/proc/sys/net/ipv6/conf/all/forwarding";
constexpr const char* kIpv4Forwarding = "/proc/sys/net/ipv4/ip_forward";
constexpr int kMostStaleRules = 16;
constexpr std::uint16_t kNew = NLM_F_CREATE | NLM_F_EXCL;

std::string read_setting(const std::string& file) {
    std::ifstream stream(file);
    std::string value;
    std::getline(stream, value);
    return value;
}

template <class Address>
constexpr unsigned char family_of(const Prefix<Address>&) {
    return sizeof(Address) == 16 ? AF_INET6 : AF_INET;
}

}  // namespace

template <class Function>
Result<void> RouterNetwork::each(Function&& function) {
    const mip6::MobileRouterConfig& router = config_.mobile_router.protocol;
    for (const Ipv6Prefix& prefix : router.prefixes) {
        if (auto done = function(prefix); !done) return done;
    }
    for (const Ipv4Prefix& prefix : router.ipv4_prefixes) {
        if (auto done = function(prefix); !done) return done;
    }
    return {};
}

Result<void> RouterNetwork::set_up(const Config& config, int tun) {
    config_ = config;
    if (!is_on()) return {};
    if (auto done = netlink_.open(); !done) return done;
    if (::if_nametoindex(config.mobile_router.lan.c_str()) == 0) {
        spdlog::warn("mobile_router.lan: there is no device {} yet", config.mobile_router.lan);
    }
    auto done = each([&](const auto& prefix) {
        delete_rules(prefix);
        if (auto added = add_rules(prefix); !added) return added;
        return unreachable(true, prefix);
    });
    if (!done) return done;
    if (done = add_ipv4_routes(tun); !done) return done;
    return forward();
}

void RouterNetwork::remove() {
    if (!is_on()) return;
    // Forwarding ends before the rules go: nothing of the LAN leaves by another way.
    for (auto one = before_.rbegin(); one != before_.rend(); ++one) {
        std::ofstream(one->first) << one->second;
    }
    before_.clear();
    (void)each([&](const auto& prefix) -> Result<void> {
        delete_rules(prefix);
        (void)unreachable(false, prefix);
        return {};
    });
}

Result<void> RouterNetwork::set_home_link(const std::string& name) {
    if (!is_on() || name == home_name_) return {};
    home_name_ = name;
    return each([&](const auto& prefix) -> Result<void> {
        for (int i = 0; i < kMostStaleRules && rule(RTM_DELRULE, 0, Rule::kFromAtHome, prefix);
             ++i) {
        }
        auto done = rule(RTM_NEWRULE, kNew, Rule::kFromAtHome, prefix);
        if (!done) return fail("rule for " + name + ": " + done.error().text);
        return {};
    });
}

// -------------------------------------------------------------------------------- forwarding

Result<void> RouterNetwork::set(const std::string& file, const std::string& value) {
    const std::string before = read_setting(file);
    if (before == value) return {};
    std::ofstream stream(file);
    stream << value << std::flush;
    if (!stream) return fail(file + ": cannot write " + value);
    before_.emplace_back(file, before);
    return {};
}

Result<void> RouterNetwork::accept_advertisements() {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(kIpv6Settings, error)) {
        const std::string file = (entry.path() / "accept_ra").string();
        // The LAN's own advertisements are nothing to learn from.
        if (entry.path().filename() == config_.mobile_router.lan || read_setting(file) != "1") {
            continue;
        }
        if (auto done = set(file, "2"); !done) return done;
    }
    if (error) return fail(std::string(kIpv6Settings) + ": " + error.message());
    return {};
}

Result<void> RouterNetwork::forward() {
    const mip6::MobileRouterConfig& router = config_.mobile_router.protocol;
    if (!router.prefixes.empty() && read_setting(kIpv6Forwarding) != "1") {
        if (auto done = accept_advertisements(); !done) return done;
        if (auto done = set(kIpv6Forwarding, "1"); !done) return done;
    }
    if (router.ipv4_prefixes.empty()) return {};
    if (auto done = set(kIpv4Forwarding, "1"); !done) return done;
    // Its correspondents are not where the main table has them: strict reverse-path filtering
    // would drop what comes out of the tunnel.
    return set("/proc/sys/net/ipv4/conf/" + config_.tunnel.name + "/rp_filter", "2");
}

// -------------------------------------------------------------------------- rules and routes

template <class Prefix>
Result<void> RouterNetwork::rule(std::uint16_t type, std::uint16_t flags, Rule which,
                                 const Prefix& prefix) {
    Request request(type, flags);
    auto& rule = request.header<fib_rule_hdr>();
    rule.family = family_of(prefix);
    rule.action = FR_ACT_TO_TBL;
    rule.table = RT_TABLE_UNSPEC;
    std::uint32_t priority = config_.tunnel.rule_priority;
    std::uint32_t table = config_.tunnel.table;
    if (which == Rule::kTo) {
        --priority;
        table = RT_TABLE_MAIN;
        rule.dst_len = prefix.length;
        request.address(FRA_DST, prefix.address);
    } else {
        rule.src_len = prefix.length;
        request.address(FRA_SRC, prefix.address);
    }
    if (which == Rule::kFromAtHome) {
        ++table;
        // To delete without a name takes away those of any name.
        if (type == RTM_NEWRULE) {
            mnl_attr_put_strz(request.message(), FRA_OIFNAME, home_name_.c_str());
        }
    }
    request.number(FRA_PRIORITY, priority);
    request.number(FRA_TABLE, table);
    return netlink_.transact(*request.message());
}

template <class Prefix>
Result<void> RouterNetwork::add_rules(const Prefix& prefix) {
    for (const Rule which : {Rule::kTo, Rule::kFrom}) {
        if (auto done = rule(RTM_NEWRULE, kNew, which, prefix); !done) {
            return fail("rule of the LAN " + prefix.to_string() + ": " + done.error().text);
        }
    }
    return {};
}

template <class Prefix>
void RouterNetwork::delete_rules(const Prefix& prefix) {
    for (const Rule which : {Rule::kTo, Rule::kFromAtHome, Rule::kFrom}) {
        for (int i = 0; i < kMostStaleRules && rule(RTM_DELRULE, 0, which, prefix); ++i) {
        }
    }
}

template <class Prefix>
Result<void> RouterNetwork::unreachable(bool add, const Prefix& prefix) {
    Request request = route_request(prefix, RT_TABLE_MAIN, 0);
    auto& route = *static_cast<rtmsg*>(mnl_nlmsg_get_payload(request.message()));
    route.rtm_type = RTN_UNREACHABLE;
    request.number(RTA_PRIORITY, config_.tunnel.rule_priority);
    if (!add) {
        request.message()->nlmsg_type = RTM_DELROUTE;
        request.message()->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    }
    auto done = netlink_.transact(*request.message());
    if (!done) return fail("route to the LAN " + prefix.to_string() + ": " + done.error().text);
    return done;
}

/// The IPv4 home address has its routes in the main table; a LAN needs them where its rule looks.
Result<void> RouterNetwork::add_ipv4_routes(int tun) {
    if (config_.mobile_router.protocol.ipv4_prefixes.empty()) return {};
    for (const Ipv4Prefix& destination : config_.tunnel.routes4) {
        Request request = route_request(destination, config_.tunnel.table, tun);
        if (auto done = netlink_.transact(*request.message()); !done) {
            return fail("route " + destination.to_string() + " in table " +
                        std::to_string(config_.tunnel.table) + ": " + done.error().text);
        }
    }
    return {};
}

}  // namespace homeport::mobile_node

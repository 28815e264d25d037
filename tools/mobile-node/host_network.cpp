// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/host_network.hpp"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "dataplane/base/ip_header.hpp"
#include "tools/mobile-node/netlink_request.hpp"

namespace homeport::mobile_node {

namespace {

// A fib rule sees type and code of an ICMPv6 message where other protocols have the destination
// port.
constexpr std::uint16_t icmp_port(unsigned type, unsigned code) {
    return static_cast<std::uint16_t>(type << 8 | code);
}
constexpr int kMostStaleRules = 16;

}  // namespace

Result<HostNetwork> HostNetwork::set_up(const Config& config, int index, unsigned mtu) {
    HostNetwork host(config, index);
    const auto run = [](auto&&... steps) -> Result<void> {
        Result<void> done;
        (void)((done = steps(), done.has_value()) && ...);
        return done;
    };
    const auto done =
        run([&] { return host.netlink_.open(); }, [&] { return host.change_link(Step::kMtu, mtu); },
            [&] { return host.change_link(Step::kNoLinkLocal, 0); },
            [&] { return host.change_link(Step::kUp, 0); }, [&] { return host.add_rules(); },
            [&] { return host.add_addresses(); }, [&] { return host.add_routes(); },
            [&] { return host.router_.set_up(config, index); });
    if (!done) {
        host.remove();
        return std::unexpected(done.error());
    }
    return host;
}

void HostNetwork::remove() {
    router_.remove();
    delete_rules();
}

Result<void> HostNetwork::set_mtu(unsigned mtu) {
    return change_link(Step::kMtu, mtu);
}

Result<void> HostNetwork::change_link(Step step, unsigned mtu) {
    Request request(RTM_NEWLINK, 0);
    auto& link = request.header<ifinfomsg>();
    link.ifi_family = AF_UNSPEC;
    link.ifi_index = index_;
    if (step == Step::kMtu) {
        request.number(IFLA_MTU, mtu);
    } else if (step == Step::kUp) {
        link.ifi_flags = link.ifi_change = IFF_UP;
    } else {
        nlattr* spec = mnl_attr_nest_start(request.message(), IFLA_AF_SPEC);
        nlattr* inet6 = mnl_attr_nest_start(request.message(), AF_INET6);
        mnl_attr_put_u8(request.message(), IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
        mnl_attr_nest_end(request.message(), inet6);
        mnl_attr_nest_end(request.message(), spec);
    }
    auto done = netlink_.transact(*request.message());
    if (!done) return fail("device " + config_.tunnel.name + ": " + done.error().text);
    return done;
}

Result<void> HostNetwork::add_addresses() {
    if (config_.mobile_ipv4) return add_ipv4_address();
    Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
    auto& address = request.header<ifaddrmsg>();
    address.ifa_family = AF_INET6;
    address.ifa_prefixlen = 128;
    address.ifa_index = static_cast<std::uint32_t>(index_);
    request.address(IFA_LOCAL, config_.home_address);
    request.number(IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
    if (auto done = netlink_.transact(*request.message()); !done) {
        return fail("home address " + config_.home_address.to_string() + " on " +
                    config_.tunnel.name + ": " + done.error().text);
    }
    return add_ipv4_address();
}

Result<void> HostNetwork::add_ipv4_address() {
    if (!config_.ipv4_home_address || config_.ipv4_home_address->is_unspecified()) return {};
    return set_ipv4_home_address(config_.ipv4_home_address, false);
}

Result<void> HostNetwork::set_ipv4_home_address(const std::optional<Ipv4Address>& address,
                                                bool bound) {
    constexpr std::uint16_t kNew = NLM_F_CREATE | NLM_F_EXCL;
    if (ipv4_home_address_ && ipv4_home_address_ != address) {
        (void)ipv4_rule(RTM_DELRULE, 0, *ipv4_home_address_);
        (void)change_ipv4_address(RTM_DELADDR, *ipv4_home_address_);
        ipv4_home_address_.reset();
    }
    if (address && !ipv4_home_address_) {
        if (auto done = change_ipv4_address(RTM_NEWADDR, *address); !done) {
            return fail("home address " + address->to_string() + " on " + config_.tunnel.name +
                        ": " + done.error().text);
        }
        ipv4_home_address_ = address;
        (void)ipv4_rule(RTM_DELRULE, 0, *address);  // of a process that was killed
        if (!ipv4_native_) {
            if (auto done = ipv4_rule(RTM_NEWRULE, kNew, *address); !done) {
                return fail("rule from " + address->to_string() + ": " + done.error().text);
            }
        }
    }
    if (bound && address) {
        if (auto done = add_ipv4_routes(*address); !done) return done;
    }
    if (bound != ipv4_bound_) {
        const auto done = bound ? ipv4_rule(RTM_NEWRULE, kNew, {}) : ipv4_rule(RTM_DELRULE, 0, {});
        if (!done) return fail("rule for new IPv4 connections: " + done.error().text);
        ipv4_bound_ = bound;
    }
    return {};
}

Result<void> HostNetwork::set_ipv4_native(bool native) {
    if (native == ipv4_native_) return {};
    ipv4_native_ = native;
    if (!ipv4_home_address_) return {};
    const auto done = native
                          ? ipv4_rule(RTM_DELRULE, 0, *ipv4_home_address_)
                          : ipv4_rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, *ipv4_home_address_);
    if (!done)
        return fail("rule from " + ipv4_home_address_->to_string() + ": " + done.error().text);
    return {};
}

Result<void> HostNetwork::change_ipv4_address(std::uint16_t type, const Ipv4Address& address) {
    Request request(type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_REPLACE : 0);
    auto& header = request.header<ifaddrmsg>();
    header.ifa_family = AF_INET;
    header.ifa_prefixlen = 32;
    header.ifa_index = static_cast<std::uint32_t>(index_);
    request.address(IFA_LOCAL, address);
    request.address(IFA_ADDRESS, address);
    return netlink_.transact(*request.message());
}

Result<void> HostNetwork::add_routes() {
    if (config_.mobile_ipv4) return {};
    for (const Ipv6Prefix& destination : config_.tunnel.routes) {
        Request request = route_request(destination, config_.tunnel.table, index_);
        if (auto done = netlink_.transact(*request.message()); !done) {
            return fail("route " + destination.to_string() + " in table " +
                        std::to_string(config_.tunnel.table) + ": " + done.error().text);
        }
    }
    return {};
}

// In a table of its own: the main table is that of the access networks, whose routes to the home
// agent they have to be.
Result<void> HostNetwork::add_ipv4_routes(const Ipv4Address& source) {
    for (const Ipv4Prefix& destination : config_.tunnel.routes4) {
        Request request = route_request(destination, config_.tunnel.table, index_);
        request.address(RTA_PREFSRC, source);
        if (auto done = netlink_.transact(*request.message()); !done) {
            return fail("route " + destination.to_string() + ": " + done.error().text);
        }
    }
    return {};
}

Result<void> HostNetwork::ipv4_rule(std::uint16_t type, std::uint16_t flags,
                                    const Ipv4Address& source) {
    Request request(type, flags);
    auto& rule = request.header<fib_rule_hdr>();
    rule.family = AF_INET;
    rule.src_len = Ipv4Prefix::kMaxLength;
    rule.action = FR_ACT_TO_TBL;
    rule.table = RT_TABLE_UNSPEC;
    request.address(FRA_SRC, source);
    request.number(FRA_PRIORITY, config_.tunnel.rule_priority);
    request.number(FRA_TABLE, config_.tunnel.table);
    return netlink_.transact(*request.message());
}

// Protocol and port unreachable, of a kernel that has its own tunnel or ESP driver loaded.
Result<void> HostNetwork::silence_rule4(std::uint16_t type, std::uint16_t flags,
                                        const Ipv4Address& home_agent) {
    Request request(type, flags);
    auto& rule = request.header<fib_rule_hdr>();
    rule.family = AF_INET;
    rule.dst_len = Ipv4Prefix::kMaxLength;
    rule.action = FR_ACT_BLACKHOLE;
    request.address(FRA_DST, home_agent);
    request.number(FRA_PRIORITY, config_.tunnel.rule_priority);
    mnl_attr_put_u8(request.message(), FRA_IP_PROTO, number(IpProtocol::kIcmp));
    const fib_rule_port_range types{icmp_port(3, 2), icmp_port(3, 3)};
    mnl_attr_put(request.message(), FRA_DPORT_RANGE, sizeof types, &types);
    return netlink_.transact(*request.message());
}

void HostNetwork::delete_ipv4_rules() {
    const auto all = [](auto&& remove) {
        for (int i = 0; i < kMostStaleRules && remove(); ++i) {
        }
    };
    if (config_.ipv4_home_address) {
        all([&] { return ipv4_rule(RTM_DELRULE, 0, {}).has_value(); });
    }
    if (ipv4_home_address_) {
        all([&] { return ipv4_rule(RTM_DELRULE, 0, *ipv4_home_address_).has_value(); });
    }
    for (const Ipv4Address& home_agent : config_.home_agent_ipv4) {
        all([&] { return silence_rule4(RTM_DELRULE, 0, home_agent).has_value(); });
    }
}

Result<void> HostNetwork::add_rules() {
    delete_rules();
    constexpr std::uint16_t kNew = NLM_F_CREATE | NLM_F_EXCL;
    // Of rules with the same priority the first that was added is the first that is asked.
    for (const Silence& silence : silences()) {
        if (auto done = silence_rule(RTM_NEWRULE, kNew, silence); !done) {
            return fail("rule to " + silence.to.to_string() + ": " + done.error().text);
        }
    }
    for (const Ipv4Address& home_agent : config_.home_agent_ipv4) {
        if (auto done = silence_rule4(RTM_NEWRULE, kNew, home_agent); !done) {
            return fail("rule to " + home_agent.to_string() + ": " + done.error().text);
        }
    }
    if (config_.mobile_ipv4) return {};
    if (auto done = address_rule(RTM_NEWRULE, kNew); !done) {
        return fail("rule from " + config_.home_address.to_string() + ": " + done.error().text);
    }
    return {};
}

Result<void> HostNetwork::set_home_link(int index, const std::string& name, bool default_route) {
    if (home_name_ != name) {
        if (!home_name_.empty()) (void)home_rule(RTM_DELRULE, 0);
        home_name_ = name;
        for (int i = 0; i < kMostStaleRules && home_rule(RTM_DELRULE, 0); ++i) {
        }
        if (auto done = home_rule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL); !done) {
            home_name_.clear();
            return fail("rule for " + name + ": " + done.error().text);
        }
        if (auto done = router_.set_home_link(name); !done) return done;
    }
    const std::uint32_t table = config_.tunnel.table + 1;
    constexpr Ipv6Prefix kLinkLocal{{{0xfe, 0x80}}, 64};
    for (const Ipv6Prefix& destination : {config_.home_prefix, kLinkLocal}) {
        Request request = route_request(destination, table, index);
        if (auto done = netlink_.transact(*request.message()); !done) {
            return fail("route " + destination.to_string() + " on " + name + ": " +
                        done.error().text);
        }
    }
    Request request = route_request(Ipv6Prefix{}, table, index);
    request.address(RTA_GATEWAY, config_.home_agent);
    if (!default_route) {
        request.message()->nlmsg_type = RTM_DELROUTE;
        request.message()->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    }
    auto done = netlink_.transact(*request.message());
    if (!done && default_route) {
        return fail("default route on " + name + ": " + done.error().text);
    }
    return {};
}

void HostNetwork::delete_rules() {
    home_name_.clear();
    delete_ipv4_rules();
    if (config_.mobile_ipv4) return;
    for (int i = 0; i < kMostStaleRules && home_rule(RTM_DELRULE, 0); ++i) {
    }
    for (int i = 0; i < kMostStaleRules && address_rule(RTM_DELRULE, 0); ++i) {
    }
    for (const Silence& silence : silences()) {
        for (int i = 0; i < kMostStaleRules && silence_rule(RTM_DELRULE, 0, silence); ++i) {
        }
    }
}

Result<void> HostNetwork::address_rule(std::uint16_t type, std::uint16_t flags) {
    Request request(type, flags);
    auto& rule = request.header<fib_rule_hdr>();
    rule.family = AF_INET6;
    rule.src_len = 128;
    rule.action = FR_ACT_TO_TBL;
    rule.flags = FIB_RULE_FIND_SADDR;
    rule.table = RT_TABLE_UNSPEC;
    request.address(FRA_SRC, config_.home_address);
    request.number(FRA_PRIORITY, config_.tunnel.rule_priority);
    request.number(FRA_TABLE, config_.tunnel.table);
    return netlink_.transact(*request.message());
}

Result<void> HostNetwork::home_rule(std::uint16_t type, std::uint16_t flags) {
    Request request(type, flags);
    auto& rule = request.header<fib_rule_hdr>();
    rule.family = AF_INET6;
    rule.src_len = 128;
    rule.action = FR_ACT_TO_TBL;
    rule.table = RT_TABLE_UNSPEC;
    request.address(FRA_SRC, config_.home_address);
    // To delete without a name takes away those of any name, also of a process that was killed.
    if (!home_name_.empty()) {
        mnl_attr_put_strz(request.message(), FRA_OIFNAME, home_name_.c_str());
    }
    request.number(FRA_PRIORITY, config_.tunnel.rule_priority);
    request.number(FRA_TABLE, config_.tunnel.table + 1);
    return netlink_.transact(*request.message());
}

std::vector<HostNetwork::Silence> HostNetwork::silences() const {
    if (config_.mobile_ipv4) return {};
    const Ipv6Prefix home_agent{config_.home_agent, 128};
    std::vector<Silence> out{{home_agent, icmp_port(4, 0), icmp_port(4, 2)},
                             {home_agent, icmp_port(1, 4), icmp_port(1, 4)}};
    if (!config_.route_optimisation.enabled) return out;
    for (const Ipv6Prefix& prefix : config_.route_optimisation.correspondents) {
        out.push_back({prefix, icmp_port(4, 0), icmp_port(4, 0)});
    }
    return out;
}

Result<void> HostNetwork::silence_rule(std::uint16_t type, std::uint16_t flags,
                                       const Silence& silence) {
    Request request(type, flags);
    auto& rule = request.header<fib_rule_hdr>();
    rule.family = AF_INET6;
    rule.dst_len = static_cast<std::uint8_t>(silence.to.length);
    rule.action = FR_ACT_BLACKHOLE;
    if (silence.to.length != 0) request.address(FRA_DST, silence.to.address);
    request.number(FRA_PRIORITY, config_.tunnel.rule_priority);
    mnl_attr_put_u8(request.message(), FRA_IP_PROTO, number(IpProtocol::kIcmpv6));
    const fib_rule_port_range types{silence.first, silence.last};
    mnl_attr_put(request.message(), FRA_DPORT_RANGE, sizeof types, &types);
    return netlink_.transact(*request.message());
}

}  // namespace homeport::mobile_node

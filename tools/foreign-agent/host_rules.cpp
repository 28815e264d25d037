// SPDX-License-Identifier: BSD-3-Clause
#include "tools/foreign-agent/host_rules.hpp"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "tools/mobile-node/netlink_request.hpp"

namespace homeport::foreign_agent {

namespace {

using mobile_node::Request;
using mobile_node::Result;

constexpr int kMostStale = 8192;

}  // namespace

Result<HostRules> HostRules::open(std::uint32_t priority) {
    HostRules rules(priority);
    if (auto done = rules.netlink_.open(); !done) return std::unexpected(done.error());
    for (int i = 0; i < kMostStale; ++i) {
        Request request(RTM_DELRULE, 0);
        auto& rule = request.header<fib_rule_hdr>();
        rule.family = AF_INET;
        rule.action = FR_ACT_BLACKHOLE;
        request.number(FRA_PRIORITY, priority);
        if (!rules.netlink_.transact(*request.message())) break;
    }
    return rules;
}

HostRules::~HostRules() {
    for (const auto& [key, count] : rules_) (void)change(RTM_DELRULE, 0, key.first, key.second);
}

Result<void> HostRules::change(std::uint16_t type, std::uint16_t flags, const std::string& link,
                               const Ipv4Address& home_address) {
    Request request(type, flags);
    auto& rule = request.header<fib_rule_hdr>();
    rule.family = AF_INET;
    rule.src_len = Ipv4Prefix::kMaxLength;
    rule.action = FR_ACT_BLACKHOLE;
    request.address(FRA_SRC, home_address);
    mnl_attr_put_strz(request.message(), FRA_IIFNAME, link.c_str());
    request.number(FRA_PRIORITY, priority_);
    return netlink_.transact(*request.message());
}

Result<void> HostRules::add(const std::string& link, const Ipv4Address& home_address) {
    unsigned& count = rules_[{link, home_address}];
    if (count++ > 0) return {};
    auto done = change(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, link, home_address);
    if (!done) {
        rules_.erase({link, home_address});
        return mobile_node::fail("rule from " + home_address.to_string() + " iif " + link + ": " +
                                 done.error().text);
    }
    return done;
}

void HostRules::remove(const std::string& link, const Ipv4Address& home_address) {
    const auto found = rules_.find({link, home_address});
    if (found == rules_.end() || --found->second > 0) return;
    rules_.erase(found);
    (void)change(RTM_DELRULE, 0, link, home_address);
}

}  // namespace homeport::foreign_agent

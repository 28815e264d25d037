// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/ipsec/vpn_policies.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "controlplane/ipsec/policy_table.hpp"
#include "controlplane/ipsec/sa_source.hpp"
#include "dataplane/ipsec/spd.hpp"

namespace homeport::sa {
namespace {

Ipv4Address v4(const char* text) {
    return *Ipv4Address::parse(text);
}

config::ControlplaneConfig gateway(std::initializer_list<const char*> inner) {
    config::ControlplaneConfig config;
    config.vpn_gateway.addresses = {v4("203.0.113.1")};
    for (const char* address : inner) {
        config::VpnClientConfig client;
        client.inner = v4(address);
        config.vpn_gateway.clients.push_back(client);
    }
    return config;
}

TEST(VpnPolicies, successive_clients_share_an_entry) {
    const auto policies = vpn_policies(gateway({"10.8.0.6", "10.8.0.5", "10.8.0.9"}));
    ASSERT_EQ(policies.size(), 2u);
    EXPECT_EQ(std::get<Ipv4Address>(policies[0].selectors.remote.front().first), v4("10.8.0.5"));
    EXPECT_EQ(std::get<Ipv4Address>(policies[0].selectors.remote.front().last), v4("10.8.0.6"));
    EXPECT_EQ(std::get<Ipv4Address>(policies[1].selectors.remote.front().first), v4("10.8.0.9"));
    EXPECT_EQ(policies[0].action, ipsec::Action::kProtect);
    EXPECT_TRUE(policies[0].protect.populate_remote);
}

TEST(VpnPolicies, S2_89_S2_90a_the_internal_home_agent_is_always_within_reach) {
    auto config = gateway({"10.8.0.5"});
    config.vpn_gateway.networks = {*Ipv4Prefix::parse("10.1.0.0/16")};
    config::Mip4HomeAgentConfig internal;
    internal.role = config::Mip4Role::kInternal;
    internal.addresses = {v4("10.1.0.1"), v4("10.2.0.1")};
    config::Mip4HomeAgentConfig external;
    external.role = config::Mip4Role::kExternal;
    external.addresses = {v4("203.0.113.2")};
    config.mobile_ipv4 = {internal, external};
    const auto networks = vpn_networks(config);
    ASSERT_EQ(networks.size(), 2u);
    EXPECT_EQ(std::get<Ipv4Address>(networks[1].first), v4("10.2.0.1"));

    const auto policies = vpn_policies(config);
    ASSERT_EQ(policies.size(), 3u);
    EXPECT_EQ(policies.back().action, ipsec::Action::kDiscard) << "nothing passes in the clear";
    const VpnPolicyUse use = vpn_policies_of(policies, v4("10.8.0.5"));
    EXPECT_EQ(use.first, policies[0].id);
    ASSERT_EQ(use.others.size(), 1u);
    EXPECT_EQ(use.others[0].is_local, 1);
    EXPECT_EQ(use.others[0].policy_id, policies[1].id);
    EXPECT_EQ(use.others[0].low.v4(), v4("10.2.0.1"));
}

TEST(VpnPolicies, they_stand_before_all_others_in_order) {
    auto config = gateway({"10.8.0.5"});
    config.vpn_gateway.networks = {*Ipv4Prefix::parse("10.1.0.0/16")};
    const auto policies = policies_of(config);
    EXPECT_TRUE(lint_order(policies).empty());
    EXPECT_EQ(table_entry(policies[0].id), TableEntry::kVpnClient);
    EXPECT_EQ(table_entry(policies[1].id), TableEntry::kVpnOther);
    const auto findings = ipsec::lint(policies);
    EXPECT_TRUE(std::ranges::none_of(findings, [](const ipsec::LintFinding& finding) {
        return finding.kind == ipsec::LintFinding::Kind::kShadowed;
    }));
}

TEST(VpnPolicies, more_than_the_table_takes_are_refused_with_the_reason) {
    auto config = gateway({});
    for (std::uint32_t i = 0; i <= kMaxIndex + 1; ++i) {
        config::VpnClientConfig client;
        store_be32(client.inner.bytes.data(), 0x0a080000 + 2 * i);  // no two are successive
        config.vpn_gateway.clients.push_back(client);
    }
    const auto source = StaticSaSource::load(config);
    ASSERT_FALSE(source);
    EXPECT_NE(source.error().front().find("found 513 policies"), std::string::npos);
    config.vpn_gateway.clients.resize(1);
    for (unsigned i = 0; i <= channel::kMaxSaNetworks; ++i) {
        Ipv4Address network;
        store_be32(network.bytes.data(), 0x0a000000 + (i << 8));
        config.vpn_gateway.networks.push_back({network, 24});
    }
    const auto many = StaticSaSource::load(config);
    ASSERT_FALSE(many);
    EXPECT_NE(many.error().front().find("vpn_gateway.networks: found 65"), std::string::npos);
}

TEST(VpnPolicies, without_a_gateway_there_are_none) {
    EXPECT_TRUE(vpn_policies({}).empty());
    EXPECT_EQ(vpn_policy_count({}), 0u);
}

}  // namespace
}  // namespace homeport::sa

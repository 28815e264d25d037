// SPDX-License-Identifier: BSD-3-Clause
// Bindings of the Mobile IPv4 home agent: what registrations change (mipv4.md sections 5, 8, 9).
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/mip4/harness.hpp"

namespace homeport::mip4 {
namespace {

using namespace test_support;
using std::chrono::seconds;

TEST(Mip4HomeAgent, P28_an_accepted_request_is_installed_before_the_reply_leaves) {
    Conversation talk;
    const auto request = talk.request();
    const auto reply = talk.send(request);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->code, 0);
    EXPECT_EQ(reply->lifetime, 600);
    EXPECT_EQ(reply->home_address, kHome);
    EXPECT_EQ(reply->home_agent, kHomeAgent);
    EXPECT_EQ(reply->identification, request.identification);
    EXPECT_EQ(talk.sent.from, (Endpoint{kHomeAgent, 434}));
    EXPECT_EQ(talk.sent.to, (Endpoint{kCareOf, 434}));
    EXPECT_FALSE(talk.sent.home_port);
    EXPECT_TRUE(is_sealed_by(talk.sent.payload, kAlice, wire::Mip4AuthenticationKind::kMobileHome));

    std::size_t installed = 0;
    std::size_t replied = 0;
    for (std::size_t i = 0; i < talk.actions.size(); ++i) {
        if (std::holds_alternative<InstallBindings>(talk.actions[i])) installed = i;
        if (std::holds_alternative<SendReply>(talk.actions[i])) replied = i;
    }
    EXPECT_LT(installed, replied);
    const auto installs = talk.all<InstallBindings>();
    ASSERT_EQ(installs.size(), 1u);
    ASSERT_EQ(installs[0].node.bindings.size(), 1u);
    const Binding& binding = installs[0].node.bindings[0];
    EXPECT_EQ(binding.tunnel_end, (Endpoint{kCareOf, 0}));
    EXPECT_EQ(binding.local_end, (Endpoint{kHomeAgent, 0}));
    EXPECT_TRUE(binding.reverse_tunnel && binding.co_located);
    EXPECT_FALSE(binding.udp || binding.half_bound);
}

TEST(Mip4HomeAgent, the_lifetime_is_never_more_than_asked_for_and_than_allowed) {
    Conversation talk;
    auto request = talk.request();
    request.lifetime = 30;
    EXPECT_EQ(talk.send(request)->lifetime, 30);
    request = talk.request();
    request.lifetime = wire::kInfiniteMip4Lifetime;
    EXPECT_EQ(talk.send(request)->lifetime, 600);
}

TEST(Mip4HomeAgent, an_infinite_lifetime_never_ends_where_it_is_granted) {
    HomeAgentConfig config = simple_config();
    config.max_lifetime = seconds(0xffff);
    Conversation talk(config);
    auto request = talk.request();
    request.lifetime = wire::kInfiniteMip4Lifetime;
    EXPECT_EQ(talk.send(request)->lifetime, 0xffff);
    EXPECT_FALSE(talk.agent.next_deadline());
    (void)talk.agent.tick(talk.now + std::chrono::hours(24 * 365), talk.time);
    EXPECT_EQ(talk.bindings().size(), 1u);
}

TEST(Mip4HomeAgent, a_binding_ends_with_its_lifetime_and_nothing_is_sent) {
    Conversation talk;
    EXPECT_EQ(talk.code(talk.request()), 0);
    EXPECT_EQ(talk.agent.next_deadline(), talk.now + seconds(600));
    EXPECT_TRUE(talk.agent.tick(talk.now + seconds(599), talk.time).empty());
    talk.actions = talk.agent.tick(talk.now + seconds(600), talk.time);
    EXPECT_TRUE(talk.all<SendReply>().empty());
    ASSERT_EQ(talk.all<InstallBindings>().size(), 1u);
    EXPECT_TRUE(talk.all<InstallBindings>()[0].node.bindings.empty());
    EXPECT_EQ(talk.agent.find(kHome), nullptr);
    EXPECT_EQ(talk.agent.binding_count(), 0u);
    EXPECT_EQ(talk.count(Counter::kBindingExpired), 1u);
}

TEST(Mip4HomeAgent, a_move_takes_the_place_of_the_earlier_binding) {
    Conversation talk;
    EXPECT_EQ(talk.code(talk.request()), 0);
    auto moved = talk.request();
    moved.care_of_address = v4("10.0.0.6");
    EXPECT_EQ(talk.code(moved), 0);
    ASSERT_EQ(talk.bindings().size(), 1u);
    EXPECT_EQ(talk.bindings()[0].care_of_address, v4("10.0.0.6"));
    EXPECT_EQ(talk.agent.binding_count(), 1u);
    EXPECT_EQ(talk.count(Counter::kSourceChanged), 1u);
    // The deadline of the earlier one went with it.
    (void)talk.agent.tick(talk.now + seconds(600), talk.time);
    EXPECT_EQ(talk.count(Counter::kBindingExpired), 1u);
}

TEST(Mip4HomeAgent, simultaneous_bindings_stay_up_to_the_limit) {
    HomeAgentConfig config = simple_config();
    config.simultaneous_bindings = 2;
    Conversation talk(config);
    EXPECT_EQ(talk.code(talk.request()), 0);
    const auto also_at = [&](const char* care_of) {
        auto request = talk.request();
        request.simultaneous = true;
        request.care_of_address = v4(care_of);
        return talk.code(request);
    };
    EXPECT_EQ(also_at("10.0.0.6"), 0);
    EXPECT_EQ(also_at("10.0.0.7"), 135);
    EXPECT_EQ(also_at("10.0.0.6"), 0);
    EXPECT_EQ(talk.bindings().size(), 2u);
    // Without S there is one again.
    EXPECT_EQ(talk.code(talk.request()), 0);
    EXPECT_EQ(talk.bindings().size(), 1u);
    EXPECT_EQ(talk.agent.binding_count(), 1u);
}

TEST(Mip4HomeAgent, flag_S_where_it_is_not_supported_gets_code_1) {
    Conversation talk;
    auto request = talk.request();
    request.simultaneous = true;
    EXPECT_EQ(talk.code(request), 1);
    EXPECT_EQ(talk.bindings().size(), 1u);
}

TEST(Mip4HomeAgent, deregistration_of_one_care_of_address_leaves_the_others) {
    HomeAgentConfig config = simple_config();
    config.simultaneous_bindings = 2;
    Conversation talk(config);
    EXPECT_EQ(talk.code(talk.request()), 0);
    auto second = talk.request();
    second.simultaneous = true;
    second.care_of_address = v4("10.0.0.6");
    EXPECT_EQ(talk.code(second), 0);
    auto leaving = talk.request();
    leaving.lifetime = 0;
    EXPECT_EQ(talk.code(leaving), 0);
    ASSERT_EQ(talk.bindings().size(), 1u);
    EXPECT_EQ(talk.bindings()[0].care_of_address, v4("10.0.0.6"));
    // One that is not bound: accepted, nothing happens.
    leaving = talk.request();
    leaving.lifetime = 0;
    EXPECT_EQ(talk.code(leaving), 0);
    EXPECT_EQ(talk.bindings().size(), 1u);
}

HomeAgentConfig on_a_link() {
    HomeAgentConfig config = simple_config();
    config.home_networks[0].is_virtual = false;
    config.home_networks[0].port = 2;
    return config;
}

TEST(Mip4HomeAgent, the_home_link_is_told_three_times_who_has_the_address) {
    Conversation talk(on_a_link());
    EXPECT_EQ(talk.code(talk.request()), 0);
    unsigned told = 0;
    for (int second = 0; second < 10; ++second) {
        talk.actions = talk.agent.tick(talk.now + seconds(second), talk.time);
        for (const auto& arp : talk.all<SendGratuitousArp>()) {
            EXPECT_EQ(arp.home_address, kHome);
            EXPECT_FALSE(arp.hardware_address);
            EXPECT_EQ(arp.port, 2);
            ++told;
        }
    }
    EXPECT_EQ(told, 3u);
    // A refresh tells nobody.
    EXPECT_EQ(talk.code(talk.request()), 0);
    talk.actions = talk.agent.tick(talk.now + seconds(20), talk.time);
    EXPECT_TRUE(talk.all<SendGratuitousArp>().empty());
}

TEST(Mip4HomeAgent, a_deregistration_from_home_is_answered_on_the_home_link) {
    Conversation talk(on_a_link());
    EXPECT_EQ(talk.code(talk.request()), 0);
    (void)talk.agent.tick(talk.now, talk.time);
    auto leaving = talk.request();
    leaving.lifetime = 0;
    leaving.care_of_address = kHome;
    leaving.reverse_tunnel = leaving.decapsulates = false;
    RequestInfo info = talk.from({kHome, 434});
    info.source_mac = homeport::test::mac("02:00:00:00:00:09");
    info.port = 2;
    const auto reply = talk.send(leaving, info);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->code, 0);
    EXPECT_EQ(talk.sent.home_port, 2);
    EXPECT_EQ(talk.sent.home_mac, info.source_mac);
    EXPECT_EQ(talk.agent.find(kHome), nullptr);
    talk.actions = talk.agent.tick(talk.now, talk.time);
    const auto arps = talk.all<SendGratuitousArp>();
    ASSERT_EQ(arps.size(), 1u);
    EXPECT_EQ(arps[0].hardware_address, info.source_mac);

    // Refused, it goes the same way.
    auto refused = leaving;
    refused.identification = 5;
    EXPECT_EQ(talk.send(refused, info)->code, 133);
    EXPECT_EQ(talk.sent.home_port, 2);
}

TEST(Mip4HomeAgent, a_refused_request_changes_nothing_on_the_home_link) {
    Conversation talk(on_a_link());
    auto request = talk.request();
    request.home_agent = v4("192.0.2.9");
    EXPECT_EQ(talk.code(request), 136);
    talk.actions = talk.agent.tick(talk.now + seconds(1), talk.time);
    EXPECT_TRUE(talk.actions.empty());
}

wire::RegistrationRequest behind_nat(Conversation& talk) {
    auto request = talk.request();
    request.extensions = {wire::Mip4UdpTunnelRequest{}};
    return request;
}

TEST(Mip4HomeAgent, P26_behind_a_nat_the_tunnel_ends_where_the_request_came_from) {
    Conversation talk;
    const auto reply = talk.send(behind_nat(talk), talk.from(kNat));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->lifetime, 300);
    EXPECT_LT(wire::position_of<wire::Mip4UdpTunnelReply>(reply->extensions),
              wire::position_of<wire::Mip4Authentication>(reply->extensions));
    ASSERT_EQ(talk.bindings().size(), 1u);
    const Binding& binding = talk.bindings()[0];
    EXPECT_TRUE(binding.udp);
    EXPECT_EQ(binding.tunnel_end, kNat);
    EXPECT_EQ(binding.local_end, (Endpoint{kHomeAgent, 434}));
    EXPECT_EQ(binding.care_of_address, kCareOf);
    EXPECT_EQ(talk.sent.to, kNat);
    // S2.123: a new mapping is taken over by the next request, and told.
    EXPECT_EQ(talk.send(behind_nat(talk), talk.from({kNat.address, 40002}))->code, 0);
    EXPECT_EQ(talk.bindings()[0].tunnel_end.port, 40002);
    EXPECT_EQ(talk.count(Counter::kSourceChanged), 1u);
}

TEST(Mip4HomeAgent, a_foreign_agents_udp_reply_stands_behind_the_mobile_nodes_authentication) {
    Conversation talk;
    auto request = talk.request();
    request.decapsulates = false;
    const auto behind = [](std::vector<std::uint8_t>& payload) {
        wire::append_mip4_extension(payload, wire::Mip4UdpTunnelRequest{});
    };
    const auto reply = talk.send(talk.sealed(request, kAlice, behind), talk.from(kNat));
    ASSERT_TRUE(reply);
    EXPECT_GT(wire::position_of<wire::Mip4UdpTunnelReply>(reply->extensions),
              wire::position_of<wire::Mip4Authentication>(reply->extensions));
}

TEST(Mip4HomeAgent, a_half_bound_tunnel_is_completed_by_a_keepalive_from_the_same_address) {
    HomeAgentConfig config = simple_config();
    config.udp.foreign_agent_registration = true;
    Conversation talk(config);
    const auto by_foreign_agent = [&] {
        auto request = talk.request();
        request.extensions = {wire::Mip4UdpTunnelRequest{false, true, 0, 0}};
        return talk.send(request, talk.from(kNat));
    };
    EXPECT_EQ(by_foreign_agent()->code, 0);
    EXPECT_TRUE(talk.bindings()[0].half_bound);
    EXPECT_TRUE(talk.agent.keepalive(kHome, {v4("203.0.113.8"), 50000}, talk.now).empty());
    EXPECT_TRUE(talk.agent.keepalive(v4("192.0.2.3"), kNat, talk.now).empty());
    EXPECT_TRUE(talk.bindings()[0].half_bound);
    const Endpoint shown{kNat.address, 50000};
    talk.actions = talk.agent.keepalive(kHome, shown, talk.now);
    EXPECT_EQ(talk.all<InstallBindings>().size(), 1u);
    EXPECT_FALSE(talk.bindings()[0].half_bound);
    EXPECT_EQ(talk.bindings()[0].tunnel_end, shown);
    // The next registration by the same way keeps it.
    EXPECT_EQ(by_foreign_agent()->code, 0);
    EXPECT_FALSE(talk.bindings()[0].half_bound);
    EXPECT_EQ(talk.bindings()[0].tunnel_end, shown);
}

TEST(Mip4HomeAgent, bindings_survive_a_restart_without_those_that_are_over) {
    Conversation talk(on_a_link());
    EXPECT_EQ(talk.code(talk.request()), 0);
    const auto kept = talk.all<PersistNode>();
    ASSERT_EQ(kept.size(), 1u);
    BoundNode stranger = kept[0].node;
    stranger.home_address = v4("192.0.2.50");
    stranger.node = "nobody";

    Conversation restarted(on_a_link());
    restarted.actions = restarted.agent.restore(std::vector{kept[0].node, stranger}, talk.now);
    EXPECT_EQ(restarted.all<InstallBindings>().size(), 1u);
    EXPECT_EQ(restarted.bindings(), talk.bindings());
    EXPECT_EQ(restarted.agent.binding_count(), 1u);
    const auto erased = restarted.all<PersistNode>();
    ASSERT_EQ(erased.size(), 2u);
    EXPECT_EQ(erased[1].node.home_address, stranger.home_address);
    EXPECT_TRUE(erased[1].node.bindings.empty());

    Conversation later(on_a_link());
    (void)later.agent.restore(std::vector{kept[0].node}, talk.now + seconds(600));
    EXPECT_TRUE(later.bindings().empty());
}

TEST(Mip4HomeAgent, the_operator_clears_a_home_address) {
    Conversation talk;
    EXPECT_EQ(talk.code(talk.request()), 0);
    talk.actions = talk.agent.clear(kHome, talk.now, talk.time);
    ASSERT_EQ(talk.all<InstallBindings>().size(), 1u);
    EXPECT_TRUE(talk.all<InstallBindings>()[0].node.bindings.empty());
    EXPECT_TRUE(talk.agent.clear(kHome, talk.now, talk.time).empty());
}

TEST(Mip4HomeAgent, a_pool_of_a_million_is_given_out_and_taken_back_without_a_walk) {
    HomeAgentConfig config = simple_config();
    config.home_networks = {{.prefix = Ipv4Prefix::parse("10.128.0.0/9").value(),
                             .pool_first = v4("10.128.0.1"),
                             .pool_last = v4("10.143.255.255")}};
    config.nodes.clear();
    for (int i = 0; i < 2000; ++i) {
        config.nodes.push_back({.name = std::to_string(i),
                                .nai = std::to_string(i) + "@example.com",
                                .associations = {kAlice}});
    }
    Conversation talk(config);
    std::vector<Ipv4Address> given;
    for (int i = 0; i < 2000; ++i) {
        auto request = talk.request();
        request.home_address = {};
        request.extensions = {
            wire::Mip4NetworkAccessIdentifier{std::to_string(i) + "@example.com"}};
        const auto reply = talk.send(request);
        ASSERT_TRUE(reply);
        ASSERT_EQ(reply->code, 0);
        given.push_back(reply->home_address);
    }
    std::ranges::sort(given);
    EXPECT_EQ(std::ranges::unique(given).begin(), given.end());
    EXPECT_EQ(talk.agent.node_count(), 2000u);
    (void)talk.agent.tick(talk.now + seconds(601), talk.time);
    EXPECT_EQ(talk.agent.node_count(), 0u);
}

TEST(Mip4HomeAgent, a_new_configuration_ends_what_it_does_not_allow) {
    HomeAgentConfig config = on_a_link();
    config.nodes.push_back(
        {.name = "bob", .home_address = v4("192.0.2.101"), .associations = {kAlice}});
    Conversation talk(config);
    EXPECT_EQ(talk.code(talk.request()), 0);
    auto of_bob = talk.request();
    of_bob.home_address = v4("192.0.2.101");
    EXPECT_EQ(talk.code(of_bob), 0);
    HomeAgentConfig without_bob = on_a_link();
    without_bob.max_lifetime = seconds(100);
    talk.actions = talk.agent.reconfigure(without_bob, talk.now, talk.time);
    ASSERT_EQ(talk.all<InstallBindings>().size(), 1u);
    EXPECT_EQ(talk.all<InstallBindings>()[0].node.home_address, v4("192.0.2.101"));
    EXPECT_EQ(talk.agent.binding_count(), 1u);
    EXPECT_EQ(talk.send(talk.request())->lifetime, 100);
    // Its key is another one now.
    without_bob.nodes[0].associations[0].key[0] ^= 1;
    (void)talk.agent.reconfigure(without_bob, talk.now, talk.time);
    EXPECT_EQ(talk.code(talk.request()), 131);
    EXPECT_EQ(talk.bindings().size(), 1u);
}

}  // namespace
}  // namespace homeport::mip4

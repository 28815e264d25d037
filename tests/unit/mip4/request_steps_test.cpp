// SPDX-License-Identifier: BSD-3-Clause
// Each check of a registration request, in the order of mipv4.md section 4, and what it answers.
#include <gtest/gtest.h>

#include "tests/unit/mip4/harness.hpp"

namespace homeport::mip4 {
namespace {

using namespace test_support;

HomeAgentConfig internal(Profile profile = Profile::kRfc5265) {
    HomeAgentConfig config = simple_config();
    config.role = Role::kInternal;
    config.profile = profile;
    config.trusted_subnets = {Ipv4Prefix::parse("10.0.0.0/8").value()};
    return config;
}

TEST(RequestSteps, S2_83_an_internal_home_agent_is_silent_to_the_outside) {
    Conversation talk(internal());
    EXPECT_EQ(talk.code(talk.request()), -1);
    EXPECT_EQ(talk.count(Counter::kFromOutside), 1u);
    RequestInfo info = talk.from_care_of();
    info.came_through_ipsec = true;
    EXPECT_TRUE(talk.send(talk.request(), info));
}

TEST(RequestSteps, S2_91_an_internal_home_agent_is_silent_to_untrusted_subnets) {
    Conversation talk(internal());
    RequestInfo info = talk.from({v4("172.16.0.1"), 434});
    info.came_from_inside = true;
    EXPECT_FALSE(talk.send(talk.request(), info));
    EXPECT_EQ(talk.count(Counter::kUntrusted), 1u);
    // S2.90: none is trusted by default.
    HomeAgentConfig none = internal();
    none.trusted_subnets.clear();
    Conversation strict(none);
    info = strict.from_care_of();
    info.came_from_inside = true;
    EXPECT_FALSE(strict.send(strict.request(), info));
}

TEST(RequestSteps, S2_92_replies_to_trusted_sources_say_so_before_the_authentication) {
    Conversation talk(internal());
    RequestInfo info = talk.from_care_of();
    info.came_from_inside = true;
    const auto reply = talk.send(talk.request(), info);
    ASSERT_TRUE(reply);
    EXPECT_LT(wire::position_of<wire::Mip4TrustedNetworksConfigured>(reply->extensions),
              wire::position_of<wire::Mip4Authentication>(reply->extensions));
    // The draft before the RFC knows neither subnets nor the extension.
    Conversation old(internal(Profile::kDraft02));
    info = old.from({v4("172.16.0.1"), 434});
    info.came_from_inside = true;
    const auto old_reply = old.send(old.request(), info);
    ASSERT_TRUE(old_reply);
    EXPECT_EQ(wire::find_extension<wire::Mip4TrustedNetworksConfigured>(old_reply->extensions),
              nullptr);
}

TEST(RequestSteps, S2_81_an_external_home_agent_is_silent_to_the_inside) {
    HomeAgentConfig config = simple_config();
    config.role = Role::kExternal;
    Conversation talk(config);
    RequestInfo info = talk.from_care_of();
    info.came_from_inside = true;
    EXPECT_FALSE(talk.send(talk.request(), info));
    EXPECT_EQ(talk.count(Counter::kFromInside), 1u);
    EXPECT_TRUE(talk.send(talk.request()));
}

TEST(RequestSteps, step_2_what_cannot_be_read_is_dropped) {
    Conversation talk;
    auto payload = talk.sealed(talk.request());
    payload.resize(payload.size() - 1);
    EXPECT_FALSE(talk.send(payload, talk.from_care_of()));
    EXPECT_EQ(talk.count(Counter::kMalformed), 1u);
    EXPECT_FALSE(talk.send(std::vector<std::uint8_t>{9, 0, 0, 0}, talk.from_care_of()));
    wire::RegistrationReply reply;
    EXPECT_FALSE(talk.send(wire::encode(reply), talk.from_care_of()));
    EXPECT_EQ(talk.count(Counter::kUnknownType), 2u);
}

TEST(RequestSteps, step_3_a_request_without_authentication_is_dropped) {
    Conversation talk;
    EXPECT_FALSE(talk.send(wire::encode(talk.request()), talk.from_care_of()));
    EXPECT_EQ(talk.count(Counter::kNoAuthentication), 1u);
}

TEST(RequestSteps, step_4_strangers_are_met_with_silence_and_unknown_spis_with_131) {
    Conversation talk;
    auto stranger = talk.request();
    stranger.home_address = v4("192.0.2.77");
    EXPECT_EQ(talk.code(stranger), -1);
    EXPECT_EQ(talk.count(Counter::kNoAssociation), 1u);
    SecurityAssociation other = kAlice;
    other.spi = 999;
    const auto reply = talk.send(talk.sealed(talk.request(), other), talk.from_care_of());
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->code, 131);
    EXPECT_TRUE(is_sealed_by(talk.sent.payload, kAlice, wire::Mip4AuthenticationKind::kMobileHome));
}

TEST(RequestSteps, step_5_a_wrong_authenticator_gets_131_and_forgers_few_answers) {
    Conversation talk;
    SecurityAssociation forged = kAlice;
    forged.key.back() ^= 1;
    unsigned answered = 0;
    for (int i = 0; i < 50; ++i) {
        const auto reply = talk.send(talk.sealed(talk.request(), forged), talk.from_care_of());
        if (!reply) continue;
        EXPECT_EQ(reply->code, 131);
        ++answered;
    }
    EXPECT_EQ(answered, 20u);
    EXPECT_EQ(talk.count(Counter::kFailurePoliced), 30u);
    EXPECT_EQ(talk.agent.counters().rejected(131), 50u);
    EXPECT_TRUE(talk.bindings().empty());
    // Honest nodes are not hindered.
    EXPECT_EQ(talk.code(talk.request()), 0);
}

TEST(RequestSteps, step_5_what_the_authentication_covers_may_not_change) {
    Conversation talk;
    const auto payload = talk.sealed(talk.request());
    for (std::size_t at = 1; at < payload.size(); ++at) {
        Conversation fresh;
        auto changed = talk.sealed(fresh.request());
        changed[at] ^= 0x80;
        const auto reply = fresh.send(changed, fresh.from_care_of());
        EXPECT_TRUE(!reply || reply->code == 131) << at;
        EXPECT_TRUE(fresh.bindings().empty()) << at;
    }
}

TEST(RequestSteps, step_6_none_of_the_nodes_takes_the_time_of_the_others) {
    HomeAgentConfig config = simple_config();
    const SecurityAssociation bob = association(257, "0123456789abcdeffedcba9876543210");
    const Ipv4Address bobs = v4("192.0.2.101");
    config.nodes.push_back({.name = "bob", .home_address = bobs, .associations = {bob}});
    config.node_rate = {5, 20};
    Conversation talk(config);
    const auto heard = talk.sealed(talk.request());
    unsigned answered = 0;
    for (int i = 0; i < 100; ++i) answered += talk.code(talk.request()) == 0 ? 1 : 0;
    EXPECT_EQ(answered, 20u);
    EXPECT_EQ(talk.count(Counter::kNodePoliced), 80u);
    EXPECT_TRUE(talk.actions.size() == 1) << "nothing is kept of it but that it was counted";
    auto other = talk.request();
    other.home_address = bobs;
    EXPECT_TRUE(talk.send(talk.sealed(other, bob), talk.from({v4("10.0.0.6"), 434})));
    // In a second five more.
    talk.now += std::chrono::seconds(1);
    for (int i = 0; i < 100; ++i) answered += talk.code(talk.request()) == 0 ? 1 : 0;
    EXPECT_EQ(answered, 25u);
    // Who heard a request and sends it again gets few answers, and is not in the node's way.
    talk.now += std::chrono::seconds(60);
    unsigned mismatches = 0;
    for (int i = 0; i < 100; ++i) {
        const auto reply = talk.send(heard, talk.from_care_of());
        mismatches += reply && reply->code == 133 ? 1u : 0u;
    }
    EXPECT_EQ(mismatches, 20u);
    EXPECT_EQ(talk.count(Counter::kReplayPoliced), 80u);
    EXPECT_EQ(talk.code(talk.request()), 0);
}

TEST(RequestSteps, step_6_a_replay_and_a_skewed_clock_get_133_with_our_time) {
    Conversation talk;
    const auto request = talk.request();
    EXPECT_EQ(talk.code(request), 0);
    const auto again = talk.send(request);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->code, 133);
    EXPECT_EQ(again->identification >> 32, talk.time >> 32);
    EXPECT_EQ(again->identification & 0xffffffff, request.identification & 0xffffffff);

    auto skewed = talk.request();
    skewed.identification -= std::uint64_t{60} << 32;
    EXPECT_EQ(talk.code(skewed), 133);
    ASSERT_EQ(talk.bindings().size(), 1u);
}

TEST(RequestSteps, step_6_the_last_time_stamp_outlives_the_binding_and_a_restart) {
    Conversation talk;
    const auto request = talk.request();
    EXPECT_EQ(talk.code(request), 0);
    const auto kept = talk.all<PersistIdentification>();
    ASSERT_EQ(kept.size(), 1u);
    (void)talk.agent.clear(kHome, talk.now, talk.time);
    EXPECT_EQ(talk.code(request), 133);

    Conversation restarted;
    restarted.time = talk.time;
    restarted.agent.restore(kept.front());
    EXPECT_EQ(restarted.code(request), 133);
}

HomeAgentConfig with_foreign_agent() {
    HomeAgentConfig config = simple_config();
    config.foreign_agents = {{.address = v4("10.0.0.1"), .associations = {kForeign}}};
    return config;
}

TEST(RequestSteps, step_7_a_foreign_agent_that_shares_a_key_must_use_it) {
    Conversation talk(with_foreign_agent());
    const RequestInfo info = talk.from({v4("10.0.0.1"), 434});
    const auto seal = [](const SecurityAssociation& with, int times) {
        return [with, times](std::vector<std::uint8_t>& payload) {
            for (int i = 0; i < times; ++i) {
                Conversation::append_seal(payload, wire::Mip4AuthenticationKind::kForeignHome,
                                          with);
            }
        };
    };
    auto wrong = kForeign;
    wrong.key.front() ^= 1;
    EXPECT_EQ(talk.send(talk.sealed(talk.request()), info)->code, 132);
    EXPECT_EQ(talk.send(talk.sealed(talk.request(), kAlice, seal(wrong, 1)), info)->code, 132);
    EXPECT_EQ(talk.send(talk.sealed(talk.request(), kAlice, seal(kForeign, 2)), info)->code, 132);
    EXPECT_EQ(talk.send(talk.sealed(talk.request(), kAlice, seal(kForeign, 1)), info)->code, 0);
    EXPECT_TRUE(
        is_sealed_by(talk.sent.payload, kForeign, wire::Mip4AuthenticationKind::kForeignHome));
    // A deregistration may do without.
    auto leaving = talk.request();
    leaving.lifetime = 0;
    EXPECT_EQ(talk.send(talk.sealed(leaving), info)->code, 0);
    // A stranger's is no good at all.
    EXPECT_FALSE(talk.send(talk.sealed(talk.request(), kAlice, seal(kForeign, 1)),
                           talk.from({v4("10.0.0.2"), 434})));
    EXPECT_EQ(talk.count(Counter::kForeignAuthentication), 1u);
}

TEST(RequestSteps, RFC5944_3_8_3_3_a_refusal_through_a_foreign_agent_has_its_authentication) {
    Conversation talk(with_foreign_agent());
    const RequestInfo info = talk.from({v4("10.0.0.1"), 434});
    const auto seal = [](std::vector<std::uint8_t>& payload) {
        Conversation::append_seal(payload, wire::Mip4AuthenticationKind::kForeignHome, kForeign);
    };
    auto old = talk.request();
    old.identification = 7;
    EXPECT_EQ(talk.send(talk.sealed(old, kAlice, seal), info)->code, 133);
    EXPECT_TRUE(
        is_sealed_by(talk.sent.payload, kForeign, wire::Mip4AuthenticationKind::kForeignHome));
    // RFC 5944 3.5.4: no such thing in a deregistration, unless it came with one.
    auto leaving = talk.request();
    leaving.lifetime = 0;
    EXPECT_EQ(talk.send(talk.sealed(leaving), info)->code, 0);
    EXPECT_FALSE(
        is_sealed_by(talk.sent.payload, kForeign, wire::Mip4AuthenticationKind::kForeignHome));
}

TEST(RequestSteps, RFC5944_3_8_2_1_who_answers_for_a_node_that_fails) {
    Conversation talk(with_foreign_agent());
    const RequestInfo info = talk.from({v4("10.0.0.1"), 434});
    const auto seal = [](std::vector<std::uint8_t>& payload) {
        Conversation::append_seal(payload, wire::Mip4AuthenticationKind::kForeignHome, kForeign);
    };
    SecurityAssociation forged = kAlice;
    forged.key.back() ^= 1;
    // The agent vouches for it: answered, however many.
    for (int i = 0; i < 50; ++i) {
        const auto reply = talk.send(talk.sealed(talk.request(), forged, seal), info);
        ASSERT_TRUE(reply);
        EXPECT_EQ(reply->code, 131);
    }
    // It should have, and did not: nothing is answered.
    EXPECT_FALSE(talk.send(talk.sealed(talk.request(), forged), info));
    EXPECT_EQ(talk.count(Counter::kFailurePoliced), 1u);
}

TEST(RequestSteps, requests_that_cannot_be_answered_are_dropped) {
    Conversation talk;
    for (const Endpoint& source : {Endpoint{{}, 434}, Endpoint{kHomeAgent, 434},
                                   Endpoint{v4("224.0.0.11"), 434}, Endpoint{kCareOf, 0}}) {
        EXPECT_FALSE(talk.send(talk.request(), talk.from(source)));
    }
    EXPECT_EQ(talk.count(Counter::kBadSource), 4u);
}

TEST(RequestSteps, step_11_an_address_of_before_is_given_again_while_it_is_free) {
    HomeAgentConfig config = simple_config();
    config.home_networks[0].pool_first = v4("192.0.2.200");
    config.home_networks[0].pool_last = v4("192.0.2.210");
    config.nodes.push_back(
        {.name = "dan", .nai = "dan@example.com", .associations = {association(257, "00")}});
    config.nodes.push_back(
        {.name = "eve", .nai = "eve@example.com", .associations = {association(258, "01")}});
    Conversation talk(config);
    const auto ask = [&](const char* nai, std::uint32_t spi, const char* key, const char* home) {
        auto request = talk.request();
        request.home_address = v4(home);
        request.extensions = {wire::Mip4NetworkAccessIdentifier{nai}};
        return talk.send(talk.sealed(request, association(spi, key)), talk.from_care_of());
    };
    EXPECT_EQ(ask("dan@example.com", 257, "00", "192.0.2.205")->code, 0);
    EXPECT_EQ(talk.agent.find(v4("192.0.2.205"))->node, "dan");
    // He holds one, and gets no second; what is outside the pools is nobody's to ask for.
    EXPECT_EQ(ask("dan@example.com", 257, "00", "192.0.2.206")->code, 129);
    EXPECT_EQ(ask("eve@example.com", 258, "01", "192.0.2.99")->code, 129);
    EXPECT_EQ(ask("eve@example.com", 258, "01", "0.0.0.0")->home_address, v4("192.0.2.206"));
}

TEST(RequestSteps, steps_8_and_9_a_home_agent_that_is_looked_for_tells_its_address) {
    Conversation talk;
    RequestInfo info = talk.from_care_of();
    info.destination = {v4("192.0.2.255"), 434};
    info.destination_is_broadcast = true;
    auto request = talk.request();
    request.home_agent = v4("192.0.2.255");
    const auto reply = talk.send(request, info);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->code, 136);
    EXPECT_EQ(reply->home_agent, kHomeAgent);
    EXPECT_EQ(talk.sent.from, (Endpoint{kHomeAgent, 434}));

    request = talk.request();
    request.home_agent = v4("192.0.2.9");
    const auto other = talk.send(request);
    EXPECT_EQ(other->code, 136);
    EXPECT_EQ(other->home_agent, kHomeAgent);
}

TEST(RequestSteps, step_10_unknown_critical_vendor_extensions) {
    Conversation talk;
    auto request = talk.request();
    request.extensions = {wire::Mip4CriticalVendor{9, 1, {}}};
    EXPECT_EQ(talk.code(request), 140);
    const auto behind = [](std::vector<std::uint8_t>& payload) {
        wire::append_mip4_extension(payload, wire::Mip4CriticalVendor{9, 1, {}});
    };
    EXPECT_EQ(talk.send(talk.sealed(talk.request(), kAlice, behind), talk.from_care_of())->code,
              141);
    request = talk.request();
    request.extensions = {wire::Mip4NormalVendor{9, 1, {}}};
    EXPECT_EQ(talk.code(request), 0);
}

TEST(RequestSteps, step_11_home_addresses_that_are_not_served) {
    HomeAgentConfig config = simple_config();
    config.nodes.push_back(
        {.name = "bob", .home_address = v4("198.51.100.9"), .associations = {kAlice}});
    config.nodes.push_back({.name = "carol",
                            .home_address = v4("192.0.2.101"),
                            .associations = {kAlice},
                            .prohibited = true});
    Conversation talk(config);
    auto request = talk.request();
    request.home_address = v4("198.51.100.9");
    EXPECT_EQ(talk.code(request), 129);
    request = talk.request();
    request.home_address = v4("192.0.2.101");
    EXPECT_EQ(talk.code(request), 129);
}

HomeAgentConfig with_pool(const char* last) {
    HomeAgentConfig config = simple_config();
    config.home_networks[0].pool_first = v4("192.0.2.200");
    config.home_networks[0].pool_last = v4(last);
    config.nodes.push_back(
        {.name = "dan", .nai = "dan@example.com", .associations = {association(257, "00")}});
    config.nodes.push_back(
        {.name = "eve", .nai = "eve@example.com", .associations = {association(258, "01")}});
    return config;
}

std::optional<wire::RegistrationReply> ask_for_address(Conversation& talk, const std::string& nai,
                                                       std::uint32_t spi, std::string_view key) {
    auto request = talk.request();
    request.home_address = {};
    request.extensions = {wire::Mip4NetworkAccessIdentifier{nai}};
    return talk.send(talk.sealed(request, association(spi, key)), talk.from_care_of());
}

TEST(RequestSteps, step_11_rfc2794_addresses_from_a_pool_by_identifier) {
    Conversation talk(with_pool("192.0.2.200"));
    const auto reply = ask_for_address(talk, "dan@example.com", 257, "00");
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->code, 0);
    EXPECT_EQ(reply->home_address, v4("192.0.2.200"));
    EXPECT_EQ(*wire::find_extension<wire::Mip4NetworkAccessIdentifier>(reply->extensions),
              wire::Mip4NetworkAccessIdentifier{"dan@example.com"});
    // The same again for the same, none for another, and his own is not hers.
    EXPECT_EQ(ask_for_address(talk, "dan@example.com", 257, "00")->home_address, v4("192.0.2.200"));
    EXPECT_EQ(ask_for_address(talk, "eve@example.com", 258, "01")->code, 130);
    auto stolen = talk.request();
    stolen.home_address = v4("192.0.2.200");
    stolen.extensions = {wire::Mip4NetworkAccessIdentifier{"eve@example.com"}};
    EXPECT_EQ(talk.send(talk.sealed(stolen, association(258, "01")), talk.from_care_of())->code,
              131);
    // When he goes, it is free.
    auto leaving = talk.request();
    leaving.home_address = v4("192.0.2.200");
    leaving.care_of_address = v4("192.0.2.200");
    leaving.lifetime = 0;
    EXPECT_EQ(talk.send(talk.sealed(leaving, association(257, "00")), talk.from_care_of())->code,
              0);
    EXPECT_EQ(ask_for_address(talk, "eve@example.com", 258, "01")->code, 0);
    // An identifier that nobody has.
    EXPECT_FALSE(ask_for_address(talk, "mallory@example.com", 258, "01"));
}

TEST(RequestSteps, step_13_encapsulations) {
    HomeAgentConfig config = simple_config();
    config.gre = false;
    Conversation talk(config);
    auto request = talk.request();
    request.gre = true;
    EXPECT_EQ(talk.code(request), 139);
    request = talk.request();
    request.gre = request.minimal = true;
    EXPECT_EQ(talk.code(request), 0);
    EXPECT_EQ(talk.bindings().front().encapsulation, Encapsulation::kMinimal);

    Conversation both;
    request = both.request();
    request.gre = request.minimal = true;
    EXPECT_EQ(both.code(request), 0);
    EXPECT_EQ(both.bindings().front().encapsulation, Encapsulation::kGre);
}

TEST(RequestSteps, step_14_reverse_tunnels) {
    HomeAgentConfig config = simple_config();
    config.reverse_tunnel_mandatory = true;
    Conversation mandatory(config);
    auto request = mandatory.request();
    request.reverse_tunnel = false;
    EXPECT_EQ(mandatory.code(request), 138);
    config.reverse_tunnel_mandatory = false;
    config.reverse_tunnel_available = false;
    Conversation unavailable(config);
    EXPECT_EQ(unavailable.code(unavailable.request()), 137);
    // Lifetime 0 carries no flags: it is not asked.
    Conversation leaving(config);
    request = leaving.request();
    request.lifetime = 0;
    EXPECT_EQ(leaving.code(request), 0);
}

TEST(RequestSteps, step_15_care_of_addresses_that_cannot_be_and_limits) {
    HomeAgentConfig config = simple_config();
    config.nodes.push_back(
        {.name = "bob", .home_address = v4("192.0.2.101"), .associations = {kAlice}});
    config.max_bindings = 1;
    Conversation talk(config);
    for (const char* const bad :
         {"224.0.0.1", "255.255.255.255", "127.0.0.1", "0.0.0.0", "192.0.2.1", "192.0.2.100"}) {
        auto request = talk.request();
        request.care_of_address = v4(bad);
        EXPECT_EQ(talk.code(request), 134) << bad;
    }
    EXPECT_EQ(talk.code(talk.request()), 0);
    auto request = talk.request();
    request.home_address = v4("192.0.2.101");
    EXPECT_EQ(talk.code(request), 130);
    // The one that is there moves and refreshes.
    request = talk.request();
    request.care_of_address = v4("10.0.0.6");
    EXPECT_EQ(talk.code(request), 0);
}

TEST(RequestSteps, step_16_strict_source_and_reserved_bits_are_counted) {
    HomeAgentConfig config = simple_config();
    config.udp.strict_source = true;
    Conversation talk(config);
    EXPECT_EQ(talk.send(talk.request(), talk.from(kNat))->code, 129);
    EXPECT_EQ(talk.count(Counter::kStrictSource), 1u);

    Conversation lenient;
    auto request = lenient.request();
    request.extensions = {wire::Mip4UdpTunnelRequest{}};
    auto payload = lenient.sealed(request);
    payload[31] = 1;  // reserved 3, then sealed anew
    payload.resize(32);
    Conversation::append_seal(payload, wire::Mip4AuthenticationKind::kMobileHome, kAlice);
    const auto reply = lenient.send(payload, lenient.from(kNat));
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->code, 0);
    EXPECT_EQ(lenient.count(Counter::kUdpRequestReserved), 1u);
    EXPECT_FALSE(lenient.bindings().front().udp);
}

}  // namespace
}  // namespace homeport::mip4

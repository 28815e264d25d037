// SPDX-License-Identifier: BSD-3-Clause
// Registration by way of a foreign agent: each check and each code of RFC 5944 section 3.7.
#include "controlplane/mip4/foreign_agent.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/mip4/foreign_agent_harness.hpp"

namespace homeport::mip4 {
namespace {

using namespace test_support;
using wire::Mip4AuthenticationKind;

int code(ForeignAgentCode one) {
    return static_cast<int>(one);
}
/// The code that a request gets that `change` made wrong.
int code_for(const ForeignAgentConfig& config,
             const std::function<void(wire::RegistrationRequest&)>& change) {
    Visit visit(config);
    auto message = visit.request();
    change(message);
    visit.ask(Visit::sealed(message));
    EXPECT_EQ(visit.agent.pending_count(), visit.denied() == -1 ? 1u : 0u);
    if (visit.denied() > 0) {
        EXPECT_EQ(visit.counters.denied(static_cast<std::uint8_t>(visit.denied())), 1u);
        EXPECT_EQ(visit.replied()->identification, message.identification);
        EXPECT_EQ(visit.replied()->home_agent, message.home_agent);
        EXPECT_EQ(visit.replied()->home_address, message.home_address);
    }
    return visit.denied();
}
constexpr int kRelayed = -1;

TEST(ForeignAgent, RFC5944_3_7_2_2_a_request_is_relayed_octet_for_octet_from_the_care_of_address) {
    Visit visit;
    const auto payload = Visit::sealed(visit.request());
    visit.ask(payload);
    const auto* out = visit.find<SendToHomeAgent>();
    ASSERT_NE(out, nullptr);
    EXPECT_EQ(out->payload, payload);
    EXPECT_EQ(out->care_of_address, kForeignCareOf);
    EXPECT_EQ(out->home_agent, kItsHomeAgent);
    EXPECT_EQ(visit.agent.visitor_count(), 0u) << "nobody is a visitor before the reply";
    EXPECT_EQ(visit.agent.pending_count(), 1u);
}

TEST(ForeignAgent, RFC5944_3_7_3_2_the_reply_goes_to_the_link_address_of_the_request) {
    Visit visit;
    auto message = visit.request();
    visit.ask(Visit::sealed(message));
    const auto payload = Visit::sealed(Visit::reply_to(message));
    visit.answer(payload);
    const auto* out = visit.find<SendToVisitor>();
    ASSERT_NE(out, nullptr);
    EXPECT_EQ(out->payload, payload);
    EXPECT_EQ(out->mac, kVisitorMac);
    EXPECT_EQ(out->source, kLinkAddress);
    EXPECT_EQ(out->to, (Endpoint{kVisitorHome, 40434}));
    const Visitor* visitor = visit.agent.find(kVisitorHome, kItsHomeAgent);
    ASSERT_NE(visitor, nullptr);
    EXPECT_TRUE(visitor->reverse_tunnel);
    EXPECT_FALSE(visitor->udp);
    EXPECT_EQ(visitor->lifetime, 600);
    EXPECT_EQ(visitor->deadline, visit.now + 600s);
    EXPECT_EQ(visitor->care_of_address, kForeignCareOf);
    // The data path knows the visitor before the visitor knows that it may send.
    EXPECT_LT(std::ranges::find_if(
                  visit.actions,
                  [](const auto& one) { return std::holds_alternative<VisitorChanged>(one); }) -
                  visit.actions.begin(),
              std::ranges::find_if(visit.actions, [](const auto& one) {
                  return std::holds_alternative<SendToVisitor>(one);
              }) - visit.actions.begin());
    EXPECT_EQ(visit.agent.pending_count(), 0u);
}

TEST(ForeignAgent, RFC5944_3_7_1_the_visitor_is_found_by_what_its_packets_show) {
    Visit visit;
    ASSERT_NE(visit.register_visitor(), nullptr);
    EXPECT_NE(visit.agent.find(0, kVisitorMac, kVisitorHome), nullptr);
    EXPECT_EQ(visit.agent.find(0, mac("02:00:00:00:00:78"), kVisitorHome), nullptr);
    EXPECT_EQ(visit.agent.find(1, kVisitorMac, kVisitorHome), nullptr);
    EXPECT_EQ(visit.agent.find(kVisitorHome, v4("192.0.2.2")), nullptr);
    EXPECT_TRUE(visit.agent.has_visitor(0, kVisitorHome));
    EXPECT_FALSE(visit.agent.has_visitor(1, kVisitorHome));
}

// ---------------------------------------------------------------------------- checks of requests

TEST(ForeignAgent, code_69_names_the_longest_lifetime) {
    EXPECT_EQ(code_for(visited_config(), [](auto& m) { m.lifetime = 600; }), kRelayed);
    Visit visit;
    auto message = visit.request();
    message.lifetime = 601;
    visit.ask(Visit::sealed(message));
    EXPECT_EQ(visit.denied(), code(ForeignAgentCode::kLifetimeTooLong));
    EXPECT_EQ(visit.replied()->lifetime, 600);
    auto config = visited_config();
    EXPECT_EQ(code_for(config, [](auto& m) { m.lifetime = 0xffff; }),
              code(ForeignAgentCode::kLifetimeTooLong));
    config.max_lifetime = 0xffff;
    EXPECT_EQ(code_for(config, [](auto& m) { m.lifetime = 0xffff; }), kRelayed);
}

TEST(ForeignAgent, code_70_poorly_formed_requests) {
    Visit visit;
    visit.ask(wire::encode(visit.request()));
    EXPECT_EQ(visit.denied(), code(ForeignAgentCode::kPoorlyFormedRequest)) << "no authentication";
    visit.now += 2s;
    auto payload = Visit::sealed(visit.request());
    payload.push_back(131);
    payload.push_back(9);  // ends past the message
    visit.ask(payload);
    EXPECT_EQ(visit.denied(), code(ForeignAgentCode::kPoorlyFormedRequest));
    EXPECT_EQ(code_for(visited_config(), [](auto& m) { m.home_address = v4("224.0.0.5"); }),
              code(ForeignAgentCode::kPoorlyFormedRequest));
    EXPECT_EQ(code_for(visited_config(),
                       [](auto& m) { m.extensions = {wire::Mip4EncapsulatingDelivery{}}; }),
              code(ForeignAgentCode::kPoorlyFormedRequest))
        << "delivery style before the mobile-home authentication";
}

TEST(ForeignAgent, RFC5944_1_10_unknown_critical_extensions_and_stumps_are_dropped_in_silence) {
    Visit visit;
    auto payload = Visit::sealed(visit.request());
    payload.insert(payload.end(), {99, 0});
    visit.ask(payload);
    EXPECT_EQ(visit.find<SendToVisitor>(), nullptr);
    EXPECT_EQ(visit.find<SendToHomeAgent>(), nullptr);
    EXPECT_EQ(visit.counters[Count::kRequestMalformed], 1u);
    visit.ask({1, 2, 3});
    EXPECT_EQ(visit.find<SendToVisitor>(), nullptr);
    EXPECT_EQ(visit.counters[Count::kRequestMalformed], 2u);
    visit.ask({3, 0, 0, 0});
    visit.ask({});
    EXPECT_EQ(visit.counters[Count::kUnknownType], 2u);
}

TEST(ForeignAgent, code_72_encapsulation) {
    auto config = visited_config();
    config.gre = config.minimal = false;
    EXPECT_EQ(code_for(config, [](auto& m) { m.gre = true; }),
              code(ForeignAgentCode::kEncapsulationUnavailable));
    EXPECT_EQ(code_for(config, [](auto& m) { m.minimal = true; }),
              code(ForeignAgentCode::kEncapsulationUnavailable));
    EXPECT_EQ(code_for(config, [](auto& m) { m.gre = m.decapsulates = true; }), kRelayed)
        << "its own business with a care-of address of its own";
    config.minimal = true;
    EXPECT_EQ(code_for(config, [](auto& m) { m.gre = m.minimal = true; }), kRelayed);
}

TEST(ForeignAgent, codes_74_75_79_reverse_tunnel_RFC3024_4_2_1) {
    auto config = visited_config();
    config.reverse_tunnel = ReverseTunnelPolicy::kUnavailable;
    EXPECT_EQ(code_for(config, [](auto&) {}), code(ForeignAgentCode::kReverseTunnelUnavailable));
    EXPECT_EQ(code_for(config, [](auto& m) { m.reverse_tunnel = false; }), kRelayed);
    config.reverse_tunnel = ReverseTunnelPolicy::kMandatory;
    EXPECT_EQ(code_for(config, [](auto& m) { m.reverse_tunnel = false; }),
              code(ForeignAgentCode::kReverseTunnelMandatory));
    EXPECT_EQ(code_for(config,
                       [](auto& m) {
                           m.reverse_tunnel = false;
                           m.lifetime = 0;
                       }),
              kRelayed);
    config.encapsulating_delivery = false;
    for (const bool tunnelled : {true, false}) {
        Visit visit(config);
        auto message = visit.request();
        message.reverse_tunnel = tunnelled;
        auto payload = Visit::sealed(message);
        wire::append_mip4_extension(payload, wire::Mip4EncapsulatingDelivery{});
        visit.ask(payload);
        EXPECT_EQ(visit.denied(), code(tunnelled ? ForeignAgentCode::kDeliveryStyleUnsupported
                                                 : ForeignAgentCode::kPoorlyFormedRequest));
    }
}

TEST(ForeignAgent, RFC3024_3_3_the_delivery_style_is_consumed_and_remembered) {
    Visit visit;
    const auto message = visit.request();
    const auto payload = Visit::sealed(message);
    auto longer = payload;
    wire::append_mip4_extension(longer, wire::Mip4EncapsulatingDelivery{});
    visit.ask(longer);
    ASSERT_NE(visit.find<SendToHomeAgent>(), nullptr);
    EXPECT_EQ(visit.find<SendToHomeAgent>()->payload, payload);
    visit.answer(Visit::sealed(Visit::reply_to(message)));
    EXPECT_TRUE(visit.agent.find(kVisitorHome, kItsHomeAgent)->encapsulating_delivery);
}

TEST(ForeignAgent, code_76_a_ttl_that_is_not_255_with_T_RFC3024_3_2) {
    Visit visit;
    auto from = visit.info();
    from.ttl = 254;
    visit.ask(Visit::sealed(visit.request()), from);
    EXPECT_EQ(visit.denied(), code(ForeignAgentCode::kMobileNodeTooDistant));
    from.mac = mac("02:00:00:00:00:99");
    visit.ask(Visit::sealed(visit.request()), from);
    EXPECT_EQ(visit.denied(), 0) << "one a second for all together";
    EXPECT_EQ(visit.counters[Count::kDenialPoliced], 1u);
    auto message = visit.request();
    message.reverse_tunnel = false;
    visit.ask(Visit::sealed(message), from);
    EXPECT_EQ(visit.denied(), kRelayed) << "without T any will do";
    from.destination = v4("224.0.0.11");
    from.destination_is_ours = false;
    from.ttl = 1;
    visit.ask(Visit::sealed(visit.request()), from);
    EXPECT_EQ(visit.denied(), kRelayed) << "TTL 1 to the group of agents";
}

TEST(ForeignAgent, code_77_care_of_address) {
    const auto elsewhere = [](auto& m) { m.care_of_address = v4("198.51.100.77"); };
    EXPECT_EQ(code_for(visited_config(), elsewhere), code(ForeignAgentCode::kInvalidCareOfAddress));
    EXPECT_EQ(code_for(visited_config(),
                       [&](auto& m) {
                           elsewhere(m);
                           m.lifetime = 0;
                       }),
              kRelayed);
    EXPECT_EQ(code_for(visited_config(),
                       [&](auto& m) {
                           elsewhere(m);
                           m.decapsulates = true;
                       }),
              kRelayed);
    auto config = visited_config();
    config.co_located = false;
    EXPECT_EQ(code_for(config, [](auto& m) { m.decapsulates = true; }),
              code(ForeignAgentCode::kAdministrativelyProhibited));
}

TEST(ForeignAgent, code_194_and_65_home_agents) {
    for (const auto* address : {"10.1.0.1", "198.51.100.9", "198.51.100.10", "0.0.0.0",
                                "255.255.255.255", "224.0.0.11"}) {
        EXPECT_EQ(code_for(visited_config(), [&](auto& m) { m.home_agent = v4(address); }),
                  code(ForeignAgentCode::kInvalidHomeAgentAddress))
            << address;
    }
    auto config = visited_config();
    config.home_agents = {Ipv4Prefix::parse("203.0.113.0/24").value()};
    EXPECT_EQ(code_for(config, [](auto&) {}), code(ForeignAgentCode::kAdministrativelyProhibited));
    EXPECT_EQ(code_for(config, [](auto& m) { m.home_agent = v4("203.0.113.1"); }), kRelayed);
    EXPECT_EQ(code_for(visited_config(), [](auto& m) { m.home_address = kForeignCareOf; }),
              code(ForeignAgentCode::kAdministrativelyProhibited));
}

TEST(ForeignAgent, code_66_visitors_and_pending_requests_are_bounded) {
    auto config = visited_config();
    config.max_visitors = 1;
    config.max_pending = 3;
    config.max_pending_of_node = 2;
    Visit visit(config);
    ASSERT_NE(visit.register_visitor(), nullptr);
    EXPECT_TRUE(visit.agent.is_busy());
    ASSERT_NE(visit.register_visitor(), nullptr) << "who is here may stay";
    auto other = visit.request();
    other.home_address = v4("192.0.2.101");
    visit.ask(Visit::sealed(other));
    EXPECT_EQ(visit.denied(), code(ForeignAgentCode::kInsufficientResources));

    // Of the three that may be pending one node gets two.
    for (int i = 0; i < 2; ++i) {
        visit.ask(Visit::sealed(visit.request()));
        EXPECT_EQ(visit.denied(), kRelayed);
    }
    visit.now += 2s;
    visit.ask(Visit::sealed(visit.request()));
    EXPECT_EQ(visit.denied(), code(ForeignAgentCode::kInsufficientResources));
    auto from = visit.info();
    from.mac = mac("02:00:00:00:00:78");
    visit.ask(Visit::sealed(visit.request()), from);
    EXPECT_EQ(visit.denied(), kRelayed);
    from.mac = mac("02:00:00:00:00:79");
    visit.ask(Visit::sealed(visit.request()), from);
    EXPECT_EQ(visit.denied(), code(ForeignAgentCode::kInsufficientResources));
    EXPECT_EQ(visit.agent.pending_count(), 3u);
}

TEST(ForeignAgent, a_request_that_is_sent_again_takes_the_place_of_the_first) {
    Visit visit;
    const auto payload = Visit::sealed(visit.request());
    for (int i = 0; i < 20; ++i) {
        visit.ask(payload);
        EXPECT_EQ(visit.denied(), kRelayed);
    }
    EXPECT_EQ(visit.agent.pending_count(), 1u);
}

TEST(ForeignAgent, codes_100_and_101_critical_vendor_extensions_behind_the_authentication) {
    const wire::Mip4CriticalVendor vendor{9, 1, {}};
    EXPECT_EQ(code_for(visited_config(), [&](auto& m) { m.extensions = {vendor}; }), kRelayed)
        << "for the home agent";
    Visit visit;
    auto message = visit.request();
    auto payload = Visit::sealed(message);
    wire::append_mip4_extension(payload, vendor);
    visit.ask(payload);
    EXPECT_EQ(visit.denied(), code(ForeignAgentCode::kUnknownVendorFromMobileNode));
    message = visit.request();
    visit.ask(Visit::sealed(message));
    payload = Visit::sealed(Visit::reply_to(message));
    wire::append_mip4_extension(payload, vendor);
    visit.answer(payload);
    EXPECT_EQ(visit.denied(), code(ForeignAgentCode::kUnknownVendorFromHomeAgent));
    EXPECT_EQ(visit.agent.visitor_count(), 0u);
}

TEST(ForeignAgent, RFC3543_4_2_1_revocation_support_of_a_visitor_is_dropped_in_silence) {
    Visit visit;
    auto message = visit.request();
    message.extensions = {wire::Mip4RevocationSupport{}};
    visit.ask(Visit::sealed(message));
    EXPECT_EQ(visit.denied(), 0);
    EXPECT_EQ(visit.counters[Count::kRequestRevocation], 1u);
}

TEST(ForeignAgent, RFC5944_3_7_2_one_denial_a_second_to_a_node_and_home_agent) {
    Visit visit;
    for (int i = 0; i < 5; ++i) {
        auto message = visit.request();
        message.lifetime = 601;
        visit.ask(Visit::sealed(message));
        EXPECT_EQ(visit.find<SendToVisitor>() != nullptr, i == 0) << i;
        visit.now += 200ms;
    }
    visit.now += 1ms;
    auto message = visit.request();
    message.lifetime = 601;
    visit.ask(Visit::sealed(message));
    EXPECT_NE(visit.find<SendToVisitor>(), nullptr);
    EXPECT_EQ(visit.counters[Count::kRequestDenied], 6u);
    EXPECT_EQ(visit.counters[Count::kDenialPoliced], 4u);
}

TEST(ForeignAgent, RFC5944_3_7_2_1_mobile_foreign_authentication_where_keys_are_shared) {
    auto config = visited_config();
    config.mobile_node_keys = {{kVisitorHome, "", kMobileForeignKey}};
    const auto ask = [&](Visit& visit, int seals, const SecurityAssociation& key) {
        auto payload = Visit::sealed(visit.request());
        for (int i = 0; i < seals; ++i) {
            Visit::append_seal(payload, Mip4AuthenticationKind::kMobileForeign, key);
        }
        visit.ask(payload);
    };
    Visit visit(config);
    ask(visit, 1, kMobileForeignKey);
    ASSERT_EQ(visit.denied(), kRelayed);
    EXPECT_EQ(visit.relayed()->extensions.size(), 1u) << "it is taken off";

    auto wrong = kMobileForeignKey;
    wrong.key[0] ^= 1;
    auto other_spi = kMobileForeignKey;
    other_spi.spi = 501;
    for (const auto& [seals, key] :
         {std::pair{0, kMobileForeignKey}, {2, kMobileForeignKey}, {1, wrong}, {1, other_spi}}) {
        Visit refused(config);
        ask(refused, seals, key);
        EXPECT_EQ(refused.denied(), code(ForeignAgentCode::kMobileNodeFailedAuthentication));
        EXPECT_EQ(refused.counters[Count::kRequestAuthentication], 1u);
        // The refusal is sealed for the mobile node.
        const auto& payload = refused.find<SendToVisitor>()->payload;
        const auto reply = refused.replied();
        const auto& seal = std::get<wire::Mip4Authentication>(reply->extensions.back());
        EXPECT_EQ(seal.kind, Mip4AuthenticationKind::kMobileForeign);
        EXPECT_TRUE(is_authentic(kMobileForeignKey, ConstByteSpan(payload).first(seal.covered),
                                 seal.authenticator));
    }
    Visit stranger;  // no key: what there is does not matter
    ask(stranger, 2, wrong);
    EXPECT_EQ(stranger.denied(), kRelayed);
}

// ------------------------------------------------------------------------------ home agents' keys

TEST(ForeignAgent, RFC5944_3_7_2_2_foreign_home_authentication_is_last_and_covers_all) {
    auto config = with_foreign_home_key();
    config.udp = ForeignUdpPolicy::kForced;
    Visit visit(config);
    auto payload = Visit::sealed(visit.request());
    const std::size_t of_visitor = payload.size();
    wire::append_mip4_extension(payload, wire::Mip4UnknownExtension{200, {1, 2}});
    visit.ask(payload);
    const auto relayed = visit.relayed();
    ASSERT_TRUE(relayed);
    ASSERT_EQ(relayed->extensions.size(), 4u);
    EXPECT_EQ(std::get<wire::Mip4RevocationSupport>(relayed->extensions[1]).timestamp, 1000u);
    EXPECT_EQ(std::get<wire::Mip4UdpTunnelRequest>(relayed->extensions[2]).forced, true)
        << "RFC 3519 section 4.5: before the foreign-home authentication";
    const auto& seal = std::get<wire::Mip4Authentication>(relayed->extensions[3]);
    EXPECT_EQ(seal.kind, Mip4AuthenticationKind::kForeignHome);
    const auto& out = visit.find<SendToHomeAgent>()->payload;
    EXPECT_TRUE(
        is_authentic(kForeignHomeKey, ConstByteSpan(out).first(seal.covered), seal.authenticator));
    EXPECT_TRUE(
        std::equal(payload.begin(), payload.begin() + static_cast<long>(of_visitor), out.begin()))
        << "up to the mobile-home authentication nothing changes";

    auto leaving = visit.request();
    leaving.lifetime = 0;
    visit.ask(Visit::sealed(leaving));
    EXPECT_EQ(visit.relayed()->extensions.size(), 1u) << "34 never on deregistration";
}

TEST(ForeignAgent, code_68_replies_without_exactly_one_right_foreign_home_authentication) {
    auto wrong = kForeignHomeKey;
    wrong.key[0] ^= 1;
    auto other_spi = kForeignHomeKey;
    other_spi.spi = 301;
    for (const auto& [seals, key] :
         {std::pair{0, kForeignHomeKey}, {2, kForeignHomeKey}, {1, wrong}, {1, other_spi}}) {
        Visit visit(with_foreign_home_key());
        const auto message = visit.request();
        visit.ask(Visit::sealed(message));
        auto payload = Visit::sealed(Visit::reply_to(message));
        for (int i = 0; i < seals; ++i) {
            Visit::append_seal(payload, Mip4AuthenticationKind::kForeignHome, key);
        }
        visit.answer(payload);
        EXPECT_EQ(visit.denied(), code(ForeignAgentCode::kHomeAgentFailedAuthentication));
        EXPECT_EQ(visit.agent.visitor_count(), 0u);
        EXPECT_EQ(visit.agent.pending_count(), 0u);
    }
    Visit visit(with_foreign_home_key());
    ASSERT_NE(visit.register_visitor(), nullptr);
    EXPECT_EQ(visit.replied()->extensions.size(), 1u) << "34 is taken off";
}

TEST(ForeignAgent, RFC5944_3_7_3_2_the_reply_gets_a_mobile_foreign_authentication) {
    auto config = visited_config();
    config.mobile_node_keys = {{{}, "alice@example", kMobileForeignKey}};
    Visit visit(config);
    auto message = visit.request();
    message.extensions = {wire::Mip4NetworkAccessIdentifier{"alice@example"}};
    auto payload = Visit::sealed(message);
    Visit::append_seal(payload, Mip4AuthenticationKind::kMobileForeign, kMobileForeignKey);
    visit.ask(payload);
    auto reply = Visit::reply_to(message);
    reply.extensions = message.extensions;
    payload = Visit::sealed(reply);
    wire::append_mip4_extension(payload, wire::Mip4UnknownExtension{201, {5}});
    visit.answer(payload);
    const auto got = visit.replied();
    ASSERT_TRUE(got);
    ASSERT_EQ(got->extensions.size(), 3u);  // NAI, 32, 33: what was for us is gone
    EXPECT_EQ(std::get<wire::Mip4Authentication>(got->extensions[2]).kind,
              Mip4AuthenticationKind::kMobileForeign);
}

// ---------------------------------------------------------------------------- checks of replies

TEST(ForeignAgent, RFC5944_3_7_3_1_replies_that_answer_nothing_are_dropped_in_silence) {
    Visit visit;
    const auto message = visit.request();
    visit.ask(Visit::sealed(message));
    const auto refuses = [&](const std::function<void(wire::RegistrationReply&)>& change,
                             const Endpoint& from = {kItsHomeAgent, 434}) {
        auto reply = Visit::reply_to(message);
        change(reply);
        visit.answer(Visit::sealed(reply), from);
        return visit.find<SendToVisitor>() == nullptr && visit.agent.pending_count() == 1;
    };
    EXPECT_TRUE(refuses([](auto& r) { r.identification ^= 1; }));
    EXPECT_TRUE(refuses([](auto& r) { r.home_address = v4("192.0.2.101"); }));
    EXPECT_TRUE(refuses([](auto& r) { r.home_agent = v4("192.0.2.2"); }, {v4("192.0.2.2"), 434}))
        << "another agent that accepts";
    EXPECT_EQ(visit.counters[Count::kReplyNoPending], 3u);
    visit.answer({3, 0, 0});
    EXPECT_EQ(visit.counters[Count::kReplyMalformed], 1u);
    // The high half is the home agent's (nonces, its time).
    auto reply = Visit::reply_to(message, 133);
    reply.identification ^= 0xffffffff00000000;
    visit.answer(Visit::sealed(reply));
    EXPECT_EQ(visit.replied()->code, 133);
    visit.answer(Visit::sealed(Visit::reply_to(message)));
    EXPECT_EQ(visit.find<SendToVisitor>(), nullptr) << "one answer a request";
}

TEST(ForeignAgent, code_71_poorly_formed_replies) {
    Visit visit;
    const auto message = visit.request();
    visit.ask(Visit::sealed(message));
    auto payload = Visit::sealed(Visit::reply_to(message));
    payload.insert(payload.end(), {131, 9});
    visit.answer(payload);
    EXPECT_EQ(visit.denied(), code(ForeignAgentCode::kPoorlyFormedReply));
    EXPECT_EQ(visit.agent.visitor_count(), 0u);
}

TEST(ForeignAgent, codes_96_to_99_RFC2794_home_address_0_goes_by_name) {
    EXPECT_EQ(code_for(visited_config(), [](auto& m) { m.home_address = {}; }),
              code(ForeignAgentCode::kHomeAddressRequired));
    const auto answered = [](const std::function<void(wire::RegistrationReply&)>& change) {
        Visit visit;
        auto message = visit.request();
        message.home_address = {};
        message.extensions = {wire::Mip4NetworkAccessIdentifier{"alice@example"}};
        visit.ask(Visit::sealed(message));
        EXPECT_EQ(visit.denied(), kRelayed);
        auto reply = Visit::reply_to(message);
        reply.home_address = kVisitorHome;
        reply.extensions = message.extensions;
        change(reply);
        visit.answer(Visit::sealed(reply));
        const int got = visit.replied() ? visit.replied()->code : -2;
        if (got >= 64) {
            EXPECT_EQ(visit.find<SendToVisitor>()->to.address, v4("255.255.255.255"))
                << "it has no address yet";
        } else if (got == 0) {
            EXPECT_EQ(visit.find<SendToVisitor>()->to.address, kVisitorHome);
            EXPECT_NE(visit.agent.find(kVisitorHome, kItsHomeAgent), nullptr);
        }
        return got;
    };
    EXPECT_EQ(answered([](auto&) {}), 0);
    EXPECT_EQ(answered([](auto& r) { r.extensions.clear(); }), code(ForeignAgentCode::kMissingNai));
    EXPECT_EQ(answered([](auto& r) { r.home_agent = {}; }),
              code(ForeignAgentCode::kMissingHomeAgent));
    EXPECT_EQ(answered([](auto& r) { r.home_address = {}; }),
              code(ForeignAgentCode::kMissingHomeAddress));
    EXPECT_EQ(answered([](auto& r) {
                  r.extensions = {wire::Mip4NetworkAccessIdentifier{"bob@example"}};
              }),
              -2)
        << "somebody else's";
}

TEST(ForeignAgent, S2_80_two_requests_of_one_node_are_told_by_home_agent) {
    Visit visit;
    const auto internal = visit.request();
    auto external = internal;  // the same identification even
    external.home_agent = v4("203.0.113.1");
    visit.ask(Visit::sealed(internal));
    visit.ask(Visit::sealed(external));
    ASSERT_EQ(visit.agent.pending_count(), 2u);
    visit.answer(Visit::sealed(Visit::reply_to(external)), {v4("203.0.113.1"), 434});
    EXPECT_EQ(visit.replied()->home_agent, external.home_agent);
    EXPECT_NE(visit.agent.find(kVisitorHome, v4("203.0.113.1")), nullptr);
    EXPECT_EQ(visit.agent.find(kVisitorHome, kItsHomeAgent), nullptr);
    visit.answer(Visit::sealed(Visit::reply_to(internal)));
    EXPECT_NE(visit.agent.find(kVisitorHome, kItsHomeAgent), nullptr);
    EXPECT_EQ(visit.agent.find(0, kVisitorMac, kVisitorHome)->home_agent, kItsHomeAgent)
        << "its packets belong to what it registered last";
}

TEST(ForeignAgent, RFC5944_3_7_2_a_denied_renewal_leaves_the_visitor_as_it_was) {
    Visit visit;
    const Visitor before = *visit.register_visitor();
    visit.now += 100s;
    const auto message = visit.request();
    visit.ask(Visit::sealed(message));
    visit.answer(Visit::sealed(Visit::reply_to(message, 131)));
    EXPECT_EQ(visit.replied()->code, 131);
    ASSERT_NE(visit.agent.find(kVisitorHome, kItsHomeAgent), nullptr);
    EXPECT_EQ(*visit.agent.find(kVisitorHome, kItsHomeAgent), before);
}

TEST(ForeignAgent, deregistration_ends_the_visit_with_the_reply_and_not_before) {
    Visit visit;
    ASSERT_NE(visit.register_visitor(), nullptr);
    auto message = visit.request();
    message.lifetime = 0;
    message.care_of_address = kVisitorHome;
    visit.ask(Visit::sealed(message));
    EXPECT_EQ(visit.agent.visitor_count(), 1u);
    visit.answer(Visit::sealed(Visit::reply_to(message)));
    EXPECT_EQ(visit.agent.visitor_count(), 0u);
    EXPECT_NE(visit.find<VisitorGone>(), nullptr);
    EXPECT_NE(visit.find<SendToVisitor>(), nullptr);

    ASSERT_NE(visit.register_visitor(), nullptr);
    message.care_of_address = v4("198.51.100.77");  // of somebody else
    message.identification = ++visit.identification;
    visit.ask(Visit::sealed(message));
    visit.answer(Visit::sealed(Visit::reply_to(message)));
    EXPECT_EQ(visit.agent.visitor_count(), 1u) << "another binding of the same node";
}

TEST(ForeignAgent, RFC5944_3_7_3_2_the_lifetime_is_the_least_of_all_and_ends_in_silence) {
    Visit visit;
    auto message = visit.request();
    message.lifetime = 300;
    visit.ask(Visit::sealed(message));
    auto reply = Visit::reply_to(message);
    reply.lifetime = 200;
    visit.answer(Visit::sealed(reply));
    EXPECT_EQ(visit.agent.next_deadline(), visit.now + 200s);
    visit.now += 200s;
    visit.actions = visit.agent.tick(visit.now, visit.clock);
    EXPECT_EQ(visit.agent.visitor_count(), 0u);
    EXPECT_NE(visit.find<VisitorGone>(), nullptr);
    EXPECT_EQ(visit.find<SendToVisitor>(), nullptr);
    EXPECT_EQ(visit.find<SendToHomeAgent>(), nullptr);
}

TEST(ForeignAgent, code_78_a_home_agent_that_does_not_answer) {
    Visit visit;
    const auto message = visit.request();
    visit.ask(Visit::sealed(message));
    EXPECT_EQ(visit.agent.next_deadline(), visit.now + 7s);
    visit.now += 7s;
    visit.actions = visit.agent.tick(visit.now, visit.clock);
    EXPECT_EQ(visit.denied(), code(ForeignAgentCode::kRegistrationTimeout));
    EXPECT_EQ(visit.agent.pending_count(), 0u);
    visit.answer(Visit::sealed(Visit::reply_to(message)));
    EXPECT_EQ(visit.agent.visitor_count(), 0u) << "too late";
}

TEST(ForeignAgent, codes_80_to_88_ICMP_errors_about_a_request) {
    const std::tuple<int, int, ForeignAgentCode> errors[] = {
        {3, 0, ForeignAgentCode::kHomeNetworkUnreachable},
        {3, 1, ForeignAgentCode::kHomeAgentHostUnreachable},
        {3, 3, ForeignAgentCode::kHomeAgentPortUnreachable},
        {3, 2, ForeignAgentCode::kHomeAgentUnreachable},
        {3, 13, ForeignAgentCode::kHomeAgentUnreachable},
        {11, 0, ForeignAgentCode::kHomeAgentUnreachable}};
    for (const auto& [type, number, expected] : errors) {
        Visit visit;
        visit.ask(Visit::sealed(visit.request()));
        visit.actions = visit.agent.unreachable(kItsHomeAgent, static_cast<std::uint8_t>(type),
                                                static_cast<std::uint8_t>(number), {}, visit.now);
        EXPECT_EQ(visit.denied(), code(expected)) << type << '/' << number;
    }
    Visit visit;
    const auto first = Visit::sealed(visit.request());
    visit.ask(first);
    visit.ask(Visit::sealed(visit.request()));
    EXPECT_TRUE(visit.agent.unreachable(kItsHomeAgent, 3, 4, {}, visit.now).empty()) << "too big";
    EXPECT_TRUE(visit.agent.unreachable(v4("192.0.2.9"), 3, 1, {}, visit.now).empty());
    visit.actions = visit.agent.unreachable(kItsHomeAgent, 3, 1, first, visit.now);
    EXPECT_EQ(visit.agent.pending_count(), 1u) << "the one that is quoted";
}

// ------------------------------------------------------------------------------------- RFC 3519

TEST(ForeignAgent, S2_34_RFC3519_4_5_a_udp_tunnel_for_visitors_with_keepalives) {
    auto config = visited_config();
    config.udp = ForeignUdpPolicy::kWhereNeeded;
    Visit visit(config);
    const auto message = visit.request();
    visit.ask(Visit::sealed(message));
    const auto relayed = visit.relayed();
    ASSERT_TRUE(relayed);
    EXPECT_EQ(std::get<wire::Mip4UdpTunnelRequest>(relayed->extensions.back()),
              wire::Mip4UdpTunnelRequest{});
    const auto sealed = Visit::sealed(Visit::reply_to(message));
    auto payload = sealed;
    wire::append_mip4_extension(payload, wire::Mip4UdpTunnelReply{0, false, 60});
    visit.answer(payload);
    EXPECT_EQ(visit.find<SendToVisitor>()->payload, sealed) << "44 is ours, and consumed";
    const Visitor* visitor = visit.agent.find(kVisitorHome, kItsHomeAgent);
    ASSERT_NE(visitor, nullptr);
    EXPECT_TRUE(visitor->udp);
    EXPECT_EQ(visitor->keepalive, 60s);

    visit.now += 59s;
    visit.agent.tunnel_used(kVisitorHome, kItsHomeAgent, visit.now);
    visit.now += 59s;
    visit.actions = visit.agent.tick(visit.now, visit.clock);
    EXPECT_EQ(visit.find<SendKeepalive>(), nullptr) << "data went meanwhile";
    visit.now = *visit.agent.next_deadline();
    visit.actions = visit.agent.tick(visit.now, visit.clock);
    EXPECT_NE(visit.find<SendKeepalive>(), nullptr);
    for (int i = 0; i < 3; ++i) {
        visit.now += 60s;
        visit.actions = visit.agent.tick(visit.now, visit.clock);
    }
    EXPECT_EQ(visit.counters[Count::kKeepaliveLost], 1u);
    visit.agent.keepalive_answered(kVisitorHome, kItsHomeAgent);
    EXPECT_EQ(visit.counters[Count::kKeepaliveAnswered], 1u);
}

TEST(ForeignAgent, RFC3519_4_7_no_udp_without_an_assent_of_the_home_agent) {
    for (const int answer : {-1, 64}) {
        auto config = visited_config();
        config.udp = ForeignUdpPolicy::kForced;
        Visit visit(config);
        const auto message = visit.request();
        visit.ask(Visit::sealed(message));
        auto payload = Visit::sealed(Visit::reply_to(message));
        if (answer >= 0) {
            wire::append_mip4_extension(
                payload, wire::Mip4UdpTunnelReply{static_cast<std::uint8_t>(answer), false, 0});
        }
        visit.answer(payload);
        EXPECT_FALSE(visit.agent.find(kVisitorHome, kItsHomeAgent)->udp);
    }
    auto config = visited_config();
    config.udp = ForeignUdpPolicy::kForced;
    Visit visit(config);
    auto message = visit.request();
    message.decapsulates = true;
    visit.ask(Visit::sealed(message));
    EXPECT_EQ(visit.relayed()->extensions.size(), 1u) << "never with D: the tunnel would end here";
}

TEST(ForeignAgent, a_co_located_node_is_answered_at_its_care_of_address) {
    Visit visit;
    auto message = visit.request();
    message.decapsulates = true;
    message.care_of_address = v4("10.1.0.50");
    auto from = visit.info();
    from.source.address = message.care_of_address;
    visit.ask(Visit::sealed(message), from);
    EXPECT_EQ(visit.find<SendToHomeAgent>()->care_of_address, kForeignCareOf);
    visit.answer(Visit::sealed(Visit::reply_to(message)));
    EXPECT_EQ(visit.find<SendToVisitor>()->to.address, message.care_of_address);
    EXPECT_TRUE(visit.agent.find(kVisitorHome, kItsHomeAgent)->co_located);
}

// ------------------------------------------------------------------------------------- RFC 3543

struct Revocable : Visit {
    Revocable() : Visit(with_foreign_home_key()) {
        const auto message = request();
        ask(sealed(message));
        auto payload = sealed(reply_to(message));
        wire::append_mip4_extension(payload, wire::Mip4RevocationSupport{true, 5000});
        append_seal(payload, Mip4AuthenticationKind::kForeignHome, kForeignHomeKey);
        answer(payload);
    }
    std::vector<std::uint8_t> revocation(
        std::uint32_t identifier,
        const std::function<void(wire::RegistrationRevocation&)>& change = {}) {
        wire::RegistrationRevocation message;
        message.by_home_agent = true;
        message.informs_mobile_node = true;
        message.home_address = kVisitorHome;
        message.home_domain = kItsHomeAgent;
        message.foreign_domain = kForeignCareOf;
        message.identifier = identifier;
        if (change) change(message);
        auto payload = wire::encode(message);
        append_seal(payload, Mip4AuthenticationKind::kForeignHome, kForeignHomeKey);
        return payload;
    }
    std::optional<wire::RevocationAcknowledgement> acknowledged() {
        const auto* out = find<SendToHomeAgent>();
        if (out == nullptr) return {};
        const auto read = wire::decode_mip4(out->payload);
        return std::get<wire::RevocationAcknowledgement>(*read);
    }
};

TEST(ForeignAgent, RFC3543_4_2_2_2_the_home_agent_revokes) {
    Revocable visit;
    ASSERT_TRUE(visit.agent.find(kVisitorHome, kItsHomeAgent)->revocation);
    visit.answer(visit.revocation(5001));
    EXPECT_EQ(visit.agent.visitor_count(), 0u);
    const auto acknowledged = visit.acknowledged();
    ASSERT_TRUE(acknowledged);
    EXPECT_EQ(acknowledged->identifier, 5001u);
    EXPECT_TRUE(acknowledged->informs_mobile_node);
    ASSERT_NE(visit.find<SendReset>(), nullptr);
    EXPECT_EQ(visit.find<SendReset>()->mac, kVisitorMac);

    visit.answer(visit.revocation(5002));
    EXPECT_TRUE(visit.acknowledged()) << "the acknowledgement may have been lost";
    visit.answer(visit.revocation(5002));
    EXPECT_FALSE(visit.acknowledged()) << "a replay";
    EXPECT_EQ(visit.counters[Count::kRevocationReplay], 1u);
}

TEST(ForeignAgent, RFC3543_4_2_2_2_without_I_the_visitor_is_not_told) {
    Revocable visit;
    visit.answer(visit.revocation(5001, [](auto& m) { m.informs_mobile_node = false; }));
    EXPECT_FALSE(visit.acknowledged()->informs_mobile_node);
    EXPECT_EQ(visit.find<SendReset>(), nullptr);
}

TEST(ForeignAgent, RFC3543_3_5_replays_reflections_and_forgeries_revoke_nothing) {
    Revocable visit;
    const auto refused = [&](const std::vector<std::uint8_t>& payload) {
        visit.answer(payload);
        return !visit.acknowledged() && visit.agent.visitor_count() == 1;
    };
    EXPECT_TRUE(refused(visit.revocation(5000))) << "not later than the registration";
    EXPECT_TRUE(refused(visit.revocation(4000)));
    EXPECT_TRUE(refused(visit.revocation(6000, [](auto& m) { m.by_home_agent = false; })));
    EXPECT_TRUE(refused(visit.revocation(6000, [](auto& m) { m.foreign_domain = {}; })));
    EXPECT_TRUE(refused(visit.revocation(6000, [](auto& m) { m.home_address = {}; })));
    auto forged = visit.revocation(6000);
    forged.back() ^= 1;
    EXPECT_TRUE(refused(forged));
    EXPECT_EQ(visit.counters[Count::kRevocationAuthentication], 1u);
    EXPECT_EQ(visit.counters[Count::kRevocationReplay], 3u);
    EXPECT_EQ(visit.counters[Count::kRevocationUnknown], 2u);
}

TEST(ForeignAgent, RFC3543_4_2_3_1_we_revoke_with_back_off_until_it_is_acknowledged) {
    Revocable visit;
    EXPECT_FALSE(visit.agent.revoke(v4("192.0.2.9"), visit.now, visit.clock, visit.actions));
    visit.actions.clear();
    ASSERT_TRUE(visit.agent.revoke(kVisitorHome, visit.now, visit.clock, visit.actions));
    EXPECT_EQ(visit.agent.visitor_count(), 0u);
    std::vector<std::uint32_t> identifiers;
    TimePoint last = visit.now;
    const auto take = [&] {
        const auto read = wire::decode_mip4(visit.find<SendToHomeAgent>()->payload);
        const auto& message = std::get<wire::RegistrationRevocation>(*read);
        EXPECT_FALSE(message.by_home_agent);
        identifiers.push_back(message.identifier);
    };
    take();
    for (int i = 0; i < 4; ++i) {
        visit.now = *visit.agent.next_deadline();
        EXPECT_GE(visit.now - last, 1s * (1 << i));
        last = visit.now;
        visit.actions = visit.agent.tick(visit.now, visit.clock);
        take();
    }
    EXPECT_TRUE(std::ranges::is_sorted(identifiers));
    EXPECT_EQ(std::ranges::adjacent_find(identifiers), identifiers.end()) << "each is later";
    EXPECT_EQ(visit.find<SendReset>(), nullptr) << "I: the home agent decides";

    wire::RevocationAcknowledgement message;
    message.informs_mobile_node = true;
    message.home_address = kVisitorHome;
    message.identifier = identifiers.back();
    auto payload = wire::encode(message);
    Visit::append_seal(payload, Mip4AuthenticationKind::kForeignHome, kForeignHomeKey);
    visit.answer(payload);
    EXPECT_NE(visit.find<SendReset>(), nullptr);
    EXPECT_EQ(visit.counters[Count::kRevocationAnswered], 1u);
    visit.now += 30s;
    visit.actions = visit.agent.tick(visit.now, visit.clock);
    EXPECT_EQ(visit.find<SendToHomeAgent>(), nullptr);
}

}  // namespace
}  // namespace homeport::mip4

// SPDX-License-Identifier: BSD-3-Clause
// Revocation (RFC 3543; mipv4.md section 11).
#include <gtest/gtest.h>

#include "tests/unit/mip4/harness.hpp"

namespace homeport::mip4 {
namespace {

using namespace test_support;
using std::chrono::seconds;

const Endpoint kForeignAgent{v4("10.0.0.1"), 434};

HomeAgentConfig with_foreign_agent() {
    HomeAgentConfig config = simple_config();
    config.foreign_agents = {{.address = kForeignAgent.address, .associations = {kForeign}}};
    return config;
}

class Talk : public Conversation {
  public:
    using Conversation::Conversation;

    /// Through the foreign agent, which adds what it supports and its seal.
    std::optional<wire::RegistrationReply> by_foreign_agent(bool informs, std::uint32_t stamp) {
        auto made = request();
        made.decapsulates = false;
        made.care_of_address = kForeignAgent.address;
        const auto payload = sealed(made, kAlice, [&](std::vector<std::uint8_t>& out) {
            wire::append_mip4_extension(out, wire::Mip4RevocationSupport{informs, stamp});
            append_seal(out, wire::Mip4AuthenticationKind::kForeignHome, kForeign);
        });
        return send(payload, from(kForeignAgent));
    }
    std::optional<wire::RegistrationReply> co_located() {
        auto made = request();
        made.extensions = {wire::Mip4RevocationSupport{false, 5}};
        return send(made);
    }
    /// The revocation in `actions`; the message as it was sent is in `sent`.
    std::optional<wire::RegistrationRevocation> revocation() {
        const auto all_sent = all<SendReply>();
        if (all_sent.size() != 1) return std::nullopt;
        sent = all_sent[0];
        const auto decoded = wire::decode_mip4(sent.payload);
        const auto* one = decoded ? std::get_if<wire::RegistrationRevocation>(&*decoded) : nullptr;
        if (one == nullptr) return std::nullopt;
        return *one;
    }
    void clear() { actions = agent.clear(kHome, now, time); }
    void wait(int length) {
        now += seconds(length);
        time += NtpTime(static_cast<unsigned>(length)) << 32;
        actions = agent.tick(now, time);
    }
    void acknowledge(const wire::RegistrationRevocation& of, const SecurityAssociation& seal,
                     wire::Mip4AuthenticationKind kind, const Endpoint& source) {
        auto payload = wire::encode(wire::RevocationAcknowledgement{.home_address = of.home_address,
                                                                    .identifier = of.identifier});
        append_seal(payload, kind, seal);
        actions = agent.receive(payload, from(source), now, time);
    }
};

bool is_sealed(const std::vector<std::uint8_t>& payload, const SecurityAssociation& seal,
               wire::Mip4AuthenticationKind kind) {
    const auto decoded = wire::decode_mip4(payload);
    const auto extensions =
        std::visit([](const auto& message) { return message.extensions; }, decoded.value());
    const auto& last = std::get<wire::Mip4Authentication>(extensions.back());
    return last.kind == kind && last.spi == seal.spi &&
           is_authentic(seal, ConstByteSpan(payload).first(last.covered), last.authenticator);
}

TEST(Mip4Revocation, RFC3543_3_2_support_is_answered_where_it_was_asked_for_and_protected) {
    Talk talk(with_foreign_agent());
    const auto reply = talk.by_foreign_agent(true, 100);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->code, 0);
    const auto& extensions = reply->extensions;
    const std::size_t at = wire::position_of<wire::Mip4RevocationSupport>(extensions);
    ASSERT_LT(at, extensions.size());
    EXPECT_TRUE(std::get<wire::Mip4RevocationSupport>(extensions[at]).informs_mobile_node);
    EXPECT_GT(at, wire::position_of<wire::Mip4Authentication>(extensions));  // for the agent only
    EXPECT_TRUE(talk.bindings()[0].revocable && talk.bindings()[0].by_foreign_agent);

    Talk direct;
    const auto own = direct.co_located();
    ASSERT_TRUE(own);
    EXPECT_LT(wire::position_of<wire::Mip4RevocationSupport>(own->extensions),
              wire::position_of<wire::Mip4Authentication>(own->extensions));
    // Nobody asked: nothing is said.
    Talk plain;
    EXPECT_EQ(
        wire::find_extension<wire::Mip4RevocationSupport>(plain.send(plain.request())->extensions),
        nullptr);
    // Not protected: no agreement.
    Talk stranger;
    auto request = stranger.request();
    request.decapsulates = false;
    const auto unprotected = stranger.send(
        stranger.sealed(request, kAlice,
                        [](std::vector<std::uint8_t>& out) {
                            wire::append_mip4_extension(out, wire::Mip4RevocationSupport{});
                        }),
        stranger.from(kForeignAgent));
    ASSERT_TRUE(unprotected);
    EXPECT_FALSE(stranger.bindings()[0].revocable);
}

TEST(Mip4Revocation, RFC3543_4_2_2_1_a_cleared_binding_is_revoked_until_acknowledged) {
    Talk talk(with_foreign_agent());
    ASSERT_TRUE(talk.by_foreign_agent(true, 100));
    talk.clear();
    EXPECT_TRUE(talk.bindings().empty());
    auto first = talk.revocation();
    ASSERT_TRUE(first);
    EXPECT_TRUE(first->by_home_agent);
    EXPECT_TRUE(first->informs_mobile_node);
    EXPECT_EQ(first->home_address, kHome);
    EXPECT_EQ(first->home_domain, kHomeAgent);
    EXPECT_EQ(first->foreign_domain, kForeignAgent.address);
    EXPECT_EQ(first->identifier, talk.time >> 32);
    EXPECT_EQ(talk.sent.from, (Endpoint{kHomeAgent, 434}));
    EXPECT_EQ(talk.sent.to, kForeignAgent);
    EXPECT_TRUE(is_sealed(talk.sent.payload, kForeign, wire::Mip4AuthenticationKind::kForeignHome));

    talk.wait(1);
    auto second = talk.revocation();
    ASSERT_TRUE(second);
    EXPECT_EQ(second->identifier, first->identifier + 1);
    talk.wait(1);
    EXPECT_FALSE(talk.revocation());  // twice as long this time
    talk.wait(1);
    auto third = talk.revocation();
    ASSERT_TRUE(third);

    // Of an earlier one, by another, with another key: nothing of that ends it.
    constexpr auto kSeal = wire::Mip4AuthenticationKind::kForeignHome;
    talk.acknowledge(*first, kForeign, kSeal, kForeignAgent);
    talk.acknowledge(*third, kForeign, kSeal, {v4("10.0.0.2"), 434});
    talk.acknowledge(*third, kAlice, kSeal, kForeignAgent);
    talk.acknowledge(*third, kForeign, wire::Mip4AuthenticationKind::kMobileHome, kForeignAgent);
    EXPECT_EQ(talk.count(Counter::kRevocationRefused), 4u);
    EXPECT_EQ(talk.agent.revocations_waiting(), 1u);
    talk.acknowledge(*third, kForeign, kSeal, kForeignAgent);
    EXPECT_EQ(talk.count(Counter::kRevocationAcknowledged), 1u);
    EXPECT_EQ(talk.agent.revocations_waiting(), 0u);
    EXPECT_FALSE(talk.agent.next_deadline());
}

TEST(Mip4Revocation, a_mobile_node_of_its_own_is_told_under_its_own_key) {
    Talk talk;
    ASSERT_TRUE(talk.co_located());
    talk.clear();
    const auto revocation = talk.revocation();
    ASSERT_TRUE(revocation);
    EXPECT_TRUE(revocation->informs_mobile_node);
    EXPECT_TRUE(is_sealed(talk.sent.payload, kAlice, wire::Mip4AuthenticationKind::kMobileHome));
    EXPECT_EQ(talk.sent.to, (Endpoint{kCareOf, 434}));
}

TEST(Mip4Revocation, not_beyond_the_life_of_the_binding_and_not_once_it_is_renewed) {
    Talk talk(with_foreign_agent());
    ASSERT_TRUE(talk.by_foreign_agent(false, 100));
    talk.clear();
    unsigned sent = 0;
    for (int i = 0; i < 1000 && talk.agent.next_deadline(); ++i) {
        talk.wait(1);
        sent += static_cast<unsigned>(talk.all<SendReply>().size());
    }
    EXPECT_FALSE(talk.agent.next_deadline());
    EXPECT_EQ(sent, 14u);  // 1, 3, 7, 15, 31, 63, then each 64 s, below 600 s
    EXPECT_EQ(talk.count(Counter::kRevocationUnanswered), 1u);

    Talk renewed(with_foreign_agent());
    ASSERT_TRUE(renewed.by_foreign_agent(false, 100));
    renewed.clear();
    ASSERT_TRUE(renewed.by_foreign_agent(false, 101));
    EXPECT_EQ(renewed.agent.revocations_waiting(), 0u);
}

TEST(Mip4Revocation, nobody_who_did_not_agree_is_told) {
    Talk talk;
    ASSERT_TRUE(talk.send(talk.request()));
    talk.clear();
    EXPECT_TRUE(talk.all<SendReply>().empty());
    HomeAgentConfig config = with_foreign_agent();
    config.revocation = false;
    Talk off(config);
    const auto reply = off.by_foreign_agent(true, 100);
    ASSERT_TRUE(reply);
    EXPECT_EQ(wire::find_extension<wire::Mip4RevocationSupport>(reply->extensions), nullptr);
    off.clear();
    EXPECT_TRUE(off.all<SendReply>().empty());
}

TEST(Mip4Revocation, RFC3543_4_2_3_2_a_foreign_agent_revokes_and_is_acknowledged) {
    Talk talk(with_foreign_agent());
    ASSERT_TRUE(talk.by_foreign_agent(true, 100));
    const auto revoke = [&](const wire::RegistrationRevocation& message,
                            const SecurityAssociation& seal, const Endpoint& source) {
        auto payload = wire::encode(message);
        Conversation::append_seal(payload, wire::Mip4AuthenticationKind::kForeignHome, seal);
        talk.actions = talk.agent.receive(payload, talk.from(source), talk.now, talk.time);
    };
    const wire::RegistrationRevocation good{.by_home_agent = false,
                                            .informs_mobile_node = true,
                                            .home_address = kHome,
                                            .home_domain = kHomeAgent,
                                            .foreign_domain = kForeignAgent.address,
                                            .identifier = 101};
    auto reflected = good;
    reflected.by_home_agent = true;
    revoke(reflected, kForeign, kForeignAgent);
    auto old = good;
    old.identifier = 100;
    revoke(old, kForeign, kForeignAgent);
    auto forged = kForeign;
    forged.key[0] ^= 1;
    revoke(good, forged, kForeignAgent);
    EXPECT_EQ(talk.count(Counter::kRevocationRefused), 3u);
    EXPECT_TRUE(talk.all<SendReply>().empty());
    EXPECT_EQ(talk.bindings().size(), 1u);

    revoke(good, kForeign, kForeignAgent);
    EXPECT_TRUE(talk.bindings().empty());
    for (int again = 0; again < 2; ++again) {  // the acknowledgement may get lost
        const auto answers = talk.all<SendReply>();
        ASSERT_EQ(answers.size(), 1u);
        const auto decoded = wire::decode_mip4(answers[0].payload);
        const auto& answer = std::get<wire::RevocationAcknowledgement>(decoded.value());
        EXPECT_EQ(answer.home_address, kHome);
        EXPECT_EQ(answer.identifier, 101u);
        EXPECT_EQ(answer.informs_mobile_node, again == 0);
        EXPECT_TRUE(
            is_sealed(answers[0].payload, kForeign, wire::Mip4AuthenticationKind::kForeignHome));
        revoke(good, kForeign, kForeignAgent);
    }
    EXPECT_EQ(talk.count(Counter::kRevoked), 1u);
}

}  // namespace
}  // namespace homeport::mip4

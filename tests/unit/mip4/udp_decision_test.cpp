// SPDX-License-Identifier: BSD-3-Clause
// Each row of the table of mipv4.md section 8 (RFC 3519 section 4; S2.34, S2.92a).
#include "controlplane/mip4/udp_decision.hpp"

#include <gtest/gtest.h>

namespace homeport::mip4 {
namespace {

using wire::Mip4UdpTunnelRequest;
using wire::RegistrationCode;

struct Row {
    std::optional<Mip4UdpTunnelRequest> request{};
    bool before = true;
    bool co_located = true;
    bool equal = false;

    [[nodiscard]] UdpDecision decide(const UdpPolicy& policy = {}) const {
        UdpQuestion question;
        question.request = request ? &*request : nullptr;
        question.before_mobile_home_authentication = before;
        question.co_located = co_located;
        question.source_is_care_of_address = equal;
        return decide_udp(question, policy);
    }
};

UdpPolicy policy(void (*change)(UdpPolicy&)) {
    UdpPolicy made;
    change(made);
    return made;
}
const Mip4UdpTunnelRequest kPlain{};
const Mip4UdpTunnelRequest kForced{true, false, 0, 0};
const Mip4UdpTunnelRequest kByForeignAgent{false, true, 0, 0};

TEST(UdpDecision, without_a_request_the_tunnel_is_a_plain_one) {
    EXPECT_FALSE(Row{}.decide().udp);
    EXPECT_FALSE(Row{}.decide().refusal);
    EXPECT_FALSE(Row{.equal = true}.decide().answer);
    EXPECT_FALSE((Row{.co_located = false}.decide().refusal));
}

TEST(UdpDecision, strict_source_refuses_a_colocated_request_from_elsewhere) {
    const auto strict = policy([](UdpPolicy& p) { p.strict_source = true; });
    EXPECT_EQ(Row{}.decide(strict).refusal, RegistrationCode::kAdministrativelyProhibited);
    EXPECT_FALSE(Row{.equal = true}.decide(strict).refusal);
    EXPECT_FALSE((Row{.co_located = false}.decide(strict).refusal));
}

TEST(UdpDecision, a_nat_in_between_gives_udp_from_the_source) {
    const auto decision = Row{.request = kPlain}.decide();
    EXPECT_TRUE(decision.udp);
    EXPECT_FALSE(decision.half_bound);
    EXPECT_EQ(decision.answer, (wire::Mip4UdpTunnelReply{0, false, 110}));
    // F is granted with it, and said so.
    EXPECT_TRUE(Row{.request = kForced}.decide().answer->forced);
    EXPECT_EQ(
        Row{.request = kPlain}.decide(policy([](UdpPolicy& p) { p.allowed = false; })).refusal,
        RegistrationCode::kAdministrativelyProhibited);
}

TEST(UdpDecision, no_nat_declines_with_code_64) {
    const auto decision = Row{.request = kPlain, .equal = true}.decide();
    EXPECT_FALSE(decision.udp);
    EXPECT_FALSE(decision.refusal);
    EXPECT_EQ(decision.answer, (wire::Mip4UdpTunnelReply{64, false, 0}));
}

TEST(UdpDecision, forced_udp_without_nat_is_a_matter_of_policy) {
    const Row row{.request = kForced, .equal = true};
    EXPECT_EQ(row.decide().refusal, RegistrationCode::kAdministrativelyProhibited);
    const auto decision = row.decide(policy([](UdpPolicy& p) { p.forced_allowed = true; }));
    EXPECT_TRUE(decision.udp);
    EXPECT_TRUE(decision.answer->forced);
}

TEST(UdpDecision, registration_by_way_of_a_foreign_agent_is_half_bound) {
    for (const bool equal : {false, true}) {
        const Row row{.request = kByForeignAgent, .equal = equal};
        EXPECT_EQ(row.decide().refusal, RegistrationCode::kAdministrativelyProhibited);
        const auto decision =
            row.decide(policy([](UdpPolicy& p) { p.foreign_agent_registration = true; }));
        EXPECT_TRUE(decision.udp);
        EXPECT_TRUE(decision.half_bound);
        EXPECT_EQ(decision.answer->code, 0);
    }
}

TEST(UdpDecision, a_foreign_agents_request_stands_behind_the_authentication) {
    const Row row{.request = kPlain, .before = false, .co_located = false};
    EXPECT_TRUE(row.decide().udp);
    EXPECT_FALSE(
        (Row{.request = kPlain, .before = false, .co_located = false, .equal = true}.decide().udp));
}

TEST(UdpDecision, a_request_in_the_wrong_place_is_poorly_formed) {
    EXPECT_EQ((Row{.request = kPlain, .before = false}.decide().refusal),
              RegistrationCode::kPoorlyFormedRequest);
    EXPECT_EQ((Row{.request = kPlain, .co_located = false}.decide().refusal),
              RegistrationCode::kPoorlyFormedRequest);
}

TEST(UdpDecision, encapsulations_inside_udp_that_we_lack_get_142) {
    const auto bare = policy([](UdpPolicy& p) { p.gre = p.minimal = false; });
    for (const int value : {47, 55, 99}) {
        const auto wanted = static_cast<std::uint8_t>(value);
        const Row row{.request = Mip4UdpTunnelRequest{false, false, wanted, 0}};
        EXPECT_EQ(row.decide(bare).refusal, RegistrationCode::kUdpTunnelUnavailable);
    }
    EXPECT_EQ((Row{.request = Mip4UdpTunnelRequest{false, false, 47, 0}}.decide().encapsulation),
              Encapsulation::kGre);
    EXPECT_EQ((Row{.request = Mip4UdpTunnelRequest{false, false, 4, 0}}.decide(bare).encapsulation),
              Encapsulation::kIpInIp);
    // Where UDP is not used it does not matter.
    EXPECT_FALSE((
        Row{.request = Mip4UdpTunnelRequest{false, false, 99, 0}, .equal = true}.decide().refusal));
}

TEST(UdpDecision, reserved_bits_skip_the_request_or_refuse_it) {
    const Row row{.request = Mip4UdpTunnelRequest{false, false, 0, 1}};
    EXPECT_TRUE(row.decide().request_skipped);
    EXPECT_FALSE(row.decide().udp);
    EXPECT_FALSE(row.decide().answer);
    EXPECT_EQ(row.decide(policy([](UdpPolicy& p) { p.refuse_reserved = true; })).refusal,
              RegistrationCode::kPoorlyFormedRequest);
}

}  // namespace
}  // namespace homeport::mip4

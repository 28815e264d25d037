// SPDX-License-Identifier: BSD-3-Clause
// S1.43 to S1.49: binding updates are told from all else by the SPI alone, with either technique.
#include "tools/mobile-node/signalling_split.hpp"

#include <gtest/gtest.h>

#include "controlplane/ipsec/policy_table.hpp"
#include "tools/mobile-node/message_gate.hpp"

namespace homeport::mobile_node {
namespace {

using Kind = SignallingSplit::Kind;
using std::chrono::milliseconds;

constexpr std::uint32_t kUpdate = 0x10001, kNewUpdate = 0x10002, kSolicitation = 0x10003,
                        kHomeTest = 0x10004, kData = 0x10006, kNewData = 0x10007;

// What IPsec would say; nothing else of it is there.
struct Answers final : ipsec::Queries {
    [[nodiscard]] ipsec::SpiAnswers spi_for_policy(ipsec::PolicyId policy,
                                                   const std::optional<IpAddress>&) const override {
        ++asked;
        ipsec::SpiAnswers out;
        const auto& spis = policy == sa::policy_id(sa::TableEntry::kBindingUpdate) ? updates
                           : policy == sa::policy_id(sa::TableEntry::kPrefixDiscovery)
                               ? solicitations
                               : none;
        for (const std::uint32_t spi : spis) {
            out.answers[out.count++] = {ipsec::Spi{spi}, ipsec::Mode::kTransport, now};
        }
        return out;
    }
    [[nodiscard]] ipsec::SpiAnswers spi_for_policy(const ipsec::SelectorTuple&) const override {
        return {};
    }
    void selectors_for_spi(std::span<const ipsec::Spi> many,
                           std::optional<Ipv6Address>* remotes) const override {
        ipsec::ask_one_by_one(*this, many, remotes);
    }
    [[nodiscard]] std::optional<ipsec::SelectorAnswer> selectors_for_spi(
        ipsec::Spi) const override {
        return {};
    }
    [[nodiscard]] std::uint64_t generation() const override { return now; }

    std::vector<std::uint32_t> updates{kUpdate}, solicitations{kSolicitation}, none;
    std::uint64_t now = 1;
    mutable unsigned asked = 0;
};

struct SignallingSplitTest : testing::Test {
    SignallingSplit& start(config::Technique technique) {
        SplitConfig config;
        config.technique = technique;
        split.emplace(config, answers, counters);
        return *split;
    }
    Kind packet(std::uint32_t spi) { return split->classify(spi, now); }
    void data(std::uint32_t spi, int count = 8) {
        for (int i = 0; i < count; ++i) EXPECT_EQ(packet(spi), Kind::kData);
    }
    void update(std::uint32_t spi = kUpdate) {
        split->arm(Kind::kBindingUpdate, now);
        EXPECT_EQ(packet(spi), Kind::kBindingUpdate);
        split->confirm(Kind::kBindingUpdate);
    }

    Answers answers;
    Counters counters;
    std::optional<SignallingSplit> split;
    SignallingSplit::TimePoint now{std::chrono::hours{1}};
};

TEST_F(SignallingSplitTest, S1_44_the_spi_of_the_policy_is_the_update) {
    start(config::Technique::kApi);
    EXPECT_EQ(packet(kUpdate), Kind::kBindingUpdate);
    EXPECT_EQ(packet(kSolicitation), Kind::kPrefixSolicitation);
    EXPECT_EQ(packet(kHomeTest), Kind::kData);
    EXPECT_EQ(packet(kData), Kind::kData);
    EXPECT_FALSE(split->armed());
}

TEST_F(SignallingSplitTest, S1_45_asked_again_when_sas_change_and_never_per_packet) {
    start(config::Technique::kApi);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(packet(kData), Kind::kData);
    EXPECT_EQ(answers.asked, 2u) << "once for each entry";
    // A rekey in the middle of a handover: both SAs carry updates until the old one is deleted.
    answers.updates = {kNewUpdate, kUpdate};
    ++answers.now;
    EXPECT_EQ(packet(kUpdate), Kind::kBindingUpdate);
    EXPECT_EQ(packet(kNewUpdate), Kind::kBindingUpdate);
    EXPECT_EQ(answers.asked, 4u);
    answers.updates = {kNewUpdate};
    ++answers.now;
    EXPECT_EQ(packet(kUpdate), Kind::kData);
    EXPECT_EQ(packet(kNewUpdate), Kind::kBindingUpdate);
}

TEST_F(SignallingSplitTest, S1_48_cold_start_the_first_packet_in_the_window_is_the_update) {
    start(config::Technique::kHeuristic);
    split->arm(Kind::kBindingUpdate, now);
    EXPECT_TRUE(split->armed());
    EXPECT_EQ(packet(kUpdate), Kind::kBindingUpdate);
    EXPECT_FALSE(split->armed());
    EXPECT_EQ(answers.asked, 0u) << "the heuristic asks nobody";
}

TEST_F(SignallingSplitTest, S1_46_data_go_on_in_the_window_and_the_other_spi_is_the_update) {
    start(config::Technique::kHeuristic);
    data(kData);
    split->arm(Kind::kBindingUpdate, now);
    EXPECT_EQ(packet(kData), Kind::kData);
    EXPECT_EQ(packet(kData), Kind::kData);
    EXPECT_EQ(packet(kUpdate), Kind::kBindingUpdate);
    EXPECT_EQ(packet(kData), Kind::kData);
}

TEST_F(SignallingSplitTest, S1_47_home_test_solicitation_and_rekeyed_data_in_the_window) {
    start(config::Technique::kHeuristic);
    update();
    data(kData);
    split->arm(Kind::kBindingUpdate, now);
    for (const std::uint32_t spi : {kHomeTest, kSolicitation, kNewData, kData}) {
        EXPECT_EQ(packet(spi), Kind::kData) << spi;
    }
    EXPECT_TRUE(split->armed());
    EXPECT_EQ(packet(kUpdate), Kind::kBindingUpdate);
    EXPECT_EQ(counters[Counter::kHeuristicMismatch], 0u);
    EXPECT_EQ(counters[Counter::kHeuristicTimeout], 0u);
}

TEST_F(SignallingSplitTest, S1_47_a_window_without_an_update_ends_and_is_counted) {
    start(config::Technique::kHeuristic);
    data(kData);
    split->arm(Kind::kBindingUpdate, now);
    const auto deadline = split->next_deadline();
    ASSERT_TRUE(deadline);
    EXPECT_EQ(*deadline, now + milliseconds{500});
    now = *deadline;
    split->expire(now);
    EXPECT_FALSE(split->armed());
    EXPECT_FALSE(split->next_deadline());
    EXPECT_EQ(counters[Counter::kHeuristicTimeout], 1u);
}

TEST_F(SignallingSplitTest, S1_B_a_candidate_that_goes_on_was_data) {
    start(config::Technique::kHeuristic);
    split->arm(Kind::kBindingUpdate, now);
    EXPECT_EQ(packet(kData), Kind::kBindingUpdate) << "nothing is known yet";
    EXPECT_EQ(packet(kData), Kind::kData);
    EXPECT_EQ(packet(kData), Kind::kData);
    EXPECT_EQ(packet(kData), Kind::kData);
    EXPECT_EQ(counters[Counter::kHeuristicMismatch], 1u);
    split->arm(Kind::kBindingUpdate, now);
    EXPECT_EQ(packet(kData), Kind::kData);
    EXPECT_EQ(packet(kUpdate), Kind::kBindingUpdate);
}

TEST_F(SignallingSplitTest, P7_solicitations_have_windows_of_their_own) {
    start(config::Technique::kHeuristic);
    update();
    data(kData);
    split->arm(Kind::kPrefixSolicitation, now);
    EXPECT_EQ(packet(kData), Kind::kData);
    EXPECT_EQ(packet(kSolicitation), Kind::kPrefixSolicitation);
    split->confirm(Kind::kPrefixSolicitation);
    split->arm(Kind::kBindingUpdate, now);
    EXPECT_EQ(packet(kUpdate), Kind::kBindingUpdate);
    EXPECT_EQ(counters[Counter::kHeuristicMismatch], 0u);
}

TEST_F(SignallingSplitTest, S1_47_rule_3_other_messages_wait_while_an_update_is_expected) {
    start(config::Technique::kHeuristic);
    MessageGate gate(*split, counters);
    const std::vector<std::uint8_t> home_test{1}, solicitation{2};
    EXPECT_TRUE(gate.pass(Kind::kData, home_test));
    split->arm(Kind::kBindingUpdate, now);
    EXPECT_FALSE(gate.pass(Kind::kData, home_test));
    EXPECT_FALSE(gate.pass(Kind::kPrefixSolicitation, solicitation));
    EXPECT_TRUE(gate.take().empty()) << "still expected";
    EXPECT_EQ(packet(kUpdate), Kind::kBindingUpdate);
    const auto waited = gate.take();
    ASSERT_EQ(waited.size(), 2u);
    EXPECT_EQ(waited[0].packet, home_test);
    EXPECT_EQ(waited[1].kind, Kind::kPrefixSolicitation);
    EXPECT_TRUE(gate.take().empty());
    EXPECT_EQ(counters[Counter::kMessageHeld], 2u);
    // Bounded, and the window's end lets them go as well.
    split->arm(Kind::kBindingUpdate, now);
    for (std::size_t i = 0; i < MessageGate::kMostHeld + 1; ++i) {
        EXPECT_FALSE(gate.pass(Kind::kData, home_test));
    }
    EXPECT_EQ(counters[Counter::kDropHeldMessage], 1u);
    now += milliseconds{500};
    split->expire(now);
    EXPECT_EQ(gate.take().size(), MessageGate::kMostHeld);
}

TEST_F(SignallingSplitTest, S1_47_rule_3_technique_api_holds_nothing_back) {
    start(config::Technique::kApi);
    MessageGate gate(*split, counters);
    split->arm(Kind::kBindingUpdate, now);
    EXPECT_TRUE(gate.pass(Kind::kData, std::vector<std::uint8_t>{1}));
}

TEST_F(SignallingSplitTest, without_esp_nothing_is_awaited) {
    start(config::Technique::kHeuristic);
    split->arm(Kind::kBindingUpdate, now);
    split->disarm(Kind::kBindingUpdate);
    EXPECT_FALSE(split->armed());
}

}  // namespace
}  // namespace homeport::mobile_node

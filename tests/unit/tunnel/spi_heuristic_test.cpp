// SPDX-License-Identifier: BSD-3-Clause
// Table S1-B line by line, and rules 1 to 4 of S1.47 with other messages in the armed window.
#include "dataplane/tunnel/spi_heuristic.hpp"

#include <gtest/gtest.h>

namespace homeport::tunnel {
namespace {

constexpr std::uint32_t kUpdate = 0x1000;
constexpr std::uint32_t kData = 0x2000;
constexpr std::uint32_t kHomeTest = 0x3000;         // return routability has an SA of its own
constexpr std::uint32_t kPrefixDiscovery = 0x4000;  // and so have MPS and MPA
constexpr std::uint32_t kNewData = 0x2001;          // after a rekey

struct Heuristic : testing::Test {
    SpiHeuristic::Seen packet(std::uint32_t spi) { return heuristic.packet(spi, now, limits); }
    bool is_update(std::uint32_t spi) { return packet(spi).signalling; }
    void arm() { EXPECT_FALSE(heuristic.arm(now, limits)); }
    void use(std::uint32_t spi, unsigned packets) {
        for (unsigned i = 0; i < packets; ++i) {
            EXPECT_FALSE(is_update(spi)) << i;
        }
    }
    /// A first registration that was answered, then traffic.
    void learn() {
        arm();
        EXPECT_TRUE(is_update(kUpdate));
        heuristic.confirm();
        use(kData, 100);
    }

    SpiHeuristic::Limits limits{.timeout = 500, .min_packets = 8, .matches_to_confirm = 0};
    SpiHeuristic heuristic;
    std::uint64_t now = 10000;
};

// ------------------------------------------------------------------------------- table S1-B

TEST_F(Heuristic, S1_B_idle_packet_is_counted_and_data) {
    for (unsigned i = 1; i < 8; ++i) {
        EXPECT_FALSE(is_update(kData));
        EXPECT_FALSE(heuristic.is_data(kData, limits)) << i;
    }
    EXPECT_FALSE(is_update(kData));
    EXPECT_TRUE(heuristic.is_data(kData, limits)) << "S1.47 rule 1: 8 packets";
}

TEST_F(Heuristic, S1_B_idle_arm_opens_a_window) {
    EXPECT_FALSE(heuristic.armed());
    arm();
    EXPECT_TRUE(heuristic.armed()) << "other messages are held back";
}

TEST_F(Heuristic, S1_B_armed_known_spi_is_the_update_and_ends_the_window) {
    learn();
    EXPECT_EQ(heuristic.signalling_spi(), kUpdate);
    arm();
    EXPECT_TRUE(is_update(kUpdate));
    EXPECT_FALSE(heuristic.armed());
    now += 10000;
    EXPECT_FALSE(heuristic.expire(now)) << "the timer is off";
}

TEST_F(Heuristic, S1_B_armed_data_spi_goes_the_old_way_and_the_window_stays) {
    learn();
    arm();
    for (unsigned i = 0; i < 1000; ++i) EXPECT_FALSE(is_update(kData));
    EXPECT_TRUE(heuristic.armed());
    EXPECT_TRUE(is_update(kUpdate));
}

TEST_F(Heuristic, S1_B_armed_spi_of_neither_set_is_the_candidate) {
    use(kData, 8);
    arm();
    EXPECT_FALSE(is_update(kData));
    EXPECT_TRUE(is_update(kUpdate));
    EXPECT_FALSE(heuristic.armed());
    EXPECT_EQ(heuristic.candidate(), kUpdate);
    EXPECT_EQ(heuristic.signalling_spi(), 0u);
}

TEST_F(Heuristic, S1_B_armed_timer_tells_not_seen_and_goes_idle) {
    arm();
    now += 499;
    EXPECT_FALSE(heuristic.expire(now));
    EXPECT_TRUE(heuristic.armed());
    ++now;
    EXPECT_TRUE(heuristic.expire(now));
    EXPECT_FALSE(heuristic.armed());
    EXPECT_FALSE(heuristic.expire(now)) << "told once";
    EXPECT_FALSE(is_update(kUpdate)) << "too late";
}

TEST_F(Heuristic, S1_B_the_timer_is_noticed_by_the_next_packet_or_message_too) {
    arm();
    now += 500;
    const auto seen = packet(kUpdate);
    EXPECT_TRUE(seen.timeout);
    EXPECT_FALSE(seen.signalling);
    arm();
    now += 500;
    EXPECT_TRUE(heuristic.arm(now, limits));
    EXPECT_TRUE(is_update(kUpdate));
}

TEST_F(Heuristic, S1_B_candidate_and_a_valid_answer_make_the_spi_known) {
    arm();
    EXPECT_TRUE(is_update(kUpdate));
    heuristic.confirm();
    EXPECT_EQ(heuristic.signalling_spi(), kUpdate);
    EXPECT_EQ(heuristic.candidate(), 0u);
    heuristic.confirm();
    EXPECT_EQ(heuristic.signalling_spi(), kUpdate) << "an answer without a candidate is nothing";
}

TEST_F(Heuristic, S1_B_candidate_is_preferred_by_a_retransmission) {
    arm();
    EXPECT_TRUE(is_update(kUpdate));
    now += 1000;
    arm();
    EXPECT_EQ(heuristic.candidate(), kUpdate);
    EXPECT_FALSE(is_update(kHomeTest));
    EXPECT_TRUE(is_update(kUpdate));
}

TEST_F(Heuristic, S1_B_candidate_with_more_than_two_packets_unarmed_was_data) {
    arm();
    EXPECT_TRUE(is_update(kData));  // a mistake
    EXPECT_FALSE(packet(kData).mismatch);
    EXPECT_FALSE(packet(kData).mismatch);
    EXPECT_TRUE(packet(kData).mismatch);
    EXPECT_EQ(heuristic.candidate(), 0u);
    EXPECT_TRUE(heuristic.is_data(kData, limits)) << "S1.47 rule 1: learned as data";
    EXPECT_FALSE(packet(kData).mismatch) << "told once";
    arm();
    EXPECT_FALSE(is_update(kData));
    EXPECT_TRUE(is_update(kUpdate));
}

// --------------------------------------------------------------------------------------- S1.47

TEST_F(Heuristic, S1_47_home_test_init_in_the_window_is_not_the_update) {
    learn();
    arm();
    EXPECT_FALSE(is_update(kHomeTest));
    EXPECT_TRUE(heuristic.armed());
    EXPECT_TRUE(is_update(kUpdate)) << "rule 2";
}

TEST_F(Heuristic, S1_47_prefix_solicitation_in_the_window_is_not_the_update) {
    learn();
    arm();
    EXPECT_FALSE(is_update(kPrefixDiscovery));
    EXPECT_TRUE(is_update(kUpdate));
}

TEST_F(Heuristic, S1_47_data_that_was_rekeyed_in_the_window_is_not_the_update) {
    learn();
    arm();
    use(kData, 3);
    use(kNewData, 50);
    EXPECT_TRUE(is_update(kUpdate));
    arm();
    use(kNewData, 3);
    use(kHomeTest, 1);
    use(kPrefixDiscovery, 1);
    EXPECT_TRUE(is_update(kUpdate));
}

TEST_F(Heuristic, S1_47_rule_2_all_of_them_while_the_answer_is_still_awaited) {
    arm();
    EXPECT_TRUE(is_update(kUpdate));
    now += 1000;
    arm();
    EXPECT_FALSE(is_update(kHomeTest));
    EXPECT_FALSE(is_update(kNewData));
    EXPECT_FALSE(is_update(kPrefixDiscovery));
    EXPECT_TRUE(is_update(kUpdate));
}

TEST_F(Heuristic, S1_47_a_rekeyed_update_is_found_by_its_retransmission) {
    learn();
    constexpr std::uint32_t kNewUpdate = 0x1001;
    arm();
    EXPECT_FALSE(is_update(kNewUpdate)) << "could be anything";
    now += 500;
    EXPECT_TRUE(heuristic.expire(now));
    now += 500;
    arm();
    use(kData, 10);
    EXPECT_TRUE(is_update(kNewUpdate));
    heuristic.confirm();
    EXPECT_EQ(heuristic.signalling_spi(), kNewUpdate);
}

TEST_F(Heuristic, S1_47_a_window_in_which_nothing_else_came_unlearns_nothing) {
    learn();
    for (unsigned i = 0; i < 5; ++i) {
        arm();
        use(kData, 10);
        now += 1000;
        EXPECT_TRUE(heuristic.expire(now));
    }
    EXPECT_EQ(heuristic.signalling_spi(), kUpdate);
}

TEST_F(Heuristic, S1_47_a_wrong_confirmation_is_undone) {
    arm();
    EXPECT_TRUE(is_update(kData));  // cold, and data came first
    heuristic.confirm();            // the update took the old way, and arrived all the same
    unsigned mismatches = 0;
    for (unsigned i = 0; i < 20; ++i) mismatches += packet(kData).mismatch ? 1 : 0;
    EXPECT_EQ(mismatches, 1u);
    EXPECT_EQ(heuristic.signalling_spi(), 0u);
    arm();
    EXPECT_FALSE(is_update(kData));
    EXPECT_TRUE(is_update(kUpdate));
}

TEST_F(Heuristic, S1_47_rule_4_one_match_a_window) {
    learn();
    arm();
    EXPECT_TRUE(is_update(kUpdate));
    EXPECT_FALSE(is_update(kUpdate)) << "a second one was not announced";
    arm();
    arm();
    EXPECT_TRUE(is_update(kUpdate));
    EXPECT_TRUE(is_update(kUpdate)) << "two were announced";
    EXPECT_FALSE(heuristic.armed());
    for (unsigned i = 0; i < 100; ++i) arm();
    unsigned matches = 0;
    for (unsigned i = 0; i < 100; ++i) matches += is_update(kUpdate) ? 1 : 0;
    EXPECT_EQ(matches, SpiHeuristic::kMostArmed) << "bounded";
}

TEST_F(Heuristic, S1_47_one_that_passed_unsealed_is_awaited_no_longer) {
    arm();
    heuristic.disarm();
    EXPECT_FALSE(heuristic.armed());
    EXPECT_FALSE(is_update(kData));
    heuristic.disarm();
    EXPECT_FALSE(heuristic.armed());
}

TEST_F(Heuristic, the_set_of_data_is_bounded_and_keeps_what_is_used_most) {
    use(kData, 200);
    for (std::uint32_t spi = 1; spi < 1000; ++spi) use(0x10000 + spi, 1 + spi % 3);
    EXPECT_TRUE(heuristic.is_data(kData, limits));
    arm();
    EXPECT_FALSE(is_update(kData));
    EXPECT_TRUE(is_update(kUpdate));
}

// --------------------------------------------------------------------------------------- S1.48

TEST_F(Heuristic, S1_48_cold_start_the_first_packet_in_the_window_is_the_update) {
    arm();
    EXPECT_TRUE(is_update(kUpdate));
    use(kHomeTest, 1);
    use(kData, 1000);
    EXPECT_EQ(heuristic.candidate(), kUpdate);
}

TEST_F(Heuristic, S1_18_where_nobody_answers_two_windows_confirm) {
    limits.matches_to_confirm = 2;
    arm();
    EXPECT_TRUE(is_update(kUpdate));
    EXPECT_EQ(heuristic.signalling_spi(), 0u);
    use(kData, 20);
    arm();
    EXPECT_TRUE(is_update(kUpdate));
    EXPECT_EQ(heuristic.signalling_spi(), kUpdate);
}

}  // namespace
}  // namespace homeport::tunnel

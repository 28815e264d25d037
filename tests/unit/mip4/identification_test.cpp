// SPDX-License-Identifier: BSD-3-Clause
// Replay protection (RFC 5944 section 5.7; mipv4.md section 6).
#include "controlplane/mip4/identification.hpp"

#include <gtest/gtest.h>

namespace homeport::mip4 {
namespace {

constexpr NtpTime seconds(std::uint64_t count) {
    return count << 32;
}
constexpr NtpTime kNow = seconds(3'900'000'000) | 0x80000000;

SecurityAssociation with(ReplayStyle style) {
    SecurityAssociation one;
    one.replay = style;
    return one;
}

TEST(Identification, ntp_counts_from_1900) {
    const auto epoch = std::chrono::system_clock::time_point{};
    EXPECT_EQ(ntp_time(epoch), seconds(2'208'988'800));
    EXPECT_EQ(ntp_time(epoch + std::chrono::milliseconds(1500)),
              seconds(2'208'988'801) | 0x80000000);
}

TEST(Identification, timestamps_inside_the_window_are_valid_and_echoed_whole) {
    const auto association = with(ReplayStyle::kTimestamps);
    for (const NtpTime offset : {seconds(0), seconds(7), ~seconds(7) + 1}) {
        IdentificationState state;
        const auto verdict = judge_identification(association, state, kNow + offset, kNow, 1);
        EXPECT_TRUE(verdict.is_valid);
        EXPECT_EQ(verdict.reply, kNow + offset);
        EXPECT_EQ(state.last_timestamp, kNow + offset);
    }
}

TEST(Identification, timestamps_outside_get_our_seconds_and_their_low_half) {
    const auto association = with(ReplayStyle::kTimestamps);
    for (const NtpTime wrong : {kNow + seconds(7) + 1, kNow - seconds(7) - 1, NtpTime{0x1234}}) {
        IdentificationState state;
        const auto verdict = judge_identification(association, state, wrong, kNow, 1);
        EXPECT_FALSE(verdict.is_valid);
        EXPECT_EQ(verdict.reply >> 32, kNow >> 32);
        EXPECT_EQ(verdict.reply & 0xffffffff, wrong & 0xffffffff);
        EXPECT_EQ(state, IdentificationState{});
    }
}

TEST(Identification, a_timestamp_is_good_once_and_must_grow) {
    const auto association = with(ReplayStyle::kTimestamps);
    IdentificationState state;
    EXPECT_TRUE(judge_identification(association, state, kNow, kNow, 1).is_valid);
    EXPECT_FALSE(judge_identification(association, state, kNow, kNow, 1).is_valid);
    EXPECT_FALSE(judge_identification(association, state, kNow - 1, kNow, 1).is_valid);
    EXPECT_TRUE(judge_identification(association, state, kNow + 1, kNow, 1).is_valid);
}

TEST(Identification, timestamps_go_on_behind_the_wrap_of_2036) {
    const auto association = with(ReplayStyle::kTimestamps);
    IdentificationState state;
    EXPECT_TRUE(judge_identification(association, state, ~NtpTime{0}, ~NtpTime{0}, 1).is_valid);
    EXPECT_TRUE(judge_identification(association, state, seconds(1), seconds(1), 1).is_valid);
    EXPECT_FALSE(judge_identification(association, state, ~NtpTime{0}, seconds(1), 1).is_valid);
}

TEST(Identification, nonces_are_given_out_and_good_for_one_request) {
    const auto association = with(ReplayStyle::kNonces);
    IdentificationState state;
    const auto first = judge_identification(association, state, 0xaaaa'0000'0001, kNow, 0x11);
    EXPECT_FALSE(first.is_valid);
    EXPECT_EQ(first.reply, seconds(0x11) | 1);
    const auto second = judge_identification(association, state, seconds(0x11) | 2, kNow, 0x22);
    EXPECT_TRUE(second.is_valid);
    EXPECT_EQ(second.reply, seconds(0x22) | 2);
    EXPECT_FALSE(judge_identification(association, state, seconds(0x11) | 2, kNow, 0x33).is_valid);
    EXPECT_TRUE(judge_identification(association, state, seconds(0x33) | 9, kNow, 0x44).is_valid);
}

TEST(Identification, the_nonce_zero_is_never_given_out) {
    const auto association = with(ReplayStyle::kNonces);
    IdentificationState state;
    EXPECT_EQ(judge_identification(association, state, 5, kNow, 0).reply >> 32, 1u);
    // Nothing was given out yet: a zero is no answer to it.
    IdentificationState fresh;
    EXPECT_FALSE(judge_identification(association, fresh, 5, kNow, 9).is_valid);
}

}  // namespace
}  // namespace homeport::mip4

// SPDX-License-Identifier: BSD-3-Clause
// The state table S2-DET row by row, and its promises over random events: S2.45, S2.48, S2.50,
// S2.52 and S2.96 hold after each step.
#include "controlplane/mip4/network_detection.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace homeport::mip4 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Interface {
  public:
    explicit Interface(DetectionConfig config = {}) : detection(config) {}

    void operator()(DetectionActions taken) { actions = std::move(taken); }
    template <class T>
    [[nodiscard]] bool did(const T& what) const {
        return std::ranges::find(actions, DetectionAction{what}) != actions.end();
    }
    [[nodiscard]] bool asked(Leg leg) const { return did(SendRequest{leg, false}); }
    [[nodiscard]] bool deregistered_outside() const {
        return did(SendRequest{Leg::kExternal, true});
    }
    void pass(Duration time) {
        now += time;
        (*this)(detection.tick(now));
    }
    void up() { (*this)(detection.status_changed(true, now)); }
    void inside_answers(bool trusted = true, seconds lifetime = seconds(600)) {
        (*this)(detection.internal_reply({true, true, trusted, lifetime}, now));
    }
    void inside_refuses() { (*this)(detection.internal_reply({false, true, true, {}}, now)); }
    void vpn_answers(seconds lifetime = seconds(600)) {
        (*this)(detection.internal_reply({true, false, true, lifetime}, now));
    }
    void outside_answers(seconds lifetime = seconds(600)) {
        (*this)(detection.external_reply({true, lifetime}, now));
    }
    void vpn_comes_up() { (*this)(detection.vpn_up(now)); }
    [[nodiscard]] NetworkState state() const { return detection.state(); }
    [[nodiscard]] UserData data() const { return detection.user_data(now); }

    void be_outside() {
        up();
        outside_answers();
        pass(seconds(2));
        vpn_comes_up();
        vpn_answers();
        ASSERT_EQ(state(), NetworkState::kOutside);
    }
    void be_inside() {
        up();
        inside_answers();
        ASSERT_EQ(state(), NetworkState::kInside);
    }

    TimePoint now{std::chrono::hours(1)};
    NetworkDetection detection;
    DetectionActions actions;
};

TEST(NetworkDetection, S2_60_both_home_agents_are_asked_at_once_and_again) {
    Interface one;
    EXPECT_EQ(one.data(), UserData::kNone);
    one.up();
    EXPECT_EQ(one.state(), NetworkState::kDetect);
    EXPECT_TRUE(one.asked(Leg::kInternalDirect));
    EXPECT_TRUE(one.asked(Leg::kExternal));
    one.pass(milliseconds(999));
    EXPECT_TRUE(one.actions.empty());
    one.pass(milliseconds(1));
    EXPECT_TRUE(one.asked(Leg::kInternalDirect) && one.asked(Leg::kExternal));
    one.pass(seconds(1));
    EXPECT_TRUE(one.actions.empty());  // the second wait is twice the first
    one.pass(seconds(1));
    EXPECT_TRUE(one.asked(Leg::kInternalDirect) && one.asked(Leg::kExternal));
    EXPECT_EQ(one.data(), UserData::kNone);
}

TEST(NetworkDetection, S2_64_S2_66_a_direct_answer_of_the_internal_home_agent_means_inside) {
    Interface one;
    one.up();
    one.inside_answers();
    EXPECT_EQ(one.state(), NetworkState::kInside);
    EXPECT_EQ(one.data(), UserData::kPlaintext);
    EXPECT_FALSE(one.deregistered_outside());
    one.pass(seconds(40));
    EXPECT_TRUE(one.actions.empty());  // nobody is asked any more
}

TEST(NetworkDetection, S2_93_an_answer_without_trusted_networks_is_not_inside) {
    Interface one;
    one.up();
    one.inside_answers(false);
    EXPECT_EQ(one.state(), NetworkState::kDetect);
    EXPECT_EQ(one.data(), UserData::kNone);
    EXPECT_TRUE(one.asked(Leg::kExternal));
    one.pass(seconds(10));
    EXPECT_FALSE(one.asked(Leg::kInternalDirect));
    one.outside_answers();
    EXPECT_EQ(one.state(), NetworkState::kVpnSetup);

    Interface other;
    other.up();
    other.outside_answers();
    other.inside_answers(false);
    EXPECT_EQ(other.state(), NetworkState::kVpnSetup);
    EXPECT_TRUE(other.did(StartVpn{}));
}

TEST(NetworkDetection, S2_90_ff_profile_draft02_needs_no_trusted_networks) {
    Interface one({.profile = Profile::kDraft02});
    one.up();
    one.inside_answers(false);
    EXPECT_EQ(one.state(), NetworkState::kInside);
}

TEST(NetworkDetection, S2_61_S2_62_the_internal_home_agent_is_asked_on_for_a_while) {
    Interface one;
    one.up();
    one.outside_answers();
    EXPECT_EQ(one.state(), NetworkState::kExternalTentative);
    EXPECT_FALSE(one.did(StartVpn{}));  // S2.63
    one.pass(seconds(1));
    EXPECT_TRUE(one.asked(Leg::kInternalDirect));
    EXPECT_FALSE(one.asked(Leg::kExternal));
    one.pass(seconds(1));
    EXPECT_EQ(one.state(), NetworkState::kVpnSetup);
    EXPECT_TRUE(one.did(StartVpn{}));
    EXPECT_EQ(one.data(), UserData::kNone);
}

TEST(NetworkDetection, S2_65_inside_after_all_deregisters_from_the_external_home_agent) {
    Interface one;
    one.up();
    one.outside_answers();
    one.inside_answers();
    EXPECT_EQ(one.state(), NetworkState::kInside);
    EXPECT_TRUE(one.deregistered_outside());
    // S2.67: the answer to it is none, a late one is.
    one.outside_answers(seconds(0));
    EXPECT_TRUE(one.actions.empty());
    one.outside_answers();
    EXPECT_TRUE(one.deregistered_outside());
    EXPECT_EQ(one.data(), UserData::kPlaintext);
}

TEST(NetworkDetection, S2_72_no_wait_where_the_external_home_agent_is_out_of_reach_from_inside) {
    Interface one({.detect_period = milliseconds(0)});
    one.up();
    one.outside_answers();
    EXPECT_EQ(one.state(), NetworkState::kVpnSetup);
    one.inside_answers();
    EXPECT_EQ(one.state(), NetworkState::kInside);
    EXPECT_TRUE(one.did(SuspendVpn{}));
}

TEST(NetworkDetection, S2_78_a_hint_of_the_outside_ends_the_wait) {
    Interface one;
    one.up();
    one.outside_answers();
    one(one.detection.believe(Belief::kOutside, one.now));
    EXPECT_EQ(one.state(), NetworkState::kVpnSetup);
    // S2.77: the internal home agent is asked on all the same, for the detection period.
    one.pass(seconds(1));
    EXPECT_TRUE(one.asked(Leg::kInternalDirect));
    one.inside_answers();
    EXPECT_EQ(one.state(), NetworkState::kInside);
}

TEST(NetworkDetection, S2_78_who_believes_to_be_outside_starts_the_VPN_right_after_the_answer) {
    Interface one;
    one(one.detection.believe(Belief::kOutside, one.now));
    one.up();
    EXPECT_TRUE(one.asked(Leg::kInternalDirect));  // S2.77
    EXPECT_TRUE(one.asked(Leg::kExternal));
    one.outside_answers();
    EXPECT_EQ(one.state(), NetworkState::kVpnSetup);
    EXPECT_TRUE(one.did(StartVpn{}));
    EXPECT_EQ(one.data(), UserData::kNone);
    one.pass(seconds(3));
    one.pass(seconds(60));
    EXPECT_FALSE(one.asked(Leg::kInternalDirect));
}

TEST(NetworkDetection, S2_78_who_believes_to_be_inside_asks_the_external_home_agent_later) {
    Interface one;
    one(one.detection.believe(Belief::kInside, one.now));
    one.up();
    EXPECT_TRUE(one.asked(Leg::kInternalDirect));
    EXPECT_FALSE(one.asked(Leg::kExternal));
    EXPECT_EQ(one.data(), UserData::kNone);  // S2.77
    one.pass(milliseconds(1999));
    EXPECT_FALSE(one.asked(Leg::kExternal));
    one.pass(milliseconds(1));
    EXPECT_TRUE(one.asked(Leg::kExternal));
    one.pass(milliseconds(999));
    EXPECT_FALSE(one.asked(Leg::kExternal));
    one.pass(milliseconds(1));
    EXPECT_TRUE(one.asked(Leg::kExternal));
    one.outside_answers();
    EXPECT_EQ(one.state(), NetworkState::kExternalTentative);
}

TEST(NetworkDetection, S2_78_a_belief_that_is_given_up_delays_nothing_any_more) {
    Interface one;
    one(one.detection.believe(Belief::kInside, one.now));
    one.up();
    one(one.detection.believe(Belief::kNone, one.now));
    EXPECT_TRUE(one.asked(Leg::kExternal));
}

TEST(NetworkDetection, S2_78_hints_do_not_shorten_the_wait_after_a_VPN_that_failed) {
    Interface one;
    one.up();
    one.outside_answers();
    one.pass(seconds(2));
    one(one.detection.vpn_failed(one.now));
    ASSERT_EQ(one.state(), NetworkState::kExternalTentative);
    one(one.detection.believe(Belief::kOutside, one.now));
    EXPECT_EQ(one.state(), NetworkState::kExternalTentative);
}

TEST(NetworkDetection, S2_95_equal_addresses_mean_outside_and_no_detection) {
    Interface one({.assume_outside = true});
    one.up();
    EXPECT_FALSE(one.asked(Leg::kInternalDirect));
    one.inside_answers();
    EXPECT_NE(one.state(), NetworkState::kInside);
    one.outside_answers();
    EXPECT_EQ(one.state(), NetworkState::kVpnSetup);
}

TEST(NetworkDetection, S2_28_three_layers_come_up_in_order) {
    Interface one;
    one.up();
    one.outside_answers();
    one.pass(seconds(2));
    EXPECT_TRUE(one.did(StartVpn{}));
    one.vpn_comes_up();
    EXPECT_EQ(one.state(), NetworkState::kVpnRegistration);
    EXPECT_TRUE(one.asked(Leg::kInternalVpn));
    EXPECT_EQ(one.data(), UserData::kNone);
    one.pass(seconds(1));
    EXPECT_TRUE(one.asked(Leg::kInternalVpn));
    one.vpn_answers();
    EXPECT_EQ(one.state(), NetworkState::kOutside);
    EXPECT_EQ(one.data(), UserData::kVpn);
    EXPECT_TRUE(one.did(ReleaseQueue{}));
}

TEST(NetworkDetection, a_vpn_that_fails_is_tried_again_later_and_later) {
    Interface one;
    one.up();
    one.outside_answers();
    one.pass(seconds(2));
    one(one.detection.vpn_failed(one.now));
    EXPECT_EQ(one.state(), NetworkState::kExternalTentative);
    EXPECT_EQ(one.detection.vpn_failures(), 1u);
    one.pass(seconds(1));
    EXPECT_TRUE(one.did(StartVpn{}));
    one(one.detection.vpn_failed(one.now));
    one.pass(seconds(1));
    EXPECT_FALSE(one.did(StartVpn{}));
    one.pass(seconds(1));
    EXPECT_TRUE(one.did(StartVpn{}));
}

TEST(NetworkDetection, S2_79_a_direct_answer_switches_inside_whatever_the_vpn_does) {
    for (int stage = 0; stage < 3; ++stage) {
        Interface one;
        one.up();
        one.outside_answers();
        one.pass(seconds(2));
        if (stage > 0) one.vpn_comes_up();
        if (stage > 1) one.vpn_answers();
        one.inside_answers();
        EXPECT_EQ(one.state(), NetworkState::kInside) << stage;
        EXPECT_TRUE(one.did(SuspendVpn{})) << stage;
        EXPECT_TRUE(one.deregistered_outside()) << stage;
        EXPECT_EQ(one.data(), UserData::kPlaintext) << stage;
    }
}

TEST(NetworkDetection, S2_37_a_move_outside_needs_the_external_registration_alone) {
    Interface one;
    one.be_outside();
    one.up();
    EXPECT_EQ(one.data(), UserData::kNone);
    EXPECT_TRUE(one.asked(Leg::kInternalDirect) && one.asked(Leg::kExternal));
    one.outside_answers();
    EXPECT_EQ(one.state(), NetworkState::kOutside);
    EXPECT_EQ(one.data(), UserData::kVpn);
    EXPECT_FALSE(one.did(StartVpn{}) || one.asked(Leg::kInternalVpn));
    // The internal home agent is asked on for the detection period, and then not.
    one.pass(seconds(1));
    EXPECT_TRUE(one.asked(Leg::kInternalDirect));
    one.pass(seconds(1));
    one.pass(seconds(20));
    EXPECT_FALSE(one.asked(Leg::kInternalDirect));
}

TEST(NetworkDetection, S2_58_outside_lifetimes_are_renewed_before_they_end) {
    Interface one;
    one.be_outside();
    one.pass(seconds(448));  // the external one began two seconds earlier
    EXPECT_TRUE(one.asked(Leg::kExternal));
    one.outside_answers();
    one.pass(seconds(2));
    EXPECT_TRUE(one.asked(Leg::kInternalVpn));
    one.vpn_answers();
    EXPECT_FALSE(one.did(ReleaseQueue{}));
    one.pass(seconds(400));
    EXPECT_EQ(one.data(), UserData::kVpn);
}

TEST(NetworkDetection, an_external_registration_that_ends_stops_data_and_starts_anew) {
    Interface one;
    one.be_outside();
    one.pass(seconds(597));
    one.vpn_answers();
    one.pass(seconds(1));
    EXPECT_EQ(one.state(), NetworkState::kDetect);
    EXPECT_EQ(one.data(), UserData::kNone);
    EXPECT_TRUE(one.asked(Leg::kExternal));
}

TEST(NetworkDetection, a_registration_behind_the_vpn_that_ends_stops_data) {
    Interface one;
    one.be_outside();
    one.pass(seconds(500));
    one.outside_answers();
    one.pass(seconds(100));
    EXPECT_EQ(one.data(), UserData::kNone);
    EXPECT_EQ(one.state(), NetworkState::kVpnRegistration);
    one.vpn_answers();
    EXPECT_EQ(one.data(), UserData::kVpn);
}

TEST(NetworkDetection, a_vpn_that_is_lost_is_set_up_anew) {
    Interface one;
    one.be_outside();
    one(one.detection.vpn_lost(one.now));
    EXPECT_EQ(one.data(), UserData::kNone);
    EXPECT_TRUE(one.did(StartVpn{}));
    one.vpn_comes_up();
    one.vpn_answers();
    EXPECT_EQ(one.data(), UserData::kVpn);
}

TEST(NetworkDetection, S2_49_S2_55_inside_is_verified_before_the_monitor_time_is_over) {
    Interface one;
    one.be_inside();
    one.pass(seconds(49));
    one(one.detection.traffic(one.now));
    EXPECT_TRUE(one.actions.empty());
    one.pass(seconds(1));
    EXPECT_TRUE(one.asked(Leg::kInternalDirect));
    one.pass(seconds(1));
    EXPECT_TRUE(one.asked(Leg::kInternalDirect));
    one.inside_answers();
    one.pass(seconds(45));
    EXPECT_EQ(one.data(), UserData::kPlaintext);
}

TEST(NetworkDetection, S2_50_S2_51_silence_of_the_internal_home_agent_stops_data_at_T_MONITOR) {
    Interface one;
    one.be_inside();
    // By time alone, whether tick() was called or not.
    EXPECT_EQ(one.detection.user_data(one.now + seconds(60)), UserData::kPlaintext);
    EXPECT_EQ(one.detection.user_data(one.now + seconds(60) + Duration(1)), UserData::kNone);
    one.pass(seconds(50));
    one.pass(seconds(10));
    EXPECT_EQ(one.state(), NetworkState::kStale);
    EXPECT_EQ(one.data(), UserData::kNone);
    EXPECT_TRUE(one.asked(Leg::kInternalDirect));
    one.inside_answers();
    EXPECT_EQ(one.data(), UserData::kPlaintext);
    EXPECT_TRUE(one.did(ReleaseQueue{}));
}

TEST(NetworkDetection, S2_70_a_stale_network_without_answers_is_detected_anew) {
    Interface one;
    one.be_inside();
    one.pass(seconds(50));
    one.pass(seconds(10));
    one.pass(seconds(1));
    one.pass(seconds(2));
    EXPECT_EQ(one.state(), NetworkState::kStale);
    one.pass(seconds(4));
    EXPECT_EQ(one.state(), NetworkState::kDetect);
    EXPECT_TRUE(one.asked(Leg::kExternal));
}

TEST(NetworkDetection, S2_69_a_refused_verification_stops_plaintext_and_starts_detection) {
    Interface one;
    one.be_inside();
    one.inside_refuses();
    EXPECT_EQ(one.state(), NetworkState::kDetect);
    EXPECT_EQ(one.data(), UserData::kNone);
}

TEST(NetworkDetection, S2_45_S2_48_a_change_of_the_link_stops_data_and_empties_the_queue) {
    Interface one;
    one.be_inside();
    one(one.detection.status_changed(false, one.now));
    EXPECT_EQ(one.state(), NetworkState::kDown);
    EXPECT_EQ(one.data(), UserData::kNone);
    EXPECT_TRUE(one.did(FlushQueue{}));
    // An answer that was under way says nothing about what is there now.
    one.inside_answers();
    EXPECT_EQ(one.data(), UserData::kNone);
    one.up();
    EXPECT_EQ(one.data(), UserData::kNone);
}

TEST(NetworkDetection, S2_56_without_traffic_nothing_is_asked_but_for_the_lifetime) {
    Interface one({.idle_after = seconds(20)});
    one.up();
    one.inside_answers(true, seconds(400));
    one.pass(seconds(20));
    EXPECT_EQ(one.state(), NetworkState::kInsideIdle);
    EXPECT_EQ(one.data(), UserData::kNone);
    one.pass(seconds(200));
    EXPECT_TRUE(one.actions.empty());
    one.pass(seconds(80));
    EXPECT_TRUE(one.asked(Leg::kInternalDirect));
    one.inside_answers(true, seconds(400));
    EXPECT_EQ(one.state(), NetworkState::kInsideIdle);
    one(one.detection.traffic(one.now));
    EXPECT_EQ(one.state(), NetworkState::kStale);
    EXPECT_TRUE(one.asked(Leg::kInternalDirect));
    EXPECT_EQ(one.data(), UserData::kNone);
    one.inside_answers();
    EXPECT_EQ(one.data(), UserData::kPlaintext);
    EXPECT_TRUE(one.did(ReleaseQueue{}));
}

TEST(NetworkDetection, S2_44_interfaces_know_nothing_of_each_other) {
    Interface inside;
    Interface outside;
    inside.be_inside();
    outside.up();
    EXPECT_EQ(inside.data(), UserData::kPlaintext);
    EXPECT_EQ(outside.data(), UserData::kNone);
    outside.be_outside();
    EXPECT_EQ(inside.data(), UserData::kPlaintext);
    EXPECT_EQ(outside.data(), UserData::kVpn);
}

TEST(NetworkDetection, T_MONITOR_is_sixty_seconds_unless_told_otherwise_S2_54) {
    EXPECT_EQ(DetectionConfig{}.monitor, seconds(60));
    Interface one({.monitor = seconds(5), .grace = seconds(1)});
    one.be_inside();
    EXPECT_EQ(one.detection.user_data(one.now + seconds(5)), UserData::kPlaintext);
    EXPECT_EQ(one.detection.user_data(one.now + milliseconds(5001)), UserData::kNone);
}

/// What was told to the state machine, kept apart from it.
struct Facts {
    std::optional<TimePoint> direct_success;  // with TNC, since the last change of the link
    std::optional<TimePoint> external_until;  // since the last change of the link
    std::optional<TimePoint> vpn_until;       // of the registration behind it
    bool vpn = false;
    bool usable = false;
};

TEST(NetworkDetection, no_user_packet_in_the_clear_but_inside_over_random_events) {
    unsigned plaintext = 0;
    unsigned through_vpn = 0;
    for (unsigned seed = 0; seed < 400; ++seed) {
        std::mt19937 random(seed);
        const auto pick = [&](unsigned count) { return static_cast<unsigned>(random() % count); };
        DetectionConfig config;
        if (pick(3) == 0) config.idle_after = seconds(20);
        if (pick(4) == 0) config.detect_period = milliseconds(0);
        Interface one(config);
        Facts facts;
        for (unsigned step = 0; step < 400; ++step) {
            bool flushed_is_due = false;
            switch (pick(12)) {
                case 0:
                    facts.direct_success.reset();
                    facts.external_until.reset();
                    facts.usable = pick(4) != 0;
                    one(one.detection.status_changed(facts.usable, one.now));
                    flushed_is_due = true;
                    break;
                case 1:
                case 2:
                    one.inside_answers();
                    if (facts.usable) facts.direct_success = one.now;
                    break;
                case 3:
                    one.inside_answers(false);
                    break;
                case 4:
                    one.inside_refuses();
                    break;
                case 5:
                case 6:
                    one.outside_answers(seconds(100));
                    if (facts.usable) facts.external_until = one.now + seconds(100);
                    break;
                case 7:
                    one.vpn_comes_up();
                    facts.vpn = true;
                    break;
                case 8:
                    if (pick(3) != 0) break;
                    one(pick(2) == 0 ? one.detection.vpn_lost(one.now)
                                     : one.detection.vpn_failed(one.now));
                    facts.vpn = false;
                    facts.vpn_until.reset();
                    break;
                case 9:
                    one.vpn_answers(seconds(100));
                    if (facts.vpn) facts.vpn_until = one.now + seconds(100);
                    break;
                case 10:
                    one(one.detection.traffic(one.now));
                    break;
                default:
                    one.pass(milliseconds(pick(20'000)));
                    break;
            }
            const auto where = [&] {
                return "seed " + std::to_string(seed) + " step " + std::to_string(step) +
                       " state " + std::string(to_string(one.state()));
            };
            if (flushed_is_due) {  // S2.45, S2.52
                EXPECT_TRUE(one.did(FlushQueue{})) << where();
                EXPECT_EQ(one.data(), UserData::kNone) << where();
            }
            if (one.did(ReleaseQueue{})) {  // S2.52
                EXPECT_NE(one.data(), UserData::kNone) << where();
            }
            // Also between two calls.
            for (const Duration later :
                 {Duration(0), Duration(seconds(30)), Duration(seconds(61))}) {
                const TimePoint at = one.now + later;
                const UserData data = one.detection.user_data(at);
                if (data == UserData::kPlaintext) {  // S2.48, S2.50, S2.96
                    ++plaintext;
                    ASSERT_TRUE(facts.usable && facts.direct_success) << where();
                    ASSERT_LE(at - *facts.direct_success, seconds(60)) << where();
                }
                if (data == UserData::kVpn) {  // S2.47
                    ++through_vpn;
                    ASSERT_TRUE(facts.vpn && facts.vpn_until && facts.external_until) << where();
                    ASSERT_GE(*facts.vpn_until, at) << where();
                    ASSERT_GE(*facts.external_until, at) << where();
                }
            }
        }
    }
    // The events did lead there.
    EXPECT_GT(plaintext, 1000u);
    EXPECT_GT(through_vpn, 1000u);
}

}  // namespace
}  // namespace homeport::mip4

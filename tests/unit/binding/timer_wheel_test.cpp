// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace homeport::binding {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

class TimerWheelTest : public testing::Test {
  protected:
    std::vector<TimerWheel::Id> due_at(TimePoint now) {
        std::vector<TimerWheel::Id> due;
        wheel.advance(now, due);
        return due;
    }
    using Ids = std::vector<TimerWheel::Id>;

    TimePoint t0{hours{1000}};
    TimerWheel wheel{t0};
};

TEST_F(TimerWheelTest, fires_at_the_deadline_and_not_before) {
    wheel.schedule(0, t0 + seconds{10});
    EXPECT_EQ(due_at(t0 + milliseconds{9999}), Ids{});
    EXPECT_EQ(due_at(t0 + seconds{10}), Ids{0});
    EXPECT_EQ(due_at(t0 + hours{1}), Ids{});
    EXPECT_EQ(wheel.size(), 0u);
}

TEST_F(TimerWheelTest, is_at_most_one_granularity_late) {
    wheel.schedule(0, t0 + milliseconds{1001});
    EXPECT_EQ(due_at(t0 + milliseconds{1050}), Ids{});
    EXPECT_EQ(due_at(t0 + milliseconds{1100}), Ids{0});
}

TEST_F(TimerWheelTest, rescheduling_moves_and_cancelling_removes) {
    wheel.schedule(0, t0 + seconds{1});
    wheel.schedule(1, t0 + seconds{1});
    wheel.schedule(0, t0 + seconds{2});
    wheel.cancel(1);
    wheel.cancel(7);
    EXPECT_FALSE(wheel.is_scheduled(1));
    EXPECT_EQ(due_at(t0 + milliseconds{1900}), Ids{});
    EXPECT_EQ(due_at(t0 + seconds{2}), Ids{0});
}

TEST_F(TimerWheelTest, a_deadline_in_the_past_fires_with_the_next_tick) {
    EXPECT_EQ(due_at(t0 + seconds{5}), Ids{});
    wheel.schedule(3, t0);
    EXPECT_EQ(due_at(t0 + seconds{5} + milliseconds{100}), Ids{3});
}

TEST_F(TimerWheelTest, going_back_in_time_does_nothing) {
    wheel.schedule(0, t0 + seconds{10});
    EXPECT_EQ(due_at(t0 + seconds{9}), Ids{});
    EXPECT_EQ(due_at(t0 + seconds{1}), Ids{});
    EXPECT_EQ(due_at(t0 - seconds{1}), Ids{});
    EXPECT_EQ(due_at(t0 + seconds{10}), Ids{0});
}

TEST_F(TimerWheelTest, one_jump_fires_timers_of_all_levels_in_order) {
    const seconds deadlines[] = {seconds{1}, seconds{7}, seconds{500}, seconds{30'000},
                                 seconds{262'140}};
    for (TimerWheel::Id id = 0; id < 5; ++id) wheel.schedule(id, t0 + deadlines[id]);
    EXPECT_EQ(due_at(t0 + seconds{262'140}), (Ids{0, 1, 2, 3, 4}));
}

TEST_F(TimerWheelTest, next_deadline_is_never_late_and_leads_to_each_timer) {
    EXPECT_EQ(wheel.next_deadline(), std::nullopt);
    wheel.schedule(0, t0 + seconds{100'000});
    unsigned wakes = 0;
    Ids due;
    while (due.empty()) {
        const auto next = wheel.next_deadline();
        ASSERT_TRUE(next.has_value());
        ASSERT_LE(*next, t0 + seconds{100'000});
        due = due_at(*next);
        ASSERT_LT(++wakes, 10u) << "one wake a level is enough";
    }
    EXPECT_EQ(wheel.next_deadline(), std::nullopt);
}

TEST_F(TimerWheelTest, deadlines_beyond_the_horizon_are_held) {
    wheel.schedule(0, TimePoint::max());
    EXPECT_EQ(due_at(t0 + hours{24 * 365}), Ids{});
    EXPECT_TRUE(wheel.is_scheduled(0));
}

TEST_F(TimerWheelTest, agrees_with_a_sorted_list_over_random_operations) {
    std::mt19937 random(7);
    std::multimap<TimePoint, TimerWheel::Id> expected;
    std::map<TimerWheel::Id, std::multimap<TimePoint, TimerWheel::Id>::iterator> where;
    TimePoint now = t0;
    for (int round = 0; round < 20'000; ++round) {
        const auto id = static_cast<TimerWheel::Id>(random() % 200);
        const auto known = where.find(id);
        if (known != where.end()) {
            expected.erase(known->second);
            where.erase(known);
        }
        if (random() % 4 == 0) {
            wheel.cancel(id);
        } else {
            const unsigned range = 1u << (random() % 20);
            const TimePoint deadline = now + milliseconds{100 * (1 + random() % range)};
            wheel.schedule(id, deadline);
            where[id] = expected.emplace(deadline, id);
        }
        if (random() % 8 != 0) continue;
        now += milliseconds{100 * (random() % (1u << (random() % 14)))};
        Ids due = due_at(now);
        Ids wanted;
        while (!expected.empty() && expected.begin()->first <= now) {
            wanted.push_back(expected.begin()->second);
            where.erase(expected.begin()->second);
            expected.erase(expected.begin());
        }
        std::ranges::sort(due);
        std::ranges::sort(wanted);
        ASSERT_EQ(due, wanted) << "round " << round;
        ASSERT_EQ(wheel.size(), expected.size());
        const auto next = wheel.next_deadline();
        ASSERT_EQ(next.has_value(), !expected.empty());
        if (next) {
            ASSERT_LE(*next, expected.begin()->first);
        }
    }
}

}  // namespace
}  // namespace homeport::binding

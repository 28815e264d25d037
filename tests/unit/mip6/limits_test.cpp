// SPDX-License-Identifier: BSD-3-Clause
// Rates of binding updates per node and in all; excess is silence, and nothing grows without bound.
#include "controlplane/mip6/rate_limiter.hpp"

#include <gtest/gtest.h>

#include "tests/unit/mip6/home_agent_fixture.hpp"

namespace homeport::mip6 {
namespace {

using test::v6;

class Limits : public HomeAgentTest {};

TEST_F(Limits, rate_per_node_is_silence_and_recovers) {
    config.bu_rate_node = {1, 3};
    restart(config);
    std::uint16_t sequence = 0;
    for (int i = 0; i < 3; ++i) expect_status(update(++sequence), 0);
    expect_drop(update(++sequence), Counter::kBuRateLimitedNode);
    EXPECT_EQ(entry().sequence, 3) << "what was not looked at changes nothing";
    now += seconds{1};
    expect_status(update(++sequence), 0);
    Update other = update(1);
    other.home_address = v6("2001:db8:1::101");
    expect_status(other, 0);
}

TEST_F(Limits, home_addresses_of_one_node_share_its_rate) {
    const Ipv6Address second = v6("2001:db8:1::101");
    config.nodes = {{.identity = "n", .home_addresses = {kHoa, second}}};
    config.bu_rate_node = {1, 2};
    restart(config);
    expect_status(update(1), 0);
    Update made = update(1);
    made.home_address = second;
    expect_status(made, 0);
    expect_drop(update(2), Counter::kBuRateLimitedNode);
}

TEST_F(Limits, rate_in_all) {
    config.bu_rate_all = {10, 5};
    restart(config);
    for (unsigned i = 0; i < 5; ++i) {
        Update made = update(1);
        made.home_address.bytes[15] = static_cast<std::uint8_t>(i + 2);
        expect_status(made, 0);
    }
    expect_drop(update(1), Counter::kBuRateLimitedAll);
    now += milliseconds{100};
    expect_status(update(1), 0);
}

TEST_F(Limits, refreshes_pass_before_new_registrations_when_the_rate_is_used_up) {
    config.bu_rate_all = {10, 8};
    restart(config);
    for (unsigned i = 0; i < 8; ++i) {
        Update made = update(1);
        made.home_address.bytes[15] = static_cast<std::uint8_t>(i + 2);
        expect_status(made, 0);
    }
    Update fresh = update(1);
    fresh.home_address.bytes[15] = 0x77;
    expect_drop(fresh, Counter::kBuRateLimitedAll);
    const auto refresh = [&](unsigned i) {
        Update made = update(2);
        made.home_address.bytes[15] = static_cast<std::uint8_t>(i + 2);
        return made;
    };
    expect_status(refresh(0), 0);
    expect_status(refresh(1), 0);
    expect_drop(refresh(2), Counter::kBuRateLimitedAll);
    now += milliseconds{200};  // pays what was taken in advance
    expect_drop(fresh, Counter::kBuRateLimitedAll);
    expect_status(refresh(2), 0);
    now += milliseconds{200};
    expect_status(fresh, 0);
}

TEST(TokenBucket, an_advance_is_paid_back) {
    binding::TimePoint now{seconds{1000}};
    TokenBucket bucket(1, 2);
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(bucket.take(now, 2));
    EXPECT_FALSE(bucket.take(now, 2));
    now += seconds{2};
    EXPECT_FALSE(bucket.take(now));
    now += seconds{1};
    EXPECT_TRUE(bucket.take(now));
}

TEST_F(Limits, repeated_old_ones_do_not_silence_the_node_itself) {
    config.bu_rate_node = {1, 2};
    config.bu_rate_all = {1, 3};
    restart(config);
    expect_status(update(7), 0);
    for (int i = 0; i < 2; ++i) expect_status(update(7), 135);
    for (int i = 0; i < 20; ++i) expect_drop(update(7), Counter::kBuRateLimitedNode);
    expect_status(update(8), 0);
}

TEST_F(Limits, dropped_ones_cost_no_tokens_of_the_checks_before) {
    config.bu_rate_node = {1, 1};
    restart(config);
    Update proxy = update(1);
    proxy.message.proxy_registration = true;
    for (int i = 0; i < 5; ++i) expect_drop(proxy, Counter::kBuProxy);
    expect_status(update(1), 0);
}

TEST(TokenBucket, fills_up_to_its_depth_and_no_further) {
    binding::TimePoint now{seconds{1000}};
    TokenBucket bucket(2, 3);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(now));
    EXPECT_FALSE(bucket.take(now));
    now += milliseconds{499};
    EXPECT_FALSE(bucket.take(now));
    now += milliseconds{2};
    EXPECT_TRUE(bucket.take(now));
    now += std::chrono::hours{1};
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(bucket.take(now));
    EXPECT_FALSE(bucket.take(now));
}

TEST(KeyedTokenBuckets, number_of_keys_is_bounded_and_the_oldest_goes) {
    const binding::TimePoint now{seconds{1000}};
    KeyedTokenBuckets<Ipv6Address> buckets(1, 1, 100);
    for (unsigned i = 0; i < 10'000; ++i) {
        Ipv6Address key;
        store_be32(key.bytes.data(), i);
        EXPECT_TRUE(buckets.take(key, now));
        EXPECT_FALSE(buckets.take(key, now));
    }
    EXPECT_EQ(buckets.size(), 100u);
    Ipv6Address recent;
    store_be32(recent.bytes.data(), 9'990);
    EXPECT_FALSE(buckets.take(recent, now)) << "still known";
}

TEST_F(Limits, a_flood_of_new_home_addresses_leaves_no_more_than_the_limit) {
    config.limits.bindings = 50;
    config.bu_rate_all = {1e6, 1e6};
    restart(config);
    for (unsigned i = 0; i < 1000; ++i) {
        Update made = real(1);
        store_be32(made.home_address.bytes.data() + 12, 0x10000 + i);
        (void)send(made);
    }
    EXPECT_EQ(agent.bindings().size(), 50u);
    now += seconds{6};
    (void)agent.tick(now);
    EXPECT_EQ(agent.bindings().size(), 0u) << "no verdict came";
}

}  // namespace
}  // namespace homeport::mip6

// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/base/ipv4_pool.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/wire/hex.hpp"

namespace homeport {
namespace {

using test::v4;

TEST(Ipv4PoolTest, each_address_is_given_once_and_then_none) {
    for (const char* last : {"10.0.0.1", "10.0.0.63", "10.0.0.64", "10.0.0.65", "10.0.0.200"}) {
        Ipv4Pool pool(v4("10.0.0.1"), v4(last));
        std::set<Ipv4Address> given;
        while (const auto address = pool.next_free()) {
            ASSERT_TRUE(pool.contains(*address));
            ASSERT_FALSE(pool.is_taken(*address));
            pool.take(*address);
            ASSERT_TRUE(given.insert(*address).second) << address->to_string();
            ASSERT_LE(given.size(), pool.size());
        }
        EXPECT_EQ(given.size(), pool.size()) << last;
        EXPECT_EQ(pool.taken(), pool.size());
        EXPECT_EQ(*given.begin(), v4("10.0.0.1"));
        EXPECT_EQ(*given.rbegin(), v4(last));
    }
}

TEST(Ipv4PoolTest, what_was_given_back_is_found_again_but_not_at_once) {
    Ipv4Pool pool(v4("10.0.0.1"), v4("10.0.0.130"));
    pool.take(v4("10.0.0.1"));
    pool.give_back(v4("10.0.0.1"));
    EXPECT_EQ(pool.next_free(), v4("10.0.0.2")) << "others may still have it in their caches";
    while (const auto address = pool.next_free()) pool.take(*address);
    pool.give_back(v4("10.0.0.70"));
    EXPECT_EQ(pool.next_free(), v4("10.0.0.70"));
    pool.take(v4("10.0.0.70"));
    pool.give_back(v4("10.0.0.3"));
    EXPECT_EQ(pool.next_free(), v4("10.0.0.3")) << "the search goes round";
}

TEST(Ipv4PoolTest, addresses_of_others_have_no_effect) {
    Ipv4Pool pool(v4("10.0.0.1"), v4("10.0.0.4"));
    for (const char* other : {"10.0.0.0", "10.0.0.5", "0.0.0.0", "255.255.255.255"}) {
        pool.take(v4(other));
        pool.give_back(v4(other));
        EXPECT_FALSE(pool.contains(v4(other)));
    }
    pool.take(v4("10.0.0.2"));
    pool.take(v4("10.0.0.2"));
    EXPECT_EQ(pool.taken(), 1u);
    pool.give_back(v4("10.0.0.2"));
    pool.give_back(v4("10.0.0.2"));
    EXPECT_EQ(pool.taken(), 0u);
}

TEST(Ipv4PoolTest, the_largest_pool_that_the_configuration_allows) {
    Ipv4Pool pool(v4("10.0.0.0"), v4("10.15.255.255"));
    EXPECT_EQ(pool.size(), std::size_t{1} << 20);
    pool.take(v4("10.15.255.255"));
    EXPECT_EQ(pool.next_free(), v4("10.0.0.0"));
}

}  // namespace
}  // namespace homeport

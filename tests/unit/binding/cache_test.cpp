// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/binding/cache.hpp"

#include <gtest/gtest.h>

#include "tests/unit/wire/hex.hpp"

namespace homeport::binding {
namespace {

using namespace homeport::test;
using std::chrono::seconds;

class CacheTest : public testing::Test {
  protected:
    Entry entry(unsigned number, std::string node = {}, seconds lifetime = seconds{100}) {
        Entry made;
        made.home_address = v6("2001:db8:1::");
        store_be32(made.home_address.bytes.data() + 12, number);
        made.node = std::move(node);
        made.deadline = t0 + lifetime;
        return made;
    }
    std::vector<Ipv6Address> due_at(TimePoint now) {
        std::vector<Ipv6Address> due;
        cache.collect_due(now, due);
        return due;
    }

    TimePoint t0{std::chrono::hours{5}};
    Cache cache{{.bindings = 4, .bindings_per_node = 2}, t0};
};

TEST_F(CacheTest, finds_by_home_address) {
    ASSERT_TRUE(cache.insert(entry(1)).has_value());
    ASSERT_NE(cache.find(entry(1).home_address), nullptr);
    EXPECT_EQ(cache.find(entry(2).home_address), nullptr);
    cache.erase(entry(1).home_address);
    EXPECT_EQ(cache.find(entry(1).home_address), nullptr);
    EXPECT_EQ(cache.size(), 0u);
}

TEST_F(CacheTest, RFC6275_9_1_at_most_one_entry_per_home_address) {
    ASSERT_TRUE(cache.insert(entry(1)).has_value());
    EXPECT_EQ(cache.insert(entry(1)).error(), InsertRefusal::kExists);
}

TEST_F(CacheTest, limit_in_all) {
    for (unsigned i = 0; i < 4; ++i) ASSERT_TRUE(cache.insert(entry(i)).has_value());
    EXPECT_EQ(cache.refusal_for(""), InsertRefusal::kFull);
    EXPECT_EQ(cache.insert(entry(4)).error(), InsertRefusal::kFull);
    cache.erase(entry(0).home_address);
    EXPECT_TRUE(cache.insert(entry(4)).has_value());
}

TEST_F(CacheTest, limit_per_node) {
    ASSERT_TRUE(cache.insert(entry(1, "a")).has_value());
    ASSERT_TRUE(cache.insert(entry(2, "a")).has_value());
    EXPECT_EQ(cache.insert(entry(3, "a")).error(), InsertRefusal::kNodeFull);
    EXPECT_TRUE(cache.insert(entry(3, "b")).has_value());
    cache.erase(entry(1).home_address);
    EXPECT_EQ(cache.count_of_node("a"), 1u);
    EXPECT_TRUE(cache.insert(entry(1, "a")).has_value());
}

TEST_F(CacheTest, lower_limits_keep_what_is_there) {
    for (unsigned i = 0; i < 3; ++i) ASSERT_TRUE(cache.insert(entry(i)).has_value());
    cache.set_limits({.bindings = 2, .bindings_per_node = 2});
    EXPECT_EQ(cache.size(), 3u);
    EXPECT_EQ(cache.insert(entry(9)).error(), InsertRefusal::kFull);
}

TEST_F(CacheTest, entries_fall_due_once_and_stay_until_erased) {
    ASSERT_TRUE(cache.insert(entry(1, "", seconds{10})).has_value());
    ASSERT_TRUE(cache.insert(entry(2, "", seconds{20})).has_value());
    EXPECT_TRUE(due_at(t0 + seconds{9}).empty());
    EXPECT_EQ(due_at(t0 + seconds{10}), std::vector{entry(1).home_address});
    EXPECT_TRUE(due_at(t0 + seconds{11}).empty());
    EXPECT_NE(cache.find(entry(1).home_address), nullptr);
    cache.set_deadline(*cache.find(entry(1).home_address), t0 + seconds{15});
    EXPECT_EQ(due_at(t0 + seconds{15}), std::vector{entry(1).home_address});
}

TEST_F(CacheTest, an_entry_stays_where_it_is_while_others_come_and_go) {
    Entry* const first = *cache.insert(entry(1));
    for (unsigned i = 2; i < 5; ++i) ASSERT_TRUE(cache.insert(entry(i)).has_value());
    for (unsigned i = 2; i < 5; ++i) cache.erase(entry(i).home_address);
    EXPECT_EQ(cache.find(entry(1).home_address), first);
    // The timer number of an erased entry is used again, with its own deadline.
    ASSERT_TRUE(cache.insert(entry(7, "", seconds{5})).has_value());
    EXPECT_EQ(due_at(t0 + seconds{50}), std::vector{entry(7).home_address});
}

TEST_F(CacheTest, for_each_visits_all) {
    for (unsigned i = 0; i < 3; ++i) ASSERT_TRUE(cache.insert(entry(i)).has_value());
    std::size_t seen = 0;
    cache.for_each([&seen](const Entry&) { ++seen; });
    EXPECT_EQ(seen, 3u);
}

}  // namespace
}  // namespace homeport::binding

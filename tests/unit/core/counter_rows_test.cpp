// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/core/counter_rows.hpp"

#include <gtest/gtest.h>

#include <set>

namespace homeport::core {
namespace {

Ipv6Address home(std::uint32_t number) {
    Ipv6Address address{{0x20, 0x01, 0x0d, 0xb8}};
    store_be32(address.bytes.data() + 12, number);
    return address;
}

TEST(CounterRowsTest, an_address_keeps_its_row) {
    CounterRows rows(100);
    std::set<std::uint32_t> taken;
    for (std::uint32_t n = 0; n < 100; ++n) taken.insert(rows.take(home(n)));
    EXPECT_EQ(taken.size(), 100u);
    EXPECT_EQ(*taken.rbegin(), 99u) << "rows are dense";
    for (std::uint32_t n = 0; n < 100; ++n) {
        const auto row = rows.find(home(n));
        ASSERT_TRUE(row);
        EXPECT_EQ(rows.take(home(n)), *row);
    }
    EXPECT_EQ(rows.size(), 100u);
}

TEST(CounterRowsTest, a_row_that_is_given_back_is_the_next_ones) {
    CounterRows rows(2);
    const std::uint32_t first = rows.take(home(1));
    const std::uint32_t second = rows.take(home(2));
    EXPECT_EQ(rows.take(home(3)), channel::kNoIndex);
    EXPECT_FALSE(rows.find(home(3)));
    rows.give_back(home(1));
    rows.give_back(home(1));
    EXPECT_FALSE(rows.find(home(1)));
    EXPECT_EQ(rows.take(home(3)), first);
    EXPECT_EQ(rows.find(home(2)), second);
    EXPECT_EQ(rows.take(home(1)), channel::kNoIndex);
}

}  // namespace
}  // namespace homeport::core

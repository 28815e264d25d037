// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/reply_to_table.hpp"

#include <gtest/gtest.h>

#include "tests/unit/tunnel/packets.hpp"

namespace homeport::tunnel {
namespace {

using namespace homeport::test;
using Result = ReplyToTable::Result;

Ipv6Address home(unsigned n) {
    Ipv6Address address = kHomeAddress;
    store_be32(address.bytes.data() + 12, n);
    return address;
}
const WireEndpoint kFirst{kCareOfAddress, 0};
const WireEndpoint kSecond{v6("2001:db8:9::9"), 0};

TEST(ReplyToTable, S1_50_a_record_is_taken_once) {
    ReplyToTable table;
    ASSERT_EQ(table.record_source(kHomeAddress, kFirst), Result::kOk);
    EXPECT_FALSE(table.take_source(home(7)));
    const auto taken = table.take_source(kHomeAddress);
    ASSERT_TRUE(taken);
    EXPECT_EQ(*taken, kFirst);
    EXPECT_FALSE(table.take_source(kHomeAddress));
}

TEST(ReplyToTable, S1_66_one_unconsumed_record_a_home_address) {
    ReplyToTable table;
    ASSERT_EQ(table.record_source(kHomeAddress, kFirst), Result::kOk);
    EXPECT_TRUE(table.is_busy(kHomeAddress));
    // S1.67: a replayed copy right behind the genuine one does not overwrite its record.
    EXPECT_EQ(table.record_source(kHomeAddress, kSecond), Result::kBusy);
    EXPECT_EQ(table.record_source(home(1), kSecond), Result::kOk);
    EXPECT_EQ(*table.take_source(kHomeAddress), kFirst);
    EXPECT_FALSE(table.is_busy(kHomeAddress));
    EXPECT_EQ(table.record_source(kHomeAddress, kSecond), Result::kOk);
    EXPECT_EQ(*table.take_source(kHomeAddress), kSecond);
}

TEST(ReplyToTable, S1_66_end_of_the_run_releases_what_ipsec_dropped) {
    ReplyToTable table;
    ASSERT_EQ(table.record_source(kHomeAddress, kFirst), Result::kOk);
    ASSERT_EQ(table.set_reply(kHomeAddress, kFirst), Result::kOk);
    table.end_run();
    EXPECT_FALSE(table.take_source(kHomeAddress));
    EXPECT_FALSE(table.has_reply(kHomeAddress));
    EXPECT_EQ(table.record_source(kHomeAddress, kSecond), Result::kOk);
    EXPECT_EQ(*table.take_source(kHomeAddress), kSecond);
}

TEST(ReplyToTable, S1_68_notes_are_bounded) {
    ReplyToTable table;
    for (unsigned run = 0; run < 3; ++run) {
        for (unsigned i = 0; i < OneShotNotes::kMaxNotes; ++i) {
            ASSERT_EQ(table.record_source(home(i), kFirst), Result::kOk) << i;
        }
        EXPECT_EQ(table.record_source(home(100000), kFirst), Result::kFull);
        for (unsigned i = 0; i < OneShotNotes::kMaxNotes; i += 2) {
            ASSERT_TRUE(table.take_source(home(i)));
        }
        for (unsigned i = 0; i < OneShotNotes::kMaxNotes; ++i) {
            EXPECT_EQ(table.is_busy(home(i)), i % 2 == 1);
        }
        table.end_run();
        EXPECT_FALSE(table.is_busy(home(1)));
    }
}

TEST(ReplyToTable, S1_50_replies_and_sources_do_not_mix) {
    ReplyToTable table;
    ASSERT_EQ(table.record_source(kHomeAddress, kFirst), Result::kOk);
    EXPECT_FALSE(table.has_reply(kHomeAddress));
    ASSERT_EQ(table.set_reply(kHomeAddress, kSecond), Result::kOk);
    EXPECT_EQ(table.set_reply(kHomeAddress, kFirst), Result::kBusy);
    EXPECT_EQ(*table.take_reply(kHomeAddress), kSecond);
    EXPECT_EQ(*table.take_source(kHomeAddress), kFirst);
}

TEST(ReplyToTable, S1_66_four_packets_wait_a_home_address_and_256_in_all) {
    ReplyToTable table;
    std::array<int, 600> packets{};
    for (unsigned i = 0; i < 4; ++i) EXPECT_TRUE(table.wait(kHomeAddress, &packets[i]));
    EXPECT_FALSE(table.wait(kHomeAddress, &packets[4]));
    for (unsigned i = 4; i < 256; ++i) EXPECT_TRUE(table.wait(home(i), &packets[i]));
    EXPECT_FALSE(table.wait(home(1000), &packets[256]));
    EXPECT_EQ(table.waiting(), 256u);

    std::array<void*, 64> out{};
    unsigned next = 0;
    for (unsigned round = 0; round < 4; ++round) {
        ASSERT_EQ(table.take_waiting(out), 64u);
        for (void* packet : out) EXPECT_EQ(packet, &packets[next++]);
        EXPECT_TRUE(round == 0 ? table.wait(kHomeAddress, &packets[next]) : true);
        if (round == 0) {
            EXPECT_EQ(table.waiting(), 193u);
        }
    }
    EXPECT_EQ(table.take_waiting(out), 1u);
    EXPECT_EQ(table.take_waiting(out), 0u);
}

}  // namespace
}  // namespace homeport::tunnel

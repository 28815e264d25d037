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
const WireEndpoint kFirst{.address = kCareOfAddress};
const WireEndpoint kSecond{.address = v6("2001:db8:9::9")};

constexpr std::uint64_t kNow = 1000;

ReplyToTable::Settings asynchronous() {
    return {.records = {.synchronous = false,
                        .lock_timeout = 50,
                        .time_to_live = 2000,
                        .most_pending = 4},
            .lock_depth = 4};
}

TEST(ReplyToTable, S1_50_a_record_is_taken_once) {
    ReplyToTable table;
    ASSERT_EQ(table.record_source(kHomeAddress, kFirst, kNow), Result::kOk);
    EXPECT_FALSE(table.take_source(home(7), kNow));
    const auto taken = table.take_source(kHomeAddress, kNow);
    ASSERT_TRUE(taken);
    EXPECT_EQ(*taken, kFirst);
    EXPECT_FALSE(table.take_source(kHomeAddress, kNow));
}

TEST(ReplyToTable, S1_66_one_unconsumed_record_a_home_address) {
    for (const bool synchronous : {true, false}) {
        ReplyToTable table;
        if (!synchronous) table.configure(asynchronous());
        ASSERT_EQ(table.record_source(kHomeAddress, kFirst, kNow), Result::kOk);
        EXPECT_TRUE(table.is_busy(kHomeAddress, kNow));
        // S1.67: a replayed copy right behind the genuine one does not overwrite its record.
        EXPECT_EQ(table.record_source(kHomeAddress, kSecond, kNow + 49), Result::kBusy);
        EXPECT_EQ(table.record_source(home(1), kSecond, kNow), Result::kOk);
        EXPECT_EQ(*table.take_source(kHomeAddress, kNow), kFirst);
        EXPECT_FALSE(table.is_busy(kHomeAddress, kNow));
        EXPECT_EQ(table.record_source(kHomeAddress, kSecond, kNow), Result::kOk);
        EXPECT_EQ(*table.take_source(kHomeAddress, kNow), kSecond);
    }
}

TEST(ReplyToTable, S1_66_end_of_the_run_releases_what_ipsec_dropped) {
    ReplyToTable table;
    ASSERT_EQ(table.record_source(kHomeAddress, kFirst, kNow), Result::kOk);
    ASSERT_EQ(table.set_reply(kHomeAddress, kFirst, kNow), Result::kOk);
    table.end_run(kNow);
    EXPECT_FALSE(table.take_source(kHomeAddress, kNow));
    EXPECT_FALSE(table.has_reply(kHomeAddress, kNow));
    EXPECT_EQ(table.record_source(kHomeAddress, kSecond, kNow), Result::kOk);
    EXPECT_EQ(*table.take_source(kHomeAddress, kNow), kSecond);
}

TEST(ReplyToTable, S1_68_notes_are_bounded) {
    ReplyToTable table;
    for (unsigned run = 0; run < 3; ++run) {
        for (unsigned i = 0; i < OneShotRecords::kLeast; ++i) {
            ASSERT_EQ(table.record_source(home(i), kFirst, kNow), Result::kOk) << i;
        }
        EXPECT_EQ(table.record_source(home(100000), kFirst, kNow), Result::kFull);
        for (unsigned i = 0; i < OneShotRecords::kLeast; i += 2) {
            ASSERT_TRUE(table.take_source(home(i), kNow));
        }
        for (unsigned i = 0; i < OneShotRecords::kLeast; ++i) {
            EXPECT_EQ(table.is_busy(home(i), kNow), i % 2 == 1);
        }
        table.end_run(kNow);
        EXPECT_FALSE(table.is_busy(home(1), kNow));
    }
}

TEST(ReplyToTable, S1_50_replies_and_sources_do_not_mix) {
    ReplyToTable table;
    ASSERT_EQ(table.record_source(kHomeAddress, kFirst, kNow), Result::kOk);
    EXPECT_FALSE(table.has_reply(kHomeAddress, kNow));
    ASSERT_EQ(table.set_reply(kHomeAddress, kSecond, kNow), Result::kOk);
    EXPECT_EQ(table.set_reply(kHomeAddress, kFirst, kNow), Result::kBusy);
    EXPECT_EQ(*table.take_reply(kHomeAddress, kNow), kSecond);
    EXPECT_EQ(*table.take_source(kHomeAddress, kNow), kFirst);
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
        ASSERT_EQ(table.take_waiting(out, kNow), 64u);
        for (void* packet : out) EXPECT_EQ(packet, &packets[next++]);
        EXPECT_TRUE(round == 0 ? table.wait(kHomeAddress, &packets[next]) : true);
        if (round == 0) {
            EXPECT_EQ(table.waiting(), 193u);
        }
    }
    EXPECT_EQ(table.take_waiting(out, kNow), 1u);
    EXPECT_EQ(table.take_waiting(out, kNow), 0u);
}

TEST(ReplyToTable, S1_66_nat_lock_depth_is_what_is_configured) {
    ReplyToTable table;
    ReplyToTable::Settings settings;
    settings.lock_depth = 2;
    table.configure(settings);
    int packet = 0;
    EXPECT_TRUE(table.wait(kHomeAddress, &packet));
    EXPECT_TRUE(table.wait(kHomeAddress, &packet));
    EXPECT_FALSE(table.wait(kHomeAddress, &packet));
    EXPECT_TRUE(table.wait(home(1), &packet));
}

TEST(ReplyToTable, S1_66_who_waits_goes_on_when_its_own_lock_ends) {
    ReplyToTable table;
    table.configure(asynchronous());
    std::array<int, 3> packets{};
    ASSERT_EQ(table.record_source(kHomeAddress, kFirst, kNow), Result::kOk);
    ASSERT_EQ(table.record_source(home(1), kFirst, kNow), Result::kOk);
    EXPECT_TRUE(table.wait(kHomeAddress, &packets[0]));
    EXPECT_TRUE(table.wait(home(1), &packets[1]));
    EXPECT_TRUE(table.wait(kHomeAddress, &packets[2]));
    std::array<void*, 64> out{};
    table.end_run(kNow + 49);
    EXPECT_EQ(table.take_waiting(out, kNow + 49), 0u) << "both are inside";
    ASSERT_TRUE(table.take_source(home(1), kNow + 49));
    ASSERT_EQ(table.take_waiting(out, kNow + 49), 1u);
    EXPECT_EQ(out[0], &packets[1]);
    ASSERT_EQ(table.take_waiting(out, kNow + 50), 2u) << "nat_lock_timeout is over";
    EXPECT_EQ(out[0], &packets[0]);
    EXPECT_EQ(out[1], &packets[2]);
    EXPECT_EQ(table.waiting(), 0u);
    EXPECT_TRUE(table.wait(kHomeAddress, &packets[0]));
    ASSERT_EQ(table.record_source(kHomeAddress, kFirst, kNow + 60), Result::kOk);
    EXPECT_EQ(table.take_all(out), 1u) << "locked or not";
}

}  // namespace
}  // namespace homeport::tunnel

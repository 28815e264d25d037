// SPDX-License-Identifier: BSD-3-Clause
// Records of an IPsec that keeps packets, with a clock of the test's.
#include "dataplane/tunnel/one_shot_records.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "tests/unit/tunnel/packets.hpp"

namespace homeport::tunnel {
namespace {

using namespace homeport::test;
using Kind = OneShotRecords::Kind;
using Result = OneShotRecords::Result;

constexpr std::uint64_t kLock = 50;
constexpr std::uint64_t kLife = 2000;

Ipv6Address home(unsigned n) {
    Ipv6Address address = kHomeAddress;
    store_be32(address.bytes.data() + 12, n);
    return address;
}
WireEndpoint at(const char* address, std::uint16_t port) {
    return {.address = v4(address), .udp_port = port, .local_port = 4191, .local = {}};
}
const WireEndpoint kFirst = at("203.0.113.7", 40000);
const WireEndpoint kSecond = at("203.0.113.8", 40000);

OneShotRecords asynchronous(std::uint32_t most_pending = 4) {
    OneShotRecords records;
    records.configure({.synchronous = false,
                       .lock_timeout = kLock,
                       .time_to_live = kLife,
                       .most_pending = most_pending});
    return records;
}

TEST(OneShotRecords, S1_64_a_pending_record_lives_for_nat_pending_ttl) {
    OneShotRecords records = asynchronous();
    ASSERT_EQ(records.put(home(1), kFirst, 100, Kind::kPending), Result::kOk);
    records.end_run(100 + kLife - 1);
    ASSERT_NE(records.peek(home(1), 100 + kLife - 1), nullptr);
    EXPECT_EQ(*records.peek(home(1), 100 + kLife - 1), kFirst);
    EXPECT_EQ(records.peek(home(1), 100 + kLife), nullptr);
    EXPECT_FALSE(records.take(home(1), 100 + kLife));
    ASSERT_EQ(records.put(home(1), kFirst, 100, Kind::kPending), Result::kOk);
    records.end_run(100 + kLife);
    EXPECT_EQ(records.live(), 0u);
}

TEST(OneShotRecords, S1_66_the_lock_ends_after_nat_lock_timeout) {
    OneShotRecords records = asynchronous();
    ASSERT_EQ(records.put(home(1), kFirst, 100), Result::kOk);
    EXPECT_TRUE(records.is_locked(home(1), 100 + kLock - 1));
    EXPECT_EQ(records.put(home(1), kSecond, 100 + kLock - 1), Result::kBusy);
    EXPECT_FALSE(records.is_locked(home(1), 100 + kLock));
    EXPECT_EQ(*records.peek(home(1), 100 + kLock), kFirst) << "a late one still finds it";
    EXPECT_EQ(records.put(home(1), kSecond, 100 + kLock), Result::kOk);
    EXPECT_EQ(*records.take(home(1), 100 + kLock), kSecond);
    EXPECT_FALSE(records.is_locked(home(1), 100 + kLock));
}

TEST(OneShotRecords, S1_64_the_oldest_pending_one_makes_room) {
    OneShotRecords records = asynchronous(4);
    for (unsigned i = 0; i < 4; ++i) {
        ASSERT_EQ(records.put(home(i), kFirst, 100 + i, Kind::kPending), Result::kOk);
    }
    EXPECT_EQ(records.put(home(4), kFirst, 110, Kind::kPending), Result::kFull) << "all are locked";
    EXPECT_EQ(records.put(home(50), kFirst, 110, Kind::kBound), Result::kOk)
        << "a node that is bound does not depend on them";
    EXPECT_EQ(records.put(home(4), kFirst, 100 + kLock, Kind::kPending), Result::kOk);
    EXPECT_EQ(records.peek(home(0), 100 + kLock), nullptr);
    EXPECT_EQ(records.put(home(5), kFirst, 100 + kLock, Kind::kPending), Result::kFull)
        << "the next oldest is locked for one more tick";
    for (unsigned i = 1; i < 5; ++i) EXPECT_NE(records.peek(home(i), 100 + kLock), nullptr);
    EXPECT_EQ(records.pending(), 4u);
}

TEST(OneShotRecords, S1_68_all_together_are_bounded) {
    OneShotRecords records = asynchronous(100000);
    std::uint64_t now = 0;
    for (unsigned i = 0; i < 10 * records.capacity(); ++i) {
        now += kLock;
        ASSERT_EQ(records.put(home(i), kFirst, now, i % 2 == 0 ? Kind::kBound : Kind::kPending),
                  Result::kOk);
        ASSERT_LE(records.live(), records.capacity());
    }
    // Pending ones go first.
    EXPECT_LE(records.pending(), 1u);
    EXPECT_EQ(records.live(), records.capacity());
}

TEST(OneShotRecords, any_order_of_calls_gives_what_a_simple_table_gives) {
    OneShotRecords records = asynchronous(40);
    struct Known {
        WireEndpoint endpoint;
        std::uint64_t made;
        Kind kind;
    };
    std::map<Ipv6Address, Known> known;
    std::mt19937 random(1);
    std::uint64_t now = 0;
    const auto pending = [&] {
        return std::ranges::count_if(known,
                                     [](const auto& k) { return k.second.kind == Kind::kPending; });
    };
    for (unsigned step = 0; step < 100000; ++step) {
        now += random() % 3;
        const Ipv6Address address = home(static_cast<unsigned>(random() % 100));
        const auto found = known.find(address);
        if (random() % 3 == 0) {
            const bool valid = found != known.end() && now - found->second.made < kLife;
            const auto taken = records.take(address, now);
            ASSERT_EQ(taken.has_value(), valid) << step;
            if (valid) {
                ASSERT_EQ(*taken, found->second.endpoint);
            }
            if (found != known.end()) known.erase(found);
            continue;
        }
        const Kind kind = address.bytes[15] % 2 == 0 ? Kind::kBound : Kind::kPending;
        const WireEndpoint endpoint =
            at("203.0.113.7", static_cast<std::uint16_t>(random() % 65535));
        const Result result = records.put(address, endpoint, now, kind);
        if (found != known.end() && now - found->second.made < kLock) {
            ASSERT_EQ(result, Result::kBusy) << step;
            continue;
        }
        if (found != known.end()) known.erase(found);
        if (kind == Kind::kPending && pending() >= 40) {
            auto oldest = known.end();
            for (auto k = known.begin(); k != known.end(); ++k) {
                if (k->second.kind != Kind::kPending) continue;
                if (oldest == known.end() || k->second.made < oldest->second.made) oldest = k;
            }
            if (now - oldest->second.made < kLock) {
                ASSERT_EQ(result, Result::kFull) << step;
                continue;
            }
            // Of several that are as old, the first one went: the table knows which.
            const std::uint64_t made = oldest->second.made;
            for (auto k = known.begin(); k != known.end(); ++k) {
                if (k->second.made == made && k->second.kind == Kind::kPending &&
                    records.peek(k->first, now) == nullptr) {
                    oldest = k;
                }
            }
            known.erase(oldest);
        }
        ASSERT_EQ(result, Result::kOk) << step;
        known[address] = {endpoint, now, kind};
        ASSERT_EQ(records.live(), known.size()) << step;
        ASSERT_EQ(records.pending(), pending()) << step;
    }
    records.end_run(now + kLife);
    EXPECT_EQ(records.live(), 0u);
}

}  // namespace
}  // namespace homeport::tunnel

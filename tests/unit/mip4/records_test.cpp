// SPDX-License-Identifier: BSD-3-Clause
// What is kept over a restart comes back as it was, and nothing comes back from spoilt octets.
#include "controlplane/mip4/records.hpp"

#include <gtest/gtest.h>

#include "tests/unit/mip4/harness.hpp"

namespace homeport::mip4 {
namespace {

using namespace test_support;
using std::chrono::seconds;

const Clocks kClocks{TimePoint{seconds(5000)},
                     std::chrono::system_clock::time_point{seconds(1'800'000'000)}};

BoundNode sample() {
    BoundNode node;
    node.home_address = kHome;
    node.node = "alice";
    node.is_dynamic = true;
    Binding plain;
    plain.care_of_address = kCareOf;
    plain.tunnel_end = {kCareOf, 0};
    plain.local_end = {kHomeAgent, 0};
    plain.lifetime = 0xffff;
    plain.registered = TimePoint{seconds(4000)};
    plain.deadline = TimePoint::max();
    Binding udp;
    udp.care_of_address = v4("10.0.0.6");
    udp.tunnel_end = kNat;
    udp.local_end = {kHomeAgent, 434};
    udp.encapsulation = Encapsulation::kMinimal;
    udp.udp = udp.half_bound = udp.reverse_tunnel = udp.co_located = udp.broadcasts = true;
    udp.keepalive = 110;
    udp.lifetime = 300;
    udp.identification = 0x0123456789abcdef;
    udp.spi = 257;
    udp.requested_from = kNat;
    udp.revocable = udp.by_foreign_agent = udp.informs_mobile_node = true;
    udp.revocation_timestamp = 77;
    udp.foreign_association = 300;
    udp.registered = TimePoint{seconds(4900)};
    udp.deadline = TimePoint{seconds(5200)};
    node.bindings = {plain, udp};
    return node;
}

TEST(Mip4Records, bindings_come_back_as_they_were_on_another_clock) {
    const BoundNode node = sample();
    const auto record = to_record(node, kClocks);
    const auto kept = from_record(record_key("inner", node), record, kClocks);
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->agent, "inner");
    EXPECT_EQ(std::get<BoundNode>(kept->what), node);
    // After a reboot the steady clock begins anew, 10 s later by the wall.
    const Clocks later{TimePoint{seconds(30)}, kClocks.wall + seconds(10)};
    const auto again = from_record(record_key("inner", node), record, later);
    ASSERT_TRUE(again);
    const auto& bindings = std::get<BoundNode>(again->what).bindings;
    EXPECT_EQ(bindings[0].deadline, TimePoint::max());
    EXPECT_EQ(bindings[1].deadline, TimePoint{seconds(220)});
}

TEST(Mip4Records, identification_comes_back) {
    const PersistIdentification state{"alice", 257, {0xdeadbeef00000001, 42}};
    const auto kept = from_record(record_key("x", state), to_record(state), kClocks);
    ASSERT_TRUE(kept);
    const auto& read = std::get<PersistIdentification>(kept->what);
    EXPECT_EQ(read.node, "alice");
    EXPECT_EQ(read.spi, 257u);
    EXPECT_EQ(read.state, state.state);
    EXPECT_NE(record_key("x", state), record_key("y", state));
}

TEST(Mip4Records, what_is_cut_off_or_too_long_or_of_another_version_makes_no_sense) {
    const BoundNode node = sample();
    const std::string key = record_key("inner", node);
    auto record = to_record(node, kClocks);
    for (std::size_t length = 0; length < record.size(); ++length) {
        EXPECT_FALSE(from_record(key, ConstByteSpan(record).first(length), kClocks)) << length;
    }
    auto longer = record;
    longer.push_back(0);
    EXPECT_FALSE(from_record(key, longer, kClocks));
    record[0] = 9;
    EXPECT_FALSE(from_record(key, record, kClocks));
    record[0] = 1;
    for (const char* bad : {"", "inner", "inner\nb", "inner\nq\n192.0.2.100"}) {
        EXPECT_FALSE(from_record(bad, record, kClocks)) << bad;
    }
}

}  // namespace
}  // namespace homeport::mip4

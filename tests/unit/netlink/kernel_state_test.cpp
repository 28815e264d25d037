// SPDX-License-Identifier: BSD-3-Clause
// Tables, what is chosen from them, and dumps, without a kernel that plays along.
#include "controlplane/netlink/kernel_state.hpp"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include "controlplane/netlink/dump.hpp"
#include "controlplane/netlink/kernel_mirror.hpp"
#include "controlplane/netlink/projection.hpp"
#include "controlplane/netlink/socket.hpp"
#include "tests/unit/netlink/support.hpp"

namespace homeport::netlink {
namespace {

using namespace test;
using channel::RouteType;

RouteMessage route(const char* prefix, std::uint8_t length, std::vector<NextHop> hops,
                   std::uint32_t metric = 0) {
    RouteMessage message;
    message.prefix = ip(prefix);
    message.prefix_length = length;
    message.next_hops = std::move(hops);
    message.metric = metric;
    return message;
}
RouteMessage removal(RouteMessage message) {
    message.removed = true;
    return message;
}
RouteMessage replacement(RouteMessage message) {
    message.replaces = true;
    return message;
}
NextHop via(int index, const char* gateway) {
    return {index, ip(gateway), false};
}

struct Tables : ::testing::Test {
    KernelState state;
    Projection projection;
    Recorder seen;
    Changes changes;

    Tables() {
        projection.set_port("hp0", 0);
        projection.set_port("hp1", 1);
        tell(LinkMessage{false, 1, "hp0", true, true, 1500, {}});
        tell(LinkMessage{false, 2, "hp1", true, true, 1500, {}});
    }
    void tell(const Message& message) {
        state.apply(message, kAllTables, changes);
        projection.update(state, changes, seen);
    }
};

TEST_F(Tables, a_message_that_is_heard_twice_changes_nothing) {
    const auto add = route("10.1.0.0", 16, {via(1, "10.0.0.2")});
    tell(add);
    const auto told = seen.told;
    tell(add);
    EXPECT_EQ(seen.told, told);
    tell(removal(add));
    tell(removal(add));
    EXPECT_TRUE(seen.routes.empty());
    EXPECT_TRUE(state.routes.empty()) << "nothing is kept of what is gone";
}

TEST_F(Tables, the_lowest_metric_wins_and_a_dead_link_loses) {
    tell(route("10.1.0.0", 16, {via(1, "10.0.0.2")}, 10));
    tell(route("10.1.0.0", 16, {via(2, "10.0.1.2")}, 20));
    EXPECT_EQ(seen.route("10.1.0.0/16"), "unicast 0 10.0.0.2");
    tell(LinkMessage{false, 1, "hp0", false, false, 1500, {}});
    EXPECT_EQ(seen.route("10.1.0.0/16"), "unicast 1 10.0.1.2");
    EXPECT_NE(changes.reread & kRoutes, 0u) << "the kernel drops IPv4 routes silently";
    tell(LinkMessage{true, 2, "", false, false, 0, {}});
    EXPECT_EQ(seen.route("10.1.0.0/16"), "");
}

TEST_F(Tables, a_next_hop_with_carrier_is_preferred_and_one_without_is_better_than_none) {
    tell(route("10.1.0.0", 16, {via(1, "10.0.0.2"), via(2, "10.0.1.2")}));
    tell(LinkMessage{false, 1, "hp0", true, false, 1500, {}});
    EXPECT_EQ(seen.route("10.1.0.0/16"), "unicast 1 10.0.1.2");
    tell(LinkMessage{false, 2, "hp1", true, false, 1500, {}});
    EXPECT_EQ(seen.route("10.1.0.0/16"), "unicast 0 10.0.0.2");
}

TEST_F(Tables, ipv4_replaces_prepends_and_appends_as_the_kernel_does) {
    const auto first = route("10.1.0.0", 16, {via(1, "10.0.0.1")});
    const auto second = route("10.1.0.0", 16, {via(1, "10.0.0.2")});
    auto last = route("10.1.0.0", 16, {via(1, "10.0.0.3")});
    last.appends = true;
    tell(first);
    tell(last);
    EXPECT_EQ(seen.route("10.1.0.0/16"), "unicast 0 10.0.0.1");
    tell(second);
    EXPECT_EQ(seen.route("10.1.0.0/16"), "unicast 0 10.0.0.2");
    tell(replacement(route("10.1.0.0", 16, {via(2, "10.0.0.9")})));
    EXPECT_EQ(seen.route("10.1.0.0/16"), "unicast 1 10.0.0.9");
    tell(removal(route("10.1.0.0", 16, {via(2, "10.0.0.9")})));
    EXPECT_EQ(seen.route("10.1.0.0/16"), "unicast 0 10.0.0.1");
    tell(removal(first));
    EXPECT_EQ(seen.route("10.1.0.0/16"), "unicast 0 10.0.0.3");
}

TEST_F(Tables, ipv6_next_hops_come_together_and_go_one_by_one) {
    tell(route("2001:db8::", 48, {via(1, "fe80::1")}, 1024));
    tell(route("2001:db8::", 48, {via(2, "fe80::2"), via(1, "fe80::1")}, 1024));
    EXPECT_EQ(seen.route("2001:db8::/48"), "unicast 0 fe80::1");
    EXPECT_EQ(state.routes.begin()->second.main.size(), 1u);
    tell(removal(route("2001:db8::", 48, {via(1, "fe80::1")}, 1024)));
    EXPECT_EQ(seen.route("2001:db8::/48"), "unicast 1 fe80::2");
    tell(removal(route("2001:db8::", 48, {via(2, "fe80::2")}, 1024)));
    EXPECT_EQ(seen.route("2001:db8::/48"), "");
}

TEST_F(Tables, router_preference_decides_within_a_metric) {
    auto low = route("::", 0, {via(1, "fe80::1")}, 1024);
    low.preference = 0;
    auto high = route("::", 0, {via(2, "fe80::2")}, 1024);
    high.preference = 2;
    tell(low);
    tell(high);
    EXPECT_EQ(seen.route("::/0"), "unicast 1 fe80::2");
}

TEST_F(Tables, what_the_kernel_alone_can_do_is_left_to_it) {
    auto encapsulated = route("10.1.0.0", 16, {via(1, "10.0.0.2")});
    encapsulated.next_hops[0].encapsulated = true;
    tell(encapsulated);
    EXPECT_EQ(seen.route("10.1.0.0/16"), "kernel");
    tell(LinkMessage{false, 7, "eth0", true, true, 1500, {}});
    tell(route("10.2.0.0", 16, {via(7, "10.0.0.2")}));
    EXPECT_EQ(seen.route("10.2.0.0/16"), "kernel");
    auto object = route("10.3.0.0", 16, {});
    object.next_hop_object = 5;
    tell(object);
    EXPECT_EQ(seen.route("10.3.0.0/16"), "kernel");
    EXPECT_EQ(std::exchange(changes.reread, 0u), 0u);
    tell(NextHopObjectRemoved{6});
    EXPECT_EQ(changes.reread, 0u);
    tell(NextHopObjectRemoved{5});
    EXPECT_NE(changes.reread & kRoutes, 0u);
}

TEST_F(Tables, what_a_new_reading_does_not_find_is_removed_and_the_rest_not_told_again) {
    tell(route("10.1.0.0", 16, {via(1, "10.0.0.2")}));
    tell(route("10.2.0.0", 16, {via(1, "10.0.0.2")}));
    tell(NeighbourMessage{false, 1, ip("10.0.0.2"), mac("02:00:00:00:00:02")});
    const auto told = seen.told;
    KernelState fresh;
    Changes ignored;
    fresh.apply(route("10.2.0.0", 16, {via(1, "10.0.0.2")}), kAllTables, ignored);
    fresh.apply(route("10.3.0.0", 16, {via(1, "10.0.0.2")}), kAllTables, ignored);
    state.replace(std::move(fresh), kRoutes, changes);
    projection.update(state, changes, seen);
    EXPECT_EQ(seen.told, told + 2);
    EXPECT_EQ(seen.route("10.1.0.0/16"), "");
    EXPECT_EQ(seen.route("10.3.0.0/16"), "unicast 0 10.0.0.2");
    EXPECT_EQ(seen.neighbour(0, "10.0.0.2"), "02:00:00:00:00:02") << "not of a table that was read";
}

TEST_F(Tables, an_incomplete_reading_removes_nothing) {
    tell(route("10.1.0.0", 16, {via(1, "10.0.0.2")}));
    KernelState fresh;
    Changes ignored;
    fresh.apply(route("10.3.0.0", 16, {via(1, "10.0.0.2")}), kAllTables, ignored);
    fresh.complete_from(state, kRoutes);
    state.replace(std::move(fresh), kRoutes, changes);
    projection.update(state, changes, seen);
    EXPECT_NE(seen.route("10.1.0.0/16"), "");
    EXPECT_NE(seen.route("10.3.0.0/16"), "");
}

Builder end_of_dump(std::uint32_t sequence, std::uint16_t flags, int error = 0) {
    Builder builder(NLMSG_DONE, error, flags);
    const_cast<nlmsghdr&>(builder.message()).nlmsg_seq = sequence;
    return builder;
}

TEST(Dumps, an_interrupted_one_is_begun_anew_but_not_for_ever) {
    auto socket = Socket::open(0);
    ASSERT_TRUE(socket) << socket.error().text;
    Dump dump;
    ASSERT_TRUE(dump.begin(*socket, kLinks));
    std::uint32_t sequence = 1;
    EXPECT_EQ(dump.take(*socket, end_of_dump(77, NLM_F_DUMP_INTR).message()), false)
        << "not of this dump";
    for (unsigned attempt = 1; attempt < Dump::kMaxAttempts; ++attempt) {
        ASSERT_EQ(dump.take(*socket, end_of_dump(sequence++, NLM_F_DUMP_INTR).message()), true);
        ASSERT_TRUE(dump.running()) << attempt;
    }
    ASSERT_TRUE(dump.take(*socket, end_of_dump(sequence, NLM_F_DUMP_INTR).message()));
    EXPECT_FALSE(dump.running());
    EXPECT_TRUE(dump.incomplete());
    EXPECT_EQ(dump.interruptions(), Dump::kMaxAttempts);
}

TEST(Dumps, a_table_that_is_not_there_is_empty_and_other_errors_are_told) {
    auto socket = Socket::open(0);
    ASSERT_TRUE(socket);
    Dump dump;
    ASSERT_TRUE(dump.begin(*socket, kLinks));
    ASSERT_TRUE(dump.take(*socket, end_of_dump(1, 0, -ENOENT).message()));
    EXPECT_FALSE(dump.running());
    EXPECT_FALSE(dump.incomplete());
    ASSERT_TRUE(dump.begin(*socket, kLinks));
    const auto failed = dump.take(*socket, end_of_dump(2, 0, -EPERM).message());
    ASSERT_FALSE(failed);
    EXPECT_NE(failed.error().text.find("links"), std::string::npos);
}

}  // namespace
}  // namespace homeport::netlink

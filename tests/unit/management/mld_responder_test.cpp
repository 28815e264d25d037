// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/core/mld_responder.hpp"

#include <gtest/gtest.h>

#include <set>

#include "controlplane/wire/icmpv6.hpp"

namespace homeport::core {
namespace {

using namespace std::chrono_literals;

const MldResponder::TimePoint kStart{std::chrono::hours(1)};
const Ipv6Address kRouter = *Ipv6Address::parse("fe80::1");
const Ipv6Address kAllNodes = *Ipv6Address::parse("ff02::1");

Ipv6Address group(unsigned n) {
    Ipv6Address address = *Ipv6Address::parse("ff02::1:ff00:0");
    address.bytes[14] = static_cast<std::uint8_t>(n >> 8);
    address.bytes[15] = static_cast<std::uint8_t>(n);
    return address;
}

std::vector<std::uint8_t> query(const Ipv6Address& asked, std::uint16_t delay_ms,
                                const Ipv6Address& source = kRouter) {
    wire::MulticastListener message;
    message.type = wire::Icmpv6Type::kMulticastListenerQuery;
    message.maximum_delay = delay_ms;
    message.group = asked;
    return wire::icmpv6_packet(message, source, kAllNodes);
}

// The groups that reports name.
std::multiset<std::string> named(const MldResponder::Reports& reports) {
    std::multiset<std::string> groups;
    for (const auto& report : reports) {
        EXPECT_LE(report.packet.size(), 1280u);
        const auto view = wire::view_ipv6_packet(report.packet);
        EXPECT_TRUE(view);
        EXPECT_EQ(view->hop_limit, 1);
        const auto message = wire::decode_icmpv6(*view);
        EXPECT_TRUE(message);
        if (const auto* v2 = std::get_if<wire::MulticastListenerReportV2>(&*message)) {
            EXPECT_EQ(report.destination.to_string(), "ff02::16");
            for (const auto& record : v2->records) groups.insert(record.group.to_string());
        } else if (const auto* v1 = std::get_if<wire::MulticastListener>(&*message)) {
            EXPECT_EQ(report.destination, v1->group);
            groups.insert(v1->group.to_string());
        }
    }
    return groups;
}

class MldResponderTest : public testing::Test {
  protected:
    void join(unsigned count) {
        for (unsigned n = 0; n < count; ++n) (void)responder_.join(0, group(n), kStart);
        (void)responder_.tick(kStart + 2s);  // the repeats
    }
    void ask(const std::vector<std::uint8_t>& packet) {
        const auto view = wire::view_ipv6_packet(packet);
        ASSERT_TRUE(view);
        responder_.receive(0, *view, kStart + 10s);
    }
    MldResponder responder_{7};
};

TEST_F(MldResponderTest, a_joined_group_is_reported_twice_and_a_left_one_once) {
    EXPECT_EQ(named(responder_.join(0, group(5), kStart)).size(), 1u);
    ASSERT_TRUE(responder_.next_deadline());
    EXPECT_EQ(*responder_.next_deadline(), kStart + 1s);
    EXPECT_EQ(named(responder_.tick(kStart + 1s)).count("ff02::1:ff00:5"), 1u);
    EXPECT_FALSE(responder_.next_deadline());
    EXPECT_EQ(named(responder_.leave(0, group(5))).size(), 1u);
    EXPECT_EQ(responder_.group_count(), 0u);
}

TEST_F(MldResponderTest, a_general_query_is_answered_with_every_group_within_its_time) {
    join(300);
    ask(query({}, 4000));
    MldResponder::Reports all;
    for (auto time = kStart + 10s; time <= kStart + 14s; time += 50ms) {
        for (auto& report : responder_.tick(time)) all.push_back(std::move(report));
    }
    const auto groups = named(all);
    EXPECT_EQ(groups.size(), 300u);
    EXPECT_EQ(std::set<std::string>(groups.begin(), groups.end()).size(), 300u);
    EXPECT_FALSE(responder_.next_deadline());
}

TEST_F(MldResponderTest, queries_that_come_faster_than_the_answers_do_not_add_up) {
    join(100);
    for (int i = 0; i < 1000; ++i) ask(query({}, 10000));
    EXPECT_EQ(named(responder_.tick(kStart + 20s)).size(), 100u);
}

TEST_F(MldResponderTest, a_query_about_one_group_is_answered_for_that_group_only) {
    join(10);
    ask(query(group(3), 1000));
    ask(query(group(99), 1000));  // nobody here
    EXPECT_EQ(named(responder_.tick(kStart + 12s)), std::multiset<std::string>{"ff02::1:ff00:3"});
}

TEST_F(MldResponderTest, a_query_from_beyond_the_link_is_ignored) {
    join(10);
    ask(query({}, 1000, *Ipv6Address::parse("2001:db8::1")));
    EXPECT_TRUE(responder_.tick(kStart + 20s).empty());
}

}  // namespace
}  // namespace homeport::core

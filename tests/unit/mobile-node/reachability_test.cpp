// SPDX-License-Identifier: BSD-3-Clause
// RFC 5555 4.4.1, mipv6.md 5.1: which family and which home agent address is tried.
#include "tools/mobile-node/reachability.hpp"

#include <gtest/gtest.h>

namespace homeport::mobile_node {
namespace {

using std::chrono::seconds;

Ipv4Address v4(std::string_view text) {
    return *Ipv4Address::parse(text);
}
Ipv6Address v6(std::string_view text) {
    return *Ipv6Address::parse(text);
}

struct Ipv4AttachmentTest : testing::Test {
    static inline const Ipv4Address kFirst = *Ipv4Address::parse("203.0.113.1");
    static inline const Ipv4Address kSecond = *Ipv4Address::parse("203.0.113.2");

    Ipv4AttachmentTest() {
        rules.home_address = v6("2001:db8:1::100");
        rules.home_prefix = *Ipv6Prefix::parse("2001:db8:1::/64");
        rules.home_agent = v6("2001:db8:1::1");
        rules.tunnel = "homeport0";
        rules.home_agents4 = {kFirst, kSecond};
        rules.ipv4_home_address = v4("192.0.2.100");
    }
    void link(int index, const char* name) {
        Link out;
        out.index = index;
        out.name = name;
        out.running = true;
        table.set_link(out);
    }
    void ipv6(int index, std::string_view address, std::uint32_t metric = 1024) {
        table.set_address(index, LinkAddress{.address = v6(address), .prefix_length = 64});
        table.set_route(LinkRoute{{}, index, false, metric});
    }
    void ipv4(int index, std::string_view address, std::uint32_t metric = 100) {
        table.set_address(index, LinkAddress4{.address = v4(address), .prefix_length = 24});
        table.set_route(LinkRoute4{{}, index, false, metric});
    }
    [[nodiscard]] std::vector<std::string> found() {
        reachability.apply(rules);
        std::vector<std::string> out;
        for (const auto& one : find_candidates(table, rules, current)) {
            std::string text = one.name + " " + one.care_of_address.to_string();
            if (one.care_of_address.home_agent() == kSecond) text += " 2";
            out.push_back(text);
        }
        return out;
    }
    using Strings = std::vector<std::string>;

    SelectionRules rules;
    LinkTable table{v6("2001:db8:1::1"), *Ipv6Prefix::parse("2001:db8:1::/64"), {kFirst, kSecond}};
    std::optional<Candidate> current;
    Reachability reachability{seconds{60}};
    Reachability::TimePoint now{std::chrono::hours{9}};
};

TEST_F(Ipv4AttachmentTest, RFC5555_4_4_1_ipv6_before_ipv4_whatever_the_metrics) {
    link(2, "a");
    ipv4(2, "10.0.0.5", 1);
    ipv6(2, "2001:db8:a::2", 2048);
    EXPECT_EQ(found(), (Strings{"a 2001:db8:a::2", "a 10.0.0.5", "a 10.0.0.5 2"}));
}

TEST_F(Ipv4AttachmentTest, the_order_of_interfaces_comes_before_the_family) {
    link(2, "a");
    link(3, "b");
    ipv4(2, "10.0.0.5");
    ipv6(3, "2001:db8:b::2");
    rules.interfaces = {"a", "b"};
    EXPECT_EQ(found().front(), "a 10.0.0.5");
    rules.interfaces = {"b", "a"};
    EXPECT_EQ(found().front(), "b 2001:db8:b::2");
}

TEST_F(Ipv4AttachmentTest, S1_5_ipv4_addresses_that_are_no_care_of_addresses) {
    link(2, "a");
    ipv4(2, "169.254.3.4");
    ipv4(2, "192.0.2.100");
    EXPECT_EQ(found(), Strings{});
    table.set_address(2, LinkAddress4{.address = v4("10.0.0.5")});
    table.remove_route(LinkRoute4{{}, 2, false, 100});
    EXPECT_EQ(found(), Strings{}) << "no route";
    table.set_route(LinkRoute4{*Ipv4Prefix::parse("203.0.113.2/32"), 2, false, 5});
    EXPECT_EQ(found(), Strings{"a 10.0.0.5 2"}) << "to the second home agent address only";
    rules.home_agents4.clear();
    EXPECT_EQ(found(), Strings{});
}

TEST_F(Ipv4AttachmentTest, the_kernel_takes_ipv4_routes_away_silently) {
    link(2, "a");
    ipv4(2, "10.0.0.5");
    table.remove_address(2, v4("10.0.0.5"));
    EXPECT_TRUE(table.routes4().empty());
}

TEST_F(Ipv4AttachmentTest, RFC5555_4_4_1_a_silent_family_comes_last_until_its_rest_is_over) {
    link(2, "a");
    ipv6(2, "2001:db8:a::2");
    ipv4(2, "10.0.0.5");
    reachability.note_silent(mip6::CareOf(v6("2001:db8:a::2")), now);
    EXPECT_EQ(found(), (Strings{"a 10.0.0.5", "a 10.0.0.5 2", "a 2001:db8:a::2"}));
    // Another network does not change that: no flipping with each movement.
    link(3, "b");
    ipv6(3, "2001:db8:b::2");
    EXPECT_EQ(found().front(), "a 10.0.0.5");
    reachability.note_silent(mip6::CareOf(v4("10.0.0.5"), kFirst, 2), now);
    EXPECT_EQ(found().front(), "a 10.0.0.5 2");
    EXPECT_EQ(reachability.next_deadline(), now + seconds{60});
    EXPECT_FALSE(reachability.expire(now + seconds{59}));
    EXPECT_TRUE(reachability.expire(now + seconds{60}));
    EXPECT_EQ(found().front(), "a 2001:db8:a::2");
}

TEST_F(Ipv4AttachmentTest, rests_become_longer_up_to_a_bound_and_an_answer_forgets_them) {
    const mip6::CareOf six{v6("2001:db8:a::2")};
    for (const int expected : {60, 120, 240, 480, 960, 960}) {
        reachability.note_silent(six, now);
        EXPECT_EQ(reachability.next_deadline(), now + seconds{expected});
        now += seconds{expected};
        EXPECT_TRUE(reachability.expire(now));
    }
    reachability.note_answer(six);
    reachability.note_silent(six, now);
    EXPECT_EQ(reachability.next_deadline(), now + seconds{60});
}

}  // namespace
}  // namespace homeport::mobile_node

// SPDX-License-Identifier: BSD-3-Clause
#include "tools/mobile-node/attachment.hpp"

#include <gtest/gtest.h>

namespace homeport::mobile_node {
namespace {

Ipv6Address v6(std::string_view text) {
    return *Ipv6Address::parse(text);
}
Ipv6Prefix prefix(std::string_view text) {
    return *Ipv6Prefix::parse(text);
}

struct AttachmentTest : testing::Test {
    AttachmentTest() {
        rules.home_address = v6("2001:db8:1::100");
        rules.home_prefix = prefix("2001:db8:1::/64");
        rules.home_agent = v6("2001:db8:1::1");
        rules.tunnel = "homeport0";
    }
    // A link with a link-local address.
    void link(int index, const char* name, bool running = true) {
        Link out;
        out.index = index;
        out.name = name;
        out.running = running;
        table.set_link(out);
        table.set_address(index, {.address = v6("fe80::1"), .prefix_length = 64});
    }
    void address(int index, std::string_view text, LinkAddress flags = {}) {
        flags.address = v6(text);
        flags.prefix_length = 64;
        table.set_address(index, flags);
    }
    void default_route(int index, std::uint32_t metric = 1024) {
        table.set_route({prefix("::/0"), index, false, metric});
    }
    // A link that will do.
    void visited(int index, const char* name, std::string_view care_of_address) {
        link(index, name);
        address(index, care_of_address);
        default_route(index);
    }
    [[nodiscard]] std::vector<std::string> found(const std::optional<Candidate>& now = {}) const {
        std::vector<std::string> out;
        for (const auto& one : find_candidates(table, rules, now)) {
            out.push_back(one.name + " " +
                          (one.at_home ? "home" : one.care_of_address.to_string()));
        }
        return out;
    }
    using Strings = std::vector<std::string>;

    SelectionRules rules;
    LinkTable table{v6("2001:db8:1::1"), prefix("2001:db8:1::/64")};
};

TEST_F(AttachmentTest, needs_a_running_link_an_address_and_a_route) {
    link(2, "a");
    EXPECT_EQ(found(), Strings{});
    address(2, "2001:db8:a::2");
    EXPECT_EQ(found(), Strings{});
    default_route(2);
    EXPECT_EQ(found(), Strings{"a 2001:db8:a::2"});
    link(2, "a", false);
    EXPECT_EQ(found(), Strings{});
}

TEST_F(AttachmentTest, a_route_to_the_home_agent_will_do_but_not_one_elsewhere) {
    link(2, "a");
    address(2, "2001:db8:a::2");
    table.set_route({prefix("2001:db8:9::/48"), 2, false, 1});
    EXPECT_EQ(found(), Strings{});
    table.set_route({prefix("2001:db8::/32"), 2, false, 1});
    EXPECT_EQ(found(), Strings{"a 2001:db8:a::2"});
}

TEST_F(AttachmentTest, tentative_addresses_wait_and_deprecated_ones_come_last) {
    visited(2, "a", "2001:db8:a::2");
    visited(3, "b", "2001:db8:b::2");
    rules.interfaces = {"a", "b"};
    address(2, "2001:db8:a::2", {.address = {}, .tentative = true});
    EXPECT_EQ(found(), Strings{"b 2001:db8:b::2"});
    address(2, "2001:db8:a::2", {.address = {}, .deprecated = true});
    EXPECT_EQ(found(), (Strings{"b 2001:db8:b::2", "a 2001:db8:a::2"}));
    address(2, "2001:db8:a::2");
    EXPECT_EQ(found(), (Strings{"a 2001:db8:a::2", "b 2001:db8:b::2"}));
}

TEST_F(AttachmentTest, interfaces_are_preferred_in_their_order_and_others_ignored) {
    visited(2, "a", "2001:db8:a::2");
    visited(3, "b", "2001:db8:b::2");
    visited(4, "c", "2001:db8:c::2");
    rules.interfaces = {"c", "a"};
    EXPECT_EQ(found(), (Strings{"c 2001:db8:c::2", "a 2001:db8:a::2"}));
}

TEST_F(AttachmentTest, without_a_list_home_comes_first_then_the_metric) {
    visited(2, "a", "2001:db8:a::2");
    visited(3, "b", "2001:db8:b::2");
    default_route(3, 10);
    link(4, "h");
    address(4, "2001:db8:1::77");
    EXPECT_EQ(found(), (Strings{"h home", "b 2001:db8:b::2", "a 2001:db8:a::2"}));
}

TEST_F(AttachmentTest, the_home_link_is_known_by_prefix_route_or_name) {
    link(4, "h");
    EXPECT_EQ(found(), Strings{});
    table.set_route({prefix("2001:db8:1::/64"), 4, true, 256});
    EXPECT_EQ(found(), Strings{"h home"});
    table.remove_route({prefix("2001:db8:1::/64"), 4, true, 256});
    table.set_route({prefix("2001:db8:1::/64"), 4, false, 256});  // behind a router: not on-link
    EXPECT_EQ(found(), Strings{});
    rules.home_interface = "h";
    EXPECT_EQ(found(), Strings{"h home"});
}

TEST_F(AttachmentTest, home_needs_a_link_local_address_to_speak_from) {
    rules.home_interface = "h";
    Link bare;
    bare.index = 4;
    bare.name = "h";
    bare.running = true;
    table.set_link(bare);
    EXPECT_EQ(found(), Strings{});
    table.set_address(4, {.address = v6("fe80::9"), .prefix_length = 64});
    EXPECT_EQ(found(), Strings{"h home"});
}

TEST_F(AttachmentTest, S1_5_home_address_is_never_a_care_of_address) {
    visited(2, "a", "2001:db8:1::100");
    EXPECT_EQ(found(), Strings{});
    link(5, "homeport0");
    address(5, "2001:db8:5::5");
    default_route(5);
    EXPECT_EQ(found(), Strings{});
}

TEST_F(AttachmentTest, nothing_moves_without_need) {
    visited(2, "a", "2001:db8:a::1");
    address(2, "2001:db8:a::9");
    EXPECT_EQ(found().front(), "a 2001:db8:a::1");
    Candidate now;
    now.interface = 2;
    now.care_of_address = v6("2001:db8:a::9");
    EXPECT_EQ(found(now).front(), "a 2001:db8:a::9");
}

TEST_F(AttachmentTest, lasting_addresses_are_preferred_to_temporary_ones) {
    visited(2, "a", "2001:db8:a::9");
    address(2, "2001:db8:a::1", {.address = {}, .temporary = true});
    EXPECT_EQ(found(), (Strings{"a 2001:db8:a::9", "a 2001:db8:a::1"}));
}

TEST_F(AttachmentTest, lifetime_of_the_address_is_told) {
    visited(2, "a", "2001:db8:a::9");
    EXPECT_EQ(find_candidates(table, rules, {})[0].address_lifetime, std::nullopt);
    address(2, "2001:db8:a::9", {.address = {}, .valid_lifetime = 90});
    EXPECT_EQ(find_candidates(table, rules, {})[0].address_lifetime, std::chrono::seconds{90});
}

TEST_F(AttachmentTest, tables_are_bounded) {
    for (int i = 1; i < 3000; ++i) link(i, "x");
    EXPECT_EQ(table.links().size(), LinkTable::kMostLinks);
    for (std::uint32_t i = 0; i < 3000; ++i) default_route(1, i);
    EXPECT_EQ(table.routes().size(), LinkTable::kMostRoutes);
    for (int i = 0; i < 600; ++i) {
        LinkAddress one;
        one.address.bytes = {0x20, 1, 0, static_cast<std::uint8_t>(i / 256),
                             static_cast<std::uint8_t>(i)};
        table.set_address(1, one);
    }
    EXPECT_EQ(table.find(1)->addresses.size(), LinkTable::kMostAddresses);
}

}  // namespace
}  // namespace homeport::mobile_node

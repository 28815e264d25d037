// SPDX-License-Identifier: BSD-3-Clause
#include "tests/unit/table/table_fixture.hpp"

namespace homeport::table::test {
namespace {

class AddressTest : public TableTest {};

TEST_F(AddressTest, an_address_is_found_with_its_ports) {
    ASSERT_TRUE(writer_.apply(address("fe80::1", 0)));
    ASSERT_TRUE(writer_.apply(address("fe80::1", 1)));
    ASSERT_TRUE(writer_.apply(address("2001:db8:100::1", 1, true)));
    ASSERT_TRUE(writer_.apply(address("192.0.2.1", 0)));
    const LocalAddresses& local = tables_.local_addresses;
    EXPECT_EQ(local.find(key("fe80::1"))->ports, 3u);
    EXPECT_TRUE(local.find(key("2001:db8:100::1"))->is_home_agent_address);
    EXPECT_TRUE(local.find(key("2001:db8:100::1"))->on_port(1));
    EXPECT_FALSE(local.find(key("2001:db8:100::1"))->on_port(0));
    EXPECT_NE(local.find(*Ipv4Address::parse("192.0.2.1")), nullptr);
    EXPECT_EQ(local.find(key("fe80::2")), nullptr);
    channel::AddressRemove gone;
    gone.address = wire("fe80::1");
    gone.port = 0;
    ASSERT_TRUE(writer_.apply(gone));
    EXPECT_EQ(local.find(key("fe80::1"))->ports, 2u);
    gone.port = 1;
    ASSERT_TRUE(writer_.apply(gone));
    EXPECT_EQ(local.find(key("fe80::1")), nullptr);
}

TEST_F(AddressTest, a_source_is_of_the_destinations_scope_and_of_the_port) {
    const LocalAddresses& local = tables_.local_addresses;
    EXPECT_FALSE(local.source_for(0, key("2001:db8::9")));
    ASSERT_TRUE(writer_.apply(address("fe80::a", 0)));
    ASSERT_TRUE(writer_.apply(address("2001:db8:1::a", 0)));
    ASSERT_TRUE(writer_.apply(address("2001:db8:2::b", 1)));
    ASSERT_TRUE(writer_.apply(address("2001:db8:2::c", 1, true)));
    ASSERT_TRUE(writer_.apply(address("192.0.2.1", 1)));
    EXPECT_EQ(local.source_for(0, key("fe80::9")), key("fe80::a"));
    EXPECT_FALSE(local.source_for(1, key("fe80::9"))) << "no link-local address there";
    EXPECT_EQ(local.source_for(0, key("ff02::1")), key("fe80::a"));
    EXPECT_EQ(local.source_for(0, key("2001:db8::9")), key("2001:db8:1::a"));
    EXPECT_EQ(local.source_for(1, key("2001:db8::9")), key("2001:db8:2::c"));
    EXPECT_EQ(local.source_for(channel::kNoPort, key("2001:db8::9")), key("2001:db8:2::c"));
    EXPECT_EQ(local.source_for(0, *Ipv4Address::parse("198.51.100.1")),
              *Ipv4Address::parse("192.0.2.1"));
}

TEST_F(AddressTest, bad_addresses_are_refused_and_a_full_table_says_so) {
    using enum channel::CommandError;
    EXPECT_EQ(error_of(address("ff02::1", 0)), kMalformed);
    EXPECT_EQ(error_of(address("::", 0)), kMalformed);
    EXPECT_EQ(error_of(address("255.255.255.255", 0)), kMalformed);
    EXPECT_EQ(error_of(address("fe80::1", 7)), kUnknownPort);
    EXPECT_TRUE(writer_.apply(address("2001:db8::1", channel::kNoPort)));
    for (int n = 1; n < 20; ++n) {
        ASSERT_TRUE(writer_.apply(address("2001:db8:1::" + std::to_string(n), 0)));
    }
    EXPECT_EQ(error_of(address("2001:db8:1::99", 0)), kTableFull);
}

TEST_F(AddressTest, home_prefixes_say_link_and_policy) {
    ASSERT_TRUE(writer_.apply(home_prefix("2001:db8:100::", 64, 1)));
    ASSERT_TRUE(writer_.apply(home_prefix("2001:db8:200::", 64, channel::kNoPort, true)));
    ASSERT_TRUE(writer_.apply(home_prefix("203.0.113.0", 24, 1)));
    const HomePrefixes& prefixes = tables_.home_prefixes;
    EXPECT_EQ(prefixes.find(key("2001:db8:100::77"))->port, 1);
    EXPECT_TRUE(prefixes.find(key("2001:db8:200::77"))->is_virtual());
    EXPECT_TRUE(prefixes.find(key("2001:db8:200::77"))->drop_unbound);
    EXPECT_EQ(prefixes.find(key("203.0.113.9"))->port, 1);
    EXPECT_EQ(prefixes.find(key("2001:db8:300::77")), nullptr);
    EXPECT_EQ(prefixes.on_port(1).size(), 2u);
    EXPECT_FALSE(prefixes.is_home_port(0));
    EXPECT_FALSE(prefixes.is_home_port(channel::kNoPort));
    channel::HomePrefixRemove gone;
    gone.prefix = wire("2001:db8:100::");
    gone.prefix_length = 64;
    ASSERT_TRUE(writer_.apply(gone));
    EXPECT_EQ(prefixes.find(key("2001:db8:100::77")), nullptr);
    EXPECT_EQ(prefixes.on_port(1).size(), 1u);
    EXPECT_EQ(error_of(home_prefix("::", 0, 0)), channel::CommandError::kMalformed);
    EXPECT_EQ(error_of(home_prefix("2001:db8::", 64, 9)), channel::CommandError::kUnknownPort);
}

}  // namespace
}  // namespace homeport::table::test

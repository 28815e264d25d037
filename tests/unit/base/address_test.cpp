// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/base/address.hpp"

#include <gtest/gtest.h>

namespace homeport {
namespace {

TEST(Ipv6Address, parses_and_prints_rfc5952) {
    const auto address = Ipv6Address::parse("2001:DB8:0:0:0:0:0:1");
    ASSERT_TRUE(address);
    EXPECT_EQ(address->to_string(), "2001:db8::1");
    EXPECT_FALSE(Ipv6Address::parse("2001:db8::1%eth0"));
    EXPECT_FALSE(Ipv6Address::parse("192.0.2.1"));
}

TEST(Ipv6Address, unicast_routable_excludes_every_special_range) {
    for (const char* text :
         {"::", "::1", "ff02::1", "fe80::1", "febf::1", "::ffff:192.0.2.1", "::192.0.2.1"}) {
        EXPECT_FALSE(Ipv6Address::parse(text)->is_unicast_routable()) << text;
    }
    for (const char* text : {"2001:db8::1", "fec0::1", "fd00::1", "64:ff9b::1"}) {
        EXPECT_TRUE(Ipv6Address::parse(text)->is_unicast_routable()) << text;
    }
}

TEST(Ipv6Address, solicited_node_group_takes_the_low_24_bits) {
    EXPECT_EQ(Ipv6Address::parse("2001:db8::1234:5678")->solicited_node().to_string(),
              "ff02::1:ff34:5678");
    EXPECT_EQ(ethernet_group_of(*Ipv6Address::parse("ff02::1:ff34:5678")).to_string(),
              "33:33:ff:34:56:78");
}

TEST(MacAddress, refuses_what_is_not_six_octets) {
    EXPECT_EQ(MacAddress::parse("02:00:00:aB:cd:0f")->to_string(), "02:00:00:ab:cd:0f");
    EXPECT_FALSE(MacAddress::parse("02:00:00:ab:cd"));
    EXPECT_FALSE(MacAddress::parse("02-00-00-ab-cd-0f"));
    EXPECT_FALSE(MacAddress::parse("02:00:00:ab:cd:0g"));
}

TEST(Prefix, contains_compares_only_the_prefix_bits) {
    const auto prefix = Ipv6Prefix::parse("2001:db8:1:8000::/49");
    ASSERT_TRUE(prefix);
    EXPECT_TRUE(prefix->contains(*Ipv6Address::parse("2001:db8:1:ffff::1")));
    EXPECT_FALSE(prefix->contains(*Ipv6Address::parse("2001:db8:1:7fff::1")));
    EXPECT_TRUE(Ipv6Prefix::parse("::/0")->contains(*Ipv6Address::parse("2001:db8::1")));
    EXPECT_FALSE(Ipv6Prefix::parse("2001:db8::/129"));
    EXPECT_FALSE(Ipv6Prefix::parse("2001:db8::1"));
    EXPECT_FALSE(Ipv6Prefix::parse("2001:db8::/6x"));
}

TEST(Prefix, masked_clears_the_host_bits) {
    EXPECT_EQ(Ipv6Prefix::parse("2001:db8:ffff::1/36")->masked().to_string(), "2001:db8:f000::/36");
    EXPECT_EQ(Ipv4Prefix::parse("192.0.2.255/25")->masked().to_string(), "192.0.2.128/25");
}

}  // namespace
}  // namespace homeport

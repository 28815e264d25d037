// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/header_walk.hpp"

#include <gtest/gtest.h>

#include "tests/unit/ipsec/support.hpp"

namespace homeport::ipsec {
namespace {

using test::Bytes;

constexpr const char* kA = "2001:db8::1";
constexpr const char* kB = "2001:db8::2";

/// An extension header of 8 octets.
Bytes extension(std::uint8_t next, const Bytes& rest) {
    return test::joined({{next, 0, 1, 4, 0, 0, 0, 0}, rest});
}

Bytes fragment(std::uint8_t next, std::uint16_t offset_flags, const Bytes& rest) {
    return test::joined({{next, 0, static_cast<std::uint8_t>(offset_flags >> 8),
                          static_cast<std::uint8_t>(offset_flags), 0, 0, 0, 9},
                         rest});
}

const Bytes kUdp{0x0f, 0xa1, 0x13, 0x88, 0, 8, 0, 0};

TEST(HeaderWalk, skips_0_43_44_60_and_nothing_else) {
    HeaderInfo info;
    const Bytes chain = extension(60, extension(43, extension(60, fragment(17, 0, kUdp))));
    ASSERT_TRUE(walk_headers(test::ipv6(kA, kB, 0, chain), info));
    EXPECT_EQ(info.protocol, 17);
    EXPECT_EQ(info.upper_offset, 72);
    EXPECT_EQ(info.upper_name_offset, 64);
    EXPECT_EQ(info.source_value, 4001);
    EXPECT_EQ(info.destination_value, 5000);
    EXPECT_FALSE(info.fragment);
    ASSERT_TRUE(walk_headers(test::ipv6(kA, kB, 51, extension(17, kUdp)), info));
    EXPECT_EQ(info.protocol, 51);
    EXPECT_FALSE(info.values_known);
}

TEST(HeaderWalk, esp_goes_behind_hop_by_hop_routing_and_fragment) {
    HeaderInfo info;
    ASSERT_TRUE(walk_headers(test::ipv6(kA, kB, 17, kUdp), info));
    EXPECT_EQ(info.insert_offset, 40);
    EXPECT_EQ(info.insert_name_offset, 6);
    // Destination options behind the routing header go inside.
    ASSERT_TRUE(walk_headers(
        test::ipv6(kA, kB, 0, extension(43, extension(60, extension(17, kUdp)))), info));
    EXPECT_EQ(info.insert_offset, 56);
    EXPECT_EQ(info.insert_name_offset, 48);
    // Those before it stay outside.
    ASSERT_TRUE(walk_headers(test::ipv6(kA, kB, 60, extension(43, extension(17, kUdp))), info));
    EXPECT_EQ(info.insert_offset, 56);
    ASSERT_TRUE(walk_headers(test::ipv6(kA, kB, 60, extension(17, kUdp)), info));
    EXPECT_EQ(info.insert_offset, 40);
}

TEST(HeaderWalk, values_of_icmp_and_mh) {
    HeaderInfo info;
    ASSERT_TRUE(walk_headers(test::icmpv6(kA, kB, 147, 3), info));
    EXPECT_EQ(info.source_value, 147 * 256 + 3);
    ASSERT_TRUE(walk_headers(test::mh(kA, kB, 5), info));
    EXPECT_EQ(info.source_value, 5);
    EXPECT_EQ(info.destination_value, 5);
}

TEST(HeaderWalk, fragments) {
    HeaderInfo info;
    ASSERT_TRUE(walk_headers(test::ipv6(kA, kB, 44, fragment(17, 1, kUdp)), info));
    EXPECT_TRUE(info.fragment);
    EXPECT_TRUE(info.values_known);
    ASSERT_TRUE(walk_headers(test::ipv6(kA, kB, 44, fragment(17, 0x0100, kUdp)), info));
    EXPECT_TRUE(info.fragment);
    EXPECT_TRUE(info.protocol_known);
    EXPECT_FALSE(info.values_known);
    // What follows in a non-initial fragment is no destination options header.
    ASSERT_TRUE(walk_headers(test::ipv6(kA, kB, 44, fragment(60, 0x0100, kUdp)), info));
    EXPECT_FALSE(info.protocol_known);
    ASSERT_TRUE(walk_headers(test::ipv4("192.0.2.1", "192.0.2.2", 17, kUdp, 0x2000), info));
    EXPECT_TRUE(info.fragment && info.values_known);
    ASSERT_TRUE(walk_headers(test::ipv4("192.0.2.1", "192.0.2.2", 17, kUdp, 0x0001), info));
    EXPECT_TRUE(info.fragment && !info.values_known);
    ASSERT_TRUE(walk_headers(test::ipv4("192.0.2.1", "192.0.2.2", 17, kUdp, 0x4000), info));
    EXPECT_FALSE(info.fragment);
}

TEST(HeaderWalk, ipv4_options_are_skipped) {
    HeaderInfo info;
    ASSERT_TRUE(
        walk_headers(test::ipv4("192.0.2.1", "192.0.2.2", 17, kUdp, 0, Bytes{1, 1, 1, 1}), info));
    EXPECT_EQ(info.upper_offset, 24);
    EXPECT_EQ(info.source_value, 4001);
}

TEST(HeaderWalk, every_truncation_is_refused) {
    const Bytes chain = extension(60, extension(43, extension(60, fragment(17, 0, kUdp))));
    for (const Bytes& packet :
         {test::ipv6(kA, kB, 0, chain), test::ipv4("192.0.2.1", "192.0.2.2", 17, kUdp)}) {
        HeaderInfo info;
        for (std::size_t length = 0; length < packet.size(); ++length) {
            EXPECT_FALSE(walk_headers(ConstByteSpan(packet).first(length), info)) << length;
        }
        EXPECT_TRUE(walk_headers(packet, info));
    }
}

TEST(HeaderWalk, lying_lengths_are_refused) {
    HeaderInfo info;
    Bytes long_option = test::ipv6(kA, kB, 60, extension(17, kUdp));
    long_option[41] = 20;
    EXPECT_FALSE(walk_headers(long_option, info));
    Bytes short_header = test::ipv4("192.0.2.1", "192.0.2.2", 17, kUdp);
    short_header[0] = 0x44;
    EXPECT_FALSE(walk_headers(short_header, info));
    Bytes version = test::ipv6(kA, kB, 17, kUdp);
    version[0] = 0x50;
    EXPECT_FALSE(walk_headers(version, info));
}

TEST(HeaderWalk, endless_chains_are_refused) {
    HeaderInfo info;
    Bytes chain = kUdp;
    std::uint8_t next = 17;
    for (int i = 0; i < 16; ++i) {
        chain = extension(next, chain);
        next = 60;
    }
    EXPECT_TRUE(walk_headers(test::ipv6(kA, kB, 60, chain), info));
    EXPECT_FALSE(walk_headers(test::ipv6(kA, kB, 60, extension(60, chain)), info));
}

}  // namespace
}  // namespace homeport::ipsec

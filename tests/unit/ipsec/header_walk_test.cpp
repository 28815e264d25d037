// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/ipsec/header_walk.hpp"

#include <gtest/gtest.h>

#include <random>

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

TEST(HeaderWalk, the_short_way_sees_what_the_whole_way_sees) {
    std::mt19937 generator(1);
    const auto random = [&generator](unsigned end) {
        return static_cast<unsigned>(generator()) % end;
    };
    unsigned short_ways = 0;
    for (int i = 0; i < 20000; ++i) {
        static constexpr std::uint8_t kNext[] = {6, 17, 50, 58, 60, 44, 59};
        Bytes packet = test::ipv6(kA, kB, kNext[random(7)], test::pattern(random(24), 3));
        store_be16(packet.data() + 4, static_cast<std::uint16_t>(random(26)));
        if (random(20) == 0) packet[0] = static_cast<std::uint8_t>(random(256));
        HeaderInfo quick;
        HeaderInfo whole;
        const bool result = walk_headers(packet, quick);
        ASSERT_EQ(result, walk_headers_in_full(packet, whole));
        if (!result) continue;
        short_ways += quick.protocol == 17 ? 1 : 0;
        ASSERT_EQ(quick.source, whole.source);
        ASSERT_EQ(quick.destination, whole.destination);
        ASSERT_EQ(quick.ip_length, whole.ip_length);
        ASSERT_EQ(quick.family, whole.family);
        ASSERT_EQ(quick.protocol_known, whole.protocol_known);
        ASSERT_EQ(quick.protocol, whole.protocol);
        ASSERT_EQ(quick.fragment, whole.fragment);
        ASSERT_EQ(quick.values_known, whole.values_known);
        ASSERT_EQ(quick.source_value, whole.source_value);
        ASSERT_EQ(quick.destination_value, whole.destination_value);
        ASSERT_EQ(quick.upper_offset, whole.upper_offset);
        ASSERT_EQ(quick.upper_name_offset, whole.upper_name_offset);
        ASSERT_EQ(quick.insert_offset, whole.insert_offset);
        ASSERT_EQ(quick.insert_name_offset, whole.insert_name_offset);
    }
    EXPECT_GT(short_ways, 100u);
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

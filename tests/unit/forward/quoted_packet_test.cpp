// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/forward/quoted_packet.hpp"

#include <gtest/gtest.h>

#include "dataplane/base/checksum.hpp"
#include "dataplane/table/binding_table.hpp"
#include "tests/unit/tunnel/packets.hpp"

namespace homeport::forward {
namespace {

using Kind = QuotedPacket::Kind;
using test::Bytes;
using test::concat;
using test::ipv4;
using test::ipv6;
using test::kCareOfAddress;
using test::kCorrespondent;
using test::kHomeAddress;
using test::kHomeAgent;
using test::v4;

const Bytes kInner = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(100, 5));

TEST(QuotedPacket, a_tunnel_packet_says_whose_it_is) {
    const QuotedPacket quoted = read_quote(ipv6(kHomeAgent, kCareOfAddress, 41, kInner));
    EXPECT_EQ(quoted.kind, Kind::kTunnel);
    EXPECT_EQ(quoted.source, kHomeAgent);
    EXPECT_EQ(quoted.destination, kCareOfAddress);
    EXPECT_EQ(quoted.home_address, kHomeAddress);
    EXPECT_EQ(quoted.length, 180u);
    EXPECT_EQ(quoted.inner_length, 140u);
    EXPECT_EQ(quoted.inner_family, 6);
    EXPECT_EQ(quoted.inner.size(), 140u);
}

TEST(QuotedPacket, ipv4_inside_is_known_in_v4_mapped_form) {
    const Bytes inner =
        ipv4(v4("203.0.113.1"), v4("192.0.2.100"), 17, Bytes(100, 5), {.flags_offset = 0x4000});
    const QuotedPacket quoted = read_quote(ipv6(kHomeAgent, kCareOfAddress, 4, inner));
    EXPECT_EQ(quoted.kind, Kind::kTunnel);
    EXPECT_EQ(quoted.home_address, *Ipv6Address::parse("::ffff:192.0.2.100"));
    EXPECT_EQ(quoted.inner_length, 120u);
    EXPECT_TRUE(quoted.inner_dont_fragment);
}

TEST(QuotedPacket, lengths_are_those_that_the_headers_say_however_little_is_quoted) {
    const Bytes whole = ipv6(kHomeAgent, kCareOfAddress, 41, kInner);
    for (std::size_t length = 0; length <= whole.size(); ++length) {
        const QuotedPacket quoted = read_quote({whole.data(), length});
        if (length < 40) {
            EXPECT_EQ(quoted.kind, Kind::kOther) << length;
        } else if (length < 80) {
            EXPECT_EQ(quoted.kind, Kind::kCutOff) << length;
        } else {
            EXPECT_EQ(quoted.kind, Kind::kTunnel) << length;
            EXPECT_EQ(quoted.inner_length, 140u);
        }
    }
}

TEST(QuotedPacket, the_first_piece_of_a_fragmented_packet_is_enough) {
    const Bytes first =
        ipv6(kHomeAgent, kCareOfAddress, 44, concat({{41, 0, 0, 1, 0, 0, 0, 9}, kInner}));
    EXPECT_EQ(read_quote(first).kind, Kind::kTunnel);
    EXPECT_EQ(read_quote(first).home_address, kHomeAddress);
    const Bytes later =
        ipv6(kHomeAgent, kCareOfAddress, 44, concat({{41, 0, 0, 9, 0, 0, 0, 9}, kInner}));
    EXPECT_EQ(read_quote(later).kind, Kind::kCutOff);
    const Bytes other =
        ipv6(kHomeAgent, kCareOfAddress, 44, concat({{17, 0, 0, 9, 0, 0, 0, 9}, kInner}));
    EXPECT_EQ(read_quote(other).kind, Kind::kOther);
}

TEST(QuotedPacket, C4_a_reply_with_a_routing_header) {
    const QuotedPacket quoted = read_quote(test::kC4Wire);
    EXPECT_EQ(quoted.kind, Kind::kRouting);
    EXPECT_EQ(quoted.home_address, kHomeAddress);
    EXPECT_EQ(quoted.destination, kCareOfAddress);
    EXPECT_EQ(read_quote({test::kC4Wire.data(), 63}).kind, Kind::kOther);
}

TEST(QuotedPacket, S1_22_C5_a_sealed_packet_says_its_spi) {
    const QuotedPacket quoted = read_quote(test::kC5Rewritten);
    EXPECT_EQ(quoted.kind, Kind::kSealed);
    EXPECT_EQ(quoted.spi, 0x20000003u);
    EXPECT_EQ(quoted.source, kHomeAgent);
    EXPECT_EQ(quoted.destination, kCareOfAddress);
    EXPECT_EQ(quoted.length, test::kC5Rewritten.size());
}

TEST(QuotedPacket, P9_P10_P13_over_ipv4) {
    const Ipv4Address from = v4("192.0.2.1");
    const Ipv4Address to = v4("203.0.113.7");
    const auto in_udp = [&](std::uint16_t port, const Bytes& payload) {
        Bytes datagram(8);
        store_be16(datagram.data(), port);
        return ipv4(from, to, 17, concat({datagram, payload}));
    };
    for (const auto& [quote, overhead] :
         {std::pair{ipv4(from, to, 41, kInner), 20u}, std::pair{in_udp(4191, kInner), 28u}}) {
        const QuotedPacket quoted = read_quote(quote);
        EXPECT_EQ(quoted.kind, Kind::kTunnel);
        EXPECT_EQ(quoted.home_address, kHomeAddress);
        EXPECT_EQ(quoted.source, table::v4_mapped(from));
        EXPECT_EQ(quoted.destination, table::v4_mapped(to));
        EXPECT_EQ(quoted.overhead, overhead);
        EXPECT_EQ(quoted.length, quote.size());
        EXPECT_EQ(quoted.inner_length, kInner.size());
        for (std::size_t cut = 20; cut < overhead + 40; ++cut) {  // nothing behind the end is read
            const Bytes part(quote.begin(), quote.begin() + static_cast<std::ptrdiff_t>(cut));
            EXPECT_NE(read_quote(part).kind, Kind::kTunnel) << cut;
        }
    }
    const Bytes esp{0x20, 0, 0, 3, 0, 0, 0, 1};
    EXPECT_EQ(read_quote(ipv4(from, to, 50, esp)).spi, 0x20000003u);
    EXPECT_EQ(read_quote(in_udp(4500, esp)).spi, 0x20000003u);
    EXPECT_EQ(read_quote(in_udp(4500, {})).kind, Kind::kOther);
    EXPECT_EQ(read_quote(in_udp(53, kInner)).kind, Kind::kOther);
    Bytes later = ipv4(from, to, 41, kInner, {.flags_offset = 0x0010});
    EXPECT_EQ(read_quote(later).kind, Kind::kCutOff);
}

TEST(QuotedPacket, anything_else_is_other) {
    EXPECT_EQ(read_quote({}).kind, Kind::kOther);
    EXPECT_EQ(read_quote(ipv6(kHomeAgent, kCareOfAddress, 51, Bytes(60, 1))).kind, Kind::kOther);
    EXPECT_EQ(read_quote(ipv6(kHomeAgent, kCareOfAddress, 50, Bytes(3, 1))).kind, Kind::kOther);
    for (const std::uint8_t protocol : {std::uint8_t{1}, std::uint8_t{6}, std::uint8_t{51}}) {
        EXPECT_EQ(read_quote(ipv4(v4("192.0.2.1"), v4("192.0.2.2"), protocol, kInner)).kind,
                  Kind::kOther);
    }
    Bytes no_header = ipv4(v4("192.0.2.1"), v4("192.0.2.2"), 41, kInner);
    no_header[0] = 0x44;
    EXPECT_EQ(read_quote(no_header).kind, Kind::kOther);
    EXPECT_EQ(read_quote(ipv6(kHomeAgent, kCareOfAddress, 41, Bytes(60, 0x45))).kind,
              Kind::kCutOff);
}

/// A minimal forwarding header of RFC 2004 with the original source.
Bytes minimal_header(Ipv4Address source, Ipv4Address destination) {
    Bytes header{17, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    destination.store(header.data() + 4);
    source.store(header.data() + 8);
    store_be16(header.data() + 2, internet_checksum({header.data(), header.size()}));
    return header;
}

TEST(QuotedPacket, P24_what_minimal_encapsulation_edited_is_put_together_anew) {
    const Bytes payload(100, 5);
    const Bytes quote =
        ipv4(v4("192.0.2.1"), v4("203.0.113.7"), 55,
             concat({minimal_header(v4("198.51.100.9"), v4("192.0.2.100")), payload}));
    const QuotedPacket quoted = read_quote(quote);
    ASSERT_EQ(quoted.kind, Kind::kTunnel);
    EXPECT_TRUE(quoted.edited);
    EXPECT_EQ(quoted.inner_length, 120u);
    std::array<std::uint8_t, kMostRestored> restored;
    ASSERT_EQ(restore_inner(quote, quoted, restored), 120u);
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(restored.data());
    EXPECT_EQ(ip.total_length.host(), 120);
    EXPECT_EQ(ip.protocol, 17);
    EXPECT_EQ(ip.source, v4("198.51.100.9"));
    EXPECT_EQ(ip.destination, v4("192.0.2.100"));
}

TEST(QuotedPacket, P24_a_length_without_room_for_the_minimal_header_is_no_tunnel_packet) {
    Bytes quote = ipv4(v4("192.0.2.1"), v4("203.0.113.7"), 55,
                       minimal_header(v4("198.51.100.9"), v4("192.0.2.100")));
    EXPECT_EQ(read_quote(quote).kind, Kind::kTunnel);
    store_be16(quote.data() + 2, 31);  // 20 and 12 make 32
    EXPECT_EQ(read_quote(quote).kind, Kind::kCutOff);
}

}  // namespace
}  // namespace homeport::forward

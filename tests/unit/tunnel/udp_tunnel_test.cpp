// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/udp_tunnel.hpp"

#include <gtest/gtest.h>

#include "tests/unit/tunnel/packets.hpp"

namespace homeport::tunnel {
namespace {

using namespace homeport::test;
using Kind = UdpTunnelPayload::Kind;

/// A UDP header that says `length`, then `payload`.
Bytes datagram(std::size_t length, const Bytes& payload) {
    Bytes bytes(8);
    store_be16(bytes.data(), 40000);
    store_be16(bytes.data() + 2, kDsmipPort);
    store_be16(bytes.data() + 4, static_cast<std::uint16_t>(length));
    append(bytes, payload);
    return bytes;
}

TEST(UdpTunnel, P10i_lengths_that_lie) {
    for (std::size_t there = 0; there < 8; ++there) {
        EXPECT_FALSE(read_udp(Bytes(there)).well_formed);
    }
    const Bytes payload(20, 0x60);
    for (std::size_t length = 0; length < 8; ++length) {
        EXPECT_FALSE(read_udp(datagram(length, payload)).well_formed) << length;
    }
    for (std::size_t length = 8; length <= 28; ++length) {
        const Bytes bytes = datagram(length, payload);
        const UdpDatagram udp = read_udp(bytes);
        ASSERT_TRUE(udp.well_formed) << length;
        EXPECT_EQ(udp.payload.size(), length - 8);
        EXPECT_EQ(udp.source_port, 40000);
        EXPECT_EQ(udp.destination_port, 4191);
    }
    EXPECT_FALSE(read_udp(datagram(29, payload)).well_formed);
    EXPECT_FALSE(read_udp(datagram(0xffff, payload)).well_formed);
}

TEST(UdpTunnel, checksum_of_vectors_C8_and_C10) {
    const Bytes c8 = from_hex(
        "450000880000000040117c5ccb007107c00002019c40105f0074cafc600000000044324020010db80001000000"
        "0000000000010020010db8000100000000000000000001100000010000000200000000000000029a25637db4da"
        "b9f2cda0bba080040c09858353491b91ba67697f4da9e9a4b23c7ddec640ac3a50eba0a43f04acff5f37ca670f"
        "45");
    const ConstByteSpan udp = ConstByteSpan(c8).subspan(20);
    const Ipv4Address nat = v4("203.0.113.7");
    const Ipv4Address home_agent = v4("192.0.2.1");
    EXPECT_TRUE(udp_checksum_holds(nat, home_agent, udp));
    EXPECT_FALSE(udp_checksum_holds(v4("203.0.113.8"), home_agent, udp));
    for (std::size_t i = 0; i < udp.size(); ++i) {
        if (i == 4 || i == 5) continue;  // the length, which says what is covered
        Bytes wrong(udp.begin(), udp.end());
        wrong[i] ^= 0x10;
        EXPECT_FALSE(udp_checksum_holds(nat, home_agent, wrong)) << i;
    }
    Bytes without(udp.begin(), udp.end());
    store_be16(without.data() + 6, 0);
    EXPECT_TRUE(udp_checksum_holds(nat, home_agent, without));
    EXPECT_EQ(udp_checksum(nat, home_agent, without), 0xcafc);
}

TEST(UdpTunnel, a_computed_checksum_is_never_zero) {
    Bytes bytes = datagram(10, Bytes(2));
    const Ipv4Address zero{};
    const std::uint16_t sum = udp_checksum(zero, zero, bytes);
    store_be16(bytes.data() + 8, sum);  // one's complement: now everything sums up to 0xffff
    EXPECT_EQ(udp_checksum(zero, zero, bytes), 0xffff);
    store_be16(bytes.data() + 6, 0xffff);
    EXPECT_TRUE(udp_checksum_holds(zero, zero, bytes));
}

TEST(UdpTunnel, P10i_the_version_nibble_tells) {
    EXPECT_EQ(read_udp_tunnel_payload({}, true).kind, Kind::kShort);
    for (unsigned first = 0; first < 256; ++first) {
        const Bytes payload(1, static_cast<std::uint8_t>(first));
        const UdpTunnelPayload read = read_udp_tunnel_payload(payload, false);
        if (first >> 4 == 6) {
            EXPECT_EQ(read.kind, Kind::kIp);
            EXPECT_EQ(read.protocol, 41);
        } else if (first >> 4 == 4) {
            EXPECT_EQ(read.kind, Kind::kIp);
            EXPECT_EQ(read.protocol, 4);
        } else {
            EXPECT_EQ(read.kind, Kind::kBadVersion) << first;
        }
        EXPECT_EQ(read.offset, 0);
    }
}

TEST(UdpTunnel, RFC5845_tlv_header_only_where_it_is_allowed) {
    for (const std::uint8_t protocol : {std::uint8_t{41}, std::uint8_t{4}}) {
        Bytes payload(4 + 40, protocol == 41 ? 0x60 : 0x45);
        write_tlv_header(payload.data(), protocol, 40);
        EXPECT_EQ(read_udp_tunnel_payload(payload, false).kind, Kind::kBadVersion);
        const UdpTunnelPayload read = read_udp_tunnel_payload(payload, true);
        EXPECT_EQ(read.kind, Kind::kIp);
        EXPECT_EQ(read.protocol, protocol);
        EXPECT_EQ(read.offset, 4);

        for (const std::uint16_t lie : {std::uint16_t{0}, std::uint16_t{39}, std::uint16_t{41},
                                        std::uint16_t{44}, std::uint16_t{0xffff}}) {
            write_tlv_header(payload.data(), protocol, lie);
            EXPECT_EQ(read_udp_tunnel_payload(payload, true).kind, Kind::kShort) << lie;
        }
        for (const int other : {0, 17, 47, 50, 255, protocol == 41 ? 4 : 41}) {
            write_tlv_header(payload.data(), static_cast<std::uint8_t>(other), 40);
            EXPECT_EQ(read_udp_tunnel_payload(payload, true).kind, Kind::kBadVersion) << other;
        }
    }
    for (std::size_t length = 1; length <= 4; ++length) {
        EXPECT_EQ(read_udp_tunnel_payload(Bytes(length), true).kind, Kind::kShort) << length;
    }
}

TEST(UdpTunnel, RFC3948_2_what_port_4500_brings) {
    EXPECT_EQ(classify_udp4500(Bytes{0xff}), Udp4500Payload::kKeepalive);
    EXPECT_EQ(classify_udp4500(Bytes{0xfe}), Udp4500Payload::kBad);
    EXPECT_EQ(classify_udp4500({}), Udp4500Payload::kBad);
    EXPECT_EQ(classify_udp4500(Bytes(3, 0xff)), Udp4500Payload::kBad);
    EXPECT_EQ(classify_udp4500(Bytes(4, 0)), Udp4500Payload::kBad);
    EXPECT_EQ(classify_udp4500(Bytes(5, 0)), Udp4500Payload::kIke);
    EXPECT_EQ(classify_udp4500(Bytes(32, 0)), Udp4500Payload::kIke);
    Bytes esp(8, 0);
    esp[3] = 1;
    EXPECT_EQ(classify_udp4500(esp), Udp4500Payload::kEsp);
    esp.pop_back();
    EXPECT_EQ(classify_udp4500(esp), Udp4500Payload::kBad);
    EXPECT_EQ(classify_udp4500(Bytes(100, 0xff)), Udp4500Payload::kEsp);
}

}  // namespace
}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
// What a router does to IPv4 packets.
#include "tools/foreign-agent/ipv4_packet.hpp"

#include <gtest/gtest.h>

#include "dataplane/base/checksum.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::foreign_agent {
namespace {

using test::v4;

const Ipv4Address kFrom = v4("198.51.100.200");
const Ipv4Address kTo = v4("192.0.2.100");

Octets datagram(std::size_t payload, std::uint8_t ttl = 64) {
    Octets data(payload);
    for (std::size_t i = 0; i < payload; ++i) data[i] = static_cast<std::uint8_t>(i);
    Octets packet = udp_packet(kFrom, 4000, kTo, 5000, ttl, data);
    packet[6] = 0;  // may be fragmented
    store_be16(packet.data() + 4, 0x1234);
    store_be16(packet.data() + 10, 0);
    store_be16(packet.data() + 10, internet_checksum(ConstByteSpan(packet).first(20)));
    return packet;
}
bool is_sealed(ConstByteSpan packet) {
    return internet_checksum(packet.first(header_of(packet).header_length())) == 0;
}

TEST(Ipv4Packet, whole_packets_only) {
    const Octets good = datagram(32);
    ASSERT_TRUE(whole_packet(good));
    Octets padded = good;
    padded.insert(padded.end(), 10, 0);
    EXPECT_EQ(whole_packet(padded)->size(), good.size());
    for (std::size_t length = 0; length < good.size(); ++length) {
        EXPECT_FALSE(whole_packet(ConstByteSpan(good).first(length))) << length;
    }
    for (std::size_t at = 0; at < 20; ++at) {
        Octets bad = good;
        bad[at] ^= 0x40;
        EXPECT_FALSE(whole_packet(bad)) << at;
    }
}

TEST(Ipv4Packet, TTL_and_TOS_take_the_checksum_with_them) {
    Octets packet = datagram(8, 2);
    ASSERT_TRUE(decrement_ttl(packet));
    EXPECT_EQ(header_of(packet).ttl, 1);
    EXPECT_TRUE(is_sealed(packet));
    const Octets before = packet;
    EXPECT_FALSE(decrement_ttl(packet));
    EXPECT_EQ(packet, before);
    set_tos(packet, 0xb9);
    EXPECT_EQ(header_of(packet).tos, 0xb9);
    EXPECT_TRUE(is_sealed(packet));
}

TEST(Ipv4Packet, RFC791_pieces_of_every_size_make_the_packet_again) {
    for (const std::size_t payload : {1u, 7u, 8u, 100u, 1472u, 1473u, 4000u}) {
        for (const std::size_t mtu : {68u, 69u, 576u, 1280u, 1500u}) {
            const Octets packet = datagram(payload);
            const auto pieces = fragment(packet, mtu);
            Octets again(packet.begin(), packet.begin() + 20);
            for (std::size_t i = 0; i < pieces.size(); ++i) {
                const Octets& piece = pieces[i];
                EXPECT_LE(piece.size(), mtu);
                EXPECT_TRUE(whole_packet(piece));
                const std::uint16_t flags = header_of(piece).flags_offset.host();
                EXPECT_EQ(std::size_t{flags & 0x1fffu} * 8, again.size() - 20);
                EXPECT_EQ((flags & 0x2000) != 0, i + 1 < pieces.size());
                EXPECT_EQ(header_of(piece).identification.host(), 0x1234);
                again.insert(again.end(), piece.begin() + 20, piece.end());
            }
            EXPECT_TRUE(
                std::equal(again.begin() + 20, again.end(), packet.begin() + 20, packet.end()))
                << payload << ' ' << mtu;
        }
    }
}

TEST(Ipv4Packet, RFC791_pieces_of_a_piece_and_options) {
    Octets packet = datagram(800);
    store_be16(packet.data() + 6, 0x2000 | 100);  // a middle piece
    // Eight octets of options: record route (not copied), and router alert (copied).
    const std::uint8_t options[] = {7, 3, 4, 1, 0x94, 4, 0, 0};
    packet.insert(packet.begin() + 20, std::begin(options), std::end(options));
    packet[0] = 0x47;
    store_be16(packet.data() + 2, static_cast<std::uint16_t>(packet.size()));
    store_be16(packet.data() + 10, 0);
    store_be16(packet.data() + 10, internet_checksum(ConstByteSpan(packet).first(28)));
    const auto pieces = fragment(packet, 300);
    ASSERT_GE(pieces.size(), 3u);
    EXPECT_EQ(header_of(pieces[0]).header_length(), 28);
    EXPECT_EQ(header_of(pieces[1]).header_length(), 24);
    EXPECT_EQ(pieces[1][20], 0x94);
    EXPECT_EQ(header_of(pieces[0]).flags_offset.host() & 0x1fff, 100);
    EXPECT_NE(header_of(pieces.back()).flags_offset.host() & 0x2000, 0) << "more came before";
    for (const Octets& piece : pieces) EXPECT_TRUE(whole_packet(piece));
}

TEST(Ipv4Packet, RFC1122_3_2_2_icmp_errors_and_what_gets_none) {
    const Octets packet = datagram(1000);
    const auto error = icmp_error(IcmpError::kTooBig, 1480, v4("10.1.0.1"), packet);
    ASSERT_TRUE(error);
    ASSERT_TRUE(whole_packet(*error));
    EXPECT_LE(error->size(), 576u);
    EXPECT_EQ(header_of(*error).destination, kFrom);
    const ConstByteSpan icmp = payload_of(*error);
    EXPECT_EQ(internet_checksum(icmp), 0);
    EXPECT_EQ(load_be16(icmp.data()), 0x0304);
    EXPECT_EQ(load_be32(icmp.data() + 4), 1480u);
    EXPECT_TRUE(std::equal(icmp.begin() + 8, icmp.end(), packet.begin()));
    EXPECT_FALSE(icmp_error(IcmpError::kTimeExceeded, 0, v4("10.1.0.1"), *error))
        << "about an error";
    Octets other = packet;
    v4("224.0.0.5").store(other.data() + 16);
    EXPECT_FALSE(icmp_error(IcmpError::kTooBig, 1480, v4("10.1.0.1"), other)) << "to a group";
    other = packet;
    Ipv4Address{}.store(other.data() + 12);
    EXPECT_FALSE(icmp_error(IcmpError::kTooBig, 1480, v4("10.1.0.1"), other)) << "of nobody";
    other = packet;
    store_be16(other.data() + 6, 5);
    EXPECT_FALSE(icmp_error(IcmpError::kTooBig, 1480, v4("10.1.0.1"), other)) << "a later piece";
    EXPECT_TRUE(
        icmp_error(IcmpError::kHostUnreachable, 0, v4("10.1.0.1"), echo_request(kFrom, kTo, 1, 2)))
        << "an echo request is no error";
}

}  // namespace
}  // namespace homeport::foreign_agent

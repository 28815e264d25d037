// SPDX-License-Identifier: BSD-3-Clause
// GRE, minimal encapsulation and UDP 434: vectors C15 to C18, there and back, and what must be
// refused (paths P20 to P27; RFC 2784, 2004, 3519).
#include "dataplane/tunnel/mip4_tunnel.hpp"

#include <gtest/gtest.h>

#include "tests/unit/tunnel/packets.hpp"

namespace homeport::tunnel {
namespace {

using namespace homeport::test;

const Bytes kC14 =
    from_hex("45000028111100003f117d54c63364c8c00002640fa013880014ac416d6f62696c65206970207634");
const Bytes kC15 = from_hex(
    "4500003c2222000040046c53c0000201c633641445000028111100003f117d54c63364c8c00002640fa013880014ac"
    "416d6f62696c65206970207634");
const Bytes kC16 = from_hex(
    "4500004022220000402f6c24c0000201c63364140000080045000028111100003f117d54c63364c8c00002640fa013"
    "880014ac416d6f62696c65206970207634");
const Bytes kC17 = from_hex(
    "45000034111100003f377e39c0000201c63364141180011fc0000264c63364c80fa013880014ac416d6f62696c6520"
    "6970207634");
const Bytes kC18 = from_hex(
    "450000482222000040115a7ac0000201cb00710701b29c4100344d0b0404000045000028111100003f117d54c63364"
    "c8c00002640fa013880014ac416d6f62696c65206970207634");

const Ipv4Address kHomeAgent = v4("192.0.2.1");
const Ipv4Address kCareOf = v4("198.51.100.20");
const Ipv4Address kNat = v4("203.0.113.7");
const Ipv4Tunnel kTunnel{kHomeAgent, kCareOf};
constexpr std::uint16_t kIdentification = 0x2222;

/// `packet` with its IPv4 header checksum right again.
Bytes repaired(Bytes packet) {
    store_be16(packet.data() + 10, 0);
    store_be16(packet.data() + 10, internet_checksum(ConstByteSpan(packet).first(20)));
    return packet;
}

TEST(Mip4Tunnel, P20_vector_C15) {
    Buffer buffer(kC14);
    ASSERT_EQ(encapsulate_in_ipv4(buffer.packet, kTunnel, kIdentification),
              EncapsulateError::kNone);
    EXPECT_EQ(buffer.bytes(), kC15);
}

TEST(Mip4Tunnel, P22_P23_vector_C16_there_and_back) {
    Buffer buffer(kC14);
    ASSERT_EQ(encapsulate_in_gre(buffer.packet, kTunnel, kIdentification), Mip4TunnelError::kNone);
    EXPECT_EQ(buffer.bytes(), kC16);
    EXPECT_EQ(buffer.bytes().size() - kC14.size(), kGreOverhead);
    const GreHeader header = read_gre(ConstByteSpan(kC16).subspan(20));
    ASSERT_EQ(header.error, GreError::kNone);
    buffer.packet.cut_front(20u + header.length);
    EXPECT_EQ(buffer.bytes(), kC14);
}

TEST(Mip4Tunnel, P24_P25_vector_C17_there_and_back) {
    Buffer buffer(kC14);
    ASSERT_EQ(encapsulate_minimally(buffer.packet, kHomeAgent, kCareOf), Mip4TunnelError::kNone);
    EXPECT_EQ(buffer.bytes(), kC17);
    EXPECT_EQ(buffer.bytes().size() - kC14.size(), kMinimalOverhead);
    const MinimalHeader header = read_minimal(ConstByteSpan(kC17).subspan(20));
    ASSERT_EQ(header.error, MinimalError::kNone);
    EXPECT_EQ(header.source, v4("198.51.100.200"));
    EXPECT_EQ(header.destination, v4("192.0.2.100"));
    undo_minimal(buffer.packet, 20, header);
    EXPECT_EQ(buffer.bytes(), kC14);
}

TEST(Mip4Tunnel, P26_P27_vector_C18_there_and_back) {
    Buffer buffer(kC14);
    ASSERT_EQ(encapsulate_in_mip_udp(buffer.packet, {kHomeAgent, kNat}, {kMip4Port, 40001, true},
                                     Mip4Encapsulation::kIpInIp, kIdentification),
              Mip4TunnelError::kNone);
    EXPECT_EQ(buffer.bytes(), kC18);
    EXPECT_EQ(buffer.bytes().size() - kC14.size(), kMipUdpOverhead);
    const UdpDatagram udp = read_udp(ConstByteSpan(kC18).subspan(20));
    ASSERT_TRUE(udp.well_formed);
    EXPECT_TRUE(udp_checksum_holds(kHomeAgent, kNat, ConstByteSpan(kC18).subspan(20)));
    const TunnelData data = read_tunnel_data(udp.payload);
    ASSERT_TRUE(data.well_formed);
    EXPECT_EQ(data.next_header, 4);
}

TEST(Mip4Tunnel, P26_gre_and_minimal_inside_udp) {
    Buffer gre(kC14);
    ASSERT_EQ(encapsulate_in_mip_udp(gre.packet, {kHomeAgent, kNat}, {kMip4Port, 40001},
                                     Mip4Encapsulation::kGre, kIdentification),
              Mip4TunnelError::kNone);
    EXPECT_EQ(gre.bytes().size() - kC14.size(), kMipUdpGreOverhead);
    EXPECT_EQ(read_tunnel_data(ConstByteSpan(gre.bytes()).subspan(28)).next_header, 47);
    EXPECT_EQ(read_gre(ConstByteSpan(gre.bytes()).subspan(32)).error, GreError::kNone);

    Buffer minimal(kC14);
    ASSERT_EQ(encapsulate_in_mip_udp(minimal.packet, {kHomeAgent, kNat}, {kMip4Port, 40001, true},
                                     Mip4Encapsulation::kMinimal, kIdentification),
              Mip4TunnelError::kNone);
    const Bytes bytes = minimal.bytes();
    EXPECT_EQ(bytes.size() - kC14.size(), kMipUdpMinimalOverhead);
    EXPECT_EQ(internet_checksum(ConstByteSpan(bytes).first(20)), 0);
    EXPECT_EQ(bytes[8], 63);  // the TTL that it had
    EXPECT_EQ(bytes[9], 17);
    EXPECT_TRUE(read_udp(ConstByteSpan(bytes).subspan(20)).well_formed);
    EXPECT_TRUE(udp_checksum_holds(kHomeAgent, kNat, ConstByteSpan(bytes).subspan(20)));
    EXPECT_EQ(read_tunnel_data(ConstByteSpan(bytes).subspan(28)).next_header, 55);
    const MinimalHeader header = read_minimal(ConstByteSpan(bytes).subspan(32));
    ASSERT_EQ(header.error, MinimalError::kNone);
    undo_minimal(minimal.packet, 32, header);
    EXPECT_EQ(minimal.bytes(), kC14);
}

TEST(Mip4Tunnel, minimal_encapsulation_keeps_ip_options) {
    Bytes inner = kC14;
    inner.insert(inner.begin() + 20, {1, 1, 1, 0});
    inner[0] = 0x46;
    store_be16(inner.data() + 2, static_cast<std::uint16_t>(inner.size()));
    store_be16(inner.data() + 10, 0);
    store_be16(inner.data() + 10, internet_checksum(ConstByteSpan(inner).first(24)));
    Buffer buffer(inner);
    ASSERT_EQ(encapsulate_minimally(buffer.packet, kHomeAgent, kCareOf), Mip4TunnelError::kNone);
    const MinimalHeader header = read_minimal(ConstByteSpan(buffer.bytes()).subspan(24));
    ASSERT_EQ(header.error, MinimalError::kNone);
    undo_minimal(buffer.packet, 24, header);
    EXPECT_EQ(buffer.bytes(), inner);
}

TEST(Mip4Tunnel, RFC2004_3_fragments_are_never_encapsulated_minimally) {
    for (const int field : {0x2000, 0x0001, 0x2010}) {
        Bytes inner = kC14;
        store_be16(inner.data() + 6, static_cast<std::uint16_t>(field));
        inner = repaired(inner);
        Buffer buffer(inner);
        EXPECT_EQ(encapsulate_minimally(buffer.packet, kHomeAgent, kCareOf),
                  Mip4TunnelError::kFragmented);
        EXPECT_EQ(encapsulate_in_mip_udp(buffer.packet, kTunnel, {434, 5},
                                         Mip4Encapsulation::kMinimal, 1),
                  Mip4TunnelError::kFragmented);
        EXPECT_EQ(buffer.bytes(), inner);
        // The others take it.
        EXPECT_EQ(encapsulate_in_gre(buffer.packet, kTunnel, 1), Mip4TunnelError::kNone);
    }
}

TEST(Mip4Tunnel, packets_that_are_none_and_buffers_without_room_stay_as_they_are) {
    Bytes cut(kC14.begin(), kC14.end() - 1);
    Bytes six = kC14;
    six[0] = 0x65;
    for (const Bytes& bad : {Bytes{}, Bytes(19, 0x45), cut, six}) {
        Buffer buffer(bad);
        EXPECT_EQ(encapsulate_in_gre(buffer.packet, kTunnel, 1), Mip4TunnelError::kNotIpv4);
        EXPECT_EQ(encapsulate_minimally(buffer.packet, kHomeAgent, kCareOf),
                  Mip4TunnelError::kNotIpv4);
        for (const auto inside :
             {Mip4Encapsulation::kIpInIp, Mip4Encapsulation::kGre, Mip4Encapsulation::kMinimal}) {
            EXPECT_EQ(encapsulate_in_mip_udp(buffer.packet, kTunnel, {434, 5}, inside, 1),
                      Mip4TunnelError::kNotIpv4);
        }
        EXPECT_EQ(buffer.bytes(), bad);
    }
    Buffer tight(kC14, 11);
    EXPECT_EQ(encapsulate_in_gre(tight.packet, kTunnel, 1), Mip4TunnelError::kNoRoom);
    EXPECT_EQ(encapsulate_minimally(tight.packet, kHomeAgent, kCareOf), Mip4TunnelError::kNoRoom);
    EXPECT_EQ(tight.bytes(), kC14);
}

TEST(Mip4Tunnel, gre_headers_that_are_refused) {
    const auto error = [](int flags, std::uint16_t protocol = 0x0800) {
        Bytes bytes(30, 0);
        store_be16(bytes.data(), static_cast<std::uint16_t>(flags));
        store_be16(bytes.data() + 2, protocol);
        return read_gre(bytes).error;
    };
    EXPECT_EQ(error(0), GreError::kNone);
    for (const int flag : {0x4000, 0x2000, 0x1000, 0x0800, 0x0400}) {
        EXPECT_EQ(error(flag), GreError::kFlags) << flag;
    }
    for (const int version : {1, 2, 4, 7}) {
        EXPECT_EQ(error(version), GreError::kVersion) << version;
    }
    EXPECT_EQ(error(0, 0x86dd), GreError::kProtocol);
    // RFC 2784 section 2.3: bits 6 to 12 are ignored.
    EXPECT_EQ(error(0x0208), GreError::kNone);
    for (std::size_t length = 0; length < 4; ++length) {
        EXPECT_EQ(read_gre(Bytes(length)).error, GreError::kTruncated);
    }
}

TEST(Mip4Tunnel, gre_checksums_are_honoured_where_they_are) {
    Bytes bytes = {0x80, 0, 0x08, 0, 0, 0, 0, 0};
    append(bytes, kC14);
    store_be16(bytes.data() + 4, internet_checksum(bytes));
    const GreHeader header = read_gre(bytes);
    EXPECT_EQ(header.error, GreError::kNone);
    EXPECT_EQ(header.length, 8);
    bytes.back() ^= 1;
    EXPECT_EQ(read_gre(bytes).error, GreError::kChecksum);
    EXPECT_EQ(read_gre(ConstByteSpan(bytes).first(7)).error, GreError::kTruncated);
}

TEST(Mip4Tunnel, minimal_headers_that_are_refused) {
    const Bytes right(kC17.begin() + 20, kC17.end());
    for (std::size_t length = 0; length < 12; ++length) {
        EXPECT_EQ(read_minimal(ConstByteSpan(right).first(length)).error, MinimalError::kLength);
    }
    for (std::size_t at = 0; at < 12; ++at) {
        Bytes wrong = right;
        wrong[at] ^= at == 1 ? 1 : 0x10;  // not the S bit: that is another length
        EXPECT_EQ(read_minimal(wrong).error, MinimalError::kChecksum) << at;
    }
    // Without the original source: 8 octets, and the outer source stays.
    Bytes eight = {17, 0, 0, 0, 192, 0, 2, 100};
    store_be16(eight.data() + 2, internet_checksum(eight));
    const MinimalHeader header = read_minimal(eight);
    EXPECT_EQ(header.error, MinimalError::kNone);
    EXPECT_EQ(header.length, 8);
    EXPECT_FALSE(header.has_source);
}

TEST(Mip4Tunnel, tunnel_data_of_other_types_and_lengths) {
    EXPECT_FALSE(read_tunnel_data(Bytes{}).well_formed);
    EXPECT_FALSE(read_tunnel_data(Bytes{4, 4, 0}).well_formed);
    EXPECT_FALSE(read_tunnel_data(Bytes{1, 4, 0, 0}).well_formed);
    EXPECT_TRUE(read_tunnel_data(Bytes{4, 99, 0, 0}).well_formed);
}

}  // namespace
}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/ipv4_tunnel.hpp"

#include <gtest/gtest.h>

#include "dataplane/parse/header_walk.hpp"
#include "dataplane/tunnel/decapsulate.hpp"
#include "dataplane/tunnel/family_change.hpp"
#include "tests/unit/tunnel/packets.hpp"

namespace homeport::tunnel {
namespace {

using namespace homeport::test;

const Ipv4Address kHomeAgent4 = v4("192.0.2.1");
const Ipv4Address kNat = v4("203.0.113.7");
const Ipv4Tunnel kTunnel4{kHomeAgent4, kNat, 64, Dscp::kUniform};
const Bytes kInner4 =
    from_hex("45000028111100003f117d54c63364c8c00002640fa013880014ac416d6f62696c65206970207634");
const Bytes kC5Esp{kC5IpsecOut.begin() + 40, kC5IpsecOut.end()};
const Bytes kC5RewrittenV4 = concat({from_hex("450000780000000040327c4bc0000201cb007107"), kC5Esp});
const Bytes kC5RewrittenV4Udp =
    concat({from_hex("450000800000000040117c64c0000201cb0071071194ee49006c0000"), kC5Esp});
const Bytes kC10Inner = from_hex(
    "600000000044324020010db800010000000000000000000120010db800010000000000000000010020000001000000"
    "020000000000000002f574a7550bd2a5e4f99355e9820a5a6f9990955ef506a16e0114e8b11d4a9f3c892a6840660a"
    "4dbed09231342efd7907d54ce36b");

/// The header at `packet` as the parser reads it, checksum verified.
parse::Headers walked(const Bytes& packet) {
    parse::Headers headers;
    EXPECT_EQ(parse::walk(packet, headers), parse::Error::kNone);
    return headers;
}
const Ipv4Header& ipv4_at(const Bytes& packet) {
    return *reinterpret_cast<const Ipv4Header*>(packet.data());
}

TEST(Ipv4Tunnel, P9_ipv6_and_ipv4_inside_cost_20_octets) {
    for (const Bytes& inner : {kC5Inner, kInner4}) {
        Buffer buffer(inner);
        ASSERT_EQ(encapsulate_in_ipv4(buffer.packet, kTunnel4, 7), EncapsulateError::kNone);
        const Bytes outer = buffer.bytes();
        ASSERT_EQ(outer.size(), inner.size() + 20);
        const parse::Headers headers = walked(outer);
        EXPECT_EQ(headers.protocol, inner[0] >> 4 == 6 ? 41 : 4);
        EXPECT_EQ(headers.end, outer.size());
        EXPECT_EQ(ipv4_at(outer).source, kHomeAgent4);
        EXPECT_EQ(ipv4_at(outer).destination, kNat);
        EXPECT_EQ(ipv4_at(outer).ttl, 64);
        EXPECT_EQ(Bytes(outer.begin() + 20, outer.end()), inner);
    }
}

TEST(Ipv4Tunnel, P10_P12_ipv6_in_udp_is_vector_C10_with_checksum) {
    Buffer buffer(kC10Inner);
    // A path on which IPv6 would not live: no DF, so the identification shows.
    ASSERT_EQ(encapsulate_in_udp_ipv4(buffer.packet, kTunnel4, {4191, 40000, true}, 0, 1280),
              EncapsulateError::kNone);
    EXPECT_EQ(
        buffer.bytes(),
        concat({from_hex("450000880000000040117c5cc0000201cb007107105f9c400074577c"), kC10Inner}));
    EXPECT_TRUE(udp_checksum_holds(kHomeAgent4, kNat, buffer.packet.bytes().subspan(20)));
}

TEST(Ipv4Tunnel, P10_data_goes_without_checksum) {
    Buffer buffer(kInner4);
    ASSERT_EQ(encapsulate_in_udp_ipv4(buffer.packet, kTunnel4, {4191, 40000}, 0),
              EncapsulateError::kNone);
    const Bytes outer = buffer.bytes();
    ASSERT_EQ(outer.size(), kInner4.size() + 28);
    EXPECT_EQ(walked(outer).protocol, 17);
    const UdpDatagram udp = read_udp(ConstByteSpan(outer).subspan(20));
    ASSERT_TRUE(udp.well_formed);
    EXPECT_EQ(udp.source_port, 4191);
    EXPECT_EQ(udp.destination_port, 40000);
    EXPECT_EQ(Bytes(udp.payload.begin(), udp.payload.end()), kInner4);
    EXPECT_EQ(load_be16(outer.data() + 26), 0);
}

TEST(Ipv4Tunnel, P15_over_ipv6_the_checksum_is_mandatory) {
    const Ipv6Tunnel tunnel{kHomeAgent, kCareOfAddress, 64, Dscp::kUniform};
    for (const Bytes& inner : {kC5Inner, kInner4}) {
        Buffer buffer(inner);
        ASSERT_EQ(encapsulate_in_udp_ipv6(buffer.packet, tunnel, {4191, 40000}),
                  EncapsulateError::kNone);
        Bytes outer = buffer.bytes();
        ASSERT_EQ(outer.size(), inner.size() + 48);
        EXPECT_EQ(walked(outer).protocol, 17);
        ByteSpan udp = ByteSpan(outer).subspan(40);
        EXPECT_TRUE(udp_checksum_holds(kHomeAgent, kCareOfAddress, udp));
        udp[20] ^= 1;
        EXPECT_FALSE(udp_checksum_holds(kHomeAgent, kCareOfAddress, udp));
        udp[20] ^= 1;
        store_be16(udp.data() + 6, 0);
        EXPECT_FALSE(udp_checksum_holds(kHomeAgent, kCareOfAddress, udp));
    }
}

/// DF of the outer header around `inner` on a path of `path_mtu` octets, P9.
bool has_df(const Bytes& inner, std::uint32_t path_mtu) {
    Buffer buffer(inner);
    EXPECT_EQ(encapsulate_in_ipv4(buffer.packet, kTunnel4, 0x1234, path_mtu),
              EncapsulateError::kNone);
    const Bytes outer = buffer.bytes();
    (void)walked(outer);
    const bool df = ipv4_at(outer).dont_fragment();
    EXPECT_EQ(ipv4_at(outer).identification.host(), df ? 0 : 0x1234);
    return df;
}

TEST(Ipv4Tunnel, RFC4213_3_2_2_df_over_ipv6_by_path_mtu) {
    const Bytes inner = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(1240));
    EXPECT_TRUE(has_df(inner, 1500));
    EXPECT_TRUE(has_df(inner, 1300));
    EXPECT_FALSE(has_df(inner, 1299));
    EXPECT_FALSE(has_df(ipv6(kCorrespondent, kHomeAddress, 17, Bytes(8)), 1299));
}

TEST(Ipv4Tunnel, RFC2003_3_1_df_over_ipv4_is_the_inner_one) {
    const auto inner = [](std::uint16_t flags, std::size_t payload) {
        return ipv4(v4("198.51.100.200"), v4("192.0.2.100"), 17, Bytes(payload),
                    {.flags_offset = flags});
    };
    EXPECT_TRUE(has_df(inner(0x4000, 100), 1500));
    EXPECT_TRUE(has_df(inner(0x4000, 100), 576));
    EXPECT_FALSE(has_df(inner(0, 100), 1500));
    EXPECT_FALSE(has_df(inner(0x2000, 100), 1500));
    EXPECT_FALSE(has_df(inner(0x4000, 1480), 1500));  // it goes in pieces
}

TEST(Ipv4Tunnel, dscp_uniform_and_pipe_ecn_copied_for_every_traffic_class) {
    for (unsigned traffic_class = 0; traffic_class < 256; ++traffic_class) {
        const auto value = static_cast<std::uint8_t>(traffic_class);
        const Bytes inner6 = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(8),
                                  {.traffic_class = value, .flow_label = 0xabcde});
        const Bytes inner4 =
            ipv4(v4("198.51.100.200"), v4("192.0.2.100"), 17, Bytes(8), {.tos = value});
        for (const Bytes& inner : {inner6, inner4}) {
            for (const Dscp dscp : {Dscp::kUniform, Dscp::kPipe}) {
                Ipv4Tunnel tunnel = kTunnel4;
                tunnel.dscp = dscp;
                Buffer plain(inner);
                Buffer in_udp(inner);
                ASSERT_EQ(encapsulate_in_ipv4(plain.packet, tunnel, 1), EncapsulateError::kNone);
                ASSERT_EQ(encapsulate_in_udp_ipv4(in_udp.packet, tunnel, {4191, 5}, 1),
                          EncapsulateError::kNone);
                const int expected = dscp == Dscp::kUniform ? value : value & 3;
                EXPECT_EQ(plain.packet.data[1], expected);
                EXPECT_EQ(in_udp.packet.data[1], expected);
                (void)walked(plain.bytes());
                (void)walked(in_udp.bytes());
            }
        }
    }
}

TEST(Ipv4Tunnel, refuses_what_is_not_ip_and_what_has_no_room) {
    const auto error_of = [](const Bytes& bytes, std::uint32_t room) {
        Buffer buffer(bytes, room);
        const EncapsulateError error =
            encapsulate_in_udp_ipv4(buffer.packet, kTunnel4, {4191, 9}, 0);
        if (error != EncapsulateError::kNone) {
            EXPECT_EQ(buffer.bytes(), bytes);
        }
        return error;
    };
    EXPECT_EQ(error_of({}, 64), EncapsulateError::kNotIp);
    EXPECT_EQ(error_of(Bytes(60, 0x00), 64), EncapsulateError::kNotIp);
    EXPECT_EQ(error_of(Bytes(39, 0x60), 64), EncapsulateError::kNotIp);
    EXPECT_EQ(error_of(Bytes(19, 0x45), 64), EncapsulateError::kNotIp);
    EXPECT_EQ(error_of(kInner4, 27), EncapsulateError::kNoRoom);
    EXPECT_EQ(error_of(kInner4, 28), EncapsulateError::kNone);
    Bytes huge(65535 - 27, 0x60);
    EXPECT_EQ(error_of(huge, 64), EncapsulateError::kNoRoom);
    huge.pop_back();
    EXPECT_EQ(error_of(huge, 64), EncapsulateError::kNone);
}

TEST(Ipv4Tunnel, RFC6040_outer_ce_gets_inside) {
    const Bytes inner = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(8), {.traffic_class = 2});
    Buffer buffer(inner);
    ASSERT_EQ(encapsulate_in_ipv4(buffer.packet, kTunnel4, 1), EncapsulateError::kNone);
    buffer.packet.data[1] |= 3;
    ASSERT_EQ(decapsulate(buffer.packet, 20, 41), DecapsulateError::kNone);
    EXPECT_EQ(traffic_class_of(buffer.packet.data), 3);
}

// ------------------------------------------------------------------------------ another family

TEST(FamilyChange, P13_S1_19_vector_C5_rewritten_v4) {
    Buffer buffer(kC5IpsecOut);
    ASSERT_TRUE(replace_ipv6_by_ipv4(buffer.packet, {kHomeAgent4, kNat}, 0, 1280));
    EXPECT_EQ(buffer.bytes(), kC5RewrittenV4);
    ASSERT_TRUE(replace_ipv4_by_ipv6(buffer.packet, 20, kHomeAgent, kHomeAddress));
    EXPECT_EQ(buffer.bytes(), kC5IpsecOut);
}

TEST(FamilyChange, P13_S1_19_vector_C5_rewritten_v4udp) {
    Buffer buffer(kC5IpsecOut);
    ASSERT_TRUE(replace_ipv6_by_ipv4(buffer.packet, {kHomeAgent4, kNat, 4500, 61001}, 0, 1280));
    EXPECT_EQ(buffer.bytes(), kC5RewrittenV4Udp);
    ASSERT_TRUE(replace_ipv4_by_ipv6(buffer.packet, 28, kHomeAgent, kHomeAddress));
    EXPECT_EQ(buffer.bytes(), kC5IpsecOut);
}

TEST(FamilyChange, P13_ttl_dscp_and_ecn_go_along_both_ways) {
    for (unsigned value = 0; value < 256; ++value) {
        const auto octet = static_cast<std::uint8_t>(value);
        const auto hops = static_cast<std::uint8_t>(value + 17);
        const Bytes sealed =
            ipv6(kHomeAgent, kHomeAddress, 50, kC5Esp, {.traffic_class = octet, .hop_limit = hops});
        Buffer buffer(sealed);
        ASSERT_TRUE(replace_ipv6_by_ipv4(buffer.packet, {kHomeAgent4, kNat, 4500, 9}, 3, 1500));
        const Bytes outer = buffer.bytes();
        (void)walked(outer);
        EXPECT_EQ(ipv4_at(outer).tos, octet);
        EXPECT_EQ(ipv4_at(outer).ttl, hops);
        EXPECT_TRUE(ipv4_at(outer).dont_fragment());
        ASSERT_TRUE(replace_ipv4_by_ipv6(buffer.packet, 28, kHomeAgent, kHomeAddress));
        EXPECT_EQ(buffer.bytes(), sealed);
    }
}

TEST(FamilyChange, P13_df_off_where_it_has_to_go_in_pieces) {
    const Bytes sealed = ipv6(kHomeAgent, kHomeAddress, 50, Bytes(1480, 1));
    for (const auto& [path_mtu, df] : {std::pair{1500u, true}, std::pair{1499u, false}}) {
        Buffer buffer(sealed);
        ASSERT_TRUE(replace_ipv6_by_ipv4(buffer.packet, {kHomeAgent4, kNat}, 3, path_mtu));
        EXPECT_EQ(ipv4_at(buffer.bytes()).dont_fragment(), df);
    }
}

TEST(FamilyChange, P13i_options_and_padding_of_udp) {
    Buffer buffer(ipv4(kNat, kHomeAgent4, 50, kC5Esp, {.options = Bytes(8, 1)}));
    ASSERT_TRUE(replace_ipv4_by_ipv6(buffer.packet, 28, kHomeAgent, kHomeAddress));
    EXPECT_EQ(buffer.bytes(), kC5IpsecOut);
}

TEST(FamilyChange, refuses_what_is_not_esp_over_ipv6) {
    for (const Bytes& bytes : {Bytes{}, Bytes(39, 0x60), kC5Inner, kC5RewrittenV4}) {
        Buffer buffer(bytes);
        EXPECT_FALSE(replace_ipv6_by_ipv4(buffer.packet, {kHomeAgent4, kNat}, 0, 1500));
        EXPECT_EQ(buffer.bytes(), bytes);
    }
    Buffer narrow(kC5RewrittenV4, 19);
    EXPECT_FALSE(replace_ipv4_by_ipv6(narrow.packet, 20, kHomeAgent, kHomeAddress));
    EXPECT_FALSE(replace_ipv4_by_ipv6(narrow.packet, 200, kHomeAgent, kHomeAddress));
    EXPECT_EQ(narrow.bytes(), kC5RewrittenV4);
}

}  // namespace
}  // namespace homeport::tunnel

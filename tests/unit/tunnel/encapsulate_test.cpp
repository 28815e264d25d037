// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/encapsulate.hpp"

#include <gtest/gtest.h>

#include "dataplane/tunnel/decapsulate.hpp"
#include "tests/unit/tunnel/packets.hpp"

namespace homeport::tunnel {
namespace {

using namespace homeport::test;

const Ipv6Tunnel kTunnel{kHomeAgent, kCareOfAddress, 64, Dscp::kUniform};
const Bytes kInner4 =
    from_hex("45000028111100003f117d54c63364c8c00002640fa013880014ac416d6f62696c65206970207634");

TEST(Encapsulate, P1_ipv6_in_ipv6) {
    Buffer buffer(kC5Inner);
    ASSERT_EQ(encapsulate_in_ipv6(buffer.packet, kTunnel), EncapsulateError::kNone);
    const Bytes expected =
        concat({from_hex("6000000000402940"
                         "20010db800010000000000000000000120010db8000200000000000000000200"),
                kC5Inner});
    EXPECT_EQ(buffer.bytes(), expected);
    EXPECT_EQ(buffer.packet.headroom, 128u - 40);
}

TEST(Encapsulate, P14_ipv4_in_ipv6) {
    Buffer buffer(kInner4);
    ASSERT_EQ(encapsulate_in_ipv6(buffer.packet, kTunnel), EncapsulateError::kNone);
    const Bytes expected =
        concat({from_hex("6000000000280440"
                         "20010db800010000000000000000000120010db8000200000000000000000200"),
                kInner4});
    EXPECT_EQ(buffer.bytes(), expected);
}

TEST(Encapsulate, traffic_class_uniform_and_pipe_flow_label_zero) {
    for (unsigned traffic_class = 0; traffic_class < 256; ++traffic_class) {
        const auto value = static_cast<std::uint8_t>(traffic_class);
        const Bytes inner6 = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(8),
                                  {.traffic_class = value, .flow_label = 0xabcde});
        const Bytes inner4 =
            ipv4(v4("198.51.100.200"), v4("192.0.2.100"), 17, Bytes(8), {.tos = value});
        for (const Bytes& inner : {inner6, inner4}) {
            for (const Dscp dscp : {Dscp::kUniform, Dscp::kPipe}) {
                Buffer buffer(inner);
                Ipv6Tunnel tunnel = kTunnel;
                tunnel.dscp = dscp;
                ASSERT_EQ(encapsulate_in_ipv6(buffer.packet, tunnel), EncapsulateError::kNone);
                const auto expected =
                    dscp == Dscp::kUniform ? value : static_cast<std::uint8_t>(value & 3);
                EXPECT_EQ(load_be32(buffer.packet.data), 0x60000000u | expected << 20);
                EXPECT_EQ(Bytes(buffer.packet.data + 40, buffer.packet.data + buffer.packet.length),
                          inner);
            }
        }
    }
}

TEST(Encapsulate, refuses_what_is_not_ip_and_what_has_no_room) {
    const auto error_of = [](const Bytes& bytes, std::uint32_t room) {
        Buffer buffer(bytes, room);
        const EncapsulateError error = encapsulate_in_ipv6(buffer.packet, kTunnel);
        if (error != EncapsulateError::kNone) {
            EXPECT_EQ(buffer.bytes(), bytes);
        }
        return error;
    };
    EXPECT_EQ(error_of({}, 64), EncapsulateError::kNotIp);
    EXPECT_EQ(error_of(Bytes(60, 0x00), 64), EncapsulateError::kNotIp);
    EXPECT_EQ(error_of(Bytes(39, 0x60), 64), EncapsulateError::kNotIp);
    EXPECT_EQ(error_of(Bytes(19, 0x45), 64), EncapsulateError::kNotIp);
    EXPECT_EQ(error_of(kC5Inner, 39), EncapsulateError::kNoRoom);
    EXPECT_EQ(error_of(kC5Inner, 40), EncapsulateError::kNone);
    Bytes huge(65535 + 1, 0x60);
    EXPECT_EQ(error_of(huge, 64), EncapsulateError::kNoRoom);
    huge.pop_back();
    EXPECT_EQ(error_of(huge, 64), EncapsulateError::kNone);
}

TEST(Encapsulate, encapsulation_limit_is_carried_on) {
    Buffer buffer(kC5Inner);
    ASSERT_EQ(encapsulate_in_ipv6(buffer.packet, kTunnel, std::uint8_t{4}),
              EncapsulateError::kNone);
    const Bytes expected =
        concat({from_hex("6000000000483c40"
                         "20010db800010000000000000000000120010db8000200000000000000000200"
                         "2900040104010100"),
                kC5Inner});
    EXPECT_EQ(buffer.bytes(), expected);
    const auto limit = encapsulation_limit_of(buffer.packet.bytes());
    ASSERT_TRUE(limit);
    EXPECT_EQ(limit->limit, 4);
    EXPECT_EQ(limit->offset, 44);

    EXPECT_FALSE(encapsulation_limit_of(kC5Inner));
    EXPECT_FALSE(encapsulation_limit_of(kInner4));
    EXPECT_FALSE(encapsulation_limit_of(kC2BindingUpdate));
    for (std::size_t length = 0; length < 48; ++length) {
        EXPECT_FALSE(encapsulation_limit_of(ConstByteSpan(expected).first(length)));
    }
    // The exit takes the option off with the header.
    ASSERT_EQ(decapsulate(buffer.packet, 48, 41), DecapsulateError::kNone);
    EXPECT_EQ(buffer.bytes(), kC5Inner);
}

TEST(Decapsulate, P2_strips_header_and_padding) {
    Bytes bytes = ipv6(kCareOfAddress, kHomeAgent, 41, kC5Inner);
    append(bytes, Bytes(5, 0xaa));
    Buffer buffer(bytes);
    ASSERT_EQ(decapsulate(buffer.packet, 40, 41), DecapsulateError::kNone);
    EXPECT_EQ(buffer.bytes(), kC5Inner);
    EXPECT_EQ(buffer.packet.headroom, 128u + 40);
    EXPECT_EQ(buffer.packet.tailroom, 128u + 5);
}

TEST(Decapsulate, P14_ipv4_inside) {
    Buffer buffer(ipv6(kCareOfAddress, kHomeAgent, 4, kInner4));
    ASSERT_EQ(decapsulate(buffer.packet, 40, 4), DecapsulateError::kNone);
    EXPECT_EQ(buffer.bytes(), kInner4);
}

TEST(Decapsulate, malformed_inner_packets) {
    const auto error_of = [](const Bytes& inner, std::uint8_t protocol) {
        Buffer buffer(ipv6(kCareOfAddress, kHomeAgent, protocol, inner));
        return decapsulate(buffer.packet, 40, protocol);
    };
    for (std::size_t length = 0; length < kC5Inner.size(); ++length) {
        EXPECT_EQ(
            error_of(Bytes(kC5Inner.begin(), kC5Inner.begin() + static_cast<int>(length)), 41),
            DecapsulateError::kMalformed)
            << length;
    }
    for (std::size_t length = 0; length < kInner4.size(); ++length) {
        EXPECT_EQ(error_of(Bytes(kInner4.begin(), kInner4.begin() + static_cast<int>(length)), 4),
                  DecapsulateError::kMalformed)
            << length;
    }
    EXPECT_EQ(error_of(kC5Inner, 4), DecapsulateError::kMalformed);
    EXPECT_EQ(error_of(kInner4, 41), DecapsulateError::kMalformed);
    Bytes short_header = kInner4;
    short_header[0] = 0x44;
    EXPECT_EQ(error_of(short_header, 4), DecapsulateError::kMalformed);
    Buffer buffer(kC5Inner);
    EXPECT_EQ(decapsulate(buffer.packet, 65, 41), DecapsulateError::kMalformed);
    EXPECT_EQ(decapsulate(buffer.packet, 0, 41), DecapsulateError::kMalformed);
}

TEST(Decapsulate, RFC6040_egress_table) {
    constexpr std::uint8_t kDrop = kEcnDrop;
    // Rows as in the specification: inner Not-ECT, ECT(0), ECT(1), CE; columns: outer likewise.
    constexpr std::uint8_t kOrder[4] = {0, 2, 1, 3};
    constexpr std::uint8_t kExpected[4][4] = {
        {0, 0, 0, kDrop}, {2, 2, 1, 3}, {1, 1, 1, 3}, {3, 3, 3, 3}};
    for (unsigned row = 0; row < 4; ++row) {
        for (unsigned column = 0; column < 4; ++column) {
            const std::uint8_t inner_ecn = kOrder[row];
            const std::uint8_t outer_ecn = kOrder[column];
            const std::uint8_t expected = kExpected[row][column];
            EXPECT_EQ(egress_ecn(inner_ecn, outer_ecn), expected) << row << column;
            EXPECT_EQ(keeps_ecn(inner_ecn, outer_ecn), expected == inner_ecn) << row << column;
            const auto inner_class = static_cast<std::uint8_t>(0xb8 | inner_ecn);
            const auto outer_class = static_cast<std::uint8_t>(0x28 | outer_ecn);
            const Bytes inner6 = ipv6(kHomeAddress, kCorrespondent, 17, Bytes(8),
                                      {.traffic_class = inner_class, .flow_label = 0xfffff});
            const Bytes inner4 =
                ipv4(v4("192.0.2.100"), v4("198.51.100.200"), 17, Bytes(8), {.tos = inner_class});
            for (const Bytes& inner : {inner6, inner4}) {
                const std::uint8_t protocol = inner[0] >> 4 == 6 ? 41 : 4;
                Buffer buffer(ipv6(kCareOfAddress, kHomeAgent, protocol, inner,
                                   {.traffic_class = outer_class}));
                const DecapsulateError error = decapsulate(buffer.packet, 40, protocol);
                if (expected == kDrop) {
                    EXPECT_EQ(error, DecapsulateError::kEcn);
                    continue;
                }
                ASSERT_EQ(error, DecapsulateError::kNone);
                const auto kept = static_cast<std::uint8_t>(0xb8 | expected);
                const Bytes wanted = protocol == 41
                                         ? ipv6(kHomeAddress, kCorrespondent, 17, Bytes(8),
                                                {.traffic_class = kept, .flow_label = 0xfffff})
                                         : ipv4(v4("192.0.2.100"), v4("198.51.100.200"), 17,
                                                Bytes(8), {.tos = kept});
                EXPECT_EQ(buffer.bytes(), wanted);
            }
        }
    }
}

}  // namespace
}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
// Mobile IPv4 messages: the project's vectors C11 to C13, every extension there and back, and what
// must be refused (RFC 5944 section 1.10; mipv4.md sections 1 and 2).
#include "controlplane/wire/mip4_messages.hpp"

#include <gtest/gtest.h>

#include "tests/unit/wire/hex.hpp"

namespace homeport::wire {
namespace {

using test::from_hex;
using test::v4;

const std::vector<std::uint8_t> kC11 = from_hex(
    "01220258c0000264c00002010a000005e8d4a510000000019006000000000000201400000100b2439cee557d87224c"
    "06536d1cffd1ce");
const std::vector<std::uint8_t> kC12 = from_hex(
    "03000258c0000264c0000201e8d4a510000000012c0600000000006e2014000001006d666a52f435614370eeb83d53"
    "801cd3");
const std::vector<std::uint8_t> kC13 = from_hex(
    "03000258c0000264c0000201e8d4a5100000000195020000201400000100d1986cfee63db7f5dcd6bde0feb78ae7");

TEST(Mip4Messages, C11_request_is_read_and_written_octet_for_octet) {
    const auto decoded = decode_mip4(kC11);
    ASSERT_TRUE(decoded);
    const auto& request = std::get<RegistrationRequest>(*decoded);
    EXPECT_TRUE(request.decapsulates);
    EXPECT_TRUE(request.reverse_tunnel);
    EXPECT_FALSE(request.simultaneous || request.broadcasts || request.minimal || request.gre);
    EXPECT_EQ(request.lifetime, 600);
    EXPECT_EQ(request.home_address, v4("192.0.2.100"));
    EXPECT_EQ(request.home_agent, v4("192.0.2.1"));
    EXPECT_EQ(request.care_of_address, v4("10.0.0.5"));
    EXPECT_EQ(request.identification, 0xe8d4a51000000001u);
    ASSERT_EQ(request.extensions.size(), 2u);
    EXPECT_EQ(std::get<Mip4UdpTunnelRequest>(request.extensions[0]), Mip4UdpTunnelRequest{});
    const auto& seal = std::get<Mip4Authentication>(request.extensions[1]);
    EXPECT_EQ(seal.kind, Mip4AuthenticationKind::kMobileHome);
    EXPECT_EQ(seal.spi, 256u);
    EXPECT_EQ(seal.covered, kC11.size() - 16);
    EXPECT_EQ(encode(request), kC11);
}

TEST(Mip4Messages, C12_and_C13_replies_are_read_and_written_octet_for_octet) {
    const auto c12 = decode_mip4(kC12);
    ASSERT_TRUE(c12);
    const auto& reply = std::get<RegistrationReply>(*c12);
    EXPECT_EQ(reply.code, 0);
    const auto* udp = find_extension<Mip4UdpTunnelReply>(reply.extensions);
    ASSERT_NE(udp, nullptr);
    EXPECT_EQ(*udp, (Mip4UdpTunnelReply{0, false, 110}));
    EXPECT_EQ(encode(reply), kC12);

    const auto c13 = decode_mip4(kC13);
    ASSERT_TRUE(c13);
    EXPECT_NE(
        find_extension<Mip4TrustedNetworksConfigured>(std::get<RegistrationReply>(*c13).extensions),
        nullptr);
    EXPECT_EQ(encode(std::get<RegistrationReply>(*c13)), kC13);
}

RegistrationReply reply_with(Mip4Extensions extensions) {
    RegistrationReply reply;
    reply.code = 136;
    reply.lifetime = 7;
    reply.home_address = v4("192.0.2.100");
    reply.home_agent = v4("192.0.2.1");
    reply.identification = 0x0123456789abcdef;
    reply.extensions = std::move(extensions);
    return reply;
}

TEST(Mip4Messages, every_extension_survives_the_wire) {
    const Mip4Extensions all = {
        Mip4NetworkAccessIdentifier{"alice@example.com"},
        Mip4Challenge{{1, 2, 3}},
        Mip4CriticalVendor{9, 17, {4, 5}},
        Mip4NormalVendor{10, 18, {}},
        Mip4UdpTunnelReply{64, true, 20},
        Mip4UdpTunnelRequest{true, true, 47, 0},
        Mip4EncapsulatingDelivery{},
        Mip4RevocationSupport{true, 0xdeadbeef},
        Mip4TrustedNetworksConfigured{},
        Mip4UnknownExtension{200, {9, 9}},
    };
    const RegistrationReply reply = reply_with(all);
    const auto decoded = decode_mip4(encode(reply));
    ASSERT_TRUE(decoded);
    EXPECT_EQ(std::get<RegistrationReply>(*decoded), reply);
}

TEST(Mip4Messages, authentications_name_what_they_cover) {
    std::vector<std::uint8_t> message = encode(reply_with({}));
    const auto four = [](ConstByteSpan covered) {
        return std::vector<std::uint8_t>(4, static_cast<std::uint8_t>(covered.size()));
    };
    append_mip4_authentication(message, Mip4AuthenticationKind::kMobileHome, 256, 4, four);
    append_mip4_authentication(message, Mip4AuthenticationKind::kForeignHome, 300, 4, four);
    append_mip4_extension(message, Mip4GeneralizedAuthentication{1, 2, {1, 2, 3, 4}, 0});
    const auto decoded = decode_mip4(message);
    ASSERT_TRUE(decoded);
    const auto& extensions = std::get<RegistrationReply>(*decoded).extensions;
    ASSERT_EQ(extensions.size(), 3u);
    const auto& first = std::get<Mip4Authentication>(extensions[0]);
    EXPECT_EQ(first.covered, 26u);
    EXPECT_EQ(first.authenticator, std::vector<std::uint8_t>(4, 26));
    const auto& second = std::get<Mip4Authentication>(extensions[1]);
    EXPECT_EQ(second.kind, Mip4AuthenticationKind::kForeignHome);
    EXPECT_EQ(second.covered, 36u);
    EXPECT_EQ(std::get<Mip4GeneralizedAuthentication>(extensions[2]).covered, 48u);
}

TEST(Mip4Messages, revocation_and_its_acknowledgement_survive_the_wire_rfc3543) {
    RegistrationRevocation revocation;
    revocation.by_home_agent = true;
    revocation.home_address = v4("192.0.2.100");
    revocation.home_domain = v4("192.0.2.1");
    revocation.foreign_domain = v4("10.0.0.5");
    revocation.identifier = 77;
    const auto bytes = encode(revocation);
    EXPECT_EQ(bytes.size(), 20u);
    EXPECT_EQ(bytes[2], 0x80);
    const auto decoded = decode_mip4(bytes);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(std::get<RegistrationRevocation>(*decoded), revocation);

    const RevocationAcknowledgement answer{true, v4("192.0.2.100"), 77, {}};
    const auto again = decode_mip4(encode(answer));
    ASSERT_TRUE(again);
    EXPECT_EQ(encode(answer).size(), 12u);
    EXPECT_EQ(std::get<RevocationAcknowledgement>(*again), answer);
}

TEST(Mip4Messages, flags_r_and_x_are_ignored) {
    auto bytes = kC11;
    bytes[1] |= 0x05;
    const auto decoded = decode_mip4(bytes);
    ASSERT_TRUE(decoded);
    EXPECT_EQ(std::get<RegistrationRequest>(*decoded),
              std::get<RegistrationRequest>(*decode_mip4(kC11)));
}

TEST(Mip4Messages, every_truncation_is_an_error_or_a_shorter_message) {
    for (std::size_t length = 0; length < kC11.size(); ++length) {
        const auto decoded = decode_mip4(ConstByteSpan(kC11).first(length));
        const bool ends_between_extensions = length == 24 || length == 32;
        EXPECT_EQ(decoded.has_value(), ends_between_extensions) << length;
        if (decoded) continue;
        EXPECT_EQ(decoded.error().kind, Mip4DecodeError::Kind::kTruncated) << length;
    }
}

TEST(Mip4Messages, unknown_extensions_below_128_discard_the_message_and_others_are_skipped) {
    auto bytes = encode(reply_with({}));
    bytes.insert(bytes.end(), {127, 0});
    auto decoded = decode_mip4(bytes);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().kind, Mip4DecodeError::Kind::kUnknownCritical);
    EXPECT_EQ(decoded.error().offset, 20u);
    EXPECT_EQ(decoded.error().found, 127u);

    bytes = encode(reply_with({}));
    bytes.insert(bytes.end(), {0, 0, 255, 1, 7, 0});
    decoded = decode_mip4(bytes);
    ASSERT_TRUE(decoded);
    const auto& extensions = std::get<RegistrationReply>(*decoded).extensions;
    ASSERT_EQ(extensions.size(), 1u);
    EXPECT_EQ(std::get<Mip4UnknownExtension>(extensions[0]), (Mip4UnknownExtension{255, {7}}));
}

TEST(Mip4Messages, known_extensions_of_wrong_length_are_refused) {
    const struct {
        std::vector<std::uint8_t> extension;
        Mip4DecodeError::Kind kind;
    } kCases[] = {
        {{32, 3, 0, 0, 1}, Mip4DecodeError::Kind::kLength},
        {{36, 1, 0, 3, 0, 0, 1}, Mip4DecodeError::Kind::kLength},
        {{38, 0, 0, 5, 0, 0, 0, 9, 0}, Mip4DecodeError::Kind::kLength},
        {{44, 5, 0, 0, 0, 0, 0}, Mip4DecodeError::Kind::kLength},
        {{44, 6, 1, 0, 0, 0, 0, 0}, Mip4DecodeError::Kind::kUnknownCritical},
        {{130, 1, 0}, Mip4DecodeError::Kind::kLength},
        {{131, 0}, Mip4DecodeError::Kind::kLength},
        {{134, 7, 0, 0, 0, 0, 0, 9, 0}, Mip4DecodeError::Kind::kLength},
        {{137, 4, 0, 0, 0, 0}, Mip4DecodeError::Kind::kLength},
        {{144, 4, 0, 0, 0, 0}, Mip4DecodeError::Kind::kLength},
        {{149, 1, 0}, Mip4DecodeError::Kind::kLength},
        {{36, 1, 0, 200, 0, 0}, Mip4DecodeError::Kind::kTruncated},
        {{131, 200, 0}, Mip4DecodeError::Kind::kTruncated},
    };
    for (const auto& one : kCases) {
        auto bytes = encode(reply_with({}));
        bytes.insert(bytes.end(), one.extension.begin(), one.extension.end());
        const auto decoded = decode_mip4(bytes);
        ASSERT_FALSE(decoded) << unsigned{one.extension[0]};
        EXPECT_EQ(decoded.error().kind, one.kind) << unsigned{one.extension[0]};
    }
}

TEST(Mip4Messages, unknown_sub_types_of_skippable_extensions_are_skipped) {
    for (const std::uint8_t type : {std::uint8_t{144}, std::uint8_t{149}}) {
        auto bytes = encode(reply_with({}));
        bytes.insert(bytes.end(), {type, 3, 1, 2, 3});
        const auto decoded = decode_mip4(bytes);
        ASSERT_TRUE(decoded);
        EXPECT_TRUE(std::holds_alternative<Mip4UnknownExtension>(
            std::get<RegistrationReply>(*decoded).extensions.at(0)));
    }
}

TEST(Mip4Messages, tunnel_data_and_other_types_are_no_messages) {
    for (const int type : {0, 2, 4, 5, 16, 255}) {
        const std::vector<std::uint8_t> bytes(40, static_cast<std::uint8_t>(type));
        const auto decoded = decode_mip4(bytes);
        ASSERT_FALSE(decoded);
        EXPECT_EQ(decoded.error().kind, Mip4DecodeError::Kind::kType);
    }
}

}  // namespace
}  // namespace homeport::wire

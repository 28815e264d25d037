// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/mobility_header.hpp"

#include <gtest/gtest.h>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "tests/unit/wire/samples.hpp"

namespace homeport::wire {
namespace {

using namespace homeport::test;
using Bytes = std::vector<std::uint8_t>;

std::expected<MobilityMessage, MobilityDecodeError> decode(const Bytes& header) {
    return decode_mobility_header(header, kHoa, kHa);
}

/// Puts the checksum right after the header was changed by a test.
void seal(Bytes& header) {
    store_be16(header.data() + 4, 0);
    const auto sum =
        checksum_add(pseudo_header_sum(kHoa, kHa, static_cast<std::uint32_t>(header.size()),
                                       number(IpProtocol::kMobility)),
                     header);
    store_be16(header.data() + 4, checksum_finish(sum));
}

Bytes sealed(std::string_view hex) {
    Bytes header = from_hex(hex);
    seal(header);
    return header;
}

MobilityDecodeError error_of(const Bytes& header) {
    const auto message = decode(header);
    EXPECT_FALSE(message.has_value());
    return message ? MobilityDecodeError{} : message.error();
}

TEST(MobilityHeader, vector_C1_binding_update) {
    EXPECT_EQ(to_hex(encode_mobility_header(c1_binding_update(), kHoa, kHa)),
              "3b0305002c4a1234f00000960100031020010db8000200000000000000000200");
}

TEST(MobilityHeader, vector_C3_binding_acknowledgement) {
    EXPECT_EQ(to_hex(encode_mobility_header(c3_binding_acknowledgement(), kHa, kHoa)),
              "3b0106004da600801234009601020000");
}

TEST(MobilityHeader, vector_C7_binding_update_with_ipv4_options) {
    EXPECT_EQ(to_hex(encode_mobility_header(c7_binding_update(), kHoa, kHa)),
              "3b030500059c1235c00000961d068000c0000264200600000a00000501020000");
}

TEST(MobilityHeader, vector_C9_binding_acknowledgement_with_ipv4_options) {
    EXPECT_EQ(to_hex(encode_mobility_header(c9_binding_acknowledgement(), kHa, kHoa)),
              "3b0306004db40000123500961e060080c00002641f0600000000006e01020000");
}

TEST(MobilityHeader, vectors_decode_to_what_they_were_made_of) {
    EXPECT_EQ(decode(from_hex("3b0305002c4a1234f00000960100031020010db8000200000000000000000200")),
              MobilityMessage{c1_binding_update()});
    EXPECT_EQ(decode_mobility_header(
                  from_hex("3b0306004db40000123500961e060080c00002641f0600000000006e01020000"), kHa,
                  kHoa),
              MobilityMessage{c9_binding_acknowledgement()});
}

TEST(MobilityHeader, every_message_survives_a_round_trip) {
    for (const auto& [name, message] : mobility_samples()) {
        const Bytes header = encode_mobility_header(message, kHoa, kHa);
        ASSERT_EQ(header.size() % 8, 0u) << name;
        EXPECT_EQ(header[0], 59) << name;
        EXPECT_EQ((std::size_t{header[1]} + 1) * 8, header.size()) << name;
        EXPECT_EQ(header[2], static_cast<std::uint8_t>(type_of(message))) << name;
        const auto decoded = decode(header);
        ASSERT_TRUE(decoded.has_value()) << name << ": " << decoded.error().to_string();
        EXPECT_EQ(*decoded, message) << name;
    }
}

TEST(MobilityHeader, section_2_1_sizes_of_messages_without_options) {
    const auto size = [](const MobilityMessage& message) {
        return encode_mobility_header(message, kHoa, kHa).size();
    };
    EXPECT_EQ(size(BindingRefreshRequest{}), 8u);
    EXPECT_EQ(size(HomeTestInit{}), 16u);
    EXPECT_EQ(size(CareOfTestInit{}), 16u);
    EXPECT_EQ(size(HomeTest{}), 24u);
    EXPECT_EQ(size(CareOfTest{}), 24u);
    EXPECT_EQ(size(BindingUpdate{}), 16u);
    EXPECT_EQ(size(BindingAcknowledgement{}), 16u);
    EXPECT_EQ(size(BindingError{}), 24u);
    EXPECT_EQ(size(HomeAgentSwitch{}), 8u);
    EXPECT_EQ(size(HomeAgentSwitch{{kHa, kHa}, {}}), 40u);
    EXPECT_EQ(size(BindingRevocation{}), 16u);
}

TEST(MobilityHeader, every_truncation_is_an_error_and_names_a_place_inside) {
    for (const auto& [name, message] : mobility_samples()) {
        const Bytes whole = encode_mobility_header(message, kHoa, kHa);
        for (std::size_t length = 0; length < whole.size(); ++length) {
            const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            const auto error = error_of(cut);
            EXPECT_EQ(error.fault, MobilityFault::kTruncated) << name << " " << length;
            EXPECT_LE(error.offset, 1u);
        }
    }
}

TEST(MobilityHeader, every_truncation_with_a_length_field_that_agrees_is_survived) {
    for (const auto& [name, message] : mobility_samples()) {
        const Bytes whole = encode_mobility_header(message, kHoa, kHa);
        for (std::size_t length = 8; length < whole.size(); length += 8) {
            Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
            cut[1] = static_cast<std::uint8_t>(length / 8 - 1);
            seal(cut);
            const auto decoded = decode(cut);
            if (!decoded) {
                EXPECT_TRUE(decoded.error().fault == MobilityFault::kHeaderLength ||
                            decoded.error().fault == MobilityFault::kOption)
                    << name << " " << length;
            }
        }
    }
}

TEST(MobilityHeader, octets_behind_the_end_are_ignored) {
    Bytes header = encode_mobility_header(c1_binding_update(), kHoa, kHa);
    header.insert(header.end(), {1, 2, 3});
    EXPECT_EQ(decode(header), MobilityMessage{c1_binding_update()});
}

TEST(MobilityHeader, step_4_any_flipped_bit_breaks_the_checksum) {
    const Bytes whole = encode_mobility_header(c1_binding_update(), kHoa, kHa);
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
        if (bit / 8 == 1) continue;  // the length field changes what is summed
        Bytes header = whole;
        header[bit / 8] = static_cast<std::uint8_t>(header[bit / 8] ^ (0x80 >> (bit % 8)));
        EXPECT_EQ(error_of(header).fault, MobilityFault::kChecksum) << bit;
    }
    const auto error = decode_mobility_header(whole, kCoa, kHa);
    ASSERT_FALSE(error.has_value());
    EXPECT_EQ(error.error().fault, MobilityFault::kChecksum);
}

TEST(MobilityHeader, step_4_error_gives_the_right_checksum) {
    Bytes header = encode_mobility_header(c1_binding_update(), kHoa, kHa);
    store_be16(header.data() + 4, 0x1111);
    const auto error = error_of(header);
    EXPECT_EQ(error.offset, 4u);
    EXPECT_EQ(error.found, 0x1111u);
    EXPECT_EQ(error.expected, 0x2c4au);
}

TEST(MobilityHeader, step_5_types_of_other_protocols_are_unknown) {
    for (const unsigned type : {8u, 9u, 10u, 11u, 13u, 14u, 15u, 17u, 255u}) {
        Bytes header = encode_mobility_header(c1_binding_update(), kHoa, kHa);
        header[2] = static_cast<std::uint8_t>(type);
        seal(header);
        const auto error = error_of(header);
        EXPECT_EQ(error.fault, MobilityFault::kType) << type;
        EXPECT_EQ(error.offset, 2u);
        EXPECT_EQ(error.found, type);
    }
}

TEST(MobilityHeader, step_6_payload_proto_must_be_59) {
    Bytes header = encode_mobility_header(c1_binding_update(), kHoa, kHa);
    header[0] = 6;
    seal(header);
    const auto error = error_of(header);
    EXPECT_EQ(error.fault, MobilityFault::kPayloadProto);
    EXPECT_EQ(error.offset, 0u);
    EXPECT_EQ(error.expected, 59u);
}

TEST(MobilityHeader, step_5_comes_before_step_6_and_6_before_7) {
    Bytes header = sealed("060063000000000000000000");
    header.resize(8);
    seal(header);
    EXPECT_EQ(error_of(header).fault, MobilityFault::kType);
    header = sealed("0600050000000000");
    EXPECT_EQ(error_of(header).fault, MobilityFault::kPayloadProto);
}

TEST(MobilityHeader, step_7_smallest_legal_header_length_of_each_type) {
    const std::pair<unsigned, unsigned> minima[] = {{0, 0}, {1, 1}, {2, 1}, {3, 2}, {4, 2},
                                                    {5, 1}, {6, 1}, {7, 2}, {16, 1}};
    for (const auto& [type, minimum] : minima) {
        Bytes header((minimum + 1) * 8);
        header[0] = 59;
        header[1] = static_cast<std::uint8_t>(minimum);
        header[2] = static_cast<std::uint8_t>(type);
        header[6] = 1;  // a legal revocation type
        seal(header);
        EXPECT_TRUE(decode(header).has_value()) << type;
        if (minimum == 0) continue;
        header.resize(header.size() - 8);
        header[1] = static_cast<std::uint8_t>(minimum - 1);
        seal(header);
        const auto error = error_of(header);
        EXPECT_EQ(error.fault, MobilityFault::kHeaderLength) << type;
        EXPECT_EQ(error.offset, 1u);
        EXPECT_EQ(error.expected, minimum);
    }
}

TEST(MobilityHeader, step_7_home_agent_switch_needs_room_for_its_addresses) {
    Bytes header = encode_mobility_header(HomeAgentSwitch{{kHa}, {}}, kHoa, kHa);
    header[6] = 2;
    seal(header);
    const auto error = error_of(header);
    EXPECT_EQ(error.fault, MobilityFault::kHeaderLength);
    EXPECT_EQ(error.expected, 4u);
}

TEST(MobilityHeader, step_8_option_that_ends_past_the_header) {
    const auto error = error_of(sealed("3b01050000000001c00000960304ffff"));
    EXPECT_EQ(error.fault, MobilityFault::kOption);
    EXPECT_EQ(error.offset, 13u);
    EXPECT_EQ(error.found, 4u);
    EXPECT_EQ(error.expected, 2u);
}

TEST(MobilityHeader, step_8_option_without_a_length_octet) {
    EXPECT_EQ(error_of(sealed("3b01050000000001c000009600000003")).fault, MobilityFault::kOption);
}

TEST(MobilityHeader, revocation_of_unknown_kind_is_malformed) {
    const auto error =
        error_of(sealed("3b01100000000300000100000102"
                        "0000"));
    EXPECT_EQ(error.fault, MobilityFault::kOption);
    EXPECT_EQ(error.offset, 6u);
}

TEST(MobilityHeader, reserved_bits_are_ignored) {
    Bytes header = encode_mobility_header(c1_binding_update(), kHoa, kHa);
    header[3] = 0xff;
    header[9] = 0x3f;
    seal(header);
    EXPECT_EQ(decode(header), MobilityMessage{c1_binding_update()});
}

TEST(MobilityHeader, error_text_says_what_where_found_and_expected) {
    EXPECT_EQ((MobilityDecodeError{MobilityFault::kHeaderLength, 1, 0, 1, "too small"}.to_string()),
              "mobility header, octet 1: too small, found 0, expected 1");
}

TEST(FourSecondUnits, drops_the_two_low_bits_and_stays_in_range) {
    using std::chrono::seconds;
    EXPECT_EQ(FourSecondUnits::floor(seconds{3}).value, 0);
    EXPECT_EQ(FourSecondUnits::floor(seconds{4}).value, 1);
    EXPECT_EQ(FourSecondUnits::floor(seconds{7}).value, 1);
    EXPECT_EQ(FourSecondUnits::floor(seconds{-9}).value, 0);
    EXPECT_EQ(FourSecondUnits::floor(seconds{1'000'000}).value, 0xffff);
    EXPECT_EQ(FourSecondUnits::floor(std::chrono::milliseconds{7999}).value, 1);
    EXPECT_EQ(FourSecondUnits{0xffff}.seconds().count(), 262'140);
}

}  // namespace
}  // namespace homeport::wire

// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/mobility_options.hpp"

#include <gtest/gtest.h>

#include "tests/unit/wire/samples.hpp"

namespace homeport::wire {
namespace {

using namespace homeport::test;
using Bytes = std::vector<std::uint8_t>;

/// Options behind `start` octets of 0xee, which are then cut off.
Bytes appended(std::size_t start, const MobilityOptions& options) {
    Bytes header(start, 0xee);
    append_mobility_options(header, options);
    header.erase(header.begin(), header.begin() + static_cast<std::ptrdiff_t>(start));
    return header;
}

std::size_t offset_of(std::size_t start, const MobilityOption& option, std::uint8_t type) {
    Bytes header(start, 0xee);
    append_mobility_options(header, {option});
    std::size_t at = start;
    while (header.at(at) != type) at += header[at] == 0 ? 1 : 2 + header.at(at + 1);
    return at;
}

TEST(MobilityOptions, section_2_2_alignment_on_send_from_every_offset) {
    const MobilityOption replay = ReplayProtection{1};
    const MobilityOption authentication = MessageAuthentication{1, 2, {3}};
    for (std::size_t start = 8; start < 32; ++start) {
        EXPECT_EQ(offset_of(start, BindingRefreshAdvice{}, 2) % 2, 0u);
        EXPECT_EQ(offset_of(start, AlternateCareOfAddress{}, 3) % 8, 6u);
        EXPECT_EQ(offset_of(start, NonceIndices{}, 4) % 2, 0u);
        EXPECT_EQ(offset_of(start, BindingAuthorizationData{Bytes(12)}, 5) % 8, 2u);
        EXPECT_EQ(offset_of(start, MobileNetworkPrefix{}, 6) % 8, 4u);
        EXPECT_EQ(offset_of(start, MobileNodeIdentifier{}, 8), start);
        EXPECT_EQ(offset_of(start, authentication, 9) % 4, 1u);
        EXPECT_EQ(offset_of(start, replay, 10) % 8, 2u);
        EXPECT_EQ(offset_of(start, Ipv4HomeAddress{}, 29) % 4, 0u);
        EXPECT_EQ(offset_of(start, Ipv4AddressAcknowledgement{}, 30) % 4, 0u);
        EXPECT_EQ(offset_of(start, NatDetection{}, 31) % 4, 0u);
        EXPECT_EQ(offset_of(start, Ipv4CareOfAddress{}, 32) % 4, 0u);
        EXPECT_EQ(offset_of(start, BindingIdentifier{}, 35) % 2, 0u);
        EXPECT_EQ(offset_of(start, BindingIdentifier{1, 0, false, kCoa}, 35) % 8, 2u);
    }
}

TEST(MobilityOptions, padding_ends_the_header_at_a_multiple_of_8) {
    EXPECT_EQ(to_hex(appended(12, {})), "01020000");
    EXPECT_EQ(to_hex(appended(15, {})), "00");
    EXPECT_EQ(to_hex(appended(14, {})), "0100");
    EXPECT_EQ(to_hex(appended(9, {})), "01050000000000");
    EXPECT_EQ(to_hex(appended(16, {})), "");
}

TEST(MobilityOptions, authorization_data_of_12_octets_is_last_without_padding_behind) {
    EXPECT_EQ(to_hex(appended(12, {NonceIndices{1, 2}, BindingAuthorizationData{Bytes(12, 0xaa)}})),
              "040400010002050caaaaaaaaaaaaaaaaaaaaaaaa");
}

TEST(MobilityOptions, any_alignment_is_accepted_on_receive) {
    for (std::size_t shift = 0; shift < 8; ++shift) {
        Bytes header(shift, 0);  // Pad1
        const Bytes option = from_hex("031020010db8000200000000000000000200");
        header.insert(header.end(), option.begin(), option.end());
        const auto read = read_mobility_options(header, 0);
        ASSERT_TRUE(std::holds_alternative<MobilityOptions>(read)) << shift;
        EXPECT_EQ(std::get<MobilityOptions>(read), (MobilityOptions{AlternateCareOfAddress{kCoa}}));
    }
}

TEST(MobilityOptions, unknown_ones_are_kept_and_skipped) {
    const auto read = read_mobility_options(from_hex("c803010203"
                                                     "c900"
                                                     "02020005"),
                                            0);
    ASSERT_TRUE(std::holds_alternative<MobilityOptions>(read));
    const auto& options = std::get<MobilityOptions>(read);
    EXPECT_EQ(options, (MobilityOptions{UnknownOption{200, {1, 2, 3}}, UnknownOption{201, {}},
                                        BindingRefreshAdvice{{5}}}));
    ASSERT_NE(find_option<BindingRefreshAdvice>(options), nullptr);
    EXPECT_EQ(find_option<NonceIndices>(options), nullptr);
}

TEST(MobilityOptions, known_ones_with_every_other_length_are_malformed) {
    const std::pair<std::uint8_t, std::vector<std::size_t>> legal[] = {
        {2, {2}},  {3, {16}}, {4, {4}},  {6, {18}}, {10, {8}},
        {29, {6}}, {30, {6}}, {31, {6}}, {32, {6}}, {35, {4, 8, 20}}};
    for (const auto& [type, lengths] : legal) {
        for (std::size_t length = 0; length < 40; ++length) {
            Bytes option(2 + length);
            option[0] = type;
            option[1] = static_cast<std::uint8_t>(length);
            const bool good = std::ranges::find(lengths, length) != lengths.end();
            const auto read = read_mobility_options(option, 0);
            EXPECT_EQ(std::holds_alternative<MobilityOptions>(read), good)
                << unsigned{type} << " " << length;
            if (!good) {
                EXPECT_EQ(std::get<OptionError>(read).offset, 1u);
            }
        }
    }
}

TEST(MobilityOptions, identifier_and_authentication_need_their_fixed_part) {
    EXPECT_TRUE(std::holds_alternative<OptionError>(read_mobility_options(from_hex("0800"), 0)));
    EXPECT_TRUE(
        std::holds_alternative<OptionError>(read_mobility_options(from_hex("090401020304"), 0)));
}

TEST(MobilityOptions, longest_lists_of_the_shortest_options_end) {
    // 2040 times Pad1, and as many empty unknown options as fit.
    EXPECT_TRUE(std::get<MobilityOptions>(read_mobility_options(Bytes(2040, 0), 0)).empty());
    Bytes many;
    for (int i = 0; i < 1020; ++i) many.insert(many.end(), {250, 0});
    EXPECT_EQ(std::get<MobilityOptions>(read_mobility_options(many, 0)).size(), 1020u);
}

TEST(MobilityOptions, truncation_at_every_octet_is_an_error_or_a_shorter_list) {
    Bytes whole;
    append_mobility_options(whole, every_option());
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
        const auto read = read_mobility_options(cut, 0);
        if (const auto* options = std::get_if<MobilityOptions>(&read)) {
            EXPECT_LE(options->size(), every_option().size());
        } else {
            EXPECT_LT(std::get<OptionError>(read).offset, length);
        }
    }
}

TEST(MobilityOptions, ipv4_home_address_prefix_and_request_bit_share_an_octet) {
    EXPECT_EQ(to_hex(appended(12, {Ipv4HomeAddress{24, true, v4("192.0.2.0")}})),
              "1d066200c000020001020000");
}

}  // namespace
}  // namespace homeport::wire

// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/tunnel/extension_headers.hpp"

#include <gtest/gtest.h>

#include "dataplane/tunnel/home_address_option.hpp"
#include "dataplane/tunnel/rewrite.hpp"
#include "dataplane/tunnel/routing_header.hpp"
#include "tests/unit/tunnel/packets.hpp"

namespace homeport::tunnel {
namespace {

using namespace homeport::test;
using Action = OptionsReport::Action;

const Bytes kEsp(40, 0x77);
const Bytes kPad2{1, 2, 0, 0};

Bytes hao_header(std::uint8_t next_header, const Ipv6Address& home_address = kHomeAddress) {
    return options_header(next_header, concat({kPad2, home_address_option(home_address)}));
}
Bytes from_coa(std::uint8_t next_header, const Bytes& payload) {
    return ipv6(kCareOfAddress, kHomeAgent, next_header, payload);
}
OptionsReport examine(const Bytes& packet) {
    parse::Headers headers;
    EXPECT_EQ(parse::walk(packet, headers), parse::Error::kNone);
    return examine_options(packet);
}
Bytes undo(const Bytes& packet, Ipv6Address& wire_source) {
    Buffer buffer(packet);
    const OptionsReport report = examine(packet);
    EXPECT_EQ(report.action, Action::kAccept);
    EXPECT_TRUE(report.has_home_address);
    wire_source = undo_home_address_option(buffer.packet, report);
    return buffer.bytes();
}

TEST(HomeAddressOption, P5_vector_C2_becomes_what_ipsec_sees) {
    Ipv6Address wire_source;
    EXPECT_EQ(undo(kC2BindingUpdate, wire_source), kC2AsSeenByIpsec);
    EXPECT_EQ(wire_source, kCareOfAddress);
}

TEST(HomeAddressOption, N3_vector_C2_is_made_from_normal_form) {
    Buffer buffer(kC2AsSeenByIpsec, 24);
    ASSERT_TRUE(insert_home_address_option(buffer.packet, kCareOfAddress));
    EXPECT_EQ(buffer.bytes(), kC2BindingUpdate);
}

TEST(HomeAddressOption, insert_needs_room_and_a_whole_ipv6_packet) {
    Buffer no_room(kC2AsSeenByIpsec, 23);
    EXPECT_FALSE(insert_home_address_option(no_room.packet, kCareOfAddress));
    EXPECT_EQ(no_room.bytes(), kC2AsSeenByIpsec);
    for (std::size_t length = 0; length < kC2AsSeenByIpsec.size(); ++length) {
        Buffer cut(
            Bytes(kC2AsSeenByIpsec.begin(), kC2AsSeenByIpsec.begin() + static_cast<int>(length)));
        EXPECT_FALSE(insert_home_address_option(cut.packet, kCareOfAddress)) << length;
    }
}

TEST(HomeAddressOption, insert_goes_behind_routing_and_before_the_rest) {
    const Bytes hop_by_hop = options_header(43, {5, 2, 0, 0, 1, 0});
    const Bytes routing = concat({Bytes{60, 2, 4, 0, 0, 0, 0, 0}, Bytes(16, 0x11)});
    const Bytes others = options_header(50, {4, 1, 4, 1, 1, 0});
    Buffer buffer(ipv6(kHomeAddress, kHomeAgent, 0, concat({hop_by_hop, routing, others, kEsp})));
    ASSERT_TRUE(insert_home_address_option(buffer.packet, kCareOfAddress));
    EXPECT_EQ(buffer.bytes(), ipv6(kCareOfAddress, kHomeAgent, 0,
                                   concat({hop_by_hop, routing, hao_header(60), others, kEsp})));
    Ipv6Address wire_source;
    EXPECT_EQ(undo(buffer.bytes(), wire_source),
              ipv6(kHomeAddress, kHomeAgent, 0, concat({hop_by_hop, routing, others, kEsp})));
}

TEST(HomeAddressOption, any_alignment_is_accepted) {
    // 2 octets of header, option at offset 2, padding behind it.
    const Bytes packet = from_coa(
        60, concat({options_header(50, concat({home_address_option(kHomeAddress), {1, 2, 0, 0}})),
                    kEsp}));
    Ipv6Address wire_source;
    EXPECT_EQ(undo(packet, wire_source), ipv6(kHomeAddress, kHomeAgent, 50, kEsp));
    const Bytes pads = from_coa(
        60, concat({options_header(50, concat({{0, 0, 0, 0}, home_address_option(kHomeAddress)})),
                    kEsp}));
    EXPECT_EQ(undo(pads, wire_source), ipv6(kHomeAddress, kHomeAgent, 50, kEsp));
}

TEST(HomeAddressOption, other_options_stay_and_the_option_becomes_padding) {
    const Bytes limit{4, 1, 4, 0};
    const Bytes packet = from_coa(
        60, concat({options_header(50, concat({limit, home_address_option(kHomeAddress)})), kEsp}));
    Ipv6Address wire_source;
    const Bytes padding = concat({{1, 16}, Bytes(16, 0)});
    EXPECT_EQ(undo(packet, wire_source),
              ipv6(kHomeAddress, kHomeAgent, 60,
                   concat({options_header(50, concat({limit, padding})), kEsp})));
    EXPECT_EQ(wire_source, kCareOfAddress);
}

TEST(HomeAddressOption, S1_a_home_address_must_be_unicast_routable_16_octets_and_there_once) {
    const auto action_of = [](const Bytes& options) {
        return examine(from_coa(60, concat({options_header(50, options), kEsp}))).action;
    };
    for (const char* bad : {"ff02::1", "fe80::1", "::", "::1", "::ffff:192.0.2.1", "ff0e::1"}) {
        EXPECT_EQ(action_of(concat({kPad2, home_address_option(v6(bad))})), Action::kBadHomeAddress)
            << bad;
    }
    for (unsigned length = 0; length < 19; ++length) {
        Bytes options{0xc9, static_cast<std::uint8_t>(length)};
        append(options, Bytes(length, 0x20));
        while ((options.size() + 2) % 8 != 0) options.push_back(0);
        EXPECT_EQ(action_of(options), length == 16 ? Action::kAccept : Action::kBadHomeAddress)
            << length;
    }
    const Bytes option = home_address_option(kHomeAddress);
    EXPECT_EQ(action_of(concat({option, option, {1, 0}})), Action::kBadHomeAddress);
    const Bytes two_headers = from_coa(60, concat({hao_header(60), hao_header(50), kEsp}));
    EXPECT_EQ(examine(two_headers).action, Action::kBadHomeAddress);
}

TEST(Options, unknown_ones_act_by_their_high_bits) {
    const auto report_of = [](std::uint8_t type, const Ipv6Address& destination,
                              std::uint8_t header_type) {
        const Bytes options{1, 0, type, 2, 0, 0};
        return examine(ipv6(kCareOfAddress, destination, header_type,
                            concat({options_header(50, options), kEsp})));
    };
    const Ipv6Address group = v6("ff02::1");
    for (const std::uint8_t header_type : Bytes{0, 60}) {
        EXPECT_EQ(report_of(0x1e, kHomeAgent, header_type).action, Action::kAccept);
        EXPECT_EQ(report_of(0x5e, kHomeAgent, header_type).action, Action::kDiscard);
        const OptionsReport problem = report_of(0x9e, kHomeAgent, header_type);
        EXPECT_EQ(problem.action, Action::kParameterProblem);
        EXPECT_EQ(problem.pointer, 44);
        EXPECT_EQ(report_of(0x9e, group, header_type).action, Action::kParameterProblem);
        EXPECT_EQ(report_of(0xde, kHomeAgent, header_type).action, Action::kParameterProblem);
        EXPECT_EQ(report_of(0xde, group, header_type).action, Action::kDiscard);
    }
    // A Home Address option belongs into destination options.
    EXPECT_EQ(examine(from_coa(0, concat({hao_header(50), kEsp}))).action,
              Action::kParameterProblem);
}

TEST(Options, lengths_that_lie_are_malformed) {
    for (const Bytes& options :
         {Bytes{0xc9, 16, 0, 0, 0, 0}, Bytes{1, 3, 0, 0, 0, 9}, Bytes{1, 9, 0, 0, 0, 0}}) {
        const OptionsReport report =
            examine(from_coa(60, concat({options_header(50, options), kEsp})));
        EXPECT_EQ(report.action, Action::kMalformed);
    }
}

TEST(RoutingHeader, P6_vector_C4) {
    Buffer buffer(kC4IpsecOut, 24);
    ASSERT_TRUE(insert_type2_routing_header(buffer.packet, kCareOfAddress));
    EXPECT_EQ(buffer.bytes(), kC4Wire);
}

RoutingHeaderResult undo_rh2(Buffer& buffer, const Ipv6Address& home_address) {
    parse::Headers headers;
    EXPECT_EQ(parse::walk(buffer.packet.bytes(), headers), parse::Error::kNone);
    return undo_type2_routing_header(buffer.packet, headers, home_address);
}

TEST(RoutingHeader, N3_vector_C4_back_to_normal_form) {
    Buffer buffer(kC4Wire);
    ASSERT_EQ(undo_rh2(buffer, kHomeAddress), RoutingHeaderResult::kUndone);
    EXPECT_EQ(buffer.bytes(), kC4IpsecOut);
}

TEST(RoutingHeader, insert_goes_behind_hop_by_hop_options) {
    const Bytes hop_by_hop = options_header(60, {5, 2, 0, 0, 1, 0});
    const Bytes others = options_header(50, {4, 1, 4, 1, 1, 0});
    const Bytes normal = ipv6(kHomeAgent, kHomeAddress, 0, concat({hop_by_hop, others, kEsp}));
    Buffer buffer(normal);
    ASSERT_TRUE(insert_type2_routing_header(buffer.packet, kCareOfAddress));
    parse::Headers headers;
    ASSERT_EQ(parse::walk(buffer.packet.bytes(), headers), parse::Error::kNone);
    EXPECT_EQ(headers.routing_offset, 48);
    EXPECT_EQ(destination_of(buffer.packet.bytes()), kCareOfAddress);
    ASSERT_EQ(undo_rh2(buffer, kHomeAddress), RoutingHeaderResult::kUndone);
    EXPECT_EQ(buffer.bytes(), normal);
}

TEST(RoutingHeader, what_does_not_hold_is_bad) {
    const auto result_of = [](std::size_t at, std::uint8_t value) {
        Bytes bytes = kC4Wire;
        bytes[at] = value;
        Buffer buffer(bytes);
        const RoutingHeaderResult result = undo_rh2(buffer, kHomeAddress);
        EXPECT_EQ(buffer.bytes(), bytes);
        return result;
    };
    EXPECT_EQ(result_of(41, 4), RoutingHeaderResult::kBad);  // length
    EXPECT_EQ(result_of(41, 0), RoutingHeaderResult::kBad);
    EXPECT_EQ(result_of(43, 0), RoutingHeaderResult::kBad);  // segments left
    EXPECT_EQ(result_of(43, 2), RoutingHeaderResult::kBad);
    EXPECT_EQ(result_of(63, 0x01), RoutingHeaderResult::kBad);  // not our home address
    EXPECT_EQ(result_of(42, 0), RoutingHeaderResult::kNone);    // type 0
    Buffer plain(kC4IpsecOut);
    EXPECT_EQ(undo_rh2(plain, kHomeAddress), RoutingHeaderResult::kNone);
    EXPECT_EQ(plain.bytes(), kC4IpsecOut);
}

TEST(Rewrite, S1_12_vector_C5_only_octets_24_to_39_change) {
    Bytes bytes = kC5IpsecOut;
    ASSERT_TRUE(rewrite_destination_to_care_of_address(bytes, kHomeAddress, kCareOfAddress));
    EXPECT_EQ(bytes, kC5Rewritten);
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i < 24 || i > 39) {
            EXPECT_EQ(bytes[i], kC5IpsecOut[i]) << i;
        }
    }
}

TEST(Rewrite, S1_21_the_mobile_node_mirrors_it) {
    Bytes bytes = kC5Rewritten;
    ASSERT_TRUE(rewrite_destination_to_home_address(bytes, kCareOfAddress, kHomeAddress));
    EXPECT_EQ(bytes, kC5IpsecOut);
    Bytes out = ipv6(kHomeAddress, kHomeAgent, 50, kEsp);
    ASSERT_TRUE(rewrite_source_to_care_of_address(out, kHomeAddress, kCareOfAddress));
    EXPECT_EQ(out, ipv6(kCareOfAddress, kHomeAgent, 50, kEsp));
}

TEST(Rewrite, S1_17_other_packets_stay_as_they_are) {
    Bytes bytes = kC5Inner;
    EXPECT_FALSE(rewrite_destination_to_care_of_address(bytes, kHomeAgent, kCareOfAddress));
    EXPECT_FALSE(rewrite_source_to_care_of_address(bytes, kHomeAgent, kCareOfAddress));
    EXPECT_EQ(bytes, kC5Inner);
    bytes.resize(39);
    EXPECT_FALSE(rewrite_destination_to_care_of_address(bytes, kHomeAddress, kCareOfAddress));
}

}  // namespace
}  // namespace homeport::tunnel

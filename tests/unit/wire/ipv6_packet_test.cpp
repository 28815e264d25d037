// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/wire/ipv6_packet.hpp"

#include <gtest/gtest.h>

#include "controlplane/wire/mobility_header.hpp"
#include "tests/unit/wire/samples.hpp"

namespace homeport::wire {
namespace {

using namespace homeport::test;
using Bytes = std::vector<std::uint8_t>;

Bytes with_headers(std::uint8_t first, std::string_view headers_and_payload) {
    return ipv6_packet(kHoa, kHa, first, 64, from_hex(headers_and_payload));
}

PacketFault fault_of(const Bytes& packet) {
    const auto view = view_ipv6_packet(packet);
    EXPECT_FALSE(view.has_value());
    return view ? PacketFault::kTooShort : view.error();
}

TEST(Ipv6Packet, header_fields) {
    const Bytes packet = ipv6_packet(kHoa, kHa, 135, 63, Bytes(16));
    EXPECT_EQ(to_hex({packet.begin(), packet.begin() + 8}), "600000000010873f");
    const auto view = view_ipv6_packet(packet);
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->source, kHoa);
    EXPECT_EQ(view->destination, kHa);
    EXPECT_EQ(view->upper_protocol, 135);
    EXPECT_EQ(view->upper_offset, 40u);
    EXPECT_EQ(view->upper.size(), 16u);
}

TEST(Ipv6Packet, link_padding_is_cut_off) {
    Bytes packet = ipv6_packet(kHoa, kHa, 59, 64, {});
    packet.resize(60);
    const auto view = view_ipv6_packet(packet);
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->packet.size(), 40u);
    EXPECT_TRUE(view->upper.empty());
}

TEST(Ipv6Packet, walks_extension_headers) {
    // Hop-by-hop, destination options of 16 octets, routing header with nothing left, atomic
    // fragment, then a mobility header.
    const Bytes packet = with_headers(0,
                                      "3c00010400000000"
                                      "2b01010c00000000"
                                      "0000000000000000"
                                      "2c00000000000000"
                                      "8700000011111111"
                                      "3b00000000000000");
    const auto view = view_ipv6_packet(packet);
    ASSERT_TRUE(view.has_value());
    EXPECT_EQ(view->upper_protocol, 135);
    EXPECT_EQ(view->upper_offset, 40u + 40u);
    EXPECT_EQ(view->upper.size(), 8u);
}

TEST(Ipv6Packet, a_fragment_is_refused) {
    EXPECT_EQ(fault_of(with_headers(44,
                                    "8700000111111111"
                                    "3b00000000000000")),
              PacketFault::kFragment);
    EXPECT_EQ(fault_of(with_headers(44,
                                    "8700000811111111"
                                    "3b00000000000000")),
              PacketFault::kFragment);
}

TEST(Ipv6Packet, a_routing_header_with_segments_left_is_refused) {
    EXPECT_EQ(fault_of(with_headers(43,
                                    "8700000100000000"
                                    "3b00000000000000")),
              PacketFault::kExtensionHeader);
}

TEST(Ipv6Packet, lengths_that_lie_are_refused) {
    EXPECT_EQ(fault_of(with_headers(60, "8701010400000000")), PacketFault::kExtensionHeader);
    EXPECT_EQ(fault_of(with_headers(60, "87")), PacketFault::kExtensionHeader);
    Bytes packet = ipv6_packet(kHoa, kHa, 59, 64, Bytes(8));
    packet.pop_back();
    EXPECT_EQ(fault_of(packet), PacketFault::kLength);
    packet.resize(39);
    EXPECT_EQ(fault_of(packet), PacketFault::kTooShort);
    packet = ipv6_packet(kHoa, kHa, 59, 64, {});
    packet[0] = 0x45;
    EXPECT_EQ(fault_of(packet), PacketFault::kVersion);
}

TEST(Ipv6Packet, an_endless_chain_of_headers_is_refused) {
    std::string chain;
    for (int i = 0; i < 100; ++i) chain += "3c00010400000000";
    EXPECT_EQ(fault_of(with_headers(60, chain)), PacketFault::kExtensionHeader);
}

TEST(Ipv6Packet, every_truncation_is_an_error) {
    const Bytes packet = mobility_packet(c1_binding_update(), kHoa, kHa);
    for (std::size_t length = 0; length < packet.size(); ++length) {
        const Bytes cut(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(length));
        EXPECT_FALSE(view_ipv6_packet(cut).has_value()) << length;
    }
}

TEST(Ipv6Packet, frame_has_addresses_and_ether_type) {
    const Bytes frame =
        ethernet_frame(mac("33:33:ff:00:01:00"), mac("02:00:00:00:00:01"), Bytes{0x60});
    EXPECT_EQ(to_hex(frame), "3333ff00010002000000000186dd60");
}

}  // namespace
}  // namespace homeport::wire

// SPDX-License-Identifier: BSD-3-Clause
// Routes, hop limits, scopes, MTU: P30 and what passes through.
#include <set>

#include "tests/golden/forward/home_agent.hpp"

namespace homeport::golden {
namespace {

class Forward : public ForwardTest {
  protected:
    void SetUp() override { start_home_agent(); }

    static Bytes to_home(std::uint8_t hop_limit = 64, std::size_t octets = 24) {
        return udp6(kCorrespondent, kAtHome, octets, {.hop_limit = hop_limit});
    }
    static Bytes from_home(std::uint8_t hop_limit = 64, std::size_t octets = 24) {
        return udp6(kAtHome, kCorrespondent, octets, {.hop_limit = hop_limit});
    }
};

TEST_F(Forward, P30_a_node_at_home_is_reached_as_by_any_router) {
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        std::vector<Bytes> expected;
        for (unsigned i = 0; i < 67; ++i) {
            frames.push_back(to_port(kOutside, to_home(64, 24 + i)));
            expected.push_back(from_port(kHomeLink, to_home(63, 24 + i), 7));
        }
        const Result result = feed(kOutside, frames, batch);
        EXPECT_EQ(result.sent[kHomeLink], expected) << result.to_string();
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
    }
}

TEST_F(Forward, P30_ipv4_with_a_right_header_checksum) {
    const Result result = feed_packet(kOutside, udp4(kCorrespondent4, kAtHome4, 30, {.ttl = 17}));
    expect_sent(result, kHomeLink, udp4(kCorrespondent4, kAtHome4, 30, {.ttl = 16}), 7);
}

TEST_F(Forward, packets_of_both_families_keep_their_order_within_a_flow) {
    std::vector<Bytes> frames;
    std::vector<Bytes> expected6;
    std::vector<Bytes> expected4;
    for (unsigned i = 0; i < 67; ++i) {
        frames.push_back(to_port(kHomeLink, from_home(64, 8 + i)));
        frames.push_back(to_port(kHomeLink, udp4(kAtHome4, kCorrespondent4, 8 + i)));
        expected6.push_back(from_port(kOutside, from_home(63, 8 + i)));
        expected4.push_back(
            from_port(kOutside, udp4(kAtHome4, kCorrespondent4, 8 + i, {.ttl = 63})));
    }
    const Result result = feed(kHomeLink, frames, 67);
    std::vector<Bytes> sent6;
    std::vector<Bytes> sent4;
    for (const Bytes& frame : result.sent[kOutside]) {
        (frame[12] == 0x86 ? sent6 : sent4).push_back(frame);
    }
    EXPECT_EQ(sent6, expected6);
    EXPECT_EQ(sent4, expected4);
}

TEST_F(Forward, a_packet_at_its_last_hop_is_answered_with_time_exceeded) {
    for (const std::uint8_t hop_limit : {std::uint8_t{1}, std::uint8_t{0}}) {
        const Bytes packet = to_home(hop_limit);
        const Result result = feed_packet(kOutside, packet);
        expect_drop(result, "forward.ttl");
        expect_sent(result, kOutside,
                    icmp6_error(kOutsideAddress, kCorrespondent, 3, 0, 0, packet));
        EXPECT_EQ(result.count("icmp.sent"), 1u);
        EXPECT_EQ(result.count("rx.generated"), 1u);
    }
}

TEST_F(Forward, ipv4_time_exceeded) {
    const Bytes packet = udp4(kCorrespondent4, kAtHome4, 700, {.ttl = 1});
    const Result result = feed_packet(kOutside, packet);
    expect_drop(result, "forward.ttl");
    ASSERT_EQ(result.sent[kOutside].size(), 1u);
    const Bytes sent = packet_in(result.sent[kOutside][0]);
    ASSERT_EQ(sent.size(), 576u) << "RFC 1812 section 4.3.2.3";
    EXPECT_EQ(sent[1], 0xc0);
    EXPECT_EQ(internet_checksum({sent.data(), 20}), 0);
    EXPECT_EQ(Ipv4Address::load(sent.data() + 12), kOutsideAddress4);
    EXPECT_EQ(Ipv4Address::load(sent.data() + 16), kCorrespondent4);
    EXPECT_EQ(sent[20], 11);
    EXPECT_EQ(sent[21], 0);
    EXPECT_EQ(internet_checksum({sent.data() + 20, sent.size() - 20}), 0);
    EXPECT_EQ(Bytes(sent.begin() + 28, sent.end()), first_octets(packet, 576 - 28));
}

TEST_F(Forward, routes_that_lead_nowhere) {
    add_special_route("2001:db8:b::", 48, channel::RouteType::kBlackhole);
    add_special_route("2001:db8:c::", 48, channel::RouteType::kUnreachable);
    add_special_route("2001:db8:d::", 48, channel::RouteType::kKernel);
    const auto to = [](std::string_view destination) { return udp6(kAtHome, v6(destination), 24); };
    Result result = feed_packet(kHomeLink, to("2001:db8:b::1"));
    expect_drop(result, "forward.blackhole");
    expect_nothing_sent(result);

    result = feed_packet(kHomeLink, to("2001:db8:c::1"));
    expect_drop(result, "forward.unreachable");
    expect_sent(result, kHomeLink, icmp6_error(kHomeAgent, kAtHome, 1, 0, 0, to("2001:db8:c::1")),
                7);

    result = feed_packet(kHomeLink, to("2001:db8:d::1"));
    ASSERT_EQ(result.kernel[kHomeLink].size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.kernel[kHomeLink][0]), to("2001:db8:d::1"));

    channel::RouteRemove no_default;
    no_default.prefix = channel::WireAddress(v6("::"));
    no_default.prefix_length = 0;
    apply(no_default);
    result = feed_packet(kHomeLink, to("2001:db8:e::1"));
    expect_drop(result, "forward.no_route");
    expect_sent(result, kHomeLink, icmp6_error(kHomeAgent, kAtHome, 1, 0, 0, to("2001:db8:e::1")),
                7);
}

TEST_F(Forward, an_unresolved_next_hop_is_the_kernels_to_resolve) {
    lose_neighbour(kHomeLink, "2001:db8:1::77");
    Result result = feed_packet(kOutside, to_home());
    ASSERT_EQ(result.kernel[kHomeLink].size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.kernel[kHomeLink][0]), to_home()) << "not decremented";
    EXPECT_EQ(MacAddress::load(result.kernel[kHomeLink][0].data()), port_mac(kHomeLink));
    EXPECT_EQ(result.count("forward.unresolved_to_kernel"), 1u);
    expect_nothing_sent(result);

    lose_neighbour(kOutside, "2001:db8:f::2");
    result = feed_packet(kHomeLink, from_home());
    ASSERT_EQ(result.kernel[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.kernel[kOutside][0]), from_home());
}

TEST_F(Forward, a_tunnel_packet_with_an_unresolved_next_hop_goes_to_the_kernel_too) {
    bind();
    lose_neighbour(kOutside, "2001:db8:f::2");
    const Result result = feed_packet(kOutside, udp6(kCorrespondent, kHomeAddress, 24));
    ASSERT_EQ(result.kernel[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.kernel[kOutside][0]),
              ipv6(kHomeAgent, kCareOfAddress, 41,
                   udp6(kCorrespondent, kHomeAddress, 24, {.hop_limit = 63})));
    EXPECT_EQ(result.count("forward.unresolved_to_kernel"), 1u);
}

TEST_F(Forward, scopes_are_kept) {
    for (const char* const source : {"fe80::9", "::"}) {
        const Result result = feed_packet(kHomeLink, udp6(v6(source), kCorrespondent, 24));
        EXPECT_EQ(result.dropped(), 1u) << source << ": " << result.to_string();
        expect_nothing_sent(result);
    }
    for (const char* const address : {"169.254.1.1", "240.0.0.1", "0.0.0.1"}) {
        const Result result = feed_packet(kHomeLink, udp4(kAtHome4, v4(address), 24));
        expect_nothing_sent(result);
    }
    expect_drop(feed_packet(kHomeLink, udp4(v4("169.254.1.1"), kCorrespondent4, 24)),
                "forward.scope");
}

// ---------------------------------------------------------------------------------- home prefixes

TEST_F(Forward, P30_drop_unbound) {
    home_prefix("2001:db8:1::", 64, kHomeLink, true);
    Result result = feed_packet(kOutside, to_home());
    expect_drop(result, "tun.out.no_binding");
    expect_nothing_sent(result);
    bind(kAtHome);
    result = feed_packet(kOutside, to_home());
    EXPECT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
}

TEST_F(Forward, P30_an_unbound_address_of_a_virtual_prefix_is_unreachable) {
    home_prefix("2001:db8:200::", 64, channel::kNoPort);
    const Bytes packet = udp6(kCorrespondent, v6("2001:db8:200::5"), 24);
    const Result result = feed_packet(kOutside, packet);
    expect_drop(result, "tun.out.no_binding");
    expect_sent(result, kOutside, icmp6_error(kOutsideAddress, kCorrespondent, 1, 3, 0, packet));
}

TEST_F(Forward, P30_a_route_inside_a_virtual_prefix_is_followed) {
    home_prefix("2001:db8:200::", 64, channel::kNoPort);
    add_route("2001:db8:200::/80", kHomeLink, "2001:db8:1::77");
    const Result result = feed_packet(kOutside, udp6(kCorrespondent, v6("2001:db8:200::5"), 24));
    EXPECT_EQ(result.sent[kHomeLink].size(), 1u) << result.to_string();
}

TEST_F(Forward, P30_the_home_link_needs_no_route_of_its_own) {
    home_prefix("2001:db8:300::", 64, kHomeLink);
    Result result = feed_packet(kOutside, udp6(kCorrespondent, v6("2001:db8:300::5"), 24));
    EXPECT_EQ(result.kernel[kHomeLink].size(), 1u) << result.to_string();
    add_neighbour(kHomeLink, "2001:db8:300::5", 5);
    result = feed_packet(kOutside, udp6(kCorrespondent, v6("2001:db8:300::5"), 24));
    EXPECT_EQ(result.sent[kHomeLink].size(), 1u) << result.to_string();
}

// -------------------------------------------------------------------------------------------- MTU

TEST_F(Forward, a_packet_too_big_for_the_link_is_answered) {
    channel::RouteSet narrow;
    narrow.prefix = channel::WireAddress(v6("2001:db8:5::"));
    narrow.prefix_length = 48;
    narrow.next_hop = channel::WireAddress(v6("2001:db8:f::2"));
    narrow.port = kOutside;
    narrow.mtu = 1400;
    apply(narrow);
    const Bytes fits = udp6(kAtHome, v6("2001:db8:5::1"), 1360);
    const Bytes big = udp6(kAtHome, v6("2001:db8:5::1"), 1361);
    Result result = feed_packet(kHomeLink, fits);
    EXPECT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    result = feed_packet(kHomeLink, big);
    expect_drop(result, "forward.too_big");
    expect_sent(result, kHomeLink, icmp6_error(kHomeAgent, kAtHome, 2, 0, 1400, big), 7);
}

TEST_F(Forward, ipv4_is_fragmented_or_answered_as_its_sender_wishes) {
    channel::RouteSet narrow;
    narrow.prefix = channel::WireAddress(v4("203.0.113.0"));
    narrow.prefix_length = 24;
    narrow.next_hop = channel::WireAddress(v4("198.51.100.2"));
    narrow.port = kOutside;
    narrow.mtu = 600;
    apply(narrow);
    const Bytes whole = udp4(kAtHome4, kCorrespondent4, 1400);
    Result result = feed_packet(kHomeLink, whole);
    ASSERT_EQ(result.sent[kOutside].size(), 3u) << result.to_string();
    Bytes payload;
    for (std::size_t i = 0; i < 3; ++i) {
        const Bytes piece = packet_in(result.sent[kOutside][i]);
        EXPECT_LE(piece.size(), 600u);
        EXPECT_EQ(load_be16(piece.data() + 2), piece.size());
        EXPECT_EQ(internet_checksum({piece.data(), 20}), 0);
        EXPECT_EQ(piece[8], 63);
        EXPECT_EQ(load_be16(piece.data() + 6), payload.size() / 8 | (i == 2 ? 0u : 0x2000u));
        payload.insert(payload.end(), piece.begin() + 20, piece.end());
    }
    EXPECT_EQ(payload, Bytes(whole.begin() + 20, whole.end()));
    EXPECT_EQ(result.count("rx.generated"), 2u);

    const Bytes fixed = udp4(kAtHome4, kCorrespondent4, 1400, {.flags_offset = kDontFragment});
    result = feed_packet(kHomeLink, fixed);
    expect_drop(result, "forward.too_big");
    EXPECT_TRUE(result.sent[kOutside].empty());
}

TEST_F(Forward, later_ipv4_fragments_carry_only_the_options_that_are_to_be_copied) {
    channel::RouteSet narrow;
    narrow.prefix = channel::WireAddress(v4("203.0.113.0"));
    narrow.prefix_length = 24;
    narrow.next_hop = channel::WireAddress(v4("198.51.100.2"));
    narrow.port = kOutside;
    narrow.mtu = 600;
    apply(narrow);
    // Security (copied), record route (not copied), end of list.
    const Bytes options{0x82, 4, 1, 2, 7, 7, 4, 0, 0, 0, 0, 0};
    const Bytes whole = udp4(kAtHome4, kCorrespondent4, 1000, {.options = options});
    const Result result = feed_packet(kHomeLink, whole);
    ASSERT_EQ(result.sent[kOutside].size(), 2u) << result.to_string();
    const Bytes first = packet_in(result.sent[kOutside][0]);
    const Bytes second = packet_in(result.sent[kOutside][1]);
    EXPECT_EQ(Bytes(first.begin() + 20, first.begin() + 32), options);
    EXPECT_EQ(second[0], 0x46);
    EXPECT_EQ(Bytes(second.begin() + 20, second.begin() + 24), first_octets(options, 4));
    EXPECT_EQ(internet_checksum({second.data(), 24}), 0);
    Bytes payload(first.begin() + 32, first.end());
    payload.insert(payload.end(), second.begin() + 24, second.end());
    EXPECT_EQ(payload, Bytes(whole.begin() + 32, whole.end()));
}

TEST_F(Forward, a_fragment_that_is_fragmented_again_keeps_its_place) {
    channel::RouteSet narrow;
    narrow.prefix = channel::WireAddress(v4("203.0.113.0"));
    narrow.prefix_length = 24;
    narrow.next_hop = channel::WireAddress(v4("198.51.100.2"));
    narrow.port = kOutside;
    narrow.mtu = 600;
    apply(narrow);
    const Result result = feed_packet(
        kHomeLink, udp4(kAtHome4, kCorrespondent4, 800, {.flags_offset = 0x2000 | 100}));
    ASSERT_EQ(result.sent[kOutside].size(), 2u) << result.to_string();
    EXPECT_EQ(load_be16(packet_in(result.sent[kOutside][0]).data() + 6), 0x2000 | 100);
    EXPECT_EQ(load_be16(packet_in(result.sent[kOutside][1]).data() + 6), 0x2000 | (100 + 72));
}

TEST_F(Forward, P1_a_small_path_fragments_the_outer_packet) {
    channel::BindingSet narrow = binding();
    narrow.path_mtu = 1280;
    apply(narrow);
    std::set<std::uint32_t> identifications;
    for (int round = 0; round < 20; ++round) {
        const Bytes inner = udp6(kCorrespondent, kHomeAddress, 1240);
        const Result result = feed_packet(kOutside, inner);
        ASSERT_EQ(result.sent[kOutside].size(), 2u) << result.to_string();
        std::vector<Bytes> pieces;
        for (const Bytes& frame : result.sent[kOutside]) {
            EXPECT_EQ(frame[0], host_mac(kOutside).bytes[0]);
            pieces.push_back(packet_in(frame));
            EXPECT_LE(pieces.back().size(), 1280u);
        }
        EXPECT_EQ(reassembled6(pieces),
                  ipv6(kHomeAgent, kCareOfAddress, 41,
                       udp6(kCorrespondent, kHomeAddress, 1240, {.hop_limit = 63})));
        EXPECT_EQ(result.count("tun.out.fragmented"), 1u);
        EXPECT_EQ(result.count("rx.generated"), 1u);
        identifications.insert(load_be32(pieces[0].data() + 44));
    }
    EXPECT_EQ(identifications.size(), 20u);
}

TEST_F(Forward, P14_an_ipv4_packet_that_may_be_fragmented_is_so_outside) {
    channel::BindingSet narrow = binding(kHomeAddress4);
    narrow.path_mtu = 1280;
    apply(narrow);
    const Result result = feed_packet(kOutside, udp4(kCorrespondent4, kHomeAddress4, 1400));
    ASSERT_EQ(result.sent[kOutside].size(), 2u) << result.to_string();
    EXPECT_EQ(
        reassembled6({packet_in(result.sent[kOutside][0]), packet_in(result.sent[kOutside][1])}),
        ipv6(kHomeAgent, kCareOfAddress, 4,
             udp4(kCorrespondent4, kHomeAddress4, 1400, {.ttl = 63})));
}

TEST_F(Forward, P1_pieces_go_to_the_kernel_while_the_next_hop_is_unresolved) {
    channel::BindingSet narrow = binding();
    narrow.path_mtu = 1280;
    apply(narrow);
    lose_neighbour(kOutside, "2001:db8:f::2");
    const Result result = feed_packet(kOutside, udp6(kCorrespondent, kHomeAddress, 1240));
    EXPECT_EQ(result.kernel[kOutside].size(), 2u) << result.to_string();
    expect_nothing_sent(result);
}

TEST_F(Forward, packets_of_this_host_take_no_hop) {
    const Bytes packet = udp6(kOutsideAddress, kCorrespondent, 24, {.hop_limit = 1});
    const Result result = transmit(packet);
    expect_sent(result, kOutside, packet);
}

TEST_F(Forward, packets_of_this_host_to_a_group_leave_by_the_port_that_is_named) {
    const Bytes packet = icmp6(v6("fe80::1"), v6("ff02::1"), 134, 0, 0, {}, 255);
    const Result result = transmit(packet, {}, kHomeLink);
    ASSERT_EQ(result.sent[kHomeLink].size(), 1u) << result.to_string();
    const Bytes& frame = result.sent[kHomeLink][0];
    EXPECT_EQ(to_hex(first_octets(frame, 14)),
              "333300000001" + to_hex(port_mac(kHomeLink).bytes) + "86dd");
    EXPECT_EQ(packet_in(frame), packet);
}

TEST_F(Forward, a_packet_of_this_host_larger_than_the_link_is_fragmented) {
    const Bytes packet = udp6(kOutsideAddress, kCorrespondent, 3000);
    const Result result = transmit(packet);
    ASSERT_EQ(result.sent[kOutside].size(), 3u) << result.to_string();
    std::vector<Bytes> pieces;
    for (const Bytes& frame : result.sent[kOutside]) pieces.push_back(packet_in(frame));
    EXPECT_EQ(reassembled6(pieces), packet);
}

}  // namespace
}  // namespace homeport::golden

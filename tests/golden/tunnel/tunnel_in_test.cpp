// SPDX-License-Identifier: BSD-3-Clause
// Reverse tunnels: P2, P14.
#include "tests/golden/tunnel/home_agent.hpp"

namespace homeport::golden {
namespace {

class TunnelIn : public TunnelTest {
  protected:
    void SetUp() override {
        start_home_agent();
        bind();
        bind(kHomeAddress4);
    }
    static Bytes tunnelled(const Bytes& inner, std::uint8_t next_header = 41,
                           std::uint8_t traffic_class = 0,
                           const Ipv6Address& source = kCareOfAddress) {
        return ipv6(source, kHomeAgent, next_header, inner, {.traffic_class = traffic_class});
    }
    static Bytes from_mobile(std::size_t octets = 24, std::uint8_t traffic_class = 0,
                             const Ipv6Address& source = kHomeAddress) {
        return ipv6(source, kCorrespondent, 17, udp6(source, kCorrespondent, octets),
                    {.traffic_class = traffic_class});
    }
    void expect_forwarded(const Result& result, const Bytes& inner) {
        ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
        EXPECT_EQ(at(result, StageId::kForward)[0].packet, inner);
        EXPECT_EQ(at(result, StageId::kForward)[0].notes.flags, stage::kMetaDecapsulated);
    }
};

TEST_F(TunnelIn, P2_inner_packets_are_forwarded) {
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        for (unsigned i = 0; i < 67; ++i) {
            frames.push_back(to_port(kOutside, tunnelled(from_mobile(24 + i))));
        }
        const std::uint64_t before = worker().binding_rows[0].in_packets;
        const Result result = feed(kOutside, frames, batch);
        ASSERT_EQ(at(result, StageId::kForward).size(), 67u) << result.to_string();
        for (unsigned i = 0; i < 67; ++i) {
            EXPECT_EQ(at(result, StageId::kForward)[i].packet, from_mobile(24 + i));
        }
        EXPECT_EQ(result.count("tun.in.ok"), 67u);
        EXPECT_EQ(result.dropped(), 0u);
        EXPECT_EQ(worker().binding_rows[0].in_packets - before, 67u);
    }
}

TEST_F(TunnelIn, P14_ipv4_inside) {
    const Bytes inner = ipv4(kHomeAddress4, kCorrespondent4, 17, Bytes(24, 1));
    expect_forwarded(feed_packet(kOutside, tunnelled(inner, 4)), inner);
}

TEST_F(TunnelIn, P2_then_P1_between_two_mobile_nodes_takes_one_hop) {
    const Ipv6Address other = v6("2001:db8:1::200");
    const Ipv6Address other_care_of = v6("2001:db8:4::400");
    channel::BindingSet second = binding(other, other_care_of);
    second.counter_index = 2;
    apply(second);
    const auto inner = [&](std::uint8_t hop_limit) {
        return ipv6(kHomeAddress, other, 17, udp6(kHomeAddress, other, 24),
                    {.hop_limit = hop_limit});
    };
    for (const unsigned batch : kBatchSizes) {
        const std::vector<Bytes> frames(67, to_port(kOutside, tunnelled(inner(64))));
        const Result result = feed(kOutside, frames, batch);
        ASSERT_EQ(result.sent[kOutside].size(), 67u) << result.to_string();
        EXPECT_EQ(packet_in(result.sent[kOutside][0]),
                  ipv6(kHomeAgent, other_care_of, 41, inner(63)));
        EXPECT_EQ(result.count("tun.in.ok"), 67u);
        EXPECT_EQ(result.count("tun.out.ok"), 67u);
    }
}

TEST_F(TunnelIn, P2_outer_source_must_be_the_care_of_address) {
    expect_drop(feed_packet(kOutside, tunnelled(from_mobile(), 41, 0, v6("2001:db8:2::201"))),
                "mip6.rt.bad_src");
}

TEST_F(TunnelIn, P2_inner_source_must_be_bound) {
    expect_drop(feed_packet(kOutside, tunnelled(from_mobile(24, 0, v6("2001:db8:1::999")))),
                "mip6.rt.no_binding");
    expect_drop(feed_packet(kOutside, tunnelled(from_mobile(24, 0, kCareOfAddress))),
                "mip6.rt.inner_src");
    expect_drop(
        feed_packet(kOutside, tunnelled(ipv4(v4("192.0.2.99"), kCorrespondent4, 17, {}), 4)),
        "mip6.rt.no_binding");
    expect_drop(feed_packet(kOutside, tunnelled(ipv4(v4("10.0.0.1"), kCorrespondent4, 17, {}), 4)),
                "mip6.rt.inner_src");
    channel::BindingSet tentative = binding();
    tentative.flags = channel::kBindingTentative;
    apply(tentative);
    expect_drop(feed_packet(kOutside, tunnelled(from_mobile())), "mip6.rt.no_binding");
}

TEST_F(TunnelIn, P2_policy_may_demand_esp) {
    channel::BindingSet strict = binding();
    strict.flags = channel::kBindingRequireEsp;
    apply(strict);
    expect_drop(feed_packet(kOutside, tunnelled(from_mobile())), "mip6.rt.need_esp");
}

TEST_F(TunnelIn, P2_inner_sources_that_nobody_may_bring) {
    for (const char* source : {"fe80::1", "ff02::1", "::1", "::", "::ffff:192.0.2.100"}) {
        expect_drop(feed_packet(kOutside, tunnelled(from_mobile(24, 0, v6(source)))),
                    "tun.in.bad_inner_src");
    }
    for (const char* source : {"127.0.0.1", "224.0.0.1", "0.0.0.0", "169.254.1.1"}) {
        expect_drop(feed_packet(kOutside, tunnelled(ipv4(v4(source), kCorrespondent4, 17, {}), 4)),
                    "tun.in.bad_inner_src");
    }
}

TEST_F(TunnelIn, P2_malformed_inner_packets) {
    const Bytes inner = from_mobile();
    for (std::size_t length = 0; length < inner.size(); ++length) {
        const Bytes cut(inner.begin(), inner.begin() + static_cast<int>(length));
        expect_drop(feed_packet(kOutside, tunnelled(cut)), "tun.in.malformed");
    }
    expect_drop(feed_packet(kOutside, tunnelled(inner, 4)), "tun.in.malformed");
}

TEST_F(TunnelIn, P2_padding_behind_the_inner_packet_goes) {
    Bytes padded = from_mobile();
    append(padded, Bytes(7, 0xaa));
    expect_forwarded(feed_packet(kOutside, tunnelled(padded)), from_mobile());
}

TEST_F(TunnelIn, RFC6040_congestion_is_carried_inwards) {
    expect_drop(feed_packet(kOutside, tunnelled(from_mobile(24, 0xb8), 41, 0x03)),
                "tun.in.ecn_drop");
    expect_forwarded(feed_packet(kOutside, tunnelled(from_mobile(24, 0xb9), 41, 0x03)),
                     from_mobile(24, 0xbb));
    expect_forwarded(feed_packet(kOutside, tunnelled(from_mobile(24, 0xba), 41, 0x01)),
                     from_mobile(24, 0xb9));
    expect_forwarded(feed_packet(kOutside, tunnelled(from_mobile(24, 0xb8), 41, 0xfe)),
                     from_mobile(24, 0xb8));
    const Bytes inner = ipv4(kHomeAddress4, kCorrespondent4, 17, Bytes(24, 1), {.tos = 2});
    expect_forwarded(feed_packet(kOutside, tunnelled(inner, 4, 3)),
                     ipv4(kHomeAddress4, kCorrespondent4, 17, Bytes(24, 1), {.tos = 3}));
}

TEST_F(TunnelIn, RFC2473_options_of_the_outer_header_are_skipped) {
    const Bytes limit = test::options_header(41, {4, 1, 0, 1, 1, 0});
    expect_forwarded(feed_packet(kOutside, tunnelled(concat({limit, from_mobile()}), 60)),
                     from_mobile());
    // An unknown option that demands it is answered.
    const Bytes unknown = test::options_header(41, {0x9e, 1, 0, 1, 1, 0});
    expect_icmp_error(feed_packet(kOutside, tunnelled(concat({unknown, from_mobile()}), 60)),
                      IcmpErrorKind::kParameterProblem, Counter::kParseHeader, 42);
}

TEST_F(TunnelIn, P2_tunnels_end_at_home_agent_addresses_only) {
    const Bytes packet = ipv6(kCareOfAddress, v6("2001:db8:1::2"), 41, from_mobile());
    const Result result = feed_packet(kHomeLink, packet);
    EXPECT_EQ(result.kernel[kHomeLink].size(), 1u) << result.to_string();
}

TEST_F(TunnelIn, packet_paths_1_never_decapsulate_a_fragment) {
    Bytes fragment{41, 0, 0, 1, 0, 0, 0, 9};
    append(fragment, from_mobile());
    const Bytes packet = tunnelled(fragment, 44);
    const Result result = feed_packet(kOutside, packet);
    ASSERT_EQ(at(result, StageId::kReassemble).size(), 1u) << result.to_string();
    EXPECT_EQ(at(result, StageId::kReassemble)[0].packet, packet);
}

TEST_F(TunnelIn, RFC6946_an_atomic_fragment_is_a_whole_packet) {
    Bytes fragment{41, 0, 0, 0, 0, 0, 0, 9};
    append(fragment, from_mobile());
    expect_forwarded(feed_packet(kOutside, tunnelled(fragment, 44)), from_mobile());
}

TEST_F(TunnelIn, tunnels_in_tunnels_end) {
    // Two nodes that claim to be at each other's address make layers that are all in order.
    const Ipv6Address other = v6("2001:db8:2::201");
    channel::BindingSet one = binding(kCareOfAddress, other);
    channel::BindingSet two = binding(other, kCareOfAddress);
    one.counter_index = 3;
    two.counter_index = 4;
    apply(one);
    apply(two);
    Bytes packet = from_mobile();
    for (unsigned layer = 0; layer < 20; ++layer) {
        packet = tunnelled(packet, 41, 0, layer % 2 == 0 ? kCareOfAddress : other);
    }
    const Result result = feed_packet(kOutside, packet);
    expect_drop(result, "tun.in.malformed");
}

}  // namespace
}  // namespace homeport::golden

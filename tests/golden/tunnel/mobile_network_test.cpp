// SPDX-License-Identifier: BSD-3-Clause
// Networks behind a mobile router (RFC 3963 sections 6.3 to 6.5): P1, P2, P14 with prefixes.
#include "tests/golden/tunnel/home_agent.hpp"

namespace homeport::golden {
namespace {

const Ipv6Address kNode = v6("2001:db8:5000:1::77");
const Ipv4Address kNode4 = v4("10.5.0.77");

class MobileNetwork : public TunnelTest {
  protected:
    void SetUp() override {
        start_home_agent();
        bind();
        network("2001:db8:5000::", 48);
        network("10.5.0.0", 16);
    }
    void network(std::string_view prefix, std::uint8_t length,
                 const Ipv6Address& home_address = kHomeAddress) {
        channel::MobilePrefixSet record;
        record.prefix = channel::WireAddress(*parse_ip_address(prefix));
        record.prefix_length = length;
        record.home_address = channel::WireAddress(home_address);
        apply(record);
    }
    void no_network(std::string_view prefix, std::uint8_t length) {
        channel::MobilePrefixRemove record;
        record.prefix = channel::WireAddress(*parse_ip_address(prefix));
        record.prefix_length = length;
        apply(record);
    }
    static Bytes to_node(std::uint8_t hop_limit = 64, std::size_t octets = 24,
                         const Ipv6Address& node = kNode) {
        return ipv6(kCorrespondent, node, 17, udp6(kCorrespondent, node, octets),
                    {.hop_limit = hop_limit});
    }
    static Bytes to_node4(std::uint8_t ttl = 64) {
        return ipv4(kCorrespondent4, kNode4, 17, Bytes(24, 0x5a), {.ttl = ttl});
    }
    static Bytes from_node(const Ipv6Address& node = kNode) {
        return ipv6(node, kCorrespondent, 17, udp6(node, kCorrespondent, 24));
    }
    static Bytes outwards(const Bytes& inner, std::uint8_t next_header = 41) {
        return ipv6(kHomeAgent, kCareOfAddress, next_header, inner);
    }
    static Bytes inwards(const Bytes& inner, std::uint8_t next_header = 41,
                         const Ipv6Address& source = kCareOfAddress) {
        return ipv6(source, kHomeAgent, next_header, inner);
    }
    void expect_forwarded(const Result& result, const Bytes& packet) {
        ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
        EXPECT_EQ(at(result, StageId::kForward)[0].packet, packet);
    }
    void expect_tunnelled(const Result& result, const Bytes& outer) {
        ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
        EXPECT_EQ(packet_in(result.sent[kOutside][0]), outer);
        EXPECT_EQ(result.count("tun.out.ok"), 1u);
    }
};

TEST_F(MobileNetwork, RFC3963_6_3_P1_packets_to_the_prefix_leave_in_the_tunnel) {
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        std::vector<Bytes> expected;
        for (unsigned i = 0; i < 67; ++i) {
            // In between packets to the home address and to nobody's mobile network.
            const Ipv6Address to = i % 3 == 0 ? kHomeAddress : kNode;
            frames.push_back(to_port(kOutside, to_node(64, 24 + i, to)));
            expected.push_back(from_port(kOutside, outwards(to_node(63, 24 + i, to))));
        }
        const std::uint64_t before = worker().binding_rows[0].out_packets;
        Result result = feed(kOutside, frames, batch);
        std::ranges::sort(expected);
        std::ranges::sort(result.sent[kOutside]);
        EXPECT_EQ(result.sent[kOutside], expected) << result.to_string();
        EXPECT_EQ(result.count("tun.out.ok"), 67u);
        EXPECT_EQ(worker().binding_rows[0].out_packets - before, 67u);
    }
}

TEST_F(MobileNetwork, RFC5555_P14_packets_to_an_ipv4_prefix_leave_with_next_header_4) {
    expect_tunnelled(feed_packet(kOutside, to_node4()), outwards(to_node4(63), 4));
    const Bytes inner = ipv4(kNode4, kCorrespondent4, 17, Bytes(24, 1));
    expect_forwarded(feed_packet(kOutside, inwards(inner, 4)), inner);
}

TEST_F(MobileNetwork, RFC3963_6_4_P2_inner_sources_of_the_prefix_are_forwarded) {
    for (const unsigned batch : kBatchSizes) {
        const std::vector<Bytes> frames(67, to_port(kOutside, inwards(from_node())));
        const std::uint64_t before = worker().binding_rows[0].in_packets;
        const Result result = feed(kOutside, frames, batch);
        ASSERT_EQ(at(result, StageId::kForward).size(), 67u) << result.to_string();
        EXPECT_EQ(at(result, StageId::kForward)[66].packet, from_node());
        EXPECT_EQ(worker().binding_rows[0].in_packets - before, 67u);
    }
}

TEST_F(MobileNetwork, RFC3963_6_4_P2_other_inner_sources_are_refused) {
    expect_drop(feed_packet(kOutside, inwards(from_node(v6("2001:db8:5001::77")))),
                "mip6.rt.inner_src");
    expect_drop(
        feed_packet(kOutside, inwards(ipv4(v4("10.6.0.1"), kCorrespondent4, 17, Bytes(24)), 4)),
        "mip6.rt.inner_src");
    // The prefix is one node's; from where that node is not, nobody may use it.
    expect_drop(feed_packet(kOutside, inwards(from_node(), 41, v6("2001:db8:2::201"))),
                "mip6.rt.bad_src");
}

TEST_F(MobileNetwork, P2_another_nodes_tunnel_may_not_bring_the_prefix) {
    const Ipv6Address other = v6("2001:db8:1::200");
    const Ipv6Address other_care_of = v6("2001:db8:4::400");
    bind(other, other_care_of);
    expect_drop(feed_packet(kOutside, inwards(from_node(), 41, other_care_of)), "mip6.rt.bad_src");
    // A home address inside the prefix is its own binding's, not the mobile router's.
    bind(kNode, other_care_of);
    expect_drop(feed_packet(kOutside, inwards(from_node())), "mip6.rt.bad_src");
    expect_forwarded(feed_packet(kOutside, inwards(from_node(), 41, other_care_of)), from_node());
    expect_tunnelled(feed_packet(kOutside, to_node()),
                     ipv6(kHomeAgent, other_care_of, 41, to_node(63)));
}

TEST_F(MobileNetwork, P2_policy_may_demand_esp_for_the_prefix_too) {
    channel::BindingSet strict = binding();
    strict.flags = channel::kBindingRequireEsp;
    apply(strict);
    expect_drop(feed_packet(kOutside, inwards(from_node())), "mip6.rt.need_esp");
}

TEST_F(MobileNetwork, S1_13_the_prefix_follows_its_binding) {
    const Ipv6Address moved = v6("2001:db8:2::201");
    bind(kHomeAddress, moved);
    expect_tunnelled(feed_packet(kOutside, to_node()), ipv6(kHomeAgent, moved, 41, to_node(63)));
    expect_drop(feed_packet(kOutside, inwards(from_node())), "mip6.rt.bad_src");
    expect_forwarded(feed_packet(kOutside, inwards(from_node(), 41, moved)), from_node());
}

TEST_F(MobileNetwork, without_binding_the_prefix_is_routed_like_any_other) {
    unbind();
    expect_forwarded(feed_packet(kOutside, to_node()), to_node());
    expect_drop(feed_packet(kOutside, inwards(from_node())), "mip6.rt.inner_src");
    bind();
    expect_forwarded(feed_packet(kOutside, to_node()), to_node());
}

TEST_F(MobileNetwork, a_prefix_that_is_taken_away_is_not_tunnelled) {
    no_network("2001:db8:5000::", 48);
    expect_forwarded(feed_packet(kOutside, to_node()), to_node());
    expect_tunnelled(feed_packet(kOutside, to_node4()), outwards(to_node4(63), 4));
}

TEST_F(MobileNetwork, own_addresses_and_longer_prefixes_come_first) {
    const Ipv6Address own = v6("2001:db8:5000::1");
    add_address(kOutside, "2001:db8:5000::1", 128);
    Result result = feed_packet(kOutside, to_node(64, 24, own));
    EXPECT_EQ(at(result, StageId::kToKernel).size() + result.kernel[kOutside].size(), 1u)
        << result.to_string();
    const Ipv6Address other = v6("2001:db8:1::200");
    bind(other, v6("2001:db8:4::400"));
    network("2001:db8:5000:1::", 64, other);
    expect_tunnelled(feed_packet(kOutside, to_node()),
                     ipv6(kHomeAgent, v6("2001:db8:4::400"), 41, to_node(63)));
}

TEST_F(MobileNetwork, a_prefix_inside_the_home_prefix) {
    // RFC 4887: an aggregated home network.
    network("2001:db8:1::5000:0", 112);
    const Ipv6Address node = v6("2001:db8:1::5000:77");
    expect_tunnelled(feed_packet(kOutside, to_node(64, 24, node)), outwards(to_node(63, 24, node)));
    expect_forwarded(feed_packet(kOutside, inwards(from_node(node))), from_node(node));
    const Bytes ping = ipv6(kHomeAgent, node, 58, Bytes{129, 0, 1, 2, 3, 4, 5, 6});
    expect_tunnelled(feed_from_kernel(kHomeLink, from_port(kHomeLink, ping)), outwards(ping));
}

TEST_F(MobileNetwork, P1_rules_of_tunnels_hold_for_prefixes) {
    expect_icmp_error(feed_packet(kOutside, to_node(1)), IcmpErrorKind::kTimeExceeded,
                      Counter::kTunOutTtl);
    expect_icmp_error(feed_packet(kOutside, to_node(64, 1461 - 40)), IcmpErrorKind::kPacketTooBig,
                      Counter::kTunOutPtb, 1460);
    expect_drop(feed_packet(kOutside, ipv6(kCareOfAddress, kNode, 17, Bytes(24))), "tun.out.loop");
    expect_icmp_error(feed_packet(kHomeLink, ipv6(v6("fe80::77"), kNode, 17, Bytes(24))),
                      IcmpErrorKind::kAddressUnreachable, Counter::kMip6OutLinkLocal);
}

TEST_F(MobileNetwork, a_frame_to_a_group_is_not_tunnelled) {
    Bytes frame = to_port(kHomeLink, to_node());
    std::fill_n(frame.begin(), 6, std::uint8_t{0xff});
    expect_drop(feed(kHomeLink, frame), "forward.scope");
}

TEST_F(MobileNetwork, P2_then_P1_from_one_node_of_the_network_to_a_mobile_node) {
    const Ipv6Address other = v6("2001:db8:1::200");
    const Ipv6Address other_care_of = v6("2001:db8:4::400");
    bind(other, other_care_of);
    const auto inner = [&](std::uint8_t hop_limit) {
        return ipv6(kNode, other, 17, udp6(kNode, other, 24), {.hop_limit = hop_limit});
    };
    expect_tunnelled(feed_packet(kOutside, inwards(inner(64))),
                     ipv6(kHomeAgent, other_care_of, 41, inner(63)));
}

}  // namespace
}  // namespace homeport::golden

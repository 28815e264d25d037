// SPDX-License-Identifier: BSD-3-Clause
// What a packet is and whose: frames that are not for us, malformed ones, and where all others go.
#include "tests/golden/tunnel/home_agent.hpp"

namespace homeport::golden {
namespace {

using channel::PuntReason;

class Classify : public TunnelTest {
  protected:
    void SetUp() override { start_home_agent(); }

    static Bytes icmpv6(const Ipv6Address& source, const Ipv6Address& destination,
                        std::uint8_t type, std::uint8_t hop_limit = 255) {
        Bytes message(24);
        message[0] = type;
        return ipv6(source, destination, 58, message, {.hop_limit = hop_limit});
    }
    void expect_kernel(const Result& result, std::uint16_t port, const Bytes& packet) {
        ASSERT_EQ(result.kernel[port].size(), 1u) << result.to_string();
        EXPECT_EQ(result.kernel[port][0], to_port(port, packet));
    }
    void expect_at(const Result& result, StageId stage, const Bytes& packet) {
        ASSERT_EQ(at(result, stage).size(), 1u) << result.to_string();
        EXPECT_EQ(at(result, stage)[0].packet, packet);
    }
};

TEST_F(Classify, frames_that_are_not_for_us) {
    Bytes other = to_port(kHomeLink, ipv6(kCorrespondent, kHomeAgent, 17, Bytes(24)));
    other[5] ^= 1;
    expect_drop(feed(kHomeLink, other), "parse.l2");
    for (std::size_t length = 0; length < 14; ++length) {
        expect_drop(feed(kHomeLink, Bytes(length, 0)), "parse.l2");
    }
}

TEST_F(Classify, frames_that_are_not_ip_are_the_kernels_untouched) {
    Bytes arp(60, 0xff);
    store_be16(arp.data() + 12, 0x0806);
    Result result = feed(kOutside, arp);  // on a home link it may be about a home address
    ASSERT_EQ(result.kernel[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(result.kernel[kOutside][0], arp);
    Bytes lldp = to_port(kOutside, Bytes(46, 7));
    store_be16(lldp.data() + 12, 0x88cc);
    result = feed(kOutside, lldp);
    ASSERT_EQ(result.kernel[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(result.kernel[kOutside][0], lldp);
}

TEST_F(Classify, malformed_packets_are_counted_by_their_fault) {
    const Bytes good = ipv6(kCorrespondent, kHomeAgent, 17, Bytes(24));
    for (std::size_t length = 0; length < good.size(); ++length) {
        expect_drop(
            feed_packet(kHomeLink, Bytes(good.begin(), good.begin() + static_cast<int>(length))),
            "parse.truncated");
    }
    Bytes version = good;
    version[0] = 0x50;
    expect_drop(feed_packet(kHomeLink, version), "parse.version");
    expect_drop(feed_packet(kHomeLink, ipv6(v6("ff02::1"), kHomeAgent, 17, Bytes(24))),
                "parse.source");
    Bytes checksum = ipv4(kCorrespondent4, kHomeAddress4, 17, Bytes(24));
    checksum[10] ^= 1;
    expect_drop(feed_packet(kHomeLink, checksum), "parse.checksum");
    expect_drop(feed_packet(kHomeLink, ipv6(kCorrespondent, kHomeAgent, 60,
                                            concat({test::options_header(0, Bytes(6)), good}))),
                "parse.header");
}

TEST_F(Classify, padding_of_the_link_goes) {
    const Bytes packet = ipv6(kCorrespondent, v6("2001:db8:7::7"), 17, Bytes(2));
    Bytes padded = packet;
    padded.resize(46);
    expect_at(feed_packet(kHomeLink, padded), StageId::kForward, packet);
}

TEST_F(Classify, P30_all_that_is_not_ours_is_forwarded) {
    const Bytes packet = ipv6(kCorrespondent, v6("2001:db8:7::7"), 17, Bytes(24));
    expect_at(feed_packet(kHomeLink, packet), StageId::kForward, packet);
    const Bytes packet4 = ipv4(kCorrespondent4, v4("203.0.113.9"), 17, Bytes(24));
    expect_at(feed_packet(kHomeLink, packet4), StageId::kForward, packet4);
    const Bytes unbound = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(24));
    expect_at(feed_packet(kOutside, unbound), StageId::kForward, unbound);
}

TEST_F(Classify, the_kernels_packets_come_to_it_as_they_were) {
    for (const std::uint8_t protocol : Bytes{6, 17, 89, 58}) {
        const Bytes packet = ipv6(kCorrespondent, kHomeAgent, protocol, Bytes(24, 128));
        expect_kernel(feed_packet(kHomeLink, packet), kHomeLink, packet);
    }
    const Bytes group = icmpv6(v6("fe80::9"), v6("ff02::1"), 134);
    expect_kernel(feed_packet(kOutside, group), kOutside, group);
    const Bytes link_local = ipv6(v6("fe80::9"), v6("fe80::1"), 17, Bytes(24));
    expect_kernel(feed_packet(kHomeLink, link_local), kHomeLink, link_local);
    const Bytes broadcast = ipv4(v4("0.0.0.0"), v4("255.255.255.255"), 17, Bytes(24));
    expect_kernel(feed_packet(kHomeLink, broadcast), kHomeLink, broadcast);
    const Bytes mobility = ipv6(kCorrespondent, v6("2001:db8:1::2"), 135, kC1BindingUpdate);
    expect_kernel(feed_packet(kHomeLink, mobility), kHomeLink, mobility);
}

TEST_F(Classify, addresses_that_may_not_be_forwarded_to) {
    for (const char* destination : {"::", "::1", "::ffff:192.0.2.1"}) {
        expect_drop(feed_packet(kHomeLink, ipv6(kCorrespondent, v6(destination), 17, Bytes(24))),
                    "forward.scope");
    }
}

TEST_F(Classify, neighbor_discovery_of_a_home_link_goes_to_the_proxy) {
    bind();
    for (const std::uint8_t type : Bytes{135, 136}) {
        for (const char* destination : {"ff02::1:ff00:100", "2001:db8:1::100", "fe80::1"}) {
            const Bytes packet = icmpv6(v6("2001:db8:1::77"), v6(destination), type);
            expect_at(feed_packet(kHomeLink, packet), StageId::kNdProxy, packet);
        }
    }
    const Bytes probe = icmpv6(v6("::"), v6("ff02::1:ff00:100"), 135);
    expect_at(feed_packet(kHomeLink, probe), StageId::kNdProxy, probe);
    // Not on other links, and not from beyond the link.
    const Bytes elsewhere = icmpv6(v6("fe80::9"), v6("ff02::1:ff00:100"), 135);
    expect_kernel(feed_packet(kOutside, elsewhere), kOutside, elsewhere);
    const Bytes routed = icmpv6(kCorrespondent, v6("fe80::1"), 135, 254);
    expect_kernel(feed_packet(kHomeLink, routed), kHomeLink, routed);
}

TEST_F(Classify, mld_queries_on_a_home_link_go_to_both) {
    Bytes message(24);
    message[0] = 130;
    const Bytes query =
        ipv6(v6("fe80::9"), v6("ff02::1"), 0,
             concat({test::options_header(58, {5, 2, 0, 0, 1, 0}), message}), {.hop_limit = 1});
    const Result result = feed_packet(kHomeLink, query);
    expect_kernel(result, kHomeLink, query);
    ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
    EXPECT_EQ(result.punted[0].record.reason, PuntReason::kMldQuery);
    EXPECT_EQ(packet_in(result.punted[0].packet), query);
    EXPECT_EQ(result.punted[0].packet.size(), query.size() + 14);
    EXPECT_TRUE(feed_packet(kOutside, query).punted.empty());
}

TEST_F(Classify, P8_home_agent_discovery) {
    for (const char* destination : {"2001:db8:1::1", "2001:db8:1:0:fdff:ffff:ffff:fffe",
                                    "2001:db8:1:0:ffff:ffff:ffff:fffe"}) {
        const Bytes request = icmpv6(kCareOfAddress, v6(destination), 144, 64);
        const Result result = feed_packet(kOutside, request);
        ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
        EXPECT_EQ(result.punted[0].record.reason, PuntReason::kHomeAgentDiscovery);
        EXPECT_EQ(result.punted[0].packet, request);
        EXPECT_EQ(result.punted[0].record.port, kOutside);
    }
    const Bytes not_ours = icmpv6(kCareOfAddress, v6("2001:db8:7:0:fdff:ffff:ffff:fffe"), 144, 64);
    expect_at(feed_packet(kOutside, not_ours), StageId::kForward, not_ours);
}

TEST_F(Classify, icmp_errors_to_the_home_agent_are_about_its_tunnels) {
    for (const std::uint8_t type : Bytes{1, 2, 3, 4}) {
        const Bytes error = icmpv6(v6("2001:db8:9::9"), kHomeAgent, type, 60);
        expect_at(feed_packet(kOutside, error), StageId::kIcmpIn, error);
    }
    const Bytes echo = icmpv6(v6("2001:db8:9::9"), kHomeAgent, 128, 60);
    expect_kernel(feed_packet(kOutside, echo), kOutside, echo);
}

TEST_F(Classify, fragments_to_the_home_agent_are_put_together_others_are_the_kernels) {
    Bytes fragment{17, 0, 0, 1, 0, 0, 0, 9};
    append(fragment, Bytes(24));
    const Bytes ours = ipv6(kCorrespondent, kHomeAgent, 44, fragment);
    expect_at(feed_packet(kHomeLink, ours), StageId::kReassemble, ours);
    const Bytes kernels = ipv6(kCorrespondent, v6("2001:db8:1::2"), 44, fragment);
    expect_kernel(feed_packet(kHomeLink, kernels), kHomeLink, kernels);
    const Bytes transit = ipv6(kCorrespondent, v6("2001:db8:7::7"), 44, fragment);
    expect_at(feed_packet(kHomeLink, transit), StageId::kForward, transit);
}

TEST_F(Classify, RFC6275_6_4_nobodys_way_point) {
    const auto routed = [](std::uint8_t type, std::uint8_t segments_left, const Ipv6Address& next,
                           std::uint8_t length = 2) {
        Bytes header{17, length, type, segments_left, 0, 0, 0, 0};
        append(header, Bytes(next.bytes.begin(), next.bytes.end()));
        header.resize((length + 1u) * 8);
        return ipv6(kCorrespondent, kHomeAgent, 43, concat({header, Bytes(24)}));
    };
    expect_drop(feed_packet(kOutside, routed(2, 1, kHomeAddress)), "mip6.rh2.bad");
    expect_drop(feed_packet(kOutside, routed(2, 1, kCorrespondent)), "mip6.rh2.bad");
    expect_drop(feed_packet(kOutside, routed(2, 1, kHomeAddress, 4)), "mip6.rh2.bad");
    for (const Bytes& packet : {routed(0, 1, kCorrespondent), routed(4, 1, kCorrespondent),
                                routed(2, 0, kHomeAddress), routed(2, 1, kHomeAgent)}) {
        expect_kernel(feed_packet(kOutside, packet), kOutside, packet);
    }
    // On its way through us it is a packet like any other.
    Bytes transit = routed(2, 1, kHomeAddress);
    v6("2001:db8:7::7").store(transit.data() + 24);
    expect_at(feed_packet(kOutside, transit), StageId::kForward, transit);
}

TEST_F(Classify, a_group_frame_with_a_single_destination_is_not_forwarded) {
    Bytes frame = to_port(kHomeLink, ipv6(kCorrespondent, v6("2001:db8:7::7"), 17, Bytes(24)));
    frame[0] |= 1;
    expect_drop(feed(kHomeLink, frame), "forward.scope");
}

TEST_F(Classify, esp_without_association) {
    expect_drop(feed_packet(kOutside, ipv6(kCareOfAddress, kHomeAgent, 50, Bytes(48, 9))),
                "ipsec.in.no_sa");
    expect_drop(feed_packet(kOutside, ipv6(kCareOfAddress, kHomeAgent, 50, Bytes(7, 9))),
                "ipsec.in.malformed");
}

}  // namespace
}  // namespace homeport::golden

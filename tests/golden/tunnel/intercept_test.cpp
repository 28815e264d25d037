// SPDX-License-Identifier: BSD-3-Clause
// To bound addresses: P1, P14 and what is refused there.
#include "tests/golden/tunnel/home_agent.hpp"

namespace homeport::golden {
namespace {

class Intercept : public TunnelTest {
  protected:
    void SetUp() override {
        start_home_agent();
        bind();
        bind(kHomeAddress4);
    }

    static Bytes to_mobile(std::uint8_t hop_limit, std::size_t octets = 24,
                           std::uint8_t traffic_class = 0) {
        return ipv6(kCorrespondent, kHomeAddress, 17, udp6(kCorrespondent, kHomeAddress, octets),
                    {.traffic_class = traffic_class, .hop_limit = hop_limit});
    }
    static Bytes to_mobile4(std::uint8_t ttl, std::size_t octets = 24, bool dont_fragment = false) {
        return ipv4(
            kCorrespondent4, kHomeAddress4, 17, Bytes(octets, 0x5a),
            {.ttl = ttl, .flags_offset = dont_fragment ? std::uint16_t{0x4000} : std::uint16_t{0}});
    }
    static Bytes tunnelled(const Bytes& inner, std::uint8_t next_header = 41,
                           std::uint8_t traffic_class = 0) {
        return ipv6(kHomeAgent, kCareOfAddress, next_header, inner,
                    {.traffic_class = traffic_class});
    }
};

TEST_F(Intercept, P1_ipv6_leaves_in_a_tunnel_to_the_care_of_address) {
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        std::vector<Bytes> expected;
        for (unsigned i = 0; i < 67; ++i) {
            frames.push_back(to_port(kOutside, to_mobile(64, 24 + i)));
            expected.push_back(from_port(kOutside, tunnelled(to_mobile(63, 24 + i))));
        }
        const std::uint64_t before = worker().binding_rows[0].out_packets;
        const std::uint64_t octets = worker().binding_rows[0].out_bytes;
        const Result result = feed(kOutside, frames, batch);
        EXPECT_EQ(result.sent[kOutside], expected) << result.to_string();
        EXPECT_EQ(result.count("tun.out.ok"), 67u);
        EXPECT_EQ(result.count("ipsec.out.bypass"), 67u);
        EXPECT_EQ(result.count("tx.port"), 67u);
        EXPECT_EQ(result.dropped(), 0u);
        EXPECT_EQ(worker().binding_rows[0].out_packets - before, 67u);
        EXPECT_EQ(worker().binding_rows[0].out_bytes - octets, 67u * 64 + 66 * 67 / 2);
    }
}

TEST_F(Intercept, P14_ipv4_leaves_in_a_tunnel_with_next_header_4) {
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames(67, to_port(kOutside, to_mobile4(64)));
        const Result result = feed(kOutside, frames, batch);
        ASSERT_EQ(result.sent[kOutside].size(), 67u) << result.to_string();
        for (const Bytes& frame : result.sent[kOutside]) {
            EXPECT_EQ(frame, from_port(kOutside, tunnelled(to_mobile4(63), 4)));
        }
    }
}

TEST_F(Intercept, P1_from_the_home_link_too) {
    const Result result = feed_packet(kHomeLink, to_mobile(64));
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(result.sent[kOutside][0], from_port(kOutside, tunnelled(to_mobile(63))));
}

TEST_F(Intercept, P1_traffic_class_uniform_and_pipe) {
    Result result = feed_packet(kOutside, to_mobile(64, 24, 0xbb));
    ASSERT_EQ(result.sent[kOutside].size(), 1u);
    EXPECT_EQ(packet_in(result.sent[kOutside][0]), tunnelled(to_mobile(63, 24, 0xbb), 41, 0xbb));
    channel::BindingSet pipe = binding();
    pipe.flags = channel::kBindingDscpPipe;
    apply(pipe);
    result = feed_packet(kOutside, to_mobile(64, 24, 0xbb));
    ASSERT_EQ(result.sent[kOutside].size(), 1u);
    EXPECT_EQ(packet_in(result.sent[kOutside][0]), tunnelled(to_mobile(63, 24, 0xbb), 41, 0x03));
}

TEST_F(Intercept, P1_hop_limit_of_the_tunnel_is_configured) {
    channel::ParametersSet parameters;
    parameters.tunnel_hop_limit = 17;
    apply(parameters);
    const Result result = feed_packet(kOutside, to_mobile(64));
    ASSERT_EQ(result.sent[kOutside].size(), 1u);
    EXPECT_EQ(packet_in(result.sent[kOutside][0])[7], 17);
}

TEST_F(Intercept, S1_13_next_packet_uses_new_care_of_address) {
    const Ipv6Address moved = v6("2001:db8:2::201");
    bind(kHomeAddress, moved);
    const Result result = feed_packet(kOutside, to_mobile(64));
    ASSERT_EQ(result.sent[kOutside].size(), 1u);
    EXPECT_EQ(packet_in(result.sent[kOutside][0]), ipv6(kHomeAgent, moved, 41, to_mobile(63)));
}

TEST_F(Intercept, P1_expired_hop_limit) {
    for (const std::uint8_t hop_limit : Bytes{0, 1}) {
        expect_icmp_error(feed_packet(kOutside, to_mobile(hop_limit)), IcmpErrorKind::kTimeExceeded,
                          Counter::kTunOutTtl);
        expect_icmp_error(feed_packet(kOutside, to_mobile4(hop_limit)),
                          IcmpErrorKind::kTimeExceeded, Counter::kTunOutTtl);
    }
    EXPECT_EQ(feed_packet(kOutside, to_mobile(2)).sent[kOutside].size(), 1u);
}

TEST_F(Intercept, P1_loops_are_cut) {
    for (const Ipv6Address& source : {kHomeAgent, kCareOfAddress}) {
        expect_drop(feed_packet(kOutside, ipv6(source, kHomeAddress, 17, Bytes(24))),
                    "tun.out.loop");
    }
}

TEST_F(Intercept, P1_link_local_is_never_tunnelled) {
    expect_icmp_error(feed_packet(kHomeLink, ipv6(v6("fe80::77"), kHomeAddress, 17, Bytes(24))),
                      IcmpErrorKind::kAddressUnreachable, Counter::kMip6OutLinkLocal);
    expect_icmp_error(
        feed_packet(kHomeLink, ipv6(v6("2001:db8:1::77"), v6("fe80::100"), 17, Bytes(24))),
        IcmpErrorKind::kAddressUnreachable, Counter::kMip6OutLinkLocal);
    expect_drop(feed_packet(kHomeLink, ipv6(v6("fe80::77"), v6("fe80::99"), 17, Bytes(24))),
                "forward.scope");
}

TEST_F(Intercept, P1_packet_too_big_tells_the_tunnel_mtu) {
    const Result fits = feed_packet(kOutside, to_mobile(64, 1460 - 40));
    ASSERT_EQ(fits.sent[kOutside].size(), 1u) << fits.to_string();
    expect_icmp_error(feed_packet(kOutside, to_mobile(64, 1461 - 40)), IcmpErrorKind::kPacketTooBig,
                      Counter::kTunOutPtb, 1460);
    // The packet that the error quotes is as it came.
    const Result result = feed_packet(kOutside, to_mobile(64, 1461 - 40));
    EXPECT_EQ(at(result, StageId::kIcmpError)[0].packet, to_mobile(64, 1461 - 40));
}

TEST_F(Intercept, P1_never_less_than_1280_then_the_outer_packet_is_fragmented) {
    channel::BindingSet narrow = binding();
    narrow.path_mtu = 1280;
    apply(narrow);
    expect_icmp_error(feed_packet(kOutside, to_mobile(64, 1281 - 40)), IcmpErrorKind::kPacketTooBig,
                      Counter::kTunOutPtb, 1280);
    EXPECT_EQ(feed_packet(kOutside, to_mobile(64, 1240 - 40)).sent[kOutside].size(), 1u);
    for (const std::size_t length : {1241u, 1280u}) {
        const Result result = feed_packet(kOutside, to_mobile(64, length - 40));
        const auto& fragment = at(result, StageId::kFragment);
        ASSERT_EQ(fragment.size(), 1u) << result.to_string();
        EXPECT_EQ(fragment[0].packet, tunnelled(to_mobile(63, length - 40)));
        EXPECT_EQ(fragment[0].notes.parameter, 1280u);
        EXPECT_NE(fragment[0].notes.flags & stage::kMetaMayFragmentOuter, 0);
    }
}

TEST_F(Intercept, P14_dont_fragment_decides_for_ipv4) {
    expect_icmp_error(feed_packet(kOutside, to_mobile4(64, 1461 - 20, true)),
                      IcmpErrorKind::kPacketTooBig, Counter::kTunOutPtb, 1460);
    const Result result = feed_packet(kOutside, to_mobile4(64, 1461 - 20, false));
    ASSERT_EQ(at(result, StageId::kFragment).size(), 1u) << result.to_string();
    EXPECT_EQ(at(result, StageId::kFragment)[0].packet,
              tunnelled(to_mobile4(63, 1461 - 20, false), 4));
    EXPECT_EQ(at(result, StageId::kFragment)[0].notes.parameter, 1500u);
}

TEST_F(Intercept, RFC2473_encapsulation_limit_is_obeyed) {
    const auto nested = [](std::uint8_t limit, std::uint8_t hop_limit) {
        const Bytes options = test::options_header(17, {4, 1, limit, 1, 1, 0});
        return ipv6(kCorrespondent, kHomeAddress, 60, concat({options, Bytes(24)}),
                    {.hop_limit = hop_limit});
    };
    expect_icmp_error(feed_packet(kOutside, nested(0, 64)), IcmpErrorKind::kParameterProblem,
                      Counter::kTunOutLoop, 44);
    const Result result = feed_packet(kOutside, nested(3, 64));
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.sent[kOutside][0]),
              ipv6(kHomeAgent, kCareOfAddress, 60,
                   concat({test::options_header(41, {4, 1, 2, 1, 1, 0}), nested(3, 63)})));
}

TEST_F(Intercept, P30_unbound_and_tentative_addresses_are_not_intercepted) {
    channel::BindingSet tentative = binding();
    tentative.flags = channel::kBindingTentative;
    tentative.care_of_address = {};
    apply(tentative);
    Result result = feed_packet(kOutside, to_mobile(64));
    ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
    EXPECT_EQ(at(result, StageId::kForward)[0].packet, to_mobile(64));
    unbind();
    result = feed_packet(kOutside, to_mobile(64));
    ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
}

TEST_F(Intercept, P1_unresolved_next_hop_is_forwards_business) {
    channel::NeighbourRemove record;
    record.address = channel::WireAddress(v6("2001:db8:f::2"));
    record.port = kOutside;
    apply(record);
    const Result result = feed_packet(kOutside, to_mobile(64));
    ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
    const Arrived& arrived = at(result, StageId::kForward)[0];
    EXPECT_EQ(arrived.packet, tunnelled(to_mobile(63)));
    EXPECT_NE(arrived.notes.adjacency, channel::kNoIndex);
    EXPECT_NE(arrived.notes.flags & stage::kMetaEncapsulated, 0);
}

TEST_F(Intercept, P8_the_kernels_packets_to_a_bound_address_are_tunnelled_too) {
    const Bytes packet = ipv6(kHomeAgent, kHomeAddress, 58, Bytes{129, 0, 1, 2, 3, 4, 5, 6});
    const Result result = feed_from_kernel(kHomeLink, from_port(kHomeLink, packet));
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.sent[kOutside][0]), tunnelled(packet)) << "no hop is taken";
}

TEST_F(Intercept, P8_all_other_frames_of_the_kernel_leave_as_they_are) {
    Bytes arp(60, 0x11);
    store_be16(arp.data() + 12, 0x0806);
    const Bytes advertisement =
        ipv6(v6("fe80::1"), v6("ff02::1"), 58, Bytes{136, 0, 0, 0}, {.hop_limit = 255});
    for (const Bytes& frame :
         {arp, from_port(kHomeLink, ipv6(kHomeAgent, v6("2001:db8:1::77"), 6, Bytes(20))),
          from_port(kHomeLink, ipv6(v6("fe80::1"), v6("fe80::77"), 6, Bytes(20))),
          from_port(kHomeLink, advertisement)}) {
        const Result result = feed_from_kernel(kHomeLink, frame);
        ASSERT_EQ(result.sent[kHomeLink].size(), 1u) << result.to_string();
        EXPECT_EQ(result.sent[kHomeLink][0], frame);
    }
    // Its questions go out, too, unless they are about bound addresses.
    const Bytes solicitation =
        ipv6(v6("fe80::1"), v6("ff02::1:ff00:77"), 58, Bytes{135, 0, 0, 0}, {.hop_limit = 255});
    const Result result = feed_from_kernel(kHomeLink, from_port(kHomeLink, solicitation));
    EXPECT_EQ(at(result, StageId::kNdProxy).size(), 1u) << result.to_string();
}

TEST_F(Intercept, S1_12_end_to_end_esp_of_a_correspondent_is_payload) {
    const Bytes esp = ipv6(kCorrespondent, kHomeAddress, 50, Bytes(48, 0x33));
    const Result result = feed_packet(kOutside, esp);
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    Bytes inner = esp;
    inner[7] = 63;
    EXPECT_EQ(packet_in(result.sent[kOutside][0]), tunnelled(inner));
}

}  // namespace
}  // namespace homeport::golden

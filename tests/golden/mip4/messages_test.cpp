// SPDX-License-Identifier: BSD-3-Clause
// P28 and P29: messages for the control plane, and broadcasts of the home link.
#include "tests/golden/mip4/home_agent.hpp"

namespace homeport::golden {
namespace {

class Mip4Messages : public Mip4Test {
  protected:
    static Bytes message(std::uint8_t type, const Ipv4Address& to = kHomeAgent4,
                         bool checksum = true, const Ipv4Address& from = kCareOf,
                         const Ipv4Address& home_address = v4("17.17.17.17")) {
        Bytes payload(24, 0x11);
        payload[0] = type;
        home_address.store(payload.data() + 4);
        return ipv4(from, to, 17, udp4(from, 40000, to, 434, payload, checksum));
    }
    /// `packet` to a link-layer group.
    static Bytes to_group(std::uint16_t port, const Bytes& packet) {
        Bytes frame = to_port(port, packet);
        std::fill_n(frame.begin(), 6, std::uint8_t{0xff});
        return frame;
    }
};

TEST_F(Mip4Messages, P28_messages_go_to_the_control_plane_whole) {
    start_mip4();
    for (const std::uint8_t type : Bytes{1, 3, 7, 15}) {
        for (const bool checksum : {true, false}) {
            const Bytes packet = message(type, kHomeAgent4, checksum);
            const Result result = feed_packet(kOutside, packet);
            ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
            const channel::Punt& record = result.punted[0].record;
            EXPECT_EQ(result.punted[0].packet, packet);
            EXPECT_EQ(record.reason, channel::PuntReason::kMip4Message);
            EXPECT_EQ(record.recorded_source, channel::WireAddress(kCareOf));
            EXPECT_EQ(record.port, kOutside);
            EXPECT_EQ(record.to_group, 0);
            EXPECT_EQ(record.protected_by_ipsec, 0);
            EXPECT_EQ(record.source_mac, host_mac(kOutside));
        }
    }
}

TEST_F(Mip4Messages, P28_bad_ones_are_counted) {
    start_mip4();
    for (const std::uint8_t type : Bytes{0, 2, 5, 6, 8, 14, 16, 255}) {
        expect_drop(feed_packet(kOutside, message(type)), "mip4.unknown_type");
    }
    Bytes wrong = message(1);
    wrong.back() ^= 1;
    expect_drop(feed_packet(kOutside, wrong), "mip4.rrq.cksum");
    const Bytes empty =
        ipv4(kCareOf, kHomeAgent4, 17, udp4(kCareOf, 40000, kHomeAgent4, 434, Bytes{}));
    expect_drop(feed_packet(kOutside, empty), "mip4.unknown_type");
    Bytes longer = message(1, kHomeAgent4, false);
    store_be16(longer.data() + 24, 100);
    expect_drop(feed_packet(kOutside, longer), "mip4.udp.malformed");
}

TEST_F(Mip4Messages, P28_more_than_the_policer_lets_pass) {
    start_mip4();
    channel::ParametersSet parameters;
    parameters.punt_packets_per_second = 10;
    apply(parameters);
    std::vector<Bytes> frames;
    for (std::uint32_t i = 0; i < 300; ++i) {  // sources that somebody made up
        Ipv4Address source;
        store_be32(source.bytes.data(), 0xc6130001 + i);
        frames.push_back(to_port(kOutside, message(1, kHomeAgent4, true, source)));
    }
    const Result result = feed(kOutside, frames);
    EXPECT_GT(result.count("mip4.rrq.policed"), 200u) << result.to_string();
    EXPECT_EQ(result.punted.size() + result.count("mip4.rrq.policed"), 300u);
    // A node that registers again from where it is is not in their way.
    bind4(channel::Encapsulation::kIpv4);
    const Result again = feed_packet(kOutside, message(1, kHomeAgent4, true, kCareOf, kNode));
    EXPECT_EQ(again.punted.size(), 1u) << again.to_string();
    const Result elsewhere =
        feed_packet(kOutside, message(1, kHomeAgent4, true, v4("198.18.9.9"), kNode));
    EXPECT_EQ(elsewhere.punted.size(), 0u) << elsewhere.to_string();
}

TEST_F(Mip4Messages, P28_one_source_may_send_an_eighth_of_what_all_may) {
    start_mip4();
    channel::ParametersSet parameters;
    parameters.punt_packets_per_second = 8000;  // 800 at once; of one source 100
    apply(parameters);
    const Result flood = feed(kOutside, std::vector<Bytes>(300, to_port(kOutside, message(1))));
    EXPECT_GE(flood.punted.size(), 100u);
    EXPECT_GT(flood.count("mip4.rrq.source_policed"), 100u) << flood.to_string();
    EXPECT_EQ(flood.punted.size() + flood.count("mip4.rrq.source_policed"), 300u);
    const Result other =
        feed_packet(kOutside, message(1, kHomeAgent4, true, v4("198.18.9.9"), kNode));
    EXPECT_EQ(other.punted.size(), 1u) << other.to_string();
}

TEST_F(Mip4Messages, P28_dynamic_home_agent_resolution) {
    start_mip4();
    for (const char* group : {"255.255.255.255", "192.0.2.255"}) {
        const Bytes packet = message(1, v4(group));
        const Result result = feed(kHomeLink, to_group(kHomeLink, packet));
        ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
        EXPECT_EQ(result.punted[0].packet, packet);
        EXPECT_EQ(result.punted[0].record.to_group, 1);
        EXPECT_EQ(result.punted[0].record.port, kHomeLink);
    }
    // A subnet-directed one from elsewhere is unicast on its link.
    const Result routed = feed_packet(kOutside, message(1, v4("192.0.2.255")));
    ASSERT_EQ(routed.punted.size(), 1u) << routed.to_string();
    EXPECT_EQ(routed.punted[0].record.to_group, 0);
    // No home link: none of ours.
    const Result outside = feed(kOutside, to_group(kOutside, message(1, v4("255.255.255.255"))));
    EXPECT_EQ(outside.punted.size(), 0u);
    EXPECT_EQ(outside.kernel[kOutside].size(), 1u);
}

TEST_F(Mip4Messages, P28_without_a_home_agent_they_are_the_kernels) {
    start_mip4(Mip4Role::kNone);
    EXPECT_EQ(feed_packet(kOutside, message(1)).kernel[kOutside].size(), 1u);
    const Result group = feed(kHomeLink, to_group(kHomeLink, message(1, v4("255.255.255.255"))));
    EXPECT_EQ(group.kernel[kHomeLink].size(), 1u);
    EXPECT_EQ(group.punted.size(), 0u);
    const Result gre = feed_packet(kOutside, ipv4(kCareOf, kHomeAgent4, 47, Bytes(24, 0)));
    EXPECT_EQ(gre.kernel[kOutside].size(), 1u);
}

TEST_F(Mip4Messages, RFC5944_2_2_agent_solicitation) {
    start_mip4();
    Bytes icmp{10, 0, 0, 0, 0, 0, 0, 0};
    store_be16(icmp.data() + 2, internet_checksum(icmp));
    const Bytes packet = ipv4(kOtherNode, v4("224.0.0.2"), 1, icmp, {.ttl = 1});
    const Result result = feed(kHomeLink, to_group(kHomeLink, packet));
    ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
    EXPECT_EQ(result.punted[0].packet, packet);
    EXPECT_EQ(result.punted[0].record.reason, channel::PuntReason::kAgentSolicitation);
    EXPECT_EQ(result.punted[0].record.source_mac, host_mac(kHomeLink));
    EXPECT_EQ(result.kernel[kHomeLink].size(), 1u) << "the kernel gets it, too";
    EXPECT_EQ(feed(kOutside, to_group(kOutside, packet)).punted.size(), 0u);
}

// ------------------------------------------------------------------------------------ broadcasts

TEST_F(Mip4Messages, P29_broadcasts_go_to_nodes_with_B) {
    start_mip4();
    bind4(Encapsulation::kIpv4, channel::kBindingBroadcasts);
    apply(mip4_binding(Encapsulation::kIpv4, 0, kOtherNode));  // without
    const Ipv4Address visitor = v4("192.0.2.102");
    channel::BindingSet by_agent =
        mip4_binding(Encapsulation::kGre, channel::kBindingBroadcasts, visitor);
    by_agent.flags &= static_cast<std::uint16_t>(~channel::kBindingCoLocated);
    apply(by_agent);
    for (const char* group : {"255.255.255.255", "192.0.2.255"}) {
        const auto broadcast = [&](std::uint8_t ttl) {
            return ipv4(v4("192.0.2.50"), v4(group), 17, Bytes(40, 4), {.ttl = ttl});
        };
        const Result result = feed(kHomeLink, to_group(kHomeLink, broadcast(64)));
        EXPECT_EQ(result.kernel[kHomeLink].size(), 1u);
        ASSERT_EQ(result.sent[kOutside].size(), 2u) << result.to_string();
        EXPECT_EQ(result.count("mip4.broadcasts"), 2u);
        EXPECT_EQ(result.dropped(), 0u);
        for (const Bytes& frame : result.sent[kOutside]) {
            const Bytes outer = packet_in(frame);
            if (outer[9] == 4) {
                expect_tunnel(outer, kInIp, broadcast(63), kCareOf);
                continue;
            }
            ASSERT_EQ(outer.size(), broadcast(64).size() + 44);  // nested
            const Bytes nested = tail_of(outer, 24);
            EXPECT_EQ(internet_checksum(ConstByteSpan(nested).first(20)), 0);
            EXPECT_EQ(nested[9], 4);
            EXPECT_EQ(Ipv4Address::load(nested.data() + 12), kHomeAgent4);
            EXPECT_EQ(Ipv4Address::load(nested.data() + 16), visitor);
            EXPECT_EQ(tail_of(nested, 20), broadcast(63));
        }
        // Not what may not leave its link, and not from other links.
        EXPECT_EQ(feed(kHomeLink, to_group(kHomeLink, broadcast(1))).sent[kOutside].size(), 0u);
        EXPECT_EQ(feed(kOutside, to_group(kOutside, broadcast(64))).sent[kOutside].size(), 0u);
    }
    const Bytes multicast = ipv4(v4("192.0.2.50"), v4("224.0.0.251"), 17, Bytes(40, 4));
    EXPECT_EQ(feed(kHomeLink, to_group(kHomeLink, multicast)).sent[kOutside].size(), 0u);
    bind4();  // B is gone
    unbind4(visitor);
    const Bytes last = ipv4(v4("192.0.2.50"), v4("192.0.2.255"), 17, Bytes(40, 4));
    EXPECT_EQ(feed(kHomeLink, to_group(kHomeLink, last)).sent[kOutside].size(), 0u);
}

TEST_F(Mip4Messages, RFC3024_5_3_broadcasts_out_of_a_reverse_tunnel_are_for_the_home_link) {
    start_mip4();
    bind4(Encapsulation::kIpv4, channel::kBindingBroadcasts);
    channel::BindingSet other =
        mip4_binding(Encapsulation::kIpv4, channel::kBindingBroadcasts, kOtherNode);
    apply(other);
    const auto sent_by_node = [&](const char* to, std::uint8_t ttl) {
        const Bytes inner = ipv4(kNode, v4(to), 17, Bytes(40, 4), {.ttl = ttl});
        return feed_packet(kOutside,
                           in_tunnel(Encapsulation::kIpv4, inner, kCareOf, kHomeAgent4, 0, 0));
    };
    struct Case {
        const char* group;
        MacAddress mac;
        std::size_t copies;
    };
    for (const Case& row :
         {Case{"255.255.255.255", MacAddress{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, 1},
          Case{"192.0.2.255", MacAddress{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}, 1},
          Case{"239.129.2.3", MacAddress{{0x01, 0x00, 0x5e, 0x01, 0x02, 0x03}}, 0}}) {
        const Result result = sent_by_node(row.group, 64);
        ASSERT_EQ(result.sent[kHomeLink].size(), 1u) << row.group << result.to_string();
        const Bytes& frame = result.sent[kHomeLink][0];
        EXPECT_EQ(MacAddress::load(frame.data()), row.mac);
        EXPECT_EQ(MacAddress::load(frame.data() + 6), port_mac(kHomeLink));
        EXPECT_EQ(packet_in(frame), ipv4(kNode, v4(row.group), 17, Bytes(40, 4), {.ttl = 63}));
        EXPECT_EQ(result.count("mip4.rt.broadcasts"), 1u);
        // The other node wants broadcasts; whoever sent it does not get it back.
        EXPECT_EQ(result.count("mip4.broadcasts"), row.copies);
        EXPECT_EQ(result.sent[kOutside].size(), row.copies);
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
    }
    expect_drop(sent_by_node("255.255.255.255", 1), "forward.ttl");
    EXPECT_EQ(sent_by_node("224.0.0.251", 64).sent[kHomeLink].size(), 0u) << "of one link";
    EXPECT_EQ(sent_by_node("198.51.100.255", 64).count("mip4.rt.broadcasts"), 0u);
}

TEST_F(Mip4Messages, P29_copies_are_limited) {
    start_mip4();
    for (unsigned i = 0; i < 140; ++i) {
        const Ipv4Address node = v4("192.0.2." + std::to_string(100 + i));
        channel::BindingSet record =
            mip4_binding(Encapsulation::kIpv4, channel::kBindingBroadcasts, node);
        record.counter_index = i;
        apply(record);
    }
    const Bytes broadcast = ipv4(v4("192.0.2.50"), v4("192.0.2.255"), 17, Bytes(40, 4));
    std::vector<Bytes> frames(50, to_group(kHomeLink, broadcast));
    const Result result = feed(kHomeLink, frames);
    EXPECT_GE(result.count("mip4.broadcasts"), 128u) << result.to_string();
    EXPECT_GT(result.count("mip4.broadcast.limit"), 0u) << result.to_string();
    EXPECT_EQ(result.kernel[kHomeLink].size(), 50u);
}

}  // namespace
}  // namespace homeport::golden

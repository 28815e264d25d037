// SPDX-License-Identifier: BSD-3-Clause
// P20, P22, P24, P26, P30: out to Mobile IPv4 nodes.
#include "tests/golden/mip4/home_agent.hpp"

namespace homeport::golden {
namespace {

class Mip4Out : public Mip4Test {};

TEST_F(Mip4Out, P20_vector_C15) {
    start_mip4();
    bind4();
    EXPECT_EQ(to_hex(sent(feed_packet(kOutside, kC14))), to_hex(kC15));
}
TEST_F(Mip4Out, P22_vector_C16) {
    start_mip4();
    bind4(Encapsulation::kGre);
    EXPECT_EQ(to_hex(sent(feed_packet(kOutside, kC14))), to_hex(kC16));
}
TEST_F(Mip4Out, P24_vector_C17_keeps_ttl_and_identification) {
    start_mip4();
    bind4(Encapsulation::kMinimal);
    EXPECT_EQ(to_hex(sent(feed_packet(kOutside, kC14))), to_hex(kC17));
}
TEST_F(Mip4Out, P26_vector_C18_without_checksum) {
    start_mip4();
    bind4(Encapsulation::kMipUdp);
    Bytes expected = kC18;  // the vector has a checksum; data goes without (packet-paths section 1)
    store_be16(expected.data() + 26, 0);
    EXPECT_EQ(to_hex(sent(feed_packet(kOutside, kC14))), to_hex(expected));
}

class Mip4OutForms : public Mip4Test, public ::testing::WithParamInterface<Mip4Form> {};
INSTANTIATE_TEST_SUITE_P(All, Mip4OutForms, ::testing::ValuesIn(kMip4Forms),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(Mip4OutForms, P20_to_P26_in_batches_and_counted) {
    start_mip4();
    bind4(GetParam().encapsulation);
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        for (unsigned i = 0; i < 67; ++i) {
            frames.push_back(to_port(kOutside, to_node_packet(64, 24 + i, i % 2 ? 0x4000 : 0)));
        }
        const std::uint64_t before = worker().binding_rows[0].out_packets;
        const Result result = feed(kOutside, frames, batch);
        ASSERT_EQ(result.sent[kOutside].size(), 67u) << result.to_string();
        for (unsigned i = 0; i < 67; ++i) {
            expect_tunnel(packet_in(result.sent[kOutside][i]), GetParam(),
                          to_node_packet(63, 24 + i, i % 2 ? 0x4000 : 0), care_of(GetParam()));
        }
        EXPECT_EQ(result.count("tun.out.ok"), 67u);
        EXPECT_EQ(result.count("mip4.tun.out"), 67u);
        EXPECT_EQ(worker().binding_rows[0].out_packets - before, 67u);
    }
}

TEST_P(Mip4OutForms, S2_131_each_role_has_its_counter) {
    start_mip4();
    apply(mip4_binding(GetParam().encapsulation, 0, kNode, Mip4Role::kInternal));
    EXPECT_EQ(feed_packet(kOutside, to_node_packet()).count("iha.tun.out"), 1u);
    apply(mip4_binding(GetParam().encapsulation, 0, kNode, Mip4Role::kExternal));
    EXPECT_EQ(feed_packet(kOutside, to_node_packet()).count("xha.tun.out"), 1u);
}

TEST_P(Mip4OutForms, tos_is_copied) {
    start_mip4();
    bind4(GetParam().encapsulation);
    for (const std::uint8_t tos : Bytes{0x00, 0xb8, 0xb9, 0x03}) {
        const Bytes outer = sent(feed_packet(kOutside, with_tos(to_node_packet(), tos)));
        ASSERT_GE(outer.size(), 20u);
        EXPECT_EQ(outer[1], tos);
    }
}

TEST_P(Mip4OutForms, ttl_of_one_is_reported) {
    start_mip4();
    bind4(GetParam().encapsulation);
    const Result result = feed_packet(kOutside, to_node_packet(1));
    EXPECT_EQ(result.count("tun.out.ttl"), 1u) << result.to_string();
    ASSERT_EQ(result.sent[kOutside].size(), 1u);
    EXPECT_EQ(packet_in(result.sent[kOutside][0])[20], 11);
}

TEST_P(Mip4OutForms, RFC2003_3_2_own_sources_and_the_tunnel_exit_do_not_go_in) {
    start_mip4();
    bind4(GetParam().encapsulation);
    for (const Ipv4Address& source : {kHomeAgent4, care_of(GetParam()), v4("198.18.0.1")}) {
        expect_drop(feed_packet(kOutside, ipv4(source, kNode, 17, Bytes(24, 1))), "tun.out.loop");
    }
}

TEST_P(Mip4OutForms, the_largest_packet_and_one_octet_more) {
    start_mip4();
    bind4(GetParam().encapsulation);
    const std::size_t most = 1500u - GetParam().overhead;
    const Bytes fits = to_node_packet(64, most - 20, 0x4000);
    expect_tunnel(sent(feed_packet(kOutside, fits)), GetParam(), with_ttl(fits, 63),
                  care_of(GetParam()));
    const Result too_big = feed_packet(kOutside, to_node_packet(64, most - 19, 0x4000));
    EXPECT_EQ(too_big.count("tun.out.ptb"), 1u) << too_big.to_string();
    ASSERT_EQ(too_big.sent[kOutside].size(), 1u);
    const Bytes error = packet_in(too_big.sent[kOutside][0]);
    EXPECT_EQ(error[20], 3);
    EXPECT_EQ(error[21], 4);
    EXPECT_EQ(load_be16(error.data() + 26), most);
}

/// RFC 3519 section 4.8 for those in UDP; the others are cut on the outside.
TEST_P(Mip4OutForms, P26_too_big_without_df_goes_in_pieces) {
    start_mip4();
    bind4(GetParam().encapsulation);
    Bytes octets(1480);
    for (std::size_t i = 0; i < octets.size(); ++i) octets[i] = static_cast<std::uint8_t>(i / 7);
    const Result result = feed_packet(kOutside, ipv4(kPeer, kNode, 17, octets));
    ASSERT_EQ(result.sent[kOutside].size(), 2u) << result.to_string();
    EXPECT_EQ(result.dropped(), 0u);
    const bool cut_first = GetParam().in_udp && !GetParam().edits_header();
    Bytes payload;
    for (const Bytes& frame : result.sent[kOutside]) {
        const Bytes outer = packet_in(frame);
        EXPECT_LE(outer.size(), 1500u);
        const auto& ip = *reinterpret_cast<const Ipv4Header*>(outer.data());
        EXPECT_EQ(ip.is_fragment(), !cut_first);
        EXPECT_EQ(internet_checksum(ConstByteSpan(outer).first(20)), 0);
        if (!cut_first) {
            append(payload, tail_of(outer, 20));
            continue;
        }
        const Bytes inside = tail_of(outer, GetParam().overhead);
        const auto& inner = *reinterpret_cast<const Ipv4Header*>(inside.data());
        EXPECT_TRUE(inner.is_fragment());
        EXPECT_EQ(inner.ttl, 63);
        EXPECT_EQ(internet_checksum(ConstByteSpan(inside).first(20)), 0);
        append(payload, tail_of(inside, 20));
    }
    ASSERT_EQ(payload.size(), cut_first ? 1480u : 1480u + GetParam().overhead);
    EXPECT_EQ(to_hex(tail_of(payload, payload.size() - 1480)), to_hex(octets));
    EXPECT_EQ(result.count("mip4.tun.out"), cut_first ? 2u : 1u);
}

TEST_F(Mip4Out, P24_a_fragment_falls_back_to_ip_in_ip) {
    start_mip4();
    bind4(Encapsulation::kMinimal);
    const Bytes fragment = to_node_packet(64, 24, 0x2000);
    const Result result = feed_packet(kOutside, fragment);
    EXPECT_EQ(result.count("minenc.frag_fallback"), 1u);
    expect_tunnel(sent(result), kInIp, with_ttl(fragment, 63), kCareOf);
    bind4(Encapsulation::kMipUdpMinimal);
    const Result in_udp = feed_packet(kOutside, fragment);
    EXPECT_EQ(in_udp.count("minenc.frag_fallback"), 1u);
    expect_tunnel(sent(in_udp), kInUdp, with_ttl(fragment, 63), kNatOutside);
}

TEST_F(Mip4Out, P24_options_of_the_packet_stay_in_its_header) {
    start_mip4();
    bind4(Encapsulation::kMinimal);
    const Bytes packet =
        ipv4(kPeer, kNode, 17, Bytes(24, 7), {.ttl = 64, .options = {0x94, 4, 0, 0}});
    const Bytes expected =
        in_tunnel(Encapsulation::kMinimal, with_ttl(packet, 63), kHomeAgent4, kCareOf);
    EXPECT_EQ(to_hex(sent(feed_packet(kOutside, packet))), to_hex(expected));
}

TEST_F(Mip4Out, P26_half_bound_sends_nothing) {
    start_mip4();
    channel::BindingSet record = mip4_binding(Encapsulation::kMipUdp, channel::kBindingHalfBound);
    record.udp_port = 0;
    apply(record);
    expect_drop(feed_packet(kOutside, to_node_packet()), "mip4.udp.half_bound");
}

TEST_F(Mip4Out, P20_one_copy_for_each_care_of_address) {
    start_mip4();
    bind4(Encapsulation::kIpv4, channel::kBindingMoreCareOf);
    channel::BindingSet second = mip4_binding(Encapsulation::kMipUdp);
    second.copy = 1;
    apply(second);
    channel::BindingSet third = mip4_binding(Encapsulation::kGre);
    third.copy = 2;
    third.care_of_address = channel::WireAddress(v4("203.0.113.99"));
    apply(third);
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames(67, to_port(kOutside, to_node_packet()));
        const Result result = feed(kOutside, frames, batch);
        ASSERT_EQ(result.sent[kOutside].size(), 3u * 67u) << result.to_string();
        EXPECT_EQ(result.count("mip4.copies"), 2u * 67u);
        EXPECT_EQ(result.count("mip4.tun.out"), 3u * 67u);
        expect_tunnel(packet_in(result.sent[kOutside][0]), kInUdp, to_node_packet(63), kNatOutside);
        expect_tunnel(packet_in(result.sent[kOutside][1]), kInGre, to_node_packet(63),
                      v4("203.0.113.99"));
        expect_tunnel(packet_in(result.sent[kOutside][2]), kInIp, to_node_packet(63), kCareOf);
    }
    // What fits is what fits all of them.
    const Result too_big = feed_packet(kOutside, to_node_packet(64, 1460, 0x4000));
    EXPECT_EQ(too_big.count("tun.out.ptb"), 1u);
    EXPECT_EQ(load_be16(packet_in(too_big.sent[kOutside][0]).data() + 26), 1468);
    // In pieces where a tunnel in UDP needs it, and there alone; no piece is copied again.
    const Result pieces = feed_packet(kOutside, to_node_packet(64, 1454));
    EXPECT_EQ(pieces.sent[kOutside].size(), 4u) << pieces.to_string();
    unbind4(kNode, 2);
    EXPECT_EQ(feed_packet(kOutside, to_node_packet()).sent[kOutside].size(), 2u);
}

TEST_F(Mip4Out, P30_without_binding_it_goes_home_unchanged) {
    start_mip4();
    add_neighbour(kHomeLink, "192.0.2.100");
    const Result result = feed_packet(kOutside, to_node_packet());
    EXPECT_EQ(sent(result, kHomeLink), to_node_packet(63));
    EXPECT_EQ(result.count("tun.out.ok"), 0u);
}

/// P28, mipv4.md section 4: the reply to a node at home passes its binding by.
TEST_F(Mip4Out, P28_replies_of_the_home_agent_are_not_tunnelled_by_its_own_binding) {
    start_mip4();
    bind4();
    add_neighbour(kHomeLink, "192.0.2.100", 7);
    const Bytes reply =
        ipv4(kHomeAgent4, kNode, 17, udp4(kHomeAgent4, 434, kNode, 40000, Bytes(20, 3), true));
    for (const std::uint16_t port : {kHomeLink, channel::kNoPort}) {
        const Result result = transmit(reply, channel::WireAddress{}, port);
        ASSERT_EQ(result.sent[kHomeLink].size(), 1u) << result.to_string();
        EXPECT_EQ(result.sent[kHomeLink][0], from_port(kHomeLink, reply, 7));
        EXPECT_EQ(result.sent[kOutside].size(), 0u);
    }
    // The kernel's own, too: it resolves neighbours for such packets.
    const Bytes frame = from_port(kHomeLink, reply, 7);
    const Result kernel = feed_from_kernel(kHomeLink, frame);
    ASSERT_EQ(kernel.sent[kHomeLink].size(), 1u) << kernel.to_string();
    EXPECT_EQ(kernel.sent[kHomeLink][0], frame);
    // Other packets of this host are tunnelled.
    const Bytes other =
        ipv4(kHomeAgent4, kNode, 17, udp4(kHomeAgent4, 435, kNode, 40000, Bytes(20, 3), true));
    expect_tunnel(sent(transmit(other)), kInIp, other, kCareOf);
}

TEST_F(Mip4Out, P28_a_reply_to_where_another_role_has_a_binding_goes_that_way) {
    start_mip4(Mip4Role::kInternal);
    add_mip4_address("192.0.2.2", Mip4Role::kExternal);
    channel::BindingSet record = mip4_binding(Encapsulation::kIpv4, 0, kNode, Mip4Role::kExternal);
    record.home_agent_address = channel::WireAddress(v4("192.0.2.2"));
    apply(record);
    const Bytes reply =
        ipv4(kHomeAgent4, kNode, 17, udp4(kHomeAgent4, 434, kNode, 40000, Bytes(20, 3), true));
    const Bytes outer = sent(transmit(reply));
    ASSERT_EQ(outer.size(), reply.size() + 20);
    EXPECT_EQ(tail_of(outer, 20), reply);
    EXPECT_EQ(Ipv4Address::load(outer.data() + 12), v4("192.0.2.2"));
}

/// An internal home agent whose node registered its external home address as care-of address.
TEST_F(Mip4Out, S2_131_a_care_of_address_bound_by_the_external_role_goes_on_in_its_tunnel) {
    start_mip4(Mip4Role::kInternal);
    add_mip4_address("192.0.2.2", Mip4Role::kExternal);
    const Ipv4Address x_home = v4("203.0.113.50");
    channel::BindingSet inner = mip4_binding(Encapsulation::kIpv4, 0, kNode, Mip4Role::kInternal);
    inner.care_of_address = channel::WireAddress(x_home);
    apply(inner);
    channel::BindingSet outer =
        mip4_binding(Encapsulation::kMipUdp, 0, x_home, Mip4Role::kExternal);
    outer.home_agent_address = channel::WireAddress(v4("192.0.2.2"));
    apply(outer);
    const Result result = feed_packet(kOutside, to_node_packet());
    const Bytes packet = sent(result);
    ASSERT_EQ(packet.size(), to_node_packet().size() + 52);
    EXPECT_EQ(tail_of(packet, 52), to_node_packet(63));
    EXPECT_EQ(Ipv4Address::load(packet.data() + 12), v4("192.0.2.2"));
    EXPECT_EQ(Ipv4Address::load(packet.data() + 16), kNatOutside);
    EXPECT_EQ(Ipv4Address::load(packet.data() + 32 + 12), kHomeAgent4);
    EXPECT_EQ(Ipv4Address::load(packet.data() + 32 + 16), x_home);
    EXPECT_EQ(result.count("iha.tun.out"), 1u);
    EXPECT_EQ(result.count("xha.tun.out"), 1u);
}

}  // namespace
}  // namespace homeport::golden

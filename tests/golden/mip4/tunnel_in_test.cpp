// SPDX-License-Identifier: BSD-3-Clause
// P21, P23, P25, P27: reverse tunnels of Mobile IPv4, and what is refused of them.
#include "tests/golden/mip4/home_agent.hpp"

namespace homeport::golden {
namespace {

class Mip4In : public Mip4Test {
  protected:
    void expect_in(const Bytes& packet, const Bytes& inner) {
        EXPECT_EQ(to_hex(sent(feed_packet(kOutside, packet))), to_hex(inner));
    }
};

class Mip4InForms : public Mip4In, public ::testing::WithParamInterface<Mip4Form> {
  protected:
    void SetUp() override {
        start_mip4();
        bind4(GetParam().encapsulation);
    }
    static Bytes in_form(const Bytes& inner) { return from_node(GetParam(), inner); }
    /// What a packet of nobody's tunnel counts as.
    static const char* no_match() {
        return GetParam().in_udp ? "mip4.udp.bad_outer" : "mip4.rt.no_binding";
    }
};
INSTANTIATE_TEST_SUITE_P(All, Mip4InForms, ::testing::ValuesIn(kMip4Forms),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(Mip4InForms, P21_to_P27_in_batches_and_counted) {
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        for (unsigned i = 0; i < 67; ++i) {
            frames.push_back(to_port(kOutside, in_form(from_node_packet(64, 24 + i))));
        }
        const std::uint64_t before = worker().binding_rows[0].in_packets;
        const Result result = feed(kOutside, frames, batch);
        ASSERT_EQ(result.sent[kOutside].size(), 67u) << result.to_string();
        for (unsigned i = 0; i < 67; ++i) {
            EXPECT_EQ(packet_in(result.sent[kOutside][i]), from_node_packet(63, 24 + i));
        }
        EXPECT_EQ(result.count("tun.in.ok"), 67u);
        EXPECT_EQ(result.count("mip4.tun.in"), 67u);
        EXPECT_EQ(worker().binding_rows[0].in_packets - before, 67u);
    }
}

TEST_P(Mip4InForms, S2_131_each_role_has_its_counter) {
    apply(mip4_binding(GetParam().encapsulation, 0, kNode, Mip4Role::kInternal));
    EXPECT_EQ(feed_packet(kOutside, in_form(from_node_packet())).count("iha.tun.in"), 1u);
    apply(mip4_binding(GetParam().encapsulation, 0, kNode, Mip4Role::kExternal));
    EXPECT_EQ(feed_packet(kOutside, in_form(from_node_packet())).count("xha.tun.in"), 1u);
}

TEST_P(Mip4InForms, inner_source_is_checked) {
    expect_drop(feed_packet(kOutside, in_form(ipv4(kOtherNode, kPeer, 17, Bytes(24, 1)))),
                no_match());
    for (const char* forbidden :
         {"0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255", "169.254.1.1"}) {
        expect_drop(feed_packet(kOutside, in_form(ipv4(v4(forbidden), kPeer, 17, Bytes(24, 1)))),
                    "tun.in.bad_inner_src");
    }
}

TEST_P(Mip4InForms, outer_source_and_destination_are_checked) {
    const Bytes inner = from_node_packet();
    const Encapsulation form = GetParam().encapsulation;
    expect_drop(
        feed_packet(kOutside, in_tunnel(form, inner, v4("203.0.113.8"), kHomeAgent4, kNatPort)),
        no_match());
    add_mip4_address("192.0.2.2", Mip4Role::kPlain);
    expect_drop(feed_packet(kOutside,
                            in_tunnel(form, inner, care_of(GetParam()), v4("192.0.2.2"), kNatPort)),
                no_match());
    if (!GetParam().in_udp) return;
    expect_drop(feed_packet(kOutside, from_node(GetParam(), inner, kNatPort + 1)), no_match());
}

TEST_P(Mip4InForms, P21_another_mode_than_the_agreed_one) {
    for (const Mip4Form& other : kMip4Forms) {
        if (other.encapsulation == GetParam().encapsulation) continue;
        const Bytes packet = in_tunnel(other.encapsulation, from_node_packet(), care_of(GetParam()),
                                       kHomeAgent4, kNatPort);
        const char* const in_udp = GetParam().in_udp ? "mip4.udp.bad_nh" : "mip4.udp.bad_outer";
        expect_drop(feed_packet(kOutside, packet), other.in_udp ? in_udp : "mip4.rt.bad_mode");
    }
}

TEST_P(Mip4InForms, RFC3024_without_T_nothing_is_taken) {
    channel::BindingSet record = mip4_binding(GetParam().encapsulation);
    record.flags &= static_cast<std::uint16_t>(~channel::kBindingReverseTunnel);
    apply(record);
    expect_drop(feed_packet(kOutside, in_form(from_node_packet())), "mip4.rt.bad_mode");
}

TEST_P(Mip4InForms, RFC6040_ecn) {
    if (GetParam().edits_header()) return;  // there is one header
    for (unsigned inner = 0; inner < 4; ++inner) {
        const auto tos = static_cast<std::uint8_t>(0xb8 | inner);
        const Bytes packet = with_tos(in_form(with_tos(from_node_packet(), tos)), 3);
        const Result result = feed_packet(kOutside, packet);
        if (inner == 0) {
            expect_drop(result, "tun.in.ecn_drop");
        } else {
            EXPECT_EQ(to_hex(sent(result)), to_hex(with_tos(from_node_packet(63), 0xbb)));
        }
    }
}

TEST_P(Mip4InForms, one_node_to_another_of_the_same_home_agent_once_through) {
    apply(mip4_binding(GetParam().encapsulation, 0, kOtherNode));
    const Bytes inner = ipv4(kNode, kOtherNode, 17, Bytes(24, 9));
    const Result result = feed_packet(kOutside, in_form(inner));
    expect_tunnel(sent(result), GetParam(), with_ttl(inner, 63), care_of(GetParam()));
    EXPECT_EQ(result.count("mip4.tun.in"), 1u);
    EXPECT_EQ(result.count("mip4.tun.out"), 1u);
}

TEST_P(Mip4InForms, fragments_of_a_tunnel_are_put_together_first) {
    const Bytes whole = in_form(from_node_packet(64, 100));
    Bytes first(whole.begin(), whole.begin() + 20 + 64);
    Bytes second(whole.begin(), whole.begin() + 20);
    append(second, tail_of(whole, 20 + 64));
    store_be16(first.data() + 2, static_cast<std::uint16_t>(first.size()));
    store_be16(second.data() + 2, static_cast<std::uint16_t>(second.size()));
    store_be16(first.data() + 6, 0x2000);
    store_be16(second.data() + 6, 8);
    const std::array frames{to_port(kOutside, with_checksum(second)),
                            to_port(kOutside, with_checksum(first))};
    const Result result = feed(kOutside, frames);
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.sent[kOutside][0]), from_node_packet(63, 100));
    EXPECT_EQ(result.count("reasm.ok"), 1u);
}

TEST_P(Mip4InForms, a_fragment_inside_is_forwarded_as_one) {
    const Bytes fragment =
        ipv4(kNode, kPeer, 17, Bytes(24, 1), {.ttl = 64, .flags_offset = 0x2000});
    if (!GetParam().edits_header()) {
        expect_in(in_form(fragment), with_ttl(fragment, 63));
        return;
    }
    // RFC 2004 section 3: it may not be encapsulated so, and comes as IP in IP.
    const Encapsulation instead = GetParam().in_udp ? Encapsulation::kMipUdp : Encapsulation::kIpv4;
    expect_in(in_tunnel(instead, fragment, care_of(GetParam()), kHomeAgent4, kNatPort),
              with_ttl(fragment, 63));
}

TEST_P(Mip4InForms, what_is_cut_off_is_dropped_and_counted) {
    const Bytes whole = in_form(from_node_packet());
    for (std::size_t length = 21; length < whole.size(); ++length) {
        Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
        store_be16(cut.data() + 2, static_cast<std::uint16_t>(length));
        const Result result = feed_packet(kOutside, with_checksum(cut));
        // A minimal header says no length: its packet is what there is.
        const bool whole_all_the_same =
            GetParam().encapsulation == Encapsulation::kMinimal && length >= 32;
        EXPECT_EQ(result.dropped() + result.kernel[kOutside].size(), whole_all_the_same ? 0u : 1u)
            << length << ' ' << result.to_string();
    }
}

TEST_F(Mip4In, P21_simultaneous_bindings_each_with_its_mode) {
    start_mip4();
    bind4(Encapsulation::kIpv4, channel::kBindingMoreCareOf);
    channel::BindingSet second = mip4_binding(Encapsulation::kMipUdpGre);
    second.copy = 1;
    apply(second);
    expect_in(from_node(kInIp, from_node_packet()), from_node_packet(63));
    expect_in(from_node(kInUdpGre, from_node_packet()), from_node_packet(63));
    expect_drop(feed_packet(kOutside, from_node(kInUdp, from_node_packet())), "mip4.udp.bad_nh");
    expect_drop(feed_packet(kOutside, from_node(kInGre, from_node_packet())), "mip4.rt.bad_mode");
}

TEST_F(Mip4In, P23_gre_headers_that_are_refused) {
    start_mip4();
    bind4(Encapsulation::kGre);
    const auto gre = [&](std::initializer_list<std::uint8_t> header) {
        return ipv4(kCareOf, kHomeAgent4, 47, concat({Bytes(header), from_node_packet()}));
    };
    expect_drop(feed_packet(kOutside, gre({0x20, 0, 8, 0, 0, 0, 0, 1})), "gre.bad_flags");  // key
    expect_drop(feed_packet(kOutside, gre({0x10, 0, 8, 0, 0, 0, 0, 1})), "gre.bad_flags");
    expect_drop(feed_packet(kOutside, gre({0x40, 0, 8, 0})), "gre.bad_flags");
    expect_drop(feed_packet(kOutside, gre({0, 1, 8, 0})), "gre.version");
    expect_drop(feed_packet(kOutside, gre({0, 0, 0x86, 0xdd})), "gre.proto");
    expect_drop(feed_packet(kOutside, gre({0x80, 0, 8, 0, 0x12, 0x34, 0, 0})), "gre.cksum");
    Bytes checked = concat({Bytes{0x80, 0, 8, 0, 0, 0, 0, 0}, from_node_packet()});
    store_be16(checked.data() + 4, internet_checksum(checked));
    expect_in(ipv4(kCareOf, kHomeAgent4, 47, checked), from_node_packet(63));
    expect_drop(feed_packet(kOutside, ipv4(kCareOf, kHomeAgent4, 47, Bytes{0, 0, 8})),
                "tun.in.malformed");
    // RFC 2784 section 4: back to the encapsulator.
    const Bytes loop = ipv4(kNode, kCareOf, 17, Bytes(24, 1));
    expect_drop(feed_packet(kOutside, from_node(kInGre, loop)), "gre.loop");
    bind4(Encapsulation::kMipUdpGre);
    const Bytes loop_in_udp = ipv4(kNode, kNatOutside, 17, Bytes(24, 1));
    expect_drop(feed_packet(kOutside, from_node(kInUdpGre, loop_in_udp)), "gre.loop");
}

TEST_F(Mip4In, P25_minimal_headers_that_are_refused) {
    start_mip4();
    bind4(Encapsulation::kMinimal);
    Bytes packet = from_node(kInMinimal, from_node_packet());
    packet[23] ^= 1;
    expect_drop(feed_packet(kOutside, packet), "minenc.cksum");
    expect_drop(feed_packet(kOutside, ipv4(kCareOf, kHomeAgent4, 55, Bytes(7, 0))), "minenc.len");
    Bytes short_header = minimal_header(17, kNode, kPeer);
    short_header.resize(11);
    expect_drop(feed_packet(kOutside, ipv4(kCareOf, kHomeAgent4, 55, short_header)), "minenc.len");
    // Without the original source it is from the care-of address, which is nobody's home address.
    Bytes without_source(8);
    without_source[0] = 17;
    kPeer.store(without_source.data() + 4);
    store_be16(without_source.data() + 2, internet_checksum(without_source));
    expect_drop(feed_packet(kOutside,
                            ipv4(kCareOf, kHomeAgent4, 55, concat({without_source, Bytes(24, 1)}))),
                "mip4.rt.no_binding");
}

TEST_F(Mip4In, P27_tunnel_data_that_is_refused) {
    start_mip4();
    bind4(Encapsulation::kMipUdp);
    const auto data = [&](std::initializer_list<std::uint8_t> header, bool checksum = true) {
        return ipv4(kNatOutside, kHomeAgent4, 17,
                    udp4(kNatOutside, kNatPort, kHomeAgent4, 434,
                         concat({Bytes(header), from_node_packet()}), checksum));
    };
    expect_in(data({4, 4, 0, 0}), from_node_packet(63));
    expect_in(data({4, 4, 0, 0}, false), from_node_packet(63));
    expect_in(data({4, 4, 0xff, 0xff}), from_node_packet(63));  // reserved: ignored
    expect_drop(feed_packet(kOutside, data({4, 41, 0, 0})), "mip4.udp.bad_nh");
    expect_drop(feed_packet(kOutside, data({4, 0, 0, 0})), "mip4.udp.bad_nh");
    Bytes wrong = data({4, 4, 0, 0});
    wrong.back() ^= 1;
    expect_drop(feed_packet(kOutside, wrong), "mip4.udp.malformed");
    expect_drop(
        feed_packet(kOutside, ipv4(kNatOutside, kHomeAgent4, 17,
                                   udp4(kNatOutside, kNatPort, kHomeAgent4, 434, Bytes{4, 4}))),
        "mip4.udp.malformed");
}

TEST_P(Mip4InForms, P27_keepalive_is_answered_through_the_tunnel) {
    if (!GetParam().in_udp) return;
    channel::BindingSet record = mip4_binding(GetParam().encapsulation);
    record.flags &= static_cast<std::uint16_t>(~channel::kBindingReverseTunnel);  // needs no T
    apply(record);
    const Result result = feed_packet(kOutside, in_form(echo(kNode, kHomeAgent4)));
    EXPECT_EQ(result.count("mip4.keepalive"), 1u) << result.to_string();
    expect_tunnel(sent(result), GetParam(), echo(kHomeAgent4, kNode, true), kNatOutside);
    EXPECT_EQ(result.kernel[kHomeLink].size() + result.kernel[kOutside].size(), 0u);
    Bytes broken = echo(kNode, kHomeAgent4);
    broken.back() ^= 1;
    expect_drop(feed_packet(kOutside, in_form(broken)), "tun.in.malformed");
}

TEST_F(Mip4In, P27_an_answer_to_a_keepalive_is_not_copied) {
    start_mip4();
    bind4(Encapsulation::kMipUdp, channel::kBindingMoreCareOf);
    channel::BindingSet second = mip4_binding(Encapsulation::kIpv4);
    second.copy = 1;
    apply(second);
    const Result result = feed_packet(kOutside, from_node(kInUdp, echo(kNode, kHomeAgent4)));
    expect_tunnel(sent(result), kInUdp, echo(kHomeAgent4, kNode, true), kNatOutside);
}

TEST_F(Mip4In, P27_the_first_keepalive_of_a_half_bound_node_goes_to_the_control_plane) {
    start_mip4();
    channel::BindingSet record = mip4_binding(Encapsulation::kMipUdp, channel::kBindingHalfBound);
    record.udp_port = 0;
    apply(record);
    const Result result = feed_packet(kOutside, from_node(kInUdp, echo(kNode, kHomeAgent4), 51515));
    ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
    const Punted& punted = result.punted[0];
    EXPECT_EQ(punted.record.reason, channel::PuntReason::kMip4Keepalive);
    EXPECT_EQ(punted.record.recorded_source, channel::WireAddress(kNatOutside));
    EXPECT_EQ(punted.record.recorded_port, 51515);
    EXPECT_EQ(punted.packet, echo(kNode, kHomeAgent4));
    // From another address it is nobody's, and data waits for it.
    expect_drop(feed_packet(kOutside, in_tunnel(Encapsulation::kMipUdp, echo(kNode, kHomeAgent4),
                                                v4("203.0.113.8"), kHomeAgent4, 51515)),
                "mip4.udp.bad_outer");
    expect_drop(feed_packet(kOutside, from_node(kInUdp, from_node_packet(), 51515)),
                "mip4.udp.bad_outer");
}

TEST_F(Mip4In, P21_an_address_of_both_kinds_asks_the_binding) {
    start_mip4();
    add_mip4_address("192.0.2.1", Mip4Role::kPlain, true);
    bind4();
    expect_in(from_node(kInIp, from_node_packet()), from_node_packet(63));
    channel::BindingSet dsmip = mip4_binding();
    dsmip.home_address = channel::WireAddress(kOtherNode);
    dsmip.flags = 0;
    dsmip.care_of_address = channel::WireAddress(v4("203.0.113.30"));
    apply(dsmip);
    const Bytes inner = ipv4(kOtherNode, kPeer, 17, Bytes(24, 1));
    const Result result = feed_packet(kOutside, ipv4(v4("203.0.113.30"), kHomeAgent4, 4, inner));
    EXPECT_EQ(sent(result), with_ttl(inner, 63));
    EXPECT_EQ(result.count("mip4.tun.in"), 0u);
    expect_drop(feed_packet(kOutside, ipv4(v4("203.0.113.31"), kHomeAgent4, 4, inner)),
                "dsmip.in.bad_outer");
    // Without any binding its home prefix says.
    expect_drop(feed_packet(kOutside, ipv4(kCareOf, kHomeAgent4, 4,
                                           ipv4(v4("192.0.2.77"), kPeer, 17, Bytes(24, 1)))),
                "mip6.rt.no_binding");
}

TEST_F(Mip4In, P21_a_mobile_ipv4_binding_is_none_of_dsmipv6) {
    start_mip4();
    add_address(kOutside, "192.0.2.9", 32, true);
    bind4();
    expect_drop(feed_packet(kOutside, ipv4(kCareOf, v4("192.0.2.9"), 4, from_node_packet())),
                "dsmip.in.bad_outer");
}

}  // namespace
}  // namespace homeport::golden

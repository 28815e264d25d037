// SPDX-License-Identifier: BSD-3-Clause
// Tunnels over IPv4 and UDP: P9, P10, P14, P15, out and in, and what is dropped of them.
#include "tests/golden/tunnel/dual_stack.hpp"

namespace homeport::golden {
namespace {

struct Form {
    const char* name;
    Encapsulation encapsulation;
    std::size_t overhead;   // packet-paths section 3
    std::size_t max_inner;  // at a path MTU of 1500
};
constexpr std::array kForms{
    Form{"P1_P14", Encapsulation::kIpv6, 40, 1460}, Form{"P9", Encapsulation::kIpv4, 20, 1480},
    Form{"P10", Encapsulation::kUdpIpv4, 28, 1472}, Form{"P15", Encapsulation::kUdpIpv6, 48, 1452}};

class Forms : public DualStack, public ::testing::WithParamInterface<Form> {
  protected:
    void SetUp() override {
        start_dual_stack();
        bind_by(GetParam().encapsulation);
    }
    void expect_outer(const Bytes& packet, const Bytes& inner) {
        ASSERT_EQ(packet.size(), inner.size() + GetParam().overhead);
        EXPECT_EQ(to_hex(behind(packet, GetParam().overhead)), to_hex(inner));
        switch (GetParam().encapsulation) {
            case Encapsulation::kIpv4:
                EXPECT_EQ(outer_of(packet, kCareOf4).protocol, plain_protocol(inner));
                break;
            case Encapsulation::kUdpIpv4:
                EXPECT_EQ(outer_of(packet, kCareOf4).protocol, 17);
                expect_udp(behind(packet, 20), 4191, kPortZ);
                EXPECT_EQ(load_be16(packet.data() + 26), 0) << "data goes without checksum";
                break;
            case Encapsulation::kUdpIpv6: {
                EXPECT_EQ(packet[6], 17);
                const Bytes datagram = behind(packet, 40);
                expect_udp(datagram, 4191, kPortZ);
                EXPECT_NE(load_be16(packet.data() + 46), 0);
                const std::uint64_t sum = pseudo_header_sum(
                    kHomeAgent, kCareOfAddress, static_cast<std::uint32_t>(datagram.size()), 17);
                EXPECT_EQ(checksum_finish(checksum_add(sum, datagram)), 0);
                break;
            }
            default:
                EXPECT_EQ(packet[6], plain_protocol(inner));
                break;
        }
    }
};
INSTANTIATE_TEST_SUITE_P(All, Forms, ::testing::ValuesIn(kForms),
                         [](const auto& form) { return std::string(form.param.name); });

TEST_P(Forms, S1_10_out_ipv6_and_ipv4_inside_in_batches) {
    for (const bool v4_inside : {false, true}) {
        for (const unsigned batch : kBatchSizes) {
            std::vector<Bytes> frames;
            for (unsigned i = 0; i < 67; ++i) {
                frames.push_back(to_port(kOutside, payload_to(v4_inside, 64, 24 + i)));
            }
            const std::uint64_t before = worker().binding_rows[v4_inside ? 1 : 0].out_bytes;
            const Result result = feed(kOutside, frames, batch);
            ASSERT_EQ(result.sent[kOutside].size(), 67u) << result.to_string();
            std::uint64_t octets = 0;
            for (unsigned i = 0; i < 67; ++i) {
                const Bytes inner = payload_to(v4_inside, 63, 24 + i);
                octets += inner.size();
                expect_outer(packet_in(result.sent[kOutside][i]), inner);
            }
            EXPECT_EQ(result.count("tun.out.ok"), 67u);
            EXPECT_EQ(worker().binding_rows[v4_inside ? 1 : 0].out_bytes - before, octets);
        }
    }
}

TEST_P(Forms, S1_10_in_ipv6_and_ipv4_inside_in_batches) {
    for (const bool v4_inside : {false, true}) {
        for (const unsigned batch : kBatchSizes) {
            std::vector<Bytes> frames;
            for (unsigned i = 0; i < 67; ++i) {
                frames.push_back(to_port(kOutside, tunnelled(GetParam().encapsulation,
                                                             payload_from(v4_inside, 64, 24 + i))));
            }
            const Result result = feed(kOutside, frames, batch);
            ASSERT_EQ(result.sent[kOutside].size(), 67u) << result.to_string();
            for (unsigned i = 0; i < 67; ++i) {
                EXPECT_EQ(packet_in(result.sent[kOutside][i]), payload_from(v4_inside, 63, 24 + i));
            }
            EXPECT_EQ(result.count("tun.in.ok"), 67u);
            EXPECT_EQ(result.dropped(), 0u);
        }
    }
}

TEST_P(Forms, one_node_to_another_of_the_same_home_agent) {
    const Ipv6Address other = v6("2001:db8:1::101");
    apply(binding_by(GetParam().encapsulation, other));
    const Bytes inner = ipv6(kHomeAddress, other, 17, udp6(kHomeAddress, other, 24));
    Bytes forwarded = inner;
    --forwarded[7];
    expect_outer(sent(feed_packet(kOutside, tunnelled(GetParam().encapsulation, inner))),
                 forwarded);
}

TEST_P(Forms, the_largest_inner_packet_and_one_octet_more) {
    const std::size_t most = GetParam().max_inner;
    const Bytes fits = payload_to(false, 64, most - 40);
    Bytes forwarded = fits;
    --forwarded[7];
    expect_outer(sent(feed_packet(kOutside, fits)), forwarded);
    const Result too_big = feed_packet(kOutside, payload_to(false, 64, most - 39));
    EXPECT_EQ(too_big.count("tun.out.ptb"), 1u) << too_big.to_string();
    ASSERT_EQ(too_big.sent[kOutside].size(), 1u) << too_big.to_string();
    const Bytes error = packet_in(too_big.sent[kOutside][0]);
    EXPECT_EQ(error[40], 2);
    EXPECT_EQ(load_be32(error.data() + 44), most);
    // IPv4 inside: DF set, fragmentation needed; without DF the outer packet goes in pieces.
    const auto inner4 = [&](std::uint16_t flags) {
        return ipv4(kCorrespondent4, kHomeAddress4, 17, Bytes(most - 19, 1),
                    {.ttl = 64, .flags_offset = flags});
    };
    const Result refused = feed_packet(kOutside, inner4(0x4000));
    EXPECT_EQ(refused.count("tun.out.ptb"), 1u) << refused.to_string();
    ASSERT_EQ(refused.sent[kOutside].size(), 1u) << refused.to_string();
    const Bytes needed = packet_in(refused.sent[kOutside][0]);
    EXPECT_EQ(needed[20], 3);
    EXPECT_EQ(needed[21], 4);
    EXPECT_EQ(load_be16(needed.data() + 26), most);
    const Result pieces = feed_packet(kOutside, inner4(0));
    EXPECT_EQ(pieces.sent[kOutside].size(), 2u) << pieces.to_string();
    EXPECT_EQ(pieces.count("tun.out.fragmented"), 1u);
}

TEST_P(Forms, ttl_of_the_inner_packet_counts_once_and_never_leaves_as_0) {
    const Result result = feed_packet(kOutside, payload_to(false, 1));
    EXPECT_EQ(result.count("tun.out.ttl"), 1u) << result.to_string();
    const Result in =
        feed_packet(kOutside, tunnelled(GetParam().encapsulation, payload_from(false, 1)));
    EXPECT_EQ(in.count("forward.ttl"), 1u) << in.to_string();
}

TEST_P(Forms, RFC6040_ecn_in_both_directions) {
    Bytes ect = payload_to(false, 64);
    ect[1] = 0x20;  // ECT(0)
    const Bytes out = sent(feed_packet(kOutside, ect));
    const int outer_class = out[0] >> 4 == 4 ? out[1] : (out[0] & 15) << 4 | out[1] >> 4;
    EXPECT_EQ(outer_class, 2);
    const auto congested = [&](const Bytes& inner) {
        Bytes packet = tunnelled(GetParam().encapsulation, inner);
        if (packet[0] >> 4 == 6) {
            packet[1] |= 0x30;
            return packet;
        }
        packet[1] |= 3;
        store_be16(packet.data() + 10, 0);
        store_be16(packet.data() + 10, internet_checksum(ConstByteSpan(packet).first(20)));
        return packet;
    };
    Bytes inner = payload_from(false, 64);
    expect_drop(feed_packet(kOutside, congested(inner)), "tun.in.ecn_drop");
    inner[1] = 0x20;
    EXPECT_EQ(sent(feed_packet(kOutside, congested(inner)))[1] & 0x30, 0x30);
}

TEST_P(Forms, reverse_tunnels_have_to_bring_the_source_of_their_binding) {
    const auto in = [&](const Bytes& inner) {
        return feed_packet(kOutside, tunnelled(GetParam().encapsulation, inner));
    };
    const Bytes payload = udp6(kHomeAddress, kCorrespondent, 24);
    expect_drop(in(ipv6(v6("2001:db8:1::999"), kCorrespondent, 17, payload)), "mip6.rt.no_binding");
    expect_drop(in(ipv6(v6("2001:db8:9::1"), kCorrespondent, 17, payload)), "mip6.rt.inner_src");
    for (const char* source : {"fe80::1", "::ffff:192.0.2.100", "::192.0.2.100"}) {
        expect_drop(in(ipv6(v6(source), kCorrespondent, 17, payload)), "tun.in.bad_inner_src");
    }
    expect_drop(in(ipv4(v4("127.0.0.1"), kCorrespondent4, 17, payload)), "tun.in.bad_inner_src");
    Bytes cut_off = payload_from(false, 64);
    cut_off.pop_back();
    expect_drop(in(cut_off), "tun.in.malformed");
    apply(binding_by(GetParam().encapsulation, kHomeAddress, channel::kBindingRequireEsp));
    expect_drop(in(payload_from(false, 64)), "mip6.rt.need_esp");
    unbind();
    expect_drop(in(payload_from(false, 64)), "mip6.rt.no_binding");
}

// --------------------------------------------------------------------------------- outer headers

class DualStackIn : public DualStack {
  protected:
    void SetUp() override { start_dual_stack(); }
};

TEST_F(DualStackIn, P9i_outer_source_must_be_the_bindings) {
    bind_by(Encapsulation::kIpv4);
    for (const bool v4_inside : {false, true}) {
        const Bytes inner = payload_from(v4_inside, 64);
        expect_drop(feed_packet(kOutside, tunnelled(Encapsulation::kIpv4, inner, 0, kElsewhere4)),
                    "dsmip.in.bad_outer");
        // Over IPv6 no more than over IPv4.
        expect_drop(feed_packet(kOutside, tunnelled(Encapsulation::kIpv6, inner)),
                    "mip6.rt.bad_src");
    }
}

TEST_F(DualStackIn, P10i_outer_source_and_port_must_be_the_bindings) {
    bind_by(Encapsulation::kUdpIpv4);
    const Bytes inner = payload_from(false, 64);
    const auto in = [&](Encapsulation form, std::uint16_t port, const Ipv4Address& source) {
        return feed_packet(kOutside, tunnelled(form, inner, port, source));
    };
    expect_drop(in(Encapsulation::kUdpIpv4, kPortZ + 1, kCareOf4), "dsmip.in.bad_outer");
    expect_drop(in(Encapsulation::kUdpIpv4, 0, kCareOf4), "dsmip.in.bad_outer");
    expect_drop(in(Encapsulation::kUdpIpv4, kPortZ, kElsewhere4), "dsmip.in.bad_outer");
    // Behind a NAT nothing comes without UDP.
    expect_drop(in(Encapsulation::kIpv4, kPortZ, kCareOf4), "dsmip.in.bad_outer");
    (void)sent(in(Encapsulation::kUdpIpv4, kPortZ, kCareOf4));
}

TEST_F(DualStackIn, P15_over_ipv6_udp_has_to_be_agreed_on) {
    bind_by(Encapsulation::kIpv6);
    expect_drop(feed_packet(kOutside, tunnelled(Encapsulation::kUdpIpv6, payload_from(false, 64))),
                "dsmip.in.bad_outer");
    bind_by(Encapsulation::kUdpIpv6);
    (void)sent(feed_packet(kOutside, tunnelled(Encapsulation::kUdpIpv6, payload_from(false, 64))));
}

TEST_F(DualStackIn, RFC5555_4_4_2_without_nat_the_answer_takes_the_form_of_the_last_packet) {
    bind_by(Encapsulation::kIpv4, channel::kBindingFollowForm);
    const auto form = [&] { return sent(feed_packet(kOutside, payload_to(false, 64)))[9]; };
    EXPECT_EQ(form(), 41) << "plain at the start";
    const Bytes inner = payload_from(false, 64);
    (void)sent(feed_packet(kOutside, tunnelled(Encapsulation::kUdpIpv4, inner)));
    EXPECT_EQ(form(), 17);
    // It changes the largest packet, too.
    EXPECT_EQ(feed_packet(kOutside, payload_to(false, 64, 1473 - 40)).count("tun.out.ptb"), 1u);
    // A refresh, a route that changes: nothing is forgotten.
    bind_by(Encapsulation::kIpv4, channel::kBindingFollowForm);
    add_route("203.0.113.0/24", kOutside, "198.18.0.2");
    EXPECT_EQ(form(), 17);
    // What is not valid changes nothing: a wrong port, a wrong address, an inner source of others.
    (void)sent(feed_packet(kOutside, tunnelled(Encapsulation::kIpv4, inner)));
    EXPECT_EQ(form(), 41);
    expect_drop(feed_packet(kOutside, tunnelled(Encapsulation::kUdpIpv4, inner, kPortZ + 1)),
                "dsmip.in.bad_outer");
    expect_drop(
        feed_packet(kOutside, tunnelled(Encapsulation::kUdpIpv4, inner, kPortZ, kElsewhere4)),
        "dsmip.in.bad_outer");
    EXPECT_EQ(form(), 41);
    (void)sent(feed_packet(kOutside, tunnelled(Encapsulation::kUdpIpv4, inner)));
    EXPECT_EQ(form(), 17);
    // Somewhere else it starts plain again.
    channel::BindingSet moved =
        binding_by(Encapsulation::kIpv4, kHomeAddress, channel::kBindingFollowForm);
    moved.care_of_address = channel::WireAddress(kElsewhere4);
    apply(moved);
    EXPECT_EQ(form(), 41);
}

TEST_F(DualStackIn, P10i_version_length_and_checksum) {
    bind_by(Encapsulation::kUdpIpv4);
    const Bytes inner = payload_from(false, 64);
    const auto datagram = [](const Bytes& octets) {
        return ipv4(kCareOf4, kHomeAgent4, 17, octets);
    };
    const auto in = [&](const Bytes& payload) {
        return feed_packet(kOutside, datagram(udp4(kCareOf4, kPortZ, kHomeAgent4, 4191, payload)));
    };
    expect_drop(in({}), "dsmip.in.short");
    expect_drop(in(Bytes(20, 0x50)), "dsmip.in.bad_version");
    expect_drop(in(Bytes(20, 0xf0)), "dsmip.in.bad_version");
    expect_drop(in(Bytes(20, 0x00)), "dsmip.in.bad_version");  // no TLV header in RFC 5555
    expect_drop(in(Bytes(39, 0x60)), "tun.in.malformed");
    Bytes lies = udp4(kCareOf4, kPortZ, kHomeAgent4, 4191, inner);
    for (const std::size_t length : {std::size_t{0}, std::size_t{7}, lies.size() + 1}) {
        store_be16(lies.data() + 4, static_cast<std::uint16_t>(length));
        expect_drop(feed_packet(kOutside, datagram(lies)), "dsmip.in.short");
    }
    store_be16(lies.data() + 4, static_cast<std::uint16_t>(lies.size() - 1));
    expect_drop(feed_packet(kOutside, datagram(lies)), "tun.in.malformed");
    Bytes summed = udp4(kCareOf4, kPortZ, kHomeAgent4, 4191, inner, true);
    (void)sent(feed_packet(kOutside, datagram(summed)));
    summed[30] ^= 1;
    expect_drop(feed_packet(kOutside, datagram(summed)), "dsmip.in.cksum");
    for (std::size_t there = 4; there < 8; ++there) {
        expect_drop(feed_packet(kOutside,
                                datagram(Bytes(lies.begin(),
                                               lies.begin() + static_cast<std::ptrdiff_t>(there)))),
                    "dsmip.in.short");
    }
}

TEST_F(DualStackIn, RFC8200_8_1_udp_over_ipv6_without_checksum_is_dropped) {
    bind_by(Encapsulation::kUdpIpv6);
    Bytes packet = tunnelled(Encapsulation::kUdpIpv6, payload_from(false, 64));
    store_be16(packet.data() + 46, 0);
    expect_drop(feed_packet(kOutside, packet), "dsmip.in.cksum");
}

TEST_F(DualStackIn, RFC5845_tlv_header_only_when_it_is_on) {
    bind_by(Encapsulation::kUdpIpv4);
    for (const bool v4_inside : {false, true}) {
        const Bytes inner = payload_from(v4_inside, 64);
        Bytes with_header{0, plain_protocol(inner), 0, static_cast<std::uint8_t>(inner.size())};
        append(with_header, inner);
        channel::ParametersSet parameters;
        parameters.tlv_header = 0;
        apply(parameters);
        expect_drop(feed_packet(kOutside, tunnelled(Encapsulation::kUdpIpv4, with_header)),
                    "dsmip.in.bad_version");
        parameters.tlv_header = 1;
        apply(parameters);
        EXPECT_EQ(tunnelled(Encapsulation::kUdpIpv4, with_header).size(), inner.size() + 32);
        EXPECT_EQ(sent(feed_packet(kOutside, tunnelled(Encapsulation::kUdpIpv4, with_header))),
                  payload_from(v4_inside, 63));
        with_header[3] = static_cast<std::uint8_t>(with_header[3] + 1);
        expect_drop(feed_packet(kOutside, tunnelled(Encapsulation::kUdpIpv4, with_header)),
                    "dsmip.in.short");
    }
}

TEST_F(DualStackIn, other_udp_is_the_kernels_and_proxy_ports_are_nobodys) {
    bind_by(Encapsulation::kUdpIpv4);
    const auto to = [&](std::uint16_t port) {
        return feed_packet(kOutside, ipv4(kCareOf4, kHomeAgent4, 17,
                                          udp4(kCareOf4, 9, kHomeAgent4, port, Bytes(60, 0x60))));
    };
    for (const std::uint16_t port : {std::uint16_t{500}, std::uint16_t{53}, std::uint16_t{434}}) {
        EXPECT_EQ(to(port).kernel[kOutside].size(), 1u) << port;
    }
    for (const std::uint16_t port : {std::uint16_t{5436}, std::uint16_t{5437}}) {
        expect_drop(to(port), "tun.in.unknown");
    }
    // An address of ours at which no tunnels end.
    const Ipv4Address other = v4("198.18.0.1");
    EXPECT_EQ(feed_packet(kOutside, ipv4(kCareOf4, other, 17,
                                         udp4(kCareOf4, 9, other, 4191, Bytes(60, 0x60))))
                  .kernel[kOutside]
                  .size(),
              1u);
}

TEST_F(DualStackIn, fragments_of_tunnel_packets_are_reassembled_first) {
    for (const Form& form : kForms) {
        if (form.encapsulation == Encapsulation::kIpv6 ||
            form.encapsulation == Encapsulation::kUdpIpv6)
            continue;
        bind_by(form.encapsulation);
        for (const bool v4_inside : {false, true}) {
            const Bytes whole = tunnelled(form.encapsulation, payload_from(v4_inside, 64, 1000));
            const Bytes payload = behind(whole, 20);
            const auto piece = [&](std::size_t from, std::size_t to, std::uint16_t flags) {
                Bytes part = ipv4(kCareOf4, kHomeAgent4, whole[9],
                                  Bytes(payload.begin() + static_cast<std::ptrdiff_t>(from),
                                        payload.begin() + static_cast<std::ptrdiff_t>(to)),
                                  {.flags_offset = static_cast<std::uint16_t>(flags | from / 8)});
                return to_port(kOutside, part);
            };
            const std::array frames{piece(480, payload.size(), 0), piece(0, 480, 0x2000)};
            const Result result = feed(kOutside, frames);
            ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
            EXPECT_EQ(packet_in(result.sent[kOutside][0]), payload_from(v4_inside, 63, 1000));
            EXPECT_EQ(result.count("reasm.ok"), 1u);
        }
    }
}

// ------------------------------------------------------------------------------------------ MTU

TEST_F(DualStackIn, RFC4213_3_2_2_a_path_on_which_ipv6_does_not_fit) {
    channel::BindingSet record = binding_by(Encapsulation::kIpv4, kHomeAddress);
    record.path_mtu = 1290;
    apply(record);
    const Result too_big = feed_packet(kOutside, payload_to(false, 64, 1281 - 40));
    ASSERT_EQ(too_big.sent[kOutside].size(), 1u) << too_big.to_string();
    EXPECT_EQ(load_be32(packet_in(too_big.sent[kOutside][0]).data() + 44), 1280u);
    const Result pieces = feed_packet(kOutside, payload_to(false, 64, 1280 - 40));
    ASSERT_EQ(pieces.sent[kOutside].size(), 2u) << pieces.to_string();
    const Bytes first = packet_in(pieces.sent[kOutside][0]);
    const Bytes second = packet_in(pieces.sent[kOutside][1]);
    EXPECT_LE(first.size(), 1290u);
    EXPECT_EQ(load_be16(first.data() + 6) & 0xe000, 0x2000);
    EXPECT_EQ(load_be16(first.data() + 4), load_be16(second.data() + 4));
    EXPECT_EQ(first.size() - 20 + second.size() - 20, 1280u);
    // Small ones may be fragmented on their way.
    EXPECT_FALSE(
        outer_of(sent(feed_packet(kOutside, payload_to(false, 64))), kCareOf4).dont_fragment());
    bind_by(Encapsulation::kIpv4);
    EXPECT_TRUE(
        outer_of(sent(feed_packet(kOutside, payload_to(false, 64))), kCareOf4).dont_fragment());
}

/// An ICMPv4 error about `packet`, of which `quoted` octets come back.
Bytes icmp4(std::uint8_t type, std::uint8_t code, std::uint16_t mtu, const Bytes& packet,
            std::size_t quoted) {
    Bytes message{type,
                  code,
                  0,
                  0,
                  0,
                  0,
                  static_cast<std::uint8_t>(mtu >> 8),
                  static_cast<std::uint8_t>(mtu)};
    append(message, Bytes(packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(
                                                               std::min(quoted, packet.size()))));
    store_be16(message.data() + 2, internet_checksum(message));
    return ipv4(v4("203.0.113.254"), kHomeAgent4, 1, message);
}

TEST_F(DualStackIn, RFC2003_5_fragmentation_needed_is_learnt_and_relayed) {
    for (const Form& form : kForms) {
        if (form.encapsulation != Encapsulation::kIpv4 &&
            form.encapsulation != Encapsulation::kUdpIpv4)
            continue;
        bind_by(form.encapsulation);
        const auto overhead = static_cast<std::uint32_t>(form.overhead);
        const Bytes out = sent(feed_packet(kOutside, payload_to(false, 64, 1400)));
        const Result result = feed_packet(kOutside, icmp4(3, 4, 1400, out, 548));
        ASSERT_EQ(result.requests.size(), 1u) << result.to_string();
        EXPECT_EQ(result.requests[0].kind, stage::MainRequest::Kind::kPathMtu);
        EXPECT_EQ(result.requests[0].home_address, kHomeAddress);
        EXPECT_EQ(result.requests[0].mtu, 1400u);
        EXPECT_EQ(result.count("icmp.relayed"), 1u);
        ASSERT_EQ(result.sent[kOutside].size(), 1u);
        const Bytes relayed = packet_in(result.sent[kOutside][0]);
        EXPECT_EQ(relayed[40], 2);
        EXPECT_EQ(load_be32(relayed.data() + 44), 1400 - overhead);
        EXPECT_EQ(Ipv6Address::load(relayed.data() + 24), kCorrespondent);

        const Bytes out4 =
            sent(feed_packet(kOutside, ipv4(kCorrespondent4, kHomeAddress4, 17, Bytes(1400, 1),
                                            {.ttl = 64, .flags_offset = 0x4000})));
        EXPECT_TRUE(outer_of(out4, kCareOf4).dont_fragment());
        const Result about4 = feed_packet(kOutside, icmp4(3, 4, 1200, out4, 548));
        ASSERT_EQ(about4.sent[kOutside].size(), 1u) << about4.to_string();
        const Bytes relayed4 = packet_in(about4.sent[kOutside][0]);
        EXPECT_EQ(relayed4[20], 3);
        EXPECT_EQ(relayed4[21], 4);
        EXPECT_EQ(load_be16(relayed4.data() + 26), 1200 - overhead);
        // A router that does not say how much (RFC 1191).
        const Result silent = feed_packet(kOutside, icmp4(3, 4, 0, out, 548));
        ASSERT_EQ(silent.requests.size(), 1u);
        EXPECT_EQ(silent.requests[0].mtu, out.size() > 1492 ? 1492u : 1280u);
        // Other errors: the host cannot be reached.
        const Result unreachable = feed_packet(kOutside, icmp4(3, 1, 0, out, 548));
        ASSERT_EQ(unreachable.sent[kOutside].size(), 1u) << unreachable.to_string();
        EXPECT_EQ(packet_in(unreachable.sent[kOutside][0])[40], 1);
        EXPECT_EQ(packet_in(unreachable.sent[kOutside][0])[41], 3);
        // Too little is quoted to tell whose it was.
        expect_drop(feed_packet(kOutside, icmp4(3, 1, 0, out, 28)), "icmp.relay_short");
        // A checksum that is wrong, and a packet that was never ours: the kernel's.
        Bytes bad = icmp4(3, 4, 1400, out, 548);
        bad[60] ^= 1;
        EXPECT_EQ(feed_packet(kOutside, bad).kernel[kOutside].size(), 1u);
        Bytes foreign = out;
        foreign[19] ^= 1;
        const Result not_ours = feed_packet(kOutside, icmp4(3, 4, 1400, foreign, 548));
        EXPECT_EQ(not_ours.kernel[kOutside].size(), 1u) << not_ours.to_string();
        EXPECT_TRUE(not_ours.requests.empty());
    }
}

TEST_F(DualStackIn, RFC2003_4_28_octets_are_enough_for_the_next_packet_to_get_its_error) {
    for (const Form& form : kForms) {
        if (form.encapsulation != Encapsulation::kIpv4 &&
            form.encapsulation != Encapsulation::kUdpIpv4)
            continue;
        channel::BindingRemove none;
        none.home_address = channel::WireAddress(kHomeAddress);
        apply(none);
        bind_by(form.encapsulation);
        const Bytes big = payload_to(false, 64, 1400);
        const Bytes out = sent(feed_packet(kOutside, big));
        const Result result = feed_packet(kOutside, icmp4(3, 4, 1400, out, 28));
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
        ASSERT_EQ(result.requests.size(), 1u) << result.to_string();
        const stage::MainRequest& request = result.requests[0];
        EXPECT_EQ(request.kind, stage::MainRequest::Kind::kTunnelPathMtu);
        EXPECT_EQ(request.home_address, table::v4_mapped(kCareOf4));
        EXPECT_EQ(request.port, form.encapsulation == Encapsulation::kUdpIpv4 ? kPortZ : 0);
        EXPECT_EQ(request.mtu, 1400u);
        // As the main lcore does.
        state().writer().path_mtu_towards(request.home_address, request.port, request.mtu);
        for (int i = 0; i < 100; ++i) (void)state().writer().poll(1, 64);
        const Result refused = feed_packet(kOutside, big);
        ASSERT_EQ(refused.sent[kOutside].size(), 1u) << refused.to_string();
        const Bytes error = packet_in(refused.sent[kOutside][0]);
        EXPECT_EQ(error[40], 2) << "Packet Too Big";
        EXPECT_EQ(load_be32(error.data() + 44), 1400 - form.overhead);
        EXPECT_EQ(refused.count("icmp.sent"), 1u);
        // Not about a packet that is larger than what fits, or about one that was not ours.
        expect_drop(feed_packet(kOutside, icmp4(3, 4, 1500, out, 28)), "icmp.relay_short");
        Bytes foreign = out;
        foreign[15] ^= 1;
        EXPECT_TRUE(feed_packet(kOutside, icmp4(3, 4, 1300, foreign, 28)).requests.empty());
    }
    channel::ParametersSet parameters;
    parameters.believe_packet_too_big = 0;
    apply(parameters);
    const Bytes out = sent(feed_packet(kOutside, payload_to(false, 64, 1200)));
    const Result ignored = feed_packet(kOutside, icmp4(3, 4, 600, out, 28));
    EXPECT_TRUE(ignored.requests.empty());
    EXPECT_EQ(ignored.count(Counter::kIcmpTooBigIgnored), 1u) << ignored.to_string();
}

TEST_F(DualStackIn, an_echo_request_to_the_home_agent_is_the_kernels) {
    EXPECT_EQ(feed_packet(kOutside, icmp4(8, 0, 0, Bytes(64, 1), 64)).kernel[kOutside].size(), 1u);
}

}  // namespace
}  // namespace homeport::golden

// SPDX-License-Identifier: BSD-3-Clause
// Sealed payload over IPv4: P13 and P13i with and without UDP 4500, the nested form of S1.19, and
// how the mapping of UDP 4500 is learnt. With and without fresh buffers at both edges of IPsec.
#include "tests/golden/tunnel/dual_stack.hpp"

namespace homeport::golden {
namespace {

constexpr std::uint16_t kSealed = channel::kBindingProtected;

class SealedDualStack : public DualStack, public ::testing::WithParamInterface<bool> {
  protected:
    void SetUp() override { start_dual_stack(true, GetParam()); }

    /// Nested in UDP 4191, to where the binding update came from, for want of a mapping on UDP
    /// 4500. Returns the sequence number.
    static std::uint32_t expect_nested(const Result& result) {
        const Bytes packet = sent(result);
        if (packet.size() < 76) {
            ADD_FAILURE() << "a packet of " << packet.size() << " octets";
            return 0;
        }
        EXPECT_EQ(packet[9], 17);
        EXPECT_EQ(load_be16(packet.data() + 20), 4191);
        EXPECT_EQ(load_be16(packet.data() + 22), kPortZ);
        EXPECT_EQ(packet[28] >> 4, 6);
        EXPECT_EQ(packet[28 + 6], 50);
        EXPECT_EQ(Ipv6Address::load(packet.data() + 28 + 24), kHomeAddress);
        return load_be32(packet.data() + 72);
    }

    static Bytes nested(const Bytes& sealed, std::uint16_t port = kPortZ,
                        const Ipv4Address& source = kCareOf4) {
        return ipv4(source, kHomeAgent4, 17, udp4(source, port, kHomeAgent4, 4191, sealed));
    }
    /// A packet of the node in each form that it may take.
    Bytes sealed_in(int form, const Bytes& inner) {
        if (form == 0) return ipv4(kCareOf4, kHomeAgent4, 50, esp_of(inner));
        if (form == 1) return in_4500(esp_of(inner));
        return nested(mobile_node_.seal(inner));
    }
    /// What is inside the ESP of a packet that was sent in that form.
    Bytes opened_from(int form, const Bytes& packet) {
        if (form == 0) {
            EXPECT_EQ(outer_of(packet, kCareOf4).protocol, 50);
            return opened(behind(packet, 20));
        }
        EXPECT_EQ(outer_of(packet, kCareOf4).protocol, 17);
        if (form == 1) {
            expect_udp(behind(packet, 20), 4500, kPortY);
            EXPECT_EQ(load_be16(packet.data() + 26), 0);
            return opened(behind(packet, 28));
        }
        expect_udp(behind(packet, 20), 4191, kPortZ);
        const Bytes sealed = behind(packet, 28);
        EXPECT_EQ(Ipv6Address::load(sealed.data() + 24), kHomeAddress);
        return mobile_node_.open(sealed);
    }
    void bind_form(int form) {
        constexpr std::array kEncapsulations{Encapsulation::kIpv4, Encapsulation::kUdpIpv4,
                                             Encapsulation::kUdpIpv4};
        const std::uint16_t nested_flag = form == 2 ? channel::kBindingNestedEsp : 0;
        bind_by(kEncapsulations[static_cast<std::size_t>(form)],
                static_cast<std::uint16_t>(kSealed | nested_flag));
        if (form == 1) teach_mapping();
    }
};
INSTANTIATE_TEST_SUITE_P(FreshBuffers, SealedDualStack, ::testing::Bool());

constexpr tunnel::Layer kGcm = tunnel::esp_layer(8, 4, 16);
constexpr std::array kPlainStack{tunnel::kIpv4Layer, kGcm};
constexpr std::array kUdpStack{tunnel::kIpv4Layer, tunnel::kUdpLayer, kGcm};
constexpr std::array kNestedStack{tunnel::kIpv4Layer, tunnel::kUdpLayer, tunnel::kIpv6Layer, kGcm};
constexpr std::array<std::span<const tunnel::Layer>, 3> kStacks{kPlainStack, kUdpStack,
                                                                kNestedStack};
constexpr std::array<std::size_t, 3> kLeastOverhead{54, 62, 102};

TEST_P(SealedDualStack, P13_S1_19_out_in_every_form_and_batch) {
    for (int form = 0; form < 3; ++form) {
        bind_form(form);
        for (const bool v4_inside : {false, true}) {
            for (const unsigned batch : kBatchSizes) {
                std::vector<Bytes> frames;
                for (unsigned i = 0; i < 67; ++i) {
                    frames.push_back(to_port(kOutside, payload_to(v4_inside, 64, 24 + i)));
                }
                const Result result = feed(kOutside, frames, batch);
                ASSERT_EQ(result.sent[kOutside].size(), 67u) << form << ' ' << result.to_string();
                EXPECT_EQ(result.count("tun.out.rewritten"), 67u);
                for (unsigned i = 0; i < 67; ++i) {
                    const Bytes packet = packet_in(result.sent[kOutside][i]);
                    const Bytes inner = payload_to(v4_inside, 63, 24 + i);
                    EXPECT_EQ(opened_from(form, packet), inner) << form;
                    const auto at = static_cast<std::size_t>(form);
                    const std::size_t added = packet.size() - inner.size();
                    EXPECT_EQ(added, tunnel::overhead(kStacks[at],
                                                      static_cast<std::uint32_t>(inner.size())));
                    EXPECT_GE(added, kLeastOverhead[at]);
                    EXPECT_LE(added, kLeastOverhead[at] + 3);
                }
            }
        }
    }
}

TEST_P(SealedDualStack, P13i_in_every_form_and_batch) {
    for (int form = 0; form < 3; ++form) {
        bind_form(form);
        for (const bool v4_inside : {false, true}) {
            for (const unsigned batch : kBatchSizes) {
                std::vector<Bytes> frames;
                for (unsigned i = 0; i < 67; ++i) {
                    frames.push_back(
                        to_port(kOutside, sealed_in(form, payload_from(v4_inside, 64, 24 + i))));
                }
                const Result result = feed(kOutside, frames, batch);
                ASSERT_EQ(result.sent[kOutside].size(), 67u) << form << ' ' << result.to_string();
                for (unsigned i = 0; i < 67; ++i) {
                    EXPECT_EQ(packet_in(result.sent[kOutside][i]),
                              payload_from(v4_inside, 63, 24 + i));
                }
                EXPECT_EQ(result.dropped(), 0u);
                EXPECT_EQ(result.count("udp4500.esp"), form == 1 ? 67u : 0u);
            }
        }
    }
}

TEST_P(SealedDualStack, P13_vectors_C5_rewritten_v4_and_v4udp) {
    for (const bool in_udp : {false, true}) {
        channel::SaRemove old;
        old.spi = kSpiPayloadOut;
        old.direction = channel::SaDirection::kOutbound;
        old.peer = channel::WireAddress(kHomeAddress);
        old.policy_id = kPolicyPayload;
        apply(old);
        add_tunnel(channel::SaDirection::kOutbound, kSpiPayloadOut, 0xc0, kPolicyPayload,
                   kC5Sequence);
        // The vectors' headers have neither DF nor an identification.
        channel::BindingSet record = binding_by(
            in_udp ? Encapsulation::kUdpIpv4 : Encapsulation::kIpv4, kHomeAddress, kSealed);
        record.path_mtu = 1280;
        apply(record);
        if (in_udp) teach_mapping();
        worker().identification = 0;
        Bytes inner = test::kC5Inner;
        inner[7] = 64;
        const Bytes packet = sent(feed_packet(kOutside, inner));
        const char* const header = in_udp
                                       ? "450000800000000040117c64c0000201cb0071071194ee49006c0000"
                                       : "450000780000000040327c4bc0000201cb007107";
        EXPECT_EQ(to_hex(packet),
                  to_hex(concat({test::from_hex(header), behind(test::kC5IpsecOut, 40)})));
    }
}

TEST_P(SealedDualStack,
       P13_S1_19_before_its_port_on_4500_is_known_a_node_behind_a_nat_gets_it_nested) {
    bind_by(Encapsulation::kUdpIpv4, kSealed);
    (void)expect_nested(feed_packet(kOutside, payload_to(false, 64)));
    const Bytes inner = payload_from(false, 64);
    const Result learnt = feed_packet(kOutside, in_4500(esp_of(inner)));
    EXPECT_EQ(sent(learnt), payload_from(false, 63));
    ASSERT_EQ(learnt.requests.size(), 1u);
    EXPECT_EQ(learnt.requests[0].kind, stage::MainRequest::Kind::kEspMapping);
    EXPECT_EQ(learnt.requests[0].home_address, kHomeAddress);
    EXPECT_EQ(learnt.requests[0].port, kPortY);
    EXPECT_EQ(mapping_in_use(), std::pair(kCareOf4, kPortY)) << "Y, and never Z";
    EXPECT_TRUE(feed_packet(kOutside, in_4500(esp_of(inner))).requests.empty()) << "once";
}

TEST_P(SealedDualStack, RFC3947_5_3_an_authentic_packet_moves_the_mapping) {
    bind_by(Encapsulation::kUdpIpv4, kSealed);
    teach_mapping();
    teach_mapping(kPortY + 1);
    EXPECT_EQ(mapping_in_use(), std::pair(kCareOf4, std::uint16_t{kPortY + 1}));
    teach_mapping(kPortY + 2, kElsewhere4);
    EXPECT_EQ(mapping_in_use(), std::pair(kElsewhere4, std::uint16_t{kPortY + 2}));
    // A refresh keeps it, a change of routes too, another care-of address does not.
    bind_by(Encapsulation::kUdpIpv4, kSealed);
    add_route("203.0.113.0/24", kOutside, "198.18.0.2");
    EXPECT_EQ(mapping_in_use(), std::pair(kElsewhere4, std::uint16_t{kPortY + 2}));
    channel::BindingSet moved = binding_by(Encapsulation::kUdpIpv4, kHomeAddress, kSealed);
    moved.care_of_address = channel::WireAddress(v4("203.0.113.9"));
    apply(moved);
    (void)expect_nested(feed_packet(kOutside, payload_to(false, 64)));
    unbind();
    apply(moved);
    (void)expect_nested(feed_packet(kOutside, payload_to(false, 64)));
}

TEST_P(SealedDualStack, S1_68_forged_and_replayed_packets_move_nothing) {
    bind_by(Encapsulation::kUdpIpv4, kSealed);
    const Bytes first = esp_of(payload_from(false, 64));
    (void)sent(feed_packet(kOutside, in_4500(first)));
    Bytes forged = esp_of(payload_from(false, 64));
    forged[20] ^= 1;
    expect_drop(feed_packet(kOutside, in_4500(forged, 7, kElsewhere4)), "ipsec.in.icv");
    expect_drop(feed_packet(kOutside, in_4500(first, 7, kElsewhere4)), "ipsec.in.replay");
    EXPECT_EQ(mapping_in_use(), std::pair(kCareOf4, kPortY));
    // In one batch with honest packets, before, between and behind them.
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        for (unsigned i = 0; i < 33; ++i) {
            frames.push_back(
                to_port(kOutside, in_4500(i % 2 == 0 ? forged : first, 7, kElsewhere4)));
            frames.push_back(to_port(kOutside, in_4500(esp_of(payload_from(false, 64)))));
        }
        frames.push_back(to_port(kOutside, in_4500(forged, 8, kElsewhere4)));
        const Result result = feed(kOutside, frames, batch);
        EXPECT_EQ(result.sent[kOutside].size(), 33u) << result.to_string();
        EXPECT_EQ(result.dropped(), 34u);
        EXPECT_TRUE(result.requests.empty());
        EXPECT_EQ(mapping_in_use(), std::pair(kCareOf4, kPortY));
    }
}

TEST_P(SealedDualStack, S1_9_a_new_mapping_in_the_midst_of_a_batch) {
    bind_by(Encapsulation::kUdpIpv4, kSealed);
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        for (unsigned i = 0; i < 67; ++i) {
            const auto port = static_cast<std::uint16_t>(1000 + batch * 2 + (i > 30 ? 1 : 0));
            frames.push_back(
                to_port(kOutside, in_4500(esp_of(payload_from(false, 64, 24 + i)), port)));
        }
        const Result result = feed(kOutside, frames, batch);
        ASSERT_EQ(result.sent[kOutside].size(), 67u) << result.to_string();
        for (unsigned i = 0; i < 67; ++i) {
            EXPECT_EQ(packet_in(result.sent[kOutside][i]), payload_from(false, 63, 24 + i))
                << "in order";
        }
        EXPECT_EQ(mapping_in_use().second, 1000 + batch * 2 + 1);
    }
}

TEST_P(SealedDualStack, two_nodes_behind_one_nat_have_mappings_of_their_own) {
    const Ipv6Address other = v6("2001:db8:1::101");
    bind_by(Encapsulation::kUdpIpv4, kSealed);
    apply(binding_by(Encapsulation::kUdpIpv4, other, kSealed));
    teach_mapping();
    EXPECT_EQ(mapping_in_use(), std::pair(kCareOf4, kPortY));
    const table::BindingTable& bindings = state().tables().bindings;
    const std::uint32_t slot = bindings.find(other);
    EXPECT_FALSE(state().tables().return_paths.esp_mapping(slot, bindings.at(slot)).has_value());
}

TEST_P(SealedDualStack, RFC5555_4_4_2_without_nat_sealed_packets_follow_too) {
    bind_by(Encapsulation::kIpv4, kSealed | channel::kBindingFollowForm);
    EXPECT_EQ(mapping_in_use().second, 0) << "plain at the start";
    teach_mapping();
    EXPECT_EQ(mapping_in_use(), std::pair(kCareOf4, kPortY));
    (void)sent(feed_packet(kOutside, sealed_in(0, payload_from(false, 64))));
    EXPECT_EQ(mapping_in_use().second, 0);
    // Without the flag both are taken and the answer stays as the binding says.
    bind_by(Encapsulation::kIpv4, kSealed);
    teach_mapping();
    EXPECT_EQ(mapping_in_use().second, 0);
}

TEST_P(SealedDualStack, P13i_check_esp_outer) {
    bind_by(Encapsulation::kIpv4, kSealed);
    const auto from = [&](const Ipv4Address& source) {
        return feed_packet(kOutside,
                           ipv4(source, kHomeAgent4, 50, esp_of(payload_from(false, 64))));
    };
    (void)sent(from(kElsewhere4));
    check_outer(channel::EspOuterCheck::kCount);
    EXPECT_EQ(from(kElsewhere4).count("mip6.rt.esp_src_seen"), 1u);
    EXPECT_EQ(from(kCareOf4).count("mip6.rt.esp_src_seen"), 0u);
    check_outer(channel::EspOuterCheck::kDrop);
    expect_drop(from(kElsewhere4), "mip6.rt.esp_src");
    (void)sent(from(kCareOf4));
    // In UDP the port may be any, the nested form is asked the same.
    (void)sent(feed_packet(kOutside, in_4500(esp_of(payload_from(false, 64)), 5)));
    expect_drop(feed_packet(kOutside, in_4500(esp_of(payload_from(false, 64)), 5, kElsewhere4)),
                "mip6.rt.esp_src");
    const Bytes sealed = mobile_node_.seal(payload_from(false, 64));
    expect_drop(feed_packet(kOutside, nested(sealed, kPortZ, kElsewhere4)), "mip6.rt.esp_src");
    (void)sent(feed_packet(kOutside, nested(sealed)));
}

TEST_P(SealedDualStack, RFC3948_2_what_else_comes_to_port_4500) {
    bind_by(Encapsulation::kUdpIpv4, kSealed);
    const Result keepalive = feed_packet(kOutside, in_4500({0xff}));
    EXPECT_EQ(keepalive.count("udp4500.keepalive"), 1u) << keepalive.to_string();
    EXPECT_EQ(keepalive.dropped(), 0u);
    const Bytes ike = in_4500(concat({Bytes(4, 0), Bytes(28, 1)}));
    const Result to_ike = feed_packet(kOutside, ike);
    EXPECT_EQ(to_ike.count("udp4500.ike"), 1u);
    ASSERT_EQ(to_ike.kernel[kOutside].size(), 1u) << to_ike.to_string();
    EXPECT_EQ(packet_in(to_ike.kernel[kOutside][0]), ike) << "untouched";
    for (const Bytes& bad : {Bytes{}, Bytes{0xfe}, Bytes(3, 0xff), Bytes(4, 0), Bytes(7, 1)}) {
        expect_drop(feed_packet(kOutside, in_4500(bad)), "udp4500.bad");
    }
    expect_drop(feed_packet(kOutside, in_4500(concat({{0x77, 0, 0, 1, 0, 0, 0, 1}, Bytes(40)}))),
                "ipsec.in.no_sa");
    Bytes summed = udp4(kCareOf4, kPortY, kHomeAgent4, 4500, esp_of(payload_from(false, 64)), true);
    (void)sent(feed_packet(kOutside, ipv4(kCareOf4, kHomeAgent4, 17, summed)));
    summed[40] ^= 1;
    expect_drop(feed_packet(kOutside, ipv4(kCareOf4, kHomeAgent4, 17, summed)), "dsmip.in.cksum");
    // Neither ESP over IPv4 that is cut off, nor one of nobody.
    expect_drop(feed_packet(kOutside, ipv4(kCareOf4, kHomeAgent4, 50, Bytes(7, 1))),
                "ipsec.in.malformed");
    expect_drop(feed_packet(kOutside, ipv4(kCareOf4, kHomeAgent4, 50, Bytes(40, 0x77))),
                "ipsec.in.no_sa");
    EXPECT_EQ(feed_packet(kOutside, payload_to(false, 64)).count("dsmip.out.no_4500_mapping"), 0u);
}

TEST_P(SealedDualStack, plain_packets_of_a_protected_node_are_dropped_over_ipv4_too) {
    bind_by(Encapsulation::kUdpIpv4, kSealed);
    expect_drop(feed_packet(kOutside, tunnelled(Encapsulation::kUdpIpv4, payload_from(false, 64))),
                "mip6.rt.need_esp");
    bind_by(Encapsulation::kIpv4, kSealed);
    expect_drop(feed_packet(kOutside, tunnelled(Encapsulation::kIpv4, payload_from(true, 64))),
                "mip6.rt.need_esp");
}

TEST_P(SealedDualStack, S1_11_S1_13_S1_14_one_sequence_over_every_kind_of_network) {
    std::uint32_t next = 1;
    const auto expect_next = [&](const Bytes& packet, std::size_t esp_at) {
        ASSERT_GE(packet.size(), esp_at + 8);
        EXPECT_EQ(load_be32(packet.data() + esp_at + 4), next++);
    };
    bind_protected();
    expect_next(sent(feed_packet(kOutside, payload_to(false, 64))), 40);
    bind_by(Encapsulation::kUdpIpv4, kSealed);
    EXPECT_EQ(expect_nested(feed_packet(kOutside, payload_to(false, 64))), next++);
    teach_mapping();
    expect_next(sent(feed_packet(kOutside, payload_to(false, 64))), 28);
    bind_by(Encapsulation::kIpv4, kSealed);
    expect_next(sent(feed_packet(kOutside, payload_to(false, 64))), 20);
    bind_by(Encapsulation::kUdpIpv6, kSealed);
    expect_next(sent(feed_packet(kOutside, payload_to(false, 64))), 40);
    bind_by(Encapsulation::kIpv4, kSealed | channel::kBindingNestedEsp);
    expect_next(sent(feed_packet(kOutside, payload_to(false, 64))), 68);
}

TEST_P(SealedDualStack, S1_22_fragmentation_needed_about_a_sealed_packet) {
    bind_by(Encapsulation::kUdpIpv4, kSealed);
    teach_mapping();
    const Bytes out = sent(feed_packet(kOutside, payload_to(false, 64, 1300)));
    Bytes message{3, 4, 0, 0, 0, 0, 0x05, 0x14};
    append(message, Bytes(out.begin(), out.begin() + 64));
    store_be16(message.data() + 2, internet_checksum(message));
    const Result result = feed_packet(kOutside, ipv4(v4("203.0.113.254"), kHomeAgent4, 1, message));
    ASSERT_EQ(result.requests.size(), 1u) << result.to_string();
    EXPECT_EQ(result.requests[0].kind, stage::MainRequest::Kind::kSealedPathMtu);
    EXPECT_EQ(result.requests[0].home_address, table::v4_mapped(kCareOf4));
    EXPECT_EQ(result.requests[0].spi, kSpiPayloadOut);
    EXPECT_EQ(result.requests[0].mtu, 1300u);
}

TEST_P(SealedDualStack, P15_S1_35_a_mobility_header_in_plaintext_meets_the_policy) {
    bind_by(Encapsulation::kUdpIpv6);
    const auto in_udp = [](const Bytes& inner) {
        return tunnelled(Encapsulation::kUdpIpv6, inner);
    };
    // A binding update that is not sealed: as over IPv4, and with a Home Address option.
    const Bytes update = ipv6(kHomeAddress, kHomeAgent, 135, kC1BindingUpdate);
    expect_drop(feed_packet(kOutside, in_udp(update)), "ipsec.in.policy");
    Bytes option{135, 2, 1, 2, 0, 0, 201, 16};
    append(option, Bytes(kHomeAddress.bytes.begin(), kHomeAddress.bytes.end()));
    append(option, kC1BindingUpdate);
    expect_drop(feed_packet(kOutside, in_udp(ipv6(kCareOfAddress, kHomeAgent, 60, option))),
                "ipsec.in.policy");
    // To a correspondent: Home Test Init, which table S1-SPD protects too.
    const Bytes init = ipv6(kHomeAddress, kCorrespondent, 135,
                            Bytes{59, 1, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8});
    expect_drop(feed_packet(kOutside, in_udp(init)), "mip6.rt.need_esp");
}

}  // namespace
}  // namespace homeport::golden

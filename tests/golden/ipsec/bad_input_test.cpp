// SPDX-License-Identifier: BSD-3-Clause
// What an attacker may send: each drop of IPsec's counters through the whole pipeline, in exactly
// one counter each (the fixture checks that nothing is lost without one).
#include "tests/golden/ipsec/protected_node.hpp"

namespace homeport::golden {
namespace {

using channel::SaDirection;
using ipsec::test::Link;
using ipsec::test::seal_raw;
using ipsec::test::with_trailer;

class BadInput : public ProtectedNodeTest, public ::testing::WithParamInterface<Algorithm> {
  protected:
    void SetUp() override {
        start_protected(GetParam());
        apply(record_of(payload_in(), SaDirection::kInbound));
        apply(record_of(payload_out(), SaDirection::kOutbound));
    }
    static Bytes binding_update(const Ipv6Address& home_address) {
        return ipv6(home_address, kHomeAgent, 135, kC1BindingUpdate);
    }
    [[nodiscard]] std::size_t block() const { return ipsec::info(GetParam()).block; }
};

INSTANTIATE_TEST_SUITE_P(Kinds, BadInput,
                         ::testing::Values(Algorithm::kAes128Gcm16, Algorithm::kAes128CbcSha1_96,
                                           Algorithm::kChacha20Poly1305,
                                           Algorithm::kNullSha256_128),
                         [](const auto& parameter) {
                             std::string text(ipsec::info(parameter.param).name);
                             std::ranges::replace(text, '-', '_');
                             return text;
                         });

TEST_P(BadInput, P4_the_genuine_packet_is_opened) {
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        for (unsigned i = 0; i < 67; ++i) {
            frames.push_back(to_port(kOutside, payload(payload_in(), 100 * batch + i + 1)));
        }
        const Result result = feed(kOutside, frames, batch);
        EXPECT_EQ(result.count("ipsec.in.ok"), 67u) << result.to_string();
        EXPECT_EQ(result.dropped(), 0u) << result.to_string();
    }
}

TEST_P(BadInput, ipsec10_icv_any_octet_damaged) {
    const Bytes good = payload(payload_in(), 7);
    for (std::size_t at = 48; at < good.size(); ++at) {
        Bytes bad = good;
        bad[at] ^= 0x10;
        expect_drop(feed_packet(kOutside, bad), "ipsec.in.icv");
    }
    expect_opened(feed_packet(kOutside, good));
}

TEST_P(BadInput, ipsec10_icv_of_another_key) {
    Pair forged = payload_in();
    forged.spi.value ^= 1;  // the key of the tests is made of the SPI
    Bytes packet = payload(forged, 1);
    store_be32(packet.data() + 40, kSpiPayloadIn);
    expect_drop(feed_packet(kOutside, packet), "ipsec.in.icv");
}

TEST_P(BadInput, ipsec10_no_sa_zero_reserved_unknown_and_outbound_spis) {
    Bytes packet = payload(payload_in(), 1);
    for (const std::uint32_t spi : {0u, 1u, 255u, 256u, 0x10000001u, kSpiPayloadOut, 0x80000020u,
                                    0x80ffffffu, 0xbf000021u, 0xc0000021u, 0xffffffffu}) {
        store_be32(packet.data() + 40, spi);
        expect_drop(feed_packet(kOutside, packet), "ipsec.in.no_sa");
    }
}

TEST_P(BadInput, ipsec10_padding) {
    Bytes text = inner();
    while ((text.size() + 4) % block() != 0) text.push_back(0);
    const Bytes wrong = concat({text, {1, 3, 2, 41}});
    const Bytes too_long = concat({text, {1, 2, 255, 41}});
    std::uint32_t sequence = 0;
    for (const Bytes& bad : {wrong, too_long}) {
        expect_drop(
            feed_packet(kOutside, from_care_of_address(seal_raw(payload_in(), bad, ++sequence))),
            "ipsec.in.padding");
    }
    expect_opened(feed_packet(
        kOutside,
        from_care_of_address(seal_raw(payload_in(), concat({text, {1, 2, 2, 41}}), ++sequence))));
}

TEST_P(BadInput, RFC4303_2_6_dummy_packets_end_silently_and_use_their_number) {
    const Bytes dummy = from_care_of_address(
        seal_raw(payload_in(), with_trailer(Bytes(100, 0xdd), block(), 59), 1));
    const Result result = feed_packet(kOutside, dummy);
    EXPECT_EQ(result.count("ipsec.in.dummy"), 1u) << result.to_string();
    EXPECT_EQ(result.dropped(), 0u) << result.to_string();
    expect_drop(feed_packet(kOutside, dummy), "ipsec.in.replay");
}

TEST_P(BadInput, RFC4303_2_7_tfc_padding_is_cut) {
    const Bytes padded = from_care_of_address(
        seal_raw(payload_in(), with_trailer(concat({inner(), Bytes(333, 0xee)}), block(), 41), 1));
    const Result result = feed_packet(kOutside, padded);
    expect_opened(result);
    ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
    EXPECT_EQ(at(result, StageId::kForward)[0].packet.size(), inner().size());
}

TEST_P(BadInput, ipsec10_truncated_at_each_length) {
    const Bytes good = payload(payload_in(), 1);
    const ipsec::AlgorithmInfo& algorithm = ipsec::info(GetParam());
    const std::size_t fixed = 40u + 8u + algorithm.iv_length + algorithm.icv_length;
    for (std::size_t length = 1; length < good.size(); ++length) {
        Bytes cut(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length));
        {  // the header tells the old length
            const Result result = feed_packet(kOutside, cut);
            EXPECT_EQ(result.dropped(), 1u) << length << ": " << result.to_string();
            EXPECT_EQ(result.count("parse.truncated"), 1u) << length << ": " << result.to_string();
        }
        if (length < 40) continue;
        store_be16(cut.data() + 4, static_cast<std::uint16_t>(length - 40));
        const Result result = feed_packet(kOutside, cut);
        const bool whole = length >= fixed + block() && (length - fixed) % block() == 0;
        const char* const counter = whole ? "ipsec.in.icv" : "ipsec.in.malformed";
        EXPECT_EQ(result.dropped(), 1u) << length << ": " << result.to_string();
        EXPECT_EQ(result.count(counter), 1u) << length << ": " << result.to_string();
    }
    expect_opened(feed_packet(kOutside, good));
}

TEST_P(BadInput, ipsec10_malformed_what_is_inside_is_no_packet) {
    Bytes longer = inner();
    store_be16(longer.data() + 4, 1000);
    std::uint32_t sequence = 0;
    for (const auto& [text, next] : {std::pair<Bytes, std::uint8_t>{inner(), 4},
                                     {inner(), 17},
                                     {longer, 41},
                                     {Bytes(9), 41}}) {
        expect_drop(feed_packet(kOutside,
                                from_care_of_address(seal_raw(
                                    payload_in(), with_trailer(text, block(), next), ++sequence))),
                    "ipsec.in.malformed");
    }
}

TEST_P(BadInput, S1_62_a_node_that_sends_from_anothers_home_address) {
    std::uint32_t sequence = 0;
    for (const char* other : {"2001:db8:1::101", "2001:db8:3::1", "::", "2001:db8:1::1"}) {
        const Bytes packet = from_care_of_address(
            seal_raw(payload_in(), with_trailer(inner(v6(other)), block(), 41), ++sequence));
        expect_drop(feed_packet(kOutside, packet), "ipsec.in.selector_mismatch");
    }
}

TEST_P(BadInput, S1_35_plaintext_where_the_policy_demands_esp) {
    expect_drop(feed_packet(kOutside, binding_update(kHomeAddress)), "ipsec.in.policy");
    const Bytes option =
        test::options_header(135, concat({{1, 2, 0, 0}, test::home_address_option(kHomeAddress)}));
    expect_drop(feed_packet(kOutside, ipv6(kCareOfAddress, kHomeAgent, 60,
                                           concat({option, kC1BindingUpdate}))),
                "ipsec.in.policy");
    channel::BindingSet record = binding();
    record.flags |= channel::kBindingRequireEsp;
    apply(record);
    expect_drop(feed_packet(kOutside, ipv6(kCareOfAddress, kHomeAgent, 41, inner())),
                "mip6.rt.need_esp");
}

TEST_P(BadInput, S1_16_a_forged_binding_update_moves_nothing) {
    Pair forged = update_pair();
    forged.spi.value ^= 1;
    Link attacker(forged);
    Bytes packet = with_home_address(attacker.seal(binding_update(kHomeAddress)), kHomeAddress);
    store_be32(
        packet.data() + packet.size() - (attacker.seal(binding_update(kHomeAddress)).size() - 40),
        kSpiUpdate);
    const Result result = feed_packet(kOutside, packet);
    expect_drop(result, "ipsec.in.icv");
    EXPECT_TRUE(result.punted.empty());
}

TEST_P(BadInput, S1_16_a_binding_update_from_a_wrong_home_address_inside_a_right_sa) {
    Link node(update_pair());
    // As the node's own SA seals it: the addresses are not what ESP in transport mode protects.
    const Bytes sealed = node.seal(binding_update(v6("2001:db8:1::101")));
    const Result result = feed_packet(kOutside, with_home_address(sealed, v6("2001:db8:1::101")));
    expect_drop(result, "ipsec.in.selector_mismatch");
    EXPECT_TRUE(result.punted.empty());
    // And the right one is let in.
    const Result good = feed_packet(
        kOutside, with_home_address(node.seal(binding_update(kHomeAddress)), kHomeAddress));
    EXPECT_EQ(good.punted.size(), 1u) << good.to_string();
}

TEST_P(BadInput, S1_31_a_message_type_that_the_sa_was_not_made_for) {
    Link node(update_pair());
    Bytes message = kC1BindingUpdate;
    message[2] = 1;  // HoTI
    const Bytes sealed = node.seal(ipv6(kHomeAddress, kHomeAgent, 135, message));
    expect_drop(feed_packet(kOutside, with_home_address(sealed, kHomeAddress)),
                "ipsec.in.selector_mismatch");
}

TEST_P(BadInput, ipsec10_out_too_big_for_the_path_of_the_sa) {
    bind_sealed();
    set_path_mtu(kSpiPayloadOut, kHomeAddress, 1400);
    const Bytes large = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(1380, 0x5a));
    Result result = feed_packet(kOutside, large);
    // The sender is told, and how the packet ends is noted for it (RFC 4301 section 8.2.1).
    ASSERT_EQ(at(result, StageId::kIcmpError).size(), 1u) << result.to_string();
    const Arrived& told = at(result, StageId::kIcmpError)[0];
    EXPECT_EQ(told.notes.drop, static_cast<std::uint16_t>(Counter::kIpsecOutTooBig));
    EXPECT_EQ(told.notes.reason, static_cast<std::uint8_t>(stage::IcmpErrorKind::kPacketTooBig));
    const std::uint32_t mtu = told.notes.parameter;
    EXPECT_GE(mtu, 1280u);
    EXPECT_LT(mtu, 1400u);
    EXPECT_EQ(result.count("ipsec.out.protect"), 0u);
    // Just that much fits, and 1280 octets do in any case.
    const Bytes fits = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(mtu - 40, 0x5a));
    result = feed_packet(kOutside, fits);
    EXPECT_EQ(result.count("ipsec.out.protect"), 1u) << mtu << ": " << result.to_string();
    const Bytes one_more = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(mtu - 39, 0x5a));
    EXPECT_EQ(feed_packet(kOutside, one_more).count("ipsec.out.protect"), 0u);
    // What this host made itself has nobody to tell.
    const Bytes own = ipv6(kHomeAgent, kHomeAddress, 17, Bytes(1380, 0x5a));
    expect_drop(feed_from_kernel(kHomeLink, to_port(kHomeLink, own)), "ipsec.out.too_big");
}

TEST_P(BadInput, ipsec10_fragments_never_reach_ipsec) {
    // What would be ipsec.in.fragment: pieces are put together before it, whatever stands around.
    const Bytes whole = payload(payload_in(), 1);
    const Bytes esp(whole.begin() + 40, whole.end());
    for (const std::uint8_t low : {std::uint8_t{1}, std::uint8_t{8}, std::uint8_t{9}}) {
        const Bytes piece =
            ipv6(kCareOfAddress, kHomeAgent, 44, concat({{50, 0, 0, low, 0, 0, 0, 9}, esp}));
        const Result result = feed_packet(kOutside, piece);
        EXPECT_EQ(at(result, StageId::kReassemble).size(), 1u) << result.to_string();
        const Bytes behind_options =
            ipv6(kCareOfAddress, kHomeAgent, 60,
                 concat({{44, 0, 1, 4, 0, 0, 0, 0}, {50, 0, 0, low, 0, 0, 0, 9}, esp}));
        EXPECT_EQ(at(feed_packet(kOutside, behind_options), StageId::kReassemble).size(), 1u);
    }
    expect_opened(feed_packet(kOutside, whole));
}

TEST_P(BadInput, ipsec10_out_discard_no_sa_and_used_up) {
    expect_drop(feed_packet(kOutside, ipv6(kCorrespondent, kHomeAddress, 132, Bytes(24))),
                "ipsec.out.discard");
    const Bytes packet = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(24));
    EXPECT_EQ(feed_packet(kOutside, packet).count("ipsec.out.protect"), 1u);
    channel::SaRemove remove;
    remove.spi = kSpiPayloadOut;
    remove.direction = SaDirection::kOutbound;
    remove.peer = channel::WireAddress(kHomeAddress);
    apply(remove);
    expect_drop(feed_packet(kOutside, packet), "ipsec.out.no_sa");
    Pair last = payload_out();
    last.first_sequence = 0xffff'ffff;
    apply(record_of(last, SaDirection::kOutbound));
    EXPECT_EQ(feed_packet(kOutside, packet).count("ipsec.out.protect"), 1u);
    for (int i = 0; i < 2; ++i) {
        expect_drop(feed_packet(kOutside, packet), "ipsec.out.seq_overflow");
    }
}

}  // namespace
}  // namespace homeport::golden

// SPDX-License-Identifier: BSD-3-Clause
// Opening: RFC 4301 section 5.2, RFC 4303 section 3.4. Each drop of the specification is provoked.
#include <gtest/gtest.h>

#include "dataplane/base/checksum.hpp"
#include "dataplane/base/ip_header.hpp"
#include "tests/unit/ipsec/support.hpp"

namespace homeport::ipsec {
namespace {

using test::Buffer;
using test::Bytes;
using test::Host;
using test::ip;
using test::Link;
using test::seal_raw;
using test::with_trailer;

const Algorithm kKinds[] = {Algorithm::kAes128Gcm16, Algorithm::kChacha20Poly1305,
                            Algorithm::kAes256CbcSha1_96, Algorithm::kAes128CbcSha384_192,
                            Algorithm::kNullSha256_128};

class EveryKind : public testing::TestWithParam<Algorithm> {};
INSTANTIATE_TEST_SUITE_P(all, EveryKind, testing::ValuesIn(kKinds));

TEST_P(EveryKind, a_replayed_packet_is_dropped) {
    Link link({.algorithm = GetParam()});
    const Bytes sealed = link.seal(test::udp({}));
    Buffer first(sealed);
    EXPECT_EQ(link.receiver.in(first), Verdict::kInOk);
    Buffer again(sealed);
    EXPECT_EQ(link.receiver.in(again), Verdict::kInReplay);
    const SaStatus status = *link.receiver.sad->status(link.in);
    EXPECT_EQ(status.packets, 1u);
    EXPECT_EQ(status.bytes, test::udp({}).size());
    EXPECT_EQ(status.errors.replay, 1u);
}

TEST_P(EveryKind, two_copies_in_one_burst_do_not_both_pass) {
    Link link({.algorithm = GetParam()});
    const Bytes sealed = link.seal(test::udp({}));
    Buffer first(sealed);
    Buffer second(sealed);
    Packet* packets[] = {&first.packet, &second.packet};
    Verdict verdicts[2];
    link.receiver.engine->inbound(packets, verdicts);
    EXPECT_EQ(verdicts[0], Verdict::kInOk);
    EXPECT_EQ(verdicts[1], Verdict::kInReplay);
}

TEST_P(EveryKind, a_forged_packet_does_not_move_the_window) {
    Link link({.algorithm = GetParam(), .replay_window = 64});
    const Bytes genuine = link.seal(test::udp({}));
    Bytes forged = genuine;
    store_be32(forged.data() + 44, 5000);
    Buffer attack(forged);
    EXPECT_EQ(link.receiver.in(attack), Verdict::kInIcv);
    EXPECT_EQ(link.receiver.sad->status(link.in)->highest_sequence, 0u);
    Buffer buffer(genuine);
    EXPECT_EQ(link.receiver.in(buffer), Verdict::kInOk);
}

TEST_P(EveryKind, every_flipped_bit_of_esp_is_noticed) {
    Link link({.algorithm = GetParam(), .replay_window = 64});
    const Bytes sealed = link.seal(test::udp({.payload = 5}));
    for (std::size_t bit = 8 * 40; bit < 8 * sealed.size(); ++bit) {
        Bytes damaged = sealed;
        damaged[bit / 8] ^= static_cast<std::uint8_t>(1u << (bit % 8));
        Buffer buffer(damaged);
        const Verdict expected = bit < 8 * 44 ? Verdict::kInNoSa : Verdict::kInIcv;
        const Verdict verdict = link.receiver.in(buffer);
        // A sequence number of 0 never is new.
        if (verdict == Verdict::kInReplay && load_be32(damaged.data() + 44) == 0) continue;
        ASSERT_EQ(verdict, expected) << "bit " << bit;
    }
    Buffer buffer(sealed);
    EXPECT_EQ(link.receiver.in(buffer), Verdict::kInOk);
}

TEST_P(EveryKind, every_truncation_has_a_verdict) {
    Link link({.algorithm = GetParam()});
    const AlgorithmInfo& algorithm = info(GetParam());
    const Bytes sealed = link.seal(test::udp({.payload = 50}));
    for (std::uint32_t length = 0; length < sealed.size(); ++length) {
        Bytes shorter(sealed.begin(), sealed.begin() + length);
        {  // the IP header still tells the old length
            Buffer buffer(shorter, 0);
            EXPECT_EQ(link.receiver.in(buffer), Verdict::kInMalformed) << length;
        }
        if (length < 40) continue;
        store_be16(shorter.data() + 4, static_cast<std::uint16_t>(length - 40));
        Buffer buffer(shorter, 0);
        const std::uint32_t fixed = 8u + algorithm.iv_length + algorithm.icv_length;
        const bool whole_blocks =
            length >= 40 + fixed + algorithm.block && (length - 40 - fixed) % algorithm.block == 0;
        EXPECT_EQ(link.receiver.in(buffer), whole_blocks ? Verdict::kInIcv : Verdict::kInMalformed)
            << length;
    }
}

TEST_P(EveryKind, wrong_padding_is_dropped) {
    const test::Pair pair{.algorithm = GetParam()};
    const std::size_t block = info(GetParam()).block;
    Bytes inner = test::udp({.payload = 21});
    while ((inner.size() + 4) % block != 0) inner.push_back(0);
    const Bytes good = test::joined({inner, {1, 2, 2, 41}});
    const Bytes wrong = test::joined({inner, {1, 1, 2, 41}});
    Bytes too_long = test::joined({inner, {1, 2, 255, 41}});
    Link link(pair);
    const auto verdict = [&](const Bytes& text, std::uint32_t sequence) {
        Buffer buffer(seal_raw(pair, text, sequence));
        return link.receiver.in(buffer);
    };
    EXPECT_EQ(verdict(good, 1), Verdict::kInOk);
    EXPECT_EQ(verdict(wrong, 2), Verdict::kInPadding);
    EXPECT_EQ(verdict(too_long, 3), Verdict::kInPadding);
    EXPECT_EQ(link.receiver.sad->status(link.in)->errors.padding, 2u);
}

TEST(Inbound, padding_does_not_reach_into_the_esp_header) {
    // The low octets of the sequence number continue the padding to the left.
    const test::Pair pair{.algorithm = Algorithm::kNullSha256_128};
    Link link(pair);
    Buffer buffer(seal_raw(pair, {3, 4, 4, 41}, 0x0102));
    EXPECT_EQ(link.receiver.in(buffer), Verdict::kInPadding);
}

TEST_P(EveryKind, padding_of_255_octets_is_right) {
    const test::Pair pair{.algorithm = GetParam()};
    const std::size_t block = info(GetParam()).block;
    Bytes inner = test::udp({.payload = 21});
    while ((inner.size() + 257) % block != 0) {
        inner = test::udp({.payload = inner.size() - 48 + 1});
    }
    Bytes text = inner;
    for (unsigned i = 1; i <= 255; ++i) text.push_back(static_cast<std::uint8_t>(i));
    text.push_back(255);
    text.push_back(41);
    Link link(pair);
    Buffer buffer(seal_raw(pair, text, 1));
    ASSERT_EQ(link.receiver.in(buffer), Verdict::kInOk);
    EXPECT_EQ(buffer.bytes(), inner);
}

TEST_P(EveryKind, dummy_packets_are_dropped_silently_in_both_modes) {
    for (const Mode mode : {Mode::kTunnel, Mode::kTransport}) {
        const test::Pair pair{.algorithm = GetParam(), .mode = mode};
        Link link(pair);
        Buffer buffer(
            seal_raw(pair, with_trailer(test::pattern(80, 9), info(GetParam()).block, 59), 1));
        EXPECT_EQ(link.receiver.in(buffer), Verdict::kInDummy);
        const SaStatus status = *link.receiver.sad->status(link.in);
        EXPECT_EQ(status.errors.malformed + status.errors.padding, 0u);
        EXPECT_EQ(status.highest_sequence, 1u) << "its number is used";
    }
}

TEST_P(EveryKind, tfc_padding_is_cut_by_the_inner_length) {
    const test::Pair pair{.algorithm = GetParam()};
    Link link(pair);
    std::uint32_t sequence = 0;
    for (const Bytes& inner :
         {test::udp({}), test::udp({.source = "198.51.100.200", .destination = "192.0.2.100"})}) {
        const std::uint8_t next = inner[0] >> 4 == 6 ? 41 : 4;
        const Bytes padded = test::joined({inner, Bytes(333)});
        Buffer buffer(
            seal_raw(pair, with_trailer(padded, info(GetParam()).block, next), ++sequence));
        ASSERT_EQ(link.receiver.in(buffer), Verdict::kInOk);
        EXPECT_EQ(buffer.bytes(), inner);
    }
}

TEST_P(EveryKind, what_is_not_the_packet_that_it_is_named_is_malformed) {
    const test::Pair pair{.algorithm = GetParam()};
    Link link(pair);
    const std::size_t block = info(GetParam()).block;
    const Bytes v6 = test::udp({});
    Bytes longer = v6;
    store_be16(longer.data() + 4, 1000);
    std::uint32_t sequence = 0;
    for (const auto& [payload, next] : {std::pair<Bytes, std::uint8_t>{v6, 4},
                                        {v6, 17},
                                        {longer, 41},
                                        {Bytes(10), 41},
                                        {{}, 41},
                                        {{}, 4}}) {
        Buffer buffer(seal_raw(pair, with_trailer(payload, block, next), ++sequence));
        EXPECT_EQ(link.receiver.in(buffer), Verdict::kInMalformed) << sequence;
    }
    EXPECT_EQ(link.receiver.sad->status(link.in)->errors.malformed, sequence);
}

TEST(Inbound, unknown_and_zero_spis) {
    Link link({});
    for (const std::uint32_t spi : {0u, 1u, 0x10000002u, 0x80000001u, 0xffffffffu}) {
        Bytes sealed = link.seal(test::udp({}));
        store_be32(sealed.data() + 40, spi);
        Buffer buffer(sealed);
        EXPECT_EQ(link.receiver.in(buffer), Verdict::kInNoSa) << spi;
    }
}

TEST(Inbound, S1_62_packets_from_anothers_address_are_not_let_out_of_an_sa) {
    const test::Pair pair{};
    Host host;
    SaParameters p = test::inbound_parameters(pair);
    Selectors own;
    own.remote = {AddressRange::of(ip("2001:db8:1::100"))};
    Selectors own4;
    own4.remote = {AddressRange::of(ip("192.0.2.100"))};
    p.selectors = {own, own4};
    const SaHandle handle = host.add(p);
    Link link(pair);
    const auto verdict = [&](const char* source, const char* destination) {
        Buffer buffer(link.seal(test::udp({.source = source, .destination = destination})));
        return host.in(buffer);
    };
    EXPECT_EQ(verdict("2001:db8:1::100", "2001:db8:3::300"), Verdict::kInOk);
    EXPECT_EQ(verdict("2001:db8:1::101", "2001:db8:3::300"), Verdict::kInSelectorMismatch);
    EXPECT_EQ(verdict("192.0.2.100", "198.51.100.200"), Verdict::kInOk);
    EXPECT_EQ(verdict("192.0.2.101", "198.51.100.200"), Verdict::kInSelectorMismatch);
    EXPECT_EQ(verdict("::ffff:192.0.2.100", "2001:db8:3::300"), Verdict::kInSelectorMismatch)
        << "a mapped address is no IPv4 address";
    EXPECT_EQ(host.sad->status(handle)->errors.selector_mismatch, 3u);
    EXPECT_EQ(host.sad->status(handle)->packets, 2u);
}

TEST(Inbound, a_mapped_address_is_not_the_ipv4_address_of_an_sa) {
    const test::Pair pair{};
    Host host;
    SaParameters p = test::inbound_parameters(pair);
    p.selectors[0].remote = {AddressRange::of(ip("192.0.2.100"))};
    host.add(p);
    Link link(pair);
    Buffer mapped(link.seal(test::udp({.source = "::ffff:192.0.2.100"})));
    EXPECT_EQ(host.in(mapped), Verdict::kInSelectorMismatch);
    Buffer own(link.seal(test::udp({.source = "192.0.2.100", .destination = "198.51.100.200"})));
    EXPECT_EQ(host.in(own), Verdict::kInOk);
}

TEST(Inbound, S1_31_a_type_that_may_not_be_received_is_a_mismatch) {
    const test::Pair pair{.mode = Mode::kTransport};
    Host host;
    SaParameters p = test::inbound_parameters(pair);
    p.selectors[0].protocol = ProtocolSelector::of(IpProtocol::kMobility);
    p.selectors[0].local_value = ValueSelector::of(6);
    p.selectors[0].remote_value = ValueSelector::of(5);
    host.add(p);
    Link link(pair);
    Buffer update(link.seal(test::mh("2001:db8:1::100", "2001:db8:1::1", 5)));
    EXPECT_EQ(host.in(update), Verdict::kInOk);
    Buffer acknowledgement(link.seal(test::mh("2001:db8:1::100", "2001:db8:1::1", 6)));
    EXPECT_EQ(host.in(acknowledgement), Verdict::kInSelectorMismatch);
    Buffer other(link.seal(test::udp({})));
    EXPECT_EQ(host.in(other), Verdict::kInSelectorMismatch);
}

TEST(Inbound, plaintext_meets_the_policy) {
    Host host;
    PolicyEntry bypass;
    bypass.id = 1;
    bypass.selectors.protocol = ProtocolSelector::of(IpProtocol::kIcmpv6);
    bypass.action = Action::kBypass;
    PolicyEntry protect = test::protect_all(3);
    protect.selectors.protocol = ProtocolSelector::of(IpProtocol::kUdp);
    host.policies({bypass, protect});
    const auto verdict = [&](const Bytes& packet) {
        Buffer buffer(packet);
        EXPECT_EQ(host.engine->inbound_policy_check(buffer.packet), [&] {
            Buffer copy(packet);
            return host.in(copy);
        }());
        return host.in(buffer);
    };
    EXPECT_EQ(verdict(test::icmpv6("2001:db8::1", "2001:db8::2", 135)), Verdict::kInBypass);
    EXPECT_EQ(verdict(test::udp({})), Verdict::kInPolicy);
    EXPECT_EQ(verdict(test::mh("2001:db8::1", "2001:db8::2", 5)), Verdict::kInDiscard);
    EXPECT_EQ(verdict({}), Verdict::kInMalformed);
    EXPECT_EQ(verdict({0x45}), Verdict::kInMalformed);
}

TEST(Inbound, esp_in_a_fragment_is_not_opened) {
    Link link({});
    Bytes sealed = link.seal(test::udp({}));
    const Bytes esp(sealed.begin() + 40, sealed.end());
    for (const std::uint8_t low : {std::uint8_t{1}, std::uint8_t{8}}) {
        Buffer v6(test::ipv6("2001:db8:1::1", "2001:db8:1::100", 44,
                             test::joined({{50, 0, 0, low, 0, 0, 0, 9}, esp})));
        EXPECT_EQ(link.receiver.in(v6), Verdict::kInFragment);
    }
    for (const std::uint16_t flags : {std::uint16_t{0x2000}, std::uint16_t{1}}) {
        Buffer v4(test::ipv4("192.0.2.1", "192.0.2.2", 50, esp, flags));
        EXPECT_EQ(link.receiver.in(v4), Verdict::kInFragment);
    }
    Buffer atomic(test::ipv6("2001:db8:1::1", "2001:db8:1::100", 44,
                             test::joined({{50, 0, 0, 0, 0, 0, 0, 9}, esp})));
    EXPECT_EQ(link.receiver.in(atomic), Verdict::kInOk) << "an atomic fragment is whole";
}

TEST(Inbound, congestion_reaches_the_inner_packet) {
    Link link({});
    for (const char* source : {"2001:db8:3::300", "198.51.100.200"}) {
        const bool v4 = source[0] == '1';
        for (std::uint8_t inner = 0; inner < 4; ++inner) {
            for (std::uint8_t outer = 0; outer < 4; ++outer) {
                const Bytes packet =
                    test::udp({.source = source,
                               .destination = v4 ? "192.0.2.100" : "2001:db8:1::100",
                               .traffic_class = static_cast<std::uint8_t>(0xb8 | inner)});
                Bytes sealed = link.seal(packet);
                sealed[1] = static_cast<std::uint8_t>((sealed[1] & 0xcf) | outer << 4);
                Buffer buffer(sealed);
                ASSERT_EQ(link.receiver.in(buffer), Verdict::kInOk);
                const std::uint8_t* header = buffer.packet.data;
                const std::uint8_t result =
                    v4 ? header[1] : reinterpret_cast<const Ipv6Header*>(header)->traffic_class();
                const std::uint8_t expected = inner != 0 && outer == 3 ? 3 : inner;
                EXPECT_EQ(result, 0xb8 | expected) << int{inner} << " in " << int{outer};
                if (v4) {
                    EXPECT_EQ(internet_checksum({header, 20}), 0);
                }
            }
        }
    }
}

TEST(Inbound, without_a_replay_window_everything_authentic_passes) {
    Link link({.replay_window = 0});
    const Bytes sealed = link.seal(test::udp({}));
    for (int i = 0; i < 3; ++i) {
        Buffer buffer(sealed);
        EXPECT_EQ(link.receiver.in(buffer), Verdict::kInOk);
    }
    EXPECT_EQ(link.receiver.sad->status(link.in)->highest_sequence, 1u);
}

TEST(Inbound, window_edges_for_packets) {
    for (const std::uint16_t size :
         {std::uint16_t{64}, std::uint16_t{100}, std::uint16_t{1024}, std::uint16_t{4096}}) {
        Link link({.replay_window = size});
        std::vector<Bytes> sealed;
        for (unsigned i = 0; i <= size; ++i) sealed.push_back(link.seal(test::udp({})));
        Buffer newest(sealed[size]);
        ASSERT_EQ(link.receiver.in(newest), Verdict::kInOk);
        Buffer left(sealed[0]);
        EXPECT_EQ(link.receiver.in(left), Verdict::kInReplay) << size;
        Buffer edge(sealed[1]);
        EXPECT_EQ(link.receiver.in(edge), Verdict::kInOk) << size;
    }
}

TEST(Inbound, old_and_new_sa_open_side_by_side_during_a_rekey) {
    Link old_link({});
    Link new_link({.spi = Spi{0x10000002}});
    old_link.receiver.add(test::inbound_parameters({.spi = Spi{0x10000002}}));
    Buffer by_new(new_link.seal(test::udp({})));
    EXPECT_EQ(old_link.receiver.in(by_new), Verdict::kInOk);
    Buffer by_old(old_link.seal(test::udp({})));
    EXPECT_EQ(old_link.receiver.in(by_old), Verdict::kInOk);
}

TEST(Inbound, nested_sas_are_opened_one_by_one) {
    Link inner({.mode = Mode::kTransport, .spi = Spi{0x300}});
    Link outer({.spi = Spi{0x400}});
    const Bytes packet = test::udp({});
    Buffer buffer(outer.seal(inner.seal(packet)));
    ASSERT_EQ(outer.receiver.in(buffer), Verdict::kInOk);
    ASSERT_EQ(inner.receiver.in(buffer), Verdict::kInOk);
    EXPECT_EQ(buffer.bytes(), packet);
}

TEST(Inbound, hard_lifetime_ends_an_sa) {
    const test::Pair pair{};
    Host host;
    SaParameters p = test::inbound_parameters(pair);
    p.lifetime.hard_packets = 2;
    host.add(p);
    Link link(pair);
    std::vector<Verdict> verdicts;
    for (int i = 0; i < 3; ++i) {
        Buffer buffer(link.seal(test::udp({})));
        verdicts.push_back(host.in(buffer));
    }
    EXPECT_EQ(verdicts, (std::vector{Verdict::kInOk, Verdict::kInOk, Verdict::kInNoSa}));
}

TEST(Verdicts, have_the_names_of_the_counters) {
    EXPECT_EQ(counter_name(Verdict::kOutProtect), "ipsec.out.protect");
    EXPECT_EQ(counter_name(Verdict::kOutTooBig), "ipsec.out.too_big");
    EXPECT_EQ(counter_name(Verdict::kInOk), "ipsec.in.ok");
    EXPECT_EQ(counter_name(Verdict::kInIcv), "ipsec.in.icv");
    EXPECT_EQ(counter_name(Verdict::kInSelectorMismatch), "ipsec.in.selector_mismatch");
    EXPECT_EQ(counter_name(Verdict::kInDiscard), "ipsec.in.discard");
}

}  // namespace
}  // namespace homeport::ipsec

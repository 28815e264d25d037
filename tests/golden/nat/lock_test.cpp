// SPDX-License-Identifier: BSD-3-Clause
// At most one packet that may be a binding update of a node is inside IPsec (S1.66, S1.67): with
// IPsec as it is, and with one that takes its time.
#include <map>
#include <utility>

#include "tests/golden/nat/home_agent.hpp"

namespace homeport::golden {
namespace {

using NatLock = NatTest;

TEST_F(NatLock, S1_66_further_ones_wait_four_deep) {
    for (const unsigned batch : {1u, 3u, 64u}) {
        const std::vector<Bytes> frames(64, to_port(kOutside, kC8Wire));
        const Result result = feed(kOutside, frames, batch);
        const std::uint64_t delivered = batch == 64 ? 5 : 64;
        EXPECT_EQ(result.punted.size(), delivered) << result.to_string();
        EXPECT_EQ(result.count("dsmip.in.nat_lock_full"), 64 - delivered);
        for (const Punted& punted : result.punted) expect_recorded(punted, {});
        EXPECT_EQ(worker().reply_to->waiting(), 0u);
    }
}

TEST_F(NatLock, S1_66_the_depth_is_nat_lock_depth) {
    channel::ParametersSet parameters;
    parameters.nat_lock_depth = 1;
    apply(parameters);
    const std::vector<Bytes> frames(10, to_port(kOutside, kC8Wire));
    const Result result = feed(kOutside, frames);
    EXPECT_EQ(result.punted.size(), 2u) << result.to_string();
    EXPECT_EQ(result.count("dsmip.in.nat_lock_full"), 8u);
}

TEST_F(NatLock, S1_66_two_in_one_batch_keep_their_own_sources) {
    const Wire second{.source = kElsewhere, .port = 7};
    const std::vector<Bytes> frames{to_port(kOutside, in_udp(update())),
                                    to_port(kOutside, in_udp(update(), second))};
    const Result result = feed(kOutside, frames);
    ASSERT_EQ(result.punted.size(), 2u) << result.to_string();
    expect_recorded(result.punted[0], {});
    expect_recorded(result.punted[1], second);
}

TEST_F(NatLock, S1_67_a_captured_one_from_elsewhere_behind_the_genuine_one) {
    const Bytes genuine = update();
    const std::vector<Bytes> frames{to_port(kOutside, in_udp(genuine)),
                                    to_port(kOutside, in_udp(genuine, {.source = kElsewhere}))};
    const Result result = feed(kOutside, frames);
    expect_update(result, {});
    EXPECT_EQ(result.count("ipsec.in.replay"), 1u) << result.to_string();
}

TEST_F(NatLock, S1_67_a_captured_refresh_from_elsewhere_behind_the_genuine_one) {
    bind_behind_nat();
    for (const bool behind_garbage : {false, true}) {
        const Bytes genuine = update();
        Bytes garbage = genuine;
        garbage.back() ^= 1;
        std::vector<Bytes> frames{to_port(kOutside, in_udp(genuine)),
                                  to_port(kOutside, in_udp(genuine, {.source = kElsewhere})),
                                  to_port(kOutside, in_udp(genuine, {.port = 9}))};
        if (behind_garbage) {
            frames.insert(frames.begin(),
                          to_port(kOutside, in_udp(garbage, {.source = kElsewhere})));
        }
        const Result result = feed(kOutside, frames);
        heuristic() ? expect_unrecorded(result) : expect_update(result, {});
        EXPECT_EQ(result.count("ipsec.in.replay"), 2u) << result.to_string();
        EXPECT_EQ(worker().reply_to->waiting(), 0u);
    }
}

TEST_F(NatLock, S1_67_garbage_before_and_behind_the_genuine_one) {
    const Bytes genuine = update();
    Bytes garbage = genuine;
    garbage.back() ^= 1;
    for (const bool bound : {false, true}) {
        if (bound) bind_behind_nat();
        const Bytes good = update();
        const std::vector<Bytes> frames{
            to_port(kOutside, in_udp(garbage, {.source = kElsewhere})),
            to_port(kOutside, in_udp(good)),
            to_port(kOutside, in_udp(garbage, {.source = kElsewhere, .port = 9})),
        };
        const Result result = feed(kOutside, frames);
        // By technique B a refresh has no record; it must not take that of the garbage.
        bound&& heuristic() ? expect_unrecorded(result) : expect_update(result, {});
        EXPECT_EQ(result.count("ipsec.in.icv"), 2u) << result.to_string();
    }
}

TEST_F(NatLock, S1_67_one_over_ipv6_between_two_over_udp) {
    const Bytes sealed = update();
    const std::vector<Bytes> frames{
        to_port(kOutside, in_udp(update())),
        to_port(kOutside, with_home_address(sealed, kHomeAddress)),
        to_port(kOutside, in_udp(update(), {.port = 7})), to_port(kOutside, update()),  // from home
    };
    const Result result = feed(kOutside, frames);
    ASSERT_EQ(result.punted.size(), 4u) << result.to_string();
    std::map<std::uint16_t, unsigned> ports;
    for (const Punted& punted : result.punted) {
        ++ports[punted.record.recorded_port];
        if (punted.record.recorded_port != 0) {
            expect_recorded(punted, {.port = punted.record.recorded_port});
            continue;
        }
        const bool from_home = punted.record.recorded_source.family == 0;
        EXPECT_TRUE(from_home ||
                    punted.record.recorded_source == channel::WireAddress(kCareOfAddress));
        EXPECT_EQ(punted.record.had_home_address_option, from_home ? 0 : 1);
        EXPECT_EQ(punted.record.recorded_local.family, 0);
    }
    EXPECT_EQ(ports, (std::map<std::uint16_t, unsigned>{{0, 2}, {7, 1}, {kNatPort, 1}}));
}

TEST_F(NatLock, S1_66_payload_does_not_wait_for_a_binding_update) {
    apply(record_of(payload_in(), channel::SaDirection::kInbound));
    Link payload(payload_in());
    bind_behind_nat();
    std::vector<Bytes> frames{to_port(kOutside, in_udp(update(), {.source = kElsewhere}))};
    for (int i = 0; i < 20; ++i) {
        frames.push_back(to_port(kOutside, in_udp(payload.seal(inner()))));
    }
    const Result result = feed(kOutside, frames);
    ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
    expect_recorded(result.punted[0], {.source = kElsewhere});
    // Technique B cannot tell them from a binding update: four wait.
    EXPECT_EQ(at(result, StageId::kForward).size(), heuristic() ? 4u : 20u) << result.to_string();
    EXPECT_EQ(result.count("mip6.hao.busy"), heuristic() ? 16u : 0u);
}

// ---------------------------------------------------------------------- IPsec that takes its time

/// In the place of parse: what IPsec has opened stays inside until it is let out.
struct SlowCrypto {
    bool open = true;
    bool reverse = false;
    unsigned count = 0;
    std::array<rte_mbuf*, stage::kBatchSize> inside;
};
SlowCrypto slow_crypto;

void delayed_parse(stage::Worker& worker, stage::Batch& in, stage::Edges& out) {
    SlowCrypto& crypto = slow_crypto;
    unsigned others = 0;
    for (unsigned i = 0; i < in.count; ++i) {
        rte_mbuf* const packet = in.packets[i];
        if ((stage::meta(packet).flags & stage::kMetaDecrypted) != 0 &&
            crypto.count < crypto.inside.size()) {
            crypto.inside[crypto.count++] = packet;
        } else {
            in.packets[others++] = packet;
        }
    }
    in.count = others;
    if (others != 0) tunnel::kParseStage.function(worker, in, out);
    if (!crypto.open) return;
    if (crypto.reverse) std::reverse(crypto.inside.begin(), crypto.inside.begin() + crypto.count);
    in.packets = crypto.inside;
    in.count = std::exchange(crypto.count, 0);
    if (in.count != 0) tunnel::kParseStage.function(worker, in, out);
}

class SlowIpsec : public NatTest {
  protected:
    void SetUp() override {
        slow_crypto = {};
        delayed_ = tunnel::kParseStage;
        delayed_.function = delayed_parse;
        start_behind_nat(delayed_);
        keep_packets();
    }
    /// What is inside comes out, behind a packet of someone else.
    Result let_out() {
        slow_crypto.open = true;
        return feed_packet(kOutside, ipv6(kCorrespondent, kHomeAgent, 17, Bytes(24)));
    }
    Result put_in(std::initializer_list<Bytes> packets) {
        slow_crypto.open = false;
        std::vector<Bytes> frames;
        for (const Bytes& packet : packets) frames.push_back(to_port(kOutside, packet));
        return feed(kOutside, frames);
    }
    stage::StageDescription delayed_;
};

TEST_F(SlowIpsec, S1_66_the_second_one_waits_until_the_first_has_come_out) {
    const Wire second{.source = kElsewhere, .port = 7};
    Result result = put_in({in_udp(update()), in_udp(update(), second)});
    EXPECT_EQ(slow_crypto.count, 1u);
    EXPECT_EQ(worker().reply_to->waiting(), 1u);
    EXPECT_TRUE(result.punted.empty());
    ASSERT_NE(record_of_node(), nullptr);
    EXPECT_EQ(record_of_node()->address, IpAddress(kNat));
    result = let_out();
    ASSERT_EQ(result.punted.size(), 2u) << result.to_string();
    expect_recorded(result.punted[0], {});
    expect_recorded(result.punted[1], second);
    EXPECT_EQ(worker().reply_to->waiting(), 0u);
}

TEST_F(SlowIpsec, S1_67_verdict_and_answer_are_the_genuine_ones) {
    const Bytes genuine = update();
    (void)put_in({in_udp(genuine)});
    // Captured, and sent again from elsewhere, over UDP and over IPv6, while it is inside.
    const Result replayed =
        put_in({in_udp(genuine, {.source = kElsewhere}), with_home_address(genuine, kHomeAddress)});
    EXPECT_TRUE(replayed.punted.empty());
    EXPECT_EQ(slow_crypto.count, 1u);
    const Result result = let_out();
    expect_update(result, {});
    // The first of them was dropped, which the lock of the second one does not notice.
    EXPECT_EQ(result.count("ipsec.in.replay"), 1u) << result.to_string();
    EXPECT_EQ(worker().reply_to->waiting(), 1u);
}

TEST_F(SlowIpsec, S1_67_a_refresh_without_a_record_does_not_take_that_of_a_later_one) {
    bind_behind_nat();
    const Wire elsewhere{.source = kElsewhere};
    const Bytes genuine = update();
    (void)put_in({in_udp(genuine)});
    (void)put_in({in_udp(update(), elsewhere)});
    EXPECT_EQ(slow_crypto.count, 1u);
    EXPECT_EQ(worker().reply_to->waiting(), 1u);
    const Result result = let_out();
    if (!heuristic()) {
        EXPECT_EQ(result.punted.size(), 2u) << result.to_string();
        return;
    }
    expect_unrecorded(result);
    keep_packets(0);  // the lock's time is over
    slow_crypto.open = true;
    expect_update(run_idle(), elsewhere);
}

TEST_F(SlowIpsec, S1_67_one_from_home_that_waits_is_not_overtaken_by_its_copy) {
    const Wire first{.port = 7};
    (void)put_in({in_udp(update(), first)});
    const Bytes genuine = update();
    (void)put_in({genuine});
    (void)put_in({in_udp(genuine, {.source = kElsewhere})});
    EXPECT_EQ(worker().reply_to->waiting(), 2u);
    const Result result = let_out();
    ASSERT_EQ(result.punted.size(), 2u) << result.to_string();
    expect_recorded(result.punted[0], first);
    EXPECT_EQ(result.punted[1].record.recorded_source.family, 0);
    EXPECT_EQ(result.punted[1].record.recorded_port, 0);
}

TEST_F(SlowIpsec, S1_66_binding_updates_of_several_nodes_come_out_in_another_order) {
    constexpr unsigned kNodes = 5;
    std::vector<Bytes> frames;
    for (unsigned n = 0; n < kNodes; ++n) {
        add_other_node(n);
        frames.push_back(to_port(
            kOutside, in_udp(update_of_other(n), {.port = static_cast<std::uint16_t>(100 + n)})));
    }
    slow_crypto.open = false;
    slow_crypto.reverse = true;
    EXPECT_TRUE(feed(kOutside, frames).punted.empty());
    EXPECT_EQ(slow_crypto.count, kNodes);
    const Result result = let_out();
    ASSERT_EQ(result.punted.size(), kNodes) << result.to_string();
    for (unsigned i = 0; i < kNodes; ++i) {
        const unsigned n = kNodes - 1 - i;
        EXPECT_EQ(Ipv6Address::load(result.punted[i].packet.data() + 8), other_home_address(n));
        expect_recorded(result.punted[i], {.port = static_cast<std::uint16_t>(100 + n)});
    }
}

TEST_F(SlowIpsec, S1_66_the_fifth_that_waits_is_dropped) {
    const Bytes packet = in_udp(update());
    (void)put_in({packet});
    const Result result = put_in({packet, packet, packet, packet, packet, packet});
    EXPECT_EQ(result.count("dsmip.in.nat_lock_full"), 2u) << result.to_string();
    EXPECT_EQ(worker().reply_to->waiting(), 4u);
    const Result rest = let_out();
    EXPECT_EQ(rest.punted.size(), 1u) << rest.to_string();
    EXPECT_EQ(rest.count("ipsec.in.replay"), 1u) << rest.to_string();
    EXPECT_EQ(worker().reply_to->waiting(), 3u);
}

TEST_F(SlowIpsec, S1_66_after_nat_lock_timeout_the_next_one_goes_in) {
    keep_packets(20);
    Bytes garbage = update();
    garbage.back() ^= 1;
    const Bytes genuine = update();
    Result result = put_in({in_udp(garbage, {.source = kElsewhere}), in_udp(genuine)});
    EXPECT_EQ(result.count("ipsec.in.icv"), 1u) << "which the lock does not notice";
    EXPECT_EQ(worker().reply_to->waiting(), 1u);
    slow_crypto.open = true;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    do {
        result = run_idle();
    } while (result.punted.empty() && std::chrono::steady_clock::now() < deadline);
    expect_update(result, {});
}

}  // namespace
}  // namespace homeport::golden

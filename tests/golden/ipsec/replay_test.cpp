// SPDX-License-Identifier: BSD-3-Clause
// The replay window and extended sequence numbers through the whole pipeline.
#include "tests/golden/ipsec/protected_node.hpp"

namespace homeport::golden {
namespace {

using channel::SaDirection;
using ipsec::test::Link;

class Replay : public ProtectedNodeTest, public ::testing::WithParamInterface<unsigned> {
  protected:
    void SetUp() override { start_protected(Algorithm::kAes128CbcSha256_128); }
    [[nodiscard]] Pair windowed() const {
        Pair pair = payload_in();
        pair.replay_window = static_cast<std::uint16_t>(GetParam());
        return pair;
    }
};
INSTANTIATE_TEST_SUITE_P(Windows, Replay, ::testing::Values(64, 65, 128, 1000, 1024, 4096));

TEST_P(Replay, ipsec10_replay_at_every_edge_of_the_window) {
    const Pair pair = windowed();
    const std::uint32_t width = GetParam();
    constexpr std::uint32_t kTop = 10000;
    apply(record_of(pair, SaDirection::kInbound));
    const auto send = [&](std::uint32_t sequence) {
        return feed_packet(kOutside, payload(pair, sequence));
    };
    expect_drop(send(0), "ipsec.in.replay");
    expect_opened(send(1));
    expect_drop(send(1), "ipsec.in.replay");
    expect_opened(send(kTop));
    expect_drop(send(kTop), "ipsec.in.replay");
    expect_drop(send(kTop - width), "ipsec.in.replay");  // one left of the window
    expect_opened(send(kTop - width + 1));               // its left edge
    expect_drop(send(kTop - width + 1), "ipsec.in.replay");
    expect_opened(send(kTop - 1));
    expect_drop(send(kTop - 1), "ipsec.in.replay");
    expect_opened(send(kTop + 1));  // moves it by one
    expect_drop(send(kTop - width + 1), "ipsec.in.replay");
    expect_opened(send(kTop - width + 2));
    expect_drop(send(1), "ipsec.in.replay");
    expect_opened(send(kTop + 1 + width));  // moves it by its width
    expect_drop(send(kTop + 1), "ipsec.in.replay");
    expect_opened(send(kTop + 2));
}

TEST_P(Replay, a_packet_that_fails_its_check_leaves_the_window_as_it_is) {
    const Pair pair = windowed();
    apply(record_of(pair, SaDirection::kInbound));
    Bytes forged = payload(pair, 1);
    store_be32(forged.data() + 44, 100000);
    expect_drop(feed_packet(kOutside, forged), "ipsec.in.icv");
    expect_opened(feed_packet(kOutside, payload(pair, 1)));
}

TEST_P(Replay, every_packet_of_a_shuffled_window_passes_once) {
    const Pair pair = windowed();
    apply(record_of(pair, SaDirection::kInbound));
    std::vector<Bytes> frames;
    for (std::uint32_t i = 0; i < 64; ++i) {
        frames.push_back(to_port(kOutside, payload(pair, 200 + (i * 37) % 64)));
    }
    for (const std::uint64_t expected : {std::uint64_t{64}, std::uint64_t{0}}) {
        const Result result = feed(kOutside, frames, 67);
        EXPECT_EQ(result.count("ipsec.in.ok"), expected) << result.to_string();
        EXPECT_EQ(result.count("ipsec.in.replay"), 64 - expected) << result.to_string();
    }
}

TEST_P(Replay, RFC4303_2_2_1_esn_crosses_2_32_in_both_directions) {
    constexpr std::uint64_t kFirst = 0xffff'fffd;
    Pair in = windowed();
    in.esn = true;
    in.first_sequence = kFirst;
    apply(record_of(in, SaDirection::kInbound));
    Link node(in);
    std::vector<Bytes> packets;
    for (int i = 0; i < 6; ++i) packets.push_back(from_care_of_address(node.seal(inner())));
    EXPECT_EQ(load_be32(packets[2].data() + 44), 0xffff'ffffu);
    EXPECT_EQ(load_be32(packets[3].data() + 44), 0u) << "only the low half is sent";
    for (const Bytes& packet : packets) expect_opened(feed_packet(kOutside, packet));
    for (const Bytes& packet : packets) {
        expect_drop(feed_packet(kOutside, packet), "ipsec.in.replay");
    }

    Pair out = payload_out();
    out.esn = true;
    out.first_sequence = kFirst;
    apply(record_of(out, SaDirection::kOutbound));
    Link far_end(out);
    const Bytes packet = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(24, 7));
    for (int i = 0; i < 6; ++i) {
        const Result result = feed_packet(kOutside, packet);
        EXPECT_EQ(result.count("ipsec.out.protect"), 1u) << result.to_string();
        ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
        ipsec::test::Buffer sealed(packet_in(result.sent[kOutside][0]));
        EXPECT_EQ(far_end.receiver.in(sealed), ipsec::Verdict::kInOk) << i;
    }
}

}  // namespace
}  // namespace homeport::golden

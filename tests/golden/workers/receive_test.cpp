// SPDX-License-Identifier: BSD-3-Clause
// A receive queue that runs over: signalling first, data bounded, nothing lost without a name.
#include "dataplane/core/signalling_peek.hpp"
#include "tests/golden/forward/home_agent.hpp"

namespace homeport::golden {
namespace {

class Receive : public ForwardTest {
  protected:
    void begin(std::uint32_t look_ahead) {
        start_home_agent();
        bind();
        device_ = add_queue_device();
        context().add_receive_queue(kOutside, device_, 0,
                                    {.first = false, .look_ahead = look_ahead});
    }
    /// To the bound home address; its number can be read from what is sent.
    static Bytes data(std::uint16_t number) {
        Bytes packet = ipv6(kCorrespondent, kHomeAddress, 59, Bytes(10));
        store_be16(packet.data() + 40, number);
        return to_port(kOutside, packet);
    }
    static Bytes mobility() {
        return to_port(kOutside, ipv6(kCorrespondent, kHomeAgent, 135,
                                      test::from_hex("3b0005000000000000000000000000000000")));
    }
    static std::vector<Bytes> many(std::size_t count) {
        std::vector<Bytes> frames;
        for (std::size_t i = 0; i < count; ++i) {
            frames.push_back(data(static_cast<std::uint16_t>(i)));
        }
        return frames;
    }
    Result feed_queue(const std::vector<Bytes>& frames, unsigned rounds = 1) {
        return DataPlaneTest::feed_queue(device_, frames, rounds);
    }
    static std::vector<unsigned> numbers(const Result& result) {
        std::vector<unsigned> numbers;
        for (const Bytes& frame : result.sent[kOutside]) {
            const Bytes packet = packet_in(frame);
            numbers.push_back(load_be16(packet.data() + packet.size() - 10));
        }
        return numbers;
    }

    std::uint16_t device_ = 0;
};

TEST_F(Receive, signalling_behind_a_flood_is_processed_in_the_same_round) {
    begin(512);
    std::vector<Bytes> frames = many(500);
    frames.insert(frames.begin() + 400, mobility());
    Result result = feed_queue(frames);
    ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
    EXPECT_EQ(result.count("signalling.first"), 1u);
    EXPECT_EQ(result.count("rx.port"), 501u);
    EXPECT_EQ(result.sent[kOutside].size(), 64u) << "one batch of data a round";
    EXPECT_EQ(result.held, 436u);
    auto seen = numbers(result);
    result = run_idle(7);
    EXPECT_EQ(result.held, 0u);
    EXPECT_EQ(result.dropped(), 0u);
    const auto rest = numbers(result);
    seen.insert(seen.end(), rest.begin(), rest.end());
    ASSERT_EQ(seen.size(), 500u);
    for (unsigned i = 0; i < 500; ++i) EXPECT_EQ(seen[i], i) << "data keeps its order";
}

TEST_F(Receive, while_the_worker_keeps_up_nothing_is_looked_at) {
    begin(512);
    std::vector<Bytes> frames = many(40);
    frames.push_back(mobility());
    const Result result = feed_queue(frames);
    EXPECT_EQ(result.count("signalling.first"), 0u);
    EXPECT_EQ(result.punted.size(), 1u);
    EXPECT_EQ(result.sent[kOutside].size(), 40u);
    EXPECT_EQ(result.held, 0u);
}

TEST_F(Receive, without_look_ahead_frames_are_taken_as_they_come) {
    begin(0);
    std::vector<Bytes> frames = many(500);
    frames.push_back(mobility());
    const Result result = feed_queue(frames, 8);
    EXPECT_EQ(result.count("signalling.first"), 0u);
    EXPECT_EQ(result.sent[kOutside].size(), 500u);
    EXPECT_EQ(result.punted.size(), 1u);
}

TEST_F(Receive, data_beyond_the_backlog_is_dropped_by_name_and_signalling_is_not) {
    begin(128);
    std::vector<Bytes> frames = many(511);
    frames.push_back(mobility());
    const Result result = feed_queue(frames, 4);
    EXPECT_EQ(result.count("rx.port"), 512u);
    EXPECT_EQ(result.punted.size(), 1u);
    EXPECT_EQ(result.sent[kOutside].size(), 256u);
    // Each round takes 128 frames off and begins with 64 of them.
    EXPECT_EQ(result.count("rx.overload"), 191u);
    EXPECT_EQ(result.held, 64u);
    EXPECT_EQ(run_idle().held, 0u);
}

TEST_F(Receive, a_flood_of_signalling_is_bounded_and_leaves_data_its_share) {
    begin(1023);
    std::vector<Bytes> frames(1000, mobility());
    for (const Bytes& frame : many(23)) frames.push_back(frame);
    Result result = feed_queue(frames);
    EXPECT_EQ(result.punted.size(), 128u) << "two batches a round";
    EXPECT_EQ(result.sent[kOutside].size(), 23u);
    EXPECT_EQ(result.count("signalling.full"), 488u) << "its queue holds 512";
    EXPECT_EQ(result.held, 384u);
    // 256 are left when the next 1000 come, of which 512 - 256 find room.
    result = feed_queue(std::vector<Bytes>(1000, mobility()));
    EXPECT_EQ(result.punted.size(), 256u);
    EXPECT_EQ(result.count("signalling.full"), 744u) << result.to_string();
    EXPECT_EQ(result.count("rx.overload"), 0u);
    EXPECT_EQ(run_idle(8).held, 0u);
}

TEST_F(Receive, a_queue_of_signalling_is_polled_before_those_of_data) {
    start_home_agent();
    bind();
    device_ = add_queue_device();
    const std::uint16_t other = add_queue_device(6);
    context().add_receive_queue(kOutside, device_, 0, {});
    context().add_receive_queue(kHomeLink, other, 0, {.first = true, .look_ahead = 0});
    // The neighbour's packet comes out before the flood, though its queue was added behind it.
    Bytes packet = ipv6(kAtHome, kCorrespondent, 59, Bytes(10, 0xff));
    const Result result = feed_queues({{device_, data(1)}, {other, to_port(kHomeLink, packet)}});
    ASSERT_EQ(result.sent[kOutside].size(), 2u) << result.to_string();
    EXPECT_EQ(numbers(result)[0], 0xffffu);
    EXPECT_EQ(numbers(result)[1], 1u);
}

TEST_F(Receive, what_anybody_sends_leaves_room_for_what_came_by_an_SA) {
    begin(0);
    // The ring to the control plane takes 2047; nobody reads it here until the end of a feed.
    const std::vector<Bytes> flood(2000, mobility());
    const Result result = feed(kOutside, flood, 64);
    EXPECT_EQ(result.count("punt.full"), 464u);
    EXPECT_EQ(result.punted.size(), 1536u) << "three quarters of 2047, rounded up";
}

class Peek : public ForwardTest {
  protected:
    void SetUp() override {
        start_home_agent();
        bind();
    }
    bool looks(const Bytes& packet) {
        return core::looks_like_signalling(to_port(kOutside, packet), state().tables());
    }
    static Bytes esp(std::uint32_t spi) {
        Bytes bytes(24);
        store_be32(bytes.data(), spi);
        return bytes;
    }
    static Bytes udp(std::uint16_t port, const Bytes& inside) {
        Bytes datagram(8);
        store_be16(datagram.data() + 2, port);
        store_be16(datagram.data() + 4, static_cast<std::uint16_t>(8 + inside.size()));
        append(datagram, inside);
        return datagram;
    }
};

TEST_F(Peek, S1_18_signalling_is_known_by_what_stands_on_the_wire) {
    constexpr std::uint32_t kSignallingSpi = 0x80000007, kDataSpi = 0xc0000007, kManual = 0x1007;
    EXPECT_TRUE(looks(ipv6(kCareOfAddress, kHomeAgent, 50, esp(kSignallingSpi))));
    EXPECT_FALSE(looks(ipv6(kCareOfAddress, kHomeAgent, 50, esp(kDataSpi))));
    EXPECT_FALSE(looks(ipv6(kCareOfAddress, kHomeAgent, 50, esp(kManual))));
    EXPECT_TRUE(looks(ipv6(kCareOfAddress, kHomeAgent, 60, Bytes(40)))) << "P5";
    EXPECT_TRUE(looks(ipv6(kCorrespondent, kHomeAgent, 135, Bytes(16))));
    EXPECT_TRUE(looks(ipv6(kCorrespondent, kHomeAgent, 58, Bytes{144, 0, 0, 0}))) << "DHAAD";
    EXPECT_TRUE(looks(ipv6(kAtHome, v6("ff02::1:ff00:1"), 58, Bytes{135, 0, 0, 0}))) << "NS";
    EXPECT_FALSE(looks(ipv6(kCorrespondent, kHomeAgent, 58, Bytes{128, 0, 0, 0}))) << "ping";
    EXPECT_FALSE(looks(ipv6(kCareOfAddress, kHomeAgent, 41, Bytes(60)))) << "P2";
}

TEST_F(Peek, P11_over_ipv4_it_is_looked_for_inside) {
    const auto over = [&](std::uint16_t port, const Bytes& inside) {
        return looks(ipv4(kCorrespondent4, kOutsideAddress4, 17, udp(port, inside)));
    };
    EXPECT_TRUE(over(434, Bytes(24)));
    EXPECT_TRUE(over(500, Bytes(28)));
    EXPECT_TRUE(over(4500, Bytes(28))) << "non-ESP marker: IKE";
    EXPECT_TRUE(over(4500, esp(0x80000001)));
    EXPECT_FALSE(over(4500, esp(0xc0000001)));
    EXPECT_FALSE(over(4500, Bytes{0xff})) << "a keepalive";
    EXPECT_TRUE(over(4191, ipv6(kHomeAddress, kHomeAgent, 60, Bytes(40))));
    EXPECT_TRUE(over(4191, ipv6(kHomeAddress, kHomeAgent, 50, esp(0x80000001))));
    EXPECT_FALSE(over(4191, ipv6(kHomeAddress, kCorrespondent, 17, Bytes(20)))) << "P10i";
    EXPECT_FALSE(over(4191, ipv4(kHomeAddress4, kCorrespondent4, 17, Bytes(40))));
    EXPECT_FALSE(over(4192, Bytes(28)));
    EXPECT_TRUE(looks(ipv4(kCorrespondent4, kOutsideAddress4, 50, esp(0x80000001))));
    EXPECT_FALSE(looks(ipv4(kCorrespondent4, kOutsideAddress4, 50, esp(0xc0000001))));
}

TEST_F(Peek, what_passes_through_does_not_get_ahead_by_its_looks) {
    EXPECT_FALSE(looks(ipv6(kCorrespondent, kHomeAddress, 135, Bytes(16))));
    EXPECT_FALSE(looks(ipv6(kCorrespondent, kHomeAddress, 60, Bytes(40))));
    EXPECT_FALSE(looks(ipv4(kCorrespondent4, kHomeAddress4, 17, udp(434, Bytes(24)))));
}

TEST_F(Peek, cut_off_frames_are_data) {
    const Bytes whole =
        to_port(kOutside, ipv4(kCorrespondent4, kOutsideAddress4, 17,
                               udp(4191, ipv6(kHomeAddress, kHomeAgent, 50, esp(0x80000001)))));
    const std::size_t known = 14 + 20 + 8 + 40 + 4;
    for (std::size_t length = 0; length <= whole.size(); ++length) {
        const ConstByteSpan cut(whole.data(), length);
        EXPECT_EQ(core::looks_like_signalling(cut, state().tables()), length >= known) << length;
    }
    Bytes arp = to_port(kOutside, Bytes(28));
    store_be16(arp.data() + 12, 0x0806);
    EXPECT_TRUE(core::looks_like_signalling(arp, state().tables()));
}

}  // namespace
}  // namespace homeport::golden

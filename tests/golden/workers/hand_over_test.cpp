// SPDX-License-Identifier: BSD-3-Clause
// What one worker of two gives to the other. tests/netns/worker_owner_test.py has both of them run.
#include <map>
#include <set>

#include "tests/golden/forward/home_agent.hpp"

namespace homeport::golden {
namespace {

class HandOver : public ForwardTest {
  protected:
    void SetUp() override {
        set_workers(2);
        start_home_agent();
        bind();
        channel::PolicyRecord protect;
        protect.id = 6;
        protect.action = channel::PolicyAction::kProtect;
        protect.mode = channel::SaMode::kTunnel;
        protect.per_remote_address = 1;
        protect.selector.remote_low = protect.selector.remote_high =
            channel::WireAddress(kHomeAddress);
        channel::PolicyRecord others;
        others.id = 7;
        others.action = channel::PolicyAction::kBypass;
        const std::array policies{protect, others};
        set_policies(policies);
    }
    void add_sa(std::uint32_t spi, unsigned owner, channel::SaDirection direction) {
        channel::SaSet record;
        record.spi = spi;
        record.direction = direction;
        record.mode = channel::SaMode::kTunnel;
        record.policy_id = 6;
        record.owner_worker = owner;
        record.tunnel_local = channel::WireAddress(kHomeAgent);
        record.tunnel_remote = record.peer = channel::WireAddress(kHomeAddress);
        record.selector.remote_low = record.selector.remote_high =
            channel::WireAddress(kHomeAddress);
        constexpr std::string_view kAlgorithm = "aes128-gcm16";
        std::copy(kAlgorithm.begin(), kAlgorithm.end(), record.algorithm);
        record.encryption_key_length = 20;
        for (std::uint8_t i = 0; i < 20; ++i) record.encryption_key[i] = i;
        apply(record);
    }
    static Bytes esp(std::uint32_t spi) {
        Bytes bytes(64);
        store_be32(bytes.data(), spi);
        store_be32(bytes.data() + 4, 1);
        return bytes;
    }
};

TEST_F(HandOver, data_goes_to_the_owner_of_its_SA) {
    add_sa(0xc1000001, 1, channel::SaDirection::kInbound);
    const Bytes packet = ipv6(kCareOfAddress, kHomeAgent, 50, esp(0xc1000001));
    const Result result = feed_packet(kOutside, packet);
    EXPECT_EQ(result.held, 1u);
    EXPECT_EQ(result.count("handover.sent"), 1u) << result.to_string();
    EXPECT_EQ(result.count("handover.signalling"), 0u);
    EXPECT_TRUE(to_other_worker(true).empty());
    const auto handed = to_other_worker(false);
    ASSERT_EQ(handed.size(), 1u);
    EXPECT_EQ(handed[0].packet, packet);
    EXPECT_EQ(handed[0].notes.resume, static_cast<std::uint8_t>(stage::StageId::kClassify));
}

TEST_F(HandOver, own_data_stays) {
    add_sa(0xc0000002, 0, channel::SaDirection::kInbound);
    const Result result =
        feed_packet(kOutside, ipv6(kCareOfAddress, kHomeAgent, 50, esp(0xc0000002)));
    EXPECT_EQ(result.count("handover.sent"), 0u);
    EXPECT_EQ(result.count("ipsec.in.icv"), 1u) << result.to_string();
}

TEST_F(HandOver, S1_18_signalling_goes_by_its_own_ring) {
    add_sa(0x81000003, 1, channel::SaDirection::kInbound);
    // Our own SPI of the signalling group; then any SPI behind a Home Address option (P5).
    add_sa(0x1003, 1, channel::SaDirection::kInbound);
    const Bytes option = test::options_header(
        50, concat({Bytes{1, 2, 0, 0}, test::home_address_option(kHomeAddress)}));
    std::vector<Bytes> frames{
        to_port(kOutside, ipv6(kCareOfAddress, kHomeAgent, 50, esp(0x81000003))),
        to_port(kOutside, ipv6(kCareOfAddress, kHomeAgent, 60, concat({option, esp(0x1003)}))),
        to_port(kOutside, ipv6(kCareOfAddress, kHomeAgent, 50, esp(0x1003)))};
    const Result result = feed(kOutside, frames);
    EXPECT_EQ(result.count("handover.sent"), 3u) << result.to_string();
    EXPECT_EQ(result.count("handover.signalling"), 2u);
    EXPECT_EQ(to_other_worker(true).size(), 2u);
    EXPECT_EQ(to_other_worker(false).size(), 1u) << "a manual SPI alone says nothing";
}

TEST_F(HandOver, S1_14_what_is_to_be_sealed_goes_to_the_owner) {
    add_sa(0x2001, 1, channel::SaDirection::kOutbound);
    const Result result = feed_packet(kOutside, ipv6(kCorrespondent, kHomeAddress, 59, Bytes(10)));
    EXPECT_EQ(result.count("handover.sent"), 1u) << result.to_string();
    const auto handed = to_other_worker(false);
    ASSERT_EQ(handed.size(), 1u);
    EXPECT_EQ(handed[0].notes.resume, static_cast<std::uint8_t>(stage::StageId::kIpsecOut));
    EXPECT_EQ(handed[0].notes.binding, channel::kNoIndex);
}

TEST_F(HandOver, fragments_of_one_packet_meet_in_one_worker_whoever_received_them) {
    unsigned here = 0, there = 0;
    for (std::uint32_t identification = 0; identification < 32; ++identification) {
        const Bytes whole = udp6(kCorrespondent, kHomeAgent, 1000);
        std::vector<Bytes> frames;
        for (const Bytes& fragment : fragments6(whole, 400, identification)) {
            frames.push_back(to_port(kOutside, fragment));
        }
        // By different ports, as in a network with two ways.
        Result result =
            feed(std::vector<Frame>{{kOutside, frames[0]},
                                    {kHomeLink, to_port(kHomeLink, packet_in(frames[1]))},
                                    {kOutside, frames[2]}},
                 1);
        const auto handed = to_other_worker(false);
        if (handed.empty()) {
            ++here;
            EXPECT_EQ(result.count("reasm.ok"), 1u) << result.to_string();
        } else {
            ++there;
            ASSERT_EQ(handed.size(), 3u) << "all or none";
            for (const Arrived& fragment : handed) {
                EXPECT_EQ(fragment.notes.resume,
                          static_cast<std::uint8_t>(stage::StageId::kReassemble));
            }
            EXPECT_EQ(result.count("reasm.ok"), 0u);
        }
    }
    EXPECT_GT(here, 4u);
    EXPECT_GT(there, 4u);
}

TEST_F(HandOver, a_ring_that_is_full_is_counted_by_what_it_is_for) {
    add_sa(0xc1000001, 1, channel::SaDirection::kInbound);
    add_sa(0x81000003, 1, channel::SaDirection::kInbound);
    const std::vector<Bytes> data(
        100, to_port(kOutside, ipv6(kCareOfAddress, kHomeAgent, 50, esp(0xc1000001))));
    const std::vector<Bytes> signalling(
        80, to_port(kOutside, ipv6(kCareOfAddress, kHomeAgent, 50, esp(0x81000003))));
    Result result = feed(kOutside, data);
    EXPECT_EQ(result.count("handover.full"), 37u) << result.to_string();
    result = feed(kOutside, signalling);
    EXPECT_EQ(result.count("signalling.full"), 17u) << result.to_string();
    EXPECT_EQ(result.count("handover.signalling"), 63u);
}

}  // namespace
}  // namespace homeport::golden

// SPDX-License-Identifier: BSD-3-Clause
// S1.18: behind IPsec, messages in transport mode and data in tunnel mode for one home address are
// both HA>HoA ESP. The SPI tells them apart, by either technique.
#include <chrono>

#include "tests/golden/ipsec/protected_node.hpp"

namespace homeport::golden {
namespace {

constexpr std::uint32_t kSpiAcknowledgement = 0x20000011;

class TechniqueTest : public ProtectedNodeTest {
  protected:
    void SetUp() override {
        start_protected(Algorithm::kAes128CbcSha256_128);
        add_update_sa(kSpiAcknowledgement);
        add_payload_sa(kSpiPayloadOut);
    }
    void add_update_sa(std::uint32_t spi) {
        Pair pair = update_pair();
        pair.spi = ipsec::Spi{spi};
        apply(record_of(pair, channel::SaDirection::kOutbound));
    }
    void add_payload_sa(std::uint32_t spi) {
        Pair pair = payload_out();
        pair.spi = ipsec::Spi{spi};
        apply(record_of(pair, channel::SaDirection::kOutbound));
    }
    void remove_outbound(std::uint32_t spi) {
        channel::SaRemove record;
        record.spi = spi;
        record.direction = channel::SaDirection::kOutbound;
        record.peer = channel::WireAddress(kHomeAddress);
        apply(record);
    }
    static Bytes acknowledgement() {
        return ipv6(kHomeAgent, kHomeAddress, 135, kC3Acknowledgement);
    }
    static Bytes to_home_address() {
        return to_port(kOutside, ipv6(kCorrespondent, kHomeAddress, 17, Bytes(24, 0x5a)));
    }

    /// All that was sent is data: HA>CoA, ESP with this SPI right behind the header (S1.12, S1.15).
    static void expect_data(const Result& result, std::size_t count, std::uint32_t spi) {
        ASSERT_EQ(result.sent[kOutside].size(), count) << result.to_string();
        for (const Bytes& frame : result.sent[kOutside]) {
            const Bytes packet = packet_in(frame);
            EXPECT_EQ(Ipv6Address::load(packet.data() + 24), kCareOfAddress);
            ASSERT_EQ(packet[6], 50);
            EXPECT_EQ(load_be32(packet.data() + 40), spi);
        }
        EXPECT_EQ(result.count("mip6.rh2.sent"), 0u);
    }
    /// The one packet is a message: HA>CoA, type 2 routing header, ESP with this SPI.
    static void expect_message(const Result& result, std::uint32_t spi) {
        ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
        const Bytes packet = packet_in(result.sent[kOutside][0]);
        EXPECT_EQ(Ipv6Address::load(packet.data() + 24), kCareOfAddress);
        ASSERT_EQ(packet[6], 43);
        EXPECT_EQ(packet[40], 50);
        EXPECT_EQ(packet[42], 2) << "routing header type";
        EXPECT_EQ(Ipv6Address::load(packet.data() + 48), kHomeAddress);
        EXPECT_EQ(load_be32(packet.data() + 64), spi);
        EXPECT_EQ(result.count("mip6.rh2.sent"), 1u);
    }
    void use_short_windows() {
        channel::ParametersSet parameters;
        parameters.heuristic_timeout_ms = 100;
        apply(parameters);
    }
    void wait_for_timeout() {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
        std::uint64_t timeouts = 0;
        while (timeouts == 0 && std::chrono::steady_clock::now() < deadline) {
            timeouts += run_idle().count("tun.out.spi.timeout");
        }
        EXPECT_EQ(timeouts, 1u);
    }
    Result send_data(std::size_t count, unsigned batch = 64) {
        return feed(kOutside, std::vector<Bytes>(count, to_home_address()), batch);
    }
    Result send_message() { return transmit(acknowledgement()); }
};

TEST_F(TechniqueTest, S1_18_messages_and_data_of_one_home_address_are_told_apart) {
    for (const unsigned batch : kBatchSizes) {
        expect_data(send_data(67, batch), 67, kSpiPayloadOut);
        expect_message(send_message(), kSpiAcknowledgement);
    }
}

TEST_F(TechniqueTest, S1_48_the_first_message_comes_before_any_data) {
    expect_message(send_message(), kSpiAcknowledgement);
    expect_data(send_data(20), 20, kSpiPayloadOut);
    expect_message(send_message(), kSpiAcknowledgement);
    expect_message(send_message(), kSpiAcknowledgement);
}

TEST_F(TechniqueTest, S1_47_rekeyed_data_is_data_from_its_first_packet) {
    expect_message(send_message(), kSpiAcknowledgement);
    expect_data(send_data(20), 20, kSpiPayloadOut);
    for (std::uint32_t n = 1; n <= 20; ++n) {
        add_payload_sa(kSpiPayloadOut + n);
        remove_outbound(kSpiPayloadOut + n - 1);
        expect_data(send_data(5), 5, kSpiPayloadOut + n);
        expect_message(send_message(), kSpiAcknowledgement);
    }
}

TEST_F(TechniqueTest, S1_45_a_rekeyed_message_is_a_message) {
    expect_message(send_message(), kSpiAcknowledgement);
    expect_data(send_data(20), 20, kSpiPayloadOut);
    add_update_sa(kSpiAcknowledgement + 1);
    if (!heuristic()) {
        expect_message(send_message(), kSpiAcknowledgement + 1);
        remove_outbound(kSpiAcknowledgement);
        expect_message(send_message(), kSpiAcknowledgement + 1);
        return;
    }
    // At first it could be something else. The window in which it came ends, and what answers the
    // repeated request is known again.
    use_short_windows();
    expect_message(send_message(), kSpiAcknowledgement + 1);
    add_update_sa(kSpiAcknowledgement + 2);
    expect_data(send_message(), 1, kSpiAcknowledgement + 2);
    wait_for_timeout();
    expect_message(send_message(), kSpiAcknowledgement + 2);
}

TEST_F(TechniqueTest, S1_45_ipsec_is_asked_once_a_change) {
    const unsigned once = heuristic() ? 0 : 1;  // S1.7: the heuristic does not ask at all
    EXPECT_EQ(send_data(67).count("tun.out.spi.asked"), once);
    EXPECT_EQ(send_data(67).count("tun.out.spi.asked"), 0u);
    add_payload_sa(kSpiPayloadOut + 1);
    EXPECT_EQ(send_data(67).count("tun.out.spi.asked"), once);
}

TEST_F(TechniqueTest, S1_47_a_message_that_does_not_come_out_ends_its_window) {
    use_short_windows();
    remove_outbound(kSpiAcknowledgement);
    expect_drop(send_message(), "ipsec.out.no_sa");
    if (heuristic()) wait_for_timeout();
    expect_data(send_data(3), 3, kSpiPayloadOut);
}

TEST_F(TechniqueTest, S1_12_esp_of_a_correspondent_is_neither) {
    const Bytes esp = ipv6(kCorrespondent, kHomeAddress, 50, Bytes(40, 7));
    const Result result = feed(kOutside, to_port(kOutside, esp));
    expect_data(result, 1, kSpiPayloadOut);
    EXPECT_EQ(result.count("ipsec.out.protect"), 1u);
}

}  // namespace
}  // namespace homeport::golden

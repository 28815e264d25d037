// SPDX-License-Identifier: BSD-3-Clause
// P12: answers over UDP and IPv4.
#include "tests/golden/nat/home_agent.hpp"

namespace homeport::golden {
namespace {

class NatReply : public NatTest {
  protected:
    void SetUp() override {
        start_behind_nat();
        add_sa(channel::SaDirection::kOutbound, kSpiOut, 0xb0);
    }
    static Bytes acknowledgement() {
        return ipv6(kHomeAgent, kHomeAddress, 135, kC9Acknowledgement);
    }
    static channel::TransmitPacket reply_to(const Wire& wire) {
        channel::TransmitPacket record;
        record.reply_to = channel::WireAddress(wire.source);
        record.reply_to_port = wire.port;
        record.reply_from = channel::WireAddress(wire.local);
        record.reply_from_port = wire.local_port;
        return record;
    }
    static Bytes routed(const Result& result) {
        const auto& arrived = at(result, StageId::kForward);
        EXPECT_EQ(arrived.size(), 1u) << result.to_string();
        if (arrived.empty()) return {};
        EXPECT_EQ(arrived[0].notes.family, 4);
        EXPECT_NE(arrived[0].notes.flags & stage::kMetaEncapsulated, 0) << "TTL stays";
        return arrived[0].packet;
    }
    /// From the local end of `wire` to the other, checksums right, ESP to the home address inside.
    static void expect_answer(const Bytes& packet, const Wire& wire) {
        ASSERT_GT(packet.size(), 28u + 40u);
        EXPECT_EQ(Ipv4Address::load(packet.data() + 12), wire.local);
        EXPECT_EQ(Ipv4Address::load(packet.data() + 16), wire.source);
        EXPECT_EQ(packet[9], 17);
        EXPECT_EQ(internet_checksum({packet.data(), 20}), 0);
        const ConstByteSpan datagram(packet.data() + 20, packet.size() - 20);
        EXPECT_EQ(load_be16(datagram.data()), wire.local_port);
        EXPECT_EQ(load_be16(datagram.data() + 2), wire.port);
        EXPECT_NE(load_be16(datagram.data() + 6), 0) << "the checksum is computed";
        EXPECT_TRUE(tunnel::udp_checksum_holds(wire.local, wire.source, datagram));
        EXPECT_EQ(packet[28 + 6], 50) << "no routing header";
        EXPECT_EQ(Ipv6Address::load(packet.data() + 28 + 24), kHomeAddress);
    }
};

TEST_F(NatReply, P12_vector_C10) {
    (void)transmit(acknowledgement(), reply_to({}));  // the vector's is number 2 of its SA
    worker().identification = 0;
    const Result result = transmit(acknowledgement(), reply_to({}));
    EXPECT_EQ(routed(result), kC10Wire);
    EXPECT_EQ(result.count("mip6.rh2.sent"), 0u);
    EXPECT_EQ(result.count("ipsec.out.protect"), 1u);
}

TEST_F(NatReply, P12_the_bindings_next_hop_serves_if_it_is_the_same_address) {
    bind_behind_nat();
    const Result result = transmit(acknowledgement(), reply_to({}));
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    expect_answer(packet_in(result.sent[kOutside][0]), {});
}

TEST_F(NatReply, S1_50_a_rejection_goes_to_its_sender_wherever_the_binding_is) {
    const Wire wire{.source = kElsewhere, .port = 7};
    bind_behind_nat();
    expect_answer(routed(transmit(acknowledgement(), reply_to(wire))), wire);
    // The same port of a NAT elsewhere, and another port of the same NAT.
    const Wire other_port{.port = 8};
    const Result result = transmit(acknowledgement(), reply_to(other_port));
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    expect_answer(packet_in(result.sent[kOutside][0]), other_port);
    bind();  // in an IPv6 network
    expect_answer(routed(transmit(acknowledgement(), reply_to(wire))), wire);
    unbind();
    expect_answer(routed(transmit(acknowledgement(), reply_to(wire))), wire);
}

TEST_F(NatReply, S1_50_serves_once) {
    (void)transmit(acknowledgement(), reply_to({}));
    expect_drop(transmit(acknowledgement()), "mip6.ba.no_reply_to");
}

TEST_F(NatReply, S1_71_the_answer_leaves_from_the_address_that_was_asked) {
    for (const Ipv4Address& local : {kHomeAgent4Second, kHomeAgent4}) {
        const Wire wire{.local = local};
        expect_answer(routed(transmit(acknowledgement(), reply_to(wire))), wire);
    }
}

TEST_F(NatReply, P12_an_answer_whose_request_was_not_in_udp_never_goes_over_ipv4) {
    channel::TransmitPacket record = reply_to({});
    record.reply_to_port = 0;
    expect_drop(transmit(acknowledgement(), record), "mip6.ba.no_reply_to");
}

TEST_F(NatReply, P7_without_reply_to_a_message_goes_the_way_of_data_with_a_routing_header) {
    bind_behind_nat();
    const Result result = transmit(acknowledgement());
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(result.count("mip6.rh2.sent"), 1u);
    const Bytes packet = packet_in(result.sent[kOutside][0]);
    ASSERT_GT(packet.size(), 28u + 64u);
    EXPECT_EQ(Ipv4Address::load(packet.data() + 12), kHomeAgent4);
    EXPECT_EQ(Ipv4Address::load(packet.data() + 16), kNat);
    EXPECT_EQ(load_be16(packet.data() + 22), kNatPort);
    EXPECT_EQ(packet[28 + 6], 43);
    EXPECT_EQ(Ipv6Address::load(packet.data() + 28 + 24), kHomeAddress);
    EXPECT_EQ(packet[28 + 40], 50);
    EXPECT_EQ(packet[28 + 42], 2) << "routing header type";
    EXPECT_EQ(Ipv6Address::load(packet.data() + 28 + 48), kHomeAddress);
}

TEST_F(NatReply, P12_lab_without_esp) {
    bypass_all();
    const Bytes packet = routed(transmit(acknowledgement(), reply_to({})));
    EXPECT_EQ(Bytes(packet.begin() + 28, packet.end()), acknowledgement());
}

TEST_F(NatReply, S1_66_two_answers_of_one_node_go_each_their_way) {
    for (std::uint16_t port = 1000; port < 4000; port += 1000) {
        const Wire wire{.port = port};
        expect_answer(routed(transmit(acknowledgement(), reply_to(wire))), wire);
    }
}

}  // namespace
}  // namespace homeport::golden

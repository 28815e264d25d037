// SPDX-License-Identifier: BSD-3-Clause
// Binding updates in, acknowledgements out: P5, P6, and P8 without a tunnel. With and without fresh
// buffers at both edges of IPsec (S1.9).
#include "tests/golden/tunnel/home_agent.hpp"

namespace homeport::golden {
namespace {

using channel::PuntReason;

class Signalling : public TunnelTest, public ::testing::WithParamInterface<bool> {
  protected:
    void SetUp() override {
        start_home_agent(GetParam());
        protect_signalling();
    }
    /// The binding update of vector C2 as the control plane gets it.
    static Bytes normal_form() { return ipv6(kHomeAddress, kHomeAgent, 135, kC1BindingUpdate); }
    static Bytes acknowledgement() {
        return ipv6(kHomeAgent, kHomeAddress, 135, kC3Acknowledgement);
    }
    void expect_binding_update(const Result& result, const IpAddress& from, bool had_option) {
        ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
        const Punted& punted = result.punted[0];
        EXPECT_EQ(punted.packet, normal_form());
        EXPECT_EQ(punted.record.reason, PuntReason::kMobilityHeader);
        EXPECT_EQ(punted.record.protected_by_ipsec, 1);
        EXPECT_EQ(punted.record.had_home_address_option, had_option ? 1 : 0);
        EXPECT_EQ(punted.record.recorded_source,
                  had_option ? channel::WireAddress(from) : channel::WireAddress{});
    }
};

TEST_P(Signalling, P5_vector_C2_reaches_the_control_plane_with_its_wire_source) {
    for (const unsigned batch : kBatchSizes) {
        const std::vector<Bytes> frames{to_port(kOutside, test::kC2BindingUpdate)};
        const Result result = feed(kOutside, frames, batch);
        expect_binding_update(result, kCareOfAddress, true);
        EXPECT_EQ(result.count("mip6.hao.ok"), 1u);
        EXPECT_EQ(result.count("ipsec.in.ok"), 1u);
        EXPECT_EQ(result.count("deliver.control"), 1u);
        EXPECT_EQ(result.dropped(), 0u);
    }
}

TEST_P(Signalling, P5_from_home_the_source_itself_is_where_it_came_from) {
    const Result result = feed_packet(kHomeLink, test::kC2AsSeenByIpsec);
    expect_binding_update(result, kHomeAddress, false);
    EXPECT_EQ(result.count("mip6.hao.ok"), 0u);
}

TEST_P(Signalling, S1_66_further_ones_wait_four_deep) {
    for (const unsigned batch : kBatchSizes) {
        const std::vector<Bytes> frames(67, to_port(kOutside, test::kC2BindingUpdate));
        const Result result = feed(kOutside, frames, batch);
        const unsigned runs = (67 + batch - 1) / batch;
        std::uint64_t delivered = 0;
        for (unsigned run = 0; run < runs; ++run) {
            delivered += std::min({batch, 67 - run * batch, 64u, 5u});
        }
        if (batch > 64) delivered = 5 + 3;
        EXPECT_EQ(result.punted.size(), delivered) << result.to_string();
        EXPECT_EQ(result.count("mip6.hao.busy"), 67 - delivered);
        for (const Punted& punted : result.punted) {
            EXPECT_EQ(punted.record.recorded_source, channel::WireAddress(kCareOfAddress));
        }
    }
}

TEST_P(Signalling, S1_67_a_replayed_copy_does_not_take_the_place_of_the_genuine_one) {
    Bytes replayed = test::kC2BindingUpdate;
    v6("2001:db8:bad::1").store(replayed.data() + 8);
    const std::vector<Bytes> frames{to_port(kOutside, test::kC2BindingUpdate),
                                    to_port(kOutside, replayed)};
    const Result result = feed(kOutside, frames);
    ASSERT_EQ(result.punted.size(), 2u) << result.to_string();  // manual keys: no replay check
    EXPECT_EQ(result.punted[0].record.recorded_source, channel::WireAddress(kCareOfAddress));
    EXPECT_EQ(result.punted[1].record.recorded_source, channel::WireAddress(v6("2001:db8:bad::1")));
}

TEST_P(Signalling, S1_67_one_from_home_behind_one_from_outside_keeps_its_own_source) {
    std::vector<Frame> frames{{kOutside, to_port(kOutside, test::kC2BindingUpdate)},
                              {kOutside, to_port(kOutside, test::kC2AsSeenByIpsec)}};
    const Result result = feed(frames, 64);
    ASSERT_EQ(result.punted.size(), 2u) << result.to_string();
    EXPECT_EQ(result.punted[0].record.recorded_source, channel::WireAddress(kCareOfAddress));
    EXPECT_EQ(result.punted[1].record.recorded_source.family, 0);
    EXPECT_EQ(result.punted[1].record.had_home_address_option, 0);
}

TEST_P(Signalling, S1_68_garbage_costs_its_record_and_nothing_else) {
    Bytes garbage = test::kC2BindingUpdate;
    garbage[80] ^= 1;
    const std::vector<Bytes> frames{to_port(kOutside, garbage),
                                    to_port(kOutside, test::kC2BindingUpdate)};
    const Result result = feed(kOutside, frames);
    EXPECT_EQ(result.count("ipsec.in.icv"), 1u) << result.to_string();
    expect_binding_update(result, kCareOfAddress, true);
}

TEST_P(Signalling, P5_unprotected_binding_updates_are_refused) {
    const Bytes option =
        test::options_header(135, concat({{1, 2, 0, 0}, test::home_address_option(kHomeAddress)}));
    expect_drop(feed_packet(kOutside, ipv6(kCareOfAddress, kHomeAgent, 60,
                                           concat({option, kC1BindingUpdate}))),
                "ipsec.in.policy");
    expect_drop(feed_packet(kHomeLink, normal_form()), "ipsec.in.policy");
}

TEST_P(Signalling, P5_lab_unprotected_binding_update_with_its_source) {
    bypass_all();
    const Bytes option =
        test::options_header(135, concat({{1, 2, 0, 0}, test::home_address_option(kHomeAddress)}));
    const Result result = feed_packet(
        kOutside, ipv6(kCareOfAddress, kHomeAgent, 60, concat({option, kC1BindingUpdate})));
    ASSERT_EQ(result.punted.size(), 1u) << result.to_string();
    EXPECT_EQ(result.punted[0].packet, normal_form());
    EXPECT_EQ(result.punted[0].record.protected_by_ipsec, 0);
    EXPECT_EQ(result.punted[0].record.had_home_address_option, 1);
    EXPECT_EQ(result.punted[0].record.recorded_source, channel::WireAddress(kCareOfAddress));
}

TEST_P(Signalling, P5_home_addresses_that_cannot_be) {
    for (const char* bad : {"ff02::1", "fe80::1", "::1", "2001:db8:1::1"}) {
        const Bytes option =
            test::options_header(50, concat({{1, 2, 0, 0}, test::home_address_option(v6(bad))}));
        expect_drop(feed_packet(kOutside,
                                ipv6(kCareOfAddress, kHomeAgent, 60, concat({option, Bytes(48)}))),
                    "mip6.hao.bad");
    }
}

TEST_P(Signalling, P5_other_packets_with_the_option_need_a_binding) {
    bypass_all();
    const Bytes option =
        test::options_header(17, concat({{1, 2, 0, 0}, test::home_address_option(kHomeAddress)}));
    const Bytes packet = ipv6(kCareOfAddress, kHomeAgent, 60, concat({option, Bytes(24)}));
    Result result = feed_packet(kOutside, packet);
    EXPECT_EQ(result.count("mip6.hao.no_bce"), 1u) << result.to_string();
    ASSERT_EQ(result.punted.size(), 1u);
    EXPECT_EQ(result.punted[0].record.reason, PuntReason::kHaoWithoutBinding);
    EXPECT_EQ(result.punted[0].packet, packet) << "as it came: for a Binding Error";
    bind(kHomeAddress, v6("2001:db8:2::201"));
    EXPECT_EQ(feed_packet(kOutside, packet).count("mip6.hao.no_bce"), 1u);
    bind();
    result = feed_packet(kOutside, packet);
    EXPECT_EQ(result.count("mip6.hao.ok"), 1u) << result.to_string();
    ASSERT_EQ(result.kernel[kOutside].size(), 1u);
    EXPECT_EQ(packet_in(result.kernel[kOutside][0]), ipv6(kHomeAddress, kHomeAgent, 17, Bytes(24)));
}

TEST_P(Signalling, P6_vector_C4_goes_to_where_the_binding_update_came_from) {
    bind(kHomeAddress, v6("2001:db8:2::201"));  // S1.50: the binding may say something else
    const Result result = transmit(acknowledgement(), channel::WireAddress(kCareOfAddress));
    ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
    const Arrived& arrived = at(result, StageId::kForward)[0];
    EXPECT_EQ(arrived.packet, test::kC4Wire);
    EXPECT_EQ(arrived.notes.adjacency, channel::kNoIndex) << "routed anew";
    EXPECT_NE(arrived.notes.flags & stage::kMetaEncapsulated, 0);
    EXPECT_EQ(result.count("ipsec.out.protect"), 1u);
    EXPECT_EQ(result.count("mip6.rh2.sent"), 1u);
}

TEST_P(Signalling, P6_the_bindings_next_hop_serves_if_it_is_the_same_address) {
    bind();
    const Result result = transmit(acknowledgement(), channel::WireAddress(kCareOfAddress));
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(result.sent[kOutside][0], from_port(kOutside, test::kC4Wire));
}

TEST_P(Signalling, P6_without_reply_to_the_binding_decides) {
    bind();
    const Result result = transmit(acknowledgement());
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.sent[kOutside][0]), test::kC4Wire);
}

TEST_P(Signalling, P6_at_home_there_is_no_routing_header) {
    const Result result = transmit(acknowledgement(), channel::WireAddress(kHomeAddress));
    ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
    EXPECT_EQ(at(result, StageId::kForward)[0].packet, test::kC4IpsecOut);
    EXPECT_EQ(result.count("mip6.rh2.sent"), 0u);
}

TEST_P(Signalling, P6_nowhere_to_go) {
    expect_drop(transmit(acknowledgement()), "mip6.ba.no_reply_to");
}

TEST_P(Signalling, S1_50_a_reply_to_address_serves_once) {
    (void)transmit(acknowledgement(), channel::WireAddress(kCareOfAddress));
    expect_drop(transmit(acknowledgement()), "mip6.ba.no_reply_to");
}

TEST_P(Signalling, P6_lab_unprotected_acknowledgement) {
    bypass_all();
    const Result result = transmit(acknowledgement(), channel::WireAddress(kCareOfAddress));
    ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
    Bytes routing{135, 2, 2, 1, 0, 0, 0, 0};
    append(routing, Bytes(kHomeAddress.bytes.begin(), kHomeAddress.bytes.end()));
    EXPECT_EQ(at(result, StageId::kForward)[0].packet,
              ipv6(kHomeAgent, kCareOfAddress, 43, concat({routing, kC3Acknowledgement})));
}

TEST_P(Signalling, P6_no_association_no_packet) {
    channel::SaRemove record;
    record.spi = kSpiOut;
    record.direction = channel::SaDirection::kOutbound;
    record.peer = channel::WireAddress(kHomeAddress);
    record.policy_id = kPolicyBindingUpdate;
    apply(record);
    expect_drop(transmit(acknowledgement(), channel::WireAddress(kCareOfAddress)),
                "ipsec.out.no_sa");
}

TEST_P(Signalling, P8_messages_to_others_take_no_tunnel) {
    const Bytes error =
        ipv6(kHomeAgent, kCareOfAddress, 135, concat({{59, 2, 7, 0, 0, 0, 1, 0}, Bytes(16, 0x20)}));
    const Result result = transmit(error);
    ASSERT_EQ(at(result, StageId::kForward).size(), 1u) << result.to_string();
    EXPECT_EQ(at(result, StageId::kForward)[0].packet, error);
    EXPECT_NE(at(result, StageId::kForward)[0].notes.flags & stage::kMetaOriginated, 0);
}

TEST_P(Signalling, P8_own_packets_to_a_bound_address_are_tunnelled) {
    bind();
    const Bytes echo = ipv6(kHomeAgent, kHomeAddress, 58, Bytes{129, 0, 1, 2, 3, 4, 5, 6});
    const Result result = transmit(echo);
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.sent[kOutside][0]), ipv6(kHomeAgent, kCareOfAddress, 41, echo));
}

TEST_P(Signalling, P1_with_policies_in_force) {
    bind();
    const Bytes packet = ipv6(kCorrespondent, kHomeAddress, 17, Bytes(24));
    Bytes inner = packet;
    inner[7] = 63;
    const Result result = feed_packet(kOutside, packet);
    ASSERT_EQ(result.sent[kOutside].size(), 1u) << result.to_string();
    EXPECT_EQ(packet_in(result.sent[kOutside][0]), ipv6(kHomeAgent, kCareOfAddress, 41, inner));
}

INSTANTIATE_TEST_SUITE_P(BothWays, Signalling, ::testing::Bool(), [](const auto& parameter) {
    return parameter.param ? "fresh_buffers" : "in_place";
});

}  // namespace
}  // namespace homeport::golden

// SPDX-License-Identifier: BSD-3-Clause
// S2.130: packets 1a to 3e of mode cvc at each role alone, both directions. S2.131: the same with
// all roles in one box.
#include "tests/golden/mip4/roles.hpp"

namespace homeport::golden {
namespace {

constexpr Roles kExternalAlone{.external = true, .gateway = false, .internal = false};
constexpr Roles kGatewayAlone{.external = false, .gateway = true, .internal = false};
constexpr Roles kInternalAlone{.external = false, .gateway = false, .internal = true};

class Cvc : public RolesTest, public ::testing::WithParamInterface<Stack> {
  protected:
    static Bytes ike(const Ipv4Address& from, const Ipv4Address& to, std::uint8_t ttl = 64) {
        return ipv4(from, to, 17, udp4(from, 500, to, 500, Bytes(60, 2), true), {.ttl = ttl});
    }
};
INSTANTIATE_TEST_SUITE_P(All, Cvc, ::testing::ValuesIn(kStacks),
                         [](const auto& stack) { return std::string(stack.param.name); });

// ------------------------------------------------------------------------------- each role alone

TEST_P(Cvc, S2_130_1a_2a_3b_at_the_external_home_agent) {
    start_roles(GetParam(), kExternalAlone);
    EXPECT_EQ(sent(feed_packet(kOutside, external(ike(kXHome, kGateway)))),
              ike(kXHome, kGateway, 63));
    for (const Bytes& inner : {request(), internal(user())}) {
        const Bytes esp = sealed(inner);
        EXPECT_EQ(sent(feed_packet(kOutside, external(esp))), with_ttl(esp, 63));
    }
    // and back
    for (const Bytes& packet : {ike(kGateway, kXHome), ipv4(kGateway, kXHome, 50, Bytes(80, 7))}) {
        EXPECT_EQ(out_of_external(sent(feed_packet(kOutside, packet))), with_ttl(packet, 63));
    }
}

TEST_P(Cvc, S2_130_2b_3c_at_the_VPN_gateway) {
    start_roles(GetParam(), kGatewayAlone);
    for (const Bytes& inner : {request(), internal(user())}) {
        const Result result = feed_packet(kOutside, sealed(inner));
        EXPECT_EQ(sent(result, kInside), with_ttl(inner, 63));
        EXPECT_EQ(result.count("vpn.in"), 1u);
    }
    // and back
    const Bytes data =
        in_tunnel(stack_.internal.encapsulation, user_back(), kIAgent, kInnerVpn, 434, kInnerPort);
    for (const Bytes& inner : {reply(), data}) {
        const Result result = feed_packet(kInside, inner);
        EXPECT_EQ(opened(sent(result)), with_ttl(inner, 63));
        EXPECT_EQ(result.count("vpn.out"), 1u);
    }
}

TEST_P(Cvc, S2_130_2c_3d_3e_at_the_internal_home_agent) {
    start_roles(GetParam(), kInternalAlone);
    const Result asked = feed_packet(kInside, request());
    ASSERT_EQ(asked.punted.size(), 1u) << asked.to_string();
    EXPECT_EQ(asked.punted[0].packet, request());
    EXPECT_EQ(asked.punted[0].record.protected_by_ipsec, 0);
    EXPECT_EQ(sent(feed_packet(kInside, internal(user())), kInside), user(63));
    // and back
    EXPECT_EQ(sent(transmit(reply()), kInside), reply());
    expect_internal(sent(feed_packet(kInside, user_back()), kInside), user_back(63));
}

// ------------------------------------------------------------------------------- all in one box

TEST_P(Cvc, S2_131_1a_IKE_is_the_kernels) {
    start_roles(GetParam());
    const Result in = feed_packet(kOutside, external(ike(kXHome, kGateway)));
    ASSERT_EQ(in.kernel[kOutside].size(), 1u) << in.to_string();
    EXPECT_EQ(packet_in(in.kernel[kOutside][0]), ike(kXHome, kGateway));
    const Result out = feed_from_kernel(kOutside, from_port(kOutside, ike(kGateway, kXHome)));
    EXPECT_EQ(out_of_external(sent(out)), ike(kGateway, kXHome));
}

TEST_P(Cvc, S2_131_2a_enters_and_the_answer_to_2c_leaves) {
    start_roles(GetParam());
    const Result in = feed_packet(kOutside, external(sealed(request())));
    ASSERT_EQ(in.punted.size(), 1u) << in.to_string();
    EXPECT_EQ(in.punted[0].packet, request());
    EXPECT_EQ(in.punted[0].record.reason, channel::PuntReason::kMip4Message);
    EXPECT_EQ(in.punted[0].record.protected_by_ipsec, 1);
    EXPECT_EQ(in.punted[0].record.recorded_source, channel::WireAddress(kInnerVpn));
    EXPECT_EQ(in.sent[kInside].size() + in.sent[kOutside].size(), 0u);
    EXPECT_EQ(in.count("xha.tun.in"), 1u);
    EXPECT_EQ(in.count("vpn.in"), 1u);
    const Result out = transmit(reply());
    EXPECT_EQ(opened(out_of_external(sent(out))), reply());
    EXPECT_EQ(out.count("xha.tun.out"), 1u);
    EXPECT_EQ(out.count("vpn.out"), 1u);
    EXPECT_EQ(out.count("iha.tun.out"), 0u);
}

TEST_P(Cvc, S2_131_3b_enters_and_3e_leaves_in_batches) {
    start_roles(GetParam());
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        for (unsigned i = 0; i < 67; ++i) {
            frames.push_back(to_port(kOutside, external(sealed(internal(user(64, 24 + i))))));
        }
        const Result result = feed(kOutside, frames, batch);
        ASSERT_EQ(result.sent[kInside].size(), 67u) << result.to_string();
        for (unsigned i = 0; i < 67; ++i) {
            EXPECT_EQ(packet_in(result.sent[kInside][i]), user(63, 24 + i));
        }
        EXPECT_EQ(result.sent[kOutside].size(), 0u);
        EXPECT_EQ(result.dropped(), 0u);
        for (const char* role : {"xha.tun.in", "vpn.in", "iha.tun.in", "ipsec.in.ok"}) {
            EXPECT_EQ(result.count(role), 67u) << role;
        }
    }
}

TEST_P(Cvc, S2_131_data_to_the_node_leaves_sealed_in_batches) {
    start_roles(GetParam());
    teach_return_path();
    for (const unsigned batch : kBatchSizes) {
        std::vector<Bytes> frames;
        for (unsigned i = 0; i < 67; ++i) frames.push_back(to_port(kInside, user_back(64, 24 + i)));
        const Result result = feed(kInside, frames, batch);
        ASSERT_EQ(result.sent[kOutside].size(), 67u) << result.to_string();
        for (unsigned i = 0; i < 67; ++i) {
            const Bytes sealed_packet = out_of_external(packet_in(result.sent[kOutside][i]));
            expect_internal(opened(sealed_packet), user_back(63, 24 + i));
        }
        EXPECT_EQ(result.sent[kInside].size(), 0u);
        EXPECT_EQ(result.dropped(), 0u);
        for (const char* role : {"xha.tun.out", "vpn.out", "iha.tun.out", "ipsec.out.protect"}) {
            EXPECT_EQ(result.count(role), 67u) << role;
        }
    }
}

TEST_P(Cvc, S2_131_one_node_to_another_comes_in_and_leaves_again) {
    start_roles(GetParam());
    const Ipv4Address other = v4("10.1.0.101");
    channel::BindingSet record = mip4_binding(Encapsulation::kIpv4, 0, other, Mip4Role::kInternal);
    record.home_agent_address = channel::WireAddress(kIAgent);
    record.care_of_address = channel::WireAddress(v4("10.2.0.77"));  // inside
    apply(record);
    const Bytes inner = ipv4(kIHome, other, 17, Bytes(24, 9));
    const Result result = feed_packet(kOutside, external(sealed(internal(inner))));
    expect_tunnel(sent(result, kInside), kInIp, with_ttl(inner, 63), v4("10.2.0.77"), 434, kIAgent);
}

TEST_P(Cvc, S2_36_with_the_inner_address_translated_both_ways) {
    start_roles(GetParam(), {}, true);
    teach_return_path();
    EXPECT_EQ(sent(feed_packet(kOutside, external(sealed(internal(user())))), kInside), user(63));
    const Bytes data = opened(out_of_external(sent(feed_packet(kInside, user_back()))));
    expect_tunnel(data, stack_.internal, user_back(63), kInnerVpn, kInnerPort, kIAgent);
    const Bytes answer =
        ipv4(kIAgent, kTranslated, 17,
             udp4(kIAgent, 434, kTranslated, kInnerPort, concat({{3}, Bytes(43, 9)}), true));
    EXPECT_EQ(opened(out_of_external(sent(transmit(answer)))), reply());
}

/// Packet-paths section 3: what is the most that fits all the layers, and one octet more.
TEST_P(Cvc, S2_131_too_big_for_the_stack_is_told_with_what_fits) {
    start_roles(GetParam());
    teach_return_path();
    // As the main lcore does when it looks at SAs: what the tunnel of the external home agent
    // takes.
    const unsigned in_udp = stack_.esp_in_udp ? 8 : 0;
    set_path_mtu(kSpiToClient, kInnerVpn,
                 static_cast<std::uint16_t>(1500 - stack_.external.overhead - in_udp));
    const std::size_t most = stack_.max_inner;
    const Bytes fits = user_back(64, most - 20, 0x4000);
    const Bytes outer = sent(feed_packet(kInside, fits));
    EXPECT_LE(outer.size(), 1500u);
    expect_internal(opened(out_of_external(outer)), with_ttl(fits, 63));
    const Result too_big = feed_packet(kInside, user_back(64, most - 19, 0x4000));
    EXPECT_EQ(too_big.count("ipsec.out.too_big"), 1u) << too_big.to_string();
    ASSERT_EQ(too_big.sent[kInside].size(), 1u) << too_big.to_string();
    const Bytes error = packet_in(too_big.sent[kInside][0]);
    EXPECT_EQ(Ipv4Address::load(error.data() + 16), kInsideHost);
    EXPECT_EQ(error[20], 3);
    EXPECT_EQ(error[21], 4);
    EXPECT_EQ(load_be16(error.data() + 26), most);
    EXPECT_EQ(Ipv4Address::load(error.data() + 28 + 12), kInsideHost);
    EXPECT_EQ(Ipv4Address::load(error.data() + 28 + 16), kIHome);
    // Without DF it goes in pieces.
    const Result pieces = feed_packet(kInside, user_back(64, most - 19));
    EXPECT_EQ(pieces.sent[kOutside].size(), 2u) << pieces.to_string();
    EXPECT_EQ(pieces.dropped(), 0u);
}

/// Its inner source and addresses are right, but it did not come through the VPN.
TEST_P(Cvc, RFC4301_5_2_a_tunnel_from_the_inner_address_in_the_clear_is_refused) {
    start_roles(GetParam());
    expect_drop(feed_packet(kOutside, internal(user())), "ipsec.in.policy");
    expect_drop(feed_packet(kInside, internal(user())), "ipsec.in.policy");
}
TEST_P(Cvc, RFC4301_5_2_nor_is_one_from_the_address_that_stands_for_it) {
    start_roles(GetParam(), {}, true);
    for (const std::uint16_t port : {kInside, kOutside}) {
        expect_drop(feed_packet(port, in_tunnel(stack_.internal.encapsulation, user(), kTranslated,
                                                kIAgent, kInnerPort)),
                    "ipsec.in.policy");
    }
}

TEST_P(Cvc, what_is_not_authentic_goes_no_further) {
    start_roles(GetParam());
    Bytes packet = external(sealed(internal(user())));
    packet.back() ^= 1;
    const Result result = feed_packet(kOutside, packet);
    expect_drop(result, "ipsec.in.icv");
    EXPECT_EQ(result.count("xha.tun.in"), 1u);
    EXPECT_EQ(result.count("iha.tun.in"), 0u);
}

/// The node's external binding has moved: so has everything that lies in it, and no SA was touched
/// (S2.37).
TEST_P(Cvc, S2_37_a_move_outside_changes_the_outermost_header_alone) {
    start_roles(GetParam());
    teach_return_path();
    channel::BindingSet moved = mip4_binding(Encapsulation::kIpv4, 0, kXHome, Mip4Role::kExternal);
    moved.home_port = channel::kNoPort;
    moved.care_of_address = channel::WireAddress(v4("203.0.113.90"));
    apply(moved);
    const Bytes outer = sent(feed_packet(kInside, user_back()));
    EXPECT_EQ(Ipv4Address::load(outer.data() + 16), v4("203.0.113.90"));
    expect_internal(opened(tail_of(outer, 20)), user_back(63));
}

}  // namespace
}  // namespace homeport::golden

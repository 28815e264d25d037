// SPDX-License-Identifier: BSD-3-Clause
// The mobile node's state machine in IPv4 networks (RFC 5555; mipv6.md section 5; S1.40, S1.42).
#include <gtest/gtest.h>

#include "controlplane/mip6/mobile_node.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::mip6 {
namespace {

using std::chrono::seconds;
using test::v4;
using test::v6;
using wire::BindingStatus;
using State = MobileNodeState;

constexpr std::uint32_t kNoKeepalives = 0xffffffff;

template <class T>
std::vector<T> all(const MobileNodeActions& actions) {
    std::vector<T> found;
    for (const MobileNodeAction& action : actions) {
        if (const T* one = std::get_if<T>(&action)) found.push_back(*one);
    }
    return found;
}

struct MobileNodeIpv4Test : testing::Test {
    static inline const Ipv6Address kHoa = v6("2001:db8:1::100");
    static inline const Ipv6Address kHa = v6("2001:db8:1::1");
    static inline const Ipv6Address kA = v6("2001:db8:2::200");
    static inline const Ipv4Address kHoa4 = v4("192.0.2.100");
    static inline const CareOf kV{v4("10.0.0.5"), v4("203.0.113.1"), 3};
    static inline const CareOf kOther{v4("10.0.0.5"), v4("203.0.113.1"), 4};

    MobileNodeIpv4Test() {
        config.home_address = kHoa;
        config.home_agent = kHa;
        config.lifetime = seconds{400};
        restart();
    }
    void restart() { node.emplace(config, std::uint16_t{1000}); }
    MobileNodeActions keep(MobileNodeActions actions) {
        for (const auto& one : all<SendBindingUpdate>(actions)) last_sent = one;
        return actions;
    }
    MobileNodeActions attach(const CareOf& care_of) {
        now += seconds{1};
        return keep(node->attach({.care_of_address = care_of}, now));
    }
    MobileNodeActions answer(wire::MobilityOptions options, unsigned status = 0) {
        const wire::BindingAcknowledgement message{.status = static_cast<BindingStatus>(status),
                                                   .sequence = last_sent.sequence,
                                                   .lifetime = {100},
                                                   .options = std::move(options)};
        return keep(node->receive(wire::mobility_packet(message, kHa, kHoa), true, now));
    }
    [[nodiscard]] wire::BindingUpdate update() const {
        const auto view = wire::view_ipv6_packet(last_sent.packet);
        const auto message =
            wire::decode_mobility_header(view->upper, view->source, view->destination);
        return std::get<wire::BindingUpdate>(*message);
    }

    MobileNodeConfig config;
    std::optional<MobileNode> node;
    MobileNode::TimePoint now{std::chrono::hours{50}};
    SendBindingUpdate last_sent;
};

TEST_F(MobileNodeIpv4Test,
       RFC5555_3_1_2_the_update_has_option_32_and_no_alternate_care_of_address) {
    config.ipv4_home_address = kHoa4;
    restart();
    (void)attach(kV);
    EXPECT_EQ(last_sent.care_of_address, kV);
    EXPECT_EQ(update().options, (wire::MobilityOptions{wire::Ipv4HomeAddress{32, false, kHoa4},
                                                       wire::Ipv4CareOfAddress{v4("10.0.0.5")}}));
    EXPECT_FALSE(update().force_udp);
    (void)attach(kA);
    EXPECT_EQ(wire::find_option<wire::Ipv4CareOfAddress>(update().options), nullptr);
}

TEST_F(MobileNodeIpv4Test, RFC5555_option_31_decides_the_encapsulation) {
    struct Row {
        wire::MobilityOptions options;
        Encapsulation expected;
    };
    for (const Row& row : {Row{{wire::NatDetection{false, kNoKeepalives}}, Encapsulation::kIpv4},
                           Row{{wire::NatDetection{false, 110}}, Encapsulation::kUdpIpv4},
                           Row{{wire::NatDetection{false, 0}}, Encapsulation::kUdpIpv4},
                           Row{{wire::NatDetection{true, kNoKeepalives}}, Encapsulation::kUdpIpv4},
                           Row{{wire::NatDetection{true, 110}}, Encapsulation::kUdpIpv4},
                           Row{{}, Encapsulation::kIpv4}}) {
        restart();
        (void)attach(kV);
        EXPECT_EQ(all<SwitchTunnel>(answer(row.options)),
                  (std::vector{SwitchTunnel{kV, row.expected}}));
        EXPECT_EQ(node->status().encapsulation, row.expected);
    }
}

TEST_F(MobileNodeIpv4Test, S1_70_a_refresh_may_change_the_verdict) {
    (void)attach(kV);
    (void)answer({wire::NatDetection{false, kNoKeepalives}});
    now += seconds{350};
    ASSERT_EQ(all<SendBindingUpdate>(keep(node->tick(now))).size(), 1u);
    EXPECT_EQ(all<SwitchTunnel>(answer({wire::NatDetection{false, 110}})),
              (std::vector{SwitchTunnel{kV, Encapsulation::kUdpIpv4}}));
}

TEST_F(MobileNodeIpv4Test, RFC5555_4_3_an_update_at_the_refresh_time_if_nothing_else_was_sent) {
    (void)attach(kV);
    (void)answer({wire::NatDetection{false, 30}});
    now += seconds{29};
    EXPECT_TRUE(node->tick(now).empty());
    node->note_udp_sent(now);
    now += seconds{29};
    EXPECT_TRUE(node->tick(now).empty());
    EXPECT_EQ(node->next_deadline(), now + seconds{1});
    now += seconds{1};
    EXPECT_EQ(all<SendBindingUpdate>(keep(node->tick(now))).size(), 1u);
    EXPECT_EQ(node->status().state, State::kRefreshing);
}

TEST_F(MobileNodeIpv4Test, RFC5555_4_3_no_keepalives_without_a_nat_or_where_they_are_off) {
    const auto deadline_with = [&](std::uint32_t refresh) {
        restart();
        (void)attach(kV);
        const auto sent = now;
        (void)answer({wire::NatDetection{false, refresh}});
        return *node->next_deadline() - sent;
    };
    EXPECT_EQ(deadline_with(kNoKeepalives), seconds{320});
    EXPECT_EQ(deadline_with(0), seconds{110}) << "0: the default";
    config.nat_keepalive = false;
    EXPECT_EQ(deadline_with(20), seconds{320});
}

TEST_F(MobileNodeIpv4Test, RFC5555_4_4_2_144_is_tried_again_without_F) {
    config.force_udp = true;
    restart();
    (void)attach(kV);
    EXPECT_TRUE(update().force_udp);
    EXPECT_EQ(all<SendBindingUpdate>(answer({}, 144)).size(), 1u);
    EXPECT_FALSE(update().force_udp);
    (void)answer({wire::NatDetection{false, kNoKeepalives}});
    EXPECT_EQ(node->status().state, State::kRegistered);
    (void)attach(kOther);
    EXPECT_FALSE(update().force_udp) << "it was refused once";
}

TEST_F(MobileNodeIpv4Test, RFC5555_4_4_1_F_is_not_used_over_ipv6_and_144_without_it_is_final) {
    config.force_udp = true;
    restart();
    (void)attach(kA);
    EXPECT_FALSE(update().force_udp);
    (void)answer({}, 144);
    EXPECT_EQ(node->status().state, State::kStopped);
}

TEST_F(MobileNodeIpv4Test, P15_RFC5555_4_4_1_F_over_ipv6_if_the_operator_wants_it) {
    config.force_udp_ipv6 = true;
    restart();
    (void)attach(kV);
    EXPECT_FALSE(update().force_udp) << "over IPv4 it is another switch";
    (void)attach(kA);
    EXPECT_TRUE(update().force_udp);
    EXPECT_EQ(all<SwitchTunnel>(answer({wire::NatDetection{true, 110}})),
              (std::vector{SwitchTunnel{kA, Encapsulation::kUdpIpv6}}));
    EXPECT_EQ(node->status().encapsulation, Encapsulation::kUdpIpv6);
    EXPECT_FALSE(node->status().keepalive_at) << "there is no NAT";
    // A refresh that is answered without it (RFC 5555 3.2.2): plain again.
    now += seconds{350};
    ASSERT_EQ(all<SendBindingUpdate>(keep(node->tick(now))).size(), 1u);
    EXPECT_TRUE(update().force_udp);
    EXPECT_EQ(all<SwitchTunnel>(answer({})), (std::vector{SwitchTunnel{kA, Encapsulation::kIpv6}}));
    // Deregistration is plain.
    now += seconds{1};
    (void)keep(node->shutdown(now));
    EXPECT_FALSE(update().force_udp);
}

TEST_F(MobileNodeIpv4Test, P15_RFC5555_4_4_2_144_over_ipv6_is_tried_again_without_F) {
    config.force_udp_ipv6 = true;
    restart();
    (void)attach(kA);
    EXPECT_EQ(all<SendBindingUpdate>(answer({}, 144)).size(), 1u);
    EXPECT_FALSE(update().force_udp);
    EXPECT_EQ(all<SwitchTunnel>(answer({})), (std::vector{SwitchTunnel{kA, Encapsulation::kIpv6}}));
}

TEST_F(MobileNodeIpv4Test, RFC5555_3_2_2_F_of_the_home_agent_is_obeyed_over_ipv6) {
    (void)attach(kA);
    EXPECT_FALSE(update().force_udp);
    EXPECT_EQ(all<SwitchTunnel>(answer({wire::NatDetection{true, kNoKeepalives}})),
              (std::vector{SwitchTunnel{kA, Encapsulation::kUdpIpv6}}));
}

TEST_F(MobileNodeIpv4Test, S1_42_the_tunnel_stays_on_ipv6_until_ipv4_is_accepted) {
    (void)attach(kA);
    (void)answer({});
    EXPECT_TRUE(all<SwitchTunnel>(attach(kV)).empty());
    EXPECT_EQ(node->status().registered_care_of_address, kA);
    EXPECT_TRUE(all<SwitchTunnel>(answer({}, 130)).empty());
    EXPECT_EQ(node->status().registered_care_of_address, kA);
}

TEST_F(MobileNodeIpv4Test, the_same_private_address_on_another_link_is_a_movement) {
    (void)attach(kV);
    (void)answer({wire::NatDetection{false, 110}});
    EXPECT_EQ(all<SendBindingUpdate>(attach(kOther)).size(), 1u);
    (void)answer({wire::NatDetection{false, 110}});
    (void)node->detach(now);
    EXPECT_EQ(all<SendBindingUpdate>(attach(kOther)).size(), 1u)
        << "back at the address, but perhaps behind another NAT";
}

TEST_F(MobileNodeIpv4Test, RFC5555_dynamic_home_address_is_asked_for_and_then_kept) {
    config.ipv4_home_address = Ipv4Address{};
    restart();
    (void)attach(kV);
    const auto asked = [&] {
        return wire::find_option<wire::Ipv4HomeAddress>(update().options)->address;
    };
    EXPECT_EQ(asked(), Ipv4Address{});
    const auto grant = [&](std::uint8_t status, const Ipv4Address& address) {
        return answer({wire::Ipv4AddressAcknowledgement{status, 32, address},
                       wire::NatDetection{false, kNoKeepalives}});
    };
    EXPECT_EQ(all<Ipv4HomeAddressNews>(grant(0, kHoa4)),
              (std::vector{Ipv4HomeAddressNews{true, kHoa4, 0}}));
    (void)attach(kA);
    EXPECT_EQ(asked(), kHoa4) << "the same one";
    // The home agent lost it: another one is asked for at once.
    const auto actions = grant(130, kHoa4);
    EXPECT_EQ(all<Ipv4HomeAddressNews>(actions),
              (std::vector{Ipv4HomeAddressNews{false, {}, 130}}));
    EXPECT_EQ(all<SendBindingUpdate>(actions).size(), 1u);
    EXPECT_EQ(asked(), Ipv4Address{});
    // Nothing left: no further ado.
    EXPECT_TRUE(all<SendBindingUpdate>(grant(132, {})).empty());
}

TEST_F(MobileNodeIpv4Test, RFC5555_2_3_1_a_home_agent_without_option_30_is_not_asked_again) {
    config.ipv4_home_address = kHoa4;
    restart();
    (void)attach(kV);
    (void)answer({wire::NatDetection{false, 110}});
    (void)attach(kA);
    EXPECT_EQ(wire::find_option<wire::Ipv4HomeAddress>(update().options), nullptr);
}

}  // namespace
}  // namespace homeport::mip6

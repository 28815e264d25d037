// SPDX-License-Identifier: BSD-3-Clause
// The whole control plane with nodes over IPv4 (RFC 5555).
#include "app_fixture.hpp"

namespace homeport::core {
namespace {

TEST_F(AppOverIpv4, P10_P12_a_binding_behind_a_nat_and_the_answer_to_where_the_update_came_from) {
    write("virtual");
    start_both();
    register_from("10.0.0.5");
    const auto bindings = all(CommandType::kBindingSet);
    ASSERT_EQ(bindings.size(), 2u);
    for (const Command& command : bindings) {
        const auto binding = command.as<channel::BindingSet>();
        EXPECT_EQ(binding.encapsulation, channel::Encapsulation::kUdpIpv4);
        EXPECT_EQ(binding.care_of_address.v4(), v4("203.0.113.7")) << "not the private one";
        EXPECT_EQ(binding.home_agent_address.v4(), v4("192.0.2.2"));
        EXPECT_EQ(binding.udp_port, kPort);
        EXPECT_EQ(binding.flags, 0);
    }
    EXPECT_EQ(bindings[1].as<channel::BindingSet>().home_address.v4(), v4("198.51.100.7"));
    const auto answer = all(CommandType::kTransmitPacket).front();
    const auto transmit = answer.as<channel::TransmitPacket>();
    EXPECT_EQ(transmit.reply_to.v4(), v4("203.0.113.7"));
    EXPECT_EQ(transmit.reply_to_port, kPort);
    EXPECT_EQ(transmit.reply_from.v4(), v4("192.0.2.2"));
    EXPECT_EQ(transmit.reply_from_port, 4191);
    const auto acknowledgement = acknowledgement_in(answer);
    EXPECT_EQ(*wire::find_option<wire::NatDetection>(acknowledgement.options),
              (wire::NatDetection{false, 110}));
}

TEST_F(AppOverIpv4, P9_without_a_nat_the_data_plane_follows_the_form_that_the_node_uses) {
    write("virtual", "  dual_stack: {esp_over_ipv4: nested}\n");
    start_both();
    register_from("203.0.113.7");
    const auto binding = all(CommandType::kBindingSet).front().as<channel::BindingSet>();
    EXPECT_EQ(binding.encapsulation, channel::Encapsulation::kIpv4);
    EXPECT_EQ(binding.udp_port, kPort);
    EXPECT_EQ(binding.flags, channel::kBindingFollowForm | channel::kBindingNestedEsp);
}

TEST_F(AppOverIpv4, S1_64_S1_66_addresses_prefixes_and_parameters_are_in_the_synchronisation) {
    write("virtual",
          "  dual_stack: {tlv_header: on, nat_pending_max: 9, nat_pending_ttl: 1000, "
          "nat_lock_depth: 2, nat_lock_timeout: 30}\n");
    start_both();
    const auto addresses = all(CommandType::kAddressSet);
    ASSERT_EQ(addresses.size(), 3u);
    for (std::size_t i = 1; i < 3; ++i) {
        const auto own = addresses[i].as<channel::AddressSet>();
        EXPECT_EQ(own.address.family, 4);
        EXPECT_EQ(own.is_home_agent_address, 1);
    }
    const auto prefixes = all(CommandType::kHomePrefixSet);
    ASSERT_EQ(prefixes.size(), 2u);
    EXPECT_EQ(prefixes[1].as<channel::HomePrefixSet>().prefix.v4(), v4("198.51.100.0"));
    EXPECT_EQ(prefixes[1].as<channel::HomePrefixSet>().prefix_length, 24);
    const auto parameters = all(CommandType::kParametersSet)[0].as<channel::ParametersSet>();
    EXPECT_EQ(parameters.nat_pending_max, 9u);
    EXPECT_EQ(parameters.nat_pending_ttl_ms, 1000);
    EXPECT_EQ(parameters.nat_lock_depth, 2);
    EXPECT_EQ(parameters.nat_lock_timeout_ms, 30);
    EXPECT_EQ(parameters.tlv_header, 1);
}

TEST_F(AppOverIpv4, S1_69_source_verdict_and_dynamic_address_survive_a_restart) {
    write("virtual");
    start_both();
    register_from("10.0.0.5");
    app_->stop();
    app_.reset();
    data_plane_->clear();
    start_app();
    ASSERT_TRUE(run_until([&] { return app_->is_synchronized(); }));
    const auto bindings = all(CommandType::kBindingSet);
    ASSERT_EQ(bindings.size(), 2u);
    EXPECT_EQ(bindings[0].as<channel::BindingSet>().care_of_address.v4(), v4("203.0.113.7"));
    EXPECT_EQ(bindings[0].as<channel::BindingSet>().udp_port, kPort);
    EXPECT_EQ(bindings[1].as<channel::BindingSet>().home_address.v4(), v4("198.51.100.7"));
}

TEST_F(AppOverIpv4, RFC5555_4_5_on_a_real_link_the_ipv4_home_address_is_announced_and_defended) {
    write("home0");
    start_both();
    register_from("10.0.0.5");
    ASSERT_TRUE(run_until([&] {
        return std::ranges::any_of(all(CommandType::kTransmitFrame), [](const Command& frame) {
            return load_be16(frame.trailing.data() + 12) == kEtherTypeArp;
        });
    }));
    const auto frames = all(CommandType::kTransmitFrame);
    const auto arp = std::ranges::find_if(frames, [](const Command& frame) {
        return load_be16(frame.trailing.data() + 12) == kEtherTypeArp;
    });
    EXPECT_EQ(arp->as<channel::TransmitFrame>().port, 0);
    EXPECT_EQ(arp->trailing.size(), 60u);
    EXPECT_EQ(MacAddress::load(arp->trailing.data()).to_string(), "ff:ff:ff:ff:ff:ff");
    EXPECT_EQ(MacAddress::load(arp->trailing.data() + 22), FakeDataPlane::mac_of(0));
    EXPECT_EQ(Ipv4Address::load(arp->trailing.data() + 28), v4("198.51.100.7"));
    EXPECT_EQ(Ipv4Address::load(arp->trailing.data() + 38), v4("198.51.100.7"));
    for (const Command& command : all(CommandType::kBindingSet)) {
        const auto binding = command.as<channel::BindingSet>();
        if (binding.home_address.family != 4 || (binding.flags & channel::kBindingTentative)) {
            continue;
        }
        EXPECT_EQ(binding.home_port, 0);
        EXPECT_NE(binding.flags & channel::kBindingProxyNd, 0);
    }
}

}  // namespace
}  // namespace homeport::core

// SPDX-License-Identifier: BSD-3-Clause
// Each row of mipv6.md section 3 from step 3 to step 23: its failure, its status or counter, and
// that it comes before the rows below it.
#include <gtest/gtest.h>

#include "dataplane/base/checksum.hpp"
#include "tests/unit/mip6/home_agent_fixture.hpp"

namespace homeport::mip6 {
namespace {

using test::prefix6;
using test::v4;
using test::v6;

class ValidationSteps : public HomeAgentTest {};

TEST_F(ValidationSteps, RFC4877_4_2_step_3_unprotected_binding_update_is_dropped) {
    Update unprotected = update(1);
    unprotected.protect = false;
    expect_drop(unprotected, Counter::kIpsecInPolicy);
    EXPECT_EQ(agent.bindings().size(), 0u);
}

TEST_F(ValidationSteps, step_3_comes_before_the_checksum) {
    auto packet = packet_of(update(1));
    packet[45] = static_cast<std::uint8_t>(packet[45] ^ 1);
    ReceiveInfo info = default_info();
    info.protected_by_ipsec = false;
    expect_silence(send_raw(packet, info));
    EXPECT_EQ(agent.counters()[Counter::kIpsecInPolicy], 1u);
    EXPECT_EQ(agent.counters()[Counter::kMhChecksum], 0u);
}

TEST_F(ValidationSteps, step_3_a_binding_update_too_short_to_show_its_flags_is_dropped) {
    const std::vector<std::uint8_t> stump{59, 0, 5, 0, 0, 0, 0, 0};
    ReceiveInfo info = default_info();
    info.protected_by_ipsec = false;
    (void)send_raw(wire::ipv6_packet(kHoa, kHa, 135, 64, stump), info);
    EXPECT_EQ(agent.counters()[Counter::kIpsecInPolicy], 1u);
}

TEST_F(ValidationSteps, step_3_lab_switch_lets_unprotected_ones_in_and_answers_alike) {
    config.allow_unprotected = true;
    restart(config);
    Update unprotected = update(1);
    unprotected.protect = false;
    const Actions actions = send(unprotected);
    EXPECT_EQ(status(actions), 0u);
    EXPECT_FALSE(all<SendMobilityMessage>(actions).at(0).protect);
}

TEST_F(ValidationSteps, RFC6275_9_2_step_4_wrong_checksum_is_dropped) {
    auto packet = packet_of(update(1));
    packet.back() = static_cast<std::uint8_t>(packet.back() ^ 1);
    expect_silence(send_raw(packet));
    EXPECT_EQ(agent.counters()[Counter::kMhChecksum], 1u);
}

TEST_F(ValidationSteps, step_4_the_checksum_is_over_the_home_address) {
    Update made = update(1);
    auto packet = packet_of(made);
    made.wire_source.store(packet.data() + 8);  // as if the option had not been undone
    expect_silence(send_raw(packet));
    EXPECT_EQ(agent.counters()[Counter::kMhChecksum], 1u);
}

// Steps 5 to 7 with their answers are in mobility_errors_test.cpp.

TEST_F(ValidationSteps, RFC6275_6_2_step_8_malformed_option_is_dropped_without_an_answer) {
    Update made = update(1);
    made.message.options.emplace_back(wire::UnknownOption{3, {1, 2, 3}});
    expect_drop(made, Counter::kBuMalformed);
}

TEST_F(ValidationSteps, step_8_unknown_options_are_skipped) {
    Update made = update(1);
    made.message.options.emplace_back(wire::UnknownOption{222, {1, 2, 3}});
    expect_status(made, 0);
}

TEST_F(ValidationSteps, RFC6275_9_5_1_step_9_addresses_must_be_unicast_routable) {
    for (const char* bad : {"::", "::1", "fe80::1", "ff02::1", "::ffff:1.2.3.4"}) {
        Update source = update(1);
        source.wire_source = v6(bad);
        expect_drop(source, Counter::kBuSourceNotUnicast);
        Update home = update(1);
        home.home_address = v6(bad);
        expect_drop(home, Counter::kBuSourceNotUnicast);
        Update care_of = update(1);
        care_of.alternate = v6(bad);
        expect_drop(care_of, Counter::kBuSourceNotUnicast);
    }
}

TEST_F(ValidationSteps, RFC4877_4_3_step_9_away_without_alternate_care_of_address) {
    Update made = update(1);
    made.alternate.reset();
    expect_drop(made, Counter::kBuNoAlternateCoa);
}

TEST_F(ValidationSteps, step_9_a_deregistration_from_away_needs_no_alternate_care_of_address) {
    expect_status(update(1), 0);
    Update made = update(2, 0);
    made.alternate.reset();
    expect_status(made, 0);
    EXPECT_EQ(entry().state, binding::State::kDeleteWait);
}

TEST_F(ValidationSteps, step_9_the_care_of_address_is_that_of_the_option_not_the_wire_source) {
    Update made = update(1);
    made.wire_source = kCoa2;
    const Actions actions = send(made);
    EXPECT_EQ(all<InstallBinding>(actions).at(0).entry.care_of_address, IpAddress{kCoa});
    EXPECT_EQ(all<SendMobilityMessage>(actions).at(0).reply_to, IpAddress{kCoa2});
}

TEST_F(ValidationSteps, step_9_over_ipv4_is_not_served_yet) {
    ReceiveInfo info = default_info();
    info.wire_source = v4("203.0.113.7");
    info.had_hao = false;
    expect_silence(send_raw(packet_of(update(1)), info));
    EXPECT_EQ(agent.counters()[Counter::kMhUnserved], 1u);
}

TEST_F(ValidationSteps, RFC6275_9_5_1_step_10_home_registration_with_nonce_indices) {
    Update made = update(1);
    made.message.options.emplace_back(wire::NonceIndices{1, 2});
    expect_drop(made, Counter::kBuMalformed);
}

TEST_F(ValidationSteps, RFC6275_9_5_step_11_without_the_home_flag) {
    Update made = update(1);
    made.message.home_registration = false;
    expect_drop(made, Counter::kBuHomeFlagClear);
    made.protect = false;
    expect_drop(made, Counter::kBuHomeFlagClear);
}

TEST_F(ValidationSteps, RFC3963_6_2_step_11_mobile_router_without_the_home_flag) {
    Update made = update(1);
    made.message.home_registration = false;
    made.message.mobile_router = true;
    expect_status(made, 140);
    made.protect = false;  // nobody vouches for it: no answer
    expect_drop(made, Counter::kBuHomeFlagClear);
}

TEST_F(ValidationSteps, RFC5213_step_12_proxy_registration) {
    Update made = update(1);
    made.message.proxy_registration = true;
    expect_drop(made, Counter::kBuProxy);
}

TEST_F(ValidationSteps, RFC6275_9_5_1_step_13_sequence_number_window_around_15) {
    for (const unsigned received : {0u, 1u, 14u, 15u, 32783u, 32784u, 65535u}) {
        restart(config);
        expect_status(update(15), 0);
        const Actions actions = send(update(static_cast<std::uint16_t>(received)));
        EXPECT_EQ(status(actions), 135u) << received;
        EXPECT_EQ(answer(actions)->sequence, 15) << "the last accepted one";
        EXPECT_EQ(answer(actions)->lifetime.value, 0);
    }
    for (const unsigned received : {16u, 17u, 1000u, 32782u}) {
        restart(config);
        expect_status(update(15), 0);
        expect_status(update(static_cast<std::uint16_t>(received)), 0);
    }
}

TEST_F(ValidationSteps, step_13_serial_compare_wraps) {
    static_assert(is_newer_sequence(0, 65535));
    static_assert(is_newer_sequence(32766, 65535));
    static_assert(!is_newer_sequence(32767, 65535));
    static_assert(!is_newer_sequence(5, 5));
    static_assert(is_newer_sequence(32782, 15) && !is_newer_sequence(32783, 15));
    expect_status(update(65535), 0);
    expect_status(update(0), 0);
    EXPECT_EQ(entry().sequence, 0);
}

TEST_F(ValidationSteps, step_13_without_a_binding_any_number_is_accepted) {
    expect_status(update(40000), 0);
}

TEST_F(ValidationSteps, RFC6275_10_3_2_step_13_delete_wait_keeps_the_number) {
    expect_status(update(10), 0);
    expect_status(update(11, 0), 0);
    expect_status(update(10), 135);
    now += seconds{11};
    (void)agent.tick(now);
    expect_status(update(10), 0);
}

TEST_F(ValidationSteps, step_13_135_does_not_change_the_number) {
    expect_status(update(15), 0);
    expect_status(update(3), 135);
    EXPECT_EQ(entry().sequence, 15);
    expect_status(update(16), 0);
}

TEST_F(ValidationSteps, RFC3963_6_2_step_14_router_flag_that_changes) {
    expect_status(update(1), 0);
    Update made = update(2);
    made.message.mobile_router = true;
    expect_status(made, 139);
    EXPECT_EQ(entry().sequence, 1) << "step 14 comes before 14b";
    Update gone = made;
    gone.message.sequence = 3;
    gone.message.lifetime = {0};
    expect_status(gone, 0);
}

TEST_F(ValidationSteps, step_14_an_entry_in_delete_wait_has_no_registration_type) {
    expect_status(update(1), 0);
    expect_status(update(2, 0), 0);
    Update made = update(3);
    made.message.mobile_router = true;
    expect_status(made, 140);  // of step 19: the service is off
}

TEST_F(ValidationSteps, RFC6275_9_5_1_step_14b_the_number_counts_although_a_later_step_rejects) {
    expect_status(update(1), 0);
    Update made = from(update(50), v6("2001:db8:1::77"));  // care-of address in the home prefix
    const Actions actions = send(made);
    EXPECT_EQ(status(actions), 174u);
    EXPECT_EQ(entry().sequence, 50);
    EXPECT_EQ(entry().care_of_address, IpAddress{kCoa});
    ASSERT_EQ(count_of<PersistBinding>(actions), 1u);
    EXPECT_EQ(all<PersistBinding>(actions)[0].entry.sequence, 50);
    EXPECT_LT(position<PersistBinding>(actions), position<SendMobilityMessage>(actions));
    expect_status(update(50), 135);
}

TEST_F(ValidationSteps, RFC6275_10_3_2_step_15_deregistration_without_a_binding) {
    expect_status(update(1, 0), 133);
    expect_status(at_home(2), 133);
}

TEST_F(ValidationSteps, RFC3963_6_2_step_15_care_of_address_is_home_address) {
    expect_status(update(1), 0);
    Update made = update(2, 100);
    made.alternate = kHoa;
    const Actions actions = send(made);
    EXPECT_EQ(status(actions), 0u);
    EXPECT_EQ(answer(actions)->lifetime.value, 0);
    EXPECT_EQ(count_of<RemoveBinding>(actions), 1u);
}

TEST_F(ValidationSteps, step_15_comes_before_16_to_18) {
    expect_status(update(1), 0);
    config.nodes = {{.identity = "n", .home_addresses = {kHoa}, .prohibited = false}};
    config.enabled = true;
    (void)agent.reconfigure(config, now);
    agent.set_overloaded(true);
    expect_status(update(2, 0), 0);
}

TEST_F(ValidationSteps, RFC6275_10_3_1_step_15b_registration_without_home_address_option) {
    Update made = update(1);
    made.hao = false;
    made.wire_source = kHoa;
    made.alternate = kCoa;
    expect_status(made, 128);
}

TEST_F(ValidationSteps, RFC6275_10_3_1_step_16_home_agent_function_is_off) {
    config.enabled = false;
    restart(config);
    expect_status(update(1), 131);
}

TEST_F(ValidationSteps, step_16_no_home_agent_at_that_address) {
    Update made = update(1);
    made.home_agent = v6("2001:db8:1::2");
    expect_status(made, 131);
}

TEST_F(ValidationSteps, RFC6275_10_3_1_step_17_home_address_in_no_home_prefix) {
    Update made = update(1);
    made.home_address = v6("2001:db8:77::100");
    expect_status(made, 132);
}

TEST_F(ValidationSteps, step_17_home_prefix_that_is_about_to_end) {
    config.home_prefixes[0].valid_until = now + milliseconds{3999};
    restart(config);
    expect_status(update(1), 132);
    config.home_prefixes[0].valid_until = now - seconds{1};
    restart(config);
    expect_status(update(1), 132);
}

TEST_F(ValidationSteps, RFC6275_10_3_1_step_18_unknown_and_prohibited_nodes) {
    config.accept_unknown_nodes = false;
    restart(config);
    expect_status(update(1), 129);
    config.nodes = {{.identity = "n", .home_addresses = {kHoa}, .prohibited = true}};
    restart(config);
    expect_status(update(1), 129);
    config.nodes[0].prohibited = false;
    restart(config);
    expect_status(update(1), 0);
}

TEST_F(ValidationSteps, RFC5142_5_3_step_18_no_extension_while_switching_away) {
    expect_status(update(1), 0);
    config.nodes = {{.identity = "n", .home_addresses = {kHoa}, .switching_away = true}};
    (void)agent.reconfigure(config, now);
    expect_status(update(2), 129);
    EXPECT_TRUE(entry().is_active()) << "served until it expires";
}

TEST_F(ValidationSteps, step_18_nobody_registers_the_home_agents_own_address) {
    Update made = update(1);
    made.home_address = kHa;
    expect_status(made, 129);
    made.home_address = home_agents_anycast(prefix6("2001:db8:1::/64"));
    expect_status(made, 129);
}

TEST_F(ValidationSteps, RFC6275_15_1_step_18_care_of_address_in_a_home_prefix_or_denied) {
    expect_status(from(update(1), v6("2001:db8:1::55")), 174);
    expect_status(from(update(1), v6("2001:db8:5::55")), 174);
    expect_status(from(update(1), kHaReal), 174);
    config.coa_deny = {prefix6("2001:db8:2::/48")};
    restart(config);
    expect_status(update(1), 174);
    expect_status(from(update(2), kCoa2), 0);
}

TEST_F(ValidationSteps, step_18_limit_of_bindings_in_all) {
    config.limits.bindings = 1;
    restart(config);
    expect_status(update(1), 0);
    Update second = update(1);
    second.home_address = v6("2001:db8:1::101");
    expect_status(second, 130);
    expect_status(update(2), 0);  // what is there is refreshed
}

TEST_F(ValidationSteps, step_18_limit_of_bindings_of_a_node) {
    const Ipv6Address other = v6("2001:db8:1::101");
    config.nodes = {{.identity = "n", .home_addresses = {kHoa, other}}};
    config.limits.bindings_per_node = 1;
    restart(config);
    expect_status(update(1), 0);
    Update second = update(1);
    second.home_address = other;
    expect_status(second, 130);
    expect_status(update(2, 0), 0);
    expect_status(second, 130);  // delete-wait still takes the place
    now += seconds{11};
    (void)agent.tick(now);
    expect_status(second, 0);
}

TEST_F(ValidationSteps, step_18_overload_is_silence_for_new_ones_and_nothing_for_refreshes) {
    expect_status(update(1), 0);
    agent.set_overloaded(true);
    Update second = update(1);
    second.home_address = v6("2001:db8:1::101");
    expect_drop(second, Counter::kBuOverload);
    expect_status(update(2), 0);
    agent.set_overloaded(false);
    expect_status(second, 0);
}

TEST_F(ValidationSteps, step_18_prohibited_comes_before_the_care_of_address_and_the_limits) {
    config.nodes = {{.identity = "n", .home_addresses = {kHoa}, .prohibited = true}};
    config.limits.bindings = 0;
    restart(config);
    expect_status(from(update(1), v6("2001:db8:1::55")), 129);
    config.nodes[0].prohibited = false;
    restart(config);
    expect_status(from(update(1), v6("2001:db8:1::55")), 174);
    expect_status(update(1), 130);
}

class MobileRouterSteps : public HomeAgentTest {
  protected:
    MobileRouterSteps() {
        config.mobile_router_service = true;
        config.nodes = {{.identity = "r",
                         .home_addresses = {kHoa},
                         .mobile_router = true,
                         .mobile_prefixes = {prefix6("2001:db8:9000::/40")}}};
        restart(config);
    }
    static Update router(std::uint16_t sequence,
                         std::initializer_list<std::pair<const char*, unsigned>> prefixes) {
        Update made = update(sequence);
        made.message.mobile_router = true;
        for (const auto& [address, length] : prefixes) {
            made.message.options.emplace_back(
                wire::MobileNetworkPrefix{static_cast<std::uint8_t>(length), v6(address)});
        }
        return made;
    }
};

TEST_F(MobileRouterSteps, RFC3963_6_2_step_19_service_off_or_node_is_no_router) {
    config.mobile_router_service = false;
    restart(config);
    expect_status(router(1, {}), 140);
    config.mobile_router_service = true;
    config.nodes[0].mobile_router = false;
    restart(config);
    expect_status(router(1, {}), 140);
    config.nodes.clear();
    restart(config);
    expect_status(router(1, {}), 140);
}

TEST_F(MobileRouterSteps, RFC3963_6_2_step_20_unusable_prefix_rejects_all) {
    expect_status(router(1, {{"2001:db8:9000::", 48}, {"ff02::", 16}}), 141);
    expect_status(router(1, {{"2001:db8:9000::", 129}}), 141);
    expect_status(router(1, {{"2001:db8:9000::", 255}}), 141);
    expect_status(router(1, {{"::", 0}}), 141);
}

TEST_F(MobileRouterSteps, RFC3963_6_2_step_21_prefix_of_another) {
    expect_status(router(1, {{"2001:db8:9000::", 48}, {"2001:db8:aaaa::", 48}}), 142);
    expect_status(router(1, {{"2001:db8:9000::", 36}}), 142);  // wider than its own
}

TEST_F(MobileRouterSteps, RFC3963_6_2_step_22_implicit_without_configured_prefixes) {
    config.nodes[0].mobile_prefixes.clear();
    restart(config);
    expect_status(router(1, {}), 143);
}

TEST_F(MobileRouterSteps, RFC3963_6_6_accepted_explicit_and_implicit_with_R_in_the_answer) {
    Actions actions = send(router(1, {{"2001:db8:9000::", 48}, {"2001:db8:9001:ffff::", 48}}));
    EXPECT_TRUE(answer(actions)->mobile_router);
    EXPECT_EQ(entry().prefix_mode, binding::PrefixMode::kExplicit);
    EXPECT_EQ(entry().mobile_prefixes,
              (std::vector{prefix6("2001:db8:9000::/48"), prefix6("2001:db8:9001::/48")}));
    actions = send(router(2, {}));
    EXPECT_TRUE(answer(actions)->mobile_router);
    EXPECT_EQ(entry().prefix_mode, binding::PrefixMode::kImplicit);
    EXPECT_EQ(entry().mobile_prefixes, std::vector{prefix6("2001:db8:9000::/40")});
}

TEST_F(MobileRouterSteps, RFC3963_6_2_a_prefix_named_twice_is_forwarded_once) {
    (void)send(router(1, {{"2001:db8:9000::", 48}, {"2001:db8:9000:0:ffff::", 48}}));
    EXPECT_EQ(entry().mobile_prefixes, std::vector{prefix6("2001:db8:9000::/48")});
}

TEST_F(MobileRouterSteps, RFC5555_3_1_1_a_router_of_ipv4_networks_alone) {
    config.nodes[0].mobile_prefixes.clear();
    restart(config);
    Update made = router(1, {});
    made.message.options.emplace_back(
        wire::Ipv4HomeAddress{16, true, *Ipv4Address::parse("10.5.0.0")});
    const Actions actions = send(made);
    EXPECT_EQ(status(actions), 0u);
    EXPECT_TRUE(answer(actions)->mobile_router);
    EXPECT_TRUE(entry().mobile_prefixes.empty());
}

TEST_F(MobileRouterSteps, RFC6275_15_1_step_18_care_of_address_in_a_mobile_network) {
    expect_status(from(router(1, {}), v6("2001:db8:9000:7::5")), 174);
    Update other = update(1);
    other.home_address = v6("2001:db8:1::200");
    expect_status(from(other, v6("2001:db8:90ff:ffff::5")), 174);
    expect_status(from(other, v6("2001:db8:9100::5")), 0);
}

TEST_F(MobileRouterSteps, RFC3963_6_2_prefixes_follow_the_configuration) {
    (void)send(router(1, {{"2001:db8:9000::", 48}, {"2001:db8:9001::", 48}}));
    config.nodes[0].mobile_prefixes = {prefix6("2001:db8:9001::/48")};
    Actions actions = agent.reconfigure(config, now);
    ASSERT_EQ(count_of<InstallBinding>(actions), 1u);
    EXPECT_EQ(all<InstallBinding>(actions)[0].entry.mobile_prefixes,
              std::vector{prefix6("2001:db8:9001::/48")});
    EXPECT_EQ(count_of<PersistBinding>(actions), 1u);
    EXPECT_EQ(count_of<InstallBinding>(agent.reconfigure(config, now)), 0u) << "nothing changed";
    (void)send(router(2, {}));
    config.nodes[0].mobile_prefixes = {prefix6("2001:db8:9002::/48")};
    (void)agent.reconfigure(config, now);
    EXPECT_EQ(entry().mobile_prefixes, std::vector{prefix6("2001:db8:9002::/48")}) << "implicit";
    config.nodes[0].mobile_router = false;
    (void)agent.reconfigure(config, now);
    EXPECT_TRUE(entry().mobile_prefixes.empty());
}

TEST_F(MobileRouterSteps, RFC3963_6_6_no_R_in_a_rejection) {
    EXPECT_FALSE(answer(send(router(1, {{"ff02::", 16}})))->mobile_router);
}

TEST_F(MobileRouterSteps, prefixes_without_R_mean_nothing) {
    Update made = update(1);
    made.message.options.emplace_back(wire::MobileNetworkPrefix{200, v6("ff02::")});
    expect_status(made, 0);
    EXPECT_TRUE(entry().mobile_prefixes.empty());
}

TEST_F(ValidationSteps, RFC5555_4_5_step_23_forced_udp_is_refused_as_a_whole) {
    Update made = update(1);
    made.message.force_udp = true;
    expect_status(made, 144);
    EXPECT_EQ(agent.bindings().size(), 0u);
}

TEST_F(ValidationSteps, RFC5555_4_5_step_23_ipv4_failures_do_not_reject_the_ipv6_binding) {
    Update made = update(1);
    const std::pair<wire::Ipv4HomeAddress, unsigned> cases[] = {
        {{0, false, v4("192.0.2.1")}, 128},  {{33, false, v4("192.0.2.1")}, 128},
        {{32, false, v4("192.0.2.1")}, 130}, {{32, false, v4("224.0.0.1")}, 131},
        {{32, false, v4("0.0.0.0")}, 132},   {{24, true, v4("0.0.0.0")}, 133}};
    for (const auto& [option, code] : cases) made.message.options.emplace_back(option);
    const Actions actions = send(made);
    ASSERT_EQ(status(actions), 0u);
    const auto options = answer(actions)->options;
    ASSERT_EQ(options.size(), std::size(cases)) << "one answer each, in their order";
    for (std::size_t i = 0; i < options.size(); ++i) {
        const auto& reply = std::get<wire::Ipv4AddressAcknowledgement>(options[i]);
        EXPECT_EQ(reply.status, cases[i].second);
        EXPECT_EQ(reply.address, cases[i].first.address);
        EXPECT_EQ(reply.prefix_length, 0);
    }
}

TEST_F(ValidationSteps, RFC5555_4_5_step_23_the_static_ipv4_home_address_is_bound) {
    config.nodes = {
        {.identity = "n", .home_addresses = {kHoa}, .ipv4_home_address = v4("192.0.2.100")}};
    restart(config);
    for (const char* asked_for : {"192.0.2.100", "0.0.0.0"}) {
        Update made = update(asked_for[0] == '0' ? 2 : 1);
        made.message.options.emplace_back(wire::Ipv4HomeAddress{32, false, v4(asked_for)});
        const Actions actions = send(made);
        const auto options = answer(actions)->options;
        EXPECT_EQ(std::get<wire::Ipv4AddressAcknowledgement>(options.at(0)),
                  (wire::Ipv4AddressAcknowledgement{0, 32, v4("192.0.2.100")}));
        const auto homes = all<InstallBinding>(actions).at(0).entry.ipv4_homes;
        ASSERT_EQ(homes.size(), 1u);
        EXPECT_EQ(homes[0].prefix.address, v4("192.0.2.100"));
        EXPECT_EQ(homes[0].dynamic, asked_for[0] == '0');
    }
    Update of_another = update(3);
    of_another.message.options.emplace_back(wire::Ipv4HomeAddress{32, false, v4("192.0.2.101")});
    const Actions actions = send(of_another);
    EXPECT_EQ(std::get<wire::Ipv4AddressAcknowledgement>(answer(actions)->options.at(0)).status,
              130);
    EXPECT_TRUE(all<InstallBinding>(actions).at(0).entry.ipv4_homes.empty());
}

TEST_F(ValidationSteps, RFC5555_step_23_a_refresh_without_the_option_ends_the_ipv4_binding) {
    config.nodes = {
        {.identity = "n", .home_addresses = {kHoa}, .ipv4_home_address = v4("192.0.2.100")}};
    restart(config);
    Update made = update(1);
    made.message.options.emplace_back(wire::Ipv4HomeAddress{32, false, v4("192.0.2.100")});
    EXPECT_EQ(all<InstallBinding>(send(made)).at(0).entry.ipv4_homes.size(), 1u);
    EXPECT_TRUE(all<InstallBinding>(send(update(2))).at(0).entry.ipv4_homes.empty());
}

TEST_F(ValidationSteps, RFC5555_step_23_ipv4_home_address_prohibited_by_policy) {
    config.nodes = {{.identity = "n", .home_addresses = {kHoa}, .ipv4_home_prohibited = true}};
    restart(config);
    Update made = update(1);
    made.message.options.emplace_back(wire::Ipv4HomeAddress{32, false, v4("192.0.2.1")});
    const auto options = answer(send(made))->options;
    EXPECT_EQ(std::get<wire::Ipv4AddressAcknowledgement>(options.at(0)).status, 129);
}

TEST_F(ValidationSteps, step_23_without_the_request_there_is_no_answer_option) {
    EXPECT_TRUE(answer(send(update(1)))->options.empty());
}

TEST_F(ValidationSteps, RFC6275_9_5_4_an_answer_comes_whatever_A_says) {
    Update made = update(1);
    made.message.acknowledge = false;
    expect_status(made, 0);
    made = update(1, 100);
    made.home_address = v6("2001:db8:77::100");
    made.message.acknowledge = false;
    expect_status(made, 132);
}

TEST_F(ValidationSteps, a_packet_that_is_no_mobility_header_is_counted) {
    (void)send_raw({1, 2, 3});
    (void)send_raw(wire::ipv6_packet(kHoa, kHa, 17, 64, std::vector<std::uint8_t>(8)));
    EXPECT_EQ(agent.counters()[Counter::kMhPacket], 2u);
}

TEST_F(ValidationSteps, messages_for_other_roles_are_counted) {
    for (const wire::MobilityMessage& message :
         {wire::MobilityMessage{wire::HomeTestInit{}},
          wire::MobilityMessage{wire::BindingAcknowledgement{}},
          wire::MobilityMessage{wire::BindingRevocation{}}}) {
        expect_silence(send_raw(wire::mobility_packet(message, kHoa, kHa)));
    }
    EXPECT_EQ(agent.counters()[Counter::kMhUnserved], 3u);
}

}  // namespace
}  // namespace homeport::mip6

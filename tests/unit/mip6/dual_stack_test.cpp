// SPDX-License-Identifier: BSD-3-Clause
// Binding updates over UDP/IPv4 (RFC 5555 4.2, 4.5; mipv6.md sections 3 step 9 and 5): where they
// come from, whether a NAT is on the way, where the answer goes.
#include <gtest/gtest.h>

#include "tests/unit/mip6/ipv4_fixture.hpp"

namespace homeport::mip6 {
namespace {

using binding::Encapsulation;
using binding::NatVerdict;
using binding::OuterSource;
using test::v4;
using test::v6;
using wire::NatDetection;

constexpr std::uint32_t kAllOnes = 0xffffffff;

using NatDetectionOfBu = DualStackTest;

TEST_F(NatDetectionOfBu, S1_61_addresses_decide_and_ports_do_not) {
    struct Case {
        Ipv4Address claimed;
        std::uint16_t port;
        NatVerdict verdict;
        Encapsulation encapsulation;
        NatDetection option;
    };
    const Case cases[] = {
        {kNat, 4191, NatVerdict::kNoNat, Encapsulation::kIpv4, {false, kAllOnes}},
        {kNat, 40000, NatVerdict::kNoNat, Encapsulation::kIpv4, {false, kAllOnes}},
        {kPrivate, 4191, NatVerdict::kNat, Encapsulation::kIpv4Udp, {false, 110}},
        {kPrivate, 40000, NatVerdict::kNat, Encapsulation::kIpv4Udp, {false, 110}}};
    std::uint16_t sequence = 0;
    for (const Case& one : cases) {
        const Actions actions =
            send4({.sequence = ++sequence, .port = one.port, .claimed = one.claimed});
        ASSERT_EQ(status(actions), 0u);
        EXPECT_EQ(entry().nat, one.verdict);
        EXPECT_EQ(entry().encapsulation, one.encapsulation);
        EXPECT_EQ(entry().outer_source, (OuterSource{kNat, one.port}));
        EXPECT_EQ(entry().nat_refresh_time, one.option.refresh_time);
        EXPECT_EQ(nat_option(actions), one.option);
    }
    EXPECT_EQ(counted(Counter::kNatNo), 2u);
    EXPECT_EQ(counted(Counter::kNatYes), 2u);
}

TEST_F(NatDetectionOfBu, S1_69_the_binding_has_the_outer_source_and_the_address_it_was_sent_to) {
    const Actions actions = send4({});
    const auto installed = all<InstallBinding>(actions);
    ASSERT_EQ(installed.size(), 1u);
    EXPECT_EQ(installed[0].entry.outer_source, (OuterSource{kNat, kPort}));
    EXPECT_EQ(installed[0].entry.local_endpoint, (OuterSource{kHa4, 4191}));
    EXPECT_EQ(installed[0].entry.care_of_address, IpAddress{kPrivate}) << "what the node says";
    EXPECT_LT(position<InstallBinding>(actions), position<SendMobilityMessage>(actions));
}

TEST_F(NatDetectionOfBu, RFC5555_2_3_2_1_without_option_32_a_nat_is_assumed) {
    const Actions actions = send4({.claimed = std::nullopt});
    ASSERT_EQ(status(actions), 0u);
    EXPECT_EQ(entry().nat, NatVerdict::kNat);
    EXPECT_EQ(entry().care_of_address, IpAddress{kNat});
    EXPECT_EQ(nat_option(actions), (NatDetection{false, 110}));
}

TEST_F(NatDetectionOfBu, S1_70_every_update_is_judged_anew_and_a_change_is_told) {
    (void)send4({.sequence = 1, .port = 40000});
    (void)send4({.sequence = 2, .port = 40000});
    EXPECT_EQ(counted(Counter::kBindingSourceChanged), 0u);
    const Actions port = send4({.sequence = 3, .port = 40001});
    EXPECT_EQ(all<InstallBinding>(port).at(0).entry.outer_source, (OuterSource{kNat, 40001}));
    EXPECT_EQ(counted(Counter::kBindingSourceChanged), 1u);
    const Actions address = send4({.sequence = 4, .source = v4("203.0.113.8"), .port = 40001});
    EXPECT_EQ(entry().outer_source, (OuterSource{v4("203.0.113.8"), 40001}));
    EXPECT_EQ(counted(Counter::kBindingSourceChanged), 2u);
    (void)send4({.sequence = 5, .source = v4("203.0.113.8"), .claimed = v4("203.0.113.8")});
    EXPECT_EQ(entry().nat, NatVerdict::kNoNat) << "the NAT went away";
    EXPECT_EQ(counted(Counter::kNatYes), 4u);
    EXPECT_EQ(counted(Counter::kNatNo), 1u);
}

TEST_F(NatDetectionOfBu, S1_65b_a_refresh_without_a_record_uses_what_the_binding_has) {
    (void)send4({.sequence = 1, .local = kOtherHa4});
    const Actions actions = send4({.sequence = 2, .recorded = false});
    ASSERT_EQ(status(actions), 0u);
    EXPECT_EQ(entry().outer_source, (OuterSource{kNat, kPort}));
    EXPECT_EQ(entry().nat, NatVerdict::kNat);
    const auto sent = all<SendMobilityMessage>(actions).at(0);
    EXPECT_EQ(sent.reply_to, IpAddress{kNat});
    EXPECT_EQ(sent.reply_to_port, kPort);
    EXPECT_EQ(sent.reply_from, (OuterSource{kOtherHa4, 4191}));
}

TEST_F(NatDetectionOfBu, S1_65b_an_update_from_home_leaves_no_record_either_and_is_one_from_home) {
    (void)send4({.sequence = 1});
    const Actions actions =
        send4({.sequence = 2, .lifetime = 0, .claimed = std::nullopt, .recorded = false});
    ASSERT_EQ(status(actions), 0u);
    EXPECT_EQ(all<SendMobilityMessage>(actions).at(0).reply_to, IpAddress{kHoa});
    EXPECT_EQ(count_of<RemoveBinding>(actions), 1u);
}

TEST_F(NatDetectionOfBu, S1_50_S1_71_the_answer_goes_where_the_update_came_from_also_a_rejection) {
    (void)send4({.sequence = 1});
    config.coa_deny = {test::prefix6("::ffff:198.18.0.0/111")};
    (void)agent.reconfigure(config, now);
    const Actions actions =
        send4({.sequence = 2, .source = v4("198.18.0.9"), .port = 1234, .local = kOtherHa4});
    EXPECT_EQ(status(actions), 174u);
    const auto sent = all<SendMobilityMessage>(actions).at(0);
    EXPECT_EQ(sent.reply_to, IpAddress{v4("198.18.0.9")});
    EXPECT_EQ(sent.reply_to_port, 1234);
    EXPECT_EQ(sent.reply_from, (OuterSource{kOtherHa4, 4191}));
    EXPECT_FALSE(sent.routing_header_2) << "the inner destination is the home address";
    EXPECT_EQ(entry().outer_source, (OuterSource{kNat, kPort})) << "data stay";
    EXPECT_EQ(entry().sequence, 2) << "14b";
}

TEST_F(NatDetectionOfBu, RFC5555_4_2_each_answer_to_an_update_in_udp_has_option_31) {
    EXPECT_TRUE(nat_option(send4({.sequence = 1})).has_value());
    EXPECT_TRUE(nat_option(send4({.sequence = 1})).has_value()) << "status 135";
    EXPECT_TRUE(nat_option(send4({.sequence = 2, .force_udp = true})).has_value()) << "144";
    EXPECT_TRUE(nat_option(send4({.sequence = 3, .lifetime = 0})).has_value());
    EXPECT_FALSE(nat_option(send(update(4))).has_value()) << "over IPv6";
}

TEST_F(NatDetectionOfBu, mipv6_5_3_7_omit_natdet_leaves_it_out_only_where_there_is_no_nat) {
    config.omit_nat_detection = true;
    restart(config);
    EXPECT_FALSE(nat_option(send4(not_behind_nat(1))).has_value());
    EXPECT_TRUE(nat_option(send4({.sequence = 2})).has_value());
}

TEST_F(NatDetectionOfBu, RFC5555_3_2_2_refresh_time_is_the_configured_one) {
    config.nat_refresh = seconds{25};
    restart(config);
    EXPECT_EQ(nat_option(send4({})), (NatDetection{false, 25}));
}

using ForcedUdp = DualStackTest;

TEST_F(ForcedUdp, RFC5555_4_5_F_is_refused_with_144_as_a_whole_unless_accepted) {
    EXPECT_EQ(status(send4({.sequence = 1, .force_udp = true})), 144u);
    EXPECT_EQ(agent.bindings().size(), 0u);
    config.accept_force_udp = true;
    restart(config);
    Update4 made = not_behind_nat(2);
    made.force_udp = true;
    const Actions actions = send4(made);
    EXPECT_EQ(status(actions), 0u);
    EXPECT_EQ(nat_option(actions), (NatDetection{true, 110}));
    EXPECT_EQ(entry().nat, NatVerdict::kForced);
    EXPECT_EQ(entry().encapsulation, Encapsulation::kIpv4Udp);
    EXPECT_EQ(counted(Counter::kForcedUdp), 1u);
}

TEST_F(ForcedUdp, RFC5555_3_2_2_behind_a_nat_F_is_clear_in_the_answer) {
    config.accept_force_udp = true;
    restart(config);
    const Actions actions = send4({.force_udp = true});
    EXPECT_EQ(nat_option(actions), (NatDetection{false, 110}));
    EXPECT_EQ(entry().nat, NatVerdict::kNat);
    EXPECT_EQ(counted(Counter::kForcedUdp), 0u);
}

TEST_F(ForcedUdp, RFC5555_4_1_the_home_agent_may_demand_it_over_ipv4_only) {
    config.force_udp = true;
    restart(config);
    EXPECT_EQ(nat_option(send4(not_behind_nat(1))), (NatDetection{true, 110}));
    EXPECT_EQ(entry().encapsulation, Encapsulation::kIpv4Udp);
    EXPECT_FALSE(nat_option(send(update(2))).has_value());
    EXPECT_EQ(entry().encapsulation, Encapsulation::kIpv6);
}

TEST_F(ForcedUdp, P15_RFC5555_4_4_1_F_from_an_ipv6_care_of_address) {
    Update made = update(1);
    made.message.force_udp = true;
    expect_status(made, 144);
    config.accept_force_udp = true;
    restart(config);
    const Actions actions = send(made);
    EXPECT_EQ(status(actions), 0u);
    EXPECT_EQ(nat_option(actions), (NatDetection{true, 110}));
    EXPECT_EQ(entry().encapsulation, Encapsulation::kIpv6Udp);
    EXPECT_EQ(entry().ipv6_udp_port, 4191) << "none is known";
    EXPECT_FALSE(entry().outer_source);

    // The update itself in UDP: no Home Address option, and its port is the tunnel's.
    Update in_udp = update(2);
    in_udp.message.force_udp = true;
    in_udp.hao = false;
    ReceiveInfo info = info_of(in_udp);
    info.wire_port = 5000;
    const Actions second = agent.receive(packet_of(in_udp), info, now);
    EXPECT_EQ(status(second), 0u);
    EXPECT_EQ(entry().ipv6_udp_port, 5000);
    EXPECT_EQ(all<SendMobilityMessage>(second).at(0).reply_to_port, 5000);
    expect_status(update(3), 0);
    EXPECT_EQ(entry().encapsulation, Encapsulation::kIpv6) << "F is not for ever";
    EXPECT_EQ(entry().ipv6_udp_port, 0);
}

using Step9OverIpv4 = DualStackTest;

TEST_F(Step9OverIpv4, option_32_that_is_no_unicast_address_is_dropped_in_silence) {
    std::uint64_t dropped = 0;
    for (const char* bad : {"224.0.0.5", "255.255.255.255", "127.0.0.1", "0.0.0.0", "240.0.0.1"}) {
        const Actions actions = send4({.claimed = v4(bad)});
        expect_silence(actions);
        EXPECT_EQ(counted(Counter::kBuSourceNotUnicast), ++dropped) << bad;
    }
    EXPECT_EQ(agent.bindings().size(), 0u);
}

TEST_F(Step9OverIpv4, RFC6275_15_1_own_denied_and_home_addresses_are_refused_with_174) {
    config.coa_deny = {test::prefix6("2001:db8:bad::/48"), test::prefix6("::ffff:198.18.0.0/111")};
    restart(config);
    const Update4 cases[] = {
        {.sequence = 1, .claimed = kHa4},                                      // our own, claimed
        {.sequence = 2, .source = kOtherHa4, .claimed = kOtherHa4},            // our own, outside
        {.sequence = 3, .source = v4("198.19.255.1"), .claimed = kPrivate},    // denied, outside
        {.sequence = 4, .claimed = v4("198.18.0.1")},                          // denied, claimed
        {.sequence = 5, .source = v4("192.0.2.77"), .claimed = kPrivate},      // home prefix
        {.sequence = 6, .source = v4("10.7.1.1"), .claimed = v4("10.7.1.1")},  // mobile network
    };
    for (const Update4& made : cases) {
        EXPECT_EQ(status(send4(made)), 174u) << made.sequence;
    }
    EXPECT_EQ(agent.bindings().size(), 0u);
    // Private networks alike on both sides of a NAT are no loop: packets go to the outer source.
    EXPECT_EQ(status(send4({.sequence = 7, .claimed = v4("192.0.2.77")})), 0u);
}

TEST_F(Step9OverIpv4, RFC5555_4_5_with_and_without_home_address_option) {
    EXPECT_EQ(status(send4({.sequence = 1, .hao = false})), 0u);
    const Actions actions = send4({.sequence = 2, .hao = true});
    EXPECT_EQ(status(actions), 0u);
    EXPECT_FALSE(all<SendMobilityMessage>(actions).at(0).routing_header_2);
}

TEST_F(Step9OverIpv4, an_alternate_care_of_address_means_nothing) {
    Update4 made;
    made.options = {wire::AlternateCareOfAddress{v6("ff02::1")}};
    EXPECT_EQ(status(send4(made)), 0u);
    EXPECT_EQ(entry().care_of_address, IpAddress{kPrivate});
}

TEST_F(Step9OverIpv4, over_ipv6_option_32_is_ignored) {
    Update made = update(1);
    made.message.options.emplace_back(wire::Ipv4CareOfAddress{v4("224.0.0.1")});
    expect_status(made, 0);
    EXPECT_EQ(entry().nat, NatVerdict::kNotApplicable);
    EXPECT_FALSE(entry().outer_source);
}

TEST_F(Step9OverIpv4, step_16_an_ipv4_address_that_is_not_the_home_agents_is_131) {
    EXPECT_EQ(status(send4({.local = v4("192.0.2.2")})), 131u);
}

TEST_F(Step9OverIpv4, RFC5555_2_4_no_route_optimisation_over_ipv4) {
    const Actions actions = send4({.home_registration = false});
    expect_silence(actions);
    EXPECT_EQ(counted(Counter::kBuHomeFlagClear), 1u);
}

TEST_F(Step9OverIpv4, RFC5555_4_4_4_nobody_is_at_home_over_ipv4) {
    // RFC 3963 6.2 takes care-of address = home address for a deregistration; here the source is
    // always the home address.
    EXPECT_EQ(status(send4({.sequence = 1})), 0u);
    EXPECT_TRUE(entry().is_active());
}

TEST_F(Step9OverIpv4, RFC5555_4_4_2_lifetime_0_over_ipv4_removes_all_and_is_answered_there) {
    (void)send4({.sequence = 1, .options = {asks("192.0.2.100")}});
    const Actions actions = send4({.sequence = 2, .lifetime = 0});
    EXPECT_EQ(status(actions), 0u);
    EXPECT_EQ(count_of<RemoveBinding>(actions), 1u);
    EXPECT_EQ(all<SendMobilityMessage>(actions).at(0).reply_to, IpAddress{kNat});
    EXPECT_TRUE(entry().ipv4_homes.empty());
}

TEST_F(Step9OverIpv4, RFC5555_5_1_to_and_fro_between_ipv6_and_ipv4) {
    expect_status(update(1), 0);
    (void)send4({.sequence = 2});
    EXPECT_TRUE(entry().is_over_ipv4());
    (void)agent.note_esp_source(kHoa, {kNat, 61001}, now);
    EXPECT_EQ(entry().esp_source, (OuterSource{kNat, 61001}));
    expect_status(update(3), 0);
    EXPECT_EQ(entry().encapsulation, Encapsulation::kIpv6);
    EXPECT_EQ(entry().care_of_address, IpAddress{kCoa});
    EXPECT_FALSE(entry().outer_source);
    EXPECT_FALSE(entry().esp_source);
    EXPECT_EQ(entry().nat, NatVerdict::kNotApplicable);
    EXPECT_EQ(entry().nat_refresh_time, 0u);
}

using SourceChanges = DualStackTest;

TEST_F(SourceChanges, S1_80_more_than_so_many_a_minute_are_dropped_and_may_be_repeated) {
    config.source_changes_per_minute = 3;
    restart(config);
    std::uint16_t sequence = 0;
    const auto from_port = [&](std::uint16_t port) {
        return send4({.sequence = ++sequence, .port = port});
    };
    EXPECT_EQ(status(from_port(1000)), 0u) << "the first is no change";
    for (std::uint16_t port = 1001; port <= 1003; ++port) EXPECT_EQ(status(from_port(port)), 0u);
    expect_silence(from_port(1004));
    EXPECT_EQ(counted(Counter::kBuRateLimitedSource), 1u);
    EXPECT_EQ(entry().outer_source->port, 1003);
    EXPECT_EQ(entry().sequence, 4) << "its number does not count";
    EXPECT_EQ(status(from_port(1003)), 0u) << "a refresh from the same place is no change";
    EXPECT_EQ(status(send4({.sequence = ++sequence, .lifetime = 0, .port = 1005})), 0u);
    now += seconds{21};
    EXPECT_EQ(status(from_port(1006)), 0u);
}

TEST_F(SourceChanges, S1_80_replays_of_old_updates_use_nothing_up) {
    config.source_changes_per_minute = 1;
    restart(config);
    (void)send4({.sequence = 5});
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(status(send4({.sequence = 5, .source = v4("203.0.113.99")})), 135u);
    }
    EXPECT_EQ(status(send4({.sequence = 6, .source = v4("203.0.113.8")})), 0u);
}

class Mappings : public DualStackTest {
  protected:
    void SetUp() override {
        DualStackTest::SetUp();
        (void)send4({.sequence = 1, .options = {asks("192.0.2.100")}});
    }
};

TEST_F(Mappings, one_that_another_binding_holds_goes_to_the_authenticated_newer) {
    const Actions actions = send4({.sequence = 9, .home_address = kHoa2});
    EXPECT_EQ(status(actions), 0u);
    const auto removed = all<RemoveBinding>(actions);
    ASSERT_EQ(removed.size(), 1u);
    EXPECT_EQ(removed[0].home_address, kHoa);
    EXPECT_EQ(removed[0].reason, RemovalReason::kMappingTaken);
    EXPECT_LT(position<RemoveBinding>(actions), position<InstallBinding>(actions))
        << "packets of the older must not reach the newer";
    EXPECT_EQ(counted(Counter::kBindingMappingTaken), 1u);
    const auto events = all<CountEvent>(actions);
    const auto told =
        std::ranges::find(events, Counter::kBindingMappingTaken, &CountEvent::counter);
    ASSERT_NE(told, events.end());
    EXPECT_EQ(told->home_address, kHoa);
    EXPECT_EQ(told->other, kHoa2) << "both are named";
    EXPECT_EQ(told->wire_port, kPort);
}

TEST_F(Mappings, the_older_binding_keeps_addresses_and_number_and_comes_back_with_its_next_update) {
    (void)send4({.sequence = 9, .home_address = kHoa2});
    EXPECT_TRUE(entry().is_active());
    EXPECT_FALSE(entry().has_tunnel());
    EXPECT_EQ(entry().ipv4_homes.size(), 1u);
    EXPECT_EQ(status(send4({.sequence = 1})), 135u) << "a replay does not bring it back";
    const Actions actions = send4({.sequence = 2, .port = 40005, .options = {asks("192.0.2.100")}});
    EXPECT_EQ(status(actions), 0u);
    EXPECT_EQ(count_of<InstallBinding>(actions), 1u);
    EXPECT_EQ(count_of<RemoveBinding>(actions), 0u);
    EXPECT_TRUE(entry(kHoa2).has_tunnel());
}

TEST_F(Mappings, without_a_tunnel_it_is_not_installed_after_a_restart_or_a_reload) {
    (void)send4({.sequence = 9, .home_address = kHoa2});
    const std::vector kept{entry(), entry(kHoa2)};
    restart(config);
    const auto installed = all<InstallBinding>(agent.restore(kept, now));
    ASSERT_EQ(installed.size(), 1u);
    EXPECT_EQ(installed[0].entry.home_address, kHoa2);
    config.home_prefixes[0].valid_until = now + seconds{50};
    for (const auto& one : all<InstallBinding>(agent.reconfigure(config, now))) {
        EXPECT_EQ(one.entry.home_address, kHoa2);
    }
}

TEST_F(Mappings, another_port_of_the_same_nat_is_another_node) {
    const Actions actions = send4({.sequence = 9, .home_address = kHoa2, .port = 40001});
    EXPECT_EQ(count_of<RemoveBinding>(actions), 0u);
    EXPECT_TRUE(entry().has_tunnel());
}

TEST_F(Mappings, one_that_was_left_is_free) {
    (void)send4({.sequence = 2, .port = 40009});
    EXPECT_EQ(count_of<RemoveBinding>(send4({.sequence = 9, .home_address = kHoa2})), 0u);
    (void)send4({.sequence = 10, .lifetime = 0, .home_address = kHoa2});
    EXPECT_EQ(count_of<RemoveBinding>(send4({.sequence = 3})), 0u);
    now += seconds{500};
    (void)agent.tick(now);
    EXPECT_EQ(count_of<RemoveBinding>(send4({.sequence = 1, .home_address = kHoa2})), 0u)
        << "an expired binding holds nothing";
}

TEST_F(Mappings, two_home_addresses_of_one_node_share_theirs) {
    config.nodes[0].home_addresses = {kHoa, kHoa2};
    restart(config);
    (void)send4({.sequence = 1});
    EXPECT_EQ(count_of<RemoveBinding>(send4({.sequence = 1, .home_address = kHoa2})), 0u);
    EXPECT_TRUE(entry().has_tunnel());
    EXPECT_TRUE(entry(kHoa2).has_tunnel());
}

TEST_F(Mappings, that_of_UDP_4500_is_noted_for_show_and_belongs_to_its_place) {
    EXPECT_EQ(count_of<PersistBinding>(agent.note_esp_source(kHoa, {kNat, 61001}, now)), 1u);
    EXPECT_TRUE(agent.note_esp_source(kHoa, {kNat, 61001}, now).empty()) << "no news";
    EXPECT_TRUE(agent.note_esp_source(kHoa2, {kNat, 61001}, now).empty()) << "no binding";
    (void)send4({.sequence = 2, .port = 40001});
    EXPECT_TRUE(entry().esp_source) << "ports of 4191 and 4500 are independent";
    (void)send4({.sequence = 3, .source = v4("203.0.113.8")});
    EXPECT_FALSE(entry().esp_source);
}

TEST_F(Mappings, P7_a_prefix_advertisement_over_ipv4_goes_the_way_of_the_data) {
    wire::MobilePrefixSolicitation solicitation{7};
    const auto packet = wire::icmpv6_packet(solicitation, kHoa, kHa);
    // The Home Address option is undone before IPsec, and over IPv4 nothing is noted of it.
    for (const bool had_hao : {true, false}) {
        now += std::chrono::seconds{10};
        const Actions actions = agent.receive(packet,
                                              {.protected_by_ipsec = true,
                                               .wire_source = kHoa,
                                               .had_hao = had_hao,
                                               .port = kVisitedPort},
                                              now);
        const auto sent = all<SendMobilityMessage>(actions);
        ASSERT_EQ(sent.size(), 1u) << had_hao;
        EXPECT_TRUE(sent[0].by_binding);
        EXPECT_TRUE(sent[0].routing_header_2);
    }
}

TEST_F(Mappings, S1_68_a_refused_update_moves_nothing) {
    const auto before = entry();
    EXPECT_EQ(status(send4({.sequence = 1, .source = v4("203.0.113.66")})), 135u);
    EXPECT_EQ(entry(), before);
    EXPECT_EQ(counted(Counter::kNatYes), 1u) << "the accepted one";
}

TEST_F(Mappings, a_binding_of_an_ipv4_address_that_is_no_longer_ours_ends) {
    config.home_agent_ipv4_addresses = {kOtherHa4};
    const auto removed = all<RemoveBinding>(agent.reconfigure(config, now));
    ASSERT_EQ(removed.size(), 1u);
    EXPECT_EQ(removed[0].reason, RemovalReason::kNotServed);
}

}  // namespace
}  // namespace homeport::mip6

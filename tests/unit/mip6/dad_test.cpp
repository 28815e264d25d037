// SPDX-License-Identifier: BSD-3-Clause
// Duplicate address detection on a real home link (RFC 6275 10.3.1, step 24), its races, and the
// defence of addresses (mipv6.md section 3.2).
#include <gtest/gtest.h>

#include "controlplane/mip6/duplicate_address_detection.hpp"
#include "controlplane/wire/neighbor_discovery.hpp"
#include "tests/unit/mip6/home_agent_fixture.hpp"

namespace homeport::mip6 {
namespace {

using binding::State;
using test::mac;
using test::v6;

class DadTest : public HomeAgentTest {
  protected:
    Actions registered(std::uint16_t sequence = 1) {
        (void)send(real(sequence));
        return agent.dad_result(kHoaReal, true, now);
    }
};

TEST_F(DadTest, RFC6275_10_3_1_step_24_first_registration_waits_for_the_verdict) {
    const Actions actions = send(real(1));
    ASSERT_EQ(count_of<StartDad>(actions), 1u);
    const auto dad = all<StartDad>(actions)[0];
    EXPECT_EQ(dad.home_address, kHoaReal);
    EXPECT_EQ(dad.link_local, std::nullopt);
    EXPECT_EQ(dad.port, kHomePort);
    EXPECT_LT(position<JoinSolicitedNode>(actions), position<StartDad>(actions));
    EXPECT_EQ(status(actions), std::nullopt);
    EXPECT_EQ(count_of<InstallBinding>(actions), 0u);
    EXPECT_EQ(count_of<PersistBinding>(actions), 0u);
    EXPECT_EQ(entry(kHoaReal).state, State::kTentative);
}

TEST_F(DadTest, step_24_flag_L_probes_the_link_local_address_too) {
    Update made = real(1);
    made.message.link_local = true;
    const Actions actions = send(made);
    EXPECT_EQ(all<StartDad>(actions).at(0).link_local, v6("fe80::100"));
    const Actions done = agent.dad_result(kHoaReal, true, now);
    std::vector<Ipv6Address> announced;
    for (const auto& one : all<SendUnsolicitedNeighborAdvertisement>(done)) {
        announced.push_back(one.target);
    }
    EXPECT_EQ(announced, (std::vector{kHoaReal, v6("fe80::100")}));
}

TEST_F(DadTest, RFC6275_10_4_1_unique_address_is_installed_announced_and_acknowledged) {
    (void)send(real(9));
    now += seconds{1};
    const Actions actions = agent.dad_result(kHoaReal, true, now);
    EXPECT_EQ(status(actions), 0u);
    EXPECT_EQ(answer(actions)->sequence, 9);
    EXPECT_EQ(entry(kHoaReal).deadline, now + seconds{400}) << "the lifetime begins now";
    const auto announced = all<SendUnsolicitedNeighborAdvertisement>(actions);
    ASSERT_EQ(announced.size(), 1u);
    EXPECT_EQ(announced[0].target, kHoaReal);
    EXPECT_EQ(announced[0].port, kHomePort);
    EXPECT_FALSE(announced[0].router);
    EXPECT_LT(position<InstallBinding>(actions),
              position<SendUnsolicitedNeighborAdvertisement>(actions));
    EXPECT_EQ(count_of<JoinSolicitedNode>(actions), 0u) << "joined before the probe";
}

TEST_F(DadTest, step_24_duplicate_is_rejected_with_134_and_forgotten) {
    (void)send(real(1));
    const Actions actions = agent.dad_result(kHoaReal, false, now);
    EXPECT_EQ(status(actions), 134u);
    EXPECT_EQ(count_of<InstallBinding>(actions), 0u);
    EXPECT_EQ(count_of<LeaveSolicitedNode>(actions), 1u);
    EXPECT_EQ(agent.counters()[Counter::kNdDadFail], 1u);
    EXPECT_EQ(agent.bindings().size(), 0u);
    EXPECT_EQ(agent.counters().rejected(BindingStatus::kDuplicateAddressDetectionFailed), 1u);
}

TEST_F(DadTest, repeats_announce_three_times_one_second_apart) {
    (void)registered();
    for (int i = 0; i < 2; ++i) {
        now += milliseconds{900};
        EXPECT_EQ(count_of<SendUnsolicitedNeighborAdvertisement>(agent.tick(now)), 0u);
        ASSERT_LE(*agent.next_deadline(), now + milliseconds{100});
        now += milliseconds{100};
        EXPECT_EQ(count_of<SendUnsolicitedNeighborAdvertisement>(agent.tick(now)), 1u);
    }
    now += seconds{5};
    EXPECT_EQ(count_of<SendUnsolicitedNeighborAdvertisement>(agent.tick(now)), 0u);
    EXPECT_EQ(agent.counters()[Counter::kNdNaSent], 3u);
}

TEST_F(DadTest, repeats_stop_with_the_binding) {
    (void)registered();
    now += milliseconds{500};
    (void)send(real(2, 0));
    now += seconds{1};
    EXPECT_EQ(count_of<SendUnsolicitedNeighborAdvertisement>(agent.tick(now)), 0u);
}

TEST_F(DadTest, a_binding_that_began_anew_has_its_own_three_announcements) {
    (void)registered();
    (void)send(real(2, 0));
    now += milliseconds{300};
    (void)registered(3);
    for (int i = 0; i < 40; ++i) {
        now += milliseconds{100};
        (void)agent.tick(now);
    }
    EXPECT_EQ(agent.counters()[Counter::kNdNaSent], 1u + 3u);
}

TEST_F(DadTest, binding_update_while_dad_runs_replaces_the_pending_one) {
    (void)send(real(1));
    now += milliseconds{500};
    const Actions second = send(from(real(2), kCoa2));
    EXPECT_EQ(count_of<StartDad>(second), 0u) << "no second probe";
    EXPECT_EQ(status(second), std::nullopt) << "no answer of its own";
    EXPECT_EQ(agent.counters()[Counter::kBuPending], 2u);
    now += milliseconds{500};
    const Actions done = agent.dad_result(kHoaReal, true, now);
    EXPECT_EQ(status(done), 0u);
    EXPECT_EQ(answer(done)->sequence, 2) << "the newest one is answered";
    EXPECT_EQ(all<SendMobilityMessage>(done).at(0).reply_to, IpAddress{kCoa2});
    EXPECT_EQ(all<InstallBinding>(done).at(0).entry.care_of_address, IpAddress{kCoa2});
}

TEST_F(DadTest, binding_update_while_dad_runs_passes_the_other_steps_first) {
    (void)send(real(5));
    EXPECT_EQ(status(send(real(4))), 135u);
    EXPECT_EQ(status(send(from(real(6), v6("2001:db8:1::9")))), 174u);
    const Actions done = agent.dad_result(kHoaReal, true, now);
    EXPECT_EQ(answer(done)->sequence, 5) << "the newest that passed";
    EXPECT_EQ(status(send(real(6))), 135u) << "6 was valid and its number counted";
}

TEST_F(DadTest, duplicate_found_after_a_newer_update_answers_the_newer_one) {
    (void)send(real(1));
    (void)send(from(real(2), kCoa2));
    const Actions done = agent.dad_result(kHoaReal, false, now);
    EXPECT_EQ(status(done), 134u);
    EXPECT_EQ(answer(done)->sequence, 2);
    EXPECT_EQ(all<SendMobilityMessage>(done).at(0).reply_to, IpAddress{kCoa2});
}

TEST_F(DadTest, flag_L_in_a_newer_update_probes_the_link_local_address_after_all) {
    (void)send(real(1));
    Update made = real(2);
    made.message.link_local = true;
    const Actions actions = send(made);
    EXPECT_EQ(count_of<CancelDad>(actions), 1u);
    EXPECT_EQ(all<StartDad>(actions).at(0).link_local, v6("fe80::100"));
}

TEST_F(DadTest, deregistration_while_dad_runs_cancels_it) {
    (void)send(real(1));
    const Actions actions = send(real(2, 0));
    EXPECT_EQ(status(actions), 0u);
    EXPECT_EQ(count_of<CancelDad>(actions), 1u);
    EXPECT_EQ(count_of<LeaveSolicitedNode>(actions), 1u);
    EXPECT_EQ(count_of<RemoveBinding>(actions), 0u) << "it never was in the data plane";
    EXPECT_TRUE(agent.dad_result(kHoaReal, true, now).empty()) << "late verdict";
    EXPECT_EQ(entry(kHoaReal).state, State::kDeleteWait);
    EXPECT_EQ(agent.counters()[Counter::kBindingDeleted], 0u);
}

TEST_F(DadTest, verdicts_that_nobody_waits_for_are_ignored) {
    EXPECT_TRUE(agent.dad_result(kHoaReal, true, now).empty());
    (void)registered();
    EXPECT_TRUE(agent.dad_result(kHoaReal, false, now).empty());
    EXPECT_TRUE(entry(kHoaReal).is_active());
}

TEST_F(DadTest, a_verdict_that_never_comes_is_given_up_in_silence) {
    (void)send(real(1));
    now += seconds{5};
    const Actions actions = agent.tick(now);
    EXPECT_EQ(count_of<CancelDad>(actions), 1u);
    EXPECT_EQ(count_of<LeaveSolicitedNode>(actions), 1u);
    EXPECT_EQ(status(actions), std::nullopt);
    EXPECT_EQ(agent.counters()[Counter::kNdDadLost], 1u);
    EXPECT_EQ(agent.bindings().size(), 0u);
    EXPECT_TRUE(agent.dad_result(kHoaReal, true, now).empty());
}

TEST_F(DadTest, refresh_and_movement_need_no_second_dad) {
    (void)registered();
    const Actions actions = send(from(real(2), kCoa2));
    EXPECT_EQ(status(actions), 0u);
    EXPECT_EQ(count_of<StartDad>(actions), 0u);
    EXPECT_EQ(count_of<SendUnsolicitedNeighborAdvertisement>(actions), 0u);
}

TEST_F(DadTest, step_24_after_delete_wait_the_address_is_probed_again) {
    (void)registered();
    Actions actions = send(real(2, 0));
    EXPECT_EQ(count_of<LeaveSolicitedNode>(actions), 1u) << "defence stops at once";
    actions = send(real(3));
    EXPECT_EQ(count_of<StartDad>(actions), 1u);
    EXPECT_EQ(count_of<JoinSolicitedNode>(actions), 1u);
    now += seconds{2};
    EXPECT_EQ(status(agent.dad_result(kHoaReal, true, now)), 0u);
    now += seconds{20};
    (void)agent.tick(now);
    EXPECT_TRUE(entry(kHoaReal).is_active()) << "the delete-wait is over for good";
}

TEST_F(DadTest, step_17_prefix_that_ends_while_dad_runs) {
    config.home_prefixes[1].valid_until = now + seconds{5};
    restart(config);
    (void)send(real(1));
    now += milliseconds{1500};
    EXPECT_EQ(status(agent.dad_result(kHoaReal, true, now)), 132u);
}

TEST_F(DadTest, clear_while_dad_runs) {
    (void)send(real(1));
    const Actions actions = agent.clear(kHoaReal, now);
    EXPECT_EQ(count_of<CancelDad>(actions), 1u);
    EXPECT_EQ(count_of<RemoveBinding>(actions), 0u);
    EXPECT_TRUE(agent.dad_result(kHoaReal, true, now).empty());
}

TEST_F(DadTest, RFC4861_7_2_8_a_shared_solicited_node_group_is_left_with_its_last_address) {
    Update twin = real(1);
    twin.home_address = v6("2001:db8:5:0:1::100");  // the same low 24 bits
    EXPECT_EQ(count_of<JoinSolicitedNode>(send(real(1))), 1u);
    EXPECT_EQ(count_of<JoinSolicitedNode>(send(twin)), 0u);
    (void)agent.dad_result(kHoaReal, true, now);
    (void)agent.dad_result(twin.home_address, true, now);
    EXPECT_EQ(count_of<LeaveSolicitedNode>(send(real(2, 0))), 0u);
    twin.message.sequence = 2;
    twin.message.lifetime = {0};
    const Actions last = send(twin);
    ASSERT_EQ(count_of<LeaveSolicitedNode>(last), 1u);
    EXPECT_EQ(all<LeaveSolicitedNode>(last)[0].group, v6("ff02::1:ff00:100"));
    EXPECT_EQ(all<LeaveSolicitedNode>(last)[0].port, kHomePort);
}

TEST_F(DadTest, RFC3963_6_2_mobile_router_is_announced_as_router) {
    config.mobile_router_service = true;
    config.nodes = {{.identity = "r",
                     .home_addresses = {kHoaReal},
                     .mobile_router = true,
                     .mobile_prefixes = {test::prefix6("2001:db8:9::/48")}}};
    restart(config);
    Update made = real(1);
    made.message.mobile_router = true;
    (void)send(made);
    const Actions actions = agent.dad_result(kHoaReal, true, now);
    EXPECT_TRUE(all<SendUnsolicitedNeighborAdvertisement>(actions).at(0).router);
}

// --- the prober -------------------------------------------------------------------------------

class Prober : public testing::Test {
  protected:
    std::optional<DuplicateAddressDetection::Verdict> hear(
        const std::vector<std::uint8_t>& packet, std::uint16_t port = 3,
        const MacAddress& source = mac("02:00:00:00:00:99")) {
        const auto view = wire::view_ipv6_packet(packet);
        return prober.receive(*view, source, ours, port);
    }

    const Ipv6Address hoa = v6("2001:db8:5::100");
    const Ipv6Address link_local = v6("fe80::100");
    const MacAddress ours = mac("02:00:00:00:00:01");
    binding::TimePoint now{std::chrono::hours{1}};
    DuplicateAddressDetection prober;
};

TEST_F(Prober, RFC4862_5_4_one_probe_and_one_second_without_objection) {
    const auto probes = prober.start({hoa, std::nullopt, 3}, now);
    ASSERT_EQ(probes.size(), 1u);
    EXPECT_EQ(probes[0].packet, wire::dad_probe(hoa));
    EXPECT_EQ(probes[0].destination, hoa.solicited_node());
    EXPECT_EQ(probes[0].port, 3);
    EXPECT_EQ(prober.next_deadline(), now + seconds{1});
    EXPECT_TRUE(prober.tick(now + milliseconds{999}).empty());
    const auto verdicts = prober.tick(now + seconds{1});
    ASSERT_EQ(verdicts.size(), 1u);
    EXPECT_TRUE(verdicts[0].unique);
    EXPECT_EQ(verdicts[0].home_address, hoa);
    EXPECT_EQ(prober.size(), 0u);
    EXPECT_EQ(prober.next_deadline(), std::nullopt);
}

TEST_F(Prober, RFC4862_5_4_4_an_advertisement_is_an_objection) {
    (void)prober.start({hoa, std::nullopt, 3}, now);
    const auto verdict =
        hear(wire::unsolicited_advertisement(hoa, hoa, mac("02:00:00:00:00:99"), false));
    ASSERT_TRUE(verdict.has_value());
    EXPECT_FALSE(verdict->unique);
    EXPECT_TRUE(prober.tick(now + seconds{1}).empty());
}

TEST_F(Prober, RFC4862_5_4_3_a_probe_of_another_node_is_an_objection_ours_is_not) {
    (void)prober.start({hoa, std::nullopt, 3}, now);
    EXPECT_FALSE(hear(wire::dad_probe(hoa), 3, ours).has_value());
    EXPECT_FALSE(hear(wire::dad_probe(hoa), 4).has_value()) << "another link";
    EXPECT_FALSE(hear(wire::dad_probe(v6("2001:db8:5::101"))).has_value());
    EXPECT_TRUE(hear(wire::dad_probe(hoa)).has_value());
}

TEST_F(Prober, somebody_who_resolves_the_address_does_not_claim_it) {
    (void)prober.start({hoa, std::nullopt, 3}, now);
    EXPECT_FALSE(
        hear(wire::neighbor_solicitation(v6("2001:db8:5::7"), mac("02:00:00:00:00:99"), hoa))
            .has_value());
}

TEST_F(Prober, an_objection_to_the_link_local_address_counts_for_the_home_address) {
    EXPECT_EQ(prober.start({hoa, link_local, 3}, now).size(), 2u);
    const auto verdict = hear(wire::dad_probe(link_local));
    ASSERT_TRUE(verdict.has_value());
    EXPECT_EQ(verdict->home_address, hoa);
    EXPECT_FALSE(verdict->unique);
    EXPECT_EQ(prober.size(), 0u);
}

TEST_F(Prober, cancel_and_malformed_packets) {
    (void)prober.start({hoa, std::nullopt, 3}, now);
    auto packet = wire::dad_probe(hoa);
    packet[7] = 254;  // not from this link
    EXPECT_FALSE(hear(packet).has_value());
    prober.cancel(hoa);
    EXPECT_FALSE(hear(wire::dad_probe(hoa)).has_value());
    EXPECT_TRUE(prober.tick(now + seconds{5}).empty());
}

}  // namespace
}  // namespace homeport::mip6

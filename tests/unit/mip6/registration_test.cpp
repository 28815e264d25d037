// SPDX-License-Identifier: BSD-3-Clause
// What an accepted binding update does: the binding, its lifetime, the answer, deregistration,
// return home and expiry (mipv6.md sections 3, 3.2, 3.3).
#include <gtest/gtest.h>

#include "tests/unit/mip6/home_agent_fixture.hpp"

namespace homeport::mip6 {
namespace {

using binding::State;

class Registration : public HomeAgentTest {};

TEST_F(Registration, RFC6275_10_3_1_step_25_accepts_and_answers) {
    const Actions actions = send(update(7, 100));
    const auto sent = answer(actions);
    ASSERT_TRUE(sent.has_value());
    EXPECT_EQ(sent->status, BindingStatus::kAccepted);
    EXPECT_EQ(sent->sequence, 7);
    EXPECT_EQ(sent->lifetime.value, 100);
    EXPECT_FALSE(sent->key_management_mobility);
    EXPECT_TRUE(sent->options.empty());
    const auto installed = all<InstallBinding>(actions);
    ASSERT_EQ(installed.size(), 1u);
    EXPECT_EQ(installed[0].entry.home_address, kHoa);
    EXPECT_EQ(installed[0].entry.care_of_address, IpAddress{kCoa});
    EXPECT_EQ(installed[0].entry.state, State::kActive);
    EXPECT_EQ(agent.counters()[Counter::kBuAccepted], 1u);
    EXPECT_EQ(agent.counters()[Counter::kBindingCreated], 1u);
}

TEST_F(Registration, S1_13_binding_is_stored_and_in_force_before_the_acknowledgement) {
    const Actions actions = send(update(1));
    EXPECT_LT(position<PersistBinding>(actions), position<SendMobilityMessage>(actions));
    EXPECT_LT(position<InstallBinding>(actions), position<SendMobilityMessage>(actions));
}

TEST_F(Registration, RFC6275_9_5_4_answer_goes_to_the_wire_source_with_routing_header) {
    const auto sent = all<SendMobilityMessage>(send(update(1)));
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].reply_to, IpAddress{kCoa});
    EXPECT_TRUE(sent[0].routing_header_2);
    EXPECT_TRUE(sent[0].protect);
    EXPECT_EQ(sent[0].port, kVisitedPort);
    const auto view = wire::view_ipv6_packet(sent[0].packet);
    EXPECT_EQ(view->source, kHa);
    EXPECT_EQ(view->destination, kHoa) << "normal form";
}

TEST_F(Registration, S1_50_rejection_goes_to_its_own_sender_and_the_binding_stays) {
    expect_status(update(1), 0);
    config.coa_deny = {test::prefix6("2001:db8:3::/48")};
    (void)agent.reconfigure(config, now);
    const Actions actions = send(from(update(2), kCoa2));
    EXPECT_EQ(status(actions), 174u);
    EXPECT_EQ(all<SendMobilityMessage>(actions).at(0).reply_to, IpAddress{kCoa2});
    EXPECT_EQ(entry().care_of_address, IpAddress{kCoa});
}

TEST_F(Registration, RFC6275_6_1_7_K_is_clear_with_static_keys_and_set_where_IKE_can_follow) {
    Update made = update(1);
    made.message.key_management_mobility = true;
    EXPECT_FALSE(answer(send(made))->key_management_mobility);
    config.nodes = {{.identity = "n", .home_addresses = {kHoa}, .ike_moves_endpoint = true}};
    restart(config);
    EXPECT_TRUE(answer(send(made))->key_management_mobility);
    made.message.key_management_mobility = false;
    made.message.sequence = 2;
    EXPECT_FALSE(answer(send(made))->key_management_mobility);
}

TEST_F(Registration, movement_updates_the_binding) {
    expect_status(update(1), 0);
    const auto since = entry().registered;
    now += seconds{5};
    const Actions actions = send(from(update(2), kCoa2));
    EXPECT_EQ(status(actions), 0u);
    EXPECT_EQ(all<InstallBinding>(actions).at(0).entry.care_of_address, IpAddress{kCoa2});
    EXPECT_EQ(agent.counters()[Counter::kBindingUpdated], 1u);
    EXPECT_EQ(agent.counters()[Counter::kBindingSourceChanged], 1u);
    EXPECT_EQ(agent.bindings().size(), 1u);
    EXPECT_EQ(entry().registered, since);
    EXPECT_EQ(entry().updated, now);
}

TEST_F(Registration, refresh_extends_the_lifetime) {
    expect_status(update(1, 25), 0);
    now += seconds{90};
    expect_status(update(2, 25), 0);
    now += seconds{90};
    EXPECT_EQ(count_of<RemoveBinding>(agent.tick(now)), 0u);
    now += seconds{11};
    EXPECT_EQ(count_of<RemoveBinding>(agent.tick(now)), 1u);
    EXPECT_EQ(agent.counters()[Counter::kBindingSourceChanged], 0u);
}

TEST_F(Registration, lifetime_is_cut_by_policy) {
    EXPECT_EQ(answer(send(update(1, 0xffff)))->lifetime.value, 150);  // 600 s
    EXPECT_EQ(entry().deadline, now + seconds{600});
}

TEST_F(Registration, RFC6275_10_3_1_lifetime_is_cut_by_the_prefix_with_status_1) {
    config.home_prefixes[0].valid_until = now + seconds{43};
    restart(config);
    const auto sent = answer(send(update(1, 100)));
    EXPECT_EQ(static_cast<unsigned>(sent->status), 1u);
    EXPECT_EQ(sent->lifetime.value, 10) << "the two low bits are dropped";
}

TEST_F(Registration, status_1_when_the_prefix_is_or_becomes_deprecated) {
    config.home_prefixes[0].preferred_until = now - seconds{1};
    restart(config);
    expect_status(update(1, 100), 1);
    EXPECT_EQ(answer(send(update(2, 100)))->lifetime.value, 100)
        << "the preferred lifetime limits nothing";
    config.home_prefixes[0].preferred_until = now + seconds{399};
    restart(config);
    expect_status(update(1, 100), 1);
    config.home_prefixes[0].preferred_until = now + seconds{401};
    restart(config);
    expect_status(update(1, 100), 0);
}

TEST_F(Registration, one_unit_is_granted_at_least) {
    config.max_lifetime = seconds{1};
    restart(config);
    EXPECT_EQ(answer(send(update(1, 1)))->lifetime.value, 1);
}

TEST_F(Registration, RFC6275_6_2_4_refresh_advice_only_without_non_volatile_storage) {
    config.refresh_advice = wire::FourSecondUnits{50};
    restart(config);
    EXPECT_TRUE(answer(send(update(1, 100)))->options.empty());
    config.persistent_bindings = false;
    restart(config);
    const auto sent = answer(send(update(1, 100)));
    ASSERT_EQ(sent->options.size(), 1u);
    EXPECT_EQ(std::get<wire::BindingRefreshAdvice>(sent->options[0]).interval.value, 50);
    EXPECT_TRUE(answer(send(update(2, 50)))->options.empty()) << "must be less than the lifetime";
    EXPECT_TRUE(answer(send(update(3, 0)))->options.empty()) << "not on deregistration";
}

TEST_F(Registration, RFC6275_10_3_2_deregistration_from_away) {
    expect_status(update(1), 0);
    const Actions actions = send(update(2, 0));
    const auto sent = answer(actions);
    EXPECT_EQ(sent->status, BindingStatus::kAccepted);
    EXPECT_EQ(sent->lifetime.value, 0);
    EXPECT_EQ(sent->sequence, 2);
    EXPECT_TRUE(all<SendMobilityMessage>(actions).at(0).routing_header_2);
    ASSERT_EQ(count_of<RemoveBinding>(actions), 1u);
    EXPECT_EQ(all<RemoveBinding>(actions)[0].reason, RemovalReason::kDeregistered);
    EXPECT_LT(position<RemoveBinding>(actions), position<SendMobilityMessage>(actions));
    EXPECT_EQ(entry().state, State::kDeleteWait);
    EXPECT_EQ(agent.counters()[Counter::kBindingDeleted], 1u);
}

TEST_F(Registration, RFC6275_11_5_5_return_home_without_option_and_routing_header) {
    expect_status(update(1), 0);
    const Actions actions = send(at_home(2));
    EXPECT_EQ(status(actions), 0u);
    const auto sent = all<SendMobilityMessage>(actions).at(0);
    EXPECT_FALSE(sent.routing_header_2);
    EXPECT_EQ(sent.reply_to, IpAddress{kHoa});
    EXPECT_EQ(count_of<RemoveBinding>(actions), 1u);
}

TEST_F(Registration, RFC6275_11_5_5_at_home_source_is_home_address_means_deregistration) {
    expect_status(update(1), 0);
    Update made = at_home(2);
    made.message.lifetime = {100};
    const Actions actions = send(made);
    EXPECT_EQ(status(actions), 0u);
    EXPECT_EQ(answer(actions)->lifetime.value, 0);
}

TEST_F(Registration, a_repeated_deregistration_is_answered_again) {
    expect_status(update(1), 0);
    expect_status(update(2, 0), 0);
    const Actions again = send(update(3, 0));
    EXPECT_EQ(status(again), 0u);
    EXPECT_EQ(count_of<RemoveBinding>(again), 0u);
    EXPECT_EQ(agent.counters()[Counter::kBindingDeleted], 1u);
    now += seconds{10};
    const Actions gone = agent.tick(now);
    EXPECT_EQ(count_of<ErasePersisted>(gone), 1u);
    EXPECT_EQ(count_of<SendMobilityMessage>(gone), 0u);
    EXPECT_EQ(agent.bindings().size(), 0u);
    expect_status(update(4, 0), 133);
}

TEST_F(Registration, delete_wait_lasts_10_seconds_from_the_first_deregistration) {
    expect_status(update(1), 0);
    expect_status(update(2, 0), 0);
    now += seconds{5};
    expect_status(update(3, 0), 0);
    now += milliseconds{4900};
    (void)agent.tick(now);
    EXPECT_EQ(agent.bindings().size(), 1u);
    now += milliseconds{100};
    (void)agent.tick(now);
    EXPECT_EQ(agent.bindings().size(), 0u);
}

TEST_F(Registration, a_new_registration_ends_the_delete_wait) {
    expect_status(update(1), 0);
    expect_status(update(2, 0), 0);
    expect_status(update(3), 0);
    now += seconds{11};
    EXPECT_EQ(count_of<RemoveBinding>(agent.tick(now)), 0u);
    EXPECT_TRUE(entry().is_active());
    EXPECT_EQ(agent.counters()[Counter::kBindingCreated], 2u);
}

TEST_F(Registration, expiry_removes_without_a_message) {
    expect_status(update(1, 10), 0);
    now += milliseconds{39'900};
    EXPECT_TRUE(agent.tick(now).empty());
    ASSERT_TRUE(agent.next_deadline().has_value());
    EXPECT_LE(*agent.next_deadline(), now + milliseconds{100});
    now += milliseconds{100};
    const Actions actions = agent.tick(now);
    ASSERT_EQ(count_of<RemoveBinding>(actions), 1u);
    EXPECT_EQ(all<RemoveBinding>(actions)[0].reason, RemovalReason::kExpired);
    EXPECT_EQ(count_of<ErasePersisted>(actions), 1u);
    EXPECT_EQ(count_of<SendMobilityMessage>(actions), 0u);
    EXPECT_EQ(agent.counters()[Counter::kBindingExpired], 1u);
    EXPECT_EQ(agent.next_deadline(), std::nullopt);
}

TEST_F(Registration, virtual_prefix_has_no_neighbor_discovery) {
    Update made = update(1);
    made.message.link_local = true;
    const Actions actions = send(made);
    EXPECT_EQ(status(actions), 0u);
    EXPECT_EQ(count_of<StartDad>(actions), 0u);
    EXPECT_EQ(count_of<SendUnsolicitedNeighborAdvertisement>(actions), 0u);
    EXPECT_EQ(count_of<JoinSolicitedNode>(actions), 0u);
    EXPECT_EQ(count_of<LeaveSolicitedNode>(send(update(2, 0))), 0u);
}

TEST_F(Registration, clear_removes_without_a_message_and_the_next_update_is_accepted) {
    expect_status(update(5), 0);
    const Actions actions = agent.clear(kHoa, now);
    ASSERT_EQ(count_of<RemoveBinding>(actions), 1u);
    EXPECT_EQ(all<RemoveBinding>(actions)[0].reason, RemovalReason::kCleared);
    EXPECT_EQ(count_of<ErasePersisted>(actions), 1u);
    EXPECT_EQ(count_of<SendMobilityMessage>(actions), 0u);
    EXPECT_EQ(agent.bindings().size(), 0u);
    EXPECT_TRUE(agent.clear(kHoa, now).empty());
    expect_status(update(6), 0);
}

TEST_F(Registration, counters_have_the_names_of_the_catalogue) {
    (void)send(update(1));
    Update bad = update(1);
    bad.home_address = test::v6("2001:db8:77::1");
    (void)send(bad);
    std::vector<std::pair<std::string, std::uint64_t>> seen;
    agent.counters().for_each([&seen](const std::string& counter, std::uint64_t value) {
        seen.emplace_back(counter, value);
    });
    const auto value_of = [&seen](std::string_view wanted) -> std::optional<std::uint64_t> {
        for (const auto& [counter, value] : seen) {
            if (counter == wanted) return value;
        }
        return std::nullopt;
    };
    EXPECT_EQ(value_of("mip6.bu.accepted"), 1u);
    EXPECT_EQ(value_of("mip6.bu.rejected_132"), 1u);
    EXPECT_EQ(value_of("binding.created"), 1u);
    EXPECT_EQ(value_of("mip6.bu.rejected_"), std::nullopt);
    for (const char* name :
         {"mip6.mh.cksum", "mip6.mh.type", "mip6.mh.proto", "mip6.mh.len", "mip6.bu.malformed",
          "mip6.bu.h0", "mip6.bu.proxy", "mip6.bu.no_acoa", "mip6.bu.src_not_unicast",
          "ipsec.in.policy", "nd.na_sent", "nd.dad_fail", "icmp.sent", "icmp.ratelimited",
          "binding.updated", "binding.deleted", "binding.expired", "binding.source_changed"}) {
        EXPECT_EQ(value_of(name), 0u) << name;
    }
}

}  // namespace
}  // namespace homeport::mip6

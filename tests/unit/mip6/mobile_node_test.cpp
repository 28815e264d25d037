// SPDX-License-Identifier: BSD-3-Clause
// The mobile node's state machine: registration, timers, answers, movement, return home, shutdown
// (mipv6.md section 8; RFC 6275 11.7, 11.8; S1.40, S1.42).
#include "controlplane/mip6/mobile_node.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/wire/hex.hpp"

namespace homeport::mip6 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::v6;
using wire::BindingAcknowledgement;
using wire::BindingStatus;
using State = MobileNodeState;

template <class T>
std::vector<T> all(const MobileNodeActions& actions) {
    std::vector<T> found;
    for (const MobileNodeAction& action : actions) {
        if (const T* one = std::get_if<T>(&action)) found.push_back(*one);
    }
    return found;
}

class MobileNodeTest : public testing::Test {
  protected:
    static inline const Ipv6Address kHoa = v6("2001:db8:1::100");
    static inline const Ipv6Address kHa = v6("2001:db8:1::1");
    static inline const Ipv6Address kA = v6("2001:db8:2::200");
    static inline const Ipv6Address kB = v6("2001:db8:3::300");

    static MobileNodeConfig default_config() {
        MobileNodeConfig made;
        made.home_address = kHoa;
        made.home_agent = kHa;
        made.lifetime = seconds{400};
        return made;
    }
    void restart(const MobileNodeConfig& with) { node = MobileNode(with, 1000); }

    MobileNodeActions attach(const Ipv6Address& care_of_address) {
        return keep(node.attach({.care_of_address = care_of_address}, now));
    }
    MobileNodeActions go_home() {
        return keep(node.attach({.care_of_address = kHoa, .at_home = true}, now));
    }
    MobileNodeActions tick() { return keep(node.tick(now)); }
    /// Goes on to the next deadline and gives it a tick.
    MobileNodeActions next() {
        const auto deadline = node.next_deadline();
        EXPECT_TRUE(deadline.has_value());
        if (deadline) now = std::max(now, *deadline);
        return tick();
    }
    MobileNodeActions answer(BindingAcknowledgement message, bool protect = true) {
        return keep(node.receive(wire::mobility_packet(message, kHa, kHoa), protect, now));
    }
    MobileNodeActions answer(unsigned status, std::uint16_t lifetime = 100) {
        return answer({.status = static_cast<BindingStatus>(status),
                       .sequence = last_sent.sequence,
                       .lifetime = {lifetime}});
    }
    MobileNodeActions registered(const Ipv6Address& care_of_address) {
        (void)attach(care_of_address);
        return answer(0);
    }
    /// Remembers the newest binding update.
    MobileNodeActions keep(MobileNodeActions actions) {
        for (const auto& one : all<SendBindingUpdate>(actions)) last_sent = one;
        return actions;
    }
    wire::BindingUpdate last_update() const {
        const auto view = wire::view_ipv6_packet(last_sent.packet);
        EXPECT_EQ(view->source, kHoa);
        EXPECT_EQ(view->destination, kHa);
        const auto message =
            wire::decode_mobility_header(view->upper, view->source, view->destination);
        EXPECT_TRUE(message.has_value());
        return std::get<wire::BindingUpdate>(*message);
    }
    State state() const { return node.status().state; }

    MobileNode::TimePoint now{std::chrono::hours{50}};
    SendBindingUpdate last_sent;
    MobileNodeConfig config = default_config();
    MobileNode node{config, 1000};
};

TEST_F(MobileNodeTest, RFC6275_11_7_1_binding_update_away_from_home) {
    const auto actions = attach(kA);
    ASSERT_EQ(all<SendBindingUpdate>(actions).size(), 1u);
    EXPECT_EQ(last_sent.care_of_address, kA);
    EXPECT_FALSE(last_sent.is_home);
    const auto update = last_update();
    EXPECT_TRUE(update.acknowledge);
    EXPECT_TRUE(update.home_registration);
    EXPECT_FALSE(update.link_local);
    EXPECT_FALSE(update.key_management_mobility);
    EXPECT_EQ(update.sequence, 1000);
    EXPECT_EQ(update.lifetime.value, 100);
    EXPECT_EQ(update.options, (wire::MobilityOptions{wire::AlternateCareOfAddress{kA}}));
    EXPECT_EQ(state(), State::kRegistering);
}

TEST_F(MobileNodeTest, RFC5555_4_4_1_the_ipv4_home_address_is_asked_for_and_bound_when_granted) {
    const auto ipv4 = test::v4("192.0.2.100");
    config.ipv4_home_address = ipv4;
    restart(config);
    (void)attach(kA);
    EXPECT_EQ(*wire::find_option<wire::Ipv4HomeAddress>(last_update().options),
              (wire::Ipv4HomeAddress{32, false, ipv4}));
    const auto granted = [&](std::uint8_t status, const Ipv4Address& address) {
        return answer({.status = BindingStatus::kAccepted,
                       .sequence = last_sent.sequence,
                       .lifetime = {100},
                       .options = {wire::Ipv4AddressAcknowledgement{status, 32, address}}});
    };
    EXPECT_EQ(all<Ipv4HomeAddressNews>(granted(0, ipv4)),
              (std::vector{Ipv4HomeAddressNews{true, ipv4, 0}}));
    EXPECT_TRUE(node.status().ipv4.bound);
    (void)attach(kB);
    EXPECT_TRUE(all<Ipv4HomeAddressNews>(granted(0, ipv4)).empty()) << "no news";
    (void)attach(kA);
    EXPECT_EQ(all<Ipv4HomeAddressNews>(granted(130, ipv4)),
              (std::vector{Ipv4HomeAddressNews{false, {}, 130}}));
    now += seconds{1};
    (void)attach(kB);
    EXPECT_EQ(all<Ipv4HomeAddressNews>(granted(0, test::v4("192.0.2.101"))),
              (std::vector{Ipv4HomeAddressNews{false, {}, 0}}))
        << "another address than ours is of no use";
    EXPECT_EQ(state(), State::kRegistered) << "the IPv6 binding stands";
}

TEST_F(MobileNodeTest, RFC5555_the_ipv4_binding_ends_at_home_and_is_not_asked_for_there) {
    config.ipv4_home_address = test::v4("192.0.2.100");
    restart(config);
    (void)attach(kA);
    (void)answer({.status = BindingStatus::kAccepted,
                  .sequence = last_sent.sequence,
                  .lifetime = {100},
                  .options = {wire::Ipv4AddressAcknowledgement{0, 32, *config.ipv4_home_address}}});
    (void)go_home();
    EXPECT_EQ(wire::find_option<wire::Ipv4HomeAddress>(last_update().options), nullptr);
    EXPECT_EQ(all<Ipv4HomeAddressNews>(answer(0, 0)), std::vector{Ipv4HomeAddressNews{}});
}

TEST_F(MobileNodeTest, flag_L_iff_the_interface_identifiers_match) {
    config.home_link_local = v6("fe80::100");
    restart(config);
    (void)attach(kA);
    EXPECT_TRUE(last_update().link_local);
    config.home_link_local = v6("fe80::101");
    restart(config);
    (void)attach(kA);
    EXPECT_FALSE(last_update().link_local);
}

TEST_F(MobileNodeTest, lifetime_is_no_longer_than_that_of_the_care_of_address_and_not_0) {
    keep(node.attach({.care_of_address = kA, .address_lifetime = seconds{50}}, now));
    EXPECT_EQ(last_update().lifetime.value, 12);
    keep(node.attach({.care_of_address = kB, .address_lifetime = seconds{1}}, now));
    EXPECT_EQ(last_update().lifetime.value, 1);
}

TEST_F(MobileNodeTest, S1_42_tunnel_switches_with_the_accepted_answer_only) {
    EXPECT_TRUE(all<SwitchTunnel>(attach(kA)).empty());
    const auto actions = answer(0);
    EXPECT_EQ(all<SwitchTunnel>(actions), std::vector{SwitchTunnel{kA}});
    EXPECT_EQ(state(), State::kRegistered);
    EXPECT_EQ(node.status().registered_care_of_address, kA);
}

TEST_F(MobileNodeTest, S1_40_during_a_movement_the_update_leaves_from_the_new_address_alone) {
    (void)registered(kA);
    const auto actions = attach(kB);
    EXPECT_TRUE(all<SwitchTunnel>(actions).empty());
    EXPECT_TRUE(all<TunnelDown>(actions).empty());
    EXPECT_EQ(last_sent.care_of_address, kB);
    EXPECT_EQ(state(), State::kMoving);
    EXPECT_EQ(node.status().registered_care_of_address, kA);
    EXPECT_EQ(all<SwitchTunnel>(answer(0)), std::vector{SwitchTunnel{kB}});
}

TEST_F(MobileNodeTest, S1_42_a_rejected_movement_leaves_the_tunnel_as_it_was) {
    (void)registered(kA);
    (void)attach(kB);
    const auto actions = answer(129);
    EXPECT_TRUE(all<SwitchTunnel>(actions).empty());
    EXPECT_TRUE(all<TunnelDown>(actions).empty());
    EXPECT_EQ(state(), State::kStopped);
    EXPECT_EQ(node.status().registered_care_of_address, kA);
}

TEST_F(MobileNodeTest, RFC6275_11_8_first_timeout_1500_ms_then_doubling_to_32_s) {
    (void)attach(kA);
    std::uint16_t sequence = last_sent.sequence;
    for (const int wait : {1500, 3000, 6000, 12'000, 24'000, 32'000, 32'000}) {
        const auto before = now;
        EXPECT_EQ(all<SendBindingUpdate>(next()).size(), 1u);
        EXPECT_EQ(now - before, milliseconds{wait});
        EXPECT_EQ(last_sent.sequence, ++sequence) << "each with a new, greater number";
    }
    EXPECT_EQ(node.counters().retransmissions, 7u);
}

TEST_F(MobileNodeTest, RFC6275_11_8_first_timeout_is_1_s_when_a_binding_exists) {
    (void)registered(kA);
    (void)attach(kB);
    const auto before = now;
    (void)next();
    EXPECT_EQ(now - before, seconds{1});
}

TEST_F(MobileNodeTest, nothing_is_sent_before_its_time) {
    (void)attach(kA);
    now += milliseconds{1499};
    EXPECT_TRUE(tick().empty());
    now += milliseconds{1};
    EXPECT_EQ(all<SendBindingUpdate>(tick()).size(), 1u);
}

TEST_F(MobileNodeTest, RFC6275_11_8_no_more_than_3_in_a_second) {
    std::vector<MobileNode::TimePoint> sent;
    const auto note = [&](const MobileNodeActions& actions) {
        for (std::size_t i = 0; i < all<SendBindingUpdate>(actions).size(); ++i) {
            sent.push_back(now);
        }
    };
    for (int i = 0; i < 40; ++i) {
        note(attach(i % 2 == 0 ? kA : kB));
        note(tick());
        now += milliseconds{50};
    }
    now += seconds{1};
    note(tick());
    ASSERT_GT(sent.size(), 4u);
    for (std::size_t i = 3; i < sent.size(); ++i) EXPECT_GE(sent[i] - sent[i - 3], seconds{1});
    EXPECT_EQ(last_sent.care_of_address, kB);
}

TEST_F(MobileNodeTest, an_answer_to_an_earlier_retransmission_counts) {
    (void)attach(kA);
    const std::uint16_t first = last_sent.sequence;
    const auto first_sent = now;
    (void)next();
    const auto actions = answer({.sequence = first, .lifetime = {100}});
    EXPECT_EQ(all<SwitchTunnel>(actions).size(), 1u);
    EXPECT_EQ(node.status().expires, first_sent + seconds{400}) << "from its own sending";
}

TEST_F(MobileNodeTest, RFC6275_11_7_3_an_answer_to_an_update_for_another_address_does_not_count) {
    (void)attach(kA);
    const std::uint16_t for_a = last_sent.sequence;
    (void)attach(kB);
    EXPECT_TRUE(all<SwitchTunnel>(answer({.sequence = for_a, .lifetime = {100}})).empty());
    EXPECT_EQ(node.counters().ignored_sequence, 1u);
    EXPECT_EQ(all<SwitchTunnel>(answer(0)), std::vector{SwitchTunnel{kB}});
}

TEST_F(MobileNodeTest, RFC6275_11_7_3_sequence_must_match) {
    (void)attach(kA);
    EXPECT_TRUE(answer({.sequence = 999, .lifetime = {100}}).empty());
    EXPECT_EQ(state(), State::kRegistering);
    (void)answer(0);
    EXPECT_TRUE(answer(0).empty()) << "nothing is outstanding any more";
    EXPECT_EQ(node.counters().ignored_sequence, 2u);
}

TEST_F(MobileNodeTest, answers_that_nobody_vouches_for_are_ignored) {
    (void)attach(kA);
    EXPECT_TRUE(answer({.sequence = 1000, .lifetime = {100}}, false).empty());
    EXPECT_EQ(node.counters().ignored_unprotected, 1u);
    config.allow_unprotected = true;
    restart(config);
    (void)attach(kA);
    EXPECT_FALSE(answer({.sequence = 1000, .lifetime = {100}}, false).empty());
}

TEST_F(MobileNodeTest, packets_of_others_and_malformed_ones_are_counted) {
    (void)attach(kA);
    const BindingAcknowledgement good{.sequence = 1000, .lifetime = {100}};
    EXPECT_TRUE(node.receive(wire::mobility_packet(good, kB, kHoa), true, now).empty());
    EXPECT_TRUE(node.receive(wire::mobility_packet(good, kHa, kA), true, now).empty());
    EXPECT_TRUE(node.receive(std::vector<std::uint8_t>{1, 2}, true, now).empty());
    EXPECT_EQ(node.counters().ignored_not_for_us, 3u);
    auto packet = wire::mobility_packet(good, kHa, kHoa);
    packet.back() = 9;
    EXPECT_TRUE(node.receive(packet, true, now).empty());
    EXPECT_EQ(node.counters().ignored_malformed, 1u);
}

TEST_F(MobileNodeTest, RFC6275_11_7_3_remaining_lifetime_counts_from_the_sending) {
    (void)attach(kA);
    const auto sent = now;
    now += milliseconds{700};
    (void)answer(0, 50);
    EXPECT_EQ(node.status().expires, sent + seconds{200});
    EXPECT_EQ(node.status().granted_lifetime, seconds{200});
}

TEST_F(MobileNodeTest, an_answer_older_than_its_lifetime_is_no_binding) {
    (void)attach(kA);
    now += milliseconds{1400};
    now += seconds{3};
    const auto actions = answer(0, 1);
    EXPECT_TRUE(all<SwitchTunnel>(actions).empty());
    EXPECT_EQ(state(), State::kBackingOff);
}

TEST_F(MobileNodeTest, more_lifetime_than_was_asked_for_is_not_believed) {
    (void)attach(kA);
    (void)answer(0, 0xffff);
    EXPECT_EQ(node.status().granted_lifetime, seconds{400});
}

TEST_F(MobileNodeTest, refreshes_before_expiry) {
    (void)registered(kA);
    const auto start = now;
    const auto actions = next();
    EXPECT_EQ(all<SendBindingUpdate>(actions).size(), 1u);
    EXPECT_GE(now - start, seconds{200});
    EXPECT_LE(now - start, seconds{385});
    EXPECT_EQ(state(), State::kRefreshing);
    const auto done = answer(0);
    EXPECT_TRUE(all<SwitchTunnel>(done).empty()) << "same address";
    EXPECT_EQ(state(), State::kRegistered);
}

TEST_F(MobileNodeTest, short_lifetimes_are_refreshed_at_half_time) {
    (void)attach(kA);
    const auto sent = now;
    (void)answer(0, 2);
    EXPECT_EQ(node.status().refresh_at, sent + seconds{4});
}

TEST_F(MobileNodeTest, RFC6275_11_7_3_refresh_advice_is_followed) {
    (void)attach(kA);
    const auto sent = now;
    BindingAcknowledgement message{.sequence = last_sent.sequence, .lifetime = {100}};
    message.options.emplace_back(wire::BindingRefreshAdvice{{25}});
    (void)answer(message);
    EXPECT_EQ(node.status().refresh_at, sent + seconds{100});
}

TEST_F(MobileNodeTest, RFC6275_11_7_3_135_goes_on_from_the_number_given) {
    (void)attach(kA);
    const auto actions = answer(
        {.status = BindingStatus::kSequenceNumberOutOfWindow, .sequence = 40'000, .lifetime = {}});
    ASSERT_EQ(all<SendBindingUpdate>(actions).size(), 1u);
    EXPECT_EQ(last_sent.sequence, 40'001);
    EXPECT_EQ(all<SwitchTunnel>(answer(0)).size(), 1u);
}

TEST_F(MobileNodeTest, status_135_wraps_and_needs_no_matching_number) {
    (void)attach(kA);
    (void)answer(
        {.status = BindingStatus::kSequenceNumberOutOfWindow, .sequence = 0xffff, .lifetime = {}});
    EXPECT_EQ(last_sent.sequence, 0);
}

TEST_F(MobileNodeTest, a_stream_of_135_is_answered_no_faster_than_the_rate) {
    (void)attach(kA);
    std::size_t sent = 1;
    for (int i = 0; i < 100; ++i) {
        sent += all<SendBindingUpdate>(answer({.status = BindingStatus::kSequenceNumberOutOfWindow,
                                               .sequence = 5,
                                               .lifetime = {}}))
                    .size();
        sent += all<SendBindingUpdate>(tick()).size();
        now += milliseconds{10};
    }
    EXPECT_LE(sent, 4u);
}

TEST_F(MobileNodeTest, status_135_out_of_the_blue_is_ignored) {
    (void)registered(kA);
    EXPECT_TRUE(
        answer({.status = BindingStatus::kSequenceNumberOutOfWindow, .sequence = 7, .lifetime = {}})
            .empty());
    EXPECT_EQ(state(), State::kRegistered);
}

TEST_F(MobileNodeTest, RFC6275_11_7_3_134_the_home_address_is_never_used_again) {
    (void)attach(kA);
    (void)answer(134, 0);
    EXPECT_EQ(state(), State::kStopped);
    EXPECT_TRUE(node.status().home_address_unusable);
    EXPECT_TRUE(all<SendBindingUpdate>(attach(kB)).empty());
    EXPECT_TRUE(all<SendBindingUpdate>(go_home()).empty());
    EXPECT_EQ(node.next_deadline(), std::nullopt);
}

TEST_F(MobileNodeTest, RFC6275_11_7_3_status_1_asks_for_prefix_discovery) {
    (void)attach(kA);
    EXPECT_EQ(all<SwitchTunnel>(answer(1)).size(), 1u);
    EXPECT_TRUE(node.status().prefix_discovery_needed);
    EXPECT_EQ(state(), State::kRegistered);
}

TEST_F(MobileNodeTest, temporary_rejections_are_tried_again_with_back_off) {
    for (const unsigned status : {128u, 130u}) {
        restart(config);
        (void)attach(kA);
        for (const int wait : {10, 20, 40, 80, 160, 320, 320}) {
            (void)answer(status, 0);
            ASSERT_EQ(state(), State::kBackingOff);
            const auto before = now;
            EXPECT_EQ(all<SendBindingUpdate>(next()).size(), 1u);
            EXPECT_EQ(now - before, seconds{wait});
        }
        (void)answer(0);
        EXPECT_EQ(state(), State::kRegistered);
    }
}

TEST_F(MobileNodeTest, final_rejections_stop_until_a_new_point_of_attachment) {
    for (const unsigned status : {129u, 131u, 132u, 133u, 136u, 139u, 140u, 141u, 142u, 143u, 144u,
                                  145u, 174u, 200u, 255u}) {
        restart(config);
        (void)attach(kA);
        EXPECT_TRUE(all<SendBindingUpdate>(answer(status, 0)).empty());
        EXPECT_EQ(state(), State::kStopped) << status;
        EXPECT_EQ(node.next_deadline(), std::nullopt);
        EXPECT_EQ(static_cast<unsigned>(*node.status().last_status), status);
        EXPECT_EQ(all<SendBindingUpdate>(attach(kB)).size(), 1u);
    }
}

TEST_F(MobileNodeTest, accepted_with_lifetime_0_is_no_binding) {
    (void)registered(kA);
    (void)next();
    const auto actions = answer(0, 0);
    EXPECT_EQ(all<TunnelDown>(actions).size(), 1u);
    EXPECT_EQ(state(), State::kBackingOff);
}

TEST_F(MobileNodeTest, expiry_takes_the_tunnel_down_and_registration_goes_on) {
    (void)registered(kA);
    const auto expires = *node.status().expires;
    bool down = false;
    while (now < expires) {
        for (const auto& action : next()) down |= std::holds_alternative<TunnelDown>(action);
        EXPECT_TRUE(!down || now >= expires);
    }
    EXPECT_TRUE(down);
    EXPECT_EQ(state(), State::kRegistering);
    EXPECT_TRUE(node.next_deadline().has_value());
}

TEST_F(MobileNodeTest, RFC6275_11_5_5_return_home_deregisters_without_care_of_address) {
    (void)registered(kA);
    const auto actions = go_home();
    ASSERT_EQ(all<SendBindingUpdate>(actions).size(), 1u);
    EXPECT_TRUE(last_sent.is_home);
    EXPECT_EQ(last_sent.care_of_address, kHoa);
    EXPECT_EQ(last_update().lifetime.value, 0);
    EXPECT_TRUE(last_update().options.empty());
    EXPECT_TRUE(all<TunnelDown>(actions).empty());
    EXPECT_EQ(state(), State::kReturning);
    const auto done = answer(0, 0);
    EXPECT_EQ(all<TunnelDown>(done).size(), 1u);
    EXPECT_EQ(all<AnnounceAtHome>(done).size(), 1u);
    EXPECT_EQ(state(), State::kAtHome);
    EXPECT_EQ(node.next_deadline(), std::nullopt);
}

TEST_F(MobileNodeTest, at_home_133_means_that_there_was_no_binding) {
    (void)go_home();  // after a start: the home agent may have one of an earlier life
    const auto done = answer(133, 0);
    EXPECT_EQ(all<AnnounceAtHome>(done).size(), 1u);
    EXPECT_EQ(state(), State::kAtHome);
}

TEST_F(MobileNodeTest, at_home_without_a_known_binding_silence_ends_the_wait) {
    (void)go_home();
    for (int i = 0; i < 3; ++i) EXPECT_EQ(all<SendBindingUpdate>(next()).size(), 1u);
    EXPECT_EQ(all<AnnounceAtHome>(next()).size(), 1u);
    EXPECT_EQ(state(), State::kAtHome);
}

TEST_F(MobileNodeTest, at_home_with_a_binding_it_goes_on_until_that_expires) {
    (void)registered(kA);
    const auto expires = *node.status().expires;
    (void)go_home();
    while (state() == State::kReturning) {
        ASSERT_LE(now, expires);
        (void)next();
    }
    EXPECT_EQ(now, expires);
    EXPECT_EQ(state(), State::kAtHome);
}

TEST_F(MobileNodeTest, away_again_before_the_deregistration_was_answered) {
    (void)registered(kA);
    (void)go_home();
    const std::uint16_t deregistration = last_sent.sequence;
    const auto actions = attach(kB);
    EXPECT_EQ(all<SendBindingUpdate>(actions).size(), 1u);
    EXPECT_GT(last_sent.sequence, deregistration);
    EXPECT_TRUE(answer({.sequence = deregistration, .lifetime = {}}).empty());
    EXPECT_EQ(all<SwitchTunnel>(answer(0)), std::vector{SwitchTunnel{kB}});
}

TEST_F(MobileNodeTest, away_from_home_again_is_a_first_registration) {
    (void)registered(kA);
    (void)go_home();
    (void)answer(0, 0);
    now += seconds{5};
    (void)attach(kA);
    EXPECT_EQ(state(), State::kRegistering);
    EXPECT_EQ(all<SwitchTunnel>(answer(0)), std::vector{SwitchTunnel{kA}});
}

TEST_F(MobileNodeTest, the_same_point_of_attachment_again_changes_nothing) {
    (void)registered(kA);
    EXPECT_TRUE(attach(kA).empty());
    (void)attach(kB);
    EXPECT_TRUE(attach(kB).empty());
}

TEST_F(MobileNodeTest, detached_the_binding_lives_on_and_nothing_is_sent) {
    (void)registered(kA);
    EXPECT_TRUE(all<TunnelDown>(node.detach(now)).empty());
    EXPECT_EQ(state(), State::kDetached);
    now += seconds{399};
    EXPECT_TRUE(tick().empty());
    now += seconds{1};
    EXPECT_EQ(all<TunnelDown>(tick()).size(), 1u);
    EXPECT_EQ(node.next_deadline(), std::nullopt);
}

TEST_F(MobileNodeTest, back_at_the_registered_address_no_update_is_needed) {
    (void)registered(kA);
    (void)node.detach(now);
    now += seconds{3};
    EXPECT_TRUE(all<SendBindingUpdate>(attach(kA)).empty());
    EXPECT_EQ(state(), State::kRegistered);
}

TEST_F(MobileNodeTest, back_at_the_registered_address_after_an_update_for_another_one_is_sent) {
    (void)registered(kA);
    (void)attach(kB);  // the home agent may have accepted this one
    EXPECT_EQ(all<SendBindingUpdate>(attach(kA)).size(), 1u);
}

TEST_F(MobileNodeTest, shutdown_deregisters_with_the_care_of_address) {
    (void)registered(kA);
    EXPECT_EQ(all<SendBindingUpdate>(keep(node.shutdown(now))).size(), 1u);
    EXPECT_EQ(last_update().lifetime.value, 0);
    EXPECT_EQ(last_update().options, (wire::MobilityOptions{wire::AlternateCareOfAddress{kA}}));
    EXPECT_FALSE(last_sent.is_home);
    EXPECT_FALSE(node.finished());
    EXPECT_EQ(all<TunnelDown>(answer(0, 0)).size(), 1u);
    EXPECT_TRUE(node.finished());
}

TEST_F(MobileNodeTest, shutdown_gives_up_after_its_attempts) {
    (void)registered(kA);
    (void)keep(node.shutdown(now));
    std::size_t sent = 1;
    while (!node.finished()) sent += all<SendBindingUpdate>(next()).size();
    EXPECT_EQ(sent, 3u);
}

TEST_F(MobileNodeTest, shutdown_while_the_first_registration_is_unanswered_deregisters) {
    (void)attach(kA);
    EXPECT_EQ(all<SendBindingUpdate>(keep(node.shutdown(now))).size(), 1u);
    EXPECT_EQ(last_update().lifetime.value, 0);
    (void)answer(133, 0);
    EXPECT_TRUE(node.finished());
}

TEST_F(MobileNodeTest, shutdown_with_nothing_registered_is_immediate) {
    EXPECT_TRUE(all<SendBindingUpdate>(node.shutdown(now)).empty());
    EXPECT_TRUE(node.finished());
    EXPECT_TRUE(attach(kA).empty());
}

TEST_F(MobileNodeTest, refresh_request_is_followed_when_registered) {
    (void)registered(kA);
    now += seconds{30};
    const auto packet = wire::mobility_packet(wire::BindingRefreshRequest{}, kHa, kHoa);
    EXPECT_EQ(all<SendBindingUpdate>(keep(node.receive(packet, true, now))).size(), 1u);
    EXPECT_EQ(node.counters().refresh_requests, 1u);
}

TEST_F(MobileNodeTest, a_binding_error_changes_nothing) {
    (void)registered(kA);
    const wire::BindingError error{wire::BindingErrorStatus::kUnknownBinding, kHoa, {}};
    EXPECT_TRUE(node.receive(wire::mobility_packet(error, kHa, kHoa), false, now).empty());
    EXPECT_EQ(node.counters().binding_errors, 1u);
    EXPECT_EQ(state(), State::kRegistered);
}

}  // namespace
}  // namespace homeport::mip6

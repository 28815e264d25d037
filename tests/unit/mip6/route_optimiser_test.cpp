// SPDX-License-Identifier: BSD-3-Clause
// The mobile node's return routability and correspondent registrations (RFC 6275 11.6, 11.7).
#include "controlplane/mip6/route_optimiser.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "controlplane/wire/ipv6_packet.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::mip6 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::v6;
using wire::BindingStatus;
using Way = RouteOptimiser::Way;

const Ipv6Address kHoa = v6("2001:db8:1::100");
const Ipv6Address kHa = v6("2001:db8:1::1");
const Ipv6Address kA = v6("2001:db8:a::200");
const Ipv6Address kB = v6("2001:db8:b::200");
const Ipv6Address kCn = v6("2001:db8:3::300");

template <class T>
std::vector<T> all(const RouteOptimiserActions& actions) {
    std::vector<T> found;
    for (const auto& action : actions) {
        if (const T* one = std::get_if<T>(&action)) found.push_back(*one);
    }
    return found;
}

template <class T>
T read(const std::vector<std::uint8_t>& packet) {
    const auto view = wire::view_ipv6_packet(packet);
    const auto message = wire::decode_mobility_header(view->upper, view->source, view->destination);
    EXPECT_TRUE(message) << (message ? "" : message.error().to_string());
    const T* one = message ? std::get_if<T>(&*message) : nullptr;
    EXPECT_NE(one, nullptr);
    return one == nullptr ? T{} : *one;
}

class RouteOptimiserTest : public testing::Test {
  protected:
    static RouteOptimiserConfig default_config() {
        RouteOptimiserConfig made;
        made.home_address = kHoa;
        made.home_agent = kHa;
        made.correspondents = {Ipv6Prefix{}};
        return made;
    }
    void restart(const RouteOptimiserConfig& with) {
        node.emplace(with, [this] { return ++random; });
    }
    void SetUp() override { restart(default_config()); }

    RouteOptimiserActions keep(RouteOptimiserActions made) {
        for (const auto& one : all<SendHomeTestInit>(made)) home_tests.push_back(one.packet);
        for (const auto& one : all<SendCareOfTestInit>(made)) care_of_tests.push_back(one);
        for (const auto& one : all<SendCorrespondentUpdate>(made)) updates.push_back(one);
        return made;
    }
    void away(const Ipv6Address& at = kA, seconds home_lifetime = seconds{1000}) {
        keep(node->away(at, now + home_lifetime, now));
    }
    void traffic(const Ipv6Address& from = kCn) { keep(node->tunnelled_from(from, now)); }
    /// Goes on to the next deadline.
    void next() {
        const auto deadline = node->next_deadline();
        ASSERT_TRUE(deadline);
        now = std::max(now, *deadline);
        keep(node->tick(now));
    }
    void wait(milliseconds time) {
        for (const auto end = now + time; now < end;) {
            const auto deadline = node->next_deadline();
            now = deadline && *deadline > now ? std::min(*deadline, end) : end;
            keep(node->tick(now));
        }
    }
    void receive(const wire::MobilityMessage& message, Way way, const Ipv6Address& to = kHoa,
                 const Ipv6Address& from = kCn) {
        keep(node->receive(wire::mobility_packet(message, from, to), way, now));
    }
    void answer_home_test(Way way = Way::kTunnel) {
        receive(wire::HomeTest{7, read<wire::HomeTestInit>(home_tests.back()).cookie, 0x1111, {}},
                way);
    }
    void answer_care_of_test(const Ipv6Address& to = kA) {
        receive(
            wire::CareOfTest{
                9, read<wire::CareOfTestInit>(care_of_tests.back().packet).cookie, 0x2222, {}},
            Way::kDirect, to);
    }
    wire::BindingUpdate last_update() { return read<wire::BindingUpdate>(updates.back().packet); }
    /// An acknowledgement of the last update, signed.
    void acknowledge(BindingStatus status = BindingStatus::kAccepted,
                     std::optional<std::uint16_t> lifetime = std::nullopt,
                     std::optional<std::uint16_t> sequence = std::nullopt) {
        const auto update = last_update();
        wire::BindingAcknowledgement answer;
        answer.status = status;
        answer.sequence = sequence.value_or(update.sequence);
        answer.lifetime = wire::FourSecondUnits{lifetime.value_or(update.lifetime.value)};
        const bool deletes = update.lifetime.value == 0;
        const BindingManagementKey key(
            0x1111, deletes ? std::nullopt : std::optional<std::uint64_t>(0x2222));
        const Ipv6Address care_of_address = deletes ? kHoa : *updates.back().care_of_address;
        answer.options = {wire::BindingAuthorizationData{std::vector<std::uint8_t>(12, 0)}};
        const auto header = wire::encode_mobility_header(answer, kCn, kHoa);
        const auto signature = binding_authenticator(key, care_of_address, kCn, header);
        answer.options = {wire::BindingAuthorizationData{{signature.begin(), signature.end()}}};
        receive(answer, Way::kDirect);
    }
    void bind() {
        away();
        traffic();
        answer_home_test();
        answer_care_of_test();
        acknowledge();
        ASSERT_EQ(node->routes(), std::vector{kCn});
    }

    RouteOptimiser::TimePoint now{seconds{1000}};
    std::uint64_t random = 0x55550000;
    std::optional<RouteOptimiser> node;
    std::vector<std::vector<std::uint8_t>> home_tests;
    std::vector<SendCareOfTestInit> care_of_tests;
    std::vector<SendCorrespondentUpdate> updates;
};

TEST_F(RouteOptimiserTest, RFC6275_11_6_1_both_tests_go_out_on_tunnelled_traffic) {
    traffic();
    EXPECT_TRUE(home_tests.empty()) << "not registered yet";
    away();
    traffic();
    ASSERT_EQ(home_tests.size(), 1u);
    ASSERT_EQ(care_of_tests.size(), 1u);
    const auto home = wire::view_ipv6_packet(home_tests[0]);
    EXPECT_EQ(home->source, kHoa);
    EXPECT_EQ(home->destination, kCn);
    const auto care_of = wire::view_ipv6_packet(care_of_tests[0].packet);
    EXPECT_EQ(care_of->source, kA);
    EXPECT_EQ(care_of->destination, kCn);
    EXPECT_NE(read<wire::HomeTestInit>(home_tests[0]).cookie,
              read<wire::CareOfTestInit>(care_of_tests[0].packet).cookie);
    traffic();
    EXPECT_EQ(home_tests.size(), 1u) << "one procedure at a time";
}

TEST_F(RouteOptimiserTest, RFC6275_11_7_2_update_after_both_tests) {
    away();
    traffic();
    answer_care_of_test();
    EXPECT_TRUE(updates.empty());
    answer_home_test();
    ASSERT_EQ(updates.size(), 1u);
    EXPECT_EQ(updates[0].care_of_address, kA);
    const auto update = last_update();
    EXPECT_TRUE(update.acknowledge);
    EXPECT_FALSE(update.home_registration);
    EXPECT_EQ(update.lifetime.seconds(), seconds{420});
    ASSERT_EQ(update.options.size(), 2u);
    EXPECT_EQ(update.options[0], (wire::MobilityOption{wire::NonceIndices{7, 9}}));
    const auto view = wire::view_ipv6_packet(updates[0].packet);
    EXPECT_TRUE(
        is_authentic(view->upper, update.options, kA, kCn, BindingManagementKey(0x1111, 0x2222)));
    EXPECT_TRUE(node->routes().empty());
    acknowledge();
    EXPECT_EQ(node->routes(), std::vector{kCn});
    EXPECT_EQ(node->counters().accepted, 1u);
}

TEST_F(RouteOptimiserTest, RFC6275_11_7_2_lifetime_is_that_of_the_home_registration_at_most) {
    away(kA, seconds{99});
    traffic();
    answer_home_test();
    answer_care_of_test();
    EXPECT_EQ(last_update().lifetime.seconds(), seconds{96});
}

TEST_F(RouteOptimiserTest, RFC6275_11_6_2_forged_tests_are_ignored) {
    away();
    traffic();
    receive(wire::HomeTest{7, 1, 0x1111, {}}, Way::kTunnel);
    receive(wire::CareOfTest{9, 1, 0x2222, {}}, Way::kDirect, kA);
    EXPECT_EQ(node->counters().ignored_cookie, 2u);
    const auto home = read<wire::HomeTestInit>(home_tests[0]).cookie;
    const auto care_of = read<wire::CareOfTestInit>(care_of_tests[0].packet).cookie;
    // Right cookies by the wrong way prove nothing.
    receive(wire::HomeTest{7, home, 0x1111, {}}, Way::kDirect);
    receive(wire::HomeTest{7, home, 0x1111, {}}, Way::kTunnel, kA);
    receive(wire::CareOfTest{9, care_of, 0x2222, {}}, Way::kTunnel, kA);
    receive(wire::CareOfTest{9, care_of, 0x2222, {}}, Way::kDirect, kHoa);
    EXPECT_EQ(node->counters().ignored_path, 4u);
    receive(wire::HomeTest{7, home, 0x1111, {}}, Way::kTunnel, kHoa, v6("2001:db8:3::301"));
    EXPECT_EQ(node->counters().ignored_unknown, 1u);
    EXPECT_TRUE(updates.empty());
    answer_home_test();
    answer_care_of_test();
    EXPECT_EQ(updates.size(), 1u);
    answer_home_test();
    EXPECT_EQ(node->counters().ignored_cookie, 3u) << "a second answer to the same question";
}

TEST_F(RouteOptimiserTest, RFC6275_11_7_3_forged_acknowledgements_are_ignored) {
    away();
    traffic();
    answer_home_test();
    answer_care_of_test();
    const auto sequence = last_update().sequence;
    wire::BindingAcknowledgement forged;
    forged.sequence = sequence;
    forged.lifetime = wire::FourSecondUnits{100};
    receive(forged, Way::kDirect);
    forged.options = {wire::BindingAuthorizationData{std::vector<std::uint8_t>(12, 0x5a)}};
    receive(forged, Way::kDirect);
    forged.status = BindingStatus::kSequenceNumberOutOfWindow;
    receive(forged, Way::kDirect);
    forged.status = BindingStatus::kAdministrativelyProhibited;
    receive(forged, Way::kDirect);
    EXPECT_EQ(node->counters().ignored_authenticator, 4u);
    forged.status = BindingStatus::kExpiredNonces;
    forged.sequence = static_cast<std::uint16_t>(sequence + 1);
    receive(forged, Way::kDirect);
    EXPECT_EQ(node->counters().ignored_sequence, 1u);
    EXPECT_TRUE(node->routes().empty());
    acknowledge();
    EXPECT_EQ(node->routes().size(), 1u);
}

TEST_F(RouteOptimiserTest, RFC6275_11_8_tests_are_repeated_with_back_off_then_given_up) {
    away();
    traffic();
    std::vector<RouteOptimiser::TimePoint> sent{now};
    while (node->counters().given_up == 0) {
        const auto before = home_tests.size();
        ASSERT_NO_FATAL_FAILURE(next());
        if (home_tests.size() > before) sent.push_back(now);
    }
    ASSERT_EQ(sent.size(), 4u);
    EXPECT_EQ(sent[1] - sent[0], seconds{1});
    EXPECT_EQ(sent[2] - sent[1], seconds{2});
    EXPECT_EQ(sent[3] - sent[2], seconds{4});
    EXPECT_EQ(now - sent[3], seconds{8});
    traffic();
    EXPECT_EQ(home_tests.size(), 4u) << "it is left alone";
    now += seconds{10};
    keep(node->tick(now));
    traffic();
    EXPECT_EQ(home_tests.size(), 5u);
}

TEST_F(RouteOptimiserTest, RFC6275_11_6_without_support_it_is_left_alone_for_long) {
    away();
    for (int procedure = 0; procedure < 3; ++procedure) {
        traffic();
        wait(seconds{15});
        ASSERT_EQ(node->counters().given_up, static_cast<unsigned>(procedure + 1));
        if (procedure < 2) wait(seconds{30});
    }
    const auto sent = home_tests.size();
    EXPECT_EQ(sent, 12u);
    for (int i = 0; i < 59; ++i) {
        now += seconds{60};
        keep(node->tick(now));
        traffic();
    }
    EXPECT_EQ(home_tests.size(), sent);
    now += seconds{70};
    keep(node->tick(now));
    traffic();
    EXPECT_EQ(home_tests.size(), sent + 1);
}

TEST_F(RouteOptimiserTest, RFC6275_11_3_5_errors_end_it) {
    away();
    keep(node->unsupported(kCn, "x", now));
    EXPECT_TRUE(node->status().empty()) << "errors make no entries";
    traffic();
    keep(node->unsupported(kCn, "x", now));
    traffic();
    EXPECT_EQ(home_tests.size(), 1u);
    EXPECT_STREQ(node->status()[0].state, "resting");
}

TEST_F(RouteOptimiserTest, RFC6275_11_7_2_a_move_keeps_the_home_token_and_tests_the_new_address) {
    bind();
    now += seconds{100};
    away(kB);
    EXPECT_TRUE(node->routes().empty()) << "nothing leaves from an address that it has not";
    EXPECT_EQ(home_tests.size(), 1u);
    ASSERT_EQ(care_of_tests.size(), 2u);
    EXPECT_EQ(care_of_tests[1].care_of_address, kB);
    const auto before = last_update().sequence;
    answer_care_of_test(kB);
    ASSERT_EQ(updates.size(), 2u);
    EXPECT_EQ(last_update().sequence, static_cast<std::uint16_t>(before + 1));
    acknowledge();
    EXPECT_EQ(node->routes(), std::vector{kCn});
    // Tokens live 210 s from the question on.
    now += seconds{111};
    away(kA);
    EXPECT_EQ(home_tests.size(), 2u);
}

TEST_F(RouteOptimiserTest, RFC6275_11_7_2_a_care_of_test_of_the_old_address_is_worth_nothing) {
    away();
    traffic();
    const auto old = read<wire::CareOfTestInit>(care_of_tests[0].packet).cookie;
    away(kB);
    receive(wire::CareOfTest{9, old, 0x2222, {}}, Way::kDirect, kA);
    receive(wire::CareOfTest{9, old, 0x2222, {}}, Way::kDirect, kB);
    answer_home_test();
    EXPECT_TRUE(updates.empty());
    answer_care_of_test(kB);
    EXPECT_EQ(updates.size(), 1u);
}

TEST_F(RouteOptimiserTest, RFC6275_11_7_3_135_goes_on_from_the_number_given) {
    away();
    traffic();
    answer_home_test();
    answer_care_of_test();
    acknowledge(BindingStatus::kSequenceNumberOutOfWindow, std::nullopt, std::uint16_t{40000});
    ASSERT_EQ(updates.size(), 2u);
    EXPECT_EQ(last_update().sequence, 40001);
    acknowledge();
    EXPECT_EQ(node->routes().size(), 1u);
}

TEST_F(RouteOptimiserTest, RFC6275_11_7_3_expired_nonces_are_asked_for_again) {
    const struct {
        BindingStatus status;
        unsigned home, care_of;
    } cases[] = {{BindingStatus::kExpiredHomeNonceIndex, 1, 0},
                 {BindingStatus::kExpiredCareOfNonceIndex, 0, 1},
                 {BindingStatus::kExpiredNonces, 1, 1}};
    for (const auto& one : cases) {
        SetUp();
        home_tests.clear();
        care_of_tests.clear();
        updates.clear();
        away();
        traffic();
        answer_home_test();
        answer_care_of_test();
        wire::BindingAcknowledgement answer;
        answer.status = one.status;
        answer.sequence = last_update().sequence;
        receive(answer, Way::kDirect);  // without authenticator: it has none
        EXPECT_EQ(home_tests.size(), 1u + one.home);
        EXPECT_EQ(care_of_tests.size(), 1u + one.care_of);
        if (one.home != 0) answer_home_test();
        if (one.care_of != 0) answer_care_of_test();
        ASSERT_EQ(updates.size(), 2u);
        acknowledge();
        EXPECT_EQ(node->routes().size(), 1u);
    }
}

TEST_F(RouteOptimiserTest, nonces_that_always_expire_end_in_back_off) {
    away();
    traffic();
    for (int i = 0; i < 10 && node->status()[0].rests_until == std::nullopt; ++i) {
        answer_home_test();
        answer_care_of_test();
        wire::BindingAcknowledgement answer;
        answer.status = BindingStatus::kExpiredNonces;
        answer.sequence = last_update().sequence;
        receive(answer, Way::kDirect);
        now += seconds{1};
        keep(node->tick(now));
    }
    EXPECT_STREQ(node->status()[0].state, "resting");
    EXPECT_EQ(updates.size(), 4u);
}

TEST_F(RouteOptimiserTest, RFC6275_11_7_3_rejections_temporary_and_for_good) {
    const struct {
        BindingStatus status;
        seconds rests;
    } cases[] = {{BindingStatus::kReasonUnspecified, seconds{10}},
                 {BindingStatus::kInsufficientResources, seconds{10}},
                 {BindingStatus::kAdministrativelyProhibited, seconds{3600}},
                 {BindingStatus::kRegistrationTypeChangeDisallowed, seconds{3600}},
                 {BindingStatus::kInvalidCareOfAddress, seconds{3600}}};
    for (const auto& one : cases) {
        SetUp();
        away();
        traffic();
        answer_home_test();
        answer_care_of_test();
        acknowledge(one.status);
        ASSERT_TRUE(node->status()[0].rests_until);
        EXPECT_EQ(*node->status()[0].rests_until - now, one.rests);
        EXPECT_TRUE(node->routes().empty());
    }
}

TEST_F(RouteOptimiserTest, RFC6275_11_3_6_binding_error_1_falls_back_to_the_tunnel) {
    bind();
    const wire::BindingError error{wire::BindingErrorStatus::kUnknownBinding, kHoa, {}};
    receive(wire::BindingError{wire::BindingErrorStatus::kUnknownBinding, kB, {}}, Way::kDirect,
            kA);
    EXPECT_EQ(node->routes().size(), 1u) << "about another home address";
    receive(error, Way::kDirect, kA);
    EXPECT_TRUE(node->routes().empty());
    ASSERT_EQ(updates.size(), 2u) << "tokens are fresh: it registers again";
    acknowledge();
    EXPECT_EQ(node->routes().size(), 1u);
    // Nobody vouches for such a message: the next one in ten seconds costs the way, no messages.
    receive(error, Way::kDirect, kA);
    EXPECT_TRUE(node->routes().empty());
    traffic();
    EXPECT_EQ(updates.size(), 2u);
    wait(seconds{10});
    traffic();
    EXPECT_EQ(updates.size(), 3u);
}

TEST_F(RouteOptimiserTest, RFC6275_11_3_6_binding_error_2_only_about_what_we_asked) {
    bind();
    const wire::BindingError error{wire::BindingErrorStatus::kUnrecognizedType, {}, {}};
    receive(error, Way::kDirect, kA);
    EXPECT_EQ(node->routes().size(), 1u);
    away(kB);
    receive(error, Way::kDirect, kB);
    EXPECT_STREQ(node->status()[0].state, "resting");
}

TEST_F(RouteOptimiserTest, RFC6275_11_7_4_refresh_request) {
    bind();
    receive(wire::BindingRefreshRequest{}, Way::kTunnel);
    ASSERT_EQ(updates.size(), 2u);
    EXPECT_EQ(node->routes().size(), 1u) << "the way stays while it is refreshed";
    acknowledge();
    receive(wire::BindingRefreshRequest{}, Way::kTunnel);
    EXPECT_EQ(updates.size(), 2u) << "at most one in ten seconds";
}

TEST_F(RouteOptimiserTest, RFC6275_11_7_2_is_refreshed_while_used_and_else_expires) {
    bind();
    for (int i = 0; i < 33; ++i) {
        wait(seconds{10});
        node->used(kCn, now);
    }
    wait(seconds{6});  // 4/5 of 420 s
    EXPECT_EQ(home_tests.size(), 2u) << "the tokens are too old for a refresh";
    answer_home_test();
    answer_care_of_test();
    acknowledge();
    EXPECT_EQ(updates.size(), 2u);
    wait(seconds{419});
    EXPECT_EQ(node->routes().size(), 1u);
    EXPECT_EQ(home_tests.size(), 2u) << "nobody uses it";
    wait(seconds{2});
    EXPECT_TRUE(node->routes().empty());
}

TEST_F(RouteOptimiserTest, RFC6275_11_5_5_return_home_deletes_without_home_address_option) {
    bind();
    keep(node->at_home(now));
    EXPECT_TRUE(node->routes().empty());
    ASSERT_EQ(updates.size(), 2u);
    EXPECT_FALSE(updates[1].care_of_address);
    const auto update = last_update();
    EXPECT_EQ(update.lifetime.value, 0);
    EXPECT_EQ(update.options[0], (wire::MobilityOption{wire::NonceIndices{7, 0}}));
    const auto view = wire::view_ipv6_packet(updates[1].packet);
    EXPECT_TRUE(is_authentic(view->upper, update.options, kHoa, kCn,
                             BindingManagementKey(0x1111, std::nullopt)));
    acknowledge();
    EXPECT_TRUE(node->status().empty());
}

TEST_F(RouteOptimiserTest, RFC6275_11_5_5_return_home_with_an_old_token_tests_the_home_address) {
    bind();
    now += seconds{211};
    keep(node->at_home(now));
    ASSERT_EQ(home_tests.size(), 2u);
    EXPECT_EQ(care_of_tests.size(), 1u);
    answer_home_test(Way::kDirect);
    ASSERT_EQ(updates.size(), 2u);
    EXPECT_EQ(last_update().lifetime.value, 0);
}

TEST_F(RouteOptimiserTest, exit_deletes_from_the_care_of_address_and_has_an_end) {
    bind();
    keep(node->shutdown(now));
    ASSERT_EQ(updates.size(), 2u);
    EXPECT_EQ(updates[1].care_of_address, kA);
    EXPECT_FALSE(node->finished());
    acknowledge();
    EXPECT_TRUE(node->finished());

    SetUp();
    updates.clear();
    home_tests.clear();
    bind();
    keep(node->shutdown(now));
    wait(milliseconds{2000});
    EXPECT_TRUE(node->finished()) << "nobody answers, and it ends all the same";
}

TEST_F(RouteOptimiserTest, never_with_the_home_agent_nor_whom_the_list_leaves_out) {
    auto config = default_config();
    config.correspondents = {*Ipv6Prefix::parse("2001:db8:3::/64"), Ipv6Prefix{kHa, 64}.masked()};
    restart(config);
    away();
    for (const char* from :
         {"2001:db8:4::1", "2001:db8:1::1", "2001:db8:1::100", "fe80::1", "ff02::1", "::"}) {
        traffic(v6(from));
    }
    EXPECT_TRUE(home_tests.empty());
    EXPECT_EQ(node->next_deadline(), std::nullopt);
    traffic();
    EXPECT_EQ(home_tests.size(), 1u);
}

TEST_F(RouteOptimiserTest, correspondents_and_starts_are_bounded) {
    auto config = default_config();
    config.most = 3;
    config.starts_burst = 100;
    restart(config);
    away();
    for (int i = 1; i <= 5; ++i) traffic(v6("2001:db8:3::" + std::to_string(i)));
    EXPECT_EQ(home_tests.size(), 3u);
    EXPECT_EQ(node->counters().limited, 2u);
    wait(seconds{15});  // they do not answer, and make room
    traffic(v6("2001:db8:3::5"));
    EXPECT_EQ(node->status().size(), 3u);
    EXPECT_EQ(node->counters().limited, 2u);

    config.most = 1000;
    config.starts_burst = 20;
    restart(config);
    home_tests.clear();
    away();
    for (int i = 1; i <= 50; ++i) traffic(v6("2001:db8:3::" + std::to_string(i)));
    EXPECT_EQ(home_tests.size(), 20u);
}

TEST_F(RouteOptimiserTest, RFC6275_11_8_no_more_than_3_messages_in_a_second) {
    away();
    traffic();
    const auto start = now;
    for (int i = 0; i < 20; ++i) {
        now += milliseconds{40};
        away(i % 2 == 0 ? kB : kA);
    }
    EXPECT_EQ(care_of_tests.size(), 3u);
    now = start + milliseconds{999};
    keep(node->tick(now));
    EXPECT_EQ(care_of_tests.size(), 3u);
    next();
    EXPECT_EQ(care_of_tests.size(), 4u);
    EXPECT_GE(now - start, seconds{1});
}

TEST_F(RouteOptimiserTest, without_a_link_it_waits_and_goes_on) {
    bind();
    keep(node->detached(now));
    EXPECT_TRUE(node->routes().empty());
    wait(seconds{5});
    away(kA);
    EXPECT_EQ(node->routes().size(), 1u) << "the binding is still there";
    EXPECT_EQ(care_of_tests.size(), 1u);
}

TEST_F(RouteOptimiserTest, packets_of_any_length_do_no_harm) {
    away();
    traffic();
    const auto whole = wire::mobility_packet(
        wire::HomeTest{7, read<wire::HomeTestInit>(home_tests[0]).cookie, 0x1111, {}}, kCn, kHoa);
    for (std::size_t length = 0; length < whole.size(); ++length) {
        keep(node->receive(ConstByteSpan(whole).first(length), Way::kTunnel, now));
    }
    EXPECT_EQ(node->counters().ignored_malformed, whole.size());
    EXPECT_TRUE(updates.empty());
}

}  // namespace
}  // namespace homeport::mip6

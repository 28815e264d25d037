// SPDX-License-Identifier: BSD-3-Clause
// The mobile router's side of RFC 3963 section 5, and RFC 5555 section 3.1.1 for IPv4 prefixes.
#include "controlplane/mip6/mobile_router.hpp"

#include <gtest/gtest.h>

#include "controlplane/mip6/mobile_node.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::mip6 {
namespace {

using std::chrono::seconds;
using test::prefix6;
using test::v6;
using wire::BindingStatus;
using State = MobileNodeState;

class MobileRouter : public testing::Test {
  protected:
    static inline const Ipv6Address kHoa = v6("2001:db8:1::100");
    static inline const Ipv6Address kHa = v6("2001:db8:1::1");
    static inline const Ipv6Address kCoa = v6("2001:db8:2::200");
    static inline const Ipv4Prefix kNet4 = *Ipv4Prefix::parse("10.5.0.0/16");

    void start(MobileRouterMode mode, bool with_ipv4 = false) {
        MobileNodeConfig config;
        config.home_address = kHoa;
        config.home_agent = kHa;
        config.mobile_router.mode = mode;
        config.mobile_router.prefixes = {prefix6("2001:db8:5000::/48"),
                                         prefix6("2001:db8:5001:1::/64")};
        if (with_ipv4) config.mobile_router.ipv4_prefixes = {kNet4};
        node = MobileNode(config, 1000);
        take(node.attach({.care_of_address = kCoa}, now));
    }
    void take(const MobileNodeActions& actions) {
        news.reset();
        tunnel_down = false;
        for (const MobileNodeAction& action : actions) {
            if (const auto* sent = std::get_if<SendBindingUpdate>(&action)) last_sent = *sent;
            if (const auto* one = std::get_if<Ipv4NetworkNews>(&action)) news = *one;
            if (std::holds_alternative<TunnelDown>(action)) tunnel_down = true;
        }
    }
    wire::BindingUpdate update() const {
        const auto view = wire::view_ipv6_packet(last_sent.packet);
        const auto message =
            wire::decode_mobility_header(view->upper, view->source, view->destination);
        EXPECT_TRUE(message.has_value());
        return std::get<wire::BindingUpdate>(*message);
    }
    void answer(unsigned status, bool router, wire::MobilityOptions options = {}) {
        const wire::BindingAcknowledgement message{
            .status = static_cast<BindingStatus>(status),
            .mobile_router = router,
            .sequence = last_sent.sequence,
            .lifetime = {status < 128 ? std::uint16_t{100} : std::uint16_t{0}},
            .options = std::move(options)};
        take(node.receive(wire::mobility_packet(message, kHa, kHoa), true, now));
    }
    static std::vector<Ipv6Prefix> named(const wire::BindingUpdate& update) {
        std::vector<Ipv6Prefix> found;
        for (const auto& option : update.options) {
            const auto* one = std::get_if<wire::MobileNetworkPrefix>(&option);
            if (one != nullptr) found.push_back({one->prefix, one->prefix_length});
        }
        return found;
    }
    State state() const { return node.status().state; }

    MobileNode::TimePoint now{std::chrono::hours{50}};
    SendBindingUpdate last_sent;
    std::optional<Ipv4NetworkNews> news;
    bool tunnel_down = false;
    MobileNode node{{}, 0};
};

TEST_F(MobileRouter, RFC3963_5_2_explicit_mode_names_the_prefixes_with_flag_R) {
    start(MobileRouterMode::kExplicit);
    EXPECT_TRUE(update().mobile_router);
    EXPECT_EQ(named(update()),
              (std::vector{prefix6("2001:db8:5000::/48"), prefix6("2001:db8:5001:1::/64")}));
    answer(0, true);
    EXPECT_EQ(state(), State::kRegistered);
}

TEST_F(MobileRouter, RFC3963_5_2_implicit_mode_has_flag_R_and_no_prefix) {
    start(MobileRouterMode::kImplicit);
    EXPECT_TRUE(update().mobile_router);
    EXPECT_TRUE(named(update()).empty());
    answer(0, true);
    EXPECT_EQ(state(), State::kRegistered);
}

TEST_F(MobileRouter, RFC3963_5_a_mobile_node_has_neither) {
    start(MobileRouterMode::kOff);
    EXPECT_FALSE(update().mobile_router);
    EXPECT_TRUE(named(update()).empty());
    answer(0, false);
    EXPECT_EQ(state(), State::kRegistered);
}

TEST_F(MobileRouter, RFC3963_5_3_an_answer_without_R_is_deregistered_and_no_tunnel_used) {
    start(MobileRouterMode::kExplicit);
    answer(0, false);
    EXPECT_EQ(state(), State::kStopped);
    EXPECT_EQ(update().lifetime.value, 0);
    EXPECT_FALSE(node.status().registered_care_of_address.has_value());
    answer(0, false);
    EXPECT_EQ(state(), State::kStopped);
    EXPECT_FALSE(node.next_deadline().has_value()) << "it is not asked again";
}

TEST_F(MobileRouter, RFC3963_5_3_the_deregistration_is_repeated_but_not_for_ever) {
    start(MobileRouterMode::kExplicit);
    answer(0, false);
    unsigned sent = 1;
    for (int i = 0; i < 20 && node.next_deadline(); ++i) {
        const std::uint16_t before = last_sent.sequence;
        now = std::max(now, *node.next_deadline());
        take(node.tick(now));
        if (last_sent.sequence != before) ++sent;
    }
    EXPECT_EQ(sent, 3u);
    EXPECT_EQ(state(), State::kStopped);
}

TEST_F(MobileRouter, RFC3963_5_6_errors_140_to_142_end_it) {
    for (const unsigned status : {140u, 141u, 142u}) {
        start(MobileRouterMode::kExplicit);
        answer(status, false);
        EXPECT_EQ(state(), State::kStopped) << status;
        EXPECT_FALSE(node.next_deadline().has_value()) << status;
    }
    start(MobileRouterMode::kExplicit);
    answer(143, false);
    EXPECT_EQ(state(), State::kStopped) << "fatal in explicit mode";
}

TEST_F(MobileRouter, RFC3963_5_6_error_143_in_implicit_mode_goes_on_in_explicit_mode) {
    start(MobileRouterMode::kImplicit);
    const std::uint16_t first = last_sent.sequence;
    answer(143, false);
    EXPECT_EQ(state(), State::kRegistering);
    EXPECT_GT(last_sent.sequence, first);
    EXPECT_EQ(named(update()).size(), 2u);
    EXPECT_EQ(node.status().router_mode, MobileRouterMode::kExplicit);
    answer(143, false);
    EXPECT_EQ(state(), State::kStopped) << "once";
}

TEST_F(MobileRouter, RFC3963_6_2_the_return_home_keeps_flag_R_and_names_nothing) {
    start(MobileRouterMode::kExplicit, true);
    answer(0, true);
    take(node.attach({.care_of_address = kHoa, .at_home = true}, now));
    EXPECT_TRUE(update().mobile_router);
    EXPECT_TRUE(update().options.empty());
    answer(0, true);
    EXPECT_EQ(state(), State::kAtHome);
}

TEST_F(MobileRouter, RFC5555_3_1_1_ipv4_prefixes_are_asked_for_with_flag_P) {
    start(MobileRouterMode::kImplicit, true);
    const wire::BindingUpdate asked = update();
    const auto* option = wire::find_option<wire::Ipv4HomeAddress>(asked.options);
    ASSERT_NE(option, nullptr);
    EXPECT_EQ(*option, (wire::Ipv4HomeAddress{16, true, kNet4.address}));
    answer(0, true, {wire::Ipv4AddressAcknowledgement{0, 16, kNet4.address}});
    ASSERT_TRUE(news.has_value());
    EXPECT_EQ(news->served, std::vector{kNet4});
    // The next registration is refused it: status 133, the IPv6 prefixes stay.
    now += seconds{395};
    take(node.tick(now));
    answer(0, true, {wire::Ipv4AddressAcknowledgement{133, 0, kNet4.address}});
    EXPECT_EQ(state(), State::kRegistered);
    ASSERT_TRUE(news.has_value());
    EXPECT_TRUE(news->served.empty());
}

TEST_F(MobileRouter, RFC5555_4_4_only_what_was_asked_for_is_served) {
    start(MobileRouterMode::kExplicit, true);
    answer(0, true,
           {wire::Ipv4AddressAcknowledgement{0, 8, *Ipv4Address::parse("10.0.0.0")},
            wire::Ipv4AddressAcknowledgement{0, 32, *Ipv4Address::parse("10.5.0.0")},
            wire::Ipv4AddressAcknowledgement{0, 60, kNet4.address}});
    EXPECT_FALSE(news.has_value());
    EXPECT_TRUE(node.status().ipv4_network.served.empty());
}

}  // namespace
}  // namespace homeport::mip6

// SPDX-License-Identifier: BSD-3-Clause
// The mobile node's registrations against the home agent's rules, and against forgers.
#include "controlplane/mip4/registration_client.hpp"

#include <gtest/gtest.h>

#include "tests/unit/mip4/harness.hpp"

namespace homeport::mip4 {
namespace {

using namespace test_support;
using Kind = RegistrationOutcome::Kind;

RegistrationClientConfig client_config() {
    RegistrationClientConfig config;
    config.home_address = kHome;
    config.home_agent = kHomeAgent;
    config.association = kAlice;
    return config;
}

/// Both ends, each with a clock of its own.
class Pair {
  public:
    explicit Pair(RegistrationClientConfig mobile = client_config(),
                  HomeAgentConfig home = simple_config())
        : client(std::move(mobile)), talk(std::move(home)) {}

    RegistrationOutcome exchange(const RequestInfo& info, bool deregister = false,
                                 const Ipv4Address& care_of = kCareOf) {
        tick();
        const auto request = client.request({care_of, true}, deregister, time(), ++random_);
        last_reply.clear();
        if (!talk.send(request, info)) return {};
        last_reply = talk.sent.payload;
        return client.receive(last_reply, false, time());
    }
    RegistrationOutcome exchange() { return exchange(talk.from_care_of()); }
    void tick() { talk.time += std::uint64_t{1} << 32; }
    [[nodiscard]] NtpTime time() const {
        return talk.time + (static_cast<std::uint64_t>(skew) << 32);
    }

    RegistrationClient client;
    Conversation talk;
    std::int64_t skew = 0;  // seconds
    std::vector<std::uint8_t> last_reply;

  private:
    std::uint32_t random_ = 0x1230;
};

TEST(RegistrationClient, registers_refreshes_and_deregisters) {
    Pair pair;
    RegistrationOutcome outcome = pair.exchange();
    EXPECT_EQ(outcome.kind, Kind::kAccepted);
    EXPECT_EQ(outcome.lifetime, 600);
    EXPECT_EQ(outcome.home_address, kHome);
    EXPECT_FALSE(outcome.udp);
    EXPECT_FALSE(outcome.trusted_networks);
    EXPECT_EQ(pair.exchange().kind, Kind::kAccepted);
    outcome = pair.exchange(pair.talk.from_care_of(), true);
    EXPECT_EQ(outcome.kind, Kind::kAccepted);
    EXPECT_EQ(outcome.lifetime, 0);
    EXPECT_EQ(pair.talk.agent.find(kHome), nullptr);
}

TEST(RegistrationClient, S2_34_behind_a_nat_it_gets_a_udp_tunnel_and_otherwise_none) {
    Pair pair;
    const auto behind = pair.exchange(pair.talk.from(kNat));
    ASSERT_TRUE(behind.udp);
    EXPECT_EQ(behind.udp->keepalive, 110);
    // Declined: code 64 says that there is no NAT.
    EXPECT_FALSE(pair.exchange().udp);
}

TEST(RegistrationClient, RFC3519_where_udp_may_not_be_forced_it_is_asked_for_without) {
    RegistrationClientConfig forced = client_config();
    forced.force_udp = true;
    Pair pair(forced);
    const auto refused = pair.exchange();
    EXPECT_EQ(refused.kind, Kind::kRetry);
    EXPECT_EQ(refused.code, 129);
    EXPECT_FALSE(pair.client.config().force_udp);
    EXPECT_TRUE(pair.client.config().udp_tunnel);
    const auto taken = pair.exchange();
    EXPECT_EQ(taken.kind, Kind::kAccepted);
    EXPECT_FALSE(taken.udp);
    EXPECT_TRUE(pair.exchange(pair.talk.from(kNat)).udp);

    HomeAgentConfig allowing = simple_config();
    allowing.udp.forced_allowed = true;
    EXPECT_TRUE(Pair(forced, allowing).exchange().udp);
}

TEST(RegistrationClient, a_deregistration_keeps_what_is_asked_for) {
    RegistrationClientConfig forced = client_config();
    forced.force_udp = true;
    // A deregistration asks for no UDP: nothing that could be asked for less.
    Pair other(forced);
    EXPECT_EQ(other.exchange(other.talk.from_care_of(), true).kind, Kind::kAccepted);
    EXPECT_TRUE(other.client.config().force_udp);
}

TEST(RegistrationClient, S2_93_only_trusted_networks_under_the_authentication_count) {
    HomeAgentConfig home = simple_config();
    home.role = Role::kInternal;
    home.trusted_subnets = {Ipv4Prefix::parse("10.0.0.0/8").value()};
    Pair pair(client_config(), home);
    RequestInfo info = pair.talk.from_care_of();
    info.came_from_inside = true;
    EXPECT_TRUE(pair.exchange(info).trusted_networks);

    // The same from a home agent that says nothing, with the extension put behind by somebody.
    Pair other;
    other.tick();
    const auto request = other.client.request({kCareOf, true}, false, other.time(), 7);
    ASSERT_TRUE(other.talk.send(request, other.talk.from_care_of()));
    auto forged = other.talk.sent.payload;
    wire::append_mip4_extension(forged, wire::Mip4TrustedNetworksConfigured{});
    const auto outcome = other.client.receive(forged, false, other.time());
    EXPECT_EQ(outcome.kind, Kind::kAccepted);
    EXPECT_FALSE(outcome.trusted_networks);
}

TEST(RegistrationClient, a_skewed_clock_is_set_right_by_code_133) {
    for (const std::int64_t skew : {-100'000, -60, 60, 100'000}) {
        Pair pair;
        pair.skew = skew;
        EXPECT_EQ(pair.exchange().kind, Kind::kRetry) << skew;
        EXPECT_EQ(pair.exchange().kind, Kind::kAccepted) << skew;
        EXPECT_EQ(pair.exchange().kind, Kind::kAccepted) << skew;
    }
}

TEST(RegistrationClient, nonces_synchronise_themselves) {
    RegistrationClientConfig mobile = client_config();
    mobile.association.replay = ReplayStyle::kNonces;
    HomeAgentConfig home = simple_config();
    home.nodes[0].associations[0].replay = ReplayStyle::kNonces;
    Pair pair(mobile, home);
    EXPECT_EQ(pair.exchange().kind, Kind::kRetry);
    EXPECT_EQ(pair.exchange().kind, Kind::kAccepted);
    EXPECT_EQ(pair.exchange().kind, Kind::kAccepted);
}

TEST(RegistrationClient, time_stamps_grow_even_when_the_clock_does_not) {
    RegistrationClient client(client_config());
    std::uint64_t last = 0;
    for (std::uint32_t i = 0; i < 100; ++i) {
        const auto payload = client.request({kCareOf, true}, false, 1000, 100 - i);
        const std::uint64_t now = load_be64(payload.data() + 16);
        EXPECT_GT(now, last);
        last = now;
    }
}

TEST(RegistrationClient, the_home_agent_that_code_136_names_is_asked_next) {
    RegistrationClientConfig mobile = client_config();
    mobile.home_agent = v4("192.0.2.99");
    Pair pair(mobile);
    EXPECT_EQ(pair.exchange().kind, Kind::kRetry);
    EXPECT_EQ(pair.client.home_agent(), kHomeAgent);
    EXPECT_EQ(pair.exchange().kind, Kind::kAccepted);
}

TEST(RegistrationClient, rfc2794_a_home_address_is_given_by_identifier) {
    HomeAgentConfig home = simple_config();
    home.home_networks[0].pool_first = home.home_networks[0].pool_last = v4("192.0.2.200");
    home.nodes = {{.name = "dan", .nai = "dan@example.com", .associations = {kAlice}}};
    RegistrationClientConfig mobile = client_config();
    mobile.home_address = {};
    mobile.nai = "dan@example.com";
    Pair pair(mobile, home);
    EXPECT_EQ(pair.exchange().home_address, v4("192.0.2.200"));
    EXPECT_EQ(pair.client.home_address(), v4("192.0.2.200"));
    EXPECT_EQ(pair.exchange().kind, Kind::kAccepted);
}

TEST(RegistrationClient, a_refusal_says_why) {
    HomeAgentConfig home = simple_config();
    home.reverse_tunnel_available = false;
    Pair pair(client_config(), home);
    const auto outcome = pair.exchange();
    EXPECT_EQ(outcome.kind, Kind::kDenied);
    EXPECT_EQ(outcome.code, 137);
    EXPECT_STREQ(outcome.why, "reverse tunnel unavailable");
}

TEST(RegistrationClient, replies_that_are_not_authentic_or_not_asked_for_are_ignored) {
    Pair pair;
    ASSERT_EQ(pair.exchange().kind, Kind::kAccepted);
    // Twice the same.
    EXPECT_EQ(pair.client.receive(pair.last_reply, false, pair.time()).kind, Kind::kIgnored);
    // Every octet counts.
    pair.tick();
    const auto request = pair.client.request({kCareOf, true}, false, pair.time(), 9);
    ASSERT_TRUE(pair.talk.send(request, pair.talk.from_care_of()));
    const auto right = pair.talk.sent.payload;
    for (std::size_t at = 0; at < right.size(); ++at) {
        auto wrong = right;
        wrong[at] ^= 0x20;
        EXPECT_EQ(pair.client.receive(wrong, false, pair.time()).kind, Kind::kIgnored) << at;
    }
    for (std::size_t length = 0; length < right.size(); ++length) {
        EXPECT_EQ(pair.client.receive(ConstByteSpan(right).first(length), false, pair.time()).kind,
                  Kind::kIgnored);
    }
    // S2.48: an answer to what was asked in another network.
    pair.client.forget_requests();
    EXPECT_EQ(pair.client.receive(right, false, pair.time()).kind, Kind::kIgnored);
}

TEST(RegistrationClient, codes_of_foreign_agents_count_only_from_one) {
    RegistrationClient client(client_config());
    const auto request = client.request({kCareOf, false}, false, NtpTime{1} << 40, 3);
    wire::RegistrationReply reply;
    reply.code = 66;
    reply.identification = load_be64(request.data() + 16);
    EXPECT_EQ(client.receive(wire::encode(reply), false, 0).kind, Kind::kIgnored);
    const auto outcome = client.receive(wire::encode(reply), true, 0);
    EXPECT_EQ(outcome.kind, Kind::kDenied);
    EXPECT_EQ(outcome.code, 66);
    // A home agent's code without its authentication never counts.
    reply.code = 0;
    EXPECT_EQ(client.receive(wire::encode(reply), true, 0).kind, Kind::kIgnored);
}

}  // namespace
}  // namespace homeport::mip4

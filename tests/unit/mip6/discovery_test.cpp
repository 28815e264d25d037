// SPDX-License-Identifier: BSD-3-Clause
// Dynamic home agent address discovery (RFC 6275 10.5, RFC 3963 7): path P8.
#include <gtest/gtest.h>

#include <set>

#include "tests/unit/mip6/home_agent_fixture.hpp"

namespace homeport::mip6 {
namespace {

using test::prefix6;
using test::v6;

class Discovery : public HomeAgentTest {
  protected:
    Actions ask(bool mobile_routers = false, const Ipv6Address& source = kCoa,
                const Ipv6Address& destination = kAnycast) {
        const auto packet = wire::icmpv6_packet(
            wire::HomeAgentDiscoveryRequest{0x1234, mobile_routers}, source, destination);
        return agent.receive(packet, {.wire_source = source, .port = kVisitedPort}, now);
    }
    static wire::HomeAgentDiscoveryReply reply_of(const Actions& actions) {
        const auto sent = all<SendIcmpv6>(actions);
        EXPECT_EQ(sent.size(), 1u);
        if (sent.empty()) return {};
        const auto view = wire::view_ipv6_packet(sent[0].packet);
        EXPECT_EQ(view->destination, kCoa);
        const auto message = wire::decode_icmpv6(*view);
        EXPECT_TRUE(message.has_value());
        return std::get<wire::HomeAgentDiscoveryReply>(*message);
    }
    static inline const Ipv6Address kAnycast = v6("2001:db8:1:0:fdff:ffff:ffff:fffe");
};

TEST_F(Discovery, RFC2526_anycast_address) {
    EXPECT_EQ(home_agents_anycast(prefix6("2001:db8:1::/64")), kAnycast);
    EXPECT_EQ(home_agents_anycast(prefix6("2001:db8:1:2:3::/80")),
              v6("2001:db8:1:2:3:ffff:ffff:fffe"));
}

TEST_F(Discovery, RFC6275_10_5_1_reply_from_a_unicast_address_with_the_identifier) {
    const Actions actions = ask();
    EXPECT_EQ(reply_of(actions), (wire::HomeAgentDiscoveryReply{0x1234, false, {kHa}}));
    EXPECT_EQ(wire::view_ipv6_packet(all<SendIcmpv6>(actions)[0].packet)->source, kHa);
    EXPECT_EQ(agent.counters()[Counter::kDhaadReplied], 1u);
}

TEST_F(Discovery, the_anycast_address_of_another_home_prefix_gives_the_address_there) {
    EXPECT_EQ(
        reply_of(ask(false, kCoa, home_agents_anycast(prefix6("2001:db8:5::/64")))).home_agents,
        std::vector{kHaReal});
}

TEST_F(Discovery, RFC6275_10_5_1_by_preference_and_at_random_among_equals) {
    config.dhaad_preference = 5;
    config.other_home_agents = {{v6("2001:db8:1::2"), 9, false},
                                {v6("2001:db8:1::3"), 5, false},
                                {v6("2001:db8:1::4"), 5, false},
                                {v6("2001:db8:1::5"), 0, false}};
    config.dhaad_rate = {1000, 1000};
    restart(config);
    std::set<Ipv6Address> second;
    for (int i = 0; i < 60; ++i) {
        const auto list = reply_of(ask()).home_agents;
        ASSERT_EQ(list.size(), 5u);
        EXPECT_EQ(list.front(), v6("2001:db8:1::2"));
        EXPECT_EQ(list.back(), v6("2001:db8:1::5"));
        second.insert(list[1]);
    }
    EXPECT_EQ(second.size(), 3u);
}

TEST_F(Discovery, RFC3963_7_1_only_those_that_serve_mobile_routers) {
    config.mobile_router_service = true;
    config.other_home_agents = {{v6("2001:db8:1::2"), 9, false}, {v6("2001:db8:1::3"), 1, true}};
    restart(config);
    const auto reply = reply_of(ask(true));
    EXPECT_TRUE(reply.mobile_routers);
    EXPECT_EQ(reply.home_agents, (std::vector{v6("2001:db8:1::3"), kHa}));
    EXPECT_FALSE(reply_of(ask(false)).mobile_routers);
}

TEST_F(Discovery, RFC3963_7_2_where_none_serves_them_the_others_are_listed_without_R) {
    const auto reply = reply_of(ask(true));
    EXPECT_FALSE(reply.mobile_routers);
    EXPECT_EQ(reply.home_agents, std::vector{kHa});
}

TEST_F(Discovery, reply_fits_into_1280_octets) {
    for (unsigned i = 0; i < 200; ++i) {
        Ipv6Address address = v6("2001:db8:1::");
        store_be32(address.bytes.data() + 12, 0x1000 + i);
        config.other_home_agents.push_back({address, 1, false});
    }
    restart(config);
    const Actions actions = ask();
    EXPECT_EQ(all<SendIcmpv6>(actions).at(0).packet.size(), 1280u);
    EXPECT_EQ(reply_of(actions).home_agents.size(), 77u);
}

TEST_F(Discovery, replies_are_rate_limited) {
    config.dhaad_rate = {1, 2};
    restart(config);
    std::size_t sent = 0;
    for (int i = 0; i < 5; ++i) sent += count_of<SendIcmpv6>(ask());
    EXPECT_EQ(sent, 2u);
    EXPECT_EQ(agent.counters()[Counter::kDhaadRateLimited], 3u);
}

TEST_F(Discovery, bad_requests_are_counted_and_not_answered) {
    EXPECT_EQ(count_of<SendIcmpv6>(ask(false, v6("ff02::1"))), 0u);
    EXPECT_EQ(count_of<SendIcmpv6>(ask(false, v6("::"))), 0u);
    EXPECT_EQ(count_of<SendIcmpv6>(ask(false, kCoa, v6("2001:db8:77::1"))), 0u);
    auto packet = wire::icmpv6_packet(wire::HomeAgentDiscoveryRequest{1, false}, kCoa, kAnycast);
    packet.back() = 1;
    EXPECT_EQ(count_of<SendIcmpv6>(agent.receive(packet, {.wire_source = kCoa}, now)), 0u);
    EXPECT_EQ(agent.counters()[Counter::kDhaadBad], 4u);
    config.enabled = false;
    restart(config);
    EXPECT_EQ(count_of<SendIcmpv6>(ask()), 0u);
}

TEST_F(Discovery, other_icmpv6_is_counted) {
    (void)agent.receive(wire::icmpv6_packet(wire::EchoMessage{}, kHoa, kHa), {.wire_source = kCoa},
                        now);
    EXPECT_EQ(agent.counters()[Counter::kIcmpUnserved], 1u);
}

}  // namespace
}  // namespace homeport::mip6

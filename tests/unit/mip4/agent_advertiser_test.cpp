// SPDX-License-Identifier: BSD-3-Clause
// When mobility agents advertise (RFC 5944 section 2.3; RFC 1256 section 4.3).
#include "controlplane/mip4/agent_advertiser.hpp"

#include <gtest/gtest.h>

#include <set>

#include "tests/unit/wire/hex.hpp"

namespace homeport::mip4 {
namespace {

using homeport::test::mac;
using homeport::test::v4;
using namespace std::chrono_literals;

const MacAddress kVisitor = mac("02:00:00:00:00:77");

AdvertiserConfig foreign_agent() {
    AdvertiserConfig config;
    config.address = v4("10.1.0.1");
    config.flags.foreign_agent = true;
    config.flags.reverse_tunnel = true;
    config.care_of_addresses = {v4("10.1.0.1")};
    config.min_interval = 1000ms;
    config.max_interval = 1500ms;
    config.lifetime = 5;
    return config;
}

struct Link {
    explicit Link(const AdvertiserConfig& config = foreign_agent()) : agent(config, now, 42) {}

    std::vector<wire::AgentAdvertisement> tick() {
        std::vector<wire::AgentAdvertisement> read;
        frames = agent.tick(now);
        for (const Advertisement& one : frames) {
            const auto packet = wire::read_agent_discovery_packet(one.packet);
            if (!packet) {
                ADD_FAILURE() << packet.error().what;
                continue;
            }
            destinations.push_back(packet->destination);
            read.push_back(std::get<wire::AgentAdvertisement>(packet->message));
        }
        return read;
    }
    bool solicit(const Ipv4Address& source, const MacAddress& link = kVisitor) {
        return agent.receive(wire::agent_discovery_packet(wire::encode(wire::AgentSolicitation{}),
                                                          source, wire::kAllMobilityAgents),
                             link, now);
    }

    TimePoint now = TimePoint{} + 1h;
    AgentAdvertiser agent;
    std::vector<Advertisement> frames;
    std::vector<Ipv4Address> destinations;
};

TEST(AgentAdvertiser, RFC5944_2_3_2_the_first_has_sequence_0_and_0xffff_is_followed_by_256) {
    Link link;
    for (unsigned expected = 0; expected < 0x10000; ++expected) {
        const auto sent = link.tick();
        ASSERT_EQ(sent.size(), 1u) << expected;
        ASSERT_EQ(sent[0].agent->sequence, expected);
        link.now = *link.agent.next_deadline();
    }
    EXPECT_EQ(link.tick().at(0).agent->sequence, 256);
}

TEST(AgentAdvertiser, RFC1256_4_3_the_time_between_two_is_random_within_its_bounds) {
    Link link;
    std::set<Duration> seen;
    (void)link.tick();
    for (int i = 0; i < 200; ++i) {
        const Duration interval = *link.agent.next_deadline() - link.now;
        EXPECT_GE(interval, 1000ms);
        EXPECT_LE(interval, 1500ms);
        seen.insert(interval);
        link.now += interval - 1ns;
        EXPECT_TRUE(link.tick().empty());
        link.now += 1ns;
        EXPECT_EQ(link.tick().size(), 1u);
    }
    EXPECT_GT(seen.size(), 100u);
    EXPECT_EQ(link.frames[0].destination, mac("01:00:5e:00:00:01"));
    EXPECT_EQ(link.destinations.back(), v4("224.0.0.1"));
}

TEST(AgentAdvertiser, RFC1256_4_3_the_first_three_intervals_are_16_s_at_most) {
    AdvertiserConfig config = foreign_agent();
    config.min_interval = 400s;
    config.max_interval = 600s;
    config.lifetime = 1800;
    Link link(config);
    for (int i = 0; i < 3; ++i) {
        (void)link.tick();
        EXPECT_LE(*link.agent.next_deadline() - link.now, 16s);
        link.now = *link.agent.next_deadline();
    }
    (void)link.tick();
    EXPECT_GE(*link.agent.next_deadline() - link.now, 400s);
}

TEST(AgentAdvertiser, RFC5944_2_1_a_unicast_answer_goes_to_the_link_address_that_asked) {
    Link link;
    (void)link.tick();
    ASSERT_TRUE(link.solicit(v4("192.0.2.100"))) << "the source need be no neighbour (2.3)";
    EXPECT_LE(*link.agent.next_deadline(), link.now);
    const auto sent = link.tick();
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(link.frames[0].destination, kVisitor);
    EXPECT_EQ(link.destinations.back(), v4("192.0.2.100"));
    EXPECT_EQ(sent[0].agent->sequence, 1) << "each advertisement is counted";
    EXPECT_EQ(link.agent.counters().unicast, 1u);
}

TEST(AgentAdvertiser, who_has_no_address_is_answered_by_one_multicast_for_all) {
    Link link;
    (void)link.tick();
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(link.solicit(v4("0.0.0.0")));
    EXPECT_TRUE(link.tick().empty()) << "not before a random delay";
    const TimePoint due = *link.agent.next_deadline();
    EXPECT_LE(due - link.now, 2s);
    link.now = due;
    EXPECT_EQ(link.tick().size(), 1u);
    EXPECT_EQ(link.destinations.back(), v4("224.0.0.1"));
    EXPECT_EQ(link.agent.counters().solicited, 20u);
}

TEST(AgentAdvertiser, a_flood_of_solicitations_makes_no_flood_of_advertisements) {
    AdvertiserConfig config = foreign_agent();
    config.unicast_per_second = 10;
    config.unicast_burst = 20;
    Link link(config);
    std::size_t sent = 0;
    for (int millisecond = 0; millisecond < 10'000; ++millisecond) {
        link.now += 1ms;
        for (int i = 0; i < 10; ++i) ASSERT_TRUE(link.solicit(v4("192.0.2.100")));
        sent += link.tick().size();
    }
    EXPECT_LE(sent, 20u + 100 + 20);  // the bucket, its refill, two multicasts a second
    EXPECT_GE(sent, 100u);
    EXPECT_EQ(link.agent.counters().solicited, 100'000u);
    EXPECT_GT(link.agent.counters().rate_limited, 99'000u);
}

TEST(AgentAdvertiser, only_solicited_is_silent_until_somebody_asks) {
    AdvertiserConfig config = foreign_agent();
    config.only_solicited = true;
    Link link(config);
    EXPECT_FALSE(link.agent.next_deadline());
    EXPECT_TRUE(link.tick().empty());
    ASSERT_TRUE(link.solicit(v4("0.0.0.0")));
    link.now = *link.agent.next_deadline();
    EXPECT_EQ(link.tick().size(), 1u);
    EXPECT_FALSE(link.agent.next_deadline());
}

TEST(AgentAdvertiser, bad_solicitations_are_counted_and_other_packets_are_not_ours) {
    Link link;
    (void)link.tick();
    auto packet = wire::agent_discovery_packet(wire::encode(wire::AgentSolicitation{}),
                                               v4("192.0.2.100"), wire::kAllRouters);
    packet.back() ^= 1;  // ICMP checksum
    EXPECT_TRUE(link.agent.receive(packet, kVisitor, link.now));
    EXPECT_EQ(link.agent.counters().bad_solicited, 1u);
    packet[9] = 17;
    EXPECT_FALSE(link.agent.receive(packet, kVisitor, link.now));
    EXPECT_FALSE(link.agent.receive({}, kVisitor, link.now));
    EXPECT_FALSE(link.agent.receive(Link().agent.farewell().packet, kVisitor, link.now))
        << "advertisements of other agents";
    EXPECT_TRUE(link.tick().empty());
}

TEST(AgentAdvertiser, RFC5944_2_1_1_busy_only_with_F_and_the_rest_as_configured) {
    Link link;
    link.agent.set_busy(true);
    EXPECT_TRUE(link.tick().at(0).agent->flags.busy);
    link.agent.set_busy(false);
    link.now = *link.agent.next_deadline();
    EXPECT_FALSE(link.tick().at(0).agent->flags.busy);

    AdvertiserConfig config = foreign_agent();
    config.flags = {};
    config.flags.home_agent = true;
    config.care_of_addresses.clear();
    config.routers = {{v4("192.0.2.1"), 0}};
    config.prefix_lengths = {24};
    config.routes_common_traffic = false;
    config.broadcast = true;
    Link home(config);
    home.agent.set_busy(true);
    const auto sent = home.tick().at(0);
    EXPECT_FALSE(sent.agent->flags.busy);
    EXPECT_TRUE(sent.agent->flags.home_agent);
    EXPECT_FALSE(sent.routes_common_traffic);
    EXPECT_EQ(sent.prefix_lengths, (std::vector<std::uint8_t>{24}));
    EXPECT_EQ(home.destinations.back(), v4("255.255.255.255"));
    EXPECT_EQ(home.frames[0].destination, mac("ff:ff:ff:ff:ff:ff"));
}

TEST(AgentAdvertiser, RFC1256_4_3_the_farewell_has_lifetime_0) {
    Link link;
    const auto read = wire::read_agent_discovery_packet(link.agent.farewell().packet);
    ASSERT_TRUE(read);
    EXPECT_EQ(std::get<wire::AgentAdvertisement>(read->message).lifetime, 0);
}

TEST(AgentAdvertiser, what_must_not_be_advertised_is_said) {
    EXPECT_EQ(fault_of(foreign_agent()), nullptr);
    const auto broken = [](auto change) {
        AdvertiserConfig config = foreign_agent();
        change(config);
        return fault_of(config) != nullptr;
    };
    EXPECT_TRUE(broken([](auto& c) { c.flags.foreign_agent = false; }));
    EXPECT_TRUE(broken([](auto& c) { c.care_of_addresses.clear(); }));
    EXPECT_TRUE(broken([](auto& c) { c.address = v4("224.0.0.1"); }));
    EXPECT_TRUE(broken([](auto& c) { c.registration_lifetime = 0; }));
    EXPECT_TRUE(broken([](auto& c) { c.prefix_lengths = {24}; }));
    EXPECT_TRUE(broken([](auto& c) { c.min_interval = 99ms; }));
    EXPECT_TRUE(broken([](auto& c) { c.max_interval = 999ms; }));
    EXPECT_TRUE(broken([](auto& c) { c.lifetime = 1; }));
    EXPECT_TRUE(broken([](auto& c) { c.lifetime = 9001; }));
}

}  // namespace
}  // namespace homeport::mip4

// SPDX-License-Identifier: BSD-3-Clause
// Two hundred mobile nodes and one home agent in one process: each registers, moves, stays and
// ends, all at once, and in the end each has what it was given and nothing is left.
#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <map>

#include "controlplane/mip4/home_agent.hpp"
#include "controlplane/mip4/mobile_node.hpp"
#include "tests/unit/mip4/harness.hpp"

namespace homeport::mip4 {
namespace {

using namespace test_support;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr unsigned kNodes = 200;

Ipv4Address address(const char* base, unsigned number) {
    std::array<std::uint8_t, 4> octets{};
    store_be32(octets.data(), v4(base).host() + number);
    return Ipv4Address::load(octets.data());
}

SecurityAssociation key_of(unsigned number) {
    SecurityAssociation one;
    one.spi = 1000 + number;
    for (unsigned i = 0; i < 16; ++i) {
        one.key.push_back(static_cast<std::uint8_t>(number * 31 + i * i * 7 + 3));
    }
    return one;
}

struct Fleet {
    Fleet() {
        HomeAgentConfig config = simple_config();
        config.home_networks = {{.prefix = Ipv4Prefix::parse("10.50.0.0/16").value()}};
        config.nodes.clear();
        for (unsigned i = 0; i < kNodes; ++i) {
            config.nodes.push_back({.name = "node" + std::to_string(i),
                                    .home_address = address("10.50.1.0", i),
                                    .associations = {key_of(i)}});
            MobileNodeConfig node;
            node.internal.home_address = address("10.50.1.0", i);
            node.internal.home_agent = kHomeAgent;
            node.internal.association = key_of(i);
            node.internal.lifetime = 100;
            nodes.emplace_back(node, i + 1);
            nodes.back().add_interface(1);
        }
        agent.emplace(std::move(config), now.steady, 1);
    }

    void perform(unsigned number, const MobileActions& actions) {
        for (const MobileAction& action : actions) {
            const auto* message = std::get_if<SendRegistration>(&action);
            if (message == nullptr) continue;
            ++requests;
            RequestInfo info;
            info.source = {message->source, 40000};
            info.destination = {message->destination, 434};
            for (const Action& done : agent->receive(message->payload, info, now.steady, now.ntp)) {
                const auto* reply = std::get_if<SendReply>(&done);
                if (reply == nullptr || (lossy && ++replies % 5 == 0)) continue;
                on_the_way.push_back({now.steady + milliseconds(5), number, reply->payload});
            }
        }
    }
    void pass(Duration time) {
        const auto end = now.steady + time;
        while (now.steady < end) {
            now.steady += milliseconds(10);
            now.ntp += (std::uint64_t{1} << 32) / 100;
            while (!on_the_way.empty() && on_the_way.front().due <= now.steady) {
                const Letter letter = on_the_way.front();
                on_the_way.pop_front();
                perform(letter.number,
                        nodes[letter.number].receive({1, false, kHomeAgent}, letter.payload, now));
            }
            for (unsigned i = 0; i < kNodes; ++i) {
                const auto deadline = nodes[i].next_deadline();
                if (deadline && *deadline <= now.steady) perform(i, nodes[i].tick(now));
            }
            (void)agent->tick(now.steady, now.ntp);
        }
    }
    void attach(const char* base) {
        for (unsigned i = 0; i < kNodes; ++i) {
            perform(i, nodes[i].attach(1, Attachment{{address(base, i), true}, {}, 0xffff}, false,
                                       now));
        }
    }
    void expect_all_at(const char* base) {
        ASSERT_EQ(agent->binding_count(), kNodes);
        for (unsigned i = 0; i < kNodes; ++i) {
            const BoundNode* const bound = agent->find(address("10.50.1.0", i));
            ASSERT_NE(bound, nullptr);
            EXPECT_EQ(bound->bindings.back().care_of_address, address(base, i));
            const auto way = nodes[i].way(now.steady);
            ASSERT_TRUE(way) << i;
            EXPECT_EQ(way->internal.care_of.address, address(base, i));
        }
    }

    struct Letter {
        TimePoint due{};
        unsigned number = 0;
        std::vector<std::uint8_t> payload;
    };
    Now now{TimePoint{} + std::chrono::hours(1), std::uint64_t{0xeb000000} << 32};
    std::optional<HomeAgent> agent;
    std::vector<MobileNode> nodes;
    std::deque<Letter> on_the_way;
    unsigned requests = 0;
    unsigned replies = 0;
    bool lossy = false;
};

TEST(ManyMobileNodes, two_hundred_register_move_stay_and_end) {
    Fleet fleet;
    fleet.attach("172.16.1.0");
    fleet.pass(seconds(1));
    fleet.expect_all_at("172.16.1.0");
    EXPECT_EQ(fleet.requests, kNodes);
    fleet.lossy = true;  // every fifth reply is lost
    fleet.attach("172.17.1.0");
    fleet.pass(seconds(20));
    fleet.expect_all_at("172.17.1.0");
    fleet.pass(seconds(400));  // four lifetimes
    fleet.expect_all_at("172.17.1.0");
    fleet.lossy = false;
    for (unsigned i = 0; i < kNodes; ++i) fleet.perform(i, fleet.nodes[i].shut_down(fleet.now));
    fleet.pass(seconds(3));
    EXPECT_EQ(fleet.agent->binding_count(), 0u);
    for (const MobileNode& node : fleet.nodes) EXPECT_TRUE(node.finished());
}

}  // namespace
}  // namespace homeport::mip4

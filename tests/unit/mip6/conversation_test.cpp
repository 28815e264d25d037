// SPDX-License-Identifier: BSD-3-Clause
// The mobile node and the home agent talk to each other over a network that loses, delays and
// reorders; time is made up. Whatever happens, they agree in the end.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "controlplane/mip6/duplicate_address_detection.hpp"
#include "controlplane/mip6/home_agent.hpp"
#include "controlplane/mip6/mobile_node.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::mip6 {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using test::prefix6;
using test::v6;

class Conversation : public testing::TestWithParam<unsigned> {
  protected:
    static inline const Ipv6Address kHa = v6("2001:db8:5::1");
    static inline const Ipv6Address kHoa = v6("2001:db8:5::100");

    static HomeAgentConfig agent_config() {
        HomeAgentConfig made;
        made.home_agent_addresses = {kHa};
        made.home_prefixes = {
            {.prefix = prefix6("2001:db8:5::/64"), .is_virtual = false, .port = 1}};
        made.accept_unknown_nodes = true;
        made.max_lifetime = seconds{40};
        return made;
    }
    static MobileNodeConfig node_config() {
        MobileNodeConfig made;
        made.home_address = kHoa;
        made.home_agent = kHa;
        made.lifetime = seconds{40};
        return made;
    }

    void run(const Actions& actions) {
        for (const Action& action : actions) {
            if (const auto* send = std::get_if<SendMobilityMessage>(&action)) {
                post([this, packet = send->packet] { run(node.receive(packet, true, now)); });
            } else if (const auto* install = std::get_if<InstallBinding>(&action)) {
                forwarding = std::get<Ipv6Address>(install->entry.care_of_address);
            } else if (std::holds_alternative<RemoveBinding>(action)) {
                forwarding.reset();
            } else if (const auto* dad = std::get_if<StartDad>(&action)) {
                (void)prober.start(*dad, now);
            } else if (const auto* cancel = std::get_if<CancelDad>(&action)) {
                prober.cancel(cancel->home_address);
            }
        }
    }
    void run(const MobileNodeActions& actions) {
        for (const MobileNodeAction& action : actions) {
            if (const auto* send = std::get_if<SendBindingUpdate>(&action)) {
                const ReceiveInfo info{.protected_by_ipsec = true,
                                       .wire_source = send->care_of_address.ipv6(),
                                       .had_hao = !send->is_home,
                                       .port = 2};
                post(
                    [this, packet = send->packet, info] { run(agent.receive(packet, info, now)); });
            } else if (const auto* tunnel = std::get_if<SwitchTunnel>(&action)) {
                used = tunnel->care_of_address.ipv6();
            } else if (std::holds_alternative<TunnelDown>(action)) {
                used.reset();
            }
        }
    }
    void post(std::function<void()> delivery) {
        if (random() % 100 < loss) return;
        network.emplace(now + milliseconds{1 + random() % 400}, std::move(delivery));
    }
    void pass(milliseconds time) {
        const auto end = now + time;
        for (; now < end; now += milliseconds{10}) {
            while (!network.empty() && network.begin()->first <= now) {
                const auto deliver = std::move(network.begin()->second);
                network.erase(network.begin());
                deliver();
            }
            for (const auto& verdict : prober.tick(now)) {
                run(agent.dad_result(verdict.home_address, verdict.unique, now));
            }
            run(agent.tick(now));
            run(node.tick(now));
        }
    }

    std::mt19937 random{GetParam()};
    unsigned loss = 0;
    binding::TimePoint now{std::chrono::hours{7}};
    HomeAgent agent{agent_config(), now};
    MobileNode node{node_config(), static_cast<std::uint16_t>(GetParam() * 7919)};
    DuplicateAddressDetection prober;
    std::multimap<binding::TimePoint, std::function<void()>> network;
    std::optional<Ipv6Address> forwarding;  // where the home agent sends
    std::optional<Ipv6Address> used;        // where the mobile node receives
};

TEST_P(Conversation, both_sides_agree_after_any_sequence_of_moves_over_a_lossy_network) {
    const Ipv6Address places[] = {v6("2001:db8:2::200"), v6("2001:db8:3::300"),
                                  v6("2001:db8:4::400")};
    for (int move = 0; move < 12; ++move) {
        loss = 40;
        const auto place = static_cast<unsigned>(random() % 5);
        if (place == 4) {
            run(node.detach(now));
            pass(milliseconds{random() % 9000});
            continue;
        }
        const bool home = place == 3;
        run(node.attach({.care_of_address = home ? kHoa : places[place],
                         .at_home = home,
                         .address_lifetime = std::nullopt},
                        now));
        pass(milliseconds{random() % 9000});
        if (random() % 2 == 0) continue;  // moves on before things have settled
        loss = 0;
        pass(seconds{60});
        const auto expected = home ? std::nullopt : std::optional{places[place]};
        EXPECT_EQ(forwarding, expected) << "move " << move;
        EXPECT_EQ(used, expected) << "move " << move;
        EXPECT_EQ(node.status().state,
                  home ? MobileNodeState::kAtHome : MobileNodeState::kRegistered);
    }
    loss = 0;
    run(node.shutdown(now));
    pass(seconds{60});
    EXPECT_TRUE(node.finished());
    EXPECT_EQ(agent.bindings().size(), 0u);
}

TEST_P(Conversation, a_first_registration_with_dad_is_answered_within_two_updates) {
    run(node.attach({.care_of_address = v6("2001:db8:2::200"),
                     .at_home = false,
                     .address_lifetime = std::nullopt},
                    now));
    pass(milliseconds{2500});
    EXPECT_EQ(node.status().state, MobileNodeState::kRegistered);
    EXPECT_LE(node.counters().updates_sent, 2u);
    EXPECT_EQ(agent.counters()[Counter::kBindingCreated], 1u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Conversation, testing::Range(1u, 41u));

}  // namespace
}  // namespace homeport::mip6

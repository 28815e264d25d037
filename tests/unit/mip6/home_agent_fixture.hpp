// SPDX-License-Identifier: BSD-3-Clause
// A home agent with a virtual and a real home prefix, a mobile node that makes binding updates, and
// what to ask of lists of actions.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include "controlplane/mip6/home_agent.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::mip6 {

using std::chrono::milliseconds;
using std::chrono::seconds;
using wire::BindingStatus;

template <class T>
std::vector<T> all(const Actions& actions) {
    std::vector<T> found;
    for (const Action& action : actions) {
        if (const T* one = std::get_if<T>(&action)) found.push_back(*one);
    }
    return found;
}

template <class T>
std::size_t count_of(const Actions& actions) {
    return all<T>(actions).size();
}

/// Where the first action of this kind is in the list; its size if there is none.
template <class T>
std::size_t position(const Actions& actions) {
    const auto at = std::ranges::find_if(
        actions, [](const Action& action) { return std::holds_alternative<T>(action); });
    return static_cast<std::size_t>(at - actions.begin());
}

class HomeAgentTest : public testing::Test {
  protected:
    static inline const Ipv6Address kHa = test::v6("2001:db8:1::1");
    static inline const Ipv6Address kHoa = test::v6("2001:db8:1::100");
    static inline const Ipv6Address kHaReal = test::v6("2001:db8:5::1");
    static inline const Ipv6Address kHoaReal = test::v6("2001:db8:5::100");
    static inline const Ipv6Address kCoa = test::v6("2001:db8:2::200");
    static inline const Ipv6Address kCoa2 = test::v6("2001:db8:3::300");
    static constexpr std::uint16_t kHomePort = 3;
    static constexpr std::uint16_t kVisitedPort = 1;

    static HomeAgentConfig default_config() {
        HomeAgentConfig made;
        made.home_agent_addresses = {kHa, kHaReal};
        made.home_prefixes = {
            {.prefix = test::prefix6("2001:db8:1::/64"), .is_virtual = true},
            {.prefix = test::prefix6("2001:db8:5::/64"), .is_virtual = false, .port = kHomePort}};
        made.accept_unknown_nodes = true;
        made.max_lifetime = seconds{600};
        made.bu_rate_node = {1000, 1000};
        return made;
    }

    /// A binding update from away over IPsec, as issue 2 has it: HAO, ACoA, A, H.
    struct Update {
        Ipv6Address home_address = kHoa;
        Ipv6Address home_agent = kHa;
        Ipv6Address wire_source = kCoa;
        std::optional<Ipv6Address> alternate = kCoa;
        bool hao = true;
        bool protect = true;
        wire::BindingUpdate message{.acknowledge = true,
                                    .home_registration = true,
                                    .sequence = 1,
                                    .lifetime = {100},
                                    .options = {}};
    };

    static Update update(std::uint16_t sequence, std::uint16_t lifetime = 100) {
        Update made;
        made.message.sequence = sequence;
        made.message.lifetime = {lifetime};
        return made;
    }
    static Update real(std::uint16_t sequence, std::uint16_t lifetime = 100) {
        Update made = update(sequence, lifetime);
        made.home_address = kHoaReal;
        made.home_agent = kHaReal;
        return made;
    }
    static Update at_home(std::uint16_t sequence) {
        Update made = update(sequence, 0);
        made.wire_source = kHoa;
        made.hao = false;
        made.alternate.reset();
        return made;
    }
    static Update from(Update made, const Ipv6Address& care_of_address) {
        made.wire_source = care_of_address;
        made.alternate = care_of_address;
        return made;
    }

    static ReceiveInfo info_of(const Update& made) {
        return {.protected_by_ipsec = made.protect,
                .wire_source = made.wire_source,
                .had_hao = made.hao,
                .port = kVisitedPort};
    }
    static std::vector<std::uint8_t> packet_of(Update made) {
        if (made.alternate) {
            made.message.options.emplace_back(wire::AlternateCareOfAddress{*made.alternate});
        }
        return wire::mobility_packet(made.message, made.home_address, made.home_agent);
    }
    Actions send(const Update& made) { return agent.receive(packet_of(made), info_of(made), now); }
    Actions send_raw(const std::vector<std::uint8_t>& packet, ReceiveInfo info = default_info()) {
        return agent.receive(packet, info, now);
    }
    static ReceiveInfo default_info() { return info_of(Update{}); }

    /// The one acknowledgement in `actions`, if there is one.
    static std::optional<wire::BindingAcknowledgement> answer(const Actions& actions) {
        const auto sent = all<SendMobilityMessage>(actions);
        EXPECT_LE(sent.size(), 1u);
        if (sent.empty()) return std::nullopt;
        const auto view = wire::view_ipv6_packet(sent[0].packet);
        EXPECT_TRUE(view.has_value());
        EXPECT_EQ(view->destination, sent[0].home_address);
        const auto message =
            wire::decode_mobility_header(view->upper, view->source, view->destination);
        EXPECT_TRUE(message.has_value());
        return std::get<wire::BindingAcknowledgement>(*message);
    }
    static std::optional<unsigned> status(const Actions& actions) {
        const auto sent = answer(actions);
        if (!sent) return std::nullopt;
        return static_cast<unsigned>(sent->status);
    }

    /// Sends it and expects this status, counted once; nothing installed when it is a rejection.
    void expect_status(const Update& made, unsigned expected) {
        const auto code = static_cast<BindingStatus>(expected);
        const std::uint64_t before = agent.counters().rejected(code);
        const Actions actions = send(made);
        EXPECT_EQ(status(actions), expected);
        if (expected < 128) return;
        EXPECT_EQ(agent.counters().rejected(code), before + 1);
        EXPECT_EQ(count_of<InstallBinding>(actions), 0u);
        EXPECT_EQ(count_of<RemoveBinding>(actions), 0u);
    }
    /// Sends it and expects silence under this counter.
    void expect_drop(const Update& made, Counter counter) {
        const std::uint64_t before = agent.counters()[counter];
        expect_silence(send(made));
        EXPECT_EQ(agent.counters()[counter], before + 1) << name(counter);
    }
    static void expect_silence(const Actions& actions) {
        EXPECT_EQ(count_of<SendMobilityMessage>(actions), 0u);
        EXPECT_EQ(count_of<InstallBinding>(actions), 0u);
        EXPECT_EQ(count_of<RemoveBinding>(actions), 0u);
        EXPECT_EQ(count_of<StartDad>(actions), 0u);
    }

    void restart(const HomeAgentConfig& with) { agent = HomeAgent(with, now); }
    const binding::Entry& entry(const Ipv6Address& home_address = kHoa) {
        const auto* found = agent.bindings().find(home_address);
        EXPECT_NE(found, nullptr);
        static const binding::Entry kNone;
        return found != nullptr ? *found : kNone;
    }

    binding::TimePoint now{std::chrono::hours{100}};
    HomeAgentConfig config = default_config();
    HomeAgent agent{config, now};
};

}  // namespace homeport::mip6

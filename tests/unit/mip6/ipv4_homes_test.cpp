// SPDX-License-Identifier: BSD-3-Clause
// IPv4 home addresses and prefixes (RFC 5555 3.1.1, 3.2.1, 4.5; mipv6.md 5.3 rules 3 to 6).
#include <gtest/gtest.h>

#include "tests/unit/mip6/ipv4_fixture.hpp"

namespace homeport::mip6 {
namespace {

using binding::Ipv4Home;
using test::v4;
using test::v6;
using Ack = wire::Ipv4AddressAcknowledgement;

Ipv4Prefix prefix4(std::string_view text) {
    return *Ipv4Prefix::parse(text);
}

class Ipv4Homes : public DualStackTest {
  protected:
    /// A binding update with these options 29, over IPv4; the answers.
    std::vector<Ack> ask(std::uint16_t sequence, wire::MobilityOptions options,
                         const Ipv6Address& home_address = kHoa2) {
        const Actions actions = send4({.sequence = sequence,
                                       .home_address = home_address,
                                       .port = port_of(home_address),
                                       .options = std::move(options)});
        EXPECT_EQ(status(actions), 0u) << "failures do not reject the IPv6 binding";
        return ipv4_answers(actions);
    }
    static std::uint16_t port_of(const Ipv6Address& home_address) {
        return static_cast<std::uint16_t>(40000 + home_address.bytes[15]);
    }
    static Ipv6Address node(std::uint8_t number) {
        Ipv6Address address = v6("2001:db8:1::200");
        address.bytes[15] = number;
        return address;
    }
};

TEST_F(Ipv4Homes, RFC5555_4_5_the_address_of_this_node_and_no_other) {
    EXPECT_EQ(ask(1, {asks("192.0.2.100")}, kHoa), (std::vector{Ack{0, 32, kStatic}}));
    EXPECT_EQ(entry().ipv4_homes, (std::vector{Ipv4Home{{kStatic, 32}, false}}));
    EXPECT_EQ(ask(2, {asks("192.0.2.101")}, kHoa), (std::vector{Ack{130, 0, v4("192.0.2.101")}}));
    EXPECT_EQ(ask(1, {asks("192.0.2.100")}), (std::vector{Ack{130, 0, kStatic}}));
}

TEST_F(Ipv4Homes, RFC5555_3_2_1_every_status) {
    config.nodes.push_back(
        {.identity = "out", .home_addresses = {node(9)}, .ipv4_home_prohibited = true});
    restart(config);
    EXPECT_EQ(ask(1, {asks("192.0.2.100", 0)}, kHoa)[0].status, 128);
    EXPECT_EQ(ask(2, {asks("192.0.2.100", 33)}, kHoa)[0].status, 128);
    EXPECT_EQ(ask(1, {asks("192.0.2.200")}, node(9))[0].status, 129);
    EXPECT_EQ(ask(3, {asks("192.0.2.99")}, kHoa)[0].status, 130);
    for (const char* bad : {"224.0.0.1", "127.0.0.1", "255.255.255.255", "0.0.0.9"}) {
        EXPECT_EQ(ask(entry().sequence + 1, {asks(bad)}, kHoa)[0].status, 131) << bad;
    }
    config.home_prefixes[0].ipv4_pool.reset();
    restart(config);
    EXPECT_EQ(ask(1, {asks("0.0.0.0")})[0].status, 132);
    EXPECT_EQ(ask(2, {asks("0.0.0.0", 24, true)})[0].status, 133);
}

TEST_F(Ipv4Homes, RFC5555_3_2_1_on_failure_the_length_is_0_and_the_address_that_of_the_request) {
    EXPECT_EQ(ask(1, {asks("224.0.0.1", 32)}), (std::vector{Ack{131, 0, v4("224.0.0.1")}}));
}

TEST_F(Ipv4Homes, RFC5555_4_5_0_0_0_0_gets_one_of_the_pool_and_keeps_it) {
    const auto given = ask(1, {asks("0.0.0.0")});
    ASSERT_EQ(given.size(), 1u);
    EXPECT_EQ(given[0], (Ack{0, 32, v4("192.0.2.200")}));
    EXPECT_EQ(entry(kHoa2).ipv4_homes, (std::vector{Ipv4Home{{given[0].address, 32}, true}}));
    EXPECT_EQ(ask(2, {wire::Ipv4HomeAddress{32, false, given[0].address}}), given) << "refresh";
    EXPECT_EQ(ask(3, {asks("0.0.0.0")}), given) << "the answer may have been lost";
    EXPECT_TRUE(entry(kHoa2).ipv4_homes.at(0).dynamic);
}

TEST_F(Ipv4Homes, RFC5555_4_5_two_nodes_never_have_the_same_one) {
    const auto first = ask(1, {asks("0.0.0.0")}, node(1));
    const auto second = ask(1, {asks("0.0.0.0")}, node(2));
    EXPECT_NE(first[0].address, second[0].address);
    EXPECT_EQ(ask(2, {wire::Ipv4HomeAddress{32, false, first[0].address}}, node(2))[0].status, 130);
    EXPECT_TRUE(entry(node(2)).ipv4_homes.empty());
    EXPECT_EQ(entry(node(1)).ipv4_homes.size(), 1u) << "nothing else disturbed";
}

TEST_F(Ipv4Homes, status_132_when_the_pool_is_exhausted_and_nothing_else_disturbed) {
    for (std::uint8_t i = 1; i <= 3; ++i)
        EXPECT_EQ(ask(1, {asks("0.0.0.0")}, node(i))[0].status, 0);
    EXPECT_EQ(ask(1, {asks("0.0.0.0")}, node(4)), (std::vector{Ack{132, 0, kAny}}));
    EXPECT_TRUE(entry(node(4)).is_active());
    EXPECT_EQ(ask(2, {asks("0.0.0.0")}, node(2))[0].status, 0) << "its own";
    EXPECT_EQ(ask(1, {asks("0.0.0.0")}, kHoa), (std::vector{Ack{0, 32, kStatic}}))
        << "static addresses are not of the pool";
    (void)send4({.sequence = 3, .lifetime = 0, .home_address = node(2), .port = port_of(node(2))});
    EXPECT_EQ(ask(2, {asks("0.0.0.0")}, node(4))[0].status, 0) << "one was given back";
}

TEST_F(Ipv4Homes, dynamic_ones_are_freed_however_the_binding_ends) {
    const auto ends = [&](auto end) {
        restart(config);
        for (std::uint8_t i = 1; i <= 3; ++i) (void)ask(1, {asks("0.0.0.0")}, node(i));
        EXPECT_EQ(ask(1, {asks("0.0.0.0")}, node(4))[0].status, 132);
        end();
        EXPECT_EQ(ask(2, {asks("0.0.0.0")}, node(4))[0].status, 0);
    };
    ends([&] { (void)agent.clear(node(1), now); });
    ends([&] {  // a refresh without the option, 4.4.2.1
        (void)ask(2, {}, node(1));
    });
    ends([&] {
        for (std::uint8_t i = 2; i <= 4; ++i) {
            now += seconds{1};
            (void)send4({.sequence = 2,
                         .lifetime = 140,
                         .home_address = node(i),
                         .port = port_of(node(i)),
                         .options = {asks("0.0.0.0")}});
        }
        now += seconds{398};
        (void)agent.tick(now);
        EXPECT_EQ(agent.bindings().find(node(1)), nullptr);
        (void)send4({.sequence = 1, .home_address = node(5), .port = 9});
        (void)agent.clear(node(4), now);
    });
}

TEST_F(Ipv4Homes, dynamic_ones_survive_a_restart_and_are_not_given_again) {
    const auto given = ask(1, {asks("0.0.0.0")}, node(1));
    const std::vector kept{entry(node(1))};
    restart(config);
    (void)agent.restore(kept, now);
    EXPECT_EQ(entry(node(1)).ipv4_homes.size(), 1u);
    for (std::uint8_t i = 2; i <= 3; ++i) {
        EXPECT_NE(ask(1, {asks("0.0.0.0")}, node(i))[0].address, given[0].address);
    }
    EXPECT_EQ(ask(1, {asks("0.0.0.0")}, node(4))[0].status, 132);
    EXPECT_EQ(ask(2, {wire::Ipv4HomeAddress{32, false, given[0].address}}, node(1)), given);
}

TEST_F(Ipv4Homes, two_stored_bindings_with_one_address_do_not_both_get_it) {
    (void)ask(1, {asks("0.0.0.0")}, node(1));
    auto twin = entry(node(1));
    twin.home_address = node(2);
    twin.outer_source->port = 999;
    const std::vector kept{entry(node(1)), twin};
    restart(config);
    (void)agent.restore(kept, now);
    EXPECT_EQ(entry(node(1)).ipv4_homes.size() + entry(node(2)).ipv4_homes.size(), 1u);
}

TEST_F(Ipv4Homes, a_reload_takes_away_what_the_configuration_no_longer_gives_and_keeps_the_rest) {
    (void)ask(1, {asks("0.0.0.0")}, node(1));
    (void)ask(1, {asks("0.0.0.0")}, node(2));
    (void)ask(1, {asks("192.0.2.100"), asks("10.7.0.0", 16, true)}, kHoa);
    config.home_prefixes[0].ipv4_pool = {{v4("192.0.2.201"), v4("192.0.2.202")}};
    config.nodes[0].ipv4_mobile_prefixes.clear();
    const Actions actions = agent.reconfigure(config, now);
    EXPECT_TRUE(entry(node(1)).ipv4_homes.empty());
    EXPECT_EQ(entry(node(2)).ipv4_homes.size(), 1u);
    EXPECT_EQ(entry().ipv4_homes, (std::vector{Ipv4Home{{kStatic, 32}, false}}));
    EXPECT_EQ(count_of<InstallBinding>(actions), 2u);
    EXPECT_EQ(ask(1, {asks("0.0.0.0")}, node(3))[0].address, v4("192.0.2.202"));
    EXPECT_EQ(ask(1, {asks("0.0.0.0")}, node(4))[0].status, 132);
}

TEST_F(Ipv4Homes, a_static_address_and_our_own_are_never_given_from_the_pool) {
    config.nodes.push_back(
        {.identity = "fixed", .home_addresses = {node(9)}, .ipv4_home_address = v4("192.0.2.200")});
    config.home_agent_ipv4_addresses.push_back(v4("192.0.2.201"));
    restart(config);
    EXPECT_EQ(ask(1, {asks("0.0.0.0")}, node(1))[0].address, v4("192.0.2.202"));
    EXPECT_EQ(ask(1, {asks("0.0.0.0")}, node(2))[0].status, 132);
    EXPECT_EQ(ask(1, {asks("192.0.2.200")}, node(9))[0].status, 0);
    (void)agent.clear(node(9), now);
    EXPECT_EQ(ask(2, {asks("0.0.0.0")}, node(2))[0].status, 132) << "its end frees it for nobody";
}

TEST_F(Ipv4Homes, RFC5555_3_1_1_P_gets_a_prefix_of_the_length_asked_for_else_another) {
    EXPECT_EQ(ask(1, {asks("0.0.0.0", 24, true)}, kHoa), (std::vector{Ack{0, 24, v4("10.8.0.0")}}));
    EXPECT_EQ(entry().ipv4_homes, (std::vector{Ipv4Home{prefix4("10.8.0.0/24"), false}}));
    EXPECT_EQ(ask(2, {asks("0.0.0.0", 28, true)}, kHoa), (std::vector{Ack{0, 16, v4("10.7.0.0")}}))
        << "the length of the answer overrides";
    EXPECT_EQ(ask(3, {asks("10.8.0.9", 24, true)}, kHoa),
              (std::vector{Ack{0, 24, v4("10.8.0.9")}}));
    EXPECT_EQ(ask(4, {asks("10.7.3.0", 24, true)}, kHoa), (std::vector{Ack{0, 24, v4("10.7.3.0")}}))
        << "a part of its own";
    EXPECT_EQ(ask(5, {asks("10.9.0.0", 24, true)}, kHoa)[0].status, 133);
    EXPECT_EQ(ask(6, {asks("224.0.0.0", 24, true)}, kHoa)[0].status, 131);
    EXPECT_EQ(ask(1, {asks("10.8.0.0", 24, true)})[0].status, 133) << "another node's";
    EXPECT_EQ(ask(2, {asks("0.0.0.0", 24, true)})[0].status, 133) << "none configured";
}

TEST_F(Ipv4Homes, RFC5555_3_1_1_P_means_nothing_on_a_refresh_which_carries_the_length_given) {
    (void)ask(1, {asks("0.0.0.0", 24, true)}, kHoa);
    for (const bool p : {false, true}) {
        EXPECT_EQ(ask(entry().sequence + 1, {asks("10.8.0.0", 24, p)}, kHoa),
                  (std::vector{Ack{0, 24, v4("10.8.0.0")}}));
        EXPECT_EQ(entry().ipv4_homes, (std::vector{Ipv4Home{prefix4("10.8.0.0/24"), false}}));
    }
    restart(config);  // and without the binding
    EXPECT_EQ(ask(1, {asks("10.8.0.0", 24)}, kHoa), (std::vector{Ack{0, 24, v4("10.8.0.0")}}));
}

TEST_F(Ipv4Homes, RFC5555_3_1_1_address_and_prefix_in_two_options_one_answer_each_in_their_order) {
    EXPECT_EQ(
        ask(1, {asks("0.0.0.0", 16, true), asks("0.0.0.0"), asks("9.9.9.9")}, kHoa),
        (std::vector{Ack{0, 16, v4("10.7.0.0")}, Ack{0, 32, kStatic}, Ack{130, 0, v4("9.9.9.9")}}));
    EXPECT_EQ(entry().ipv4_homes.size(), 2u);
    EXPECT_EQ(ask(2, {asks("0.0.0.0", 16, true), asks("0.0.0.0", 16, true)}, kHoa),
              (std::vector{Ack{0, 16, v4("10.7.0.0")}, Ack{0, 24, v4("10.8.0.0")}}))
        << "two requests, two prefixes";
}

TEST_F(Ipv4Homes, the_same_request_twice_is_answered_twice_and_granted_once) {
    const auto given = ask(1, {asks("0.0.0.0"), asks("0.0.0.0")});
    ASSERT_EQ(given.size(), 2u);
    EXPECT_EQ(given[0], given[1]);
    EXPECT_EQ(entry(kHoa2).ipv4_homes.size(), 1u);
}

TEST_F(Ipv4Homes, more_than_16_options_are_refused_as_a_whole) {
    const wire::MobilityOptions sixteen(16, asks("192.0.2.100"));
    EXPECT_EQ(ask(1, sixteen, kHoa).size(), 16u);
    const wire::MobilityOptions more(17, asks("192.0.2.100"));
    EXPECT_EQ(status(send4({.sequence = 2, .options = more})), 128u);
    EXPECT_EQ(entry().ipv4_homes.size(), 1u) << "the binding stays";
}

TEST_F(Ipv4Homes, RFC5555_4_5_option_30_comes_iff_option_29_did) {
    EXPECT_TRUE(ask(1, {}).empty());
    EXPECT_EQ(ask(2, {asks("0.0.0.0")}).size(), 1u);
}

TEST_F(Ipv4Homes, RFC5555_4_4_2_1_without_option_29_only_the_ipv4_binding_ends) {
    (void)ask(1, {asks("192.0.2.100")}, kHoa);
    const Actions actions = send4({.sequence = 2});
    EXPECT_EQ(status(actions), 0u);
    EXPECT_TRUE(all<InstallBinding>(actions).at(0).entry.ipv4_homes.empty());
    EXPECT_TRUE(entry().is_active());
}

TEST_F(Ipv4Homes, over_ipv6_they_are_the_same) {
    Update made = update(1);
    made.message.options.emplace_back(asks("0.0.0.0"));
    EXPECT_EQ(ipv4_answers(send(made)), (std::vector{Ack{0, 32, kStatic}}));
    (void)ask(2, {asks("192.0.2.100")}, kHoa);
    EXPECT_EQ(entry().ipv4_homes.size(), 1u) << "and stay over a move to IPv4";
}

// --- on a real home link ----------------------------------------------------------------------

class Ipv4HomeLink : public DualStackTest {
  protected:
    Update real_asking(std::uint16_t sequence, wire::MobilityOptions options) {
        Update made = real(sequence);
        made.message.options = std::move(options);
        return made;
    }
};

TEST_F(Ipv4HomeLink, RFC5555_4_5_arp_tells_of_the_address_when_the_binding_is_made) {
    const Actions waiting = send(real_asking(1, {asks("0.0.0.0")}));
    EXPECT_EQ(count_of<SendGratuitousArp>(waiting), 0u) << "detection of duplicates runs";
    const Actions made = agent.dad_result(kHoaReal, true, now);
    const auto told = all<SendGratuitousArp>(made);
    ASSERT_EQ(told.size(), 1u);
    EXPECT_EQ(told[0].target, v4("198.51.100.8"));
    EXPECT_EQ(told[0].port, kHomePort);
    EXPECT_LT(position<InstallBinding>(made), position<SendGratuitousArp>(made));
    for (int repeat = 0; repeat < 2; ++repeat) {
        now += seconds{1};
        EXPECT_EQ(count_of<SendGratuitousArp>(agent.tick(now)), 1u);
    }
    now += seconds{1};
    EXPECT_EQ(count_of<SendGratuitousArp>(agent.tick(now)), 0u);
    EXPECT_EQ(counted(Counter::kArpGratuitous), 3u);
}

TEST_F(Ipv4HomeLink, one_that_comes_with_a_later_update_is_told_of_then) {
    (void)send(real(1));
    (void)agent.dad_result(kHoaReal, true, now);
    now += seconds{10};
    (void)agent.tick(now);
    (void)agent.tick(now + seconds{1});
    (void)agent.tick(now + seconds{2});
    const Actions added = send(real_asking(2, {asks("0.0.0.0")}));
    EXPECT_EQ(count_of<SendGratuitousArp>(added), 1u);
    EXPECT_EQ(count_of<SendUnsolicitedNeighborAdvertisement>(added), 0u);
    EXPECT_EQ(count_of<SendGratuitousArp>(send(real_asking(3, {asks("0.0.0.0")}))), 0u)
        << "a refresh";
}

TEST_F(Ipv4HomeLink, none_on_a_virtual_link_and_none_for_prefixes) {
    Update made = update(1);
    made.message.options = {asks("192.0.2.100"), asks("10.7.0.0", 16, true)};
    EXPECT_EQ(count_of<SendGratuitousArp>(send(made)), 0u);
}

TEST_F(Ipv4HomeLink, an_address_is_held_while_detection_runs_and_freed_when_it_fails) {
    config.home_prefixes[1].ipv4_pool = {{v4("198.51.100.8"), v4("198.51.100.8")}};
    restart(config);
    (void)send(real_asking(1, {asks("0.0.0.0")}));
    Update other = real_asking(1, {asks("0.0.0.0")});
    other.home_address = v6("2001:db8:5::101");
    (void)send(other);
    EXPECT_TRUE(entry(other.home_address).ipv4_homes.empty());
    (void)agent.dad_result(kHoaReal, false, now);
    other.message.sequence = 2;
    (void)send(other);
    EXPECT_EQ(entry(other.home_address).ipv4_homes.size(), 1u);
    const auto answers = ipv4_answers(agent.dad_result(other.home_address, true, now));
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_EQ(answers[0], (Ack{0, 32, v4("198.51.100.8")}));
}

}  // namespace
}  // namespace homeport::mip6

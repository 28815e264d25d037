// SPDX-License-Identifier: BSD-3-Clause
// Mobile prefix discovery at the home agent (RFC 6275 10.6; P7).
#include "tests/unit/mip6/home_agent_fixture.hpp"

namespace homeport::mip6 {
namespace {

using test::v6;

class PrefixDiscovery : public HomeAgentTest {
  protected:
    Actions ask(std::uint16_t identifier = 0x4321, const ReceiveInfo& info = default_info(),
                const Ipv6Address& home_address = kHoa, const Ipv6Address& to = kHa) {
        return agent.receive(
            wire::icmpv6_packet(wire::MobilePrefixSolicitation{identifier}, home_address, to), info,
            now);
    }
    static std::optional<wire::MobilePrefixAdvertisement> read(const SendMobilityMessage& sent) {
        const auto view = wire::view_ipv6_packet(sent.packet);
        const auto message = wire::decode_icmpv6(*view);
        EXPECT_TRUE(message.has_value());
        const auto* one =
            message ? std::get_if<wire::MobilePrefixAdvertisement>(&*message) : nullptr;
        if (one == nullptr) return std::nullopt;
        return *one;
    }
    static std::optional<wire::MobilePrefixAdvertisement> advertisement(const Actions& actions) {
        const auto sent = all<SendMobilityMessage>(actions);
        EXPECT_LE(sent.size(), 1u);
        return sent.empty() ? std::nullopt : read(sent[0]);
    }
    void wait(seconds time) {
        for (const auto end = now + time; now < end;) {
            const auto deadline = agent.next_deadline();
            now = deadline && *deadline > now && *deadline < end ? *deadline : end;
            for (const auto& sent : all<SendMobilityMessage>(agent.tick(now))) {
                if (read(sent)) told.push_back(now);
            }
        }
    }
    void reconfigure(std::optional<seconds> valid, std::optional<seconds> preferred) {
        config.home_prefixes[0].valid_until.reset();
        config.home_prefixes[0].preferred_until.reset();
        if (valid) config.home_prefixes[0].valid_until = now + *valid;
        if (preferred) config.home_prefixes[0].preferred_until = now + *preferred;
        (void)agent.reconfigure(config, now);
    }
    std::vector<binding::TimePoint> told;
};

TEST_F(PrefixDiscovery, P7_RFC6275_10_6_solicitation_is_answered_at_once) {
    config.home_prefixes[0].valid_until = now + seconds{7200};
    config.home_prefixes[0].preferred_until = now + seconds{3600};
    restart(config);
    (void)send(update(1));
    const auto actions = ask(0x4321);
    const auto sent = all<SendMobilityMessage>(actions);
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_EQ(sent[0].reply_to, IpAddress(kCoa));
    EXPECT_TRUE(sent[0].routing_header_2);
    EXPECT_TRUE(sent[0].protect);
    const auto answer = read(sent[0]);
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->identifier, 0x4321);
    EXPECT_FALSE(answer->managed);
    ASSERT_EQ(answer->options.size(), 1u);
    const auto* prefix = std::get_if<wire::PrefixInformation>(&answer->options[0]);
    ASSERT_NE(prefix, nullptr);
    EXPECT_EQ(*prefix, (wire::PrefixInformation{.prefix_length = 64,
                                                .on_link = false,
                                                .autonomous = true,
                                                .router_address = true,
                                                .valid_lifetime = 7200,
                                                .preferred_lifetime = 3600,
                                                .prefix = kHa}));
    EXPECT_EQ(agent.counters()[Counter::kMpaSent], 1u);
}

TEST_F(PrefixDiscovery, RFC6275_10_6_all_prefixes_of_a_real_home_link) {
    config.home_prefixes.push_back(
        {.prefix = test::prefix6("2001:db8:6::/64"), .is_virtual = false, .port = kHomePort});
    config.home_prefixes.push_back(
        {.prefix = test::prefix6("2001:db8:7::/64"), .is_virtual = false, .port = kVisitedPort});
    restart(config);
    (void)send(real(1));
    (void)agent.dad_result(kHoaReal, true, now);
    const auto answer = advertisement(ask(1, default_info(), kHoaReal, kHaReal));
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->options.size(), 2u);
    const auto& first = std::get<wire::PrefixInformation>(answer->options[0]);
    const auto& second = std::get<wire::PrefixInformation>(answer->options[1]);
    EXPECT_TRUE(first.on_link && first.router_address);
    EXPECT_EQ(first.valid_lifetime, 0xffffffffu);
    EXPECT_FALSE(second.router_address);
    EXPECT_EQ(second.prefix, v6("2001:db8:6::"));
}

TEST_F(PrefixDiscovery, RFC6275_10_6_only_registered_nodes_under_esp_are_answered) {
    EXPECT_FALSE(advertisement(ask()));
    EXPECT_EQ(agent.counters()[Counter::kMpsUnserved], 1u);
    (void)send(update(1));
    ReceiveInfo plain = default_info();
    plain.protected_by_ipsec = false;
    EXPECT_FALSE(advertisement(ask(1, plain)));
    EXPECT_EQ(agent.counters()[Counter::kIpsecInPolicy], 1u);
    ReceiveInfo without_option = default_info();
    without_option.had_hao = false;
    without_option.wire_source = kHoa;
    EXPECT_FALSE(advertisement(ask(1, without_option)));
    EXPECT_FALSE(advertisement(ask(1, default_info(), kHoa, v6("2001:db8:1::2"))));
    EXPECT_EQ(agent.counters()[Counter::kMpsBad], 2u);
    EXPECT_TRUE(advertisement(ask()));
    (void)send(at_home(2));
    EXPECT_FALSE(advertisement(ask()));
}

TEST_F(PrefixDiscovery, RFC6275_10_6_one_advertisement_a_second_and_node) {
    (void)send(update(1));
    EXPECT_TRUE(advertisement(ask()));
    EXPECT_FALSE(advertisement(ask()));
    now += milliseconds{900};
    EXPECT_FALSE(advertisement(ask()));
    EXPECT_EQ(agent.counters()[Counter::kMpsRateLimited], 2u);
    now += milliseconds{200};
    EXPECT_TRUE(advertisement(ask()));
}

TEST_F(PrefixDiscovery, RFC6275_10_6_2_shorter_lifetimes_are_told_until_it_is_acknowledged) {
    config.max_lifetime = seconds{7000};
    config.min_prefix_advertisement_interval = seconds{10};
    config.max_prefix_advertisement_interval = seconds{20};
    restart(config);
    (void)send(update(1, 1700));
    const auto start = now;
    reconfigure(seconds{5000}, seconds{4000});
    wait(seconds{60});
    ASSERT_EQ(told.size(), 4u);  // PREFIX_ADV_RETRIES 3
    EXPECT_GE(told[0] - start, seconds{10});
    EXPECT_LT(told[0] - start, seconds{20});
    EXPECT_EQ(told[1] - told[0], seconds{3});
    EXPECT_EQ(told[2] - told[1], seconds{6});
    EXPECT_EQ(told[3] - told[2], seconds{12});

    told.clear();
    reconfigure(seconds{3000}, seconds{2000});
    wait(seconds{20});
    ASSERT_GE(told.size(), 1u);
    EXPECT_TRUE(advertisement(ask()));
    const auto before = told.size();
    wait(seconds{60});
    EXPECT_EQ(told.size(), before) << "the solicitation acknowledged it";
}

TEST_F(PrefixDiscovery, RFC6275_10_6_2_nothing_is_told_without_need) {
    config.max_lifetime = seconds{7000};
    config.min_prefix_advertisement_interval = seconds{10};
    config.max_prefix_advertisement_interval = seconds{20};
    restart(config);
    (void)send(update(1, 1700));
    reconfigure(std::nullopt, std::nullopt);
    EXPECT_EQ(agent.next_deadline() > now + seconds{100}, true);
    reconfigure(seconds{5000}, seconds{4000});
    (void)send(at_home(2));  // the registration ends before it was told
    wait(seconds{100});
    EXPECT_TRUE(told.empty());
    // Longer lifetimes it asks for in time.
    (void)send(update(3, 1000));
    reconfigure(seconds{6000}, seconds{5500});
    wait(seconds{100});
    EXPECT_TRUE(told.empty());
}

TEST_F(PrefixDiscovery, a_prefix_that_ends_soon_is_told_before_its_end) {
    (void)send(update(1));
    const auto start = now;
    reconfigure(seconds{100}, seconds{50});  // the shortest interval is 600 s
    wait(seconds{70});
    ASSERT_FALSE(told.empty());
    EXPECT_LE(told[0] - start, seconds{50});
}

}  // namespace
}  // namespace homeport::mip6

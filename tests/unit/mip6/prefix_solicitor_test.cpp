// SPDX-License-Identifier: BSD-3-Clause
// Mobile prefix discovery at the mobile node (RFC 6275 11.4.2, 11.4.3; P7).
#include "controlplane/mip6/prefix_solicitor.hpp"

#include <gtest/gtest.h>

#include "controlplane/wire/ipv6_packet.hpp"
#include "tests/unit/wire/hex.hpp"

namespace homeport::mip6 {
namespace {

using std::chrono::seconds;
using test::v6;

const Ipv6Address kHoa = v6("2001:db8:1::100");
const Ipv6Address kHa = v6("2001:db8:1::1");

class PrefixSolicitorTest : public testing::Test {
  protected:
    void keep(const PrefixSolicitor::Packet& packet) {
        if (!packet) return;
        const auto view = wire::view_ipv6_packet(*packet);
        EXPECT_EQ(view->source, kHoa);
        EXPECT_EQ(view->destination, kHa);
        const auto message = wire::decode_icmpv6(*view);
        ASSERT_TRUE(message);
        asked.push_back(std::get<wire::MobilePrefixSolicitation>(*message).identifier);
    }
    void away() { keep(node.set_registered(true, now)); }
    void solicit() { keep(node.solicit(now)); }
    void wait(seconds time) {
        for (const auto end = now + time; now < end;) {
            const auto deadline = node.next_deadline();
            now = deadline && *deadline > now && *deadline < end ? *deadline : end;
            keep(node.tick(now));
        }
    }
    static wire::MobilePrefixAdvertisement advertisement(std::uint16_t identifier,
                                                         std::uint32_t valid = 7200,
                                                         std::uint32_t preferred = 3600) {
        wire::PrefixInformation option;
        option.autonomous = option.router_address = true;
        option.valid_lifetime = valid;
        option.preferred_lifetime = preferred;
        option.prefix = kHa;
        return {identifier, false, false, {option}};
    }
    void receive(const wire::MobilePrefixAdvertisement& message, bool is_protected = true,
                 bool routed = true, const Ipv6Address& from = kHa) {
        keep(node.receive(wire::icmpv6_packet(message, from, kHoa), is_protected, routed, now));
    }

    std::uint16_t random = 100;
    PrefixSolicitor::TimePoint now{seconds{1000}};
    PrefixSolicitor node{{.home_address = kHoa, .home_agent = kHa}, [this] { return ++random; }};
    std::vector<std::uint16_t> asked;
};

TEST_F(PrefixSolicitorTest, P7_asks_on_demand_and_learns) {
    solicit();
    EXPECT_TRUE(asked.empty()) << "not registered yet";
    away();
    ASSERT_EQ(asked.size(), 1u);
    receive(advertisement(asked[0]));
    ASSERT_EQ(node.prefixes().size(), 1u);
    EXPECT_EQ(node.prefixes()[0].information.prefix, kHa);
    EXPECT_EQ(node.prefixes()[0].valid_until, now + seconds{7200});
    EXPECT_EQ(node.counters().accepted, 1u);
    solicit();
    EXPECT_EQ(asked.size(), 2u);
    EXPECT_NE(asked[0], asked[1]);
}

TEST_F(PrefixSolicitorTest, RFC6275_11_4_2_repeats_from_3_s_on_and_gives_up) {
    away();
    solicit();
    solicit();
    EXPECT_EQ(asked.size(), 1u) << "one at a time";
    wait(seconds{2});
    EXPECT_EQ(asked.size(), 1u);
    wait(seconds{1});
    EXPECT_EQ(asked.size(), 2u);
    wait(seconds{6});
    EXPECT_EQ(asked.size(), 3u);
    wait(seconds{12});
    EXPECT_EQ(asked.size(), 4u);
    wait(seconds{500});
    EXPECT_EQ(asked, std::vector<std::uint16_t>(4, asked[0])) << "the same question";
    EXPECT_EQ(node.counters().given_up, 1u);
}

TEST_F(PrefixSolicitorTest, RFC6275_11_4_3_what_is_discarded) {
    away();
    solicit();
    receive(advertisement(asked[0]), true, false);
    EXPECT_EQ(node.counters().ignored_no_routing_header, 1u);
    receive(advertisement(asked[0]), false);
    EXPECT_EQ(node.counters().ignored_unprotected, 1u);
    receive(advertisement(asked[0]), true, true, v6("2001:db8:1::2"));
    EXPECT_EQ(node.counters().ignored_not_from_home_agent, 1u);
    receive(advertisement(static_cast<std::uint16_t>(asked[0] + 1)));
    EXPECT_EQ(node.counters().ignored_identifier, 1u);
    auto packet = wire::icmpv6_packet(advertisement(asked[0]), kHa, kHoa);
    for (std::size_t length = 0; length < packet.size(); ++length) {
        keep(node.receive(ConstByteSpan(packet).first(length), true, true, now));
    }
    EXPECT_EQ(node.counters().ignored_malformed, packet.size());
    EXPECT_TRUE(node.prefixes().empty());
    EXPECT_EQ(asked.size(), 1u);
    receive(advertisement(asked[0]));
    EXPECT_EQ(node.prefixes().size(), 1u);
}

TEST_F(PrefixSolicitorTest, RFC6275_11_4_3_an_unsolicited_one_is_answered_with_a_solicitation) {
    away();
    receive(advertisement(7));
    EXPECT_TRUE(node.prefixes().empty());
    ASSERT_EQ(asked.size(), 1u);
    receive(advertisement(asked[0]));
    receive(advertisement(8));
    EXPECT_EQ(asked.size(), 1u) << "at most one a second";
    now += seconds{2};
    receive(advertisement(9));
    EXPECT_EQ(asked.size(), 2u);
}

TEST_F(PrefixSolicitorTest, RFC6275_11_4_2_asks_before_lifetimes_end) {
    away();
    solicit();
    receive(advertisement(asked[0], 1000, 500));
    wait(seconds{399});
    EXPECT_EQ(asked.size(), 1u);
    wait(seconds{1});
    ASSERT_EQ(asked.size(), 2u);
    receive(advertisement(asked[1], 600, 0));  // deprecated: until it is invalid
    wait(seconds{479});
    EXPECT_EQ(asked.size(), 2u);
    wait(seconds{1});
    ASSERT_EQ(asked.size(), 3u);
    receive(advertisement(asked[2], 0xffffffff, 0xffffffff));
    EXPECT_EQ(node.next_deadline(), std::nullopt);
    solicit();
    receive(advertisement(asked[3], 1, 1));
    wait(seconds{9});
    EXPECT_EQ(asked.size(), 4u) << "not in a hurry for ever";
}

TEST_F(PrefixSolicitorTest, without_a_registration_it_waits) {
    away();
    solicit();
    keep(node.set_registered(false, now));
    EXPECT_EQ(node.next_deadline(), std::nullopt);
    wait(seconds{100});
    EXPECT_EQ(asked.size(), 1u);
    away();
    EXPECT_EQ(asked.size(), 2u);
}

TEST_F(PrefixSolicitorTest, RFC4862_5_5_3_prefixes_that_make_no_sense_are_left_out) {
    away();
    solicit();
    receive(advertisement(asked[0], 10, 20));
    EXPECT_TRUE(node.prefixes().empty());
    EXPECT_EQ(node.counters().accepted, 1u);
}

}  // namespace
}  // namespace homeport::mip6

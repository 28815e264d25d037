// SPDX-License-Identifier: BSD-3-Clause
// S1.18, S1.44 to S1.48 and S1.81 at the home agent: both techniques for many home addresses.
#include "dataplane/tunnel/signalling_spis.hpp"

#include <gtest/gtest.h>

#include <map>

namespace homeport::tunnel {
namespace {

using Technique = SignallingSpis::Technique;

/// Says what it is told to, and counts how often it is asked.
class Answers final : public ipsec::Queries {
  public:
    [[nodiscard]] ipsec::SpiAnswers spi_for_policy(
        ipsec::PolicyId policy, const std::optional<IpAddress>& remote) const override {
        ++asked;
        ipsec::SpiAnswers answers;
        const auto found = spis.find({policy, std::get<Ipv6Address>(*remote)});
        if (found == spis.end()) return answers;
        for (const std::uint32_t spi : found->second) {
            answers.answers[answers.count++].spi = ipsec::Spi{spi};
        }
        return answers;
    }
    [[nodiscard]] ipsec::SpiAnswers spi_for_policy(const ipsec::SelectorTuple&) const override {
        ADD_FAILURE() << "not needed";
        return {};
    }
    void selectors_for_spi(std::span<const ipsec::Spi> many,
                           std::optional<Ipv6Address>* remotes) const override {
        ipsec::ask_one_by_one(*this, many, remotes);
    }
    [[nodiscard]] std::optional<ipsec::SelectorAnswer> selectors_for_spi(
        ipsec::Spi) const override {
        ADD_FAILURE() << "not needed";
        return std::nullopt;
    }
    [[nodiscard]] std::uint64_t generation() const override { return now; }

    std::map<std::pair<ipsec::PolicyId, Ipv6Address>, std::vector<std::uint32_t>> spis;
    std::uint64_t now = 1;
    mutable unsigned asked = 0;
};

// S1.81: nothing can be changed through the queries: all that can be called through a constant
// reference is all that there is.
template <class Q>
concept OnlyReads = requires(const Q& q, const std::optional<IpAddress>& remote) {
    { q.spi_for_policy(ipsec::PolicyId{}, remote) } -> std::same_as<ipsec::SpiAnswers>;
    { q.spi_for_policy(ipsec::SelectorTuple{}) } -> std::same_as<ipsec::SpiAnswers>;
    { q.selectors_for_spi(ipsec::Spi{}) } -> std::same_as<std::optional<ipsec::SelectorAnswer>>;
    { q.generation() } -> std::same_as<std::uint64_t>;
};
static_assert(OnlyReads<ipsec::Queries>);

Ipv6Address home(std::uint32_t n) {
    Ipv6Address address{{0x20, 0x01, 0x0d, 0xb8, 0, 1}};
    store_be32(address.bytes.data() + 12, n);
    return address;
}

struct Spis : testing::Test {
    Spis() {
        policies.count = 2;
        policies.ids[0] = 2;
        policies.ids[1] = 3;
    }
    bool ask(const Ipv6Address& address, std::uint32_t spi) {
        return classifier.is_signalling(address, spi, now, {&queries, &policies});
    }
    void heuristic() {
        classifier.configure(
            {.technique = Technique::kHeuristic, .timeout = 500, .min_packets = 8});
    }

    Answers queries;
    SignallingPolicies policies;
    SignallingSpis classifier;
    std::uint64_t now = 1000;
};

TEST_F(Spis, S1_44_the_spis_of_the_signalling_entries_and_no_others) {
    queries.spis[{2, home(1)}] = {0x100};
    queries.spis[{3, home(1)}] = {0x101};
    queries.spis[{6, home(1)}] = {0x102};
    EXPECT_TRUE(ask(home(1), 0x100));
    EXPECT_TRUE(ask(home(1), 0x101));
    EXPECT_FALSE(ask(home(1), 0x102)) << "payload";
    EXPECT_FALSE(ask(home(2), 0x100)) << "S1.18: of another home address";
    EXPECT_FALSE(classifier.is_signalling(home(1), 0x100, now, {nullptr, &policies}));
    EXPECT_FALSE(classifier.is_signalling(home(1), 0x100, now, {&queries, nullptr}));
}

TEST_F(Spis, S1_45_asked_once_a_generation_never_per_packet) {
    queries.spis[{2, home(1)}] = {0x100};
    for (unsigned i = 0; i < 1000; ++i) {
        EXPECT_TRUE(ask(home(1), 0x100));
        EXPECT_FALSE(ask(home(1), 0x200));
    }
    EXPECT_EQ(queries.asked, 3u) << "the first entry has one of them, no entry the other";
    ++queries.now;
    for (unsigned i = 0; i < 1000; ++i) EXPECT_TRUE(ask(home(1), 0x100));
    EXPECT_EQ(queries.asked, 4u);
    EXPECT_EQ(classifier.take_events().asked, 3u);
}

TEST_F(Spis, S1_45_old_and_new_spi_until_the_old_sa_is_deleted) {
    queries.spis[{2, home(1)}] = {0x100};
    EXPECT_TRUE(ask(home(1), 0x100));
    queries.spis[{2, home(1)}] = {0x101, 0x100};
    ++queries.now;
    EXPECT_TRUE(ask(home(1), 0x100));
    EXPECT_TRUE(ask(home(1), 0x101));
    queries.spis[{2, home(1)}] = {0x101};
    ++queries.now;
    EXPECT_FALSE(ask(home(1), 0x100));
    EXPECT_TRUE(ask(home(1), 0x101));
}

TEST_F(Spis, S1_45_other_signalling_entries_are_a_change_too) {
    queries.spis[{3, home(1)}] = {0x101};
    EXPECT_TRUE(ask(home(1), 0x101));
    SignallingPolicies fewer = policies;
    fewer.count = 1;
    EXPECT_FALSE(classifier.is_signalling(home(1), 0x101, now, {&queries, &fewer}));
}

TEST_F(Spis, S1_45_as_many_home_addresses_as_were_reserved_are_asked_about_once) {
    classifier.reserve(20000);
    for (unsigned round = 0; round < 3; ++round) {
        for (std::uint32_t n = 0; n < 10000; ++n) {
            ASSERT_FALSE(ask(home(n), 0x200000 + n));
            classifier.prefetch(n + 1);
        }
    }
    EXPECT_LT(classifier.take_events().asked, 10100u);
}

TEST_F(Spis, S1_45_answers_in_one_place_are_told_apart_by_home_address) {
    queries.spis[{2, home(1)}] = {0x100};
    const auto ask_at = [&](std::uint64_t place, const Ipv6Address& address) {
        return classifier.is_signalling(address, place, 0x100, now, {&queries, &policies});
    };
    for (unsigned i = 0; i < 100; ++i) {
        EXPECT_TRUE(ask_at(7, home(1)));
        EXPECT_FALSE(ask_at(7, home(2))) << "the slot's next binding";
    }
    EXPECT_EQ(classifier.take_events().asked, 2u);
    EXPECT_TRUE(ask_at(8, home(1))) << "it moved, and has another slot";
    EXPECT_EQ(classifier.take_events().asked, 1u);
}

TEST_F(Spis, S1_45_an_old_answer_makes_room_for_the_new_one) {
    queries.spis[{2, home(1)}] = {0x100};
    for (; queries.now < 10000; ++queries.now) {
        ASSERT_TRUE(ask(home(1), 0x100));
        ASSERT_FALSE(ask(home(1), 0x200));
    }
    EXPECT_EQ(classifier.take_events().asked, 2 * 9999u);
}

TEST_F(Spis, S1_45_more_spis_than_there_is_room_for) {
    queries.spis[{2, home(1)}] = {1, 2, 3, 4};
    queries.spis[{3, home(1)}] = {5, 6, 7, 8};
    for (std::uint32_t spi = 1; spi <= 8; ++spi) EXPECT_TRUE(ask(home(1), spi)) << spi;
    EXPECT_FALSE(ask(home(1), 9));
}

TEST_F(Spis, S1_45_home_addresses_that_share_a_place_do_not_mix) {
    for (std::uint32_t n = 0; n < 40000; ++n) queries.spis[{2, home(n)}] = {0x100000 + n};
    for (unsigned round = 0; round < 2; ++round) {
        for (std::uint32_t n = 0; n < 40000; ++n) {
            ASSERT_TRUE(ask(home(n), 0x100000 + n)) << n;
            ASSERT_FALSE(ask(home(n), 0x100001 + n)) << n;
        }
    }
}

TEST_F(Spis, S1_18_heuristic_the_command_arms_its_home_address_alone) {
    heuristic();
    classifier.arm(home(1), now);
    EXPECT_FALSE(ask(home(2), 0x200));
    EXPECT_TRUE(ask(home(1), 0x100));
    EXPECT_FALSE(ask(home(1), 0x100));
    EXPECT_EQ(queries.asked, 0u) << "S1.7: either queries or heuristics";
}

TEST_F(Spis, S1_18_heuristic_data_and_messages_of_many) {
    heuristic();
    for (unsigned round = 0; round < 5; ++round) {
        for (std::uint32_t n = 0; n < 500; ++n) {
            classifier.arm(home(n), now);
            if (round > 0) {
                ASSERT_FALSE(ask(home(n), 0x200000 + n)) << "data first";
            }
            ASSERT_TRUE(ask(home(n), 0x100000 + n)) << n;
            for (unsigned i = 0; i < 10; ++i) ASSERT_FALSE(ask(home(n), 0x200000 + n));
            ++now;
        }
    }
    const auto events = classifier.take_events();
    EXPECT_EQ(events.timeout + events.mismatch + events.full, 0u);
}

TEST_F(Spis, S1_47_windows_end_by_time_and_are_counted_once) {
    heuristic();
    for (std::uint32_t n = 0; n < 10; ++n) classifier.arm(home(n), now);
    EXPECT_TRUE(ask(home(3), 0x100));
    now += 499;
    classifier.expire(now);
    EXPECT_FALSE(classifier.has_events());
    ++now;
    classifier.expire(now);
    classifier.expire(now);
    EXPECT_EQ(classifier.take_events().timeout, 9u);
    EXPECT_FALSE(ask(home(4), 0x100));
    EXPECT_FALSE(classifier.has_events());
}

TEST_F(Spis, S1_47_data_that_was_mistaken_is_counted) {
    heuristic();
    classifier.arm(home(1), now);
    EXPECT_TRUE(ask(home(1), 0x200));
    for (unsigned i = 0; i < 5; ++i) EXPECT_FALSE(ask(home(1), 0x200));
    EXPECT_EQ(classifier.take_events().mismatch, 1u);
}

TEST_F(Spis, S1_47_memory_is_bounded_and_those_who_wait_keep_their_place) {
    heuristic();
    classifier.arm(home(7), now);
    for (std::uint32_t n = 100; n < 200100; ++n) {
        ++now;
        if (n % 1000 == 0) now -= 1000;  // all of it within the window
        ASSERT_FALSE(ask(home(n), 0x200));
    }
    EXPECT_TRUE(ask(home(7), 0x100));
    EXPECT_EQ(classifier.take_events().full, 0u);
    for (std::uint32_t n = 0; n < 100000; ++n) classifier.arm(home(n), now);
    EXPECT_GT(classifier.take_events().full, 0u) << "more at once than there is room for";
}

TEST_F(Spis, an_unsealed_message_is_awaited_no_longer) {
    heuristic();
    classifier.arm(home(1), now);
    classifier.passed_unsealed(home(1));
    EXPECT_FALSE(ask(home(1), 0x200));
    classifier.passed_unsealed(home(2));
}

TEST_F(Spis, S1_8_another_technique_starts_anew) {
    queries.spis[{2, home(1)}] = {0x100};
    heuristic();
    classifier.arm(home(1), now);
    classifier.configure({});
    EXPECT_FALSE(ask(home(1), 0x999));
    EXPECT_TRUE(ask(home(1), 0x100));
    heuristic();
    EXPECT_FALSE(ask(home(1), 0x100)) << "not announced";
}

TEST(MessageKinds, S1_18_each_kind_of_message_learns_the_spi_of_its_own_sa) {
    constexpr std::uint32_t kAcknowledgement = 0x20001, kAdvertisement = 0x20002, kData = 0x20006;
    SignallingSpis classifier;
    classifier.reserve(64);
    classifier.configure({.technique = Technique::kHeuristic, .timeout = 1000, .min_packets = 8});
    std::uint64_t now = 1;
    const auto is_message = [&](std::uint32_t node, std::uint32_t spi) {
        return classifier.is_signalling(home(node), spi, ++now, {nullptr, nullptr});
    };
    const auto data = [&](std::uint32_t node) {
        for (int i = 0; i < 20; ++i) EXPECT_FALSE(is_message(node, kData));
    };
    for (int round = 0; round < 5; ++round) {
        classifier.arm(home(1), now, MessageKind::kMobility);
        EXPECT_TRUE(is_message(1, kAcknowledgement)) << round;
        data(1);
        classifier.arm(home(1), now, MessageKind::kPrefixDiscovery);
        EXPECT_TRUE(is_message(1, kAdvertisement)) << round;
        data(1);
        // Both on their way at once, in either order, here and where nothing is known yet.
        for (const std::uint32_t node : {1u, 10u + static_cast<std::uint32_t>(round)}) {
            classifier.arm(home(node), now, MessageKind::kMobility);
            classifier.arm(home(node), now, MessageKind::kPrefixDiscovery);
            EXPECT_TRUE(is_message(node, kAcknowledgement)) << round;
            EXPECT_TRUE(is_message(node, kAdvertisement)) << round;
        }
    }
    EXPECT_FALSE(is_message(1, kAcknowledgement)) << "no message was announced";
    EXPECT_EQ(classifier.take_events().mismatch, 0u);
}

}  // namespace
}  // namespace homeport::tunnel

// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/table_writer.hpp"

#include <ctime>

#include "tests/unit/table/table_fixture.hpp"

namespace homeport::table::test {
namespace {

class WriterTest : public TableTest {
  protected:
    WriterTest() {
        EXPECT_TRUE(writer_.apply(route("::", 0, "fe80::1", 0)));
        EXPECT_TRUE(writer_.apply(neighbour("fe80::1", 0, 1)));
    }
};

TEST_F(WriterTest, a_binding_holds_its_resolved_next_hop) {
    ASSERT_TRUE(writer_.apply(binding(home(5), "2001:db8:a::5")));
    const Binding* const entry = bound(home(5));
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(entry->care_of_address, key("2001:db8:a::5"));
    EXPECT_EQ(entry->home_agent_address, key("2001:db8:100::1"));
    EXPECT_EQ(entry->path_mtu, 1500);
    EXPECT_EQ(entry->tunnel_mtu(), 1460);
    EXPECT_EQ(entry->home_port, kNoHomePort);
    const Hop hop = tables_.hop_of(entry->adjacency);
    EXPECT_EQ(hop.type, Hop::Type::kForward);
    EXPECT_EQ(hop.port, 0);
}

TEST_F(WriterTest, S1_13_a_new_care_of_address_is_in_force_when_apply_returns) {
    ASSERT_TRUE(writer_.apply(binding(home(5), "2001:db8:a::5")));
    ASSERT_TRUE(writer_.apply(binding(home(5), "2001:db8:b::5")));
    EXPECT_EQ(bound(home(5))->care_of_address, key("2001:db8:b::5"));
    EXPECT_EQ(writer_.binding_count(), 1u);
    ASSERT_TRUE(writer_.apply(no_binding(home(5))));
    EXPECT_EQ(bound(home(5)), nullptr);
    ASSERT_TRUE(writer_.apply(no_binding(home(5))));
}

TEST_F(WriterTest, the_same_binding_again_changes_nothing_that_readers_see) {
    ASSERT_TRUE(writer_.apply(binding(home(5), "2001:db8:a::5")));
    const Binding* const before = bound(home(5));
    const std::uint32_t references = tables_.adjacencies.references(before->adjacency);
    ASSERT_TRUE(writer_.apply(binding(home(5), "2001:db8:a::5")));
    EXPECT_EQ(bound(home(5)), before);
    EXPECT_EQ(tables_.adjacencies.references(before->adjacency), references);
}

TEST_F(WriterTest, bindings_follow_a_route_change) {
    for (std::uint64_t n = 0; n < 500; ++n) {
        ASSERT_TRUE(writer_.apply(binding(home(n), "2001:db8:a::5")));
    }
    ASSERT_TRUE(writer_.apply(neighbour("fe80::2", 1, 2)));
    ASSERT_TRUE(writer_.apply(route("2001:db8:a::", 48, "fe80::2", 1)));
    // In bounded steps: ten bindings at a time.
    EXPECT_TRUE(writer_.poll(now_, 10));
    unsigned moved = 0;
    const auto count_moved = [&] {
        moved = 0;
        for (std::uint64_t n = 0; n < 500; ++n) {
            if (tables_.hop_of(bound(home(n))->adjacency).port == 1) ++moved;
        }
    };
    count_moved();
    EXPECT_GT(moved, 0u);
    EXPECT_LE(moved, 10u);
    settle();
    count_moved();
    EXPECT_EQ(moved, 500u);
    EXPECT_EQ(bound(home(3))->path_mtu, 1400);
    ASSERT_TRUE(writer_.apply(no_route("2001:db8:a::", 48)));
    settle();
    count_moved();
    EXPECT_EQ(moved, 0u);
    EXPECT_EQ(bound(home(3))->path_mtu, 1500);
}

TEST_F(WriterTest, a_route_change_during_a_round_reaches_every_binding) {
    for (std::uint64_t n = 0; n < 300; ++n) {
        ASSERT_TRUE(writer_.apply(binding(home(n), "2001:db8:a::5")));
    }
    ASSERT_TRUE(writer_.apply(route("2001:db8:a::", 48, "fe80::2", 1)));
    writer_.poll(now_, 100);
    ASSERT_TRUE(writer_.apply(route("2001:db8:a::", 48, "fe80::3", 1)));
    for (std::uint64_t n = 300; n < 400; ++n) {
        ASSERT_TRUE(writer_.apply(binding(home(n), "2001:db8:a::5")));
    }
    settle();
    for (std::uint64_t n = 0; n < 400; ++n) {
        const Adjacency* const adjacency = tables_.adjacencies.find(bound(home(n))->adjacency);
        ASSERT_NE(adjacency, nullptr);
        ASSERT_EQ(adjacency->next_hop, key("fe80::3"));
    }
    EXPECT_EQ(tables_.adjacencies.find(1, key("fe80::2")), nullptr) << "nobody refers to it";
}

TEST_F(WriterTest, an_on_link_care_of_address_is_its_own_next_hop) {
    ASSERT_TRUE(writer_.apply(route("2001:db8:a::", 64, "", 1)));
    ASSERT_TRUE(writer_.apply(binding(home(5), "2001:db8:a::5")));
    EXPECT_EQ(tables_.hop_of(bound(home(5))->adjacency).type, Hop::Type::kUnresolved);
    const Binding* const before = bound(home(5));
    ASSERT_TRUE(writer_.apply(neighbour("2001:db8:a::5", 1, 5)));
    EXPECT_EQ(tables_.hop_of(bound(home(5))->adjacency).type, Hop::Type::kForward);
    EXPECT_EQ(bound(home(5)), before) << "a neighbour change must not touch the bindings";
    ASSERT_TRUE(writer_.apply(no_binding(home(5))));
    EXPECT_EQ(tables_.hop_of(tables_.adjacencies.find(1, key("2001:db8:a::5"))->index).type,
              Hop::Type::kForward);
}

TEST_F(WriterTest, without_a_free_adjacency_a_binding_is_routed_packet_by_packet) {
    ASSERT_TRUE(writer_.apply(route("2001:db8:a::", 64, "", 1)));
    for (std::uint64_t n = 1; n < 100; ++n) {
        ASSERT_TRUE(writer_.apply(binding(home(n), "2001:db8:a::" + std::to_string(n))));
    }
    EXPECT_EQ(bound(home(99))->adjacency, channel::kNoIndex);
    EXPECT_EQ(writer_.adjacency_count(), 50u);
    for (std::uint64_t n = 1; n < 100; ++n) ASSERT_TRUE(writer_.apply(no_binding(home(n))));
    EXPECT_EQ(writer_.adjacency_count(), 1u);
}

TEST_F(WriterTest, a_learnt_path_mtu_holds_until_it_is_old) {
    ASSERT_TRUE(writer_.apply(binding(home(5), "2001:db8:a::5")));
    settle();
    EXPECT_TRUE(writer_.path_mtu(home(5), 1400));
    EXPECT_EQ(bound(home(5))->path_mtu, 1400);
    EXPECT_FALSE(writer_.path_mtu(home(5), 1450)) << "never up (RFC 8201 section 4)";
    EXPECT_EQ(bound(home(5))->path_mtu, 1400);
    ASSERT_TRUE(writer_.apply(binding(home(5), "2001:db8:a::5")));
    EXPECT_EQ(bound(home(5))->path_mtu, 1400) << "a refresh does not forget it";
    now_ += 599;
    settle();
    EXPECT_EQ(bound(home(5))->path_mtu, 1400);
    now_ += 1;
    settle();
    EXPECT_EQ(bound(home(5))->path_mtu, 1500);
    EXPECT_TRUE(writer_.path_mtu(home(5), 68));
    EXPECT_EQ(bound(home(5))->path_mtu, 1280);
    ASSERT_TRUE(writer_.apply(binding(home(5), "2001:db8:b::5")));
    EXPECT_EQ(bound(home(5))->path_mtu, 1500) << "another path, another MTU";
    EXPECT_FALSE(writer_.path_mtu(home(6), 1400));
}

TEST_F(WriterTest, RFC2003_5_1_a_path_that_is_known_by_its_care_of_address_alone) {
    constexpr std::uint16_t kOne = 40000, kOther = 40001;
    const auto bind = [&](std::uint32_t n, const char* care_of, std::uint16_t port) {
        channel::BindingSet record = binding(home(n), "2001:db8:a::5");
        record.care_of_address = channel::WireAddress(*Ipv4Address::parse(care_of));
        record.home_agent_address = channel::WireAddress(*Ipv4Address::parse("192.0.2.1"));
        record.encapsulation = channel::Encapsulation::kUdpIpv4;
        record.udp_port = port;
        ASSERT_TRUE(writer_.apply(record));
    };
    // Two nodes behind one NAT, and one elsewhere.
    bind(5, "203.0.113.7", kOne);
    bind(6, "203.0.113.7", kOther);
    bind(7, "203.0.113.8", kOne);
    settle();
    const Ipv6Address nat = v4_mapped(*Ipv4Address::parse("203.0.113.7"));
    const auto poll = [&] {
        for (int i = 0; i < 100; ++i) (void)writer_.poll(now_, 8);
    };
    const std::uint16_t before = bound(home(5))->path_mtu;
    writer_.path_mtu_towards(nat, kOne, 1200);
    poll();
    EXPECT_EQ(bound(home(5))->path_mtu, 1200);
    EXPECT_EQ(bound(home(6))->path_mtu, before);
    EXPECT_EQ(bound(home(7))->path_mtu, before);
    writer_.path_mtu_towards(nat, 0, 1100);
    writer_.path_mtu_towards(nat, 0, 1300);  // less counts
    poll();
    EXPECT_EQ(bound(home(5))->path_mtu, 1100);
    EXPECT_EQ(bound(home(6))->path_mtu, 1100);
    EXPECT_EQ(bound(home(7))->path_mtu, before);
    writer_.path_mtu_towards(nat, kOne, 68);
    poll();
    EXPECT_EQ(bound(home(5))->path_mtu, 576) << "no lower than what one may believe";
    // Others that nobody is bound to are bounded, and gone after a round.
    for (std::uint32_t i = 0; i < 1000; ++i) {
        writer_.path_mtu_towards(v4_mapped(*Ipv4Address::parse("198.51.100.1")),
                                 static_cast<std::uint16_t>(i + 1), 700);
    }
    poll();
    writer_.path_mtu_towards(v4_mapped(*Ipv4Address::parse("203.0.113.8")), kOne, 1000);
    poll();
    EXPECT_EQ(bound(home(7))->path_mtu, 1000);
}

TEST_F(WriterTest, the_least_of_configured_route_and_default_path_mtu_holds) {
    channel::BindingSet record = binding(home(5), "2001:db8:a::5");
    record.path_mtu = 1350;
    ASSERT_TRUE(writer_.apply(record));
    EXPECT_EQ(bound(home(5))->path_mtu, 1350);
    record.path_mtu = 9000;
    ASSERT_TRUE(writer_.apply(record));
    EXPECT_EQ(bound(home(5))->path_mtu, 1500) << "the route's";
    record.path_mtu = 0;
    ASSERT_TRUE(writer_.apply(record));
    channel::ParametersSet parameters;
    parameters.default_path_mtu = 1320;
    writer_.set_parameters(parameters);
    settle();
    EXPECT_EQ(bound(home(5))->path_mtu, 1320);
}

TEST_F(WriterTest, an_ipv4_home_address_is_bound_to_an_ipv6_care_of_address) {
    channel::BindingSet record = binding(home(5), "2001:db8:a::5");
    record.home_address = wire("203.0.113.5");
    ASSERT_TRUE(writer_.apply(record));
    EXPECT_EQ(bound(key("203.0.113.5"))->care_of_address, key("2001:db8:a::5"));
    record.prefix_length = 32;
    ASSERT_TRUE(writer_.apply(record));
    EXPECT_EQ(writer_.binding_count(), 1u);
}

TEST_F(WriterTest, a_tentative_binding_needs_no_care_of_address) {
    channel::BindingSet record = binding(home(5), "2001:db8:a::5");
    record.care_of_address = {};
    record.home_agent_address = {};
    EXPECT_EQ(error_of(record), channel::CommandError::kMalformed);
    record.flags = channel::kBindingTentative;
    ASSERT_TRUE(writer_.apply(record));
    EXPECT_TRUE(bound(home(5))->tentative());
    EXPECT_EQ(bound(home(5))->adjacency, channel::kNoIndex);
}

TEST_F(WriterTest, bad_bindings_are_refused) {
    using enum channel::CommandError;
    channel::BindingSet record = binding(home(5), "2001:db8:a::5");
    record.home_address = wire("fe80::5");
    EXPECT_EQ(error_of(record), kMalformed);
    record = binding(home(5), "fe80::1");
    EXPECT_EQ(error_of(record), kMalformed);
    record = binding(home(5), "2001:db8:a::5");
    record.care_of_address = record.home_address;
    EXPECT_EQ(error_of(record), kMalformed);
    record = binding(home(5), "2001:db8:a::5");
    record.home_agent_address = wire("192.0.2.1");
    EXPECT_EQ(error_of(record), kMalformed);
    record = binding(home(5), "2001:db8:a::5");
    record.encapsulation = channel::Encapsulation::kIpv4;
    EXPECT_EQ(error_of(record), kMalformed);
    record = binding(home(5), "2001:db8:a::5");
    record.counter_index = 1000;
    EXPECT_EQ(error_of(record), kMalformed);
    record = binding(home(5), "2001:db8:a::5");
    record.path_mtu = 1279;
    EXPECT_EQ(error_of(record), kMalformed);
    record = binding(home(5), "2001:db8:a::5");
    record.flags = 0x8000;
    EXPECT_EQ(error_of(record), kMalformed);
    record = binding(home(5), "2001:db8:a::5");
    record.home_port = 4;
    EXPECT_EQ(error_of(record), kUnknownPort);
    record = binding(home(5), "2001:db8:a::5");
    record.prefix_length = 64;
    EXPECT_EQ(error_of(record), kRefused);
    EXPECT_EQ(writer_.binding_count(), 0u);
}

TEST_F(WriterTest, a_full_binding_table_says_so) {
    for (std::uint64_t n = 0; n < 1000; ++n) {
        ASSERT_TRUE(writer_.apply(binding(home(n), "2001:db8:a::5")));
    }
    const std::uint32_t references = tables_.adjacencies.references(bound(home(0))->adjacency);
    EXPECT_EQ(error_of(binding(home(1000), "2001:db8:a::5")), channel::CommandError::kTableFull);
    EXPECT_EQ(tables_.adjacencies.references(bound(home(0))->adjacency), references);
    ASSERT_TRUE(writer_.apply(binding(home(0), "2001:db8:b::5")));
    ASSERT_TRUE(writer_.apply(no_binding(home(0))));
    ASSERT_TRUE(writer_.apply(binding(home(1000), "2001:db8:a::5")));
}

TEST(TableWriter, a_million_bindings_are_applied_swept_and_resolved_in_seconds) {
    Tables tables({.max_bindings = kMillion}, nullptr);
    ASSERT_TRUE(tables.valid());
    TableWriter writer(tables);
    writer.set_port(0, mac(0xa0), 1500);
    ASSERT_TRUE(writer.apply(route("::", 0, "fe80::1", 0)));
    const std::clock_t begin =
        std::clock();  // of this process: other work on the machine is not ours
    for (std::uint64_t n = 0; n < kMillion; ++n) {
        ASSERT_TRUE(writer.apply(binding(home(n), "2001:db8:a::5")));
    }
    ASSERT_TRUE(writer.apply(route("2001:db8:a::", 48, "fe80::2", 0)));
    while (writer.poll(1, 10000)) {
    }
    EXPECT_EQ(tables.adjacencies.references(tables.adjacencies.find(0, key("fe80::2"))->index),
              kMillion + 1);
    writer.begin_sync();
    EXPECT_EQ(writer.end_sync(), kMillion + 2);
    EXPECT_EQ(writer.binding_count(), 0u);
    EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 10);
}

TEST_F(WriterTest, sync_sweeps_what_was_not_named_and_leaves_the_rest_untouched) {
    ASSERT_TRUE(writer_.apply(address("2001:db8:100::1", 0, true)));
    ASSERT_TRUE(writer_.apply(address("2001:db8:100::2", 0)));
    ASSERT_TRUE(writer_.apply(home_prefix("2001:db8:100::", 64, 0)));
    ASSERT_TRUE(writer_.apply(home_prefix("2001:db8:200::", 64, 0)));
    ASSERT_TRUE(writer_.apply(route("2001:db8:a::", 48, "", 0)));
    ASSERT_TRUE(writer_.apply(route("10.0.0.0", 8, "", 0)));
    ASSERT_TRUE(writer_.apply(neighbour("fe80::2", 0, 2)));
    ASSERT_TRUE(writer_.apply(binding(home(1), "2001:db8:b::1")));
    ASSERT_TRUE(writer_.apply(binding(home(2), "2001:db8:b::2")));
    const Binding* const kept = bound(home(1));
    const Route* const kept_route = tables_.fib.find_v6(key("2001:db8:c::1"));

    EXPECT_EQ(writer_.end_sync(), 0u) << "no sync was begun";
    writer_.begin_sync();
    EXPECT_NE(bound(home(2)), nullptr) << "nothing goes before the end";
    ASSERT_TRUE(writer_.apply(address("2001:db8:100::1", 0, true)));
    ASSERT_TRUE(writer_.apply(home_prefix("2001:db8:100::", 64, 0)));
    ASSERT_TRUE(writer_.apply(route("::", 0, "fe80::1", 0)));
    ASSERT_TRUE(writer_.apply(neighbour("fe80::1", 0, 1)));
    ASSERT_TRUE(writer_.apply(binding(home(1), "2001:db8:b::1")));
    EXPECT_EQ(bound(home(1)), kept);
    EXPECT_EQ(writer_.end_sync(), 6u);
    EXPECT_TRUE(writer_.synced_once());

    EXPECT_EQ(bound(home(1)), kept);
    EXPECT_EQ(bound(home(2)), nullptr);
    EXPECT_EQ(tables_.fib.find_v6(key("2001:db8:c::1")), kept_route);
    EXPECT_EQ(hop("10.1.1.1").type, Hop::Type::kNone);
    EXPECT_EQ(tables_.local_addresses.find(key("2001:db8:100::2")), nullptr);
    EXPECT_NE(tables_.local_addresses.find(key("2001:db8:100::1")), nullptr);
    EXPECT_EQ(tables_.home_prefixes.find(key("2001:db8:200::1")), nullptr);
    EXPECT_NE(tables_.home_prefixes.find(key("2001:db8:100::1")), nullptr);
    EXPECT_EQ(writer_.adjacency_count(), 1u);
    EXPECT_EQ(hop("2001:db8:a::1").type, Hop::Type::kForward) << "by the default route";
}

TEST_F(WriterTest, a_sync_that_is_begun_again_counts_only_what_came_after) {
    ASSERT_TRUE(writer_.apply(binding(home(1), "2001:db8:b::1")));
    ASSERT_TRUE(writer_.apply(binding(home(2), "2001:db8:b::2")));
    writer_.begin_sync();
    ASSERT_TRUE(writer_.apply(binding(home(1), "2001:db8:b::1")));
    writer_.begin_sync();
    ASSERT_TRUE(writer_.apply(binding(home(2), "2001:db8:b::2")));
    writer_.end_sync();
    EXPECT_EQ(bound(home(1)), nullptr);
    EXPECT_NE(bound(home(2)), nullptr);
}

TEST_F(WriterTest, views_show_everything_once) {
    ASSERT_TRUE(writer_.apply(binding(home(1), "2001:db8:b::1")));
    ASSERT_TRUE(writer_.apply(binding(home(2), "2001:db8:b::2")));
    ASSERT_TRUE(writer_.apply(route("10.0.0.0", 8, "", 0)));
    unsigned bindings = 0;
    unsigned routes = 0;
    unsigned adjacencies = 0;
    writer_.for_each_binding([&](const Binding&, std::uint32_t) { ++bindings; });
    writer_.for_each_route([&](const Route&, std::uint8_t) { ++routes; });
    writer_.for_each_adjacency([&](const Adjacency&) { ++adjacencies; });
    EXPECT_EQ(bindings, 2u);
    EXPECT_EQ(routes, 2u);
    EXPECT_EQ(adjacencies, 1u);
}

}  // namespace
}  // namespace homeport::table::test

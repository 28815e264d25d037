// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/fib.hpp"

#include <map>
#include <random>

#include "tests/unit/table/table_fixture.hpp"

namespace homeport::table::test {
namespace {

struct Entry {
    Ipv6Address prefix;
    std::uint32_t value;
    std::uint8_t length;
};

TEST(PrefixTable, longest_match_agrees_with_a_linear_search) {
    std::mt19937_64 random(11);
    Reclaimer reclaimer(nullptr);
    PrefixTable<Entry> table(2000, reclaimer);
    std::map<std::pair<std::uint8_t, Ipv6Address>, std::uint32_t> model;
    const auto random_address = [&] {
        // Few distinct bits, so that prefixes nest.
        Ipv6Address address = *Ipv6Address::parse("2001:db8::");
        address.bytes[4] = static_cast<std::uint8_t>(random() & 3);
        address.bytes[7] = static_cast<std::uint8_t>(random() & 0x83);
        address.bytes[8] = static_cast<std::uint8_t>(random() & 0x81);
        address.bytes[15] = static_cast<std::uint8_t>(random() & 7);
        return address;
    };
    const std::uint8_t lengths[] = {0, 1, 32, 38, 40, 63, 64, 65, 72, 127, 128};
    for (std::uint32_t step = 0; step < 5000; ++step) {
        const std::uint8_t length = lengths[random() % std::size(lengths)];
        const Ipv6Address prefix = masked(random_address(), length);
        if (random() % 3 != 0) {
            ASSERT_TRUE(table.put({prefix, step, length}));
            model[{length, prefix}] = step;
        } else {
            ASSERT_EQ(table.erase(prefix, length), model.erase({length, prefix}) == 1);
        }
        reclaimer.poll();
        if (step % 10 != 0) continue;

        std::array<Ipv6Address, 64> addresses;
        std::array<const Ipv6Address*, 64> pointers;
        std::array<const Entry*, 64> found;
        for (unsigned i = 0; i < 64; ++i) {
            addresses[i] = random_address();
            if (i % 16 == 0) addresses[i].bytes[0] ^= 0x80;
            pointers[i] = &addresses[i];
        }
        table.find_bulk(pointers.data(), 64, found.data());
        for (unsigned i = 0; i < 64; ++i) {
            const Entry* const single = table.find(addresses[i]);
            ASSERT_EQ(found[i], single);
            std::optional<std::uint32_t> expected;
            for (const auto& [key, value] : model) {  // ordered by length: the last one wins
                if (Ipv6Prefix{key.second, key.first}.contains(addresses[i])) expected = value;
            }
            ASSERT_EQ(single != nullptr, expected.has_value());
            if (expected) {
                ASSERT_EQ(single->value, *expected);
            }
        }
    }
    reclaimer.free_now();
}

TEST(PrefixTable, masks_at_every_length) {
    const Ipv6Address ones = *Ipv6Address::parse("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    for (unsigned length = 0; length <= 128; ++length) {
        const Ipv6Prefix prefix{ones, static_cast<std::uint8_t>(length)};
        EXPECT_EQ(masked(ones, length), prefix.masked().address) << length;
    }
}

class FibTest : public TableTest {};

TEST_F(FibTest, a_gateway_route_forwards_once_its_neighbour_is_known) {
    ASSERT_TRUE(writer_.apply(route("::", 0, "fe80::1", 0)));
    EXPECT_EQ(hop("2001:db8:9::1").type, Hop::Type::kUnresolved);
    EXPECT_EQ(hop("2001:db8:9::1").port, 0);
    ASSERT_TRUE(writer_.apply(neighbour("fe80::1", 0, 1)));
    const Hop resolved = hop("2001:db8:9::1");
    EXPECT_EQ(resolved.type, Hop::Type::kForward);
    EXPECT_EQ(resolved.mtu, 1500);
    const Adjacency* const adjacency = tables_.adjacencies.find(resolved.adjacency);
    ASSERT_NE(adjacency, nullptr);
    const std::array<std::uint8_t, 14> ethernet{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0xa0, 0x86, 0xdd};
    EXPECT_EQ(0, std::memcmp(adjacency->ethernet.data(), ethernet.data(), 14));
    ASSERT_TRUE(writer_.apply(no_neighbour("fe80::1", 0)));
    EXPECT_EQ(hop("2001:db8:9::1").type, Hop::Type::kUnresolved);
    EXPECT_EQ(hop("2001:db8:9::1").adjacency, resolved.adjacency) << "the index must not change";
}

TEST_F(FibTest, an_on_link_destination_is_its_own_next_hop) {
    ASSERT_TRUE(writer_.apply(route("2001:db8:5::", 64, "", 1)));
    EXPECT_EQ(hop("2001:db8:5::7").type, Hop::Type::kUnresolved);
    EXPECT_EQ(hop("2001:db8:5::7").port, 1);
    ASSERT_TRUE(writer_.apply(neighbour("2001:db8:5::7", 1, 7)));
    EXPECT_EQ(hop("2001:db8:5::7").type, Hop::Type::kForward);
    EXPECT_EQ(hop("2001:db8:5::7").mtu, 1400);
    EXPECT_EQ(hop("2001:db8:5::8").type, Hop::Type::kUnresolved);
    ASSERT_TRUE(writer_.apply(no_neighbour("2001:db8:5::7", 1)));
    EXPECT_EQ(hop("2001:db8:5::7").type, Hop::Type::kUnresolved);
    EXPECT_EQ(writer_.adjacency_count(), 0u);
}

TEST_F(FibTest, ipv4_and_ipv6_routes_do_not_meet) {
    ASSERT_TRUE(writer_.apply(route("::", 0, "fe80::1", 0)));
    EXPECT_EQ(hop("198.51.100.1").type, Hop::Type::kNone);
    ASSERT_TRUE(writer_.apply(route("0.0.0.0", 0, "192.0.2.9", 1)));
    ASSERT_TRUE(writer_.apply(neighbour("192.0.2.9", 1, 9)));
    EXPECT_EQ(hop("198.51.100.1").type, Hop::Type::kForward);
    const Adjacency* const adjacency = tables_.adjacencies.find(hop("198.51.100.1").adjacency);
    EXPECT_EQ(adjacency->ethernet[12], 0x08);
    EXPECT_EQ(adjacency->ethernet[13], 0x00);
    EXPECT_EQ(hop("2001:db8::1").port, 0);
}

TEST_F(FibTest, route_types_are_told_apart) {
    channel::RouteSet record = route("2001:db8:a::", 48, "", channel::kNoPort);
    record.route_type = channel::RouteType::kKernel;
    ASSERT_TRUE(writer_.apply(record));
    record = route("2001:db8:b::", 48, "", channel::kNoPort);
    record.route_type = channel::RouteType::kBlackhole;
    ASSERT_TRUE(writer_.apply(record));
    record = route("2001:db8:c::", 48, "", channel::kNoPort);
    record.route_type = channel::RouteType::kUnreachable;
    ASSERT_TRUE(writer_.apply(record));
    EXPECT_EQ(hop("2001:db8:a::1").type, Hop::Type::kKernel);
    EXPECT_EQ(hop("2001:db8:b::1").type, Hop::Type::kBlackhole);
    EXPECT_EQ(hop("2001:db8:c::1").type, Hop::Type::kUnreachable);
    EXPECT_EQ(hop("2001:db8:d::1").type, Hop::Type::kNone);
}

TEST_F(FibTest, the_lesser_of_route_and_port_mtu_holds) {
    channel::RouteSet record = route("2001:db8:a::", 48, "", 0);
    record.mtu = 1300;
    ASSERT_TRUE(writer_.apply(record));
    EXPECT_EQ(hop("2001:db8:a::1").mtu, 1300);
    record.mtu = 9000;
    ASSERT_TRUE(writer_.apply(record));
    EXPECT_EQ(hop("2001:db8:a::1").mtu, 1500);
    writer_.set_port(0, mac(0xa0), 9000);
    EXPECT_EQ(hop("2001:db8:a::1").mtu, 9000);
    record.mtu = 600;  // no IPv6 link has that
    ASSERT_TRUE(writer_.apply(record));
    EXPECT_EQ(hop("2001:db8:a::1").mtu, 1280);
}

TEST_F(FibTest, a_new_port_address_is_written_into_resolved_neighbours) {
    ASSERT_TRUE(writer_.apply(route("::", 0, "fe80::1", 0)));
    ASSERT_TRUE(writer_.apply(neighbour("fe80::1", 0, 1)));
    writer_.set_port(0, mac(0xbb), 1500);
    const Adjacency* const adjacency = tables_.adjacencies.find(hop("2001:db8::1").adjacency);
    EXPECT_EQ(MacAddress::load(adjacency->ethernet.data()), mac(1));
    EXPECT_EQ(MacAddress::load(adjacency->ethernet.data() + 6), mac(0xbb));
}

TEST_F(FibTest, a_full_route_table_says_so_and_recovers) {
    for (unsigned n = 0; n < 100; ++n) {
        channel::RouteSet record = route("2001:db8::", 64, "", 0);
        record.prefix.bytes[6] = static_cast<std::uint8_t>(n);
        ASSERT_TRUE(writer_.apply(record));
    }
    EXPECT_EQ(error_of(route("2001:db9::", 64, "fe80::1", 0)), channel::CommandError::kTableFull);
    EXPECT_EQ(writer_.adjacency_count(), 0u) << "a refused route must not keep its gateway";
    ASSERT_TRUE(writer_.apply(no_route("2001:db8::", 64)));
    EXPECT_TRUE(writer_.apply(route("2001:db9::", 64, "fe80::1", 0)));
    EXPECT_EQ(writer_.adjacency_count(), 1u);
    ASSERT_TRUE(writer_.apply(no_route("2001:db9::", 64)));
    EXPECT_EQ(writer_.adjacency_count(), 0u);
}

TEST_F(FibTest, full_adjacencies_are_refused_and_indices_come_back) {
    for (std::uint8_t n = 1; n <= 50; ++n) {
        ASSERT_TRUE(writer_.apply(neighbour("fe80::" + std::to_string(n), 0, n)));
    }
    EXPECT_EQ(error_of(neighbour("fe80::99", 0, 99)), channel::CommandError::kTableFull);
    EXPECT_EQ(error_of(route("::", 0, "fe80::99", 0)), channel::CommandError::kTableFull);
    EXPECT_EQ(hop("::2").type, Hop::Type::kNone);
    ASSERT_TRUE(writer_.apply(no_neighbour("fe80::7", 0)));
    EXPECT_TRUE(writer_.apply(neighbour("fe80::99", 0, 99)));
    EXPECT_EQ(tables_.adjacencies.find(0, key("fe80::7")), nullptr);
    EXPECT_EQ(tables_.adjacencies.find(0, key("fe80::99"))->index, 6u);
}

TEST_F(FibTest, bad_routes_and_neighbours_are_refused) {
    using enum channel::CommandError;
    EXPECT_EQ(error_of(route("2001:db8::", 129, "", 0)), kMalformed);
    EXPECT_EQ(error_of(route("10.0.0.0", 33, "", 0)), kMalformed);
    EXPECT_EQ(error_of(route("2001:db8::", 32, "", 5)), kUnknownPort);
    EXPECT_EQ(error_of(route("2001:db8::", 32, "", 200)), kUnknownPort);
    EXPECT_EQ(error_of(route("2001:db8::", 32, "ff02::1", 0)), kMalformed);
    EXPECT_EQ(error_of(route("2001:db8::", 32, "192.0.2.1", 0)), kMalformed);
    channel::RouteSet record = route("2001:db8::", 32, "", 0);
    record.prefix.family = 9;
    EXPECT_EQ(error_of(record), kMalformed);
    record = route("2001:db8::", 32, "", 0);
    record.route_type = static_cast<channel::RouteType>(7);
    EXPECT_EQ(error_of(record), kMalformed);
    EXPECT_EQ(error_of(neighbour("ff02::1", 0, 1)), kMalformed);
    EXPECT_EQ(error_of(neighbour("fe80::1", 9, 1)), kUnknownPort);
    channel::NeighbourSet bad = neighbour("fe80::1", 0, 1);
    bad.mac.bytes[0] = 0x33;
    EXPECT_EQ(error_of(bad), kMalformed);
    EXPECT_EQ(writer_.route_count(), 0u);
}

}  // namespace
}  // namespace homeport::table::test

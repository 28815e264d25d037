// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/table/binding_table.hpp"

#include <ctime>
#include <map>
#include <random>
#include <set>

#include "dataplane/table/bound_subnets.hpp"
#include "tests/unit/table/table_fixture.hpp"

namespace homeport::table::test {
namespace {

Binding make(const Ipv6Address& home_address, std::uint32_t value) {
    Binding binding{};
    binding.home_address = home_address;
    binding.counter_index = value;
    return binding;
}

/// Compares every answer of the table, single and bulk, with a std::map.
void expect_same(const BindingTable& table, const std::map<Ipv6Address, std::uint32_t>& model,
                 const std::vector<Ipv6Address>& universe) {
    ASSERT_EQ(table.size(), model.size());
    for (std::size_t first = 0; first < universe.size(); first += 64) {
        std::array<const Ipv6Address*, 64> keys;
        std::array<std::uint32_t, 64> slots;
        const auto count =
            static_cast<unsigned>(std::min<std::size_t>(64, universe.size() - first));
        for (unsigned i = 0; i < count; ++i) keys[i] = &universe[first + i];
        const std::uint64_t hits = table.find_bulk(keys.data(), count, slots.data());
        for (unsigned i = 0; i < count; ++i) {
            const auto expected = model.find(*keys[i]);
            ASSERT_EQ((hits >> i & 1) != 0, expected != model.end());
            ASSERT_EQ(slots[i], table.find(*keys[i]));
            if (expected == model.end()) {
                ASSERT_EQ(slots[i], kNoSlot);
            } else {
                ASSERT_EQ(table.at(slots[i]).counter_index, expected->second);
                ASSERT_EQ(table.at(slots[i]).home_address, *keys[i]);
            }
        }
    }
}

TEST(BindingTable, random_operations_agree_with_a_reference_model) {
    std::mt19937 random(7);
    for (const std::uint32_t capacity : {1u, 7u, 300u, 5000u}) {
        Reclaimer reclaimer(nullptr);
        BindingTable table(capacity, reclaimer);
        ASSERT_TRUE(table.valid());
        std::vector<Ipv6Address> universe;
        for (std::uint64_t n = 0; n < capacity * 2; ++n) universe.push_back(home(n));
        std::map<Ipv6Address, std::uint32_t> model;
        for (std::uint32_t step = 0; step < capacity * 40; ++step) {
            const Ipv6Address& address = universe[random() % universe.size()];
            if (random() % 5 < 3) {
                const auto inserted = table.put(make(address, step));
                const bool fits = model.contains(address) || model.size() < capacity;
                ASSERT_EQ(inserted.has_value(), fits);
                if (fits) {
                    ASSERT_EQ(inserted->replaced == kNoSlot, !model.contains(address));
                    model[address] = step;
                }
            } else {
                ASSERT_EQ(table.erase(address) != kNoSlot, model.erase(address) == 1);
            }
            if (random() % 16 == 0) reclaimer.poll();
        }
        expect_same(table, model, universe);
        std::set<std::uint32_t> visited;
        table.for_each([&](std::uint32_t slot, const Binding& binding) {
            EXPECT_EQ(model.at(binding.home_address), binding.counter_index);
            visited.insert(slot);
        });
        EXPECT_EQ(visited.size(), model.size());
        reclaimer.free_now();
    }
}

TEST(BoundSubnets, an_answer_none_ends_with_the_first_binding_and_only_then) {
    BoundSubnets subnets;
    const Ipv6Address bound = home(1);
    EXPECT_FALSE(subnets.may_hold(bound));
    const std::uint64_t before = subnets.generation();
    subnets.add(bound);
    EXPECT_GT(subnets.generation(), before);
    EXPECT_TRUE(subnets.may_hold(home(2)));  // of the same /64
    EXPECT_FALSE(subnets.may_hold(*Ipv6Address::parse("2001:db8:101::1")));
    const std::uint64_t after = subnets.generation();
    subnets.add(home(2));
    EXPECT_EQ(subnets.generation(), after) << "answers that are kept would end for nothing";
}

TEST(BindingTable, is_full_at_its_capacity_and_not_before) {
    Reclaimer reclaimer(nullptr);
    BindingTable table(10000, reclaimer);
    for (std::uint64_t n = 0; n < 10000; ++n) ASSERT_TRUE(table.put(make(home(n * 65536), 1)));
    EXPECT_FALSE(table.put(make(home(3), 1)));
    EXPECT_TRUE(table.put(make(home(0), 2)));  // a change is no addition
    EXPECT_NE(table.erase(home(65536)), kNoSlot);
    EXPECT_TRUE(table.put(make(home(3), 1)));
    EXPECT_FALSE(table.put(make(home(5), 1)));
    reclaimer.free_now();
}

TEST(BindingTable, a_change_is_seen_at_once_and_the_old_slot_stays_readable) {
    Reclaimer reclaimer(nullptr);
    BindingTable table(10, reclaimer);
    const std::uint32_t first = table.put(make(home(1), 1))->slot;
    const auto second = table.put(make(home(1), 2));
    EXPECT_EQ(second->replaced, first);
    EXPECT_NE(second->slot, first);
    EXPECT_EQ(table.at(table.find(home(1))).counter_index, 2u);
    EXPECT_EQ(table.at(first).counter_index, 1u);
    reclaimer.free_now();
}

/// What a slot holds for who remembers it: an entry that find() returns, or none.
TEST(BindingTable, a_remembered_slot_is_current_as_long_as_its_entry_is_found) {
    constexpr std::uint32_t kCapacity = 200;
    std::mt19937 random(11);
    Reclaimer reclaimer(nullptr);
    BindingTable table(kCapacity, reclaimer);
    for (std::uint32_t step = 0; step < 5000; ++step) {
        const Ipv6Address address = home(random() % kCapacity);
        if (random() % 3 != 0) {
            ASSERT_TRUE(table.put(make(address, step)));
        } else {
            (void)table.erase(address);
        }
        if (random() % 8 == 0) reclaimer.poll();
        if (step % 16 != 0) continue;
        const BindingTable::Steps steps(table);
        std::uint32_t current = 0;
        for (std::uint32_t slot = 0; slot < table.slot_limit(); ++slot) {
            const Binding* const entry = steps.current(slot);
            if (entry == nullptr) continue;
            ++current;
            ASSERT_EQ(table.find(entry->home_address), slot);
            ASSERT_EQ(entry, &table.at(slot));
        }
        ASSERT_EQ(current, table.size());
    }
    reclaimer.free_now();
}

TEST(BindingTable, changes_without_end_use_bounded_memory) {
    Reclaimer reclaimer(nullptr);
    BindingTable table(100, reclaimer);
    for (std::uint32_t n = 0; n < 100000; ++n) ASSERT_TRUE(table.put(make(home(n % 100), n)));
    EXPECT_LE(table.high_water(), table.slot_limit());
    EXPECT_EQ(table.size(), 100u);
    reclaimer.free_now();
}

// Everything in few buckets: chains of buckets are built, searched and taken down again.
TEST(BindingTable, crowded_buckets_are_chained_and_unchained) {
    struct OneBucket : BindingTraits {
        static std::uint64_t hash(const Key& key, std::uint64_t) { return key.low() & 0xffff; }
    };
    Reclaimer reclaimer(nullptr);
    ConcurrentHash<OneBucket> table(1000, reclaimer);
    for (int round = 0; round < 5; ++round) {
        for (std::uint64_t n = 0; n < 1000; ++n) {
            ASSERT_TRUE(table.put(make(home(n), static_cast<std::uint32_t>(n))));
        }
        for (std::uint64_t n = 0; n < 1000; ++n) {
            ASSERT_EQ(table.at(table.find(home(n))).counter_index, n);
        }
        for (std::uint64_t n = 0; n < 1000; ++n) {
            const std::uint64_t which = n * 7 % 1000;
            ASSERT_NE(table.erase(home(which)), kNoSlot);
            ASSERT_EQ(table.find(home(which)), kNoSlot);
        }
        reclaimer.poll();
        EXPECT_EQ(table.size(), 0u);
    }
    reclaimer.free_now();
}

TEST(BindingTable, a_million_bindings_load_within_ten_seconds) {
    Reclaimer reclaimer(nullptr);
    BindingTable table(kMillion, reclaimer);
    ASSERT_TRUE(table.valid());
    const std::clock_t begin = std::clock();
    for (std::uint64_t n = 0; n < kMillion; ++n) {
        ASSERT_TRUE(table.put(make(home(n), static_cast<std::uint32_t>(n))));
    }
    EXPECT_LT((std::clock() - begin) / CLOCKS_PER_SEC, 10);
    for (std::uint64_t n = 0; n < kMillion; n += 97) {
        ASSERT_EQ(table.at(table.find(home(n))).counter_index, n);
    }
    EXPECT_EQ(table.find(home(kMillion)), kNoSlot);
    reclaimer.free_now();
}

TEST(BindingTable, ipv4_home_addresses_live_beside_ipv6_ones) {
    Reclaimer reclaimer(nullptr);
    BindingTable table(10, reclaimer);
    ASSERT_TRUE(table.put(make(key("203.0.113.7"), 4)));
    ASSERT_TRUE(table.put(make(key("2001:db8::7"), 6)));
    EXPECT_EQ(table.at(table.find(v4_mapped(*Ipv4Address::parse("203.0.113.7")))).counter_index,
              4u);
    EXPECT_EQ(table.at(table.find(key("2001:db8::7"))).counter_index, 6u);
    EXPECT_EQ(v4_of(key("203.0.113.7")), *Ipv4Address::parse("203.0.113.7"));
    reclaimer.free_now();
}

}  // namespace
}  // namespace homeport::table::test

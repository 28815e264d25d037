// SPDX-License-Identifier: BSD-3-Clause
// One writer and readers that never stop. Built with -Db_sanitize=thread this proves the order of
// the accesses; without, that no reader ever misses or mixes up an entry.
#include <rte_rcu_qsbr.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <random>
#include <thread>

#include "tests/unit/table/table_fixture.hpp"

namespace homeport::table::test {
namespace {

constexpr unsigned kReaders = 2;

struct Readers {
    Readers() {
        const std::size_t size = rte_rcu_qsbr_get_memsize(kReaders);
        qsbr = static_cast<rte_rcu_qsbr*>(std::aligned_alloc(64, (size + 63) / 64 * 64));
        rte_rcu_qsbr_init(qsbr, kReaders);
    }
    ~Readers() {
        stop();
        std::free(qsbr);
    }
    template <class Function>
    void start(Function function) {
        for (unsigned id = 0; id < kReaders; ++id) {
            rte_rcu_qsbr_thread_register(qsbr, id);
            rte_rcu_qsbr_thread_online(qsbr, id);
            threads[id] = std::thread([this, id, function] {
                while (!done.load(std::memory_order_relaxed)) {
                    function();
                    rte_rcu_qsbr_quiescent(qsbr, id);
                }
                rte_rcu_qsbr_thread_offline(qsbr, id);
                rte_rcu_qsbr_thread_unregister(qsbr, id);
            });
        }
    }
    void stop() {
        done = true;
        for (std::thread& thread : threads) {
            if (thread.joinable()) thread.join();
        }
    }
    rte_rcu_qsbr* qsbr;
    std::atomic<bool> done = false;
    std::array<std::thread, kReaders> threads;
};

/// Octets of the care-of address that belong to a home address: a mixed-up entry shows.
std::string care_of(std::uint64_t n, unsigned round) {
    return "2001:db8:" + std::to_string(round % 2 + 10) + "::" + std::to_string(n % 9000 + 1);
}

TEST(Concurrency, readers_never_miss_or_mix_up_a_binding_while_all_change) {
    Readers readers;
    Tables tables({.max_bindings = 400, .max_routes = 16, .max_adjacencies = 32}, readers.qsbr);
    ASSERT_TRUE(tables.valid());
    TableWriter writer(tables);
    writer.set_port(0, mac(0xa0), 1500);
    ASSERT_TRUE(writer.apply(route("::", 0, "fe80::1", 0)));
    ASSERT_TRUE(writer.apply(neighbour("fe80::1", 0, 1)));
    // 0..199 are always bound, 200..399 come and go.
    for (std::uint64_t n = 0; n < 200; ++n)
        ASSERT_TRUE(writer.apply(binding(home(n), care_of(n, 0))));

    std::atomic<std::uint64_t> lookups = 0;
    std::atomic<unsigned> wrong = 0;
    readers.start([&] {
        std::array<Ipv6Address, 64> addresses;
        std::array<const Ipv6Address*, 64> keys;
        std::array<std::uint32_t, 64> slots;
        thread_local std::minstd_rand random(
            static_cast<unsigned>(std::hash<std::thread::id>{}(std::this_thread::get_id())));
        std::array<std::uint64_t, 64> numbers;
        for (unsigned i = 0; i < 64; ++i) {
            numbers[i] = random() % 400;
            addresses[i] = home(numbers[i]);
            keys[i] = &addresses[i];
        }
        tables.bindings.find_bulk(keys.data(), 64, slots.data());
        for (unsigned i = 0; i < 64; ++i) {
            if (slots[i] == kNoSlot) {
                if (numbers[i] < 200) ++wrong;
                continue;
            }
            const Binding& found = tables.bindings.at(slots[i]);
            const std::uint64_t care_of_low = found.care_of_address.low();
            const std::string digits = std::to_string(numbers[i] % 9000 + 1);
            if (found.home_address != addresses[i] ||
                care_of_low != std::stoull(digits, nullptr, 16)) {
                ++wrong;
            }
            const Adjacency* const adjacency = tables.adjacencies.find(found.adjacency);
            if (adjacency == nullptr || adjacency->ethernet[0] != (adjacency->resolved ? 2 : 0)) {
                ++wrong;
            }
        }
        lookups += 64;
    });

    unsigned rounds = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
    while (std::chrono::steady_clock::now() < end || lookups < 100000) {
        ++rounds;
        for (std::uint64_t n = 0; n < 200; ++n) {
            ASSERT_TRUE(writer.apply(binding(home(n), care_of(n, rounds))));
            const std::uint64_t other = 200 + (n * 7 + rounds) % 200;
            if (rounds % 2 == 0) {
                ASSERT_TRUE(writer.apply(binding(home(other), care_of(other, rounds))));
            } else {
                ASSERT_TRUE(writer.apply(no_binding(home(other))));
            }
        }
        if (rounds % 3 == 0) {
            ASSERT_TRUE(writer.apply(no_neighbour("fe80::1", 0)));
        } else {
            ASSERT_TRUE(writer.apply(neighbour("fe80::1", 0, static_cast<std::uint8_t>(rounds))));
        }
        writer.poll(rounds, 1000);
    }
    readers.stop();
    EXPECT_EQ(wrong, 0u);
    EXPECT_GT(lookups, 100000u);
    RecordProperty("rounds", static_cast<int>(rounds));
}

TEST(Concurrency, readers_always_have_a_route_while_more_specific_ones_come_and_go) {
    Readers readers;
    Tables tables({.max_bindings = 16, .max_routes = 64, .max_adjacencies = 64}, readers.qsbr);
    TableWriter writer(tables);
    writer.set_port(0, mac(0xa0), 1500);
    writer.set_port(1, mac(0xa1), 1500);
    ASSERT_TRUE(writer.apply(route("::", 0, "fe80::1", 0)));
    ASSERT_TRUE(writer.apply(neighbour("fe80::1", 0, 1)));
    ASSERT_TRUE(writer.apply(address("2001:db8:100::1", 0, true)));

    std::atomic<std::uint64_t> lookups = 0;
    std::atomic<unsigned> wrong = 0;
    readers.start([&] {
        const Ipv6Address destination = *Ipv6Address::parse("2001:db8:7::7");
        const Hop hop = tables.next_hop(6, destination);
        if (hop.type != Hop::Type::kForward && hop.type != Hop::Type::kUnresolved) ++wrong;
        if (!tables.local_addresses.source_for(1, destination)) ++wrong;
        (void)tables.home_prefixes.on_port(1).size();
        (void)tables.home_prefixes.find(destination);
        ++lookups;
    });
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(2);
    for (unsigned round = 0; std::chrono::steady_clock::now() < end || lookups < 50000; ++round) {
        for (const std::uint8_t length : std::array<std::uint8_t, 4>{32, 40, 48, 64}) {
            if (round % 2 == 0) {
                ASSERT_TRUE(writer.apply(route("2001:db8:7::", length, "fe80::2", 1)));
            } else {
                ASSERT_TRUE(writer.apply(no_route("2001:db8:7::", length)));
            }
        }
        if (round % 2 == 0) {
            ASSERT_TRUE(writer.apply(home_prefix("2001:db8:7::", 64, 1)));
            ASSERT_TRUE(writer.apply(address("2001:db8:7::1", 1)));
        } else {
            channel::HomePrefixRemove prefix;
            prefix.prefix = wire("2001:db8:7::");
            prefix.prefix_length = 64;
            ASSERT_TRUE(writer.apply(prefix));
            channel::AddressRemove gone;
            gone.address = wire("2001:db8:7::1");
            gone.port = 1;
            ASSERT_TRUE(writer.apply(gone));
        }
        writer.poll(round, 100);
    }
    readers.stop();
    EXPECT_EQ(wrong, 0u);
}

TEST(Concurrency, nothing_is_freed_under_a_reader) {
    Readers readers;
    Reclaimer reclaimer(readers.qsbr);
    rte_rcu_qsbr_thread_register(readers.qsbr, 0);
    rte_rcu_qsbr_thread_online(readers.qsbr, 0);
    int freed = 0;
    const auto count = [](void*, void* owner) { ++*static_cast<int*>(owner); };
    reclaimer.retire(nullptr, count, &freed);
    for (int i = 0; i < 10; ++i) reclaimer.poll();
    EXPECT_EQ(freed, 0);
    reclaimer.retire(nullptr, count, &freed);
    rte_rcu_qsbr_quiescent(readers.qsbr, 0);
    reclaimer.poll();
    EXPECT_EQ(freed, 1) << "the second was retired after the token";
    rte_rcu_qsbr_quiescent(readers.qsbr, 0);
    reclaimer.poll();
    EXPECT_EQ(freed, 2);
    rte_rcu_qsbr_thread_offline(readers.qsbr, 0);
    rte_rcu_qsbr_thread_unregister(readers.qsbr, 0);
}

}  // namespace
}  // namespace homeport::table::test

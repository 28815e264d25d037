// SPDX-License-Identifier: BSD-3-Clause
// TSC cycles a lookup: the binding table, single and in bulk, beside rte_hash with the same keys in
// the same order (PERFORMANCE section 1). Homes are asked for in random order.
//   bench-table [--benchmark_...] [-- EAL arguments]
#include <benchmark/benchmark.h>
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_rcu_qsbr.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "dataplane/table/tables.hpp"

namespace homeport::table {
namespace {

Ipv6Address home(std::uint64_t n) {
    Ipv6Address address{{0x20, 0x01, 0x0d, 0xb8, 1}};
    store_be64(address.bytes.data() + 8, n);
    return address;
}

/// Homes in random order, made as they are asked for: a packet's destination is in the first cache
/// when it is looked up, and does not come from a long array as it would here.
class Homes {
  public:
    explicit Homes(std::uint64_t homes) : homes_(homes) {
        keys_.fill(home(0));
        for (std::size_t i = 0; i < keys_.size(); ++i) pointers_[i] = &keys_[i];
    }
    /// The next `count` homes, at most 64.
    const Ipv6Address* const* next(unsigned count) {
        for (unsigned i = 0; i < count; ++i) {
            state_ = state_ * 6364136223846793005u + 1442695040888963407u;  // Knuth's MMIX
            store_be64(keys_[i].bytes.data() + 8, (state_ >> 32) * homes_ >> 32);
        }
        return pointers_.data();
    }

  private:
    std::uint64_t homes_;
    std::uint64_t state_ = 1;
    std::array<Ipv6Address, 64> keys_;
    std::array<const Ipv6Address*, 64> pointers_;
};

/// Median over the rounds: one in which the core was taken away does not count.
void report(benchmark::State& state, std::vector<std::uint64_t>& rounds, std::uint64_t lookups) {
    if (rounds.empty()) return;
    const auto middle = rounds.begin() + static_cast<std::ptrdiff_t>(rounds.size() / 2);
    std::nth_element(rounds.begin(), middle, rounds.end());
    state.counters["cycles/lookup"] = static_cast<double>(*middle) / static_cast<double>(lookups);
}

/// Runs lookup(keys, count) in bursts of random homes; it must return the number of hits.
template <class Lookup>
void run(benchmark::State& state, std::uint64_t homes, unsigned burst, Lookup&& lookup) {
    constexpr unsigned kBursts = 256;
    Homes keys(homes);
    std::uint64_t lookups = 0;
    std::uint64_t hits = 0;
    std::vector<std::uint64_t> rounds;
    for (auto _ : state) {
        const std::uint64_t begin = rte_rdtsc();
        for (unsigned i = 0; i < kBursts; ++i) hits += lookup(keys.next(burst), burst);
        rounds.push_back(rte_rdtsc() - begin);
        lookups += std::uint64_t{kBursts} * burst;
    }
    if (hits != lookups) state.SkipWithError("a home was not found");
    report(state, rounds, std::uint64_t{kBursts} * burst);
}

void fill(BindingTable& table, std::uint64_t homes) {
    for (std::uint64_t n = 0; n < homes; ++n) {
        Binding binding{};
        binding.home_address = home(n);
        binding.counter_index = static_cast<std::uint32_t>(n);
        (void)table.put(binding);
    }
}

void binding_table_bulk(benchmark::State& state) {
    const auto homes = static_cast<std::uint64_t>(state.range(0));
    const auto burst = static_cast<unsigned>(state.range(1));
    Reclaimer reclaimer(nullptr);
    BindingTable table(static_cast<std::uint32_t>(homes), reclaimer);
    fill(table, homes);
    std::array<std::uint32_t, 64> slots;
    run(state, homes, burst, [&](const Ipv6Address* const* keys, unsigned count) {
        std::uint64_t hits = table.find_bulk(keys, count, slots.data());
        unsigned found = 0;
        for (unsigned i = 0; i < count; ++i) {
            found += table.at(slots[i]).adjacency == 0;  // the line is used, as it is in a stage
        }
        benchmark::DoNotOptimize(hits);
        return found;
    });
}

/// The same lookups while another thread moves `range(2)` bindings a second, as the main lcore does
/// it. Wants a second CPU.
void binding_table_while_changed(benchmark::State& state) {
    const auto homes = static_cast<std::uint64_t>(state.range(0));
    const auto burst = static_cast<unsigned>(state.range(1));
    const auto per_second = static_cast<double>(state.range(2));
    std::unique_ptr<rte_rcu_qsbr, decltype(&std::free)> readers(
        static_cast<rte_rcu_qsbr*>(std::aligned_alloc(64, rte_rcu_qsbr_get_memsize(1))), std::free);
    if (!readers || rte_rcu_qsbr_init(readers.get(), 1) != 0) {
        state.SkipWithError("no memory");
        return;
    }
    Reclaimer reclaimer(readers.get());
    BindingTable table(static_cast<std::uint32_t>(homes), reclaimer);
    fill(table, homes);
    rte_rcu_qsbr_thread_register(readers.get(), 0);
    rte_rcu_qsbr_thread_online(readers.get(), 0);
    std::atomic<bool> stops{false};
    std::uint64_t changed = 0;
    double seconds = 0;
    std::thread writer([&] {
        std::mt19937_64 random(2);
        const auto start = std::chrono::steady_clock::now();
        while (!stops.load(std::memory_order_relaxed)) {
            seconds =
                std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
            for (; static_cast<double>(changed) < seconds * per_second; ++changed) {
                Binding binding{};
                binding.home_address = home(random() % homes);
                binding.counter_index = static_cast<std::uint32_t>(changed);
                (void)table.put(binding);
            }
            reclaimer.poll();
        }
    });
    std::array<std::uint32_t, 64> slots;
    unsigned calls = 0;
    run(state, homes, burst, [&](const Ipv6Address* const* keys, unsigned count) {
        const std::uint64_t hits = table.find_bulk(keys, count, slots.data());
        unsigned found = 0;
        for (unsigned i = 0; i < count; ++i) found += table.at(slots[i]).adjacency == 0;
        benchmark::DoNotOptimize(hits);
        if (++calls % 16 == 0) rte_rcu_qsbr_quiescent(readers.get(), 0);
        return found;
    });
    rte_rcu_qsbr_thread_offline(readers.get(), 0);
    stops = true;
    writer.join();
    rte_rcu_qsbr_thread_unregister(readers.get(), 0);
    reclaimer.synchronize();  // before the table that it frees slots of
    state.counters["changes/s"] = seconds > 0 ? static_cast<double>(changed) / seconds : 0;
}

void binding_table_single(benchmark::State& state) {
    const auto homes = static_cast<std::uint64_t>(state.range(0));
    Reclaimer reclaimer(nullptr);
    BindingTable table(static_cast<std::uint32_t>(homes), reclaimer);
    fill(table, homes);
    run(state, homes, 32, [&](const Ipv6Address* const* keys, unsigned count) {
        unsigned found = 0;
        for (unsigned i = 0; i < count; ++i) found += table.find(*keys[i]) != kNoSlot;
        return found;
    });
}

void rte_hash_lookup_bulk(benchmark::State& state) {
    const auto homes = static_cast<std::uint64_t>(state.range(0));
    const auto burst = static_cast<unsigned>(state.range(1));
    rte_hash_parameters parameters{};
    parameters.name = "bench";
    parameters.entries = static_cast<std::uint32_t>(std::max<std::uint64_t>(homes * 5 / 4, 64));
    parameters.key_len = 16;
    parameters.hash_func = rte_hash_crc;
    parameters.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF;
    std::unique_ptr<rte_hash, decltype(&rte_hash_free)> table(rte_hash_create(&parameters),
                                                              rte_hash_free);
    if (!table) {
        state.SkipWithError("no memory for rte_hash");
        return;
    }
    for (std::uint64_t n = 0; n < homes; ++n) {
        const Ipv6Address address = home(n);
        (void)rte_hash_add_key_data(table.get(), &address, reinterpret_cast<void*>(n + 1));
    }
    std::array<void*, 64> data;
    run(state, homes, burst, [&](const Ipv6Address* const* keys, unsigned count) {
        std::uint64_t hits = 0;
        auto** const pointers =
            const_cast<const void**>(reinterpret_cast<const void* const*>(keys));
        rte_hash_lookup_bulk_data(table.get(), pointers, count, &hits, data.data());
        return static_cast<unsigned>(__builtin_popcountll(hits));
    });
}

/// Destinations spread over `range(0)` /64 routes and a default route.
void fib_bulk(benchmark::State& state) {
    const auto routes = static_cast<std::uint32_t>(state.range(0));
    const auto burst = static_cast<unsigned>(state.range(1));
    Reclaimer reclaimer(nullptr);
    Fib fib(routes + 1, reclaimer);
    Route route{};
    (void)fib.of_family(6).put(route);
    route.length = 64;
    for (std::uint32_t n = 0; n < routes; ++n) {
        route.prefix = home(0);
        store_be32(route.prefix.bytes.data() + 4, n);
        (void)fib.of_family(6).put(route);
    }
    std::mt19937_64 random(1);
    std::vector<Ipv6Address> keys(1u << 14, home(7));
    std::vector<const Ipv6Address*> pointers;
    for (Ipv6Address& key : keys) {
        store_be32(key.bytes.data() + 4, static_cast<std::uint32_t>(random() % routes));
        pointers.push_back(&key);
    }
    std::array<const Route*, 64> found;
    std::vector<std::uint64_t> rounds;
    for (auto _ : state) {
        const std::uint64_t begin = rte_rdtsc();
        for (std::size_t next = 0; next + burst <= keys.size(); next += burst) {
            fib.find_bulk_v6(pointers.data() + next, burst, found.data());
            benchmark::DoNotOptimize(found);
        }
        rounds.push_back(rte_rdtsc() - begin);
    }
    report(state, rounds, keys.size() / burst * burst);
}

void sizes(benchmark::internal::Benchmark* which) {
    for (const int homes : {1000, 100000, 1000000}) {
        for (const int burst : {32, 64}) which->Args({homes, burst});
    }
    which->ArgNames({"homes", "burst"});
}

BENCHMARK(binding_table_bulk)->Apply(sizes);
BENCHMARK(binding_table_while_changed)
    ->ArgNames({"homes", "burst", "changes"})
    ->Args({1000, 32, 100000})
    ->Args({100000, 32, 100000})
    ->Args({1000000, 32, 100000})
    ->UseRealTime();
BENCHMARK(rte_hash_lookup_bulk)->Apply(sizes);
BENCHMARK(binding_table_single)->Arg(1000)->Arg(100000)->Arg(1000000);
BENCHMARK(fib_bulk)->Args({10, 64})->Args({1000, 64})->Args({50000, 64});

}  // namespace
}  // namespace homeport::table

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    std::vector<const char*> eal{argv[0], "--log-level=error", "--no-pci", "--no-telemetry", "-l",
                                 "0",     "--no-shconf"};
    if (argc > 1 && std::strcmp(argv[1], "--") == 0) {
        eal.insert(eal.end(), argv + 2, argv + argc);
    } else {
        for (const char* const argument : {"--no-huge", "-m", "512"}) eal.push_back(argument);
    }
    if (rte_eal_init(static_cast<int>(eal.size()), const_cast<char**>(eal.data())) < 0) return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}

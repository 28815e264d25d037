// SPDX-License-Identifier: BSD-3-Clause
// What a source and a sink cost without anything between them: receives on DPDK port 0, sends on
// port 1, and prints for each second: packets, nanoseconds that the thread had the CPU, TSC
// frequency. The yardstick of tools/traffic/bench.
//
//   source-and-sink SECONDS BUFFERS EAL-ARGUMENTS...
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <time.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

bool start_port(std::uint16_t port, rte_mempool* pool) {
    rte_eth_conf conf;
    std::memset(&conf, 0, sizeof conf);
    return rte_eth_dev_configure(port, 1, 1, &conf) == 0 &&
           rte_eth_rx_queue_setup(port, 0, 512, 0, nullptr, pool) == 0 &&
           rte_eth_tx_queue_setup(port, 0, 512, 0, nullptr) == 0 && rte_eth_dev_start(port) == 0;
}

std::uint64_t cpu_nanoseconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<std::uint64_t>(time.tv_sec) * 1000000000 +
           static_cast<std::uint64_t>(time.tv_nsec);
}

void run(std::uint64_t seconds) {
    constexpr std::uint16_t kBurst = 64;
    std::array<rte_mbuf*, kBurst> packets;
    const std::uint64_t hz = rte_get_tsc_hz();
    for (std::uint64_t second = 0; second < seconds; ++second) {
        std::uint64_t count = 0;
        const std::uint64_t cpu_start = cpu_nanoseconds();
        const std::uint64_t start = rte_rdtsc();
        std::uint64_t now = start;
        while (now - start < hz) {
            for (int round = 0; round < 64; ++round) {
                const std::uint16_t received = rte_eth_rx_burst(0, 0, packets.data(), kBurst);
                const std::uint16_t sent = rte_eth_tx_burst(1, 0, packets.data(), received);
                if (sent < received) rte_pktmbuf_free_bulk(&packets[sent], received - sent);
                count += received;
            }
            now = rte_rdtsc();
        }
        std::printf("%lu %lu %lu\n", count, cpu_nanoseconds() - cpu_start, hz);
        std::fflush(stdout);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 4) {
        std::fprintf(stderr, "usage: source-and-sink SECONDS BUFFERS EAL-ARGUMENTS...\n");
        return 2;
    }
    const auto seconds = std::strtoull(argv[1], nullptr, 10);
    const auto buffers = static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10));
    if (rte_eal_init(argc - 2, argv + 2) < 0) return 1;
    rte_mempool* const pool =
        rte_pktmbuf_pool_create("packets", buffers, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    if (pool == nullptr || !start_port(0, pool) || !start_port(1, pool)) {
        std::fprintf(stderr, "source-and-sink: pool or ports cannot be set up\n");
        return 1;
    }
    run(seconds);
    rte_eal_cleanup();
    return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
// The other end of a data plane that is measured: sends the numbered and time-stamped packets of a
// path at a steady rate to DPDK port 0, and counts what comes back by port 1 (by port 0 if there is
// no other). One thread does both. Driven by tools/traffic/throughput.
//
//   generator PATH NODES ALGORITHM SIZE[,SIZE...]|imix through|unchanged EAL-ARGUMENTS...
//
// `unchanged`: what answers only sends frames on. Prints {"ready": ...} when both links are up,
// then a line of JSON for each line of standard input:
//
//   trial PACKETS-PER-SECOND SECONDS
//
// sent: offered, with those that found the ring to the data plane full (refused); lost: of them,
// what did not come back within 20 ms after the last one that did; given_up: not offered because
// the generator was late; longest_pause_us: between two looks at its ports. Latency is from just
// before a packet is put into the ring to the data plane to just after it was taken from the ring
// back.
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "tools/traffic/frames.hpp"
#include "tools/traffic/patterns.hpp"
#include "tools/traffic/tally.hpp"

namespace {

using namespace homeport;  // NOLINT(google-build-using-namespace): a small program

constexpr std::uint16_t kBurst = 32;
constexpr unsigned kBuffers = 8191;
constexpr unsigned kWords = 6;  // of the command line, before EAL's
constexpr double kMostPerSecond = 1e9;
constexpr double kMostSeconds = 600;

[[noreturn]] void fail_with(const std::string& text) {
    std::fprintf(stderr, "generator: %s\n", text.c_str());
    std::exit(1);
}

struct Wanted {
    traffic::Path path{};
    std::uint32_t nodes = 0;
    ipsec::Algorithm algorithm{};
    std::vector<std::uint32_t> sizes;
    bool unchanged = false;
};

Wanted wanted_of(char** words) {
    Wanted wanted;
    const auto path = traffic::parse_path(words[1]);
    if (!path) fail_with(std::string(words[1]) + ": expected a path, P1 and so on");
    wanted.path = *path;
    wanted.nodes = static_cast<std::uint32_t>(std::strtoul(words[2], nullptr, 10));
    if (wanted.nodes == 0) fail_with(std::string(words[2]) + ": expected a number of nodes");
    const auto algorithm = ipsec::parse_algorithm(words[3]);
    if (!algorithm) fail_with(std::string(words[3]) + ": expected an ESP algorithm");
    wanted.algorithm = *algorithm;
    wanted.sizes = traffic::parse_sizes(words[4]);
    if (wanted.sizes.empty()) {
        fail_with(std::string(words[4]) + ": expected sizes of 64 to 9000, or imix");
    }
    const std::string how = words[5];
    if (how != "through" && how != "unchanged") {
        fail_with(how + ": expected through or unchanged");
    }
    wanted.unchanged = how == "unchanged";
    return wanted;
}

void start_port(std::uint16_t port, rte_mempool* pool) {
    rte_eth_conf conf;
    std::memset(&conf, 0, sizeof conf);
    if (rte_eth_dev_configure(port, 1, 1, &conf) != 0 ||
        rte_eth_rx_queue_setup(port, 0, 1024, 0, nullptr, pool) != 0 ||
        rte_eth_tx_queue_setup(port, 0, 1024, 0, nullptr) != 0 || rte_eth_dev_start(port) != 0) {
        fail_with("port " + std::to_string(port) + " cannot be set up");
    }
}

bool is_up(std::uint16_t port) {
    rte_eth_link link;
    std::memset(&link, 0, sizeof link);
    return rte_eth_link_get_nowait(port, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

/// Both ends of a memif have to find each other.
void wait_for_link(std::uint16_t port) {
    for (unsigned tries = 0; tries < 1000; ++tries) {
        if (is_up(port)) return;
        rte_delay_us_sleep(10000);
    }
    fail_with("port " + std::to_string(port) + ": no link within 10 s; is the other end there?");
}

struct Trial {
    std::uint64_t sent = 0, refused = 0;
    std::uint64_t longest_pause = 0;  // TSC cycles
    double seconds = 0;               // of sending
};

class Generator {
  public:
    explicit Generator(const Wanted& wanted);
    void open();
    void run(double per_second, double seconds);
    [[nodiscard]] double mean_octets() const { return patterns_->mean_octets(); }

  private:
    void send(Trial& trial, std::uint16_t count);
    bool collect();
    void drain(Trial& trial);
    /// The time now; notes how long it has been.
    std::uint64_t look(Trial& trial) {
        const std::uint64_t now = rte_rdtsc();
        trial.longest_pause = std::max(trial.longest_pause, now - last_look_);
        last_look_ = now;
        return now;
    }
    void print(const Trial& trial, double per_second, const traffic::Pacer& pacer) const;

    std::unique_ptr<traffic::Patterns> patterns_;
    std::unique_ptr<traffic::Tally> tally_;
    std::vector<std::uint32_t> nodes_;
    std::size_t next_node_ = 0;
    std::size_t next_pick_ = 0;
    std::uint32_t pass_ = 1;  // number of every node's next packet under ESP
    std::uint16_t trial_ = 0;
    std::uint32_t number_ = 0;
    std::uint16_t to_ = 0;
    std::uint16_t from_ = 0;
    rte_mempool* pool_ = nullptr;
    std::uint64_t last_look_ = 0;
    unsigned rounds_ = 0;
};

Generator::Generator(const Wanted& wanted) : nodes_(traffic::random_order(wanted.nodes)) {
    auto patterns = traffic::Patterns::create({.path = wanted.path,
                                               .algorithm = wanted.algorithm,
                                               .sizes = wanted.sizes,
                                               .workers = 1,
                                               .stamped = true});
    if (!patterns) fail_with(patterns.error());
    patterns_ = std::move(*patterns);
    auto tally = traffic::Tally::create(
        {.path = wanted.path, .algorithm = wanted.algorithm, .unchanged = wanted.unchanged});
    if (!tally) fail_with(tally.error());
    tally_ = std::move(*tally);
    for (std::size_t pattern = 0; pattern < wanted.sizes.size(); ++pattern) {
        if (patterns_->octets(pattern) > RTE_MBUF_DEFAULT_DATAROOM) {
            fail_with("frames of " + std::to_string(patterns_->octets(pattern)) +
                      " octets: expected at most " + std::to_string(RTE_MBUF_DEFAULT_DATAROOM));
        }
    }
}

void Generator::open() {
    if (rte_eth_dev_count_avail() == 0) fail_with("no port: expected one or two --vdev");
    pool_ = rte_pktmbuf_pool_create("packets", kBuffers, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    if (pool_ == nullptr) fail_with("no memory for packets");
    from_ = rte_eth_dev_count_avail() > 1 ? 1 : 0;
    start_port(to_, pool_);
    if (from_ != to_) start_port(from_, pool_);
    wait_for_link(to_);
    wait_for_link(from_);
}

void Generator::send(Trial& trial, std::uint16_t count) {
    std::array<rte_mbuf*, kBurst> packets;
    if (rte_pktmbuf_alloc_bulk(pool_, packets.data(), count) != 0) fail_with("buffers are lost");
    traffic::Stamp stamp{.trial = trial_, .time = static_cast<std::uint32_t>(rte_rdtsc())};
    for (std::uint16_t i = 0; i < count; ++i) {
        const std::size_t pattern = patterns_->pick(next_pick_++);
        stamp.number = number_++;
        patterns_->write(pattern, rte_pktmbuf_mtod(packets[i], std::uint8_t*), nodes_[next_node_],
                         pass_, &stamp);
        packets[i]->data_len = static_cast<std::uint16_t>(patterns_->octets(pattern));
        packets[i]->pkt_len = packets[i]->data_len;
        if (++next_node_ == nodes_.size()) {
            next_node_ = 0;
            ++pass_;
        }
    }
    const std::uint16_t taken = rte_eth_tx_burst(to_, 0, packets.data(), count);
    if (taken < count) rte_pktmbuf_free_bulk(&packets[taken], count - taken);
    trial.sent += count;
    trial.refused += count - taken;
}

/// True: something came back.
bool Generator::collect() {
    std::array<rte_mbuf*, kBurst> packets;
    const std::uint16_t count = rte_eth_rx_burst(from_, 0, packets.data(), kBurst);
    const auto now = static_cast<std::uint32_t>(rte_rdtsc());
    for (std::uint16_t i = 0; i < count; ++i) {
        tally_->take({rte_pktmbuf_mtod(packets[i], const std::uint8_t*), packets[i]->data_len},
                     now);
    }
    if (count != 0) rte_pktmbuf_free_bulk(packets.data(), count);
    if (from_ != to_ && (++rounds_ & 0xfff) == 0) {
        // What the data plane sends of its own to where packets come from.
        const std::uint16_t own = rte_eth_rx_burst(to_, 0, packets.data(), kBurst);
        if (own != 0) rte_pktmbuf_free_bulk(packets.data(), own);
    }
    return count != 0;
}

/// Until nothing has come for 20 ms; a second at most.
void Generator::drain(Trial& trial) {
    const std::uint64_t hz = rte_get_tsc_hz();
    const std::uint64_t start = last_look_;
    std::uint64_t quiet_since = start;
    for (std::uint64_t now = start; now - quiet_since < hz / 50 && now - start < hz;
         now = look(trial)) {
        const std::uint64_t before = tally_->received();
        collect();
        if (tally_->received() != before) quiet_since = now;
    }
}

void Generator::run(double per_second, double seconds) {
    const auto hz = static_cast<double>(rte_get_tsc_hz());
    tally_->begin(++trial_);
    number_ = 0;
    Trial trial;
    const std::uint64_t start = rte_rdtsc();
    last_look_ = start;
    traffic::Pacer pacer(start, hz / per_second);
    const std::uint64_t end = start + static_cast<std::uint64_t>(seconds * hz);
    for (std::uint64_t now = start; now < end; now = look(trial)) {
        const auto count =
            static_cast<std::uint16_t>(std::min<std::uint64_t>(pacer.due(now), kBurst));
        if (count != 0) {
            send(trial, count);
            pacer.sent(count);
        }
        collect();
    }
    trial.seconds = static_cast<double>(last_look_ - start) / hz;
    drain(trial);
    print(trial, per_second, pacer);
}

void Generator::print(const Trial& trial, double per_second, const traffic::Pacer& pacer) const {
    const double us = 1e6 / static_cast<double>(rte_get_tsc_hz());
    const traffic::Delays& delays = tally_->delays();
    std::printf(
        "{\"wanted_pps\": %.0f, \"seconds\": %.6f, \"sent\": %lu, \"refused\": %lu, "
        "\"received\": %lu, \"lost\": %ld, \"given_up\": %lu, \"reordered\": %lu, "
        "\"stale\": %lu, \"foreign\": %lu, \"longest_pause_us\": %.1f, \"samples\": %lu, "
        "\"latency_us\": {",
        per_second, trial.seconds, trial.sent, trial.refused, tally_->received(),
        static_cast<long>(trial.sent) - static_cast<long>(tally_->received()), pacer.given_up(),
        tally_->reordered(), tally_->stale(), tally_->foreign(),
        static_cast<double>(trial.longest_pause) * us, delays.total());
    for (const auto& [name, share] : {std::pair("p50", 0.5), std::pair("p90", 0.9),
                                      std::pair("p99", 0.99), std::pair("p99.9", 0.999)}) {
        std::printf("\"%s\": %.2f, ", name, delays.percentile(share) * us);
    }
    std::printf("\"max\": %.2f}}\n", delays.longest() * us);
    std::fflush(stdout);
}

void serve(Generator& generator) {
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream words(line);
        std::string verb, rest;
        double per_second = 0, seconds = 0;
        if (!(words >> verb >> per_second >> seconds) || words >> rest || verb != "trial" ||
            !(per_second > 0 && per_second <= kMostPerSecond) ||
            !(seconds > 0 && seconds <= kMostSeconds)) {
            std::printf(
                "{\"error\": \"expected: trial PACKETS-PER-SECOND SECONDS, more than 0, at most "
                "1e9 and 600\"}\n");
            std::fflush(stdout);
            continue;
        }
        generator.run(per_second, seconds);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc <= static_cast<int>(kWords)) {
        std::fprintf(stderr,
                     "usage: generator PATH NODES ALGORITHM SIZE[,SIZE...]|imix "
                     "through|unchanged EAL-ARGUMENTS...\n");
        return 2;
    }
    const Wanted wanted = wanted_of(argv);
    Generator generator(wanted);
    argv[kWords - 1] = argv[0];
    if (rte_eal_init(argc - static_cast<int>(kWords) + 1, argv + kWords - 1) < 0) return 1;
    generator.open();
    std::printf("{\"ready\": true, \"tsc_hz\": %lu, \"octets\": %.1f}\n", rte_get_tsc_hz(),
                generator.mean_octets());
    std::fflush(stdout);
    serve(generator);
    std::fflush(stdout);
    _exit(0);  // nothing here is worth an orderly end of DPDK
}

// SPDX-License-Identifier: BSD-3-Clause
// What a packet of each path costs the worker, stage by stage, in this process and without a
// driver: natively in TSC cycles, under callgrind in instructions (tests/bench/instructions reads
// those).
//
//   bench-paths [--paths P1,P3,...] [--bindings N] [--size 64|...|imix] [--batches N]
//               [--algorithm NAME] [--window N] [--cpu auto|sse|avx|avx2|avx512]
//
// Batches of 64 packets, homes in random order. Each batch is copied into fresh buffers before it
// is run, as a driver would; that is not counted. Inbound ESP is numbered, its replay window on.
// Where a cvc path and its three steps are among the paths, their sum is set beside the one pass:
//   bench-paths --paths iha-out,P32,xha-out,cvc-out,xha-in,P31,iha-in,cvc-in
#include <rte_cycles.h>
#include <sys/random.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#define HOMEPORT_COUNT() CALLGRIND_TOGGLE_COLLECT
#define HOMEPORT_NOTE(text) CALLGRIND_DUMP_STATS_AT(text)
#else
#define HOMEPORT_COUNT() (void)0
#define HOMEPORT_NOTE(text) (void)(text)
#endif

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <random>
#include <sstream>

#include "dataplane/stage/driver.hpp"
#include "tests/bench/home_agent_bench.hpp"
#include "tools/traffic/frames.hpp"

// The seeds of the tables and of IVs: the same in every run, so that the counts are.
extern "C" ssize_t getrandom(void* buffer, size_t length, unsigned) {
    std::memset(buffer, 0x5a, length);
    return static_cast<ssize_t>(length);
}

namespace homeport::bench {
namespace {

struct Wanted {
    std::vector<traffic::Path> paths;
    std::vector<std::uint32_t> sizes{64};
    traffic::Setting setting{.replay_window = 1024};
    std::uint32_t batches = 2000;
    config::CryptoCpu cpu = config::CryptoCpu::kAuto;
};

// Batches that are not counted: until IPsec remembers flows, and has seen each of 1 k.
constexpr std::uint32_t kWarmUp = 200;

[[noreturn]] void fail(const std::string& text) {
    std::fprintf(stderr, "bench-paths: %s\n", text.c_str());
    std::exit(1);
}

class Run {
  public:
    Run(const Wanted& wanted, traffic::Path path) : wanted_(wanted), path_(path) {
        traffic::Setting setting = wanted.setting;
        setting.path = path;
        auto made = HomeAgent::create(setting, wanted.cpu);
        if (!made) fail(made.error());
        home_agent_ = std::move(*made);
        auto maker = traffic::FrameMaker::create(path, setting.algorithm);
        if (!maker) fail(maker.error());
        maker_ = std::move(*maker);
        if (path == traffic::Path::kP13u) teach();
    }

    /// Cycles a packet.
    double measure() {
        order_ = traffic::random_order(wanted_.setting.bindings);
        for (std::uint32_t i = 0; i < kWarmUp; ++i) run_batch(false);
        const std::uint64_t before = home_agent_->count(channel::Counter::kTxPort);
        for (std::uint32_t i = 0; i < wanted_.batches; ++i) run_batch(true);
        const std::string name(traffic::name_of(path_));
        HOMEPORT_NOTE(name.c_str());
        if (home_agent_->count(channel::Counter::kTxPort) - before !=
            std::uint64_t{wanted_.batches} * stage::kBatchSize) {
            fail(name + ": not what was to be measured: " + home_agent_->counters());
        }
        return print();
    }

  private:
    /// One packet of each node by UDP 4500 shows its mapping.
    void teach() {
        auto inbound = traffic::FrameMaker::create(traffic::Path::kP13i, wanted_.setting.algorithm);
        if (!inbound) fail(inbound.error());
        for (std::uint32_t node = 0; node < wanted_.setting.bindings; ++node) {
            auto frame = (*inbound)->frame(node, 64);
            if (!frame) fail(frame.error());
            rte_mbuf* const packet = home_agent_->buffer(*frame);
            if (packet == nullptr) fail("no buffers");
            home_agent_->run(std::span(&packet, 1));
        }
    }

    void run_batch(bool counted) {
        std::array<rte_mbuf*, stage::kBatchSize> batch{};
        for (rte_mbuf*& packet : batch) {
            const std::uint32_t size = wanted_.sizes[random_() % wanted_.sizes.size()];
            auto frame = maker_->frame(order_[next_++ % order_.size()], size);
            if (!frame) fail(frame.error());
            packet = home_agent_->buffer(*frame);
            if (packet == nullptr) fail("no buffers");
        }
        std::array<std::uint64_t, stage::kStageCount> before{};
        for (std::size_t id = 0; id < before.size(); ++id) {
            before[id] = home_agent_->stages()[id].cycles;
        }
        const std::uint64_t start = rte_rdtsc();
        if (counted) HOMEPORT_COUNT();
        home_agent_->run(batch);
        if (counted) HOMEPORT_COUNT();
        const std::uint64_t end = rte_rdtsc();
        if (!counted) return;
        whole_.push_back(end - start);
        for (std::size_t id = 0; id < before.size(); ++id) {
            by_stage_[id].push_back(home_agent_->stages()[id].cycles - before[id]);
        }
    }

    /// The median of the batches: one that was interrupted tells nothing.
    static double a_packet(std::vector<std::uint64_t>& batches) {
        const auto middle = batches.begin() + static_cast<std::ptrdiff_t>(batches.size() / 2);
        std::ranges::nth_element(batches, middle);
        return static_cast<double>(*middle) / stage::kBatchSize;
    }

    double print() {
        const std::string name(traffic::name_of(path_));
        const double whole = a_packet(whole_);
        std::printf("%-8s %8.1f ", name.c_str(), whole);
        const auto names = stage::stage_names();
        for (std::size_t id = 0; id < stage::kStageCount; ++id) {
            const double cycles = a_packet(by_stage_[id]);
            if (cycles > 0) std::printf(" %s %.1f", names[id].c_str(), cycles);
        }
        std::printf("\n");
        std::fflush(stdout);
        return whole;
    }

    const Wanted& wanted_;
    traffic::Path path_;
    std::unique_ptr<HomeAgent> home_agent_;
    std::unique_ptr<traffic::FrameMaker> maker_;
    std::vector<std::uint32_t> order_;
    std::size_t next_ = 0;
    std::mt19937 random_{2};
    std::vector<std::uint64_t> whole_;  // cycles of each batch
    std::array<std::vector<std::uint64_t>, stage::kStageCount> by_stage_;
};

/// What the roles do in one box and one pass, and what each of them takes alone.
struct Pass {
    traffic::Path whole;
    std::array<traffic::Path, 3> steps;  // in the order in which a packet takes them
};
constexpr std::array kPasses{
    Pass{traffic::Path::kCvcOut,
         {traffic::Path::kInternalOut, traffic::Path::kP32, traffic::Path::kExternalOut}},
    Pass{traffic::Path::kCvcIn,
         {traffic::Path::kExternalIn, traffic::Path::kP31, traffic::Path::kInternalIn}}};

void compare(const Pass& pass, const std::map<traffic::Path, double>& cycles) {
    const auto whole = cycles.find(pass.whole);
    if (whole == cycles.end()) return;
    double sum = 0;
    std::string names;
    for (const traffic::Path step : pass.steps) {
        const auto found = cycles.find(step);
        if (found == cycles.end()) return;
        sum += found->second;
        names += (names.empty() ? "" : " + ") + std::string(traffic::name_of(step));
    }
    std::printf("%s in one pass %.1f, %s %.1f: %.2f of the sum\n",
                std::string(traffic::name_of(pass.whole)).c_str(), whole->second, names.c_str(),
                sum, whole->second / sum);
}

std::uint32_t number(const std::string& text) {
    char* end = nullptr;
    const unsigned long value = std::strtoul(text.c_str(), &end, 10);
    if (text.empty() || *end != 0 || value > 10'000'000) fail("not a number: " + text);
    return static_cast<std::uint32_t>(value);
}

std::vector<traffic::Path> parse_paths(const std::string& text) {
    std::vector<traffic::Path> paths;
    std::istringstream words(text);
    for (std::string word; std::getline(words, word, ',');) {
        const auto path = traffic::parse_path(word);
        if (!path || traffic::is_forged(*path)) fail("not a path that is measured: " + word);
        paths.push_back(*path);
    }
    return paths;
}

config::CryptoCpu parse_cpu(const std::string& text) {
    static const std::map<std::string, config::CryptoCpu> names{
        {"auto", config::CryptoCpu::kAuto},
        {"sse", config::CryptoCpu::kSse},
        {"avx", config::CryptoCpu::kAvx},
        {"avx2", config::CryptoCpu::kAvx2},
        {"avx512", config::CryptoCpu::kAvx512}};
    const auto found = names.find(text);
    if (found == names.end()) fail("not one of auto, sse, avx, avx2, avx512: " + text);
    return found->second;
}

Wanted read(int count, char** words) {
    Wanted wanted{.paths = parse_paths("P1,P2,P3,P4,P9,P9i,P10,P10i,P13,P13i,P13u")};
    for (int i = 1; i < count; i += 2) {
        const std::string option = words[i];
        if (i + 1 == count) fail(option + " needs a value");
        const std::string value = words[i + 1];
        if (option == "--paths") {
            wanted.paths = parse_paths(value);
        } else if (option == "--bindings") {
            wanted.setting.bindings = std::max(1u, number(value));
        } else if (option == "--size") {
            wanted.sizes = traffic::parse_sizes(value);
            if (wanted.sizes.empty()) fail("--size: expected octets from 64 on, or imix");
        } else if (option == "--batches") {
            wanted.batches = std::max(1u, number(value));
        } else if (option == "--window") {
            wanted.setting.replay_window = static_cast<std::uint16_t>(number(value));
        } else if (option == "--algorithm") {
            const auto algorithm = ipsec::parse_algorithm(value);
            if (!algorithm) fail("not an algorithm: " + value);
            wanted.setting.algorithm = *algorithm;
        } else if (option == "--cpu") {
            wanted.cpu = parse_cpu(value);
        } else {
            fail("not known: " + option);
        }
    }
    return wanted;
}

}  // namespace
}  // namespace homeport::bench

int main(int count, char** words) {
    using namespace homeport::bench;
    const Wanted wanted = read(count, words);
    if (!start_environment()) fail("DPDK does not start");
    std::printf("path     cycles a packet, then stage by stage\n");
    std::map<homeport::traffic::Path, double> cycles;
    for (const homeport::traffic::Path path : wanted.paths) {
        cycles[path] = Run(wanted, path).measure();
    }
    for (const Pass& pass : kPasses) compare(pass, cycles);
    return 0;
}

// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/core/environment.hpp"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

namespace homeport::core {

std::vector<std::string> missing_cpu_features() {
    std::vector<std::string> missing;
    // The compiler says what it was allowed to use, the processor what it has.
#define HOMEPORT_NEEDS(feature) \
    if (!__builtin_cpu_supports(feature)) missing.emplace_back(feature);
#ifdef __SSE4_2__
    HOMEPORT_NEEDS("sse4.2")
#endif
#ifdef __POPCNT__
    HOMEPORT_NEEDS("popcnt")
#endif
#ifdef __AVX__
    HOMEPORT_NEEDS("avx")
#endif
#ifdef __AVX2__
    HOMEPORT_NEEDS("avx2")
#endif
#ifdef __BMI2__
    HOMEPORT_NEEDS("bmi2")
#endif
#ifdef __FMA__
    HOMEPORT_NEEDS("fma")
#endif
#ifdef __AVX512F__
    HOMEPORT_NEEDS("avx512f")
#endif
#ifdef __AVX512BW__
    HOMEPORT_NEEDS("avx512bw")
#endif
#ifdef __AVX512VL__
    HOMEPORT_NEEDS("avx512vl")
#endif
#ifdef __VAES__
    HOMEPORT_NEEDS("vaes")
#endif
#undef HOMEPORT_NEEDS
    return missing;
}

std::vector<unsigned> allowed_cpus() {
    cpu_set_t set;
    CPU_ZERO(&set);
    std::vector<unsigned> cpus;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
    return cpus;
}

std::uint64_t free_huge_page_octets() {
    std::uint64_t octets = 0;
    std::error_code code;
    const std::filesystem::path root = "/sys/kernel/mm/hugepages";
    for (std::filesystem::directory_iterator entry(root, code), end; !code && entry != end;
         entry.increment(code)) {
        const std::string name = entry->path().filename().string();
        constexpr std::string_view kPrefix = "hugepages-";
        if (!name.starts_with(kPrefix)) continue;
        const std::uint64_t kilobytes = std::strtoull(name.c_str() + kPrefix.size(), nullptr, 10);
        std::uint64_t pages = 0;
        std::ifstream(entry->path() / "free_hugepages") >> pages;
        octets += pages * kilobytes * 1024;
    }
    return octets;
}

namespace {

bool contains(const std::vector<unsigned>& list, unsigned value) {
    return std::ranges::find(list, value) != list.end();
}

std::string list_of(const std::vector<unsigned>& numbers) {
    std::string text;
    for (const unsigned number : numbers) {
        text += (text.empty() ? "" : ",") + std::to_string(number);
    }
    return text;
}

LcorePlan floating(LcorePlan plan, const std::vector<unsigned>& cpus) {
    std::vector<unsigned> lcores = plan.workers;
    lcores.push_back(plan.main_lcore);
    std::ranges::sort(lcores);
    plan.eal_argument = "(" + list_of(lcores) + ")@(" + list_of(cpus) + ")";
    plan.warning = std::to_string(lcores.size()) + " lcores (" + list_of(lcores) + ") share " +
                   std::to_string(cpus.size()) + " CPU(s) (" + list_of(cpus) +
                   "): workers that poll without rest take them from each other; leave "
                   "idle_backoff on";
    return plan;
}

}  // namespace

std::expected<LcorePlan, std::string> plan_lcores(const config::DataplaneConfig& config,
                                                  const std::vector<unsigned>& cpus) {
    constexpr unsigned kMaxLcores = 128;  // of DPDK as Debian builds it
    LcorePlan plan;
    plan.main_lcore = config.main_lcore;
    if (!config.workers.lcores.empty()) {
        plan.workers = config.workers.lcores;
    } else {
        // CPUs first that are there, then any numbers.
        for (const unsigned cpu : cpus) {
            if (plan.workers.size() < config.workers.count && cpu != plan.main_lcore) {
                plan.workers.push_back(cpu);
            }
        }
        for (unsigned lcore = 0; plan.workers.size() < config.workers.count; ++lcore) {
            if (lcore != plan.main_lcore && !contains(plan.workers, lcore)) {
                plan.workers.push_back(lcore);
            }
        }
    }
    if (contains(plan.workers, plan.main_lcore)) {
        return std::unexpected("lcore " + std::to_string(plan.main_lcore) +
                               " is both main_lcore and a worker, expected another one");
    }
    for (const unsigned lcore : plan.workers) {
        if (lcore >= kMaxLcores) {
            return std::unexpected("worker lcore " + std::to_string(lcore) + ", expected 0 to 127");
        }
    }
    if (plan.workers.size() + 1 > cpus.size()) return floating(std::move(plan), cpus);
    std::vector<unsigned> lcores = plan.workers;
    lcores.push_back(plan.main_lcore);
    for (const unsigned lcore : lcores) {
        if (contains(cpus, lcore)) continue;
        if (config.workers.lcores.empty()) return floating(std::move(plan), cpus);
        return std::unexpected("lcore " + std::to_string(lcore) +
                               " has no CPU: this process may use CPUs " + list_of(cpus));
    }
    std::ranges::sort(lcores);
    for (const unsigned lcore : lcores) {
        plan.eal_argument += (plan.eal_argument.empty() ? "" : ",") + std::to_string(lcore) + "@" +
                             std::to_string(lcore);
    }
    return plan;
}

std::expected<EalPlan, std::string> plan_eal(const config::DataplaneConfig& config,
                                             const LcorePlan& lcores,
                                             const std::vector<std::string>& extra_arguments,
                                             std::uint64_t free_huge_pages) {
    EalPlan plan;
    plan.arguments = {"homeport-dataplane", "--lcores=" + lcores.eal_argument,
                      "--main-lcore=" + std::to_string(lcores.main_lcore),
                      "--file-prefix=" + config.file_prefix, "-m", std::to_string(config.memory_mb),
                      // What DPDK says of things that work, or that are tried and survived.
                      "--log-level=lib.eal:notice", "--log-level=lib.telemetry:notice",
                      "--log-level=pmd.net.tap:critical"};
    const std::uint64_t wanted = std::uint64_t{config.memory_mb} << 20;
    bool huge = config.huge_pages == config::HugePages::kOn;
    if (huge && free_huge_pages < wanted) {
        return std::unexpected("huge_pages is on and memory_mb " +
                               std::to_string(config.memory_mb) + ", but only " +
                               std::to_string(free_huge_pages >> 20) +
                               " MiB of huge pages are free (sysctl vm.nr_hugepages)");
    }
    if (config.huge_pages == config::HugePages::kAuto) huge = free_huge_pages >= wanted;
    if (huge) {
        plan.arguments.emplace_back("--in-memory");
    } else {
        plan.arguments.emplace_back("--no-huge");
        plan.arguments.emplace_back("--no-shconf");
        if (config.huge_pages == config::HugePages::kAuto) {
            plan.warning =
                "running without huge pages: " + std::to_string(free_huge_pages >> 20) +
                " MiB of them are free, memory_mb asks for " + std::to_string(config.memory_mb) +
                ". This costs up to half of the rate: lookups in large tables take 1.5 times as "
                "long, packet buffers twice. sysctl vm.nr_hugepages=" +
                std::to_string((config.memory_mb + 1) / 2) + " gives them";
        }
    }
    bool pci = false;
    for (const config::PortConfig& port : config.ports) {
        // Virtual devices are named net_..., eth_..., crypto_...; PCI addresses by hex digits.
        const std::string address = port.device.substr(0, port.device.find(','));
        if (address.find(':') == std::string::npos || address.find('_') != std::string::npos) {
            continue;
        }
        pci = true;
        plan.arguments.emplace_back("-a");
        plan.arguments.push_back(port.device);
    }
    if (!pci) plan.arguments.emplace_back("--no-pci");
    plan.arguments.insert(plan.arguments.end(), config.eal_args.begin(), config.eal_args.end());
    plan.arguments.insert(plan.arguments.end(), extra_arguments.begin(), extra_arguments.end());
    return plan;
}

}  // namespace homeport::core

// SPDX-License-Identifier: BSD-3-Clause
// What the program needs of the machine: processor, cores, huge pages, DPDK's environment.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <vector>

#include "dataplane/config/config.hpp"

namespace homeport::core {

/// Names of instruction sets that this file was compiled for and the processor lacks.
[[nodiscard]] std::vector<std::string> missing_cpu_features();

/// Which CPUs this process may use.
[[nodiscard]] std::vector<unsigned> allowed_cpus();

/// Octets of huge pages of all sizes that nobody uses, as /sys says.
[[nodiscard]] std::uint64_t free_huge_page_octets();

/// lcores and the CPUs they run on.
struct LcorePlan {
    unsigned main_lcore = 0;
    std::vector<unsigned> workers;
    std::string eal_argument;  // value of --lcores
    std::string warning;       // empty: each lcore has a CPU of its own
};
/// Each lcore on the CPU of its number; if there are too few CPUs, all of them on all CPUs. The
/// error names an lcore of the configuration that has no CPU.
[[nodiscard]] std::expected<LcorePlan, std::string> plan_lcores(
    const config::DataplaneConfig& config, const std::vector<unsigned>& cpus);

struct EalPlan {
    std::vector<std::string> arguments;  // the first one is the program's name
    std::string warning;                 // about huge pages; empty: none
};
/// The error says why there is no memory as configured.
[[nodiscard]] std::expected<EalPlan, std::string> plan_eal(
    const config::DataplaneConfig& config, const LcorePlan& lcores,
    const std::vector<std::string>& extra_arguments, std::uint64_t free_huge_pages);

}  // namespace homeport::core

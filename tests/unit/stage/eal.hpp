// SPDX-License-Identifier: BSD-3-Clause
// DPDK's environment for a test program: no hugepages, no devices, nothing shared.
#pragma once

#include <rte_eal.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>

#include "dataplane/stage/guard.hpp"
#include "dataplane/stage/stage.hpp"

namespace homeport::testing {

/// Starts the EAL once in this process; ends the program if that fails.
inline void start_eal() {
    static const bool started = [] {
        stage::guard_log();
        std::string prefix = "--file-prefix=homeport-test-" + std::to_string(getpid());
        std::array<std::string, 9> words{"test", "--no-huge",  "--no-pci",      "--no-shconf", "-m",
                                         "256",  "--lcores=0", "--log-level=4", prefix};
        std::array<char*, 9> argv{};
        for (std::size_t i = 0; i < words.size(); ++i) argv[i] = words[i].data();
        return rte_eal_init(static_cast<int>(argv.size()), argv.data()) >= 0 &&
               stage::register_packet_meta();
    }();
    if (!started) std::abort();
}

}  // namespace homeport::testing

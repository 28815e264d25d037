// SPDX-License-Identifier: BSD-3-Clause
// Proof that no stage allocates or logs: in debug builds (NDEBUG not set) the driver marks the
// thread while a stage runs, and hooks on malloc, free, their family and the log abort with a
// message when the mark is set.
#pragma once

#include <string_view>

namespace homeport::stage {

#ifdef NDEBUG
inline constexpr bool kGuarded = false;
#else
inline constexpr bool kGuarded = true;
#endif

/// Name of the stage that runs on this thread; empty: none.
extern constinit thread_local std::string_view g_running_stage;

/// Aborts, naming `what`, if a stage runs on this thread. For hooks.
void refuse_inside_stage(const char* what);

inline void enter_stage([[maybe_unused]] std::string_view name) {
    if constexpr (kGuarded) g_running_stage = name;
}
inline void leave_stage() {
    if constexpr (kGuarded) g_running_stage = {};
}

/// Sends the log of DPDK to stderr by way of a hook that knows the guard.
void guard_log();

}  // namespace homeport::stage

// SPDX-License-Identifier: BSD-3-Clause
// Threads that bring a log to where it stays.
#pragma once

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

namespace homeport::binding {

/// For the calling thread: registrations come first. A thread begins with the class of the one that
/// made it: among equals of a real-time class on one CPU none gives way, and registrations would
/// wait until a whole log is written.
inline void work_in_spare_time() {
    constexpr int kNiceness = 10;
    const sched_param none{};
    (void)::sched_setscheduler(0, SCHED_BATCH, &none);
    (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness);
}

}  // namespace homeport::binding

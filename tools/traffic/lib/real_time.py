# SPDX-License-Identifier: BSD-3-Clause
"""Who else would have a CPU before, or beside, what is measured in a real-time class."""
import os
import pathlib


def others(cpus):
    """Real-time threads of programs that may run on one of `cpus`, as "name (pid) on CPU n".

    Among equals of SCHED_FIFO none gives way: a second program that spins there stops the first one
    for as long as it likes, and signals too, its own end included."""
    found = []
    for task in pathlib.Path("/proc").glob("[0-9]*/task/[0-9]*"):
        thread = int(task.name)
        try:
            if os.sched_getscheduler(thread) not in (os.SCHED_FIFO, os.SCHED_RR):
                continue
            shared = sorted(os.sched_getaffinity(thread) & set(cpus))
            if not shared or not (task.parents[1] / "cmdline").read_bytes():
                continue  # the kernel's own
            name = (task / "comm").read_text().strip()
        except OSError:
            continue  # it has ended
        found.append(f"{name} ({thread}) on CPU {shared[0]}")
    return found

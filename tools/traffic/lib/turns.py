# SPDX-License-Identifier: BSD-3-Clause
"""Several programs on one core, in turns: all of them live, all but one stopped."""
import contextlib
import time

# Of a turn: long beside the 4 ms of the kernel's time keeping, short beside the time over which a
# shared machine changes its speed.
SECONDS = 0.1
SETTLED_AFTER = 0.01  # caches


def order(seconds):
    """Turns of one round, as indexes: the yardstick 0, then 1 and 2, `seconds` each in all, so that
    a steady change of speed meets them alike."""
    return [0, 1, 2, 2, 1] * max(2, round(seconds / SECONDS / 2))


@contextlib.contextmanager
def alive(starts):
    """Starts the programs one after the other, each stopped before the next one starts."""
    with contextlib.ExitStack() as stack:
        programs = []
        for start in starts:
            program = stack.enter_context(start())
            program.process.pause()
            programs.append(program)
        yield programs


def round_of(programs, indexes):
    """The samples before and after each turn, by program: a list for each."""
    samples = [[] for _ in programs]
    for index in indexes:
        program = programs[index]
        program.process.resume()
        time.sleep(SETTLED_AFTER)
        before = program.sample()
        time.sleep(SECONDS)
        samples[index].append((before, program.sample()))
        program.process.pause()
    return samples

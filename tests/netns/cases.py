# SPDX-License-Identifier: BSD-3-Clause
"""Runs the cases of one test file, each in networks of its own.

    @case
    def what_must_hold(lab): ...

    main()          # all, or those whose name contains a word of the command line
"""
import subprocess
import sys
import time
import traceback

from lab import Lab, LabError, require_root

CASES = []


def case(function):
    CASES.append(function)
    return function


def expect(condition, text):
    if not condition:
        raise LabError(text)


def run(function, network):
    started = time.monotonic()
    try:
        with Lab(function.__name__[:40]) as lab:
            function(network(lab))
    except (LabError, OSError, subprocess.SubprocessError) as error:
        print(f"FAIL {function.__name__}: {error}", flush=True)
        return False
    except Exception:  # pylint: disable=broad-except # the other cases are run all the same
        print(f"FAIL {function.__name__}:\n{traceback.format_exc()}", flush=True)
        return False
    print(f"PASS {function.__name__} ({time.monotonic() - started:.1f} s)", flush=True)
    return True


def main(network):
    """`network(lab)` makes what each case gets."""
    require_root()
    words = sys.argv[1:]
    chosen = [f for f in CASES if not words or any(word in f.__name__ for word in words)]
    sys.exit(0 if all([run(function, network) for function in chosen]) else 1)

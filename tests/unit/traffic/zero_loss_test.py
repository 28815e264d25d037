#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""tools/traffic/throughput without a data plane: the search on simulated devices, and the generator
on a ring that gives back what it is given.

    zero_loss_test.py GENERATOR
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools/traffic"))
from lib.zero_loss import Search, summary  # noqa: E402

MOST = 40e6
FAILED = 0


def check(name, good, found=""):
    global FAILED
    print(f"{'PASS' if good else 'FAIL'} {name}{'' if good else f': {found}'}")
    FAILED += not good


class Device:
    """Carries up to `limit` packets a second; the generator can send `generator` at most. Of
    `disturbed` trials a share loses packets whatever the rate."""

    def __init__(self, limit, *, generator=30e6, lost_always=0, disturbed=0.0, late=False,
                 trials_until=None):
        self.limit, self.generator, self.lost_always = limit, generator, lost_always
        self.disturbed, self.trials_until = disturbed, trials_until
        self.late = late  # disturbed is the generator: it sends half
        self.random = random.Random(1)
        self.offered = []

    def offer(self, rate, seconds):
        self.offered.append((rate, seconds))
        sent = round(min(rate, self.generator) * seconds)
        lost = max(0, sent - round(self.limit * seconds)) + self.lost_always
        disturbed = self.random.random() < self.disturbed
        if disturbed and self.late:
            sent -= sent // 2
            lost = max(0, sent - round(self.limit * seconds))
        elif disturbed:
            lost = max(lost, sent // 100)
        if self.trials_until is not None and seconds > self.trials_until[0]:
            lost = max(lost, sent - round(self.trials_until[1] * seconds))
        lost = min(sent, max(0, lost))
        return {"seconds": seconds, "sent": sent, "received": sent - lost, "lost": lost,
                "disturbed": disturbed}


def found(device, confirm=3, **options):
    search = Search(device.offer, 1, most=MOST, **options)
    return search, search.run(confirm)


def raises(name, words, call):
    try:
        call()
        check(name, False, "no error")
    except ValueError as error:
        check(name, words in str(error), error)


def the_search():
    for limit in (12345, 1e6, 7.3e6, 14.88e6):
        search, result = found(Device(limit))
        check(f"the limit of {limit:.0f} is found to 1 %",
              limit * 0.99 <= result["rate"] <= limit and not result["generator_limited"], result)
    check("in so many trials as halving takes", len(search.trials) < 12, len(search.trials))
    check("saturation is told", abs(result["saturated"] - 14.88e6) < 1, result["saturated"])
    check("the confirming trial has its time", search.trials[-1]["seconds"] == 3
          and search.trials[-1] == result["confirmed"], search.trials[-1])

    _, result = found(Device(14.88e6), resolution=0.1)
    check("a coarse search stays below", 0.8 * 14.88e6 <= result["rate"] <= 14.88e6, result)
    _, result = found(Device(50e6, generator=30e6))
    check("the generator's limit is told as such",
          result["generator_limited"] and result["rate"] == 30e6, result)

    # Three packets of each trial are lost: none tolerated, then 10 of a million.
    raises("loss at every rate is an error", "lost at every rate",
           lambda: found(Device(1e6, lost_always=3)))
    _, result = found(Device(1e6, lost_always=3), tolerated=10)
    check("tolerated loss is tolerated", 0.98e6 <= result["rate"] <= 1.00001e6, result)

    search, result = found(Device(5e6, disturbed=0.3), retries=8)
    check("disturbed trials are made again", 4.95e6 <= result["rate"] <= 5e6, result)
    check("and do not count", any(not t["counts"] for t in search.trials)
          and all(t["disturbed"] for t in search.trials if not t["counts"]))
    _, result = found(Device(5e6, disturbed=0.3, late=True), retries=8)
    check("a generator that was late is not one at its limit", not result["generator_limited"]
          and 4.95e6 <= result["rate"] <= 5e6, result)
    check("a rate is certain if a trial that was not disturbed says so", not result["uncertain"])
    _, result = found(Device(5e6, disturbed=1, late=True), retries=1)
    check("and uncertain if there is none", result["uncertain"], result)
    device = Device(5e6, disturbed=1)
    search = Search(device.offer, 1, most=MOST, retries=2)
    trial = search.trial(1e6, 1)
    check("not for ever", len(device.offered) == 3 and trial["counts"] and not trial["clean"])

    # Holds 5 M for a second and 4 M for longer.
    _, result = found(Device(5e6, trials_until=(1, 4e6)))
    check("what does not hold goes down", 3.9e6 <= result["rate"] <= 4e6, result)

    raises("a device that returns more than it got is an error", "no more back",
           lambda: Search(lambda rate, seconds: {"seconds": 1, "sent": 5, "received": 6, "lost": -1,
                                                 "disturbed": False}, 1, most=MOST).trial(5, 1))
    raises("so is a resolution of 0", "expected more than 0",
           lambda: Search(None, 1, most=MOST, resolution=0))
    check("median and range", summary([3, 1, 2]) == {"median": 2, "range": [1, 3]})


def the_generator(program):
    """A ring is polled by the thread that fills it, so nothing can be lost, however slow we are."""
    with tempfile.TemporaryDirectory() as directory:
        for path, size, octets in (("P1", "64", 64), ("P3", "1420", 1420)):
            said = subprocess.run(
                [program, path, "100", "aes128-gcm16", size, "unchanged", "--lcores=0", "--no-pci",
                 "--no-huge", "--no-shconf", "-m", "128", f"--file-prefix=hpgen{os.getpid()}",
                 "--no-telemetry", "--log-level=4", "--vdev=net_ring0"],
                input="trial 20000 0.2\ntrial 1000000 0.1\ntrial 0 1\nnonsense\n", text=True,
                capture_output=True, timeout=120, cwd=directory, check=False)
            lines = [json.loads(line) for line in said.stdout.splitlines() if line[:1] == "{"]
            if not check_lines(path, lines, said):
                continue
            ready, slow, fast, *wrong = lines
            check(f"{path}: octets", ready["octets"] == octets, ready)
            check(f"{path}: the rate is not exceeded",
                  slow["sent"] + slow["given_up"] <= 4001, slow)
            for trial in (slow, fast):
                check(f"{path}: each packet comes back once",
                      trial["sent"] > 0 and trial["received"] == trial["sent"]
                      and trial["lost"] == trial["refused"] == trial["stale"] == 0
                      and trial["samples"] == trial["received"], trial)
                latency = list(trial["latency_us"].values())
                check(f"{path}: percentiles rise", 0 < latency[0] and latency == sorted(latency),
                      latency)
            check(f"{path}: what is wrong is told",
                  all("expected: trial" in line["error"] for line in wrong), wrong)
        said = subprocess.run([program, "P99", "1", "aes128-gcm16", "64", "through", "x"],
                              text=True, capture_output=True, timeout=60, check=False)
        check("an unknown path is refused", said.returncode == 1
              and "P99: expected a path" in said.stderr, said.stderr)


def check_lines(path, lines, said):
    check(f"{path}: an answer to each line", len(lines) == 5, said.stdout + said.stderr)
    return len(lines) == 5


if __name__ == "__main__":
    the_search()
    the_generator(pathlib.Path(sys.argv[1]).resolve())
    sys.exit(1 if FAILED else 0)

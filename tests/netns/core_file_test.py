#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a crash leaves behind holds no key: real core files of all three programs are searched.

Needs a kernel that writes core files into the working directory (core_pattern without a path or a
pipe); else the cases are skipped.
"""
import os
import pathlib
import re
import resource
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import ALGORITHM, HOME_ADDRESS, RoamingNetwork, wait_until  # noqa: E402

OVERLAP = 128


def chunks(path):
    """The file piece by piece, with the end of one before the next; holes are passed over."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        at = 0
        while at < size:
            try:
                start = os.lseek(file.fileno(), at, os.SEEK_DATA)
            except OSError:
                return
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            file.seek(start)
            tail = b""
            while file.tell() < end:
                data = file.read(min(1 << 22, end - file.tell()))
                yield tail + data
                tail = data[-OVERLAP:]
            at = end


def find(path, needles):
    found = {}
    for data in chunks(path):
        for name, needle in needles.items():
            if needle in data:
                found[name] = found.get(name, 0) + data.count(needle)
    return found


def needles_of(key_files):
    """The key as it is used and as it is written, each part on its own."""
    needles = {}
    for path in key_files:
        text = path.read_text().strip()
        octets = bytes.fromhex(text)
        for name, part in (("cipher", octets[:16]), ("integrity", octets[16:32]),
                           ("integrity's end", octets[-16:])):
            needles[f"{path.name} {name}"] = part
            needles[f"{path.name} {name} in hex"] = part.hex().encode()
    return needles


def excluded_memory(pid):
    """What the process keeps out of core files (VmFlags dd), region by region."""
    start = end = 0
    regions = []
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        header = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
        if header:
            start, end = (int(text, 16) for text in header.groups())
        elif line.startswith("VmFlags:") and " dd" in line:
            regions.append((start, end))
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end in regions:
            try:
                memory.seek(start)
                yield memory.read(end - start)
            except OSError:
                pass


def crash(directory, process):
    """The core file of a process that is made to crash; None: it leaves none."""
    for old in directory.glob("core*"):
        old.unlink()
    process.signal(signal.SIGABRT)
    # A core file is whole before the process is gone.
    expect(process.wait(60) == -signal.SIGABRT, f"{process.name} did not crash")
    return next(iter(directory.glob("core*")), None)


@case
def no_key_in_a_core_file_of_any_program(net):
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if "/" in pattern or pattern.startswith("|"):
        print("SKIP core files go to " + pattern, flush=True)
        return
    directory = net.lab.directory  # where the lab's processes work
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
    try:
        net.start()
        net.plug("a")
        net.start_mobile_node()
        net.wait_registered("a")
        added = net.lab.directory / "added.key"
        added.touch(mode=0o600)
        added.write_text(os.urandom(48).hex() + "\n")
        net.hactl("sa", "add", HOME_ADDRESS, "bu", "out", "--spi", "0x7777", "--algorithm",
                  ALGORITHM, "--key-file", added)
        wait_until(lambda: any(row["spi"] == "0x00007777" and row["packets"] is not None
                               for row in net.hactl("show", "sa")["sas"]), 10,
                   "the added SA in the data plane")
        expect(net.ping("cn", HOME_ADDRESS, 3), "not reachable")
        needles = needles_of([net.lab.directory / name
                              for name in ("bu.key", "ba.key", "added.key")])
        for what, process, own in (("mobile node", net.mobile_node, net.mn_config),
                                   ("data plane", net.dataplane, net.config)):
            expect(any(needle in memory for memory in excluded_memory(process.pid)
                       for needle in needles.values()),
                   f"{what}: no key where keys should be, so the search would find none")
            core = crash(directory, process)
            expect(core is not None, f"{what}: no core file")
            expect(find(core, {"config": str(own).encode()}),
                   f"{what}: the search does not find what must be there")
            found = find(core, needles)
            expect(not found, f"{what}: keys in the core file: {found}")
            print(f"  {what}: {core.stat().st_blocks * 512 >> 20} MiB of core, no key", flush=True)
        # It reads key files, and keeps them for the next data plane: it leaves no core file at all.
        expect(crash(directory, net.controlplane) is None, "control plane: a core file")
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)


@case
def no_key_in_a_log_or_an_output(net):
    net.start()
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    outputs = [net.dataplane.output(), net.controlplane.output(), net.mobile_node.output()]
    for command in (("show", "sa"), ("show", "spd"), ("show", "config"), ("config", "show"),
                    ("show", "status")):
        outputs.append(net.hactl_text(*command))
        outputs.append(str(net.hactl(*command)))
    for name in ("bu.key", "ba.key"):
        key = (net.lab.directory / name).read_text().strip()
        for part in re.findall(".{16}", key):
            expect(not any(part in text for text in outputs), "a key in a log or an output")


if __name__ == "__main__":
    main(RoamingNetwork)

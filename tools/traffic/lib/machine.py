# SPDX-License-Identifier: BSD-3-Clause
"""What measurements need of the machine: CPUs, huge pages, telemetry, processes that are measured."""
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
CPUS = sorted(os.sched_getaffinity(0))
# The core of what is measured; everything else is kept off it.
MEASURED_CPU = CPUS[-1]


def free_huge_pages_mb():
    return sum(int((p / "free_hugepages").read_text()) * int(p.name[10:-2]) // 1024
               for p in pathlib.Path("/sys/kernel/mm/hugepages").glob("hugepages-*kB"))


def memory_mb(frames):
    """For a pool of `frames` and what programs need beside it."""
    return max(512, (frames + 32768) * 2496 // (1 << 20) + 256)


def has_huge_pages(frames):
    return free_huge_pages_mb() >= memory_mb(frames)


def description():
    """What figures depend on: processor, TSC, huge pages."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return {"processor": cpu[1] if cpu else "unknown", "cpus": len(CPUS),
            "measured_cpu": MEASURED_CPU, "free_huge_pages_mb": free_huge_pages_mb(),
            "kernel": os.uname().release}


def at_once(read, seconds=0.002):
    """What `read` says; again, some times, if the machine let it wait between its first figure and
    its last one, which belong together."""
    for _ in range(8):
        start = time.monotonic()
        said = read()
        if time.monotonic() - start < seconds:
            break
    return said


class Telemetry:
    """DPDK's own, of any program: the same reader for all."""

    def __init__(self, prefix, seconds=60):
        # As DPDK itself chooses the place.
        path = (f"{os.environ.get('RUNTIME_DIRECTORY', '/var/run')}/dpdk/{prefix}/"
                "dpdk_telemetry.v2")
        end = time.monotonic() + seconds
        while True:
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.socket.settimeout(10)
            try:
                self.socket.connect(path)
                break
            except OSError:
                self.socket.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
        self.socket.recv(4096)

    def ask(self, command):
        self.socket.send(command.encode())
        return json.loads(self.socket.recv(1 << 20))[command.split(",")[0]]

    def close(self):
        self.socket.close()


class Process:
    """A program whose output is kept; ended with the block."""

    def __init__(self, command, log, realtime=False, **more):
        self.command = list(map(str, command))
        if realtime:
            self.command = ["chrt", "-f", "1", *self.command]
        self.log_file = pathlib.Path(log)
        self.log = self.log_file.open("w")
        self.process = subprocess.Popen(self.command, stdout=self.log, stderr=self.log, **more)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.resume()
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()

    def pause(self):
        """It keeps its memory and does nothing: another program has its CPU."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)

    def said(self):
        return self.log_file.read_text(errors="replace")

    def wait_for(self, text, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if text in self.said():
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"{self.command[0]} did not start:\n{self.said()[-3000:]}")

    def threads(self, prefix):
        """Thread ids by the beginning of their names, sorted by name."""
        tasks = pathlib.Path(f"/proc/{self.pid}/task").iterdir()
        named = sorted(((task / "comm").read_text().strip(), int(task.name)) for task in tasks)
        return [thread for name, thread in named if name.startswith(prefix)]

    def cpu_seconds(self, thread):
        text = pathlib.Path(f"/proc/{self.pid}/task/{thread}/schedstat").read_text()
        return int(text.split()[0]) / 1e9


def source_and_sink(build, source, frames, seconds=2, realtime=False, environment=None):
    """Cycles a packet of source and sink alone; the best of some seconds. `source`: a device."""
    command = [build / "tools/traffic/source-and-sink", seconds, frames + 32768,
               f"--lcores=0@{MEASURED_CPU}", "--no-pci", "-m", memory_mb(frames),
               f"--file-prefix=hpbase{os.getpid()}", "--no-telemetry", "--log-level=4",
               *(["--in-memory"] if has_huge_pages(frames) else ["--no-huge", "--no-shconf"]),
               f"--vdev={source}", "--vdev=net_null0,no-rx=1"]
    if realtime:
        command = ["chrt", "-f", "1", *command]
    out = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True,
                         env=environment)
    rows = [tuple(map(int, line.split())) for line in out.stdout.splitlines()
            if re.fullmatch(r"\d+ \d+ \d+", line)]
    return min(nanoseconds * hz / 1e9 / packets for packets, nanoseconds, hz in rows)


def make_frames(build, file, path, frames, nodes, algorithm, size, workers=1, first_spi=0):
    subprocess.run(list(map(str, [build / "tools/traffic/make-frames", file, path, frames, nodes,
                                  algorithm, size, workers, first_spi])), check=True)

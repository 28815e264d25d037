# SPDX-License-Identifier: BSD-3-Clause
"""homeport-dataplane under measurement: configured, loaded over the channel, sampled."""
import collections
import os
import pathlib
import subprocess
import time

from lib import dpdk, machine

# What must have happened to a packet of the path; forged ones end there.
MEASURED = {"P1": "tun/out/ok", "P2": "tun/in/ok", "P3": "ipsec/out/protect", "P4": "ipsec/in/ok",
            "P9": "tun/out/ok", "P9i": "tun/in/ok", "P10": "tun/out/ok", "P10i": "tun/in/ok",
            "P13": "ipsec/out/protect", "P13i": "ipsec/in/ok", "P13u": "ipsec/out/protect",
            "P9f": "dsmip/in/bad_outer", "P13f": "ipsec/in/icv",
            "P20": "mip4/tun/out", "P21": "mip4/tun/in", "P26": "mip4/tun/out",
            "P27": "mip4/tun/in"}
SEALED = ("P3", "P4", "P13", "P13i", "P13u", "P13f")
FORGED = ("P9f", "P13f")
# The way in of a path that is named by its way out.
WAY_IN = {"P9": "P9i", "P10": "P10i", "P13": "P13i", "P20": "P21", "P26": "P27"}
# Frames of these are made one by one: they come from a file.
FROM_FILES = (*FORGED, "P20", "P21", "P26", "P27")


# What measurements run.
PROGRAMS = ("dataplane/core/homeport-dataplane", "tools/traffic/source-and-sink",
            "tools/traffic/make-frames", "tools/traffic/channel-client")


def native_build():
    """Folder of a build against the DPDK that the peers have, as it is in the sources now."""
    build = machine.ROOT / "build-native"
    native = dpdk.build()
    dpdk.configure(build, native, "-Db_ndebug=true", "-Dtests=false")
    log = build / "build.log"
    log.write_text("")
    dpdk.run(["nice", "-n", "10", "ninja", "-C", build, *PROGRAMS,
              "tools/traffic/libhomeport-source.so"], log)
    return build


class DataPlane:
    """`settings`: directory, build, path, bindings, algorithm, and the options of the bench."""

    def __init__(self, directory, build, path, bindings, source, *, algorithm="aes128-gcm16",
                 frames=4096, workers=1, window=0, cpu="auto", realtime=False, eal_args=(),
                 sink="net_null0,no-rx=1", environment=None):
        self.directory = pathlib.Path(directory)
        self.build = pathlib.Path(build)
        self.path, self.bindings, self.algorithm = path, bindings, algorithm
        self.prefix = f"hpbench{os.getpid()}"
        self.channel = self.directory / "channel.sock"
        self.window, self.workers, self.realtime = window, workers, realtime
        config = self.directory / "homeport.yaml"
        cpus = machine.CPUS[-workers:]
        main = machine.CPUS[0] if machine.CPUS[0] not in cpus else cpus[-1] + 1
        config.write_text(f"""dataplane:
  main_lcore: {main}
  workers: {cpus}
  idle_backoff: off
  memory_mb: {machine.memory_mb(frames)}
  mbufs: {frames + 32768}
  max_bindings: {max(1024, bindings * 2)}
  max_sas: {max(4096, bindings * 4)}
  ipsec: {{cpu: {cpu}}}
  file_prefix: {self.prefix}
  channel_socket: {self.channel}
  pmd_config_dir: {machine.ROOT}/pmd-config
  eal_args: [{", ".join(f'"{word}"' for word in eal_args)}]
  ports:
    - {{name: in0, device: "{source}", tap: hpb-in0, mac: "02:48:50:00:00:01"}}
    - {{name: out0, device: "{sink}", tap: hpb-out0}}
""")
        self.process = machine.Process([self.build / "dataplane/core/homeport-dataplane",
                                        "--config", config], self.directory / "dataplane.log",
                                       env=self.taught(environment, source))

    def taught(self, environment, source):
        """P13u: as soon as all is loaded the nodes show their ports on UDP 4500, on the device that
        the packets come from."""
        (self.directory / "loaded").unlink(missing_ok=True)
        if self.path != "P13u":
            return environment
        return (environment or os.environ) | {
            "HOMEPORT_LESSONS":
                f"{source.split(',')[0]} {self.bindings} {self.algorithm} {self.workers} "
                f"{self.directory}/loaded",
            "LD_PRELOAD": str(self.build / "tools/traffic/libhomeport-source.so")}

    def __enter__(self):
        try:
            self.process.wait_for("HP-DP-0001")
            self.load()
            self.threads = self.process.threads("rte-worker")
            if self.realtime:
                for thread in self.threads:
                    os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(1))
            self.telemetry = machine.Telemetry(self.prefix)
            self.hz = self.telemetry.ask("/homeport/status")["tsc_hz"]
            if self.path == "P13u":
                self.wait_for_lessons()
            return self
        except BaseException:
            self.process.__exit__()
            raise

    def __exit__(self, *_):
        self.process.resume()
        self.telemetry.close()
        self.client.stdin.close()
        self.client.wait(10)
        self.process.__exit__()

    def load(self):
        self.client = subprocess.Popen([self.build / "tools/traffic/channel-client", self.channel],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        start = time.monotonic()
        self.say(f"begin 1\nload {self.path} {self.bindings} {self.algorithm} {self.window} "
                 f"{self.workers}\nend 1\nflush")
        for line in self.client.stdout:
            if line.startswith("failed"):
                raise SystemExit(f"the data plane refused: {line}")
            if line.startswith("acknowledged"):
                self.load_seconds = time.monotonic() - start
                return
        raise SystemExit("the client ended")

    def wait_for_lessons(self):
        (self.directory / "loaded").touch()
        end = time.monotonic() + 10
        while self.telemetry.ask("/homeport/counters").get("ipsec/in/ok", 0) < self.bindings:
            if time.monotonic() > end:
                raise SystemExit("P13u: the nodes' ports on UDP 4500 were not learnt")
            time.sleep(0.01)

    def start_churn(self, seconds, per_second):
        """SAs of nodes that send nothing come and go."""
        self.say(f"sa-churn {seconds} {per_second} {self.bindings + 16} {self.algorithm}")

    def churned(self):
        """SA operations a second that were carried out."""
        for line in self.client.stdout:
            if line.startswith("failed"):
                raise SystemExit(f"the data plane refused: {line}")
            words = line.split()
            if words[:1] == ["churned"]:
                return float(words[1]) / float(words[3])
        raise SystemExit("the client ended")

    def say(self, lines):
        self.client.stdin.write(lines + "\n")
        self.client.stdin.flush()

    def sample(self):
        return machine.at_once(lambda: (
            time.monotonic(), sum(self.process.cpu_seconds(thread) for thread in self.threads),
            self.telemetry.ask("/homeport/stages"), self.telemetry.ask("/homeport/counters")), 0.004)

    def measure(self, seconds):
        """Mpps and cycles, for the time that the workers had their CPUs, and all counters."""
        time.sleep(1)
        before = self.sample()
        time.sleep(seconds)
        return self.result([(before, self.sample())])

    def result(self, turns):
        """Of samples before and after each turn: what all of the turns come to."""
        counters, stages = collections.Counter(), collections.defaultdict(collections.Counter)
        wall = busy = 0
        for (w0, t0, stages0, counters0), (w1, t1, stages1, counters1) in turns:
            wall, busy = wall + w1 - w0, busy + t1 - t0
            for name, value in counters1.items():
                counters[name] += value - counters0.get(name, 0)
            for name, row in stages1.items():
                for what, value in row.items():
                    stages[name][what] += value - stages0[name][what]
        done = counters[MEASURED[self.path]]
        sent = done if self.path in FORGED else counters["tx/port"]
        # A burst or two are under way whenever a turn begins or ends.
        margin = 0.01 * sent + 4096 * len(turns)
        if sent == 0 or abs(done - sent) > margin or abs(counters["rx/port"] - sent) > margin:
            raise SystemExit(f"{self.path}: not what was to be measured: "
                             f"{ {name: value for name, value in counters.items() if value} }")
        looked = [stages[name] for name in ("express", "parse")]
        calls = sum(row["calls"] for row in looked)
        return {"mpps": sent / busy / 1e6 * len(self.threads), "cycles": self.hz * busy / sent,
                "wall_mpps": sent / wall / 1e6,
                "stages": {name.replace("_", "-"): row["cycles"] / sent
                           for name, row in stages.items() if row["packets"] > 0},
                "packets_per_call": sum(row["packets"] for row in looked) / max(1, calls),
                "tsc_hz": self.hz, "load_seconds": self.load_seconds}

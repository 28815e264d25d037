#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""VPP as a peer of tools/traffic/compare, without a VPP: what it is told, and that the harness
measures a program that takes the same commands and has the same counters.

    vpp_test.py MAKE-FRAMES
"""
import contextlib
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tools/traffic"))
from lib import machine, peers, report, vpp  # noqa: E402

FAILED = 0
GCM, CBC = "aes128-gcm16", "aes128-cbc-hmac-sha1-96"


def check(name, good, found=""):
    global FAILED
    print(f"{'PASS' if good else 'FAIL'} {name}{'' if good else f': {found}'}")
    FAILED += not good


def the_start_up_file():
    text = vpp.startup("/d", "prefix", "/d/vpp.pcap", 4096, "native", "net_null0,no-rx=1", (0, 1))
    lines = [line.strip() for line in text.splitlines()]
    for line in ("cli-listen /d/vpp-cli.sock", "main-core 0", "corelist-workers 1", "telemetry",
                 "file-prefix prefix", "vdev net_pcap0,rx_pcap=/d/vpp.pcap,infinite_rx=1",
                 "vdev net_null0,no-rx=1", "plugin default { disable }", "buffers-per-numa 36864",
                 "plugin crypto_native_plugin.so { enable }"):
        check(f"start-up file: {line}", line in lines, text)
    check("start-up file: the other engine is not there", "ipsecmb" not in text)
    check("start-up file: sections end", text.count("{") == text.count("}"))


def the_commands():
    out = vpp.commands("P3", 2, GCM, "in", "out")
    key = peers.key_of(20)
    check("P3: an SA a node, out of the nodes' tunnel", (
        f"ipsec sa add 4 spi {peers.FIRST_SPI + 1} esp crypto-alg aes-gcm-128 crypto-key "
        f"{key[:16].hex()} salt 0x{key[16:].hex()} tunnel src {peers.HOME_AGENT} "
        f"dst {peers.CARE_OF}") in out, out)
    check("P3: its interface", "ipsec tunnel protect ipsec1 sa-in 3 sa-out 4" in out, out)
    check("P3: the node's packets go there",
          f"ip route add {peers.home(1)}/128 via ipsec1" in out, out)
    check("the port that packets come from goes up last", out[-1] == "set interface state in up")
    out = vpp.commands("P13u", 1, GCM, "in", "out")
    check("P13u: over IPv4, in UDP, both ways", sum(
        "udp-encap" in line and "192.0.2.1" in line for line in out) == 2, out)
    out = vpp.commands("P4", 1, CBC, "in", "out")
    check("CBC: key and integrity key", sum(
        "crypto-alg aes-cbc-128" in line and "integ-alg sha1-96" in line for line in out) == 2, out)
    check("no replay window: the source repeats itself", not any("replay" in line for line in out))
    out = vpp.commands("P2", 3, GCM, "in", "out")
    check("P2: the inner source is looked at at each tunnel",
          sum(line.startswith("set urpf ip6 rx strict ipip") for line in out) == 3, out)
    out = vpp.commands("P1", 10000, GCM, "in", "out")
    check("P1, 10 k: one tunnel, an entry and a route a node", (
        sum("create ipip" in line for line in out), sum("create teib" in line for line in out),
        sum(line.startswith("ip route add 2001:0db8:0001:0001:") for line in out))
        == (1, 10000, 10000))


def the_frames(make_frames, directory):
    for path in ("P1", "P2"):
        source, target = directory / f"{path}.pcap", directory / f"{path}-vpp.pcap"
        subprocess.run([make_frames, source, path, "64", "16", GCM, "64"], check=True)
        vpp.own_frames(source, target, path)
        old, new, at, good = source.read_bytes(), target.read_bytes(), 24, len(
            source.read_bytes()) == len(target.read_bytes())
        seen = set()
        while at < len(old):
            length = struct.unpack_from("<I", old, at + 8)[0]
            was, now = old[at + 16:at + 16 + length], new[at + 16:at + 16 + length]
            good &= now[:6] == vpp.PORT_MAC and now[6:22] == was[6:22] and now[38:] == was[38:]
            seen.add(now[22:38])
            at += 16 + length
        check(f"{path}: frames go to the port's address, and nothing else changes", good)
        check(f"{path}: care-of addresses", len(seen) == (16 if path == "P2" else 1), len(seen))


@contextlib.contextmanager
def installed(directory, fault=""):
    """The fake pair as the vpp of this machine."""
    for name in ("vpp", "vppctl"):
        if not (directory / name).exists():
            (directory / name).symlink_to(pathlib.Path(__file__).with_name("fake_vpp.py"))
    before = {name: os.environ.get(name) for name in ("PATH", "RUNTIME_DIRECTORY", "FAKE_VPP")}
    os.environ |= {"PATH": f"{directory}:{before['PATH']}", "RUNTIME_DIRECTORY": str(directory),
                   "FAKE_VPP": fault}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def started(directory, path, nodes, algorithm=GCM, engine=None):
    return vpp.Vpp(directory, directory / "P1.pcap", 64, False, path=path, nodes=nodes,
                   algorithm=algorithm, engine=engine)


def the_harness(directory):
    with installed(directory):
        check("it is found", vpp.installed() == (str(directory / "vpp"), str(directory / "vppctl")))
        for path, nodes, algorithm in (("P1", 3, GCM), ("P1", 2000, GCM), ("P2", 3, GCM),
                                       ("P3", 5, GCM), ("P4", 5, CBC), ("P13u", 5, GCM)):
            for engine in vpp.engines(path):
                with started(directory, path, nodes, algorithm, engine) as peer:
                    mpps = peer.measure(0.1, 0)["mpps"]
                    check(f"{path}, {nodes} nodes, {engine}: measured",
                          mpps > 0 and "v26.06-fake" in peer.version, mpps)
                check(f"{path}: stopped", peer.process.process.returncode is not None)
    for fault, words in (("no-pcap", "must be built with net/pcap"), ("dies", "EAL init returned"),
                         ("loses", "lost packets")):
        with installed(directory, fault):
            refused(fault, words, lambda: measured(directory, "P3", "native"))
    with installed(directory):
        (directory / "vppctl").unlink()
        check("one of the two programs is not enough", vpp.installed() is None
              or "homeport-vpp-" not in vpp.installed()[1])
    with installed(directory):
        refused("no engine", "no crypto engine", lambda: measured(directory, "P3", None))
        commands = vpp.commands
        vpp.commands = lambda *arguments: [*commands(*arguments), "ipsec sa ad 1"]
        refused("a command that VPP does not know", "unknown input `ipsec sa ad 1'",
                lambda: measured(directory, "P3", "native"))
        vpp.commands = commands


def measured(directory, path, engine):
    with started(directory, path, 2, engine=engine) as peer:
        peer.measure(0.1, 0)


def refused(name, words, call):
    try:
        call()
        check(f"{name}: an error", False, "none")
    except SystemExit as error:
        check(f"{name}: an error that says so", words in str(error), error)


def the_table():
    alone = {"what": "w", "own_mpps": 12.3, "goal": 2.5, "accept": 1.8}
    check("a row without a peer here shows Homeport's rate", report.cells(alone) == (
        "w", "no peer here", "", "12.30", "", "", "2.5", "1.8", "not measured"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="homeport-vpp-") as temporary:
        the_start_up_file()
        the_commands()
        the_frames(sys.argv[1], pathlib.Path(temporary))
        if len(machine.CPUS) > 1:
            the_harness(pathlib.Path(temporary))
        the_table()
    sys.exit(FAILED != 0)

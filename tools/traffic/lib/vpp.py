# SPDX-License-Identifier: BSD-3-Clause
"""VPP as a peer: one worker on the measured core, its start-up file, its commands for each path.

Port 0 is net_pcap, port 1 the sink, both by its DPDK plugin, so that source, sink and reader of
rates are those of everybody else. VPP's own build leaves net_pcap out: one has to be built with it.
"""
import ipaddress
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time

from lib import machine, peers

# Crypto engines are plugins; a plugin that is not loaded cannot be chosen.
ENGINES = ("ipsecmb", "native")
SEALED = ("P3", "P4", "P13u")
# One multipoint tunnel for more nodes than this, an interface each up to it.
MOST_INTERFACES = 1000
# What net_pcap calls its first device; VPP drops what goes to another address.
PORT_MAC = bytes.fromhex("027063617000")
HOME_AGENT4, CARE_OF4 = "192.0.2.1", "203.0.113.7"
NEXT_HOP, NEXT_HOP4 = "2001:db8:f::2", "198.18.0.2"


def installed():
    """Where `vpp` and `vppctl` are; nothing if one of them is missing."""
    found = shutil.which("vpp"), shutil.which("vppctl")
    return found if all(found) else None


def engines(path):
    return ENGINES if path in SEALED else (None,)


def care_of(index):
    """A tunnel is known by its addresses, so unlike Homeport's nodes each has its own one."""
    return str(ipaddress.IPv6Address(peers.CARE_OF) + index)


def own_frames(source, target, path):
    """`source` with this port's address as destination, and with P2 another care-of address for
    each node; both are pcap files as make-frames writes them."""
    data = bytearray(source.read_bytes())
    first = int(ipaddress.IPv6Address(peers.home(0)))
    at = 24
    while at < len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        frame = at + 16
        data[frame:frame + 6] = PORT_MAC
        if path == "P2":
            node = int.from_bytes(data[frame + 62:frame + 78], "big") - first
            data[frame + 22:frame + 38] = ipaddress.IPv6Address(care_of(node)).packed
        at = frame + length
    target.write_bytes(data)


def startup(directory, prefix, pcap, frames, engine, sink, cpus, pages="default-hugepage"):
    """Text of startup.conf. `cpus`: main thread's, worker's."""
    plugins = ["dpdk_plugin.so", "urpf_plugin.so"]
    if engine is not None:
        plugins.append(f"crypto_{engine}_plugin.so")
    enabled = "\n".join(f"  plugin {name} {{ enable }}" for name in plugins)
    return f"""unix {{
  nodaemon
  nosyslog
  log {directory}/vpp-cli.log
  runtime-dir {directory}
  cli-listen {directory}/vpp-cli.sock
  cli-no-pager
}}
cpu {{
  main-core {cpus[0]}
  corelist-workers {cpus[1]}
}}
memory {{
  main-heap-size 2G
}}
statseg {{
  size 512M
}}
buffers {{
  buffers-per-numa {frames + 32768}
  page-size {pages}
}}
plugins {{
  plugin default {{ disable }}
{enabled}
}}
dpdk {{
  no-pci
  telemetry
  file-prefix {prefix}
  no-tx-checksum-offload
  vdev net_pcap0,rx_pcap={pcap},infinite_rx=1
  vdev {sink}
}}
"""


def links(port_in, port_out):
    """Ports, own addresses, and the way on for everything that comes out."""
    lines = []
    for port, six, four in ((port_in, "2001:db8:e::1/64", "198.18.1.1/24"),
                            (port_out, "2001:db8:f::1/64", "198.18.0.1/24")):
        lines += [f"set interface ip address {port} {six}",
                  f"set interface ip address {port} {four}"]
    lines += [f"set interface state {port_out} up", "create loopback interface instance 0", "set interface state loop0 up",
              f"set interface ip address loop0 {peers.HOME_AGENT}/128",
              f"set interface ip address loop0 {HOME_AGENT4}/32"]
    for hop in (NEXT_HOP, NEXT_HOP4):
        lines.append(f"set ip neighbor {port_out} {hop} {peers.NEXT_HOP_MAC}")
    prefix = ipaddress.IPv6Network(peers.CARE_OF + "/64", strict=False)
    lines += [f"ip route add {prefix} via {NEXT_HOP} {port_out}",
              f"ip route add {peers.CORRESPONDENT}/128 via {NEXT_HOP} {port_out}",
              f"ip route add {CARE_OF4}/32 via {NEXT_HOP4} {port_out}"]
    return lines


def tunnels(path, nodes):
    """A tunnel interface a node (with P2 it takes inner sources alone that are routed by it), or
    one for all, with a table of the nodes' care-of addresses."""
    lines = []
    if nodes > MOST_INTERFACES:
        lines += [f"create ipip tunnel src {peers.HOME_AGENT} p2mp instance 0",
                  "set interface state ipip0 up", "set interface unnumbered ipip0 use loop0"]
        for i in range(nodes):
            inner = ipaddress.IPv6Address("2001:db8:ffff::") + i + 1
            lines += [f"create teib ipip0 peer {inner} nh {care_of(i)}",
                      f"ip route add {peers.home(i)}/128 via {inner} ipip0"]
        return lines
    for i in range(nodes):
        lines += [f"create ipip tunnel src {peers.HOME_AGENT} dst {care_of(i)} instance {i}",
                  f"set interface state ipip{i} up", f"set interface unnumbered ipip{i} use loop0",
                  f"ip route add {peers.home(i)}/128 via ipip{i}"]
        if path == "P2":
            lines.append(f"set urpf ip6 rx strict ipip{i}")
    return lines


def associations(path, nodes, algorithm):
    """An ipsec interface a node, protected by an SA each way."""
    if algorithm == "aes128-gcm16":
        key = peers.key_of(20)
        cipher = f"crypto-alg aes-gcm-128 crypto-key {key[:16].hex()} salt 0x{key[16:].hex()}"
    else:
        key = peers.key_of(36)
        cipher = (f"crypto-alg aes-cbc-128 crypto-key {key[:16].hex()} "
                  f"integ-alg sha1-96 integ-key {key[16:].hex()}")
    ours, theirs = (HOME_AGENT4, CARE_OF4) if path == "P13u" else (peers.HOME_AGENT, peers.CARE_OF)
    udp = " udp-encap" if path == "P13u" else ""
    lines = []
    for i in range(nodes):
        spi = peers.FIRST_SPI + i
        lines += [f"ipsec sa add {2 * i + 1} spi {spi} esp {cipher} "
                  f"tunnel src {theirs} dst {ours} inbound{udp}",
                  f"ipsec sa add {2 * i + 2} spi {spi} esp {cipher} "
                  f"tunnel src {ours} dst {theirs}{udp}",
                  f"ipsec itf create instance {i}",
                  f"ipsec tunnel protect ipsec{i} sa-in {2 * i + 1} sa-out {2 * i + 2}",
                  f"set interface state ipsec{i} up",
                  f"set interface unnumbered ipsec{i} use loop0",
                  f"ip route add {peers.home(i)}/128 via ipsec{i}"]
    return lines


def commands(path, nodes, algorithm, port_in, port_out):
    """Lines of the CLI script of a path."""
    what = associations(path, nodes, algorithm) if path in SEALED else tunnels(path, nodes)
    return [*links(port_in, port_out), *what, f"set interface state {port_in} up"]


class Vpp(peers.Peer):
    """A running VPP of a path, measured as every other peer is."""

    def __init__(self, directory, pcap, frames, realtime, *, path, nodes, algorithm, engine,
                 sink="net_null0,no-rx=1"):
        self.directory = pathlib.Path(directory)
        self.program, self.control = installed()
        self.path, self.nodes, self.algorithm = path, nodes, algorithm
        self.realtime = realtime
        self.prefix = f"hpvpp{os.getpid()}"
        source = self.directory / "vpp.pcap"
        own_frames(pathlib.Path(pcap), source, path)
        pages = "default-hugepage" if machine.has_huge_pages(frames) else "default"
        config = self.directory / "startup.conf"
        config.write_text(startup(self.directory, self.prefix, source, frames, engine, sink,
                                  (machine.CPUS[0], machine.MEASURED_CPU), pages))
        if machine.CPUS[0] == machine.MEASURED_CPU:
            raise SystemExit("VPP's worker needs a CPU beside that of its main thread")
        self.process = machine.Process([self.program, "-c", config], self.directory / "vpp.log")

    def start(self):
        """Waits for its socket, then gives it the path's commands."""
        end = time.monotonic() + 60
        while "vpp" not in (said := self.ask("show version", must=False)):
            if self.process.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"VPP did not start:\n{said}\n{self.process.said()[-3000:]}")
            time.sleep(0.1)
        self.version = said.strip()
        ports = self.ports()
        self.check_address(ports[0])
        script = self.directory / "vpp.cli"
        script.write_text("\n".join(commands(self.path, self.nodes, self.algorithm, *ports)) + "\n")
        # Interfaces that were made tell their names, and nothing else says anything.
        refused = [line for line in self.ask(f"exec {script}", seconds=600).splitlines()
                   if line.strip() and not re.fullmatch(r"(ipip|ipsec|loop)\d+", line.strip())]
        if refused:
            raise SystemExit(f"VPP refused commands of {self.path}:\n" + "\n".join(refused[:10]))
        # A thread takes its name after it has begun.
        end = time.monotonic() + 10
        while len(worker := self.process.threads("vpp_wk")) != 1:
            if time.monotonic() > end:
                raise SystemExit(f"VPP has {len(worker)} workers, expected 1")
            time.sleep(0.05)
        self.thread = worker[0]
        if self.realtime:
            os.sched_setscheduler(self.thread, os.SCHED_FIFO, os.sched_param(1))

    def ask(self, command, seconds=30, must=True):
        said = subprocess.run([self.control, "-s", self.directory / "vpp-cli.sock",
                               *command.split()], capture_output=True, text=True, timeout=seconds,
                              check=False)
        if must and said.returncode != 0:
            raise SystemExit(f"vppctl {command}: {said.stdout}{said.stderr}")
        return said.stdout

    def ports(self):
        """Names of port 0 and port 1."""
        rows = re.findall(r"^(\S+) +(\d+) +(?:up|down) ", self.ask("show interface"), re.M)
        names = [name for name, _ in sorted(rows, key=lambda row: int(row[1])) if name != "local0"]
        if len(names) != 2:
            raise SystemExit(f"VPP has {len(names)} ports, expected net_pcap and the sink: its DPDK "
                             "must be built with net/pcap\n" + self.process.said()[-2000:])
        return names

    def check_address(self, port):
        said = self.ask(f"show hardware-interfaces {port}")
        found = re.search(r"Ethernet address ([0-9a-f:]{17})", said)
        if found is None or bytes.fromhex(found[1].replace(":", "")) != PORT_MAC:
            raise SystemExit(f"{port} of VPP has another address than the frames go to, "
                             f"{PORT_MAC.hex(':')}:\n{said}")

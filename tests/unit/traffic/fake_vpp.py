#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What tools/traffic/compare needs of a VPP: takes its start-up file and the commands of its CLI,
refuses what VPP's command line does not take, and counts packets once every node's packets would
come out. Called as `vppctl` it hands a command over; FAKE_VPP chooses a fault.

    vpp -c startup.conf
    vppctl -s SOCKET COMMAND...
"""
import ctypes
import json
import os
import pathlib
import re
import signal
import socket
import sys
import threading
import time

NAME = r"[A-Za-z][\w/]*"
SIX, FOUR = r"[0-9a-f:]*:[0-9a-f:]*", r"\d+\.\d+\.\d+\.\d+"
ADDRESS = f"(?:{SIX}|{FOUR})"
GRAMMAR = {
    "address": rf"set interface ip address (?P<name>{NAME}) {ADDRESS}/\d+",
    "up": rf"set interface state (?P<name>{NAME}) up",
    "loop": r"create loopback interface instance (?P<number>\d+)",
    "neighbor": rf"set ip neighbor (?P<name>{NAME}) {ADDRESS} [0-9a-f:]{{17}}",
    "route": rf"ip route add (?P<prefix>{ADDRESS}/\d+) via (?:(?P<hop>{ADDRESS}) )?(?P<name>{NAME})",
    "ipip": rf"create ipip tunnel src {SIX} (?P<dst>dst {SIX}|p2mp) instance (?P<number>\d+)",
    "teib": rf"create teib (?P<name>{NAME}) peer (?P<peer>{SIX}) nh {SIX}",
    "unnumbered": rf"set interface unnumbered (?P<name>{NAME}) use (?P<other>{NAME})",
    "urpf": rf"set urpf ip6 rx strict (?P<name>{NAME})",
    "sa": (r"ipsec sa add (?P<id>\d+) spi (?P<spi>\d+) esp (?:crypto-alg aes-gcm-128 crypto-key "
           r"[0-9a-f]{32} salt 0x[0-9a-f]{8}|crypto-alg aes-cbc-128 crypto-key [0-9a-f]{32} "
           r"integ-alg sha1-96 integ-key [0-9a-f]{40}) "
           rf"tunnel src (?P<src>{ADDRESS}) dst (?P<dst>{ADDRESS})(?P<inbound> inbound)?"
           r"(?: udp-encap)?"),
    "itf": r"ipsec itf create instance (?P<number>\d+)",
    "protect": rf"ipsec tunnel protect (?P<name>{NAME}) sa-in (?P<in>\d+) sa-out (?P<out>\d+)",
}


class Router:
    """State of the command line."""

    def __init__(self, config):
        self.interfaces, self.tunnels, self.peers, self.associations = {}, set(), set(), {}
        self.protected, self.routes, self.plugins = set(), {}, re.findall(
            r"plugin (\w+\.so) \{ enable \}", config)
        if "dpdk_plugin.so" in self.plugins:
            for device in re.findall(r"vdev net_(\w+),", config):
                if device.startswith("pcap") and os.environ.get("FAKE_VPP") == "no-pcap":
                    continue
                self.interfaces[f"Unknown{device}/0/0"] = False

    def carries(self):
        """Whether packets that come in on the first port leave by the second."""
        ports = list(self.interfaces)[:2]
        nodes = [via for prefix, via in self.routes.items() if prefix.startswith("2001:0db8:0001:")]
        return (len(ports) == 2 and all(self.interfaces[port] for port in ports) and nodes != []
                and all(self.interfaces[name] and (name in self.protected or name in self.tunnels)
                        for name in nodes))

    def run(self, line):
        """What it says; nothing if it is content."""
        if line == "show version":
            return "vpp v26.06-fake built by nobody"
        if line == "show interface":
            rows = [f"{name:35}{index:<5}{'up' if up else 'down':>6}          9000/0/0/0"
                    for index, (name, up) in enumerate(self.interfaces.items(), 1)]
            head = "              Name               Idx    State  MTU (L3/IP4/IP6/MPLS)"
            return "\n".join([head, *rows, f"{'local0':35}{0:<5}{'down':>6}          0/0/0/0"])
        if line.startswith("show hardware-interfaces "):
            return "  Ethernet address 02:70:63:61:70:00"
        if line.startswith("exec "):
            said = [self.run(one) for one in pathlib.Path(line[5:]).read_text().splitlines()]
            return "\n".join(filter(None, said))
        for what, pattern in GRAMMAR.items():
            if found := re.fullmatch(pattern, line):
                return getattr(self, what)(**found.groupdict())
        return f"unknown input `{line}'"

    def made(self, name):
        if name in self.interfaces:
            return f"{name} is there already"
        self.interfaces[name] = False
        return name

    def known(self, *names):
        return next((f"unknown interface {name}" for name in names if name not in self.interfaces),
                    None)

    def address(self, name):
        return self.known(name)

    neighbor = address

    def up(self, name):
        if refused := self.known(name):
            return refused
        self.interfaces[name] = True
        return None

    def loop(self, number):
        return self.made(f"loop{number}")

    def route(self, prefix, hop, name):
        if name == "ipip0" and hop is not None and hop not in self.peers:
            return f"no tunnel to {hop}"
        self.routes[prefix] = name
        return self.known(name)

    def ipip(self, dst, number):
        if dst in self.tunnels:
            return "IPIP tunnel already exists..."
        self.tunnels |= {dst, f"ipip{number}"}
        return self.made(f"ipip{number}")

    def teib(self, name, peer):
        self.peers.add(peer)
        return self.known(name)

    def unnumbered(self, name, other):
        return self.known(name, other)

    def urpf(self, name):
        return self.known(name) if "urpf_plugin.so" in self.plugins else "unknown input `urpf'"

    def sa(self, id, spi, src, dst, inbound):  # pylint: disable=redefined-builtin
        if id in self.associations:
            return "failed: SA is there already"
        if not any(name.startswith("crypto_") for name in self.plugins):
            return "failed: no crypto engine"
        self.associations[id] = (spi, src, dst, inbound is not None)
        return None

    def itf(self, number):
        return self.made(f"ipsec{number}")

    def protect(self, name, **of):
        inbound, outbound = (self.associations.get(of[way]) for way in ("in", "out"))
        if inbound is None or outbound is None or not inbound[3] or outbound[3] or \
                inbound[1:3] != outbound[2:0:-1]:
            return "failed: not a pair of SAs"
        self.protected.add(name)
        return self.known(name)


class Vpp:
    def __init__(self, config):
        if os.environ.get("FAKE_VPP") == "dies":
            sys.exit("0: dpdk: EAL init returned -1")
        self.router = Router(config)
        self.counted = {"0": 0, "1": 0}
        self.cli = self.listen(re.search(r"cli-listen (\S+)", config)[1], socket.SOCK_STREAM)
        prefix = re.search(r"file-prefix (\S+)", config)[1]
        at = pathlib.Path(os.environ["RUNTIME_DIRECTORY"]) / "dpdk" / prefix
        at.mkdir(parents=True, exist_ok=True)
        self.telemetry = self.listen(at / "dpdk_telemetry.v2", socket.SOCK_SEQPACKET)
        if "telemetry" not in re.findall(r"^  (\w+)$", config, re.M):
            self.telemetry.close()
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        self.works = threading.Event()
        self.owned = threading.Lock()  # the router, by the thread that looks at it
        threading.Thread(target=self.worker, daemon=True).start()
        self.works.wait()
        threading.Thread(target=self.commands, daemon=True).start()
        self.counters()

    @staticmethod
    def listen(path, kind):
        pathlib.Path(path).unlink(missing_ok=True)
        made = socket.socket(socket.AF_UNIX, kind)
        made.bind(str(path))
        made.listen()
        return made

    def worker(self):
        ctypes.CDLL(None).prctl(15, b"vpp_wk_0", 0, 0, 0)  # PR_SET_NAME
        self.works.set()
        while True:
            end = time.monotonic() + 0.001
            while time.monotonic() < end:
                pass
            # So few that what the reader asks for one after the other is the same to it.
            self.counted["0"] += 100000 if os.environ.get("FAKE_VPP") == "loses" else 10
            with self.owned:
                carries = self.router.carries()
            self.counted["1"] += 10 * carries

    def commands(self):
        while True:
            with self.cli.accept()[0] as one:
                asked = one.makefile().readline().strip()
                with self.owned:
                    said = self.router.run(asked)
                one.sendall(said.encode())

    def counters(self):
        while True:
            with self.telemetry.accept()[0] as one:
                one.send(b'{"version": "fake", "pid": 1, "max_output_len": 16384}')
                while asked := one.recv(4096).decode():
                    command, port = asked.split(",")
                    one.send(json.dumps({command: {"ipackets": self.counted[port] * (port == "0"),
                                                   "opackets": self.counted[port] * (port == "1")}
                                         }).encode())


def control(words):
    with socket.socket(socket.AF_UNIX) as one:
        try:
            one.connect(words[words.index("-s") + 1])
        except OSError as error:
            sys.exit(f"vppctl: {error}")
        one.sendall((" ".join(words[2:]) + "\n").encode())
        print(one.makefile().read())


if __name__ == "__main__":
    if pathlib.Path(sys.argv[0]).name == "vppctl":
        control(sys.argv[1:])
    else:
        Vpp(pathlib.Path(sys.argv[sys.argv.index("-c") + 1]).read_text())

# SPDX-License-Identifier: BSD-3-Clause
"""A foreign agent between two cables whose far ends are played frame by frame:

    visitors (mob0) --- visited0 [homeport-fa] wan0 --- home agents, correspondents (home0)

scapy makes and reads the packets, Python's hmac the authenticators: neither was written here.
"""
import ctypes
import hmac
import json
import logging
import os
import signal
import socket
import struct
import time

from lab import LabError, build_directory, wait_until

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.layers.inet import ICMP, IP, UDP  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.layers.mobileip import MobileIP, MobileIPRRP, MobileIPRRQ  # noqa: E402
from scapy.packet import Raw  # noqa: E402
from scapy.utils import wrpcap  # noqa: E402

LINK_ADDRESS, CARE_OF, GATEWAY = "10.1.0.1", "198.51.100.9", "198.51.100.1"
HOME_AGENT, HOME_AGENT_2 = "192.0.2.1", "203.0.113.1"
CORRESPONDENT = "203.0.113.77"
NEW_NETWORK = 0x40000000
MOBILE_HOME, MOBILE_FOREIGN, FOREIGN_HOME = 32, 33, 34
MH_KEY, MH_SPI = bytes(range(16)), 256
FH_KEY, FH_SPI = bytes.fromhex("8f2d6c1be4a9570332d1f6b87c40e59a"), 300
MF_KEY, MF_SPI = bytes.fromhex("c3b1a29584d7e6f8091a2b3c4d5e6f70"), 500
FLAGS = {"S": 0x80, "B": 0x40, "D": 0x20, "M": 0x10, "G": 0x08, "T": 0x02}


def seal(message, kind, key, spi):
    """`message` with an authentication extension (RFC 5944 section 3.5.1)."""
    message += bytes([kind, 20]) + struct.pack("!I", spi)
    return message + hmac.new(key, message, "md5").digest()


def extensions(octets):
    """[(type, data, octets covered)] of what stands behind the fixed part."""
    found, at = [], 0
    while at < len(octets):
        if octets[at] == 0:
            at += 1
            continue
        length = octets[at + 1]
        found.append((octets[at], octets[at + 2:at + 2 + length], at))
        at += 2 + length
    return found


def request(home_address, home_agent=HOME_AGENT, care_of=CARE_OF, flags="T", lifetime=300,
            identification=None, before=b"", behind=b"", key=MH_KEY, spi=MH_SPI):
    if identification is None:
        identification = int((time.time() + 2208988800) * 2**32) & (2**64 - 1)
    bits = sum(FLAGS[letter] for letter in flags)
    fixed = bytes(MobileIP(type=1) / MobileIPRRQ(flags=bits, lifetime=lifetime,
                                                 homeaddr=home_address, haaddr=home_agent,
                                                 coaddr=care_of, id=identification))
    return seal(fixed + before, MOBILE_HOME, key, spi) + behind


def reply(to, code=0, lifetime=None, before=b"", behind=b"", foreign_key=None, **changed):
    """What a home agent says to the octets of a request."""
    asked = MobileIP(to)[MobileIPRRQ]
    fields = {"homeaddr": asked.homeaddr, "haaddr": asked.haaddr, "id": asked.id} | changed
    fixed = bytes(MobileIP(type=3) / MobileIPRRP(
        code=code, lifetime=asked.lifetime if lifetime is None else lifetime, **fields))
    message = seal(fixed + before, MOBILE_HOME, MH_KEY, MH_SPI) + behind
    return seal(message, FOREIGN_HOME, foreign_key, FH_SPI) if foreign_key else message


class Cable:
    """One end of a cable, as frames. Opened inside the namespace, used from outside."""

    def __init__(self, lab, namespace, device):
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/self/ns/net", "rb") as here, \
                open(f"/run/netns/{lab.prefix}{namespace}", "rb") as there:
            if libc.setns(there.fileno(), NEW_NETWORK) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            try:
                self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
                self.socket.bind((device, 3))
                self.mac = self.socket.getsockname()[4].hex(":")
            finally:
                libc.setns(here.fileno(), NEW_NETWORK)
        self.frames = []  # all that came, for tshark and for counting
        self.pending = []  # came, but no wait() has looked at it yet

    def send(self, frame):
        self.socket.send(bytes(frame))

    def drain(self):
        """Takes what is there."""
        self.socket.setblocking(False)
        fresh = []
        while True:
            try:
                octets, address = self.socket.recvfrom(65536)
            except BlockingIOError:
                break
            if address[2] == socket.PACKET_OUTGOING:
                continue
            fresh.append(Ether(octets))
        self.frames += fresh
        self.pending += fresh
        return fresh

    def wait(self, wanted, what, timeout=10):
        """The first frame behind the one of the last wait() that `wanted` says yes to."""
        def look():
            self.drain()
            while self.pending:
                frame = self.pending.pop(0)
                if wanted(frame):
                    return frame
            return None
        return wait_until(look, timeout, what, 0.005)


class ForeignAgentNetwork:
    def __init__(self, lab):
        self.lab = lab
        self.config = lab.directory / "homeport-fa.yaml"
        self.status_socket = lab.directory / "fa.sock"
        self.process = None
        for name, forwarding in (("mob", False), ("fa", True), ("home", False)):
            lab.namespace(name, forwarding)
        lab.veth("fa", "visited0", "mob", "mob0")
        lab.veth("fa", "wan0", "home", "home0")
        lab.ip("fa", f"addr add {LINK_ADDRESS}/24 dev visited0")
        lab.ip("fa", f"addr add {CARE_OF}/24 dev wan0")
        lab.ip("home", f"addr add {GATEWAY}/24 dev home0")
        lab.ip("fa", f"route add default via {GATEWAY}")
        for name, key in (("fh.key", FH_KEY), ("mf.key", MF_KEY)):
            path = lab.directory / name
            path.touch(mode=0o600)
            path.write_text(key.hex() + "\n")
        self.mobile = Cable(lab, "mob", "mob0")
        self.home = Cable(lab, "home", "home0")
        self.wan_mac = self.mac_of("wan0")
        self.link_mac = self.mac_of("visited0")

    def mac_of(self, device):
        text = self.lab.ip("fa", f"-j link show {device}")
        return json.loads(text)[0]["address"]

    def start(self, text=""):
        self.config.write_text(f"""care_of_address: {CARE_OF}
links: [{{interface: visited0}}]
advertise: {{min_interval_ms: 200, max_interval_ms: 300, lifetime: 3}}
status_socket: {self.status_socket}
log_level: debug
{text}
""")
        self.process = self.lab.start(
            "fa", [build_directory() / "tools/foreign-agent/homeport-fa", "--config", self.config],
            "homeport-fa")
        self.process.wait_for_output("HP-FA-0001")

    def status(self):
        text = self.lab.run("fa", [build_directory() / "tools/foreign-agent/homeport-fa", "status",
                                   "--json", "--socket", self.status_socket])
        return json.loads(text)

    def counter(self, name):
        return self.status()["counters"][name]

    def wait_counter(self, name, value):
        wait_until(lambda: self.counter(name) >= value, 5, f"{name} of {value}")

    # ----------------------------------------------------------------------------- registering

    def ask(self, node, payload, ttl=255, destination=LINK_ADDRESS, mac=None, broken=False):
        packet = IP(src=node.home_address, dst=destination, ttl=ttl) / \
            UDP(sport=node.port, dport=434) / Raw(payload)
        if broken:
            packet[UDP].chksum = 0x1234
        self.mobile.send(Ether(src=node.mac, dst=mac or self.link_mac) / packet)

    def relayed(self, home_agent=HOME_AGENT, timeout=10):
        """The frame in which a request comes to the home agent."""
        frame = self.home.wait(lambda f: UDP in f and f[IP].dst == home_agent and
                               f[UDP].dport == 434 and bytes(f[UDP].payload)[:1] == b"\x01",
                               f"a request to {home_agent}", timeout)
        return frame

    def answer(self, frame, payload):
        """The home agent's reply to a relayed request."""
        back = IP(src=frame[IP].dst, dst=frame[IP].src) / \
            UDP(sport=434, dport=frame[UDP].sport) / Raw(payload)
        self.home.send(Ether(src=self.home.mac, dst=self.wan_mac) / back)

    def replied(self, node, timeout=10):
        """The reply that comes to a visitor, as frame."""
        return self.mobile.wait(
            lambda f: UDP in f and f[UDP].sport == 434 and f[UDP].dport == node.port and
            f.dst == node.mac and bytes(f[UDP].payload)[:1] == b"\x03",
            f"a reply to {node.home_address}", timeout)

    def register(self, node, flags="T", behind=b"", answer_behind=b"", foreign_key=None, **asked):
        asked = {"home_agent": node.home_agent} | asked
        self.ask(node, request(node.home_address, flags=flags, behind=behind, **asked))
        frame = self.relayed(node.home_agent)
        self.answer(frame, reply(bytes(frame[UDP].payload), behind=answer_behind,
                                 foreign_key=foreign_key))
        got = self.replied(node)
        code = MobileIP(bytes(got[UDP].payload))[MobileIPRRP].code
        if code != 0:
            raise LabError(f"{node.home_address}: code {code}")
        return frame, got

    def denied(self, node, payload, **how):
        """The code that a foreign agent's own reply has."""
        self.ask(node, payload, **how)
        return MobileIP(bytes(self.replied(node)[UDP].payload))[MobileIPRRP].code

    # ------------------------------------------------------------------------------------ data

    def from_home(self, packet):
        self.home.send(Ether(src=self.home.mac, dst=self.wan_mac) / packet)

    def from_visitor(self, node, packet, mac=None):
        self.mobile.send(Ether(src=mac or node.mac, dst=self.link_mac) / packet)

    def at_visitor(self, wanted, what):
        return self.mobile.wait(lambda f: IP in f and wanted(f), what)

    def at_home(self, wanted, what):
        return self.home.wait(lambda f: IP in f and wanted(f), what)

    def check_by_tshark(self, cable):
        """tshark finds nothing wrong with any frame that came to `cable`."""
        path = self.lab.directory / "frames.pcap"
        wrpcap(str(path), cable.frames)
        out = self.lab.shell(f"tshark -r {path} -o ip.check_checksum:TRUE "
                             "-o udp.check_checksum:TRUE -Y '_ws.malformed || "
                             "ip.checksum.status == 0 || udp.checksum.status == 0 || "
                             "icmp.checksum.status == 0' 2>/dev/null", timeout=120)
        if out.strip():
            raise LabError(f"tshark: {out}")

    def stop(self):
        self.process.signal(signal.SIGTERM)
        return self.process.wait()


class Node:
    """A mobile node that visits."""

    def __init__(self, number, home_agent=HOME_AGENT, home_address=None):
        self.mac = f"02:00:00:00:01:{number:02x}"
        self.home_address = home_address or f"192.0.2.{100 + number}"
        self.home_agent = home_agent
        self.port = 40000 + number


def octets_of(frame):
    """Of its IP packet, without what Ethernet padded it with."""
    return bytes(frame[IP])[:frame[IP].len]


__all__ = [name for name in dir() if not name.startswith("_")] + ["os", "ICMP"]

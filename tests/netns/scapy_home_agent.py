#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A home agent of few lines, to referee the mobile node: it shares no code with the product.

It owns one end of each cable (the kernel's IPv6 is off there) and answers everything itself:
neighbor discovery of the routers and of the home agent, binding updates under ESP, the tunnel, and
plain routing to a correspondent. Every octet of a binding update is checked here, by hand where
that is short, and with scapy. What is wrong goes into "faults", which a test expects to be empty.

    scapy_home_agent.py CONFIG.json       reads commands, one JSON object a line, on CONFIG's socket
"""
import json
import select
import socket
import struct
import sys
import time
import warnings

warnings.filterwarnings("ignore")
from scapy.all import (ESP, ICMPv6NDOptDstLLAddr, ICMPv6ND_NA, IPv6,  # noqa: E402
                       SecurityAssociation, raw)
from scapy.layers.inet6 import (MIP6MH_BA, MIP6MH_BU, MIP6OptAltCoA,  # noqa: E402
                                in6_chksum)

ETH_IPV6 = 0x86DD
ALL_NODES = "ff02::1"


def packed(address):
    return socket.inet_pton(socket.AF_INET6, address)


def text(octets):
    return socket.inet_ntop(socket.AF_INET6, octets)


class Link:
    """One end of a cable, with the addresses that we answer for there."""

    def __init__(self, name, addresses):
        self.name = name
        self.addresses = set(addresses)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_IPV6))
        self.socket.bind((name, 0))
        self.mac = self.socket.getsockname()[4]
        self.neighbors = {}

    def send(self, packet, mac=None):
        destination = mac or self.neighbors.get(packet[24:40])
        if packet[24] == 0xFF:
            destination = b"\x33\x33" + packet[36:40]
        if destination is None:
            return False
        self.socket.send(destination + self.mac + struct.pack("!H", ETH_IPV6) + packet)
        return True


class HomeAgent:
    def __init__(self, config):
        self.address = packed(config["home_agent"])
        self.home_address = packed(config["home_address"])
        self.links = {name: Link(name, map(packed, addresses))
                      for name, addresses in config["links"].items()}
        self.home = self.links[config["home_link"]]
        self.correspondent_link = self.links[config["correspondent_link"]]
        self.correspondent = packed(config["correspondent"])
        self.correspondent_link.neighbors[self.correspondent] = bytes.fromhex(
            config["correspondent_mac"].replace(":", ""))
        self.algorithms = {"crypt_algo": "AES-CBC", "auth_algo": "SHA2-256-128"}
        self.keys = {name: bytes.fromhex(open(config[name]).read().strip())
                     for name in ("bu_key", "ba_key")}
        self.spi_in, self.spi_out = config["spi_in"], config["spi_out"]
        self.inbound = self.association(self.spi_in, self.keys["bu_key"])
        self.outbound = self.association(self.spi_out, self.keys["ba_key"])
        self.plain = config.get("unprotected", False)
        self.policy = {"answer": "accept", "status": 0, "lifetime": None, "drop": 0,
                       "forward": True, "mtu": 1500}
        self.binding = None  # care-of address
        self.neighbor_is_mobile = False
        self.last_sequence = None
        self.updates = []
        self.faults = []
        self.tunnelled = {}  # outer source: packets
        self.natively = 0
        self.from_home_address = []  # link local messages of the mobile node about itself
        self.control = []

    def association(self, spi, key):
        return SecurityAssociation(ESP, spi=spi, crypt_key=key[:16], auth_key=key[16:],
                                   **self.algorithms)

    def fault(self, what):
        if len(self.faults) < 100:
            self.faults.append(what)

    # -------------------------------------------------------------------------------- frames

    def receive(self, link):
        for _ in range(64):
            try:
                frame = link.socket.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if frame[6:12] == link.mac or len(frame) < 54:
                continue
            source_mac = frame[6:12]
            packet = frame[14:14 + 40 + struct.unpack("!H", frame[18:20])[0]]
            link.neighbors[packet[8:24]] = source_mac
            self.packet(link, packet)

    def packet(self, link, packet):
        next_header, destination = packet[6], packet[24:40]
        if next_header == 58 and packet[40] == 135:
            return self.solicited(link, packet)
        if next_header == 58 and packet[40] == 136:
            return self.advertised(link, packet)
        if destination == self.address:
            return self.for_home_agent(link, packet)
        if packet[8:24] == self.home_address:
            if link is self.home:
                self.natively += 1
            elif link is not self.correspondent_link:
                self.fault(f"native packet from the home address on {link.name}")
        if destination == self.home_address:
            return self.to_home_address(packet)
        if destination == self.correspondent:
            self.to_correspondent(packet)
        return None

    def solicited(self, link, packet):
        target = packet[48:64]
        proxied = link is self.home and self.binding and target == self.home_address
        if target == self.home_address and not proxied:
            return
        if target not in link.addresses and not proxied and not (
                link is self.home and target == self.address):
            return
        source = packet[8:24]
        probe = source == bytes(16)
        answer = IPv6(src=text(target), dst=ALL_NODES if probe else text(source), hlim=255) / \
            ICMPv6ND_NA(R=0, S=0 if probe else 1, O=0, tgt=text(target)) / \
            ICMPv6NDOptDstLLAddr(lladdr=link.mac.hex(":"))
        link.send(raw(answer))

    def advertised(self, link, packet):
        if packet[48:64] != self.home_address:
            return
        if link is not self.home:
            self.fault(f"advertises the home address on {link.name}")
        flags = packet[44]
        if len(self.from_home_address) < 100:
            self.from_home_address.append(
                {"destination": text(packet[24:40]), "solicited": bool(flags & 0x40),
                 "override": bool(flags & 0x20), "router": bool(flags & 0x80),
                 "hop_limit": packet[7], "bound": self.binding is not None,
                 "lladdr": packet[66:72].hex(":") if len(packet) >= 72 else None})
        if flags & 0x20:
            link.neighbors[self.home_address] = packet[66:72]
            self.neighbor_is_mobile = True

    # ----------------------------------------------------------------------------- signalling

    def for_home_agent(self, link, packet):
        next_header = packet[6]
        if next_header in (60, 50, 135):
            return self.binding_update(link, packet)
        if next_header == 41:
            return self.reverse_tunnel(packet)
        if next_header == 44:
            return self.fault("a fragment")
        if next_header == 58 and packet[40] in (1, 3, 4):
            return self.fault(f"ICMPv6 {packet[40]}/{packet[41]} about our packet: "
                              f"{packet[48:120].hex()}")
        return None

    def binding_update(self, link, packet):
        wire_source, home = packet[8:24], None
        normal = packet
        if packet[6] == 60:
            header = packet[40:64]
            expected = bytes([header[0], 2, 1, 2, 0, 0, 0xC9, 16]) + self.home_address
            if header != expected:
                return self.fault(f"destination options header {header.hex()}, "
                                  f"expected {expected.hex()}")
            home = header[8:24]
            normal = (packet[:4] + struct.pack("!HBB", len(packet) - 64, header[0], packet[7]) +
                      home + packet[24:40] + packet[64:])
        elif wire_source != self.home_address:
            return self.fault(f"binding update from {text(wire_source)} without Home Address option")
        if normal[6] == 50:
            try:
                opened = raw(self.inbound.decrypt(IPv6(normal)))
            except Exception as error:  # pylint: disable=broad-except
                return self.fault(f"ESP does not open: {error!r}")
        elif self.plain:
            opened = normal
        else:
            return self.fault("a binding update without ESP")
        return self.opened_update(link, wire_source, home, opened)

    def opened_update(self, link, wire_source, home, opened):
        if opened[6] != 135:
            return self.fault(f"next header {opened[6]} inside ESP")
        header = opened[40:]
        if in6_chksum(135, IPv6(opened[:40]), header) != 0:
            self.fault("mobility header checksum over home address and home agent is wrong")
        if header[0] != 59 or len(header) != (header[1] + 1) * 8 or header[2] != 5 or header[3]:
            self.fault(f"mobility header {header[:4].hex()} of {len(header)} octets")
        update = MIP6MH_BU(header)
        if not isinstance(update, MIP6MH_BU):
            return self.fault("scapy does not see a binding update")
        flags = struct.unpack("!H", header[8:10])[0]
        alternate = [o.acoa for o in update.options if isinstance(o, MIP6OptAltCoA)]
        if flags & 0xC000 != 0xC000:
            self.fault(f"A and H are not set: {flags:#06x}")
        if flags & 0x07FF:
            self.fault(f"reserved or foreign flags: {flags:#06x}")
        if home and update.mhtime:
            if alternate != [text(wire_source)]:
                self.fault(f"alternate care-of addresses {alternate}, source {text(wire_source)}")
            if header.find(b"\x03\x10" + wire_source) % 8 != 6:
                self.fault("alternate care-of address option is not aligned 8n+6")
        if self.last_sequence is not None and (
                (update.seq - self.last_sequence) & 0xFFFF) in (0, *range(0x8000, 0x10000)):
            self.fault(f"sequence {update.seq} after {self.last_sequence}")
        if len(self.updates) < 1000:
            self.updates.append({
                "time": time.time(), "link": link.name, "source": text(wire_source),
                "home_address_option": home is not None, "sequence": update.seq,
                "lifetime": update.mhtime * 4, "flags": flags, "octets": len(opened)})
        if self.policy["drop"] > 0:
            self.policy["drop"] -= 1
            return None
        return self.answer(link, wire_source, home, update)

    def answer(self, link, wire_source, home, update):
        how = self.policy["answer"]
        if how == "silent":
            return
        status, lifetime, sequence = 0, update.mhtime * 4, update.seq
        if self.policy["lifetime"] is not None and lifetime:
            lifetime = min(lifetime, self.policy["lifetime"])
        if how == "status":
            status, lifetime = self.policy["status"], 0
            if status == 135:
                sequence = self.last_sequence = self.policy["sequence"]
                self.policy["answer"] = "accept"
            self.acknowledge(link, wire_source, home, status, sequence, lifetime)
            return
        self.last_sequence = update.seq
        if how == "wrong_sequence":
            sequence = (update.seq + 77) & 0xFFFF
        if update.mhtime == 0:
            known, self.binding = self.binding is not None, None
            status = 0 if known or self.policy.get("lenient") else 133
        elif how == "accept":
            self.binding = wire_source
            self.neighbor_is_mobile = False
        self.acknowledge(link, wire_source, home, status, sequence, lifetime)

    def acknowledge(self, link, wire_source, home, status, sequence, lifetime):
        how = self.policy["answer"]
        normal = IPv6(src=text(self.address), dst=text(self.home_address), nh=135) / \
            MIP6MH_BA(status=status, seq=sequence, mhtime=lifetime // 4)
        sealed = raw(normal)
        if not self.plain and how != "unprotected":
            association = self.outbound
            if how == "wrong_key":
                association = self.association(self.spi_out, bytes(48))
                association.seq_num = self.outbound.seq_num
            sealed = raw(association.encrypt(IPv6(sealed)))
        if home:
            segments = 2 if how == "bad_rh2" else 1
            routing = bytes([sealed[6], 2, 2, segments, 0, 0, 0, 0]) + self.home_address
            sealed = (sealed[:4] + struct.pack("!HBB", len(sealed) - 40 + 24, 43, 64) +
                      sealed[8:24] + wire_source + routing + sealed[40:])
            link.send(sealed)
        else:
            self.home.send(sealed, self.home.neighbors.get(self.home_address))

    # -------------------------------------------------------------------------------- payload

    def reverse_tunnel(self, packet):
        inner, source = packet[40:], packet[8:24]
        self.tunnelled[text(source)] = self.tunnelled.get(text(source), 0) + 1
        if source != self.binding:
            return None  # as a home agent has to: mip6.rt.bad_src
        if inner[8:24] != self.home_address:
            return self.fault(f"inner source {text(inner[8:24])}")
        if packet[4:6] != struct.pack("!H", len(inner)):
            return self.fault("payload length of the tunnel header")
        if inner[24:40] == self.address:
            return self.fault("the home agent is no correspondent here")
        return self.to_correspondent(inner)

    def to_correspondent(self, packet):
        if packet[24:40] == self.correspondent and self.policy["forward"]:
            packet = packet[:7] + bytes([packet[7] - 1]) + packet[8:]
            self.correspondent_link.send(packet)

    def to_home_address(self, packet):
        if not self.policy["forward"]:
            return
        packet = packet[:7] + bytes([packet[7] - 1]) + packet[8:]
        if not self.binding:
            self.home.send(packet)
            return
        traffic_class = struct.unpack("!H", packet[:2])[0] >> 4 & 0xFF
        outer = struct.pack("!IHBB", 6 << 28 | traffic_class << 20, len(packet), 41, 64) + \
            self.address + self.binding
        self.to_care_of_address(outer + packet)

    def to_care_of_address(self, packet):
        for link in self.links.values():
            if packet[24:40] in link.neighbors:
                link.send(packet)

    # --------------------------------------------------------------------------------- control

    def command(self, line):
        request = json.loads(line)
        if request["command"] == "set":
            self.policy.update(request["policy"])
        elif request["command"] == "inject":
            octets = bytes.fromhex(request["packet"])
            self.links[request["link"]].send(octets)
        elif request["command"] == "forget":
            self.binding = None
        return {"binding": text(self.binding) if self.binding else None,
                "updates": self.updates, "faults": self.faults, "tunnelled": self.tunnelled,
                "natively": self.natively, "advertisements": self.from_home_address,
                "policy": self.policy,
                "macs": {name: link.mac.hex(":") for name, link in self.links.items()}}

    @staticmethod
    def more_sockets():
        """Of a kind of home agent that listens on more: what to call when one is readable."""
        return {}

    def serve(self, path):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(path)
        print("ready", flush=True)
        sockets = {link.socket: lambda link=link: self.receive(link)
                   for link in self.links.values()}
        sockets.update(self.more_sockets())
        while True:
            readable, _, _ = select.select([listener, *sockets], [], [], 5)
            for one in readable:
                if one is listener:
                    line, sender = listener.recvfrom(1 << 18)
                    listener.sendto(json.dumps(self.command(line)).encode(), sender)
                else:
                    sockets[one]()


def main():
    config = json.load(open(sys.argv[1]))
    HomeAgent(config).serve(config["socket"])


if __name__ == "__main__":
    main()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The referee of scapy_home_agent.py in IPv4 networks (RFC 5555): shares no code with the product.

The configuration says in addition: "home_agent4"; "links4", the routers' addresses of each IPv4
link; "nat", links whose packets the home agent sees from another address and port; and
"correspondent4", "home_address4", "payload_in_key", "payload_out_key", "payload_spi_in",
"payload_spi_out". A NAT is played by arithmetic here; tests with a real one are elsewhere.
"""
import json
import socket
import struct
import sys
import time

from scapy_home_agent import HomeAgent, text
from scapy.all import ESP, IP, IPv6, SecurityAssociation, raw
from scapy.layers.inet6 import MIP6MH_BA, MIP6OptUnknown, in6_chksum

ETH_ALL, ETH_IPV4, ETH_ARP = 3, 0x0800, 0x0806
NAT_PORTS = 1000  # what the NAT of this script adds to a port
PORT, ESP_PORT = 4191, 4500


def packed4(address):
    return socket.inet_aton(address)


def text4(octets):
    return socket.inet_ntoa(octets)


def sum16(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets[:len(octets) // 2 * 2]))
    if len(octets) % 2:
        total += octets[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def ipv4_header(source, destination, protocol, length, tos=0):
    header = struct.pack("!BBHHHBBH", 0x45, tos, 20 + length, 1, 0, 64, protocol, 0) + \
        source + destination
    return header[:10] + struct.pack("!H", sum16(header) ^ 0xFFFF) + header[12:]


class Link4:
    """IPv4 on one end of a cable."""

    def __init__(self, name, addresses):
        self.name = name
        self.addresses = set(addresses)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
        self.socket.bind((name, 0))
        self.mac = self.socket.getsockname()[4]
        self.neighbors = {}

    def send(self, packet):
        mac = self.neighbors.get(packet[16:20])
        if mac is None:
            return False
        self.socket.send(mac + self.mac + struct.pack("!H", ETH_IPV4) + packet)
        return True


class DualStackAgent(HomeAgent):
    def __init__(self, config):
        super().__init__(config)
        self.address4 = packed4(config["home_agent4"])
        self.others4 = [packed4(one) for one in config.get("home_agents4_silent", [])]
        self.links4 = {name: Link4(name, map(packed4, addresses))
                       for name, addresses in config["links4"].items()}
        self.nat = {name: packed4(address) for name, address in config["nat"].items()}
        self.correspondent4 = packed4(config["correspondent4"])
        self.home_address4 = packed4(config["home_address4"])
        self.cn4 = self.links4[config["correspondent_link"]]
        self.cn4.neighbors[self.correspondent4] = self.correspondent_link.neighbors[
            self.correspondent]
        self.payload = None
        if "payload_in_key" in config:
            self.payload = {}
            for way in ("in", "out"):
                key = bytes.fromhex(open(config[f"payload_{way}_key"]).read().strip())
                self.payload[way] = SecurityAssociation(
                    ESP, spi=config[f"payload_spi_{way}"], crypt_key=key[:16], auth_key=key[16:],
                    tunnel_header=IPv6(src=text(self.address), dst=text(self.home_address)),
                    **self.algorithms)
        self.policy.update({"natdet": True, "refresh": 110, "force": False, "ack4": 0,
                            "give4": None, "no_ack4": False, "routing_header": False,
                            "nested": False, "ipv6_silent": False})
        self.binding4 = None  # (link name, address, port, "ipv4" or "udp")
        self.esp_peer = None  # (link name, address, port) on UDP 4500
        self.seen4 = {}  # form of data, by outer source: packets
        self.keepalives = 0

    # -------------------------------------------------------------------------------- frames

    def receive4(self, link):
        for _ in range(64):
            try:
                frame, origin = link.socket.recvfrom(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if origin[2] == socket.PACKET_OUTGOING or len(frame) < 34:
                continue
            kind = struct.unpack("!H", frame[12:14])[0]
            if kind == ETH_ARP:
                self.arp(link, frame)
            elif kind == ETH_IPV4:
                packet = frame[14:14 + struct.unpack("!H", frame[16:18])[0]]
                link.neighbors[packet[12:16]] = frame[6:12]
                self.packet4(link, packet)

    @staticmethod
    def arp(link, frame):
        operation, mac, sender, target = (frame[20:22], frame[22:28], frame[28:32], frame[38:42])
        if operation != b"\0\1" or target not in link.addresses:
            return
        answer = mac + link.mac + struct.pack("!H", ETH_ARP) + frame[14:20] + b"\0\2" + \
            link.mac + target + mac + sender
        link.socket.send(answer)

    def packet4(self, link, packet):
        if sum16(packet[:20]) != 0xFFFF:
            return self.fault("IPv4 header checksum")
        source, destination, protocol = packet[12:16], packet[16:20], packet[9]
        if destination == self.home_address4 and link is self.cn4:
            return self.to_home_address4(packet)
        if destination in self.others4:
            return None  # a home agent that is not there
        if destination != self.address4:
            return None
        if protocol == 1 and packet[20] == 3:
            return self.fault(f"ICMP 3/{packet[21]} about our packet")
        if packet[8] not in (64, 1) and protocol != 50:
            self.fault(f"TTL {packet[8]}")
        payload = packet[20:]
        if protocol == 17:
            return self.udp(link, packet, source, payload)
        if self.binding4 and link.name in self.nat:
            return self.fault(f"protocol {protocol} through a NAT")
        if protocol in (41, 4):
            return self.data(link, source, 0, payload, "ipv4")
        if protocol == 50:
            return self.sealed(link, source, 0, payload, "esp")
        return self.fault(f"IPv4 protocol {protocol}")

    def udp(self, link, packet, source, datagram):
        sport, dport, length, checksum = struct.unpack("!HHHH", datagram[:8])
        if length != len(datagram):
            return self.fault(f"UDP length {length} of {len(datagram)}")
        if checksum and sum16(packet[12:20] + b"\0\x11" + datagram[4:6] + datagram) != 0xFFFF:
            return self.fault("UDP checksum")
        body = datagram[8:]
        outside = self.nat.get(link.name, source), sport + (NAT_PORTS if link.name in self.nat else 0)
        if dport == ESP_PORT:
            if checksum and body != b"\xff":
                self.fault("ESP in UDP with a checksum")
            if body == b"\xff":
                self.keepalives += 1
                return None
            if body[:4] == bytes(4):
                return self.fault("IKE on UDP 4500")
            return self.sealed(link, *outside, body, "esp-udp")
        if dport != PORT:
            return self.fault(f"UDP port {dport}")
        if body[0] >> 4 == 6 and body[6] == 50 and body[24:40] == self.address and \
                struct.unpack("!I", body[40:44])[0] == self.spi_in:
            if not checksum:
                self.fault("a binding update without UDP checksum")
            return self.update4(link, source, outside, body)
        if checksum and not (body[0] >> 4 == 6 and body[6] == 60):
            self.fault("data with a UDP checksum")
        if body[0] >> 4 == 6 and body[6] == 50 and body[24:40] == self.address:
            return self.sealed(link, *outside, body[40:], "nested")
        return self.data(link, *outside, body, "udp")

    # ----------------------------------------------------------------------------- signalling

    def update4(self, link, source, outside, packet):
        if packet[8:24] != self.home_address:
            return self.fault(f"inner source {text(packet[8:24])}")
        try:
            opened = raw(self.inbound.decrypt(IPv6(packet)))
        except Exception as error:  # pylint: disable=broad-except
            return self.fault(f"ESP does not open: {error!r}")
        header = opened[40:]
        if in6_chksum(135, IPv6(opened[:40]), header) != 0:
            self.fault("mobility header checksum")
        if header[2] != 5 or len(header) != (header[1] + 1) * 8:
            return self.fault(f"mobility header {header[:4].hex()}")
        sequence, flags, lifetime = struct.unpack("!HHH", header[6:12])
        options, at = {}, 12
        while at < len(header):
            if header[at] == 0:
                at += 1
                continue
            kind, length = header[at], header[at + 1]
            if kind in (29, 32) and at % 4:
                self.fault(f"option {kind} at {at} is not aligned 4n")
            if kind != 1:
                options[kind] = header[at + 2:at + 2 + length]
            at += 2 + length
        if options.get(32) != b"\0\0" + source:
            self.fault(f"option 32 {options.get(32)}, source {text4(source)}")
        if 3 in options:
            self.fault("an Alternate Care-of Address over IPv4")
        if flags & 0xC000 != 0xC000 or flags & 0x06FF:
            self.fault(f"flags {flags:#06x}")
        self.updates.append({"time": time.time(), "link": link.name, "source": text4(source),
                             "port": outside[1], "sequence": sequence, "lifetime": lifetime * 4,
                             "flags": flags, "force": bool(flags & 0x0100),
                             "ipv4_home": options[29].hex() if 29 in options else None,
                             "home_address_option": False})
        if self.policy["drop"] > 0:
            self.policy["drop"] -= 1
            return None
        return self.answer4(link, source, outside, options, sequence, flags, lifetime)

    def answer4(self, link, source, outside, options, sequence, flags, lifetime):
        how = self.policy["answer"]
        if how == "silent":
            return
        status = self.policy["status"] if how == "status" else 0
        if flags & 0x0100 and self.policy["force"] == "refuse":
            status = 144
        found = outside[0] != source
        udp = found or bool(flags & 0x0100) or self.policy["force"] is True
        if status < 128:
            self.binding = None
            self.binding4 = (link.name, source, outside[1], "udp" if udp else "ipv4") \
                if lifetime else None
        if self.policy["lifetime"] is not None and lifetime:
            lifetime = min(lifetime, self.policy["lifetime"] // 4)
        answers = []
        if 29 in options and status < 128 and not self.policy["no_ack4"]:
            asked = options[29][2:]
            given = packed4(self.policy["give4"]) if asked == bytes(4) and self.policy["give4"] \
                else asked
            answers.append(MIP6OptUnknown(otype=30, olen=6, odata=bytes(
                [self.policy["ack4"], 32 << 2]) + given))
        if self.policy["natdet"]:
            force = 0x8000 if udp and not found else 0
            refresh = self.policy["refresh"] if udp else 0xFFFFFFFF
            answers.append(MIP6OptUnknown(otype=31, olen=6,
                                          odata=struct.pack("!HI", force, refresh)))
        normal = IPv6(src=text(self.address), dst=text(self.home_address), nh=135) / \
            MIP6MH_BA(status=status, seq=sequence, mhtime=0 if status >= 128 else lifetime,
                      options=answers)
        sealed = raw(self.outbound.encrypt(IPv6(raw(normal))))
        if self.policy["routing_header"]:
            routing = bytes([sealed[6], 2, 2, 1, 0, 0, 0, 0]) + self.home_address
            sealed = (sealed[:4] + struct.pack("!HBB", len(sealed) - 40 + 24, 43, 64) +
                      sealed[8:40] + routing + sealed[40:])
        self.send_udp(link.name, source, PORT, outside[1], sealed)

    def send_udp(self, link, address, sport, port, body, own=None):
        """To the mobile node at `address` of `link`, whose port outside is `port`."""
        inside = port - (NAT_PORTS if link in self.nat else 0)
        datagram = struct.pack("!HHHH", sport, inside, 8 + len(body), 0) + body
        header = ipv4_header(own or self.address4, address, 17, len(datagram))
        self.links4[link].send(header + datagram)

    # -------------------------------------------------------------------------------- payload

    def note(self, form, source):
        key = f"{form} {text4(source)}"
        self.seen4[key] = self.seen4.get(key, 0) + 1

    def data(self, link, source, port, inner, form):
        self.note(form, source)
        if not self.binding4 or self.payload and inner[0] >> 4 == 6 and inner[6] not in (50, 60):
            return None if self.binding4 is None else self.fault("payload in clear")
        name, address, bound_port, _ = self.binding4
        expected = self.nat.get(name, address)
        if source != expected or port not in (0, bound_port):
            return None  # dsmip.in.bad_outer
        return self.inner(inner)

    def inner(self, inner):
        if inner[0] >> 4 == 4:
            if inner[12:16] != self.home_address4 and self.policy["give4"] is None:
                return self.fault(f"inner IPv4 source {text4(inner[12:16])}")
            if inner[16:20] == self.correspondent4:
                self.cn4.send(inner)
            return None
        if inner[8:24] != self.home_address:
            return self.fault(f"inner source {text(inner[8:24])}")
        return self.to_correspondent(inner)

    def sealed(self, link, source, port, esp, form):
        self.note(form, source)
        if self.payload is None:
            return self.fault(f"ESP as {form}")
        header = struct.pack("!IHBB", 6 << 28, len(esp), 50, 64) + self.home_address + self.address
        try:
            inner = raw(self.payload["in"].decrypt(IPv6(header + esp)))
        except Exception as error:  # pylint: disable=broad-except
            return self.fault(f"payload does not open: {error!r}")
        if form == "esp-udp":
            self.esp_peer = (link.name, self.binding4[1] if self.binding4 else source, port)
        if inner[0] >> 4 == 6 and inner[6] == 59:
            return None
        return self.inner(inner)

    def to_home_address(self, packet):
        if not self.binding4:
            return super().to_home_address(packet)
        if self.policy["forward"]:
            self.tunnel4(packet[:7] + bytes([packet[7] - 1]) + packet[8:])
        return None

    def to_home_address4(self, packet):
        if self.binding4 and self.policy["forward"]:
            self.tunnel4(packet)

    def tunnel4(self, packet):
        link, address, port, form = self.binding4
        if self.payload:
            sealed = raw(self.payload["out"].encrypt(
                (IPv6 if packet[0] >> 4 == 6 else IP)(packet)))
            if self.policy["nested"]:
                return self.send_udp(link, address, PORT, port, sealed)
            if form == "udp":
                if self.esp_peer:
                    self.send_udp(*self.esp_peer[:2], ESP_PORT, self.esp_peer[2], sealed[40:])
                return None
            header = ipv4_header(self.address4, address, 50, len(sealed) - 40)
            return self.links4[link].send(header + sealed[40:])
        if form == "udp":
            return self.send_udp(link, address, PORT, port, packet)
        header = ipv4_header(self.address4, address, 41 if packet[0] >> 4 == 6 else 4, len(packet))
        return self.links4[link].send(header + packet)

    # --------------------------------------------------------------------------------- control

    def binding_update(self, link, packet):
        if self.policy["ipv6_silent"]:
            return None
        before, count = self.binding, len(self.updates)
        if self.binding4:
            self.binding = self.address  # known, wherever it is
        done = super().binding_update(link, packet)
        if self.binding == self.address:
            self.binding = before
        if len(self.updates) > count and self.updates[-1]["lifetime"] == 0:
            self.binding4 = None
        if self.binding is not None and self.binding != before:
            self.binding4 = None
        return done

    def command(self, line):
        request = json.loads(line)
        if request["command"] == "inject4":
            self.links4[request["link"]].send(bytes.fromhex(request["packet"]))
        out = super().command(line)
        if self.binding4:
            link, address, port, form = self.binding4
            out["binding"] = text4(address)
            out["binding4"] = {"link": link, "address": text4(address), "port": port, "form": form}
        out.update({"seen4": self.seen4, "keepalives": self.keepalives,
                    "esp_port": self.esp_peer[2] if self.esp_peer else None})
        return out

    def more_sockets(self):
        return {link.socket: lambda link=link: self.receive4(link)
                for link in self.links4.values()}


if __name__ == "__main__":
    settings = json.load(open(sys.argv[1]))
    DualStackAgent(settings).serve(settings["socket"])

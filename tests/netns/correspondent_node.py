#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The Mobile IPv6 layer of a correspondent node, written from RFC 6275 section 9, as a bump in its cable.

    correspondent_node.py CONFIG.json

It stands between the node's own interface and the network, both raw: frames pass, but mobility
headers to the node end here, Home Address options are undone, and packets to a home address with a
binding get a type 2 routing header. A Unix datagram socket takes commands: what to answer, what to
forge, what it has seen. It shares no code with what it judges, and notes every fault that it finds.
"""
import hashlib
import hmac
import json
import os
import secrets
import select
import socket
import struct
import sys
import time

ETHER_IPV6 = 0x86DD
HOP_BY_HOP, ROUTING, FRAGMENT, ESP, ICMPV6, NONE, OPTIONS, MOBILITY = 0, 43, 44, 50, 58, 59, 60, 135
BRR, HOTI, COTI, HOT, COT, BU, BA, BE = range(8)
MAX_RR_BINDING_LIFETIME = 420
MAX_NONCE_LIFETIME = 240
PATH_MTU = 1500


def checksum(source, destination, protocol, payload):
    data = source + destination + struct.pack("!IxxxB", len(payload), protocol) + payload
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def text(address):
    return socket.inet_ntop(socket.AF_INET6, address)


def binary(address):
    return socket.inet_pton(socket.AF_INET6, address)


def ipv6(source, destination, next_header, payload):
    return struct.pack("!IHBB", 6 << 28, len(payload), next_header, 64) + source + destination + \
        payload


def mobility_header(kind, body, source, destination, options=b""):
    message = bytes([NONE, 0, kind, 0, 0, 0]) + body + options
    message += padding(-len(message) % 8)
    message = bytes([message[0], len(message) // 8 - 1]) + message[2:]
    value = checksum(source, destination, MOBILITY, message)
    return message[:4] + struct.pack("!H", value) + message[6:]


def padding(octets):
    return b"" if octets == 0 else b"\0" if octets == 1 else bytes([1, octets - 2]) + \
        bytes(octets - 2)


class Binding:
    def __init__(self, care_of, expires, sequence):
        self.care_of, self.expires, self.sequence = care_of, expires, sequence


class Correspondent:
    def __init__(self, config):
        self.own = binary(config["address"])
        self.inside = self.open(config["inside"])
        self.outside = self.open(config["outside"])
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.control.bind(config["socket"])
        self.kcn = secrets.token_bytes(20)
        self.nonces = {}
        self.index = secrets.randbelow(60000)
        self.rotate()
        self.bindings = {}
        self.policy = {"silent": False, "status": None, "times": 0, "lifetime": None,
                       "sequence": None, "forge": None, "no_support": None}
        self.seen = []
        self.faults = []
        self.counts = {"with_option": 0, "with_routing_header": 0, "plain_in": 0, "plain_out": 0}
        self.router = self.host = None  # Ethernet addresses

    @staticmethod
    def open(device):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003))
        sock.bind((device, 0x0003))
        # PACKET_ADD_MEMBERSHIP, PACKET_MR_PROMISC
        sock.setsockopt(263, 1, struct.pack("IHH8s", socket.if_nametoindex(device), 1, 0, b""))
        return sock

    # ------------------------------------------------------------------------------ the cable

    def run(self):
        print("ready", flush=True)
        while True:
            readable, _, _ = select.select([self.inside, self.outside, self.control], [], [])
            for sock in readable:
                if sock is self.control:
                    self.command()
                    continue
                frame, address = sock.recvfrom(65536)
                if address[2] == socket.PACKET_OUTGOING:
                    continue
                try:
                    if sock is self.outside:
                        self.from_network(frame)
                    else:
                        self.from_host(frame)
                except (IndexError, struct.error) as error:
                    self.faults.append(f"a packet that cannot be read: {error}: {frame.hex()}")

    def to_host(self, frame):
        self.inside.send(frame)

    def to_network(self, frame):
        self.outside.send(frame)

    def send(self, packet):
        """A packet of our own, to the router that we last heard."""
        self.to_network(self.router + self.host + struct.pack("!H", ETHER_IPV6) + packet)

    def from_network(self, frame):
        packet = frame[14:]
        if struct.unpack("!H", frame[12:14])[0] != ETHER_IPV6 or packet[24:40] != self.own:
            return self.to_host(frame)
        self.host, self.router = frame[:6], frame[6:12]
        packet = packet[:40 + struct.unpack("!H", packet[4:6])[0]]
        source, wire_source, next_header, at = packet[8:24], packet[8:24], packet[6], 40
        home_address = None
        if next_header == OPTIONS:
            home_address = self.option_of(packet[40:])
            if home_address:
                next_header, at = packet[40], 40 + 8 + packet[41] * 8
                source = home_address
        if next_header == MOBILITY:
            return self.mobility(packet[at:], source, wire_source, home_address)
        if home_address is None:
            self.counts["plain_in"] += 1
            return self.to_host(frame)
        # Section 9.3.1: the option needs a binding that says the same.
        if self.policy["no_support"] == "option":
            return self.parameter_problem(packet, 2, 44)
        binding = self.binding(home_address)
        if binding is None or binding.care_of != wire_source:
            return self.error(1, home_address, wire_source)
        self.counts["with_option"] += 1
        plain = packet[:4] + struct.pack("!H", len(packet) - at) + bytes([next_header]) + \
            packet[7:8] + home_address + packet[24:40] + packet[at:]
        return self.to_host(frame[:14] + plain)

    def option_of(self, header):
        """The address in a Home Address option; notes what is wrong with it."""
        end, at = 8 + header[1] * 8, 2
        while at < end:
            if header[at] == 0:
                at += 1
                continue
            if header[at] == 0xC9:
                if at % 8 != 6:
                    self.faults.append("Home Address option is not aligned 8n+6")
                if header[at + 1] != 16:
                    self.faults.append("Home Address option without 16 octets")
                return header[at + 2:at + 18]
            at += 2 + header[at + 1]
        return None

    def from_host(self, frame):
        packet = frame[14:]
        if struct.unpack("!H", frame[12:14])[0] != ETHER_IPV6 or packet[8:24] != self.own:
            return self.to_network(frame)
        destination = packet[24:40]
        binding = self.binding(destination)
        if binding is None:
            if destination[0] != 0xFF and packet[6] != ICMPV6 or packet[40:41] == b"\x81":
                self.counts["plain_out"] += 1
            return self.to_network(frame)
        packet = packet[:40 + struct.unpack("!H", packet[4:6])[0]]
        if len(packet) + 24 > PATH_MTU:
            body = struct.pack("!BBHI", 2, 0, 0, PATH_MTU - 24) + packet[:1232]
            value = checksum(self.own, self.own, ICMPV6, body)
            body = body[:2] + struct.pack("!H", value) + body[4:]
            return self.to_host(frame[6:12] + frame[:6] + frame[12:14] +
                                ipv6(self.own, self.own, ICMPV6, body))
        self.counts["with_routing_header"] += 1
        header = bytes([packet[6], 2, 2, 1, 0, 0, 0, 0]) + destination
        routed = packet[:4] + struct.pack("!H", len(packet) - 40 + 24) + bytes([ROUTING]) + \
            packet[7:24] + binding.care_of + header + packet[40:]
        return self.to_network(frame[:14] + routed)

    def binding(self, home_address):
        binding = self.bindings.get(home_address)
        if binding and binding.expires < time.monotonic():
            del self.bindings[home_address]
            return None
        return binding

    # --------------------------------------------------------------------- mobility headers in

    def mobility(self, header, source, wire_source, home_address):
        length = 8 + header[1] * 8
        if len(header) != length:
            self.faults.append(f"mobility header of {length} octets in {len(header)}")
        header = header[:length]
        kind = header[2]
        if checksum(source, self.own, MOBILITY, header) != 0:
            self.faults.append(f"checksum of type {kind} is wrong for the home address as source")
            return
        if header[0] != NONE or header[3] != 0:
            self.faults.append(f"type {kind}: payload proto {header[0]}, reserved {header[3]}")
        self.seen.append({"type": kind, "source": text(source), "wire_source": text(wire_source),
                          "home_address_option": home_address is not None,
                          "time": time.monotonic(), "hex": header.hex()})
        if self.policy["no_support"] == "header":
            packet = ipv6(wire_source, self.own, MOBILITY, header)
            return self.parameter_problem(packet, 1, 6)
        if self.policy["no_support"] == "error":
            return self.error(2, bytes(16), wire_source)
        if self.policy["silent"] and not (self.policy["silent"] == "updates" and kind != BU):
            return
        if kind in (HOTI, COTI):
            self.test(kind, header, source, home_address)
        elif kind == BU:
            self.update(header, source, wire_source, home_address)

    def test(self, kind, header, source, home_address):
        if home_address:
            self.faults.append(f"type {kind} with Home Address option")
        cookie = header[8:16]
        forge = self.policy["forge"]
        token = self.token(self.index, source, 1 if kind == COTI else 0)
        if forge == "cookie":
            for wrong in (bytes(8), bytes(b ^ 0xFF for b in cookie)):
                self.answer(kind + 2, struct.pack("!H", self.index) + wrong + token, source)
            return
        self.answer(kind + 2, struct.pack("!H", self.index) + cookie + token, source)

    def answer(self, kind, body, destination):
        self.send(ipv6(self.own, destination, MOBILITY,
                       mobility_header(kind, body, self.own, destination)))

    def token(self, index, address, last):
        """Section 5.2.5."""
        return hmac.new(self.kcn, address + self.nonces[index][0] + bytes([last]),
                        hashlib.sha1).digest()[:8]

    def rotate(self):
        self.index = (self.index + 1) % 65536
        self.nonces[self.index] = (secrets.token_bytes(8), time.monotonic())

    def is_expired(self, index):
        nonce = self.nonces.get(index)
        return nonce is None or time.monotonic() - nonce[1] > MAX_NONCE_LIFETIME

    def options(self, header, start):
        """(type, data, offset) of each but padding."""
        at, out = start, []
        while at < len(header):
            if header[at] == 0:
                at += 1
                continue
            size = header[at + 1]
            if at + 2 + size > len(header):
                self.faults.append("an option runs past the mobility header")
                return out
            if header[at] != 1:
                out.append((header[at], header[at + 2:at + 2 + size], at))
            at += 2 + size
        return out

    def update(self, header, home_address, wire_source, option):
        sequence, flags, lifetime = struct.unpack("!HHH", header[6:12])
        if flags & 0x7FFF:
            self.faults.append(f"binding update with flags {flags:#06x}")
        options = self.options(header, 12)
        kinds = [kind for kind, _, _ in options]
        if 3 in kinds:
            self.faults.append("alternate care-of address that is not needed")
        if 4 not in kinds or 5 not in kinds:
            self.faults.append(f"binding update with options {kinds}")
            return
        (_, indices, at4), (_, signature, at5) = (next(o for o in options if o[0] == k)
                                                  for k in (4, 5))
        if at4 % 2 or at5 % 8 != 2 or len(signature) != 12 or at5 + 14 != len(header):
            self.faults.append("nonce indices or authorization data are not where they belong")
        home_index, care_of_index = struct.unpack("!HH", indices)
        deletes = lifetime == 0 or option is None
        if option is None and lifetime != 0:
            self.faults.append("a binding of the home address to itself")
        status = self.nonce_status(home_index, care_of_index, deletes)
        # Section 5.2.5: without care-of token when a binding is deleted.
        care_of = home_address if deletes else wire_source
        key = b""
        if status is None:
            tokens = self.token(home_index, home_address, 0)
            if not deletes:
                tokens += self.token(care_of_index, wire_source, 1)
            key = hashlib.sha1(tokens).digest()
            expected = self.authenticator(key, care_of, header)
            if not hmac.compare_digest(expected, signature):
                self.faults.append("the authenticator of a binding update is wrong")
                return
        old = self.binding(home_address)
        answer_sequence = sequence
        if status is None and self.policy["status"] is not None and self.policy["times"] != 0:
            status = self.policy["status"]
            self.policy["times"] -= 1
            if status == 135:
                answer_sequence = self.policy["sequence"]
        if status is None and old and (old.sequence - sequence) % 65536 <= 32768:
            self.faults.append(f"sequence {sequence} behind {old.sequence}")
            status, answer_sequence = 135, old.sequence
        granted = 0
        if status is None:
            granted = min(lifetime, MAX_RR_BINDING_LIFETIME // 4, self.policy["lifetime"] or 105)
            if lifetime * 4 > MAX_RR_BINDING_LIFETIME:
                self.faults.append(f"a lifetime of {lifetime * 4} s asked for")
            if deletes:
                self.bindings.pop(home_address, None)
                granted = 0
            else:
                self.bindings[home_address] = Binding(wire_source, time.monotonic() + granted * 4,
                                                      sequence)
        if flags & 0x8000:
            if self.policy["forge"] == "acknowledgement":
                self.acknowledge(home_address, wire_source, option, 0, sequence, 105,
                                 secrets.token_bytes(20), care_of)
                self.acknowledge(home_address, wire_source, option, 0, sequence, 105, None, care_of)
            self.acknowledge(home_address, wire_source, option, status or 0, answer_sequence,
                             granted, key or None, care_of)

    def nonce_status(self, home_index, care_of_index, deletes):
        home, care_of = self.is_expired(home_index), not deletes and self.is_expired(care_of_index)
        if self.policy["status"] in (136, 137, 138) and self.policy["times"] != 0:
            self.policy["times"] -= 1
            return self.policy["status"]
        return 138 if home and care_of else 136 if home else 137 if care_of else None

    def authenticator(self, key, care_of, header):
        return hmac.new(key, care_of + self.own + header[:4] + b"\0\0" + header[6:-12],
                        hashlib.sha1).digest()[:12]

    def acknowledge(self, home_address, wire_source, option, status, sequence, lifetime, key,
                    care_of):
        body = struct.pack("!BBHH", status, 0, sequence, lifetime)
        options = b""
        if key is not None:
            # 12 octets so far: PadN of 6 brings the option to 8n+2.
            options = padding(6) + bytes([5, 12]) + bytes(12)
        header = mobility_header(BA, body, self.own, home_address, options)
        if key is not None:
            signed = header[:-12] + self.authenticator(key, care_of, header)
            signed = signed[:4] + b"\0\0" + signed[6:]
            value = checksum(self.own, home_address, MOBILITY, signed)
            header = signed[:4] + struct.pack("!H", value) + signed[6:]
        if option is None:
            return self.send(ipv6(self.own, home_address, MOBILITY, header))
        routing = bytes([MOBILITY, 2, 2, 1, 0, 0, 0, 0]) + home_address
        return self.send(ipv6(self.own, wire_source, ROUTING, routing + header))

    def error(self, status, home_address, destination):
        header = mobility_header(BE, bytes([status, 0]) + home_address, self.own, destination)
        self.send(ipv6(self.own, destination, MOBILITY, header))

    def parameter_problem(self, packet, code, pointer):
        body = struct.pack("!BBHI", 4, code, 0, pointer) + packet[:1232]
        destination = packet[8:24]
        value = checksum(self.own, destination, ICMPV6, body)
        self.send(ipv6(self.own, destination, ICMPV6, body[:2] + struct.pack("!H", value) +
                       body[4:]))

    # ---------------------------------------------------------------------------------- control

    def command(self):
        request, address = self.control.recvfrom(1 << 16)
        asked = json.loads(request)
        name = asked.get("command", "state")
        if name == "set":
            self.policy.update(asked["policy"])
        elif name == "forget":
            self.bindings.clear()
        elif name == "expire":
            self.nonces.clear()
            self.rotate()
        elif name == "send":
            self.send(bytes.fromhex(asked["packet"]))
        elif name == "refresh_request":
            destination = binary(asked["home_address"])
            self.answer(BRR, b"\0\0", destination)
        reply = {"seen": self.seen, "faults": self.faults, "counts": self.counts,
                 "bindings": {text(home): text(one.care_of) for home, one in self.bindings.items()
                              if one.expires >= time.monotonic()}}
        self.control.sendto(json.dumps(reply).encode(), address)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        SETTINGS = json.load(file)
    if os.path.exists(SETTINGS["socket"]):
        os.unlink(SETTINGS["socket"])
    Correspondent(SETTINGS).run()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The signalling of a mobile node in an IPv4 network, to referee the home agent: shares no code with
the product. Binding updates are put together octet by octet, ESP is scapy's, UDP is the kernel's.

    scapy_dsmip_node.py CONFIG.json     reads commands, one JSON object a datagram, on CONFIG's socket
"""
import json
import socket
import struct
import sys
import warnings

warnings.filterwarnings("ignore")
from scapy.all import ESP, IPv6, SecurityAssociation, raw  # noqa: E402
from scapy.layers.inet6 import in6_chksum  # noqa: E402

PORT = 4191
MOBILITY = 135


def packed(address):
    return socket.inet_pton(socket.AF_INET6, address)


def padded(options):
    """Options, and Pad1 or PadN up to a multiple of 8 octets behind 12 of the fixed part."""
    rest = -(12 + len(options)) % 8
    if rest == 1:
        return options + b"\0"
    return options + (bytes((1, rest - 2)) + bytes(rest - 2) if rest else b"")


class Node:
    def __init__(self, config):
        self.config = config
        self.home_address, self.home_agent = (packed(config[name])
                                              for name in ("home_address", "home_agent"))
        self.sequence = 0
        self.sockets = {}
        self.outbound, self.inbound = (
            self.association(config[f"spi_{way}"], config[f"key_{way}"]) for way in ("bu", "ba"))

    @staticmethod
    def association(spi, path):
        key = bytes.fromhex(open(path, encoding="ascii").read().strip())
        return SecurityAssociation(ESP, spi=spi, crypt_algo="AES-CBC", crypt_key=key[:16],
                                   auth_algo="SHA2-256-128", auth_key=key[16:48])

    def socket_of(self, port):
        if port not in self.sockets:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            made.bind(("0.0.0.0", port))
            self.sockets[port] = made
        return self.sockets[port]

    def sealed(self, command):
        self.sequence = command.get("sequence", self.sequence + 1)
        options = bytes.fromhex(command.get("options", ""))
        if command.get("pad", True):
            options = padded(options)
        flags = command.get("flags", 0xC000)  # A, H
        octets = 12 + len(options)
        length = command.get("header_length", octets // 8 - 1)
        message = struct.pack("!BBBBHHHH", 59, length, 5, 0, 0, self.sequence, flags,
                              command.get("lifetime", 60)) + options
        upper = IPv6(src=self.config["home_address"], dst=self.config["home_agent"], nh=MOBILITY)
        total = in6_chksum(MOBILITY, upper, message)
        message = message[:4] + struct.pack("!H", total) + message[6:]
        plain = IPv6(raw(IPv6(nh=MOBILITY, plen=len(message), hlim=64))[:8] + self.home_address +
                     self.home_agent + message)
        return raw(self.outbound.encrypt(plain))

    def send(self, command):
        made = self.socket_of(command.get("port", PORT))
        made.sendto(self.sealed(command), (command.get("to", self.config["to"]), PORT))
        return self.answer(made, command.get("wait", 2.0))

    def answer(self, made, wait):
        made.settimeout(wait)
        try:
            octets, (address, port) = made.recvfrom(65536)
        except TimeoutError:
            return {"answer": None, "sequence": self.sequence}
        opened = raw(self.inbound.decrypt(IPv6(octets)))
        header, message = IPv6(opened[:40]), opened[40:]
        faults = []
        if in6_chksum(MOBILITY, header, message) != 0:
            faults.append("checksum")
        if octets[24:40] != self.home_address or octets[8:24] != self.home_agent:
            faults.append("addresses of the inner packet")
        if octets[6] != 50:
            faults.append(f"next header {octets[6]}: there is no routing header over IPv4")
        if message[0] != 59 or message[2] != 6 or len(message) != 8 * (message[1] + 1):
            faults.append("fixed part of the acknowledgement")
        return {"answer": {"status": message[6], "sequence": struct.unpack("!H", message[8:10])[0],
                           "lifetime": struct.unpack("!H", message[10:12])[0],
                           "options": self.options_in(message, faults)},
                "from": [address, port], "faults": faults, "sequence": self.sequence}

    @staticmethod
    def options_in(message, faults):
        """[type, data in hex] of each, without padding; RFC 5555 wants 4n for 29 to 32."""
        found, at = [], 12
        while at < len(message):
            kind = message[at]
            if kind == 0:
                at += 1
                continue
            length = message[at + 1]
            if at + 2 + length > len(message):
                faults.append(f"option {kind} ends behind the message")
                break
            if kind in (30, 31) and (at % 4 != 0 or length != 6):
                faults.append(f"option {kind} of {length} octets at {at}")
            if kind != 1:
                found.append([kind, message[at + 2:at + 2 + length].hex()])
            at += 2 + length
        return found


def main():
    with open(sys.argv[1], encoding="ascii") as stream:
        config = json.load(stream)
    node = Node(config)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    control.bind(config["socket"])
    print("ready", flush=True)
    while True:
        octets, sender = control.recvfrom(1 << 16)
        command = json.loads(octets)
        control.sendto(json.dumps(node.send(command)).encode(), sender)


if __name__ == "__main__":
    main()

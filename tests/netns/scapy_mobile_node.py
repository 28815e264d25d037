#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A mobile node in an IPv4 network, as far as signalling over UDP goes (RFC 5555 section 4.2). It
shares no code with the product: binding updates are written octet by octet, sealed and opened by
scapy.

    scapy_mobile_node.py HOME_ADDRESS HOME_AGENT SPI_OUT KEY_OUT SPI_IN KEY_IN

Reads commands, one JSON object a line, and answers each with one line:
    {"open": [ADDRESS, PORT]}             a UDP socket; the newest one is used
    {"update": {...}, "to": [ADDRESS, PORT]}    sends a binding update; answers with its octets
    {"send": HEX, "to": [ADDRESS, PORT]}  sends these
    {"receive": SECONDS}                  the next datagram: an acknowledgement, or what it is
"""
import json
import select
import socket
import struct
import sys
import time
import warnings

warnings.filterwarnings("ignore")
from scapy.all import ESP, IPv6, SecurityAssociation, raw  # noqa: E402
from scapy.layers.inet6 import in6_chksum  # noqa: E402

MOBILITY, BINDING_UPDATE, BINDING_ACKNOWLEDGEMENT = 135, 5, 6
IPV4_HOME_ADDRESS, IPV4_ACKNOWLEDGEMENT, NAT_DETECTION, IPV4_CARE_OF = 29, 30, 31, 32


def association(spi, key):
    octets = bytes.fromhex(key)
    return SecurityAssociation(ESP, spi=spi, seq_num=1, crypt_algo="AES-CBC",
                               crypt_key=octets[:16], auth_algo="SHA2-256-128",
                               auth_key=octets[16:])


class MobileNode:
    def __init__(self, home_address, home_agent, outbound, inbound):
        self.home_address, self.home_agent = home_address, home_agent
        self.outbound, self.inbound = outbound, inbound
        self.socket = None
        self.sequence = 100

    def open(self, address, port):
        if self.socket:
            self.socket.close()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, port))

    def update(self, care_of=None, lifetime=60, sequence=None, home=None, flags=0xC000):
        """A, H; the options at the offsets that RFC 5555 section 3 wants."""
        self.sequence = self.sequence + 1 if sequence is None else sequence
        options = b""
        if home:
            options += struct.pack("!BBH4s", IPV4_HOME_ADDRESS, 6, 32 << 10,
                                   socket.inet_aton(home))
        if care_of:
            options += struct.pack("!BBH4s", IPV4_CARE_OF, 6, 0, socket.inet_aton(care_of))
        options += b"\1\2\0\0" if len(options) % 8 == 0 else b""
        while (12 + len(options)) % 8:
            options += b"\0"
        header = struct.pack("!BBBBHHHH", 59, (12 + len(options)) // 8 - 1, BINDING_UPDATE, 0, 0,
                             self.sequence, flags, lifetime // 4) + options
        ip = IPv6(src=self.home_address, dst=self.home_agent, nh=MOBILITY, hlim=64)
        header = header[:4] + struct.pack("!H", in6_chksum(MOBILITY, ip, header)) + header[6:]
        sealed = self.outbound.encrypt(IPv6(raw(ip / header)))
        return raw(sealed)

    def receive(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ready, _, _ = select.select([self.socket], [], [], end - time.monotonic())
            if not ready:
                break
            octets, (address, port) = self.socket.recvfrom(65536)
            return {"from": [address, port]} | self.read(octets)
        return None

    def read(self, octets):
        if octets[0] >> 4 != 6 or octets[6] != 50:
            return {"kind": "data", "version": octets[0] >> 4, "next_header": octets[6]}
        opened = raw(self.inbound.decrypt(IPv6(octets)))
        message = opened[40:]
        expected = in6_chksum(MOBILITY, IPv6(opened[:40]), message)
        if opened[6] != MOBILITY or message[2] != BINDING_ACKNOWLEDGEMENT or expected != 0:
            return {"kind": "other", "octets": opened.hex()}
        status, _, sequence, lifetime = struct.unpack("!BBHH", message[6:12])
        answer = {"kind": "acknowledgement", "status": status, "sequence": sequence,
                  "lifetime": lifetime * 4,
                  "destination": socket.inet_ntop(socket.AF_INET6, opened[24:40])}
        at = 12
        while at < len(message):
            kind = message[at]
            if kind == 0:
                at += 1
                continue
            body = message[at + 2:at + 2 + message[at + 1]]
            if kind == NAT_DETECTION:
                flags, answer["refresh"] = struct.unpack("!HI", body)
                answer["force_udp"] = bool(flags & 0x8000)
            elif kind == IPV4_ACKNOWLEDGEMENT:
                answer["ipv4_status"] = body[0]
                answer["ipv4_home"] = socket.inet_ntoa(body[2:6])
            at += 2 + message[at + 1]
        return answer

    def do(self, command):
        if "open" in command:
            self.open(*command["open"])
            return True
        if "update" in command:
            octets = self.update(**command["update"])
            self.socket.sendto(octets, tuple(command["to"]))
            return {"octets": octets.hex(), "sequence": self.sequence}
        if "send" in command:
            return self.socket.sendto(bytes.fromhex(command["send"]), tuple(command["to"]))
        return self.receive(command["receive"])


def main():
    home_address, home_agent, spi_out, key_out, spi_in, key_in = sys.argv[1:]
    node = MobileNode(home_address, home_agent, association(int(spi_out, 0), key_out),
                      association(int(spi_in, 0), key_in))
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(node.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()

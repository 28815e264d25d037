#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The far end of a Mobile IPv4 tunnel: answers echo requests that come through it, and tells.

    mip4_node.py MODE CARE_OF HOME_AGENT [PORT]     MODE: ipip, gre, minimal, udp, udp-gre, udp-minimal

A line on standard output for each packet that came out of the tunnel: JSON of source, destination,
ttl and what it was. Headers are taken apart and made here by hand (RFC 2003, 2004, 2784, 3519).
Reads commands on standard input: "keepalive HOME", "send HEX" (an inner packet), "raw HEX" (what
follows the outer IP header, or the UDP header).
"""
import json
import select
import socket
import struct
import sys

MODE, CARE_OF, HOME_AGENT = sys.argv[1:4]
PORT = int(sys.argv[4]) if len(sys.argv) > 4 else 434
INNER = MODE.removeprefix("udp-").removeprefix("udp") or "ipip"
NUMBER = {"ipip": 4, "gre": 47, "minimal": 55}[INNER]


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(source, destination, protocol, payload, ttl=64):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0x1234, 0, ttl, protocol, 0,
                         socket.inet_aton(source), socket.inet_aton(destination))
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def open_socket():
    if MODE.startswith("udp"):
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((CARE_OF, PORT))
    else:
        made = socket.socket(socket.AF_INET, socket.SOCK_RAW, NUMBER)
        made.bind((CARE_OF, 0))
    return made


def decapsulate(data):
    """The inner packet of what a socket gave."""
    outer = b""
    if MODE.startswith("udp"):
        if data[:4] != bytes([4, NUMBER, 0, 0]):
            raise ValueError(f"no tunnel data of {MODE}: {data[:8].hex()}")
        data = data[4:]
    else:
        size = (data[0] & 15) * 4
        outer, data = data[:size], data[size:]
    if INNER == "gre":
        if data[:4] != b"\0\0\x08\0":
            raise ValueError(f"GRE {data[:4].hex()}")
        return data[4:]
    if INNER == "minimal":
        protocol, flags = data[0], data[1]
        size = 12 if flags & 0x80 else 8
        if checksum(data[:size]):
            raise ValueError("checksum of the minimal header")
        destination = socket.inet_ntoa(data[4:8])
        source = socket.inet_ntoa(data[8:12]) if size == 12 else HOME_AGENT
        # In UDP there is no outer header to take the rest from: ipv4.md leaves TTL to the sender.
        return ipv4(source, destination, protocol, data[size:], outer[8] if outer else 64)
    return data


def encapsulate(inner):
    if INNER == "gre":
        data = b"\0\0\x08\0" + inner
    elif INNER == "minimal":
        header = struct.pack("!BBH4s4s", inner[9], 0x80, 0, inner[16:20], inner[12:16])
        data = header[:2] + struct.pack("!H", checksum(header)) + header[4:] + inner[20:]
    else:
        data = inner
    return bytes([4, NUMBER, 0, 0]) + data if MODE.startswith("udp") else data


def send(one, payload):
    one.sendto(payload, (HOME_AGENT, 434 if MODE.startswith("udp") else 0))


def echo(source, destination, kind, rest):
    message = bytes([kind, 0, 0, 0]) + rest
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    return ipv4(source, destination, 1, message)


def take(one, data, source):
    inner = decapsulate(data)
    what = {"outer": source[0], "source": socket.inet_ntoa(inner[12:16]),
            "destination": socket.inet_ntoa(inner[16:20]), "ttl": inner[8], "protocol": inner[9],
            "length": len(inner), "header": checksum(inner[:20]) == 0}
    if inner[9] == 1:
        what["icmp"] = inner[20]
        if inner[20] == 8 and not inner[16:20] == b"\xff\xff\xff\xff":
            send(one, encapsulate(echo(what["destination"], what["source"], 0, inner[24:])))
    print(json.dumps(what), flush=True)


def command(one, line):
    word, argument = line.split()
    if word == "keepalive":
        send(one, encapsulate(echo(argument, HOME_AGENT, 8, b"\0\1\0\1keepalive")))
    elif word == "send":
        send(one, encapsulate(bytes.fromhex(argument)))
    elif word == "raw":
        send(one, bytes.fromhex(argument))


def main():
    one = open_socket()
    print("ready", flush=True)
    waits = [one, sys.stdin]
    while True:
        for ready in select.select(waits, [], [])[0]:
            if ready is sys.stdin:
                line = sys.stdin.readline()
                if not line:
                    waits.remove(sys.stdin)
                else:
                    command(one, line)
                continue
            data, source = one.recvfrom(4096)
            if source[0] == HOME_AGENT and not (MODE.startswith("udp") and data[:1] != b"\x04"):
                try:
                    take(one, data, source)
                except ValueError as error:
                    print(json.dumps({"bad": str(error)}), flush=True)


main()

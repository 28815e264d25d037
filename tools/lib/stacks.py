#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads the headers of Mobile IPv4 across a VPN off the wires of a mobile node.

    stacks.py SIZE HOME_ADDRESS DEVICE...   says "ready"; at SIGTERM one JSON object by device:
        stacks      how often each stack of headers was seen, outermost first: ip4/udp434/ip4/esp
        overhead    octets around user packets, by stack, and how often each: without ESP what
                    the headers say, with it for packets of SIZE octets
        clear       packets that show HOME_ADDRESS outside of ESP; examples of them
        messages    registrations that were seen in the clear

What is inside ESP nobody sees: there overhead is what a packet has beyond SIZE, and the user has to
send many of that size.
"""
import json
import select
import signal
import socket
import struct
import sys
from collections import Counter

ETH_ALL, ETH_IPV4 = 3, 0x0800  # for one kind alone the kernel shows no packets that leave
MOST_OVERHEAD = 150
MOST_EXAMPLES = 3


def stack_of(packet):
    """(names of the headers, addresses in them, length of the innermost IP packet that is seen)."""
    names, seen, length = [], [], 0
    while len(packet) >= 20 and packet[0] >> 4 == 4:
        names.append("ip4")
        length = struct.unpack_from("!H", packet, 2)[0]
        seen += [packet[12:16], packet[16:20]]
        protocol, packet = packet[9], packet[4 * (packet[0] & 15):]
        if protocol == 4:
            continue
        if protocol == 17 and len(packet) >= 8:
            ports = struct.unpack_from("!HH", packet)
            if 434 in ports:
                names.append("udp434")
                if packet[8:9] == b"\x04":
                    packet = packet[12:]
                    continue
                names.append("registration")
            elif 4500 in ports:
                names += ["udp4500", "esp" if packet[8:12] != bytes(4) else "ike"]
            break
        if protocol == 50:
            names.append("esp")
        elif protocol == 47 and len(packet) >= 4:
            names.append("gre")
            packet = packet[4:]
            continue
        elif protocol == 55:
            names.append("minimal")
        break
    return names, seen, length


def main():
    size, home, devices = int(sys.argv[1]), socket.inet_aton(sys.argv[2]), sys.argv[3:]
    wires = {}
    for device in devices:
        # Of no protocol yet: before it is bound, it would get the packets of every device.
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        wire.bind((device, ETH_ALL))
        wires[wire] = device
    found = {device: {"stacks": Counter(), "overhead": {}, "clear": 0, "examples": [],
                      "messages": 0}
             for device in devices}
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select(list(wires), [], [], 0.1)
        if not ready and stopped:
            break
        for wire in ready:
            try:
                packet, where = wire.recvfrom(2048)
            except OSError:  # the device went down: told once
                continue
            if where[1] != ETH_IPV4:
                continue
            row = found[wires[wire]]
            names, seen, length = stack_of(packet)
            if "registration" in names:
                row["messages"] += 1
                continue
            stack = "/".join(names)
            row["stacks"][stack] += 1
            if home in seen:
                row["clear"] += 1
                if len(row["examples"]) < MOST_EXAMPLES:
                    row["examples"].append(f"{'out' if where[2] == socket.PACKET_OUTGOING else 'in'} {stack} "
                                           f"{packet[:48].hex()}")
            extra = struct.unpack_from("!H", packet, 2)[0] - (size if "esp" in names else length)
            if 0 <= extra <= MOST_OVERHEAD:
                row["overhead"].setdefault(stack, Counter())[extra] += 1
    print(json.dumps(found), flush=True)


main()

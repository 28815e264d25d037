#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads the ESP sequence numbers of one SA off the wire.

    esp_sequence.py DEVICE SPI      says "ready"; at SIGTERM one JSON object: packets, first, last,
                                    gaps (numbers between first and last that never came), repeated,
                                    and addresses: the outer destinations, each with its numbers
"""
import json
import signal
import socket
import struct
import sys

ETH_IPV6, ESP = 0x86DD, 50


def main():
    device, spi = sys.argv[1], int(sys.argv[2], 0)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_IPV6))
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    wire.bind((device, 0))
    numbers, addresses, repeated = set(), {}, 0
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    wire.settimeout(0.1)
    print("ready", flush=True)
    while True:
        try:
            frame = wire.recv(62)
        except socket.timeout:
            if stopped:
                break
            continue
        if len(frame) < 62 or frame[20] != ESP:
            continue
        found, number = struct.unpack("!II", frame[54:62])
        if found != spi:
            continue
        repeated += number in numbers
        numbers.add(number)
        to = socket.inet_ntop(socket.AF_INET6, frame[38:54])
        first, _, count = addresses.get(to, (number, number, 0))
        addresses[to] = (first, number, count + 1)
    first, last = (min(numbers), max(numbers)) if numbers else (0, 0)
    print(json.dumps({"packets": len(numbers), "first": first, "last": last,
                      "gaps": last - first + 1 - len(numbers) if numbers else 0,
                      "repeated": repeated, "addresses": addresses}), flush=True)


main()

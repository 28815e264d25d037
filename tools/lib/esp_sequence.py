#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Reads the ESP sequence numbers of one SA off the wire, in whatever it is wrapped.

    esp_sequence.py DEVICE SPI      says "ready"; at SIGTERM one JSON object: packets, first, last,
                                    gaps (numbers between first and last that never came), repeated,
                                    and addresses: the outer destinations, each with its first and
                                    last number, how many, and the form of the last one: ip6/esp,
                                    ip4/esp, ip4/udp4500/esp, ip4/udp4191/ip6/esp

Of a packet in fragments the first one counts.
"""
import json
import signal
import socket
import struct
import sys

ETH_ALL, ETH_IPV4, ETH_IPV6 = 3, 0x0800, 0x86DD
ESP, UDP, FRAGMENT, NAT_TRAVERSAL, DSMIP = 50, 17, 44, 4500, 4191


def is_later_piece(frame, at, shift):
    """Whether the 13 bits of a fragment offset are not 0."""
    return struct.unpack_from("!H", frame, at)[0] >> shift & 0x1fff != 0


def find_esp(frame):
    """(form, outer destination, offset of the ESP header), or nothing."""
    kind = struct.unpack_from("!H", frame, 12)[0] if len(frame) >= 34 else 0
    if kind == ETH_IPV6 and len(frame) >= 62:
        to = socket.inet_ntop(socket.AF_INET6, frame[38:54])
        if frame[20] == ESP:
            return "ip6/esp", to, 54
        if frame[20] == FRAGMENT and frame[54] == ESP and not is_later_piece(frame, 56, 3):
            return "ip6/esp", to, 62
    if kind != ETH_IPV4 or is_later_piece(frame, 20, 0):
        return None
    end = 14 + 4 * (frame[14] & 15)
    to = socket.inet_ntoa(frame[30:34])
    if frame[23] == ESP:
        return "ip4/esp", to, end
    if frame[23] == UDP and len(frame) >= end + 8:
        ports = struct.unpack_from("!HH", frame, end)
        if NAT_TRAVERSAL in ports:
            return "ip4/udp4500/esp", to, end + 8
        inside = end + 8
        if DSMIP in ports and len(frame) >= inside + 40 and frame[inside] >> 4 == 6 \
                and frame[inside + 6] == ESP:
            return "ip4/udp4191/ip6/esp", to, inside + 40
    return None


def main():
    device, spi = sys.argv[1], int(sys.argv[2], 0)
    # Of no protocol yet: before it is bound, it would get the packets of every device.
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    wire.bind((device, ETH_ALL))
    numbers, addresses, repeated = set(), {}, 0
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    wire.settimeout(0.1)
    print("ready", flush=True)
    while True:
        try:
            frame = wire.recv(128)
        except socket.timeout:
            if stopped:
                break
            continue
        where = find_esp(frame)
        if not where or len(frame) < where[2] + 8:
            continue
        form, to, offset = where
        found, number = struct.unpack_from("!II", frame, offset)
        if found != spi:
            continue
        repeated += number in numbers
        numbers.add(number)
        first, _, count, _ = addresses.get(to, (number, number, 0, form))
        addresses[to] = (first, number, count + 1, form)
    first, last = (min(numbers), max(numbers)) if numbers else (0, 0)
    print(json.dumps({"packets": len(numbers), "first": first, "last": last,
                      "gaps": last - first + 1 - len(numbers) if numbers else 0,
                      "repeated": repeated, "addresses": addresses}), flush=True)


main()

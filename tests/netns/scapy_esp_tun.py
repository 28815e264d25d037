#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The far end of a payload SA that shares no code with the product: ESP by scapy on a TUN device.

    scapy_esp_tun.py DEVICE HOME_ADDRESS CARE_OF_ADDRESS HOME_AGENT SPI_IN KEY_IN SPI_OUT KEY_OUT

Packets that the kernel routes into DEVICE leave sealed, those that arrive sealed come out of it. The
keys are for AES-128-CBC with HMAC-SHA-256-128, in hex. Says "ready"; at SIGTERM one JSON object.
"""
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import warnings

warnings.filterwarnings("ignore")
from scapy.all import ESP, IPv6, SecurityAssociation, raw  # noqa: E402

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000
FIRST_SEQUENCE = 1 << 20  # beyond what another end of the SA has used


def association(spi, key, source, destination):
    octets = bytes.fromhex(key)
    made = SecurityAssociation(ESP, spi=spi, seq_num=FIRST_SEQUENCE, crypt_algo="AES-CBC",
                               crypt_key=octets[:16], auth_algo="SHA2-256-128",
                               auth_key=octets[16:],
                               tunnel_header=IPv6(src=source, dst=destination, hlim=64))
    return made


def main():
    device, home_address, care_of, home_agent = sys.argv[1:5]
    spi_in, spi_out = int(sys.argv[5], 0), int(sys.argv[7], 0)
    inbound = association(spi_in, sys.argv[6], home_agent, home_address)
    outbound = association(spi_out, sys.argv[8], home_address, home_agent)
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), IFF_TUN | IFF_NO_PI))
    # With its header, so that the source is the care-of address and never the home address.
    out = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
    wire = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ESP)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    wire.setblocking(False)
    ha, hoa, coa = (socket.inet_pton(socket.AF_INET6, a)
                    for a in (home_agent, home_address, care_of))
    counts = {"sealed": 0, "opened": 0, "refused": 0, "last": 0, "gaps": 0}
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    print("ready", flush=True)
    while not stopped:
        ready, _, _ = select.select([tun, wire], [], [], 0.2)
        if tun in ready:
            packet = os.read(tun, 65536)
            if packet[0] >> 4 == 6 and packet[8:24] == hoa:
                sealed = raw(outbound.encrypt(IPv6(packet)))
                out.sendto(sealed[:8] + coa + sealed[24:], (home_agent, 0))
                counts["sealed"] += 1
        if wire in ready:
            esp = wire.recv(65536)
            if len(esp) < 8 or struct.unpack("!I", esp[:4])[0] != spi_in:
                continue
            header = struct.pack("!IHBB", 6 << 28, len(esp), 50, 64) + ha + hoa
            try:
                opened = raw(inbound.decrypt(IPv6(header + esp)))
            except Exception as refused:  # scapy raises many kinds
                counts["refused"] += 1
                print(f"refused: {refused!r}", flush=True)
                continue
            number = struct.unpack("!I", esp[4:8])[0]
            counts["gaps"] += counts["last"] != 0 and number != counts["last"] + 1
            counts["last"] = number
            counts["opened"] += 1
            os.write(tun, opened)
    print(json.dumps(counts), flush=True)


main()

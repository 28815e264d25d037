# SPDX-License-Identifier: BSD-3-Clause
"""Frames and helpers of tools/traffic/workers."""
import ipaddress
import json
import pathlib
import socket
import struct

PORT_MAC = bytes.fromhex("024850000001")
PEER_MAC = bytes.fromhex("020000000009")
HOME_AGENT = ipaddress.IPv6Address("2001:db8:1::1")
FIRST_HOME = ipaddress.IPv6Address("2001:db8:1:1::1000")
CARE_OF = ipaddress.IPv6Address("2001:db8:a::200")
CORRESPONDENT = ipaddress.IPv6Address("2001:db8:3::300")
NEXT_HOP = "2001:db8:f::2"


def write_frames(file, homes, frames):
    """A capture of 64-octet frames from a correspondent to home addresses, those of `homes` in
    turn."""
    with open(file, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i in range(frames):
            home = FIRST_HOME + homes[i % len(homes)]
            packet = struct.pack("!IHBB", 6 << 28, 10, 59, 64) + CORRESPONDENT.packed + \
                home.packed + bytes(10)
            frame = PORT_MAC + PEER_MAC + b"\x86\xdd" + packet
            out.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)


def free_huge_pages():
    """Megabytes."""
    return sum(int((p / "free_hugepages").read_text()) * int(p.name[10:-2]) // 1024
               for p in pathlib.Path("/sys/kernel/mm/hugepages").glob("hugepages-*kB"))


class Telemetry:
    def __init__(self, prefix):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(f"/var/run/dpdk/{prefix}/dpdk_telemetry.v2")
        self.socket.recv(4096)

    def ask(self, command):
        self.socket.send(command.encode())
        return json.loads(self.socket.recv(65536))[command.split(",")[0]]

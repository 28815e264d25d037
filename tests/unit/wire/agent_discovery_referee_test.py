#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Referees of agent discovery: tshark reads what we send, and we read what scapy builds.

usage: agent_discovery_referee_test.py PRINT-AGENT-DISCOVERY
"""
import json
import logging
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import unittest

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.layers.inet import ICMP, IP, IPOption_Router_Alert  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.packet import Raw  # noqa: E402
from scapy.utils import checksum, wrpcap  # noqa: E402

PROGRAM = ""


def our_packets():
    out = subprocess.run([PROGRAM], check=True, capture_output=True, text=True).stdout
    return {name: bytes.fromhex(text) for name, text in (line.split() for line in out.splitlines())}


def our_verdict(packet):
    out = subprocess.run([PROGRAM, "decode"], input=f"it {bytes(packet).hex()}\n", check=True,
                         capture_output=True, text=True).stdout
    return out.strip().split(" ", 1)[1]


def tshark_reads(packet):
    """Field name -> list of values as shown, of all ICMP fields."""
    with tempfile.TemporaryDirectory() as folder:
        capture = str(pathlib.Path(folder) / "one.pcap")
        wrpcap(capture, [Ether(dst="01:00:5e:00:00:01", src="02:00:00:00:00:01") / IP(packet)])
        out = subprocess.run(["tshark", "-r", capture, "-T", "ek", "-o",
                              "ip.check_checksum:TRUE"], check=True, capture_output=True,
                             text=True).stdout
    layers = json.loads(out.splitlines()[1])["layers"]
    return {name: value if isinstance(value, list) else [value]
            for name, value in layers["icmp"].items()}


def agent_extension(flags, care_of=(), sequence=7, lifetime=600):
    data = struct.pack("!HHH", sequence, lifetime, flags)
    data += b"".join(socket.inet_aton(one) for one in care_of)
    return bytes([16, len(data)]) + data


def scapy_advertisement(extensions, routers=(("10.1.0.1", 0),), **fields):
    body = b"".join(socket.inet_aton(address) + struct.pack("!i", preference)
                    for address, preference in routers)
    header = bytes([len(routers), 2]) + struct.pack("!H", 30)
    icmp = bytearray(bytes([9, 0, 0, 0]) + header + body + extensions)
    icmp[2:4] = struct.pack("!H", checksum(bytes(icmp)))
    return IP(src="10.1.0.1", dst="224.0.0.1", ttl=1, proto=1, **fields) / Raw(bytes(icmp))


class TsharkReadsOurs(unittest.TestCase):
    def setUp(self):
        self.packets = our_packets()

    def test_foreign_agent(self):
        read = tshark_reads(self.packets["foreign"])
        self.assertEqual(read["icmp_icmp_checksum_status"], ["1"])
        self.assertEqual(read["icmp_icmp_type"], ["9"])
        self.assertEqual(read["icmp_icmp_code"], ["16"])
        self.assertEqual(read["icmp_icmp_mip_type"], ["16", "19"])
        self.assertEqual(read["icmp_icmp_mip_seq"], ["65534"])
        self.assertEqual(read["icmp_icmp_mip_life"], ["600"])
        self.assertEqual(read["icmp_icmp_mip_coa"], ["10.1.0.1", "198.51.100.9"])
        self.assertEqual(read["icmp_icmp_mip_prefixlength"], ["24", "16"])
        flags = {letter: read[f"icmp_icmp_mip_{letter}"][0] in (True, "1", "true")
                 for letter in ("r", "b", "h", "f", "m", "g", "v", "rt", "u", "x")}
        self.assertEqual({letter for letter, is_set in flags.items() if is_set},
                         {"r", "b", "f", "g", "rt", "u"})

    def test_home_agent(self):
        read = tshark_reads(self.packets["home"])
        self.assertEqual(read["icmp_icmp_checksum_status"], ["1"])
        self.assertEqual(read["icmp_icmp_mip_life"], ["65535"])
        self.assertEqual(read["icmp_icmp_mip_seq"], ["0"])
        self.assertNotIn("icmp_icmp_mip_coa", read)
        flags = {letter for letter in ("r", "b", "h", "f", "m", "g", "v", "rt", "u", "x")
                 if read[f"icmp_icmp_mip_{letter}"][0] in (True, "1", "true")}
        self.assertEqual(flags, {"h", "m", "x"})

    def test_solicitation(self):
        read = tshark_reads(self.packets["solicitation"])
        self.assertEqual(read["icmp_icmp_type"], ["10"])
        self.assertEqual(read["icmp_icmp_checksum_status"], ["1"])

    def test_headers_are_those_that_scapy_makes(self):
        for name, raw in self.packets.items():
            with self.subTest(name):
                packet = IP(raw)
                self.assertEqual((packet.ttl, packet.proto), (1, 1))
                again = packet.copy()
                del again.chksum
                del again[ICMP].chksum
                self.assertEqual(bytes(again), raw)


class WeReadScapy(unittest.TestCase):
    def test_advertisement(self):
        packet = scapy_advertisement(agent_extension(0x1100, ["10.1.0.1"]) + bytes([19, 1, 24]))
        self.assertEqual(our_verdict(packet),
                         "advertisement lifetime 30 router 10.1.0.1 sequence 7 care-of 10.1.0.1")

    def test_advertisement_with_ip_options(self):
        packet = scapy_advertisement(agent_extension(0x2000), options=[IPOption_Router_Alert()])
        self.assertEqual(our_verdict(packet),
                         "advertisement lifetime 30 router 10.1.0.1 sequence 7")

    def test_solicitation(self):
        packet = IP(src="0.0.0.0", dst="224.0.0.11", ttl=1) / ICMP(type=10)
        self.assertEqual(our_verdict(packet), "solicitation")
        packet = IP(src="0.0.0.0", dst="224.0.0.11", ttl=64) / ICMP(type=10)
        self.assertEqual(our_verdict(packet), "TTL of a solicitation is not 1")

    def test_forbidden_flags(self):
        packet = scapy_advertisement(agent_extension(0x1000))
        self.assertEqual(our_verdict(packet), "flag F without a care-of address")


if __name__ == "__main__":
    PROGRAM = sys.argv.pop()
    unittest.main()

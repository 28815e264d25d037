#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The correspondent of correspondent_node.py on a host that is a mobile node itself.

    tun_correspondent.py CONFIG.json

It hears what comes out of the mobile node's TUN device and sends through the host's routes; the
host's own stack gets all packets, too.
"""
import json
import os
import select
import socket
import struct
import sys

from correspondent_node import ETHER_IPV6, MOBILITY, Correspondent

IPV6_HDRINCL = 36


class TunCorrespondent(Correspondent):
    @staticmethod
    def open(device):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETHER_IPV6))
        sock.bind((device, ETHER_IPV6))
        return sock

    def run(self):
        # Whoever holds it serves the mobility header here: the kernel does not refuse it.
        listener = socket.socket(socket.AF_INET6, socket.SOCK_RAW, MOBILITY)
        self.wire = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.wire.setsockopt(socket.IPPROTO_IPV6, IPV6_HDRINCL, 1)
        print("ready", flush=True)
        while True:
            readable, _, _ = select.select([self.inside, self.control, listener], [], [])
            if listener in readable:
                listener.recv(65536)
            if self.control in readable:
                self.command()
            if self.inside not in readable:
                continue
            packet, address = self.inside.recvfrom(65536)
            if address[2] != socket.PACKET_OUTGOING:
                self.from_network(bytes(12) + struct.pack("!H", ETHER_IPV6) + packet)

    def to_host(self, frame):
        pass  # it has the packet

    def send(self, packet):
        self.wire.sendto(packet, (socket.inet_ntop(socket.AF_INET6, packet[24:40]), 0))


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        SETTINGS = json.load(file)
    if os.path.exists(SETTINGS["socket"]):
        os.unlink(SETTINGS["socket"])
    TunCorrespondent(SETTINGS).run()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The control plane dies under traffic, and what hostile packets do to both processes."""
import os
import pathlib
import re
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import CARE_OF, HOME_ADDRESS, HOME_AGENT, RoamingNetwork, wait_until  # noqa: E402


def ping_running(net, interval=0.005):
    ping = net.lab.start("cn", ["ping", "-n", "-i", interval, HOME_ADDRESS], name="flood")
    wait_until(lambda: net.mn()["counters"]["mn.tun.delivered"] > 100, 10, "pings arriving")
    return ping


def numbers_missing(output):
    """Echo requests that were not answered, but for those still on their way at the end."""
    answered = {int(number) for number in re.findall(r"icmp_seq=(\d+) ", output)}
    return sorted(set(range(1, max(answered, default=0))) - answered)


def stable(row):
    return {key: row[key] for key in ("home_address", "care_of_address", "state", "sequence")
            if key in row}


@case
def kill_9_under_traffic_loses_no_packet_and_no_binding(net):
    net.start()
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    wait_until(lambda: net.mn()["state"] == "registered", 5, "registered")
    before = [stable(row) for row in net.bindings()]
    ping = ping_running(net)
    for _ in range(2):
        delivered = net.mn()["counters"]["mn.tun.delivered"]
        os.kill(net.controlplane.pid, signal.SIGKILL)
        net.controlplane.wait()
        wait_until(lambda: net.mn()["counters"]["mn.tun.delivered"] > delivered + 100, 10,
                   "traffic without a control plane")
        net.start_controlplane()
        wait_until(lambda: net.bindings(), 10, "the bindings back")
        expect([stable(row) for row in net.bindings()] == before,
               f"{net.bindings()}, before {before}")
    ping.signal(signal.SIGINT)
    ping.wait()
    expect(numbers_missing(ping.output()) == [], f"lost: {numbers_missing(ping.output())}")
    # The next binding update is accepted.
    net.move("a", "b")
    net.wait_registered("b")
    expect(net.ping("cn", HOME_ADDRESS, 3), "not reachable after the move")


@case
def esp_numbers_are_never_used_twice(net):
    net.start()
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    wait_until(lambda: net.mn()["state"] == "registered", 5, "registered")

    def received():
        return next(sa["sequence"] for sa in net.mn()["security_associations"]
                    if sa["direction"] == "in")
    first = received()
    net.dataplane.signal(signal.SIGKILL)
    net.dataplane.wait()
    net.controlplane.stop()
    net.start_dataplane()
    net.start_controlplane()
    net.move("a", "b")
    net.wait_registered("b", 30)
    wait_until(lambda: net.mn()["state"] == "registered", 10, "registered")
    expect(received() > first, f"{received()} after {first}: a number was used again")


@case
def malformed_packets_are_counted_and_do_no_harm(net):
    net.start()
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    sent = int(net.lab.run("inet", ["/usr/bin/python3", "-c", FLOOD, HOME_AGENT, HOME_ADDRESS,
                                    CARE_OF["a"]], timeout=120).split()[-1])
    expect(sent > 2000, f"only {sent} packets were sent")

    def settled():
        drops = net.hactl("show", "drops")
        return drops if drops.get("difference", 0) == 0 else None
    drops = wait_until(settled, 10, f"received = forwarded + delivered + dropped: "
                                    f"{net.hactl('show', 'drops')}")
    totals = drops.get("totals", drops)
    expect(totals["received"] >= sent, f"sent {sent}: {totals}")
    expect(totals["dropped"] > sent / 4, f"sent {sent}: {drops}")
    expect(net.dataplane.running() and net.controlplane.running(), "a process died")
    expect(net.binding_care_of() == CARE_OF["a"], f"the binding changed: {net.bindings()}")
    expect(net.ping("cn", HOME_ADDRESS, 5), "not reachable after the flood")


FLOOD = r'''
import random, socket, struct, sys
ha, hoa, coa = (socket.inet_pton(socket.AF_INET6, a) for a in sys.argv[1:4])
link = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x86dd))
kernel = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
kernel.connect(("2001:db8:f::1", 9)); kernel.send(b"resolve")
import subprocess, time
for _ in range(100):
    words = subprocess.run(["ip", "-6", "neigh", "show", "2001:db8:f::1", "dev", "t-wan"], text=True,
                           capture_output=True).stdout.split()
    if "lladdr" in words: break
    time.sleep(0.05)
mac = bytes.fromhex(words[words.index("lladdr") + 1].replace(":", ""))
address = ("t-wan", 0x86dd, 0, 0, mac)
rng = random.Random(1)
def ip(nh, payload, source=coa, destination=ha, length=None, version=6):
    return struct.pack("!IHBB", version << 28, len(payload) if length is None else length, nh, 64) \
        + source + destination + payload
def chain(n):
    return b"".join(bytes([60, 0, 1, 4, 0, 0, 0, 0]) for _ in range(n)) + bytes([59, 0] + [0] * 6)
hao = bytes([50, 2, 1, 2, 0, 0, 0xc9, 16]) + hoa
packets = [
    ip(135, bytes([59, 3, 5, 0] + [0] * 28)),                       # unprotected BU, bad checksum
    ip(60, hao + bytes(64)),                                          # ESP of an unknown SPI
    ip(60, hao + struct.pack("!II", 0x10001, 9) + bytes(64)),         # ESP that does not open
    ip(60, hao + struct.pack("!II", 0x10001, 9)),                     # too short for ESP
    ip(60, bytes([50, 2, 1, 2, 0, 0, 0xc9, 16]) + bytes(16) + bytes(64)),  # HAO ::
    ip(60, bytes([50, 200]) + hao[2:] + bytes(64)),                   # header that lies
    ip(60, bytes([50, 2, 1, 2, 0, 0, 0xc9, 200]) + hoa + bytes(64)),  # option that lies
    ip(60, chain(20)), ip(60, chain(3)),
    ip(41, ip(17, bytes(16), source=hoa, destination=coa)[:30]),      # inner cut off
    ip(41, ip(17, bytes(16), source=hoa, length=900)),                # inner length lies
    ip(41, ip(17, bytes(16), source=coa)),                            # inner source is no HoA
    ip(41, ip(17, bytes(16), source=hoa, version=5)),
    ip(41, ip(17, bytes(16), source=hoa), source=socket.inet_pton(socket.AF_INET6, "2001:db8:f::2")),
    ip(4, bytes(20)), ip(4, bytes([0x45] + [0] * 30)),
    ip(43, bytes([59, 2, 2, 1, 0, 0, 0, 0]) + hoa + bytes(8)),        # RH2 to the home agent
    ip(44, bytes([17, 0, 0xff, 0xf9, 0, 0, 0, 1]) + bytes(8)),        # fragment past the end
    ip(44, bytes([17, 0, 0, 1, 0, 0, 0, 2]) + bytes(5)),              # fragment not of 8 octets
    ip(17, bytes(16), length=5000), ip(17, b""), ip(58, b"\x80"),
    ip(17, bytes(16), source=bytes(15) + b"\1"), ip(17, bytes(16), source=b"\xff" + bytes(15)),
]
sent = 0
for round in range(100):
    for packet in packets:
        link.sendto(packet, address); sent += 1
    for _ in range(4):                                                # noise
        packet = bytearray(rng.choice(packets))
        for _ in range(rng.randint(1, 4)):
            packet[rng.randrange(len(packet))] = rng.randrange(256)
        packet[24:40] = ha
        link.sendto(bytes(packet), address); sent += 1
    time.sleep(0.002)
print(sent)
'''

main(RoamingNetwork)

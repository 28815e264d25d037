# SPDX-License-Identifier: BSD-3-Clause
"""A TCP transfer, a ping, and a mobile node at its first place: what cases about movement share."""
import json
import re
import signal

from cases import expect
from lab import HOME_ADDRESS, ROOT, wait_until

TCP_PORT = 5001
HOME_ADDRESS4, CORRESPONDENT4 = "192.0.2.100", "198.51.100.9"


class Transfer:
    """A TCP connection from `source` to the mobile node, or the other way round."""

    def __init__(self, net, rate=400_000):
        program = ROOT / "tools/lib/transfer.py"
        self.receiver = net.lab.start("mn", ["/usr/bin/python3", program, "receive",
                                             HOME_ADDRESS, TCP_PORT], name="receiver")
        self.receiver.wait_for_output("ready")
        self.sender = net.lab.start("cn", ["/usr/bin/python3", program, "send", HOME_ADDRESS,
                                           TCP_PORT, rate], name="sender")
        self.sender.wait_for_output("connected", 15)

    def finish(self):
        """What was received; fails if the connection broke or the content differs."""
        self.sender.signal(signal.SIGTERM)
        expect(self.sender.wait(70) == 0, f"sender: {self.sender.output()[-300:]}")
        expect(self.receiver.wait(70) == 0, f"receiver: {self.receiver.output()[-300:]}")
        sent = json.loads(self.sender.output().splitlines()[-1])
        received = json.loads(self.receiver.output().splitlines()[-1])
        expect(sent["sha256"] == received["sha256"] and sent["octets"] == received["octets"],
               f"sent {sent}, received {received}")
        return received


class Ping:
    """Echo requests to the mobile node; which of them were answered."""

    def __init__(self, net, source="cn", interval=0.02):
        self.process = net.lab.start(source, ["ping", "-n", "-O", "-i", interval, HOME_ADDRESS],
                                     name="ping")

    def answered(self):
        return {int(n) for n in re.findall(r"bytes from .* icmp_seq=(\d+) ",
                                           self.process.output())}

    def wait_for_more(self, count=10, timeout=10):
        last = max(self.answered(), default=0)
        wait_until(lambda: len([n for n in self.answered() if n > last]) >= count, timeout,
                   f"{count} more answers after number {last}")

    def lost_so_far(self):
        """Numbers below the last answered one that were not answered."""
        answered = self.answered()
        return sorted(set(range(1, max(answered, default=0))) - answered)

    def stop(self):
        """Numbers of requests that were not answered."""
        self.process.signal(signal.SIGINT)
        self.process.wait()
        sent = int(re.search(r"(\d+) packets transmitted", self.process.output()).group(1))
        # The last ones were on their way when it stopped.
        return sorted(set(range(1, sent - 1)) - self.answered())


def add_ipv4(net):
    """An IPv4 network of the correspondent, and a route to the home address by the home agent."""
    lab = net.lab
    lab.ip("cn", f"addr add {CORRESPONDENT4}/24 dev eth0")
    lab.ip("cn", "route add default via 198.51.100.1")
    lab.ip("inet", "addr add 198.51.100.1/24 dev cn")
    lab.ip("inet", "addr add 203.0.113.2/24 dev t-wan")
    lab.ip("inet", f"route add {HOME_ADDRESS4}/32 via 203.0.113.1")
    lab.ip("ha", "addr add 203.0.113.1/24 dev hp-wan0")
    lab.ip("ha", "route add default via 203.0.113.2")


def start_at(net, network):
    net.start()
    net.plug(network)
    net.start_mobile_node()
    net.wait_registered(network)
    wait_until(lambda: net.mn()["state"] in ("registered", "at-home"), 5, "registered")

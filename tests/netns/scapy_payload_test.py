#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Payload under ESP with a far end that is not ours: scapy on a TUN device."""
import hashlib
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import (CARE_OF, HOME_ADDRESS, HOME_AGENT, ROOT, SPI_PAYLOAD_IN,  # noqa: E402
                 SPI_PAYLOAD_OUT, RoamingNetwork, wait_until)
from roaming import start_at  # noqa: E402

OCTETS = 10_000_000
PORT = 5001
RECEIVE = f"""
import hashlib, socket
listener = socket.create_server(("{HOME_ADDRESS}", {PORT}), family=socket.AF_INET6)
print("listening", flush=True)
connection, _ = listener.accept()
digest, total = hashlib.sha256(), 0
while True:
    octets = connection.recv(1 << 16)
    if not octets:
        break
    digest.update(octets)
    total += len(octets)
print(total, digest.hexdigest(), flush=True)
"""
SEND = f"""
import random, socket
octets = random.Random(4303).randbytes({OCTETS})
connection = socket.create_connection(("{HOME_ADDRESS}", {PORT}), 10)
connection.settimeout(None)
connection.sendall(octets)
connection.shutdown(socket.SHUT_WR)
print("sent", connection.recv(1), flush=True)
"""


def scapy_takes_over(net):
    """Registered by the product's mobile node, whose end of the SAs scapy then has."""
    net.mn_extra = "keep_binding_on_exit: on"
    start_at(net, "a")
    expect(net.mobile_node.stop() == 0, "the mobile node's end")
    keys = {name: (net.lab.directory / f"payload-{name}.key").read_text().strip()
            for name in ("in", "out")}
    far = net.lab.start("mn", ["/usr/bin/python3", ROOT / "tests/netns/scapy_esp_tun.py", "sc0",
                               HOME_ADDRESS, CARE_OF["a"], HOME_AGENT, SPI_PAYLOAD_OUT,
                               keys["out"], SPI_PAYLOAD_IN, keys["in"]], name="scapy")
    far.wait_for_output("ready", 20)
    net.lab.ip("mn", f"addr add {HOME_ADDRESS}/128 dev sc0 nodad")
    net.lab.ip("mn", "link set sc0 mtu 1400 txqueuelen 2000 up")
    net.lab.ip("mn", "-6 route add default dev sc0 table 77")
    net.lab.ip("mn", f"-6 rule add from {HOME_ADDRESS} table 77")
    return far


@case
def S1_12_S1_20_ping_and_10_MB_of_tcp_with_esp_by_scapy(net):
    far = scapy_takes_over(net)
    expect(net.ping("cn", HOME_ADDRESS, 20), "no answers through scapy's ESP")
    receiver = net.lab.start("mn", ["/usr/bin/python3", "-c", RECEIVE], name="receiver")
    receiver.wait_for_output("listening")
    sender = net.lab.start("cn", ["/usr/bin/python3", "-c", SEND], name="sender")
    wait_until(lambda: not receiver.running(), 120, "10 MB through scapy's ESP", interval=0.5)
    expect(sender.wait(10) == 0, f"sender: {sender.output()[-300:]}")
    import random  # the same octets again
    digest = hashlib.sha256(random.Random(4303).randbytes(OCTETS)).hexdigest()
    expect(receiver.output().split() == ["listening", str(OCTETS), digest],
           f"received: {receiver.output()[-200:]}")
    far.stop()
    counts = json.loads(far.output().splitlines()[-1])
    expect(counts["refused"] == 0 and counts["opened"] > OCTETS // 1400, f"scapy: {counts}")
    drops = net.hactl("show", "drops")
    expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")
    refused = [row for row in drops["counters"]
               if row["kind"] == "drop" and row["name"].startswith("ipsec.in")]
    expect(refused == [], f"the home agent refused scapy's packets: {refused}")


class Network(RoamingNetwork):
    def __init__(self, lab):
        super().__init__(lab)
        self.protect_payload = True


main(Network)

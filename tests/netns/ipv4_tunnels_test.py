#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Tunnels over IPv4 and UDP with a far end that is not ours: scapy dissects what the data plane
sends, checksums and ESP included, and builds what it has to take. The data plane runs alone."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from data_plane_alone import CARE_OF, HA_HOME, HOME, HOME_ADDRESS, HOST_HOME  # noqa: E402
from data_plane_alone import HOST_WAN, WAN, DataPlane  # noqa: E402

HA4, CARE_OF4, HOST_WAN4 = "192.0.2.1", "203.0.113.7", "198.18.0.2"
Z = 40000
ALGORITHM, KEY = "aes128-cbc-hmac-sha256-128", bytes(range(48)).hex()
SPI_OUT = 0x10000000

# Plays the mobile node on the wire: sends one packet of each kind in, answers what was asked for.
SCAPY = """
import json, sys
from scapy.all import Ether, ICMPv6EchoRequest, IP, IPv6, UDP, raw, sendp
want = json.load(sys.stdin)
wire = Ether(src=want["wan"], dst=want["port"])
inner = IPv6(src=want["home"], dst=want["cn"]) / ICMPv6EchoRequest(id=7, data=b"x" * 64)
forms = {
    "ipv4": lambda: IP(src=want["care_of"], dst=want["ha"]) / inner,
    "udp": lambda: IP(src=want["care_of"], dst=want["ha"]) / UDP(sport=want["z"], dport=4191) / raw(inner),
    "udp6": lambda: IPv6(src=want["care_of"], dst=want["ha"]) /
            UDP(sport=want["z"], dport=4191) / raw(inner),
}
for i in range(want["count"]):
    sendp(wire / forms[want["form"]](), iface="t-wan", verbose=0)
"""
DISSECT = """
import json, sys
from scapy.all import IP, IPv6, UDP, raw, sniff
from scapy.layers.ipsec import ESP, SecurityAssociation
want = json.load(sys.stdin)
key = bytes.fromhex(want["key"])
sa = SecurityAssociation(ESP, spi=want["spi"], crypt_algo="AES-CBC", crypt_key=key[:16],
                         auth_algo="SHA2-256-128", auth_key=key[16:],
                         tunnel_header=IPv6(src=want["ha6"], dst=want["home"]))
def checked(packet):
    'The octets, and whether scapy computes the same checksums.'
    fresh = packet.__class__(raw(packet))
    if fresh.version == 4:
        fresh.chksum = None
    if isinstance(fresh.payload, UDP) and fresh.payload.chksum != 0:
        fresh.payload.chksum = None
    return raw(fresh) == raw(packet)
print("ready", flush=True)
for frame in sniff(iface="t-wan", count=want["count"], timeout=40, filter=want["filter"],
                   started_callback=lambda: print("listening", flush=True)):
    outer = frame.payload
    row = {"octets": len(raw(outer)), "checksums": checked(outer), "family": outer.version,
           "src": outer.src, "dst": outer.dst}
    row["ttl"] = outer.ttl if IP in frame and outer.version == 4 else outer.hlim
    row["protocol"] = outer.proto if outer.version == 4 else outer.nh
    row["df"] = outer.version == 4 and bool(outer.flags.DF)
    body = outer.payload
    if isinstance(body, UDP):
        row["ports"], row["udp_checksum"] = [body.sport, body.dport], body.chksum
        row["udp_length"] = body.len == len(raw(body))
        body = body.payload
    octets = raw(body)
    if want["sealed"]:
        if octets[0] >> 4 == 6 and row["protocol"] == 17 and row["ports"][0] == 4191:
            row["nested"] = True
            octets = octets[40:]
        clear = sa.decrypt(IPv6(src=want["ha6"], dst=want["home"], nh=50) / ESP(octets))
        octets = raw(clear)
        row["seq"] = ESP(raw(body) if "nested" not in row else raw(body)[40:]).seq
    inside = IPv6(octets)
    row["inner"] = [inside.src, inside.dst, inside.hlim, len(octets)]
    print(json.dumps(row), flush=True)
"""


class Network:
    def __init__(self, lab):
        self.lab = lab

    def start(self, over, sas="bypass"):
        self.plane = DataPlane(self.lab, 1)
        self.lab.ip("ha", f"addr add {HA4}/32 dev hp-wan0")
        self.client = self.lab.start("ha", [self.plane.build / "tools/traffic/channel-client",
                                            self.plane.channel], name="client", stdin=True)
        self.plane.tell(self.client, f"""begin 1
{sas}
address {HOME} {HA_HOME}/64 home-agent
address {WAN} {HA4}/32 home-agent
route 2001:db8:1::/64 {HOME}
route ::/0 {WAN} {HOST_WAN}
route 0.0.0.0/0 {WAN} {HOST_WAN4}
neighbour {HOME} {HOST_HOME} {self.plane.mac['home']}
neighbour {WAN} {HOST_WAN} {self.plane.mac['wan']}
neighbour {WAN} {HOST_WAN4} {self.plane.mac['wan']}
prefix 2001:db8:1::/64 {HOME}
binding {HOME_ADDRESS} {over}
end 1
flush
""")
        self.client.wait_for_output("acknowledged")
        expect("failed" not in self.client.output(), self.client.output())
        line = next(row for row in self.client.output().splitlines() if row.startswith("port 1 "))
        self.port_mac = line.split()[3]

    def sent_to_the_node(self, expression, size=64, count=3, sealed=False):
        """What leaves for echo requests from the home link, as scapy reads it."""
        want = {"count": count, "filter": expression, "sealed": sealed, "key": KEY, "spi": SPI_OUT,
                "ha6": HA_HOME, "home": HOME_ADDRESS}
        scapy = self.lab.start("wan", ["/usr/bin/python3", "-c", DISSECT], name="scapy",
                               stdin=True)
        scapy.process.stdin.write(json.dumps(want).encode())
        scapy.process.stdin.close()
        scapy.wait_for_output("listening", 30)
        self.lab.run("home", ["ping", "-n", "-c", str(count), "-i", "0.1", "-W", "1", "-s",
                              str(size), HOME_ADDRESS], check=False)
        expect(scapy.wait(50) == 0, scapy.output())
        rows = [json.loads(row) for row in scapy.output().splitlines() if row.startswith("{")]
        expect(len(rows) == count, f"{len(rows)} packets: {scapy.output()}")
        for row in rows:
            expect(row["checksums"] and row["ttl"] == 64, f"outer header: {row}")
            expect(row["inner"] == [HOST_HOME, HOME_ADDRESS, 63, size + 48], f"inside: {row}")
        return rows

    def comes_from_the_node(self, form, care_of, home_agent):
        """scapy's packets in that form reach the home link, undone."""
        capture = self.lab.start("home", ["tcpdump", "-l", "-n", "-i", "t-home", "-c", "3",
                                          f"icmp6 and src {HOME_ADDRESS} and dst {HOST_HOME}"],
                                 name="tcpdump")
        capture.wait_for_output("listening", 20)
        want = {"wan": self.plane.mac["wan"], "port": self.port_mac, "home": HOME_ADDRESS,
                "cn": HOST_HOME, "care_of": care_of, "ha": home_agent, "z": Z, "form": form,
                "count": 3}
        self.lab.run("wan", ["/usr/bin/python3", "-c", SCAPY], stdin=json.dumps(want), timeout=60)
        expect(capture.wait(30) == 0, capture.output())


@case
def P9_scapy_reads_and_builds_ipv6_in_ipv4(net):
    net.start(f"{CARE_OF4} {HA4} {HOME}")
    for row in net.sent_to_the_node(f"ip proto 41 and dst {CARE_OF4}"):
        expect((row["src"], row["protocol"], row["df"]) == (HA4, 41, True), str(row))
        expect(row["octets"] == row["inner"][3] + 20, str(row))
    net.comes_from_the_node("ipv4", CARE_OF4, HA4)


@case
def P10_scapy_reads_and_builds_udp_4191(net):
    net.start(f"{CARE_OF4} {HA4} {HOME} udp {Z}")
    for row in net.sent_to_the_node(f"udp and dst {CARE_OF4}"):
        expect((row["src"], row["ports"], row["udp_checksum"]) == (HA4, [4191, Z], 0), str(row))
        expect(row["udp_length"] and row["octets"] == row["inner"][3] + 28, str(row))
    net.comes_from_the_node("udp", CARE_OF4, HA4)


@case
def P15_scapy_reads_and_builds_udp_over_ipv6(net):
    net.start(f"{CARE_OF} {HA_HOME} {HOME} udp {Z}")
    for row in net.sent_to_the_node(f"udp and dst {CARE_OF}"):
        expect((row["src"], row["ports"]) == (HA_HOME, [4191, Z]), str(row))
        expect(row["udp_checksum"] != 0 and row["octets"] == row["inner"][3] + 48, str(row))
    net.comes_from_the_node("udp6", CARE_OF, HA_HOME)


@case
def P13_scapy_opens_esp_in_ipv4(net):
    net.start(f"{CARE_OF4} {HA4} {HOME}",
              f"protect 2001:db8:1::/64\nsas out 1 {HOME_ADDRESS} {HA_HOME} {ALGORITHM} {KEY} 0")
    rows = net.sent_to_the_node(f"ip proto 50 and dst {CARE_OF4}", sealed=True)
    expect([row["seq"] for row in rows] == [1, 2, 3], str(rows))
    for row in rows:
        expect((row["src"], row["df"]) == (HA4, True), str(row))


if __name__ == "__main__":
    main(Network)

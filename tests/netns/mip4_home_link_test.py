#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The mobile node of Mobile IPv4 leaves a real home link and comes back (RFC 5944 sections 3.6.3 and
4.6), against the product's home agent there; tcpdump and the neighbor tables of a host that knows
nothing of mobility are the referees.
"""
from cases import case, expect, main
from lab import wait_until
from mip4_network import ALICE, HOME_HOST4, INTERNAL, Mip4Network
from signalling_capture import Capture

HOME_AGENT_MAC = "02:00:00:00:01:01"
AWAY, AWAY_ROUTER = "10.5.0.66", "10.5.0.1"
OUTSIDE = "203.0.113.2"


class HomeLinkNetwork(Mip4Network):
    def make_networks(self):
        super().make_networks()
        lab = self.lab
        lab.veth("mn", "c", "home", "c")
        lab.ip("home", f"addr add {AWAY_ROUTER}/24 dev c")
        for device in ("home", "away", "c"):
            lab.ip("mn", f"link set dev {device} down")

    def write_configuration(self):
        super().write_configuration()
        self.mn_config.write_text(f"""mobile_ipv4:
  internal: {{home_agent: {INTERNAL}, home_address: {ALICE}, spi: 256, key_file: alice.key, lifetime: 600}}
interfaces: [home, c]
status_socket: {self.mn_status}
log_level: debug
""")

    def plug(self, network):
        lab = self.lab
        lab.ip("mn", f"link set dev {network} up")
        if network == "c":
            lab.ip("mn", f"addr replace {AWAY}/24 dev c")
            lab.ip("mn", f"route replace default via {AWAY_ROUTER} dev c")

    def unplug(self, network):
        self.lab.ip("mn", f"link set dev {network} down")

    def wait_mode(self, mode):
        wait_until(lambda: self.mn()["mode"] == mode, 20,
                   f"mode {mode}; it is {self.mn(check=False)}; "
                   f"{self.mobile_node.output()[-3000:]}")

    def mac_of_alice(self):
        """As a host of the home link has learnt it."""
        rows = self.lab.ip("home", f"neigh show {ALICE}").split()
        return rows[rows.index("lladdr") + 1] if "lladdr" in rows else None


def expect_data(net, where):
    # From the home link, from outside, and of the node itself, to both.
    expect(net.ping("home", ALICE, 3), f"{where}: no answer to the home link; {net.mn()}")
    expect(net.ping("inet", ALICE, 3), f"{where}: no answer to the outside; {net.mn()}")
    for to in (HOME_HOST4, OUTSIDE):
        result = net.lab.run("mn", ["ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", "-I", ALICE,
                                    to], check=False)
        expect(result.returncode == 0, f"{where}: no answer of {to}: {result.stdout}; {net.mn()}")


@case
def RFC5944_3_6_3_4_6_away_home_and_away_again(net):
    net.start()
    net.start_mobile_node()
    own = net.lab.run("mn", ["cat", "/sys/class/net/home/address"]).strip()
    net.plug("c")
    net.wait_mode("c")
    wait_until(lambda: len(net.mip4_bindings()) == 1, 5, "a binding")
    expect_data(net, "away")
    expect(net.mac_of_alice() == HOME_AGENT_MAC, f"proxy ARP: {net.mac_of_alice()}")

    capture = Capture(net.lab, "home", "mn", "ip or arp")
    net.unplug("c")
    net.plug("home")
    net.wait_mode("home")
    expect(net.mip4_bindings() == [], "let go")
    # The announcements of both have told it to the hosts of the link.
    wait_until(lambda: net.mac_of_alice() == own, 10, f"{own}; it is {net.mac_of_alice()}")
    expect_data(net, "at home")
    expect(net.mn()["overhead"] == 0 and net.mn()["mtu"] == 1500, str(net.mn()))
    net.lab.ip("home", "neigh flush dev br0")
    expect(net.ping("home", ALICE, 3), "found again by ARP")
    expect(net.mac_of_alice() == own, f"proxy ARP goes on: {net.mac_of_alice()}")
    capture.wait_for("arp.opcode == 2")
    owners = {row["eth.src"] for row in capture.tshark(
        ["eth.src"], f"arp.opcode == 2 && arp.src.proto_ipv4 == {ALICE}")}
    expect(owners == {own}, f"who answered for the home address: {owners}")
    requests = capture.tshark(["mip.life", "mip.coa", "ip.src", "mip.flags"], "mip.type == 1")
    expect(requests and all(row["mip.life"] == "0" and row["mip.coa"] == ALICE == row["ip.src"]
                            for row in requests), f"deregistrations from home: {requests}")
    first = capture.tshark(["frame.number"], f"arp.src.proto_ipv4 == {ALICE}")
    asked = capture.tshark(["frame.number"], "mip.type == 1")
    expect(int(first[0]["frame.number"]) < int(asked[0]["frame.number"]),
           "told to the link before the home agent lets go")
    expect(capture.tshark(["frame.number"], "ip.proto == 4") == [], "tunnels at home")
    capture.stop()

    net.unplug("home")
    net.plug("c")
    net.wait_mode("c")
    wait_until(lambda: net.mac_of_alice() == HOME_AGENT_MAC, 10, "the home agent's announcements")
    expect_data(net, "away again")
    expect(net.balance() is not None, "packets are missing")


@case
def RFC5944_3_6_3_the_home_agent_must_say_that_it_is_home(net):
    """A network that looks like home and where nobody answers is one like others."""
    net.start()
    net.start_mobile_node()
    net.plug("c")
    net.lab.ip("mn", "addr flush dev c")
    net.lab.ip("mn", "addr add 192.0.2.66/24 dev c")  # the prefix of the home link
    net.lab.ip("home", "addr add 192.0.2.65/32 dev c")
    net.lab.ip("home", "route add 192.0.2.66/32 dev c")
    net.lab.ip("home", "neigh add proxy 192.0.2.66 dev br0")
    net.lab.ip("mn", "route replace default via 192.0.2.65 dev c onlink")
    net.lab.run("home", ["nft", "-f", "-"], stdin=f"""table ip lose {{
    chain forward {{
        type filter hook forward priority 0;
        ip saddr {ALICE} udp dport 434 drop
    }}
}}
""")
    net.lab.ip("mn", f"route add {INTERNAL}/32 via 192.0.2.65 dev c onlink")
    wait_until(lambda: "this looks like the home link" in net.mobile_node.output(), 10, "tried")
    expect(net.mn()["mode"] == "none", "nothing is inferred before an answer")
    net.wait_mode("c")
    rows = net.mip4_bindings()
    expect(len(rows) == 1 and "192.0.2.66" in str(rows), f"as anywhere: {rows}")


main(HomeLinkNetwork)

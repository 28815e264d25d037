#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A real home link with IPv4 home addresses: a host there, with nothing but its kernel, reaches a
mobile node that is away (proxy ARP, RFC 5944 section 4.6)."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import HOME_ADDRESS, RoamingNetwork, wait_until  # noqa: E402
from signalling_capture import Capture  # noqa: E402

HOME_ADDRESS4, HOME_AGENT4, HOME_HOST4 = "192.0.2.100", "192.0.2.1", "192.0.2.9"
UNBOUND4 = "192.0.2.77"


class HomeLinkNetwork(RoamingNetwork):
    def write_configuration(self):
        self.mn_extra += f"ipv4_home_address: {HOME_ADDRESS4}\n"
        super().write_configuration()
        home = f'home_address: "{HOME_ADDRESS}"\n'
        text = self.config.read_text()
        text = text.replace(home, f"{home}      ipv4_home_address: {HOME_ADDRESS4}\n")
        text = text.replace('prefix: "2001:db8:1::/64",',
                            'prefix: "2001:db8:1::/64", ipv4_prefix: 192.0.2.0/24,')
        self.config.write_text(text)

    def start_away(self):
        self.make_networks()
        self.write_configuration()
        self.start_dataplane()
        lab = self.lab
        lab.ip("ha", f"addr add {HOME_AGENT4}/24 dev hp-home0")
        lab.ip("home", f"addr add {HOME_HOST4}/24 dev br0")
        lab.ip("home", f"route add default via {HOME_AGENT4}")
        self.start_controlplane()
        self.plug("a")
        self.start_mobile_node()
        self.wait_registered("a")
        wait_until(lambda: self.mn()["ipv4_home_address"]["bound"], 10, "the address bound")

    def port_mac(self):
        return self.lab.run("ha", ["cat", "/sys/class/net/hp-home0/address"]).strip()

    def expect_balance(self):
        drops = self.hactl("show", "drops")
        expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")


@case
def RFC5944_4_6_a_host_of_the_home_link_reaches_the_node_that_is_away(net):
    net.start_away()
    capture = Capture(net.lab, "home", "br0", "arp")
    wait_until(lambda: net.ping("home", HOME_ADDRESS4, 1), 10, "an answer over IPv4")
    expect(net.ping("home", HOME_ADDRESS4, 5), "not every echo was answered")
    neighbour = net.lab.ip("home", f"neigh show {HOME_ADDRESS4}")
    expect(net.port_mac() in neighbour, f"{neighbour}, expected {net.port_mac()}")
    capture.wait_for(f"arp.opcode == 2 && arp.src.proto_ipv4 == {HOME_ADDRESS4}")
    capture.stop()
    answers = capture.tshark(["arp.src.hw_mac", "eth.src"],
                             f"arp.opcode == 2 && arp.src.proto_ipv4 == {HOME_ADDRESS4}")
    expect(all(row["arp.src.hw_mac"] == net.port_mac() for row in answers), str(answers))
    net.expect_balance()


@case
def RFC5227_2_1_1_a_probe_for_the_address_hears_that_it_is_in_use(net):
    net.start_away()
    script = ("import sys; from scapy.all import ARP, Ether, conf, srp; conf.verb = 0; "
              "answers, _ = srp(Ether(dst='ff:ff:ff:ff:ff:ff') / ARP(psrc='0.0.0.0', "
              "pdst=sys.argv[1]), iface='br0', timeout=2); "
              "print([(a[1][ARP].psrc, a[1][ARP].hwsrc, a[1][ARP].op) for a in answers])")

    def probe(address):
        return net.lab.run("home", ["/usr/bin/python3", "-c", script, address]).strip()
    expect(probe(HOME_ADDRESS4) == str([(HOME_ADDRESS4, net.port_mac(), 2)]),
           probe(HOME_ADDRESS4))
    expect(probe(UNBOUND4) == "[]", probe(UNBOUND4))
    net.expect_balance()


@case
def S1_17_at_home_the_ipv4_home_address_is_native(net):
    net.start_away()
    wait_until(lambda: net.ping("home", HOME_ADDRESS4, 1), 10, "an answer over IPv4")
    net.plug("home")
    # The home link's IPv4 routes are the operator's.
    net.lab.ip("mn", f"route add 192.0.2.0/24 dev home src {HOME_ADDRESS4}")
    net.unplug("a")
    net.wait_registered("home")
    wait_until(lambda: net.mn()["state"] == "at-home", 10, "at home")
    # Told by gratuitous ARP: the neighbour has the node's own address at once.
    mac = net.lab.run("mn", ["cat", "/sys/class/net/home/address"]).strip()
    wait_until(lambda: mac in net.lab.ip("home", f"neigh show {HOME_ADDRESS4}"), 5,
               "the neighbour entry refreshed")
    before = net.hactl("show", "drops")
    expect(net.ping("home", HOME_ADDRESS4, 5), "IPv4 is not native at home")
    # By the home agent's kernel, as anything on that link (P30).
    wait_until(lambda: net.ping("ha", HOME_ADDRESS4, 1), 5, "reached by the home agent's host")
    expect(before.get("difference", 0) == 0, str(before))
    net.plug("a")
    net.lab.ip("mn", "route del 192.0.2.0/24 dev home")
    net.unplug("home")
    net.wait_registered("a")
    wait_until(lambda: net.ping("home", HOME_ADDRESS4, 1), 20, "an answer from a again")
    neighbour = net.lab.ip("home", f"neigh show {HOME_ADDRESS4}")
    expect(net.port_mac() in neighbour, f"{neighbour}, expected {net.port_mac()}")
    net.expect_balance()


main(HomeLinkNetwork)

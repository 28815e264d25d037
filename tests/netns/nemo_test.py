#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A mobile router with a LAN behind it (RFC 3963): its hosts, which know nothing of mobility, stay
connected while it moves.

    cn --- inet ---[home agent]--- home --- mn (home)
             +------ a, b ---------------- mn (a, b) --- lan host 2001:db8:5000::77
"""
import json
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import (CORRESPONDENT, HOME_ADDRESS, ROOT, SPI_PAYLOAD_OUT,  # noqa: E402
                 RoamingNetwork, wait_until)
from roaming import CORRESPONDENT4, add_ipv4  # noqa: E402
from signalling_capture import Capture  # noqa: E402

PREFIX, ROUTER, HOST = "2001:db8:5000::/48", "2001:db8:5000::1", "2001:db8:5000::77"
PREFIX4, ROUTER4, HOST4 = "10.5.0.0/16", "10.5.0.1", "10.5.0.77"
PORT = 5001


class LanTransfer:
    """A TCP connection from `source` to a server elsewhere, at a given rate."""

    def __init__(self, net, source, server, address):
        program = ROOT / "tools/lib/transfer.py"
        self.receiver = net.lab.start(server, ["/usr/bin/python3", program, "receive", address,
                                               PORT], name="receiver")
        self.receiver.wait_for_output("ready")
        self.sender = net.lab.start(source, ["/usr/bin/python3", program, "send", address, PORT,
                                             400_000], name="sender")
        self.sender.wait_for_output("connected", 15)

    def finish(self):
        self.sender.signal(signal.SIGTERM)
        expect(self.sender.wait(70) == 0, f"sender: {self.sender.output()[-300:]}")
        expect(self.receiver.wait(70) == 0, f"receiver: {self.receiver.output()[-300:]}")
        sent = json.loads(self.sender.output().splitlines()[-1])
        received = json.loads(self.receiver.output().splitlines()[-1])
        expect(sent["sha256"] == received["sha256"] and sent["octets"] == received["octets"],
               f"sent {sent}, received {received}")
        return received


class NemoNetwork(RoamingNetwork):
    mode = "explicit"
    ipv4_prefixes = ""
    node_prefixes = f'mobile_prefixes: ["{PREFIX}"]'

    def write_configuration(self):
        self.mn_extra += (f'mobile_router: {{lan: lan, mode: {self.mode}, '
                          f'prefixes: ["{PREFIX}"]{self.ipv4_prefixes}}}\n')
        super().write_configuration()
        home = f'home_address: "{HOME_ADDRESS}"\n'
        text = self.config.read_text()
        self.config.write_text(text.replace(home, f"{home}      {self.node_prefixes}\n"))

    def make_networks(self):
        super().make_networks()
        lab = self.lab
        lab.namespace("lan")
        lab.veth("mn", "lan", "lan", "eth0")
        lab.ip("mn", f"addr add {ROUTER}/64 dev lan nodad")
        lab.ip("lan", f"addr add {HOST}/64 dev eth0 nodad")
        lab.ip("lan", f"route add default via {ROUTER}")

    def start_at(self, network):
        self.start()
        # Everything for the mobile network comes by the home agent.
        self.lab.ip("inet", f"route add {PREFIX} via 2001:db8:f::1")
        self.plug(network)
        self.start_mobile_node()
        self.wait_at(network)

    def wait_at(self, network):
        self.wait_registered(network)
        wait_until(lambda: self.mn()["state"] in ("registered", "at-home"), 10, "registered")
        wait_until(lambda: self.ping("cn", HOST, 1), 10, f"the LAN reached at {network}")

    def expect_balance(self):
        drops = self.hactl("show", "drops")
        expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")


@case
def RFC3963_5_explicit_mode_moves_under_a_transfer(net):
    net.make_networks()
    net.make_networks = lambda: None
    capture = Capture(net.lab, "inet", "a")
    net.start_at("a")
    row = net.hactl("show", "binding", HOME_ADDRESS)
    expect(row["mobile_prefixes"] == [PREFIX] and row["prefix_mode"] == "explicit", str(row))
    expect("R" in row["flags"], str(row))
    expect(net.mn()["mobile_router"]["prefixes"] == [{"prefix": PREFIX, "served": True}],
           str(net.mn()["mobile_router"]))
    for source, destination in (("lan", CORRESPONDENT), ("cn", HOST), ("mn", CORRESPONDENT)):
        wait_until(lambda: net.ping(source, destination, 3), 20,
                   f"three answers in a row to {source}")
    capture.stop()
    # Others decode it: flag R, the prefix, and R in the answer (RFC 3963 4.1 to 4.3).
    updates = capture.tshark(["mip6.nemo.bu.r_flag", "mip6.nemo.mnp.pfl", "mip6.nemo.mnp.mnp"],
                             "mip6.mhtype == 5")
    expect(updates and all(row["mip6.nemo.bu.r_flag"] in ("1", "True") and
                           row["mip6.nemo.mnp.pfl"] == "48" and
                           row["mip6.nemo.mnp.mnp"] == "2001:db8:5000::" for row in updates),
           str(updates))
    answers = capture.tshark(["mip6.ba.status", "mip6.nemo.ba.r_flag"], "mip6.mhtype == 6")
    expect(answers and all(row["mip6.ba.status"] == "0" and
                           row["mip6.nemo.ba.r_flag"] in ("1", "True") for row in answers),
           str(answers))
    # Nothing of the LAN on the access link but in the tunnel.
    bare = capture.tshark(["frame.number"], f"ipv6.nxt != 41 && ipv6.addr == {PREFIX}")
    expect(bare == [], f"{len(bare)} packets of the LAN outside of the tunnel")
    down = LanTransfer(net, "cn", "lan", HOST)
    for old, new in (("a", "b"), ("b", "a")):
        net.move(old, new)
        net.wait_at(new)
        wait_until(lambda: net.ping("lan", CORRESPONDENT, 1), 10, "the LAN connected again")
        expect(net.ping("cn", HOST, 5), f"the LAN is not reached at {new}")
    received = down.finish()
    expect(received["octets"] > 100_000, str(received))
    net.expect_balance()


@case
def RFC3963_5_implicit_mode_and_return_home(net):
    net.mode = "implicit"
    net.start_at("b")
    row = net.hactl("show", "binding", HOME_ADDRESS)
    expect(row["mobile_prefixes"] == [PREFIX] and row["prefix_mode"] == "implicit", str(row))
    up = LanTransfer(net, "lan", "cn", CORRESPONDENT)
    net.move("b", "a")
    net.wait_at("a")
    # At home the home agent's host has a route of its own to the mobile network.
    net.lab.ip("ha", f"-6 route add {PREFIX} via {HOME_ADDRESS} dev hp-home0")
    net.move("a", "home")
    net.wait_at("home")
    expect(net.ping("lan", CORRESPONDENT, 3), "the LAN does not get out at home")
    net.move("home", "a")
    net.wait_at("a")
    received = up.finish()
    expect(received["octets"] > 100_000, str(received))
    net.expect_balance()


def with_ipv4(net):
    """An IPv4 prefix of the LAN, which the home agent knows, and ways to it."""
    net.ipv4_prefixes = f', ipv4_prefixes: ["{PREFIX4}"]'
    net.node_prefixes += f'\n      ipv4_mobile_prefixes: ["{PREFIX4}"]'
    net.make_networks()
    net.make_networks = lambda: None
    lab = net.lab
    lab.ip("mn", f"addr add {ROUTER4}/24 dev lan")
    lab.ip("lan", f"addr add {HOST4}/24 dev eth0")
    lab.ip("lan", f"route add default via {ROUTER4}")


def expect_both(net, count=3):
    for source, destination in (("cn", HOST), ("lan", CORRESPONDENT), ("cn", HOST4),
                                ("lan", CORRESPONDENT4)):
        wait_until(lambda: net.ping(source, destination, count), 20,
                   f"{count} answers in a row from {destination} to {source}")


def start_with_ipv4(net, network):
    with_ipv4(net)
    net.start()
    add_ipv4(net)
    net.lab.ip("inet", f"route add {PREFIX} via 2001:db8:f::1")
    net.lab.ip("inet", f"route add {PREFIX4} via 203.0.113.1")
    net.plug(network)
    net.start_mobile_node()
    net.wait_at(network)


@case
def RFC5555_3_1_1_ipv4_prefixes_of_a_mobile_router_end_to_end(net):
    start_with_ipv4(net, "a")
    served = net.mn()["mobile_router"]["prefixes"]
    expect({"prefix": PREFIX4, "served": True} in served, str(served))
    expect_both(net)
    capture = Capture(net.lab, "inet", "b")
    transfer = LanTransfer(net, "cn", "lan", HOST4)
    net.move("a", "b")
    net.wait_at("b")
    expect_both(net)
    received = transfer.finish()
    expect(received["octets"] > 50_000, str(received))
    capture.stop()
    inner = capture.tshark(["ipv6.nxt"], f"ip.addr == {HOST4}")
    expect(inner and {row["ipv6.nxt"] for row in inner} == {"4"}, str(inner[:3]))
    net.expect_balance()


@case
def RFC3963_S1_35_payload_of_the_lan_under_esp_of_both_families(net):
    net.protect_payload = True
    start_with_ipv4(net, "a")
    captures = [Capture(net.lab, "inet", link) for link in ("a", "b")]
    expect_both(net)
    transfers = [LanTransfer(net, "cn", "lan", HOST)]
    net.move("a", "b")
    net.wait_at("b")
    expect_both(net)
    for transfer in transfers:
        received = transfer.finish()
        expect(received["octets"] > 50_000, str(received))
    for capture in captures:
        capture.stop()
        sealed = capture.tshark(["frame.number"], f"esp.spi == {SPI_PAYLOAD_OUT}")
        expect(len(sealed) > 10, f"{len(sealed)} sealed packets")
        bare = capture.tshark(["frame.number"], f"(ipv6.addr == {PREFIX} || ip.addr == {PREFIX4})"
                              " && !esp")
        expect(bare == [], f"{len(bare)} packets of the LAN in the clear")
        tunnels = capture.tshark(["frame.number"], "ipv6.nxt == 41 || ipv6.nxt == 4")
        expect(tunnels == [], f"{len(tunnels)} packets in a plain tunnel")
    net.expect_balance()
    dropped = {row["name"]: row["value"] for row in net.hactl("show", "drops")["counters"]
               if row["kind"] == "drop" and row["name"].startswith(("ipsec.in.", "mip6.rt."))}
    expect(dropped == {}, str(dropped))


@case
def RFC3963_6_3_without_a_binding_the_network_is_unreachable(net):
    net.start_at("a")
    expect(net.ping("cn", HOST, 2), "the LAN is not reached")
    net.mobile_node.signal(signal.SIGTERM)
    expect(net.mobile_node.wait(15) == 0, net.mobile_node.output()[-300:])
    wait_until(lambda: net.binding_care_of() is None, 10, "the binding gone")
    result = net.lab.run("cn", ["ping", "-n", "-c", "2", "-W", "1", HOST], check=False)
    expect("Address unreachable" in result.stdout, result.stdout)
    expect("tun.out.no_binding" in json.dumps(net.hactl("show", "drops")), "not counted")
    # What it had set in its host is gone.
    rules = net.lab.ip("mn", "-6 rule show")
    expect(PREFIX not in rules, rules)
    expect(PREFIX not in net.lab.ip("mn", "-6 route show table main"), "the route is still there")
    value = net.lab.run("mn", ["sysctl", "-n", "net.ipv6.conf.all.forwarding"]).strip()
    expect(value == "0", f"forwarding is {value}")
    net.expect_balance()


@case
def RFC3963_6_2_a_prefix_of_another_is_refused(net):
    net.node_prefixes = 'mobile_prefixes: ["2001:db8:6000::/48"]'
    net.start()
    net.plug("a")
    net.start_mobile_node()
    wait_until(lambda: net.mn()["state"] == "stopped", 15, "refused")
    status = net.mn()["binding"]["last_status"]
    expect(status["code"] == 142, str(status))
    expect(net.binding_care_of() is None, str(net.bindings()))
    net.expect_balance()


@case
def RFC3963_5_6_a_router_that_is_refused_lets_nothing_of_its_lan_out(net):
    net.node_prefixes = "# no mobile router"
    net.start()
    net.plug("a")
    net.start_mobile_node()
    # Our home agent refuses flag R then; RFC 3963 section 5.6: not to be tried again.
    wait_until(lambda: net.mn()["state"] == "stopped", 15, "refused")
    expect(net.mn()["binding"]["last_status"]["code"] == 140, str(net.mn()["binding"]))
    expect(not net.ping("lan", CORRESPONDENT, 1), "the LAN gets out without a binding")
    net.expect_balance()


main(NemoNetwork)

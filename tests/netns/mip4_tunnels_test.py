#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Payload of Mobile IPv4 nodes through the real data plane (P20 to P29): the far end of each tunnel
is mip4_node.py, which makes and takes every header by hand; tshark reads the wires."""
import json
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import wait_until  # noqa: E402
from mip4_messages import B, D, G, M, S, T, request, udp_request  # noqa: E402
from mip4_network import (ALICE, BEHIND_NAT, HOME_HOST4, INSIDE, INTERNAL, NAT_OUTSIDE,  # noqa: E402
                          PLAIN, PLAIN_ALICE, VISITED, VISITED2, Mip4Network)
from signalling_capture import Capture  # noqa: E402

NODE = pathlib.Path(__file__).resolve().parent / "mip4_node.py"


class TunnelNetwork(Mip4Network):
    def write_configuration(self):
        super().write_configuration()
        text = self.config.read_text()
        self.config.write_text(text.replace("      minimal: off\n",
                                            "      udp: {foreign_agent_registration: on}\n"))

    def node(self, namespace, mode, care_of, agent, port=434):
        """The far end of a tunnel, running."""
        made = self.lab.start(namespace, ["/usr/bin/python3", NODE, mode, care_of, agent, port],
                              name=f"node-{mode}-{care_of}-{port}", stdin=True)
        made.wait_for_output("ready")
        return made

    @staticmethod
    def tell(node, line):
        node.process.stdin.write(f"{line}\n".encode())
        node.process.stdin.flush()

    @staticmethod
    def taken(node):
        return [json.loads(line) for line in node.output().splitlines()[1:]]

    def register(self, flags, extensions=b"", namespace="inet", care_of=VISITED, source=None,
                 port=434, home=PLAIN_ALICE, agent=PLAIN):
        message = self.alice.seal(request(home, agent, care_of, flags=flags,
                                          extensions=extensions))
        reply = self.send(namespace, source or care_of, agent, message, port=port)
        expect(reply is not None and reply.code == 0, f"registration: {reply and reply.code}")
        return reply

    def event(self, name):
        counters = self.hactl("show", "drops", "--all")["counters"]
        return next(row["value"] for row in counters if row["name"] == name)


def reached(net, node, home=PLAIN_ALICE, count=5):
    expect(net.ping("home", home, count), f"not reached: {node.output()}")
    # The node prints a packet behind its answer.
    wait_until(lambda: len(net.taken(node)) >= count, 5, f"{count} packets: {node.output()}")
    inner = net.taken(node)
    expect(len(inner) == count and all("bad" not in one for one in inner), str(inner))
    for one in inner:
        expect((one["source"], one["destination"]) == (HOME_HOST4, home), str(one))
        expect(one["header"], f"checksum of the inner header: {one}")
    return inner


@case
def P20_to_P25_ip_in_ip_gre_and_minimal_there_and_back(net):
    net.start()
    for mode, flags, stack in (("ipip", 0, "ip:ip:icmp"), ("gre", G, "ip:gre:ip:icmp"),
                               ("minimal", M, None)):
        net.register(D | T | flags)
        capture = Capture(net.lab, "inet", "t-wan", f"host {VISITED} and not udp port 434")
        node = net.node("inet", mode, VISITED, PLAIN)
        inner = reached(net, node)
        # A hop of its own to the tunnel; with minimal encapsulation it is the only TTL there is.
        expect(all(one["ttl"] == 63 for one in inner), str(inner))
        number = {"ipip": 4, "gre": 47, "minimal": 55}[mode]
        capture.wait_for(f"ip.src == {PLAIN} && ip.proto == {number}", 5)
        capture.stop()
        rows = capture.tshark(["frame.protocols", "ip.src", "ip.dst", "ip.checksum.status",
                               "_ws.malformed"], f"ip.dst == {VISITED} && ip.proto == {number}")
        expect(len(rows) == 5, str(rows))
        for row in rows:
            expect((row["ip.src"], row["ip.dst"]) == (PLAIN, VISITED), str(row))
            expect(not row["_ws.malformed"], str(row))
            expect(stack is None or stack in row["frame.protocols"], str(row))
        node.stop()
    row = net.mip4_bindings(PLAIN_ALICE)[0]
    expect(row["encapsulation"] == "minimal" and row["flags"] == "DT", str(row))
    expect(net.event("mip4.tun.out") == 15 and net.event("mip4.tun.in") == 15, "counted by role")
    expect(row["out_packets"] > 0 and row["in_packets"] > 0, str(row))
    wait_until(net.balance, 5, "received = forwarded + delivered + dropped")


@case
def P26_P27_RFC3519_udp_tunnels_behind_a_nat(net):
    net.start()
    net.lab.ip("mn", "route add default via 10.77.0.1")
    port = 5000
    for mode, flags, encapsulation in (("udp", 0, 0), ("udp-gre", G, 0), ("udp-minimal", 0, 55)):
        port += 1
        net.register(D | T | flags, udp_request(encapsulation=encapsulation), "mn", BEHIND_NAT,
                     port=port)
        node = net.node("mn", mode, BEHIND_NAT, PLAIN, port)
        reached(net, node)
        # RFC 3519 section 4.9: a keepalive is answered through the tunnel.
        before = net.event("mip4.keepalive")
        net.tell(node, f"keepalive {PLAIN_ALICE}")
        wait_until(lambda: any(one.get("icmp") == 0 and one["source"] == PLAIN
                               for one in net.taken(node)), 5, "the keepalive's answer")
        expect(net.event("mip4.keepalive") == before + 1, "counted")
        node.stop()
    expect(net.mip4_bindings(PLAIN_ALICE)[0]["tunnel_end"].startswith(NAT_OUTSIDE), "by the NAT")
    # From another port of the NAT it is somebody else; another next header is not what was agreed.
    bad_outer, bad_next = net.event("mip4.udp.bad_outer"), net.event("mip4.udp.bad_nh")
    stranger = net.node("mn", "udp-minimal", BEHIND_NAT, PLAIN, 5999)
    net.tell(stranger, f"keepalive {PLAIN_ALICE}")
    wait_until(lambda: net.event("mip4.udp.bad_outer") == bad_outer + 1, 5, "another port")
    wrong = net.node("mn", "udp", BEHIND_NAT, PLAIN, port)
    net.tell(wrong, f"keepalive {PLAIN_ALICE}")
    wait_until(lambda: net.event("mip4.udp.bad_nh") == bad_next + 1, 5, "another next header")
    wait_until(net.balance, 5, "received = forwarded + delivered + dropped")


@case
def RFC3519_4_4_half_bound_until_a_keepalive_shows_the_way(net):
    net.start()
    net.register(D | T, udp_request(by_foreign_agent=True))
    expect(net.mip4_bindings(PLAIN_ALICE)[0]["half_bound"], "half bound")
    node = net.node("inet", "udp", VISITED, PLAIN, 7777)
    expect(not net.ping("home", PLAIN_ALICE, 2), "nothing may go there yet")
    expect(net.event("mip4.udp.half_bound") >= 2, "counted")
    net.tell(node, f"keepalive {PLAIN_ALICE}")
    wait_until(lambda: not net.mip4_bindings(PLAIN_ALICE)[0]["half_bound"], 5, "completed")
    expect(net.mip4_bindings(PLAIN_ALICE)[0]["tunnel_end"] == f"{VISITED}:7777", "where it came from")
    wait_until(lambda: any(one.get("icmp") == 0 for one in net.taken(node)), 5, "and answered")
    expect(net.ping("home", PLAIN_ALICE, 3), "reached")


@case
def RFC5944_4_2_simultaneous_bindings_get_a_copy_each(net):
    net.start()
    net.register(D | T)
    net.register(S | D | T | G, care_of=VISITED2)
    first = net.node("inet", "ipip", VISITED, PLAIN)
    second = net.node("inet", "gre", VISITED2, PLAIN)
    net.ping("home", PLAIN_ALICE, 3)
    for node in (first, second):
        wait_until(lambda: len(net.taken(node)) == 3, 5, f"three copies: {node.output()}")
    expect(net.event("mip4.copies") == 3, "counted")
    # One is let go: the other goes on alone.
    message = net.alice.seal(request(PLAIN_ALICE, PLAIN, VISITED, lifetime=0, flags=0))
    expect(net.send("inet", VISITED, PLAIN, message).code == 0, "deregistered")
    expect(net.ping("home", PLAIN_ALICE, 3), "by the other one")
    wait_until(lambda: len(net.taken(second)) == 6, 5, second.output())
    expect(len(net.taken(first)) == 3, first.output())


@case
def RFC3024_reverse_tunnels_only_as_agreed(net):
    net.start()
    net.register(D)  # no T
    node = net.node("inet", "ipip", VISITED, PLAIN)
    expect(not net.ping("home", PLAIN_ALICE, 2), "answered through a tunnel without T")
    wait_until(lambda: net.event("mip4.rt.no_binding") + net.event("mip4.rt.bad_mode") == 2, 5,
               "no reverse tunnel was agreed on")
    net.register(D | T | G)
    before = net.event("mip4.rt.bad_mode")
    net.tell(node, f"keepalive {PLAIN_ALICE}")
    wait_until(lambda: net.event("mip4.rt.bad_mode") == before + 1, 5, "not by that encapsulation")
    wait_until(net.balance, 5, "received = forwarded + delivered + dropped")


@case
def RFC5944_4_6_proxy_arp_and_broadcasts_of_the_home_link(net):
    net.start()
    net.register(D | T | B, namespace="home", care_of=INSIDE, home=ALICE, agent=INTERNAL)
    node = net.node("home", "ipip", INSIDE, INTERNAL)
    reached(net, node, ALICE)
    expect(net.event("iha.tun.out") >= 5 and net.event("iha.tun.in") >= 5, "counted by role")
    net.lab.run("home", ["/usr/bin/python3", "-c", (
        "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); "
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1); "
        "s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'br0'); "
        "s.sendto(b'hello', ('192.0.2.255', 9999))")])
    wait_until(lambda: any(one["destination"] == "192.0.2.255" for one in net.taken(node)), 5,
               f"the broadcast through the tunnel: {node.output()}")


@case
def either_process_anew_and_the_tunnel_goes_on(net):
    net.start()
    net.register(D | T)
    node = net.node("inet", "ipip", VISITED, PLAIN)
    reached(net, node)
    net.controlplane.signal(signal.SIGKILL)
    net.controlplane.wait()
    expect(net.ping("home", PLAIN_ALICE, 3), "without a control plane")
    net.start_controlplane()
    expect(net.ping("home", PLAIN_ALICE, 3), "with a new one")
    net.dataplane.signal(signal.SIGKILL)
    net.dataplane.wait()
    net.start_dataplane()
    wait_until(net.in_sync, 20, "in sync with the new data plane")
    wait_until(lambda: net.ping("home", PLAIN_ALICE, 1), 20, "reached by the new data plane")
    table = net.hactl_text("show", "mip4-bindings")
    expect(PLAIN_ALICE in table and VISITED in table and "ip-in-ip" in table, table)
    table = net.hactl_text("show", "mip4-home-agents")
    expect("plain (plain) at 203.0.113.3" in table and "internal (internal)" in table, table)


main(TunnelNetwork)

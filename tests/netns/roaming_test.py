#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A TCP transfer and a ping go on while the mobile node moves."""
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import CARE_OF, HOME_ADDRESS, HOME_AGENT, RoamingNetwork, wait_until  # noqa: E402
from roaming import (CORRESPONDENT4, HOME_ADDRESS4, Ping, Transfer, add_ipv4,  # noqa: E402
                     start_at)
from signalling_capture import Capture  # noqa: E402

@case
def tcp_survives_a_to_b_to_home_to_a(net):
    start_at(net, "a")
    transfer, ping = Transfer(net), Ping(net)
    ping.wait_for_more()
    for old, new in (("a", "b"), ("b", "home"), ("home", "a"), ("a", "b")):
        net.move(old, new)
        net.wait_registered(new)
        ping.wait_for_more()
    ping.stop()
    received = transfer.finish()
    expect(received["octets"] > 200_000, str(received))
    drops = net.hactl("show", "drops")
    expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")


@case
def P15_RFC5555_4_4_1_udp_over_ipv6_under_a_transfer(net):
    net.controlplane_extra = "  dual_stack: {accept_force_udp: on}"
    net.mn_extra = "dual_stack: {force_udp_ipv6: on}"
    start_at(net, "a")
    tunnel = net.mn()["tunnel"]
    expect(tunnel["encapsulation"] == "udp-ipv6", str(tunnel))
    expect(net.hactl("show", "binding", HOME_ADDRESS)["encapsulation"] == "ipv6-udp",
           str(net.hactl("show", "binding", HOME_ADDRESS)))
    capture = Capture(net.lab, "inet", "a")
    transfer, ping = Transfer(net), Ping(net)
    ping.wait_for_more()
    # Larger than what fits: told, or cut by the tunnel.
    wait_until(lambda: net.lab.run("cn", ["ping", "-n", "-c", "1", "-W", "1", "-s", "1600",
                                          HOME_ADDRESS], check=False).stdout.count("bytes from"), 10,
               "a large echo answered")
    capture.stop()
    rows = capture.tshark(["udp.srcport", "udp.dstport", "udp.checksum.status", "ipv6.src"],
                          "udp.port == 4191 && !ipv6.fragment")
    outer = [row for row in rows if row["udp.srcport"].split(",")[0] == "4191"]
    expect(len(outer) > 50, f"{len(outer)} packets in UDP 4191")
    expect({row["ipv6.src"].split(",")[0] for row in outer} >= {CARE_OF["a"], HOME_AGENT},
           "not in both directions")
    expect(all(row["udp.checksum.status"].split(",")[0] in ("1", "Good") for row in outer),
           f"checksums: {[row for row in outer if row['udp.checksum.status'][0] != '1'][:3]}")
    expect(capture.tshark(["frame.number"], "ipv6.nxt == 41 || ipv6.nxt == 4") == [],
           "a tunnel without UDP")
    net.move("a", "b")
    net.wait_registered("b")
    ping.wait_for_more()
    ping.stop()
    expect(transfer.finish()["octets"] > 100_000, "little was received")
    expect(net.mn()["tunnel"]["encapsulation"] == "udp-ipv6", str(net.mn()["tunnel"]))
    net.expect_balance()


@case
def RFC6275_10_4_1_the_home_agents_own_kernel_reaches_the_mobile_node(net):
    start_at(net, "a")
    expect(net.ping("mn", HOME_AGENT, 5), "the home agent does not answer the mobile node")
    wait_until(lambda: net.ping("ha", HOME_ADDRESS, 1), 5, "an answer to the home agent")
    net.move("a", "home")
    net.wait_registered("home")
    wait_until(lambda: net.mn()["state"] == "at-home", 10, "at home")
    wait_until(lambda: net.ping("ha", HOME_ADDRESS, 1), 5, "an answer from the home link")
    net.move("home", "b")
    net.wait_registered("b")
    wait_until(lambda: net.ping("ha", HOME_ADDRESS, 1), 5, "an answer from b")
    net.expect_balance()


@case
def S1_13_make_before_break_loses_nothing(net):
    start_at(net, "b")
    ping = Ping(net)
    ping.wait_for_more()
    # a is preferred to b, so the node moves while b is still there.
    net.plug("a")
    net.wait_registered("a")
    ping.wait_for_more(30)
    lost = ping.stop()
    expect(lost == [], f"lost {lost}")
    net.expect_balance()


@case
def at_home_packets_are_native(net):
    start_at(net, "a")
    net.move("a", "home")
    net.wait_registered("home")
    wait_until(lambda: net.mn()["state"] == "at-home", 10, "at home")
    capture = Capture(net.lab, "home", "br0", "ip6")
    expect(net.ping("cn", HOME_ADDRESS, 5), "not reachable at home")
    expect(net.ping("home", HOME_ADDRESS, 5), "neighbors do not reach it")
    capture.wait_for(f"icmpv6.type == 129 && ipv6.src == {HOME_ADDRESS}", 10)
    capture.stop()
    tunnelled = capture.tshark(["frame.number"], "ipv6.nxt == 41")
    expect(tunnelled == [], "packets in tunnels on the home link")
    # Neighbors were told by the mobile node itself (RFC 6275 11.5.5).
    neighbor = net.lab.ip("home", f"-6 neigh show {HOME_ADDRESS}")
    mac = net.lab.run("mn", ["cat", "/sys/class/net/home/address"]).strip()
    expect(mac in neighbor, f"{neighbor}, the mobile node is {mac}")


@case
def nothing_is_lost_between_home_and_away_that_the_links_did_not_lose(net):
    # The cable at home stays in until the home agent has the binding.
    start_at(net, "home")
    ping = Ping(net)
    ping.wait_for_more()
    net.mn_config.write_text(net.mn_config.read_text().replace("[home, a, b]", "[a, home, b]"))
    net.mobile_node.signal(signal.SIGHUP)
    net.plug("a")
    net.wait_registered("a")
    ping.wait_for_more()
    lost = ping.stop()
    expect(len(lost) <= 2, f"lost {lost}")


@case
def P14_an_ipv4_home_address_is_reached_through_the_ipv6_tunnel(net):
    net.make_networks()
    net.write_configuration()
    home = f'home_address: "{HOME_ADDRESS}"\n'
    text = net.config.read_text()
    net.config.write_text(text.replace(home, f"{home}      ipv4_home_address: {HOME_ADDRESS4}\n"))
    net.mn_config.write_text(f"ipv4_home_address: {HOME_ADDRESS4}\n" + net.mn_config.read_text())
    net.start_dataplane()
    net.start_controlplane()
    add_ipv4(net)
    signalling = Capture(net.lab, "inet", "t-wan")
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    wait_until(lambda: net.mn()["ipv4_home_address"]["bound"], 5, "the IPv4 home address bound")
    expect(net.bindings()[0]["ipv4_home_addresses"] == [HOME_ADDRESS4], str(net.bindings()))
    wait_until(lambda: net.ping("cn", HOME_ADDRESS4, 1), 10, "an answer over IPv4")
    expect(net.ping("cn", HOME_ADDRESS4, 5), "IPv4 home address not reachable at a")
    expect(net.ping("mn", CORRESPONDENT4, 5), "IPv4 correspondent not reachable from a")
    net.move("a", "b")
    net.wait_registered("b")
    wait_until(lambda: net.mn()["state"] == "registered", 5, "registered")
    expect(net.ping("cn", HOME_ADDRESS4, 5), "IPv4 home address not reachable at b")
    large = net.lab.run("cn", ["ping", "-n", "-c", "3", "-i", "0.1", "-s", "1400", HOME_ADDRESS4],
                        check=False)
    expect(" 0% packet loss" in large.stdout, large.stdout)
    signalling.stop()
    # Others decode it: IPv4 in IPv6, both ways, between the right ends.
    for source, destination in ((HOME_AGENT, CARE_OF["a"]), (CARE_OF["a"], HOME_AGENT),
                                (HOME_AGENT, CARE_OF["b"]), (CARE_OF["b"], HOME_AGENT)):
        frames = signalling.tshark(["ip.src", "ip.dst", "ip.checksum.status"],
                                   f"ipv6.nxt == 4 && ipv6.src == {source} && "
                                   f"ipv6.dst == {destination} && icmp")
        expect(frames, f"no IPv4 in a tunnel from {source} to {destination}")
    asked = signalling.tshark(["mip6.ipv4ha.ha", "mip6.ipv4ha.preflen"], "mip6.mhtype == 5")
    expect(asked and all(row["mip6.ipv4ha.ha"] == HOME_ADDRESS4 and
                         row["mip6.ipv4ha.preflen"] == "32" for row in asked), str(asked))
    answered = signalling.tshark(["mip6.ipv4aa.sts"], "mip6.mhtype == 6")
    expect(answered and all(row["mip6.ipv4aa.sts"] == "0" for row in answered), str(answered))
    net.expect_balance()


@case
def first_packets_after_a_move_go_to_the_new_care_of_address(net):
    start_at(net, "a")
    capture = Capture(net.lab, "inet", "t-wan")
    ping = Ping(net)
    ping.wait_for_more()
    net.move("a", "b")
    net.wait_registered("b")
    ping.wait_for_more()
    ping.stop()
    capture.stop()
    rows = capture.tshark(["frame.number", "ipv6.dst", "mip6.ba.status"],
                          f"ipv6.src == {HOME_AGENT} && (ipv6.nxt == 41 || mip6.mhtype == 6)")
    answers = [i for i, row in enumerate(rows) if row["mip6.ba.status"] == "0"]
    expect(len(answers) == 1 and answers[0] > 0, f"acknowledgements at {answers}")
    # The binding is in force before the acknowledgement leaves, so packets may be ahead of it.
    tunnelled = [row["ipv6.dst"] for row in rows if not row["mip6.ba.status"]]
    switch = tunnelled.index(CARE_OF["b"])
    expect(switch > 0 and set(tunnelled[switch:]) == {CARE_OF["b"]},
           f"destinations in order: {tunnelled}")
    after = {row["ipv6.dst"] for row in rows[answers[0]:] if not row["mip6.ba.status"]}
    expect(after == {CARE_OF["b"]}, f"destinations after the acknowledgement: {after}")


class Network(RoamingNetwork):
    def expect_balance(self):
        drops = self.hactl("show", "drops")
        expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")


main(Network)

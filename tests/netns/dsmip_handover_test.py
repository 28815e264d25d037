#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A mobile node between IPv6, IPv4 behind a NAT, and IPv4 without one, applications running
(RFC 5555; S1.40 to S1.42, S1.50, S1.69)."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import (CORRESPONDENT, HOME_ADDRESS, SPI_BA, SPI_BU, SPI_PAYLOAD_IN,  # noqa: E402
                 SPI_PAYLOAD_OUT, wait_until)
from nat_network import (CARE_OF_IPV4, HOME_AGENT_IPV4, NAT_ADDRESS, ROUTER_OF,  # noqa: E402
                         NatNetwork)
from roaming import Ping, Transfer, start_at  # noqa: E402
from signalling_capture import Capture  # noqa: E402

# What is in UDP 4191 is an IP packet.
DECODE = "udp.port==4191,ipv6"
FIELDS = ["frame.time_relative", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport",
          "udp.dstport", "esp.spi", "esp.sequence"]


def esp_packets(capture):
    """(time, SPI, outermost source, outermost destination) of each ESP packet of the node's SAs."""
    rows = capture.tshark(FIELDS, "esp", keys=False, decode_as=DECODE)
    # Over IPv4 the outermost header is the IPv4 one.
    return [(float(row["frame.time_relative"]), int(row["esp.spi"], 0),
             row["ip.src"] or row["ipv6.src"], row["ip.dst"] or row["ipv6.dst"]) for row in rows]


@case
def handover_ipv6_to_nat_to_ipv4_to_ipv6_under_tcp_and_200_pings_a_second(net):
    start_at(net, "a")
    transfer, ping = Transfer(net), Ping(net, interval=0.005)
    ping.wait_for_more(50)
    for old, new in (("a", "n"), ("n", "v"), ("v", "b"), ("b", "n"), ("n", "a")):
        before = len(ping.lost_so_far())
        net.move(old, new)
        net.wait_registered(new)
        ping.wait_for_more(100)
        lost = len(ping.lost_so_far()) - before
        row = net.bindings()[0]
        print(f"  {old} -> {new}: {lost} of 200 a second lost, NAT {row['nat']}, "
              f"{row['encapsulation']}, outer source {row['outer_source']}, "
              f"ESP from {row['esp_source']}")
        expect(row["nat"] == {"n": "yes", "v": "no"}.get(new), f"verdict in {new}: {row}")
    ping.stop()
    received = transfer.finish()
    expect(received["octets"] > 200_000, str(received))
    net.expect_balance()


def handover_with_both_networks_there(net, old, new, sources):
    """Make before break: from `old` to `new`, whose outer sources at the mobile node are given."""
    start_at(net, old)
    ping = Ping(net, interval=0.005)
    ping.wait_for_more(50)
    capture = Capture(net.lab, "mn", "any", "ip or ip6")
    net.plug(new)
    net.wait_registered(new)
    ping.wait_for_more(100)
    lost = ping.stop()
    capture.stop()
    packets = esp_packets(capture)
    updates = [p for p in packets if p[1] == SPI_BU]
    answers = [p for p in packets if p[1] == SPI_BA and p[0] > updates[0][0]]
    expect(updates and answers, f"no update or no answer: {packets[:5]}")
    sent, answered = updates[0][0], answers[0][0]
    expect(all(p[2] == sources[new] for p in updates if p[0] <= answered),
           f"S1.40: binding updates from elsewhere than {sources[new]}: {updates}")
    expect(all(p[3] == sources[new] for p in answers[:1]), f"S1.50: the answer went to {answers}")
    outbound = [p for p in packets if p[1] == SPI_PAYLOAD_IN]
    early = [p for p in outbound if p[0] < answered and p[2] != sources[old]]
    expect(early == [], f"S1.40: data from the new address before the answer: {early[:3]}")
    late = [p for p in outbound if p[0] > answered + 0.05 and p[2] != sources[new]]
    expect(late == [], f"S1.42: data from the old address behind the answer: {late[:3]}")
    between = [p for p in packets if p[1] == SPI_PAYLOAD_OUT and sent <= p[0] <= answered]
    print(f"  {old} -> {new}: answer after {(answered - sent) * 1000:.1f} ms, {len(between)} data "
          f"packets came in between, {len(lost)} pings lost")
    expect(len(lost) <= 2, f"lost {lost}")
    net.expect_balance()


SOURCES = {"a": "2001:db8:a::200", "b": "2001:db8:b::200", **CARE_OF_IPV4}


@case
def S1_40_S1_41_S1_42_from_ipv4_behind_a_nat_to_ipv6(net):
    handover_with_both_networks_there(net, "n", "a", SOURCES)


@case
def S1_40_S1_41_S1_42_from_ipv4_behind_a_nat_to_ipv4_without(net):
    # v is preferred to n.
    handover_with_both_networks_there(net, "n", "v", SOURCES)


@case
def S1_40_S1_42_the_same_by_the_heuristic_technique(net):
    net.mn_extra += "signalling: {technique: heuristic}\n"
    handover_with_both_networks_there(net, "n", "v", SOURCES)


@case
def S1_69_data_behind_a_nat_use_two_mappings_and_nothing_else(net):
    start_at(net, "n")
    capture = Capture(net.lab, "inet", "t-wan", "ip")
    wait_until(lambda: net.ping("cn", HOME_ADDRESS, 3), 10, "reachable behind the NAT")
    capture.stop()
    rows = capture.tshark(FIELDS, f"ip.addr == {HOME_AGENT_IPV4} && udp", keys=False,
                          decode_as=DECODE)
    ports = {(row["udp.srcport"], row["udp.dstport"]) for row in rows
             if row["ip.src"] == HOME_AGENT_IPV4 and row["esp.spi"] == f"{SPI_PAYLOAD_OUT:#010x}"}
    row = net.bindings()[0]
    expect(row["outer_source"].startswith(NAT_ADDRESS + ":"), str(row))
    expect(row["esp_source"].startswith(NAT_ADDRESS + ":"), str(row))
    expect(ports == {("4500", row["esp_source"].rpartition(":")[2])}, f"{ports}, {row}")
    strangers = capture.tshark(["frame.number", "ip.proto"],
                               f"ip.addr == {NAT_ADDRESS} && !(udp.port == 4191) && "
                               "!(udp.port == 4500)", keys=False)
    expect(strangers == [], f"outside the two mappings: {strangers[:5]}")
    net.expect_balance()


def expect_whole_transfer(net):
    # Sealed, in UDP and IPv4, it is larger than what the path takes: the correspondent is told.
    large = ["ping", "-n", "-c", "1", "-W", "1", "-s", "1352", HOME_ADDRESS]
    wait_until(lambda: net.lab.run("cn", large, check=False).returncode == 0, 10,
               "an answer to 1400 octets of the correspondent")
    transfer, ping = Transfer(net), Ping(net)
    ping.wait_for_more(20, 20)
    large = net.lab.run("mn", ["ping", "-n", "-c", "3", "-i", "0.2", "-W", "2", "-s", "1200", "-I",
                               HOME_ADDRESS, CORRESPONDENT], check=False)
    expect(" 0% packet loss" in large.stdout, f"1248 octets from the mobile node: {large.stdout}")
    ping.stop()
    received = transfer.finish()
    expect(received["octets"] > 100_000, str(received))
    net.expect_balance()


@case
def P13_a_path_of_1280_octets_behind_the_nat(net):
    net.start()
    for where in (("mn", "n"), ("nat", "inside")):
        net.lab.ip(where[0], f"link set dev {where[1]} mtu 1280")
    net.plug("n")
    net.start_mobile_node()
    net.wait_registered("n")
    expect_whole_transfer(net)


@case
def P13_a_path_that_eats_icmp_and_takes_1400_octets(net):
    # Nobody is told what does not fit: both ends are, by tunnel.path_mtu and by the route's MTU.
    net.controlplane_extra += "  tunnel: {path_mtu: 1400}\n"
    net.start()
    for where in (("inet", "nat"), ("nat", "outside")):
        net.lab.ip(where[0], f"link set dev {where[1]} mtu 1400")
    for router in ("inet", "nat"):
        net.lab.run(router, ["nft", "-f", "-"], stdin="""table inet silent {
    chain output {
        type filter hook output priority 0;
        icmp type destination-unreachable drop
        icmpv6 type packet-too-big drop
    }
}
""")
    net.plug("n")
    net.lab.ip("mn", f"route replace default via {ROUTER_OF['n']} dev n metric 210 mtu lock 1400")
    net.start_mobile_node()
    net.wait_registered("n")
    expect_whole_transfer(net)


class Network(NatNetwork):
    def __init__(self, lab):
        super().__init__(lab)
        self.protect_payload = True

    def expect_balance(self):
        drops = self.hactl("show", "drops")
        expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")


main(Network)

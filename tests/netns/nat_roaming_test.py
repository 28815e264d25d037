#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The mobile node and the home agent with IPv4 networks and a real NAT between them (RFC 5555)."""
import pathlib
import re
import signal
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import (CARE_OF, CORRESPONDENT, HOME_ADDRESS, HOME_AGENT, SPI_BA, SPI_BU,  # noqa: E402
                 wait_until)
from nat_network import (CARE_OF_IPV4, CORRESPONDENT_IPV4, HOME_AGENT_IPV4,  # noqa: E402
                         NAT_ADDRESS, NatNetwork)
from roaming import Ping, Transfer  # noqa: E402
from signalling_capture import Capture  # noqa: E402

HOME_ADDRESS4 = "192.0.4.100"
OUTSIDE = {"n": NAT_ADDRESS, "v": CARE_OF_IPV4["v"]}
ENCAPSULATION = {"a": "ipv6", "b": "ipv6", "n": "udp-ipv4", "v": "ipv4"}


class Network(NatNetwork):
    def __init__(self, lab):
        super().__init__(lab)
        self.dual_stack = ""
        self.agent_dual_stack = ""
        self.technique = "api"

    def start(self):
        self.node_extra += f"      ipv4_home_address: {HOME_ADDRESS4}\n"
        if self.agent_dual_stack:
            self.controlplane_extra += f"  dual_stack: {{{self.agent_dual_stack}}}\n"
        self.home_link_extra += ", ipv4_prefix: 192.0.4.0/24"  # what sealed payload may carry
        self.mn_extra += f"""ipv4_home_address: {HOME_ADDRESS4}
signalling: {{technique: {self.technique}}}
dual_stack: {{{self.dual_stack}}}
"""
        super().start()
        self.lab.ip("inet", f"route add {HOME_ADDRESS4}/32 via {HOME_AGENT_IPV4}")
        self.start_mobile_node()

    def prefer(self, network):
        """It comes first from now on."""
        text = self.mn_config.read_text()
        order = re.search(r"interfaces: \[(.*)\]", text).group(1).split(", ")
        order = [network] + [name for name in order if name != network]
        self.mn_config.write_text(re.sub(r"interfaces: \[.*\]",
                                         f"interfaces: [{', '.join(order)}]", text))
        self.mobile_node.signal(signal.SIGHUP)

    def wait_at(self, network, timeout=20, encapsulation=None):
        address = CARE_OF.get(network) or CARE_OF_IPV4[network]
        form = encapsulation or ENCAPSULATION[network]

        def there():
            status = self.mn()
            return status["state"] == "registered" and status["care_of_address"] == address and \
                status["tunnel"]["encapsulation"] == form and status
        return wait_until(there, timeout, f"the mobile node at {address}, {form}")

    def expect_both_families(self):
        expect(self.ping("cn", HOME_ADDRESS, 5), "not reachable over IPv6")
        expect(self.ping("mn", CORRESPONDENT, 5), "the mobile node reaches nobody over IPv6")
        expect(self.ping("cn", HOME_ADDRESS4, 5), "not reachable over IPv4")
        expect(self.ping("mn", CORRESPONDENT_IPV4, 5), "reaches nobody over IPv4")

    def expect_balance(self):
        drops = self.hactl("show", "drops")
        expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")


def kind_of(packet):
    """(kind, address of the mobile node outside) of a packet between it and the home agent."""
    if packet[0] >> 4 == 4:
        source, destination = (".".join(map(str, packet[i:i + 4])) for i in (12, 16))
        if HOME_AGENT_IPV4 not in (source, destination):
            return None
        ours = destination if source == HOME_AGENT_IPV4 else source
        if packet[9] == 17:
            port = struct.unpack("!H", packet[20:22] if source == HOME_AGENT_IPV4
                                 else packet[22:24])[0]
            inner = packet[28:]
            if port == 4191 and inner[0] >> 4 == 6 and inner[6] == 50:
                spi = struct.unpack("!I", inner[40:44])[0]
                if spi in (SPI_BU, SPI_BA):
                    return ("bu" if spi == SPI_BU else "ba"), ours
            if port not in (4191, 4500) or len(inner) == 1:
                return None
        elif packet[9] not in (4, 41, 50):
            return None
        return ("in" if source == HOME_AGENT_IPV4 else "out"), ours
    import socket
    source, destination = (socket.inet_ntop(socket.AF_INET6, packet[i:i + 16]) for i in (8, 24))
    if HOME_AGENT not in (source, destination):
        return None
    ours = destination if source == HOME_AGENT else source
    if packet[6] in (60, 43):
        return ("bu" if source != HOME_AGENT else "ba"), ours
    if packet[6] not in (4, 41, 50):
        return None
    return ("in" if source == HOME_AGENT else "out"), ours


def events(capture):
    from scapy.all import raw, rdpcap
    found = [kind_of(raw(frame)[14:]) for frame in rdpcap(str(capture.file))]
    return [one for one in found if one]


def expect_split(seen, new):
    """S1.40: between update and acknowledgement no data from the new address; afterwards none from
    an old one."""
    start = seen.index(("bu", new))
    end = seen.index(("ba", new), start)
    window = seen[start:end]
    expect(("out", new) not in window, f"data from {new} before the acknowledgement")
    expect(all(one[0] != "bu" or one[1] == new for one in window), "an update from elsewhere")
    return window


@case
def P9_P10_both_families_behind_a_nat_and_without(net):
    net.start()
    net.plug("n")
    status = net.wait_at("n")
    expect(status["nat"]["verdict"] == "nat", str(status["nat"]))
    wait_until(lambda: net.mn()["ipv4_home_address"]["bound"], 5, "the IPv4 home address bound")
    net.expect_both_families()
    expect(net.mappings(4191), "no mapping in the NAT")
    net.unplug("n")
    net.plug("v")
    status = net.wait_at("v")
    expect(status["nat"]["verdict"] == "no nat", str(status["nat"]))
    net.expect_both_families()
    net.expect_balance()


def sealed(net, technique):
    net.protect_payload = True
    net.technique = technique
    net.start()
    net.plug("n")
    net.wait_at("n")
    wait_until(lambda: net.ping("cn", HOME_ADDRESS, 1), 10, "an answer through UDP 4500")
    net.expect_both_families()
    expect(net.mappings(4500) and net.mappings(4191), "two mappings in the NAT")
    net.unplug("n")
    net.plug("v")
    net.wait_at("v")
    net.expect_both_families()
    counters = net.mn()["counters"]
    expect(counters["mn.bu_heur.timeout"] == 0 and counters["mn.bu_heur.mismatch"] == 0,
           "the heuristic was wrong")
    net.expect_balance()


@case
def P13_S1_44_sealed_payload_in_udp_4500_and_protocol_50(net):
    sealed(net, "api")


@case
def P13_S1_46_the_same_with_technique_heuristic(net):
    sealed(net, "heuristic")


def tour(net, technique, protect):
    """IPv6, IPv4 behind a NAT, IPv4 without, IPv6, each plugged in before the old one goes."""
    net.technique, net.protect_payload = technique, protect
    net.start()
    net.plug("a")
    net.wait_at("a")
    wait_until(lambda: net.mn()["ipv4_home_address"]["bound"], 5, "the IPv4 home address bound")
    transfer, ping = Transfer(net), Ping(net, interval=0.005)
    ping.wait_for_more()
    old = "a"
    for new in ("n", "v", "b"):
        capture = Capture(net.lab, "inet", "t-wan", "ip or ip6")
        before = len(ping.answered())
        net.plug(new)
        net.prefer(new)
        net.wait_at(new)
        ping.wait_for_more(60)
        net.unplug(old)
        ping.wait_for_more(20)
        capture.stop()
        outside = OUTSIDE.get(new) or CARE_OF[new]
        window = expect_split(events(capture), outside)
        sent = sum(one[0] == "out" for one in window)
        print(f"     {old} -> {new}: {len(ping.answered()) - before} answers, {sent} packets sent "
              f"from the old address between update and acknowledgement", flush=True)
        old = new
    lost = ping.stop()
    received = transfer.finish()
    print(f"     requests without answer: {len(lost)}; TCP {received['octets']} octets", flush=True)
    expect(len(lost) <= 6, f"lost {lost}")
    expect(received["octets"] > 200_000, str(received))
    net.expect_balance()


@case
def S1_40_S1_41_tour_under_tcp_in_clear(net):
    tour(net, "api", False)


@case
def S1_40_S1_44_tour_under_tcp_sealed_technique_a(net):
    tour(net, "api", True)


@case
def S1_40_S1_46_tour_under_tcp_sealed_technique_b(net):
    tour(net, "heuristic", True)


@case
def RFC5555_4_3_a_nat_that_is_rebooted_is_healed_by_the_keepalive(net):
    net.agent_dual_stack = "nat_refresh: 5"
    net.start()
    net.plug("n")
    net.wait_at("n")
    net.expect_both_families()
    net.masquerade("41000-41999")
    net.forget_mappings()
    wait_until(lambda: net.ping("cn", HOME_ADDRESS, 1), 20, "an answer by the new mapping")
    expect(any(41000 <= port < 42000 for port in net.mappings(4191)), str(net.mappings(4191)))
    net.expect_both_families()


@case
def RFC5555_4_3_keepalive_on_keeps_an_idle_node_reachable(net):
    net.agent_dual_stack = "nat_refresh: 5"
    net.start()
    net.udp_timeout(8)
    net.plug("n")
    net.wait_at("n")
    first = net.mappings(4191)
    updates = net.mn()["protocol"]["updates_sent"]
    wait_until(lambda: net.mn()["protocol"]["updates_sent"] >= updates + 3, 30, "keepalives")
    expect(net.mappings(4191) == first, f"{first} became {net.mappings(4191)}")
    expect(net.ping("cn", HOME_ADDRESS, 3), "not reachable after it was idle")


@case
def keepalive_off_an_idle_node_loses_its_mapping(net):
    net.agent_dual_stack = "nat_refresh: 5"
    net.dual_stack = "nat_keepalive: off, esp_keepalive: 0"
    net.start()
    net.udp_timeout(2)
    net.plug("n")
    net.wait_at("n")
    wait_until(lambda: not net.mappings(4191), 15, "the mapping gone")
    expect(not net.ping("cn", HOME_ADDRESS, 1), "reachable without a mapping")
    # What it sends makes a mapping again; the home agent believes it with the next update.
    expect(net.mn()["nat"]["keepalive_in"] is None, str(net.mn()["nat"]))


@case
def RFC5555_4_4_1_ipv6_that_is_blocked_and_comes_back(net):
    net.dual_stack = "retry: 6"
    net.start()
    net.lab.ip("inet", f"-6 route add blackhole {HOME_AGENT}/128")
    net.plug("a")
    net.plug("v")
    net.wait_at("v", 40)
    net.expect_both_families()
    net.lab.ip("inet", f"-6 route del blackhole {HOME_AGENT}/128")
    net.wait_at("a", 40)
    net.expect_both_families()


if __name__ == "__main__":
    main(Network)

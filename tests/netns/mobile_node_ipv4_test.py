#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The mobile node in IPv4 networks against a home agent made of scapy (RFC 5555; N4, N5).

    mobile_node_ipv4_test.py [WORD...]     runs all, or those whose name contains one of the words
"""
import pathlib
import secrets
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import wait_until  # noqa: E402
from referee_network import (CARE_OF, CORRESPONDENT, HOME_ADDRESS,  # noqa: E402
                             RefereeNetwork)

HOME_AGENT4, SILENT4 = "203.0.113.1", "203.0.113.9"
HOME_ADDRESS4, CORRESPONDENT4 = "192.0.2.100", "198.51.100.9"
CARE_OF4 = {"v": "192.0.2.200", "n": "192.168.77.200", "a": "10.1.0.200", "b": "10.2.0.200"}
ROUTER = {"v": "192.0.2.1", "n": "192.168.77.1", "a": "10.1.0.1", "b": "10.2.0.1"}
NAT_ADDRESS, NAT_PORTS = "203.0.113.77", 1000
SPI_PAYLOAD_IN, SPI_PAYLOAD_OUT = 0x10006, 0x20006


class Network(RefereeNetwork):
    """a, b: IPv6, with IPv4 too if asked for; v: IPv4; n: IPv4 behind a NAT."""
    links = ("home", "a", "b", "v", "n")
    script = "scapy_ipv4_agent.py"

    def __init__(self, lab):
        super().__init__(lab)
        self.interfaces = "[home, a, b, v, n]"
        self.home_agents4 = f"[{HOME_AGENT4}]"
        self.home_address4 = HOME_ADDRESS4
        self.sealed = False
        self.technique = "api"
        self.dual_stack = ""

    def start(self, mobile_node=True):
        for name in ("payload-in.key", "payload-out.key"):
            path = self.directory / name
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(48) + "\n")
        self.extra += f"""home_agent_ipv4: {self.home_agents4}
signalling: {{technique: {self.technique}}}
dual_stack: {{{self.dual_stack}}}
"""
        if self.home_address4:
            self.extra += f"ipv4_home_address: {self.home_address4}\n"
        super().start(mobile_node)
        self.lab.ip("cn", f"addr add {CORRESPONDENT4}/24 dev eth0")
        self.lab.ip("cn", "route add default via 198.51.100.1")

    def referee_settings(self):
        keys = {"payload_in_key": str(self.directory / "payload-in.key"),
                "payload_out_key": str(self.directory / "payload-out.key"),
                "payload_spi_in": SPI_PAYLOAD_IN, "payload_spi_out": SPI_PAYLOAD_OUT}
        return super().referee_settings() | {
            "home_agent4": HOME_AGENT4, "home_agents4_silent": [SILENT4],
            "links4": {name: [address] for name, address in ROUTER.items()} |
                      {"cn": ["198.51.100.1"]},
            "nat": {"n": NAT_ADDRESS}, "correspondent4": CORRESPONDENT4,
            "home_address4": HOME_ADDRESS4} | (keys if self.sealed else {})

    def write_configuration(self):
        super().write_configuration()
        if not self.sealed:
            return
        payload = f"""security:
  payload:
    spi_in: {SPI_PAYLOAD_OUT:#x}
    spi_out: {SPI_PAYLOAD_IN:#x}
    algorithm: aes128-cbc-hmac-sha256-128
    key_file_in: payload-out.key
    key_file_out: payload-in.key
    replay_window: 1024
"""
        self.config.write_text(self.config.read_text().replace("security:\n", payload))

    def plug(self, link, ipv6=True, ipv4=False):
        if ipv6:
            super().plug(link)
        self.lab.ip("mn", f"link set dev {link} up")
        if link in ("v", "n") or ipv4:
            self.lab.ip("mn", f"addr replace {CARE_OF4[link]}/24 dev {link}")
            self.lab.ip("mn", f"route replace default via {ROUTER[link]} dev {link} "
                              f"metric {100 + ord(link)}")

    def wait_at(self, address, encapsulation, timeout=20):
        def there():
            status = self.status()
            return status["state"] == "registered" and status["care_of_address"] == address and \
                status["tunnel"]["encapsulation"] == encapsulation and status
        return wait_until(there, timeout, f"registered at {address} as {encapsulation}; "
                          f"it is {self.status()['state']}")

    def expect_both_families(self):
        expect(self.ping("cn", HOME_ADDRESS) == 5, "the correspondent gets no answer")
        expect(self.ping("mn", CORRESPONDENT) == 5, "the mobile node gets no answer")
        wait_until(lambda: self.status()["ipv4_home_address"]["bound"], 5, "IPv4 bound")
        expect(self.ping("cn", HOME_ADDRESS4) == 5, "no answer over IPv4")
        expect(self.ping("mn", CORRESPONDENT4) == 5, "the mobile node reaches nobody by IPv4")


@case
def P9_N4_no_nat_both_families_in_ipv4(net):
    net.start()
    net.plug("v")
    status = net.wait_at(CARE_OF4["v"], "ipv4")
    expect(status["nat"]["verdict"] == "no nat", str(status["nat"]))
    update = net.ask()["updates"][0]
    expect(update["ipv4_home"] == "8000" + "c0000264", str(update))
    net.expect_both_families()
    expect(set(net.ask()["seen4"]) == {f"ipv4 {CARE_OF4['v']}"}, str(net.ask()["seen4"]))
    net.expect_no_faults()


@case
def P10_N4_behind_a_nat_both_families_in_udp_4191(net):
    net.start()
    net.plug("n")
    status = net.wait_at(CARE_OF4["n"], "udp-ipv4")
    expect(status["nat"]["verdict"] == "nat", str(status["nat"]))
    net.expect_both_families()
    state = net.ask()
    expect(set(state["seen4"]) == {f"udp {NAT_ADDRESS}"}, str(state["seen4"]))
    expect(state["binding4"]["port"] == net.status()["tunnel"]["udp_port"] + NAT_PORTS,
           "data and binding updates do not share a port")
    net.expect_no_faults()


@case
def P13_protocol_50_and_udp_4500(net):
    net.sealed = True
    net.start()
    net.plug("v")
    net.wait_at(CARE_OF4["v"], "ipv4")
    net.expect_both_families()
    expect(set(net.ask()["seen4"]) == {f"esp {CARE_OF4['v']}"}, str(net.ask()["seen4"]))
    net.unplug("v")
    net.plug("n")
    net.wait_at(CARE_OF4["n"], "udp-ipv4")
    # The home agent knows the mapping on 4500 before any payload went up.
    wait_until(lambda: net.ask()["esp_port"] is not None, 5, "an authentic packet on UDP 4500")
    expect(net.ask()["esp_port"] != net.ask()["binding4"]["port"], "one mapping for both ports")
    net.expect_both_families()
    expect(f"esp-udp {NAT_ADDRESS}" in net.ask()["seen4"], str(net.ask()["seen4"]))
    net.expect_no_faults()


@case
def S1_19_nested_esp_stays_in_udp_4191(net):
    net.sealed = True
    net.dual_stack = "protected_data_over_v4: nested"
    net.start()
    net.policy(nested=True)
    net.plug("n")
    net.wait_at(CARE_OF4["n"], "udp-ipv4")
    net.expect_both_families()
    expect(set(net.ask()["seen4"]) == {f"nested {NAT_ADDRESS}"}, str(net.ask()["seen4"]))
    net.expect_no_faults()


def moves_while_the_acknowledgement_is_awaited(net):
    """S1.40 to S1.42 from v to n: the update leaves from n, all data from v until the answer."""
    net.interfaces = "[n, v]"
    net.start()
    net.plug("v")
    net.wait_at(CARE_OF4["v"], "ipv4")
    expect(net.ping("mn", CORRESPONDENT, count=10, interval=0.02) == 10, "no traffic at v")
    net.policy(answer="silent")
    before = len(net.ask()["updates"])
    net.plug("n")
    state = net.wait_updates(before + 2)
    expect({one["link"] for one in state["updates"][before:]} == {"n"}, "updates not from n")
    expect(net.ping("mn", CORRESPONDENT) == 5, "no traffic while the update is outstanding")
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable at the old address")
    seen = net.ask()["seen4"]
    expect(all(CARE_OF4["v"] in one for one in seen), f"data from the new address: {seen}")
    net.policy(answer="accept")
    net.wait_at(CARE_OF4["n"], "udp-ipv4")
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable at the new address")
    expect(net.counter("mn.bu_heur.timeout") == 0 and net.counter("mn.bu_heur.mismatch") == 0,
           "the heuristic was wrong")
    net.expect_no_faults()


@case
def S1_40_S1_44_technique_a_splits_by_spi(net):
    net.sealed = True
    moves_while_the_acknowledgement_is_awaited(net)


@case
def S1_40_S1_46_technique_b_splits_by_spi(net):
    net.sealed = True
    net.technique = "heuristic"
    moves_while_the_acknowledgement_is_awaited(net)


@case
def S1_42_a_rejected_move_leaves_the_tunnel(net):
    net.interfaces = "[n, v]"
    net.start()
    net.plug("v")
    net.wait_at(CARE_OF4["v"], "ipv4")
    net.policy(answer="status", status=130)
    net.plug("n")
    net.wait_state("backing-off")
    expect(net.ping("mn", CORRESPONDENT) == 5, "no traffic after a rejection")
    expect(set(net.ask()["seen4"]) == {f"ipv4 {CARE_OF4['v']}"}, str(net.ask()["seen4"]))
    net.expect_no_faults()


@case
def RFC5555_4_4_1_ipv6_is_preferred_and_ipv4_tried_after_three_updates(net):
    net.dual_stack = "retry: 5"
    net.start()
    net.policy(ipv6_silent=True)
    net.plug("a", ipv4=True)
    net.wait_at(CARE_OF4["a"], "ipv4", 30)
    expect(net.counter("mn.bu.sent") >= 4, "fewer than three updates over IPv6")
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable by IPv4")
    # IPv6 is tried again after its rest, and data stay on IPv4 until it answers.
    net.policy(ipv6_silent=False)
    net.wait_at(CARE_OF["a"], "ipv6", 30)
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable by IPv6")
    net.expect_no_faults()


@case
def RFC5555_2_1_home_agent_addresses_are_tried_in_their_order(net):
    net.home_agents4 = f"[{SILENT4}, {HOME_AGENT4}]"
    net.start()
    net.plug("v")
    net.wait_at(CARE_OF4["v"], "ipv4", 30)
    expect(net.status()["attachment"]["home_agent"] == HOME_AGENT4, str(net.status()["attachment"]))
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable")
    net.expect_no_faults()


@case
def RFC5555_4_3_binding_updates_keep_the_mapping(net):
    net.home_address4 = None
    net.start()
    net.policy(refresh=2)
    net.plug("n")
    net.wait_at(CARE_OF4["n"], "udp-ipv4")
    first = len(net.ask()["updates"])
    state = net.wait_updates(first + 3, 15)
    gaps = [b["time"] - a["time"] for a, b in zip(state["updates"][first - 1:],
                                                 state["updates"][first:])]
    expect(all(1.5 < gap < 3 for gap in gaps), f"seconds between updates: {gaps}")
    # Traffic in UDP keeps it as well.
    count = len(net.ask()["updates"])
    expect(net.ping("mn", CORRESPONDENT, count=12, interval=0.5) == 12, "no traffic")
    expect(len(net.ask()["updates"]) - count <= 1, "updates although traffic flowed")
    net.expect_no_faults()


@case
def keepalives_are_off_by_configuration(net):
    net.sealed = True
    net.dual_stack = "nat_keepalive: off, esp_keepalive: 0"
    net.start()
    net.policy(refresh=1)
    net.plug("n")
    net.wait_at(CARE_OF4["n"], "udp-ipv4")
    net.ping("mn", CORRESPONDENT, count=3, interval=1)
    expect(len(net.ask()["updates"]) == 1 and net.ask()["keepalives"] == 0, str(net.ask()))
    net.expect_no_faults()


@case
def RFC3948_4_keepalives_on_udp_4500(net):
    net.sealed = True
    net.dual_stack = "esp_keepalive: 1"
    net.start()
    net.plug("n")
    net.wait_at(CARE_OF4["n"], "udp-ipv4")
    wait_until(lambda: net.ask()["keepalives"] >= 3, 10, "keepalives")
    net.expect_no_faults()


@case
def RFC5555_4_4_2_forced_udp_and_144(net):
    net.dual_stack = "force_udp: on"
    net.start()
    net.plug("v")
    status = net.wait_at(CARE_OF4["v"], "udp-ipv4")
    expect(status["nat"]["verdict"] == "udp forced", str(status["nat"]))
    expect(net.ask()["updates"][0]["force"], "no F flag")
    net.expect_both_families()
    net.policy(force="refuse")
    net.unplug("v")
    net.plug("v")
    net.wait_at(CARE_OF4["v"], "ipv4")
    expect(not net.ask()["updates"][-1]["force"], "F again after 144")
    net.expect_no_faults()


@case
def RFC5555_dynamic_ipv4_home_address(net):
    net.home_address4 = "dynamic"
    net.start()
    net.policy(give4=HOME_ADDRESS4)
    net.plug("v")
    net.wait_at(CARE_OF4["v"], "ipv4")
    net.expect_both_families()
    expect(f" {HOME_ADDRESS4}/32" in net.lab.ip("mn", "-4 -o addr show dev homeport0"), "not there")
    net.unplug("v")
    net.plug("a")
    net.wait_at(CARE_OF["a"], "ipv6")
    net.expect_no_faults()


@case
def RFC5555_4_4_4_home_again_it_deregisters_over_ipv6(net):
    net.start()
    net.plug("n")
    net.wait_at(CARE_OF4["n"], "udp-ipv4")
    net.unplug("n")
    net.plug("home")
    net.wait_state("at-home")
    state = net.ask()
    expect(state["updates"][-1]["lifetime"] == 0 and state["updates"][-1]["link"] == "home" and
           "binding4" not in state, str(state["updates"][-1]))
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable at home")
    rules = net.lab.ip("mn", "rule show")
    expect(HOME_ADDRESS4 not in rules and "from 0.0.0.0" not in rules, rules)
    net.unplug("home")
    net.plug("v")
    net.wait_at(CARE_OF4["v"], "ipv4")
    net.expect_both_families()
    net.expect_no_faults()


@case
def deregisters_on_exit_over_ipv4_and_leaves_nothing_behind(net):
    net.start()
    net.plug("n")
    net.wait_at(CARE_OF4["n"], "udp-ipv4")
    wait_until(lambda: net.status()["ipv4_home_address"]["bound"], 5, "IPv4 bound")
    expect(net.mobile_node.stop() == 0, "exit status")
    state = net.ask()
    expect(state["updates"][-1]["lifetime"] == 0 and "binding4" not in state, str(state))
    expect("4191" not in net.lab.ip("mn", "rule show"), net.lab.ip("mn", "rule show"))
    net.expect_no_faults()


@case
def an_acknowledgement_with_routing_header_is_taken(net):
    net.start()
    net.policy(routing_header=True)
    net.plug("n")
    net.wait_at(CARE_OF4["n"], "udp-ipv4")
    net.expect_no_faults()


@case
def mn_in_not_ha_and_what_else_is_dropped(net):
    from scapy.all import IP, IPv6, ICMPv6EchoRequest, UDP, Raw, raw
    net.start()
    net.plug("v")
    net.wait_at(CARE_OF4["v"], "ipv4")
    port = net.status()["tunnel"]["udp_port"]
    inner = IPv6(src=CORRESPONDENT, dst=HOME_ADDRESS) / ICMPv6EchoRequest()

    def udp(source, sport=4191, payload=raw(inner)):
        return IP(src=source, dst=CARE_OF4["v"]) / UDP(sport=sport, dport=port) / Raw(payload)
    for name, packet in (
            ("mn.in.not_ha", udp("203.0.113.66")),
            ("mn.in.not_ha", udp(HOME_AGENT4, sport=4192)),
            ("mn.in.not_ha", IP(src="203.0.113.66", dst=CARE_OF4["v"], proto=41) / inner),
            ("mn.in.bad_version", udp(HOME_AGENT4, payload=bytes([0x50]) + bytes(40))),
            ("mn.in.malformed", udp(HOME_AGENT4, payload=raw(inner)[:30])),
            ("mn.in.malformed", udp(HOME_AGENT4, payload=b"")),
            ("mn.in.inner_dst", udp(HOME_AGENT4, payload=raw(IPv6(src=CORRESPONDENT,
                                                                  dst=CARE_OF["a"]))))):
        before = net.counter(name)
        net.ask("inject4", link="v", packet=raw(packet).hex())
        net.wait_counter(name, before + 1)
    net.expect_no_faults()


@case
def RFC4213_3_2_fragmentation_needed_lowers_the_tunnel_mtu(net):
    from scapy.all import ICMP, IP, UDP, Raw, raw
    net.start()
    for link, form, outer in (("n", "udp-ipv4", 28), ("v", "ipv4", 20)):
        net.plug(link)
        net.wait_at(CARE_OF4[link], form)
        port = net.status()["tunnel"]["udp_port"]
        sent = IP(src=CARE_OF4[link], dst=HOME_AGENT4, flags="DF")
        sent /= UDP(sport=port, dport=4191) / Raw(bytes(1440)) if form == "udp-ipv4" else \
            Raw(bytes([0x60]) + bytes(1439))
        if form == "ipv4":
            sent.proto = 41
        router = IP(src=ROUTER[link], dst=CARE_OF4[link])
        error = router / ICMP(type=3, code=4, nexthopmtu=1400) / Raw(raw(sent)[:548])
        net.ask("inject4", link=link, packet=raw(error).hex())
        wait_until(lambda expected=1400 - outer: net.status()["tunnel"]["mtu"] == expected, 5,
                   f"an MTU of {1400 - outer}")
        expect(net.ping("mn", CORRESPONDENT, size=1400 - outer - 48) == 5, "what fits is lost")
        net.unplug(link)
    net.expect_no_faults()


@case
def tcp_and_udp_sized_packets_fit_the_tunnel(net):
    net.start()
    net.plug("n")
    net.wait_at(CARE_OF4["n"], "udp-ipv4")
    expect(net.status()["tunnel"]["mtu"] == 1472, str(net.status()["tunnel"]))
    expect(net.ping("mn", CORRESPONDENT, size=1472 - 48) == 5, "full packets do not pass")
    net.unplug("n")
    net.plug("v")
    net.wait_at(CARE_OF4["v"], "ipv4")
    expect(net.status()["tunnel"]["mtu"] == 1480, str(net.status()["tunnel"]))
    expect(net.ping("mn", CORRESPONDENT, size=1480 - 48) == 5, "full packets do not pass")
    net.expect_no_faults()


if __name__ == "__main__":
    main(Network)

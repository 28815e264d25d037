#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Payload under ESP between home agent and mobile node: P3, P4, N2, and what S1.37 says of home."""
import pathlib
import secrets
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import (ALGORITHM, CARE_OF, CORRESPONDENT, HOME_ADDRESS, HOME_AGENT,  # noqa: E402
                 HOME_HOST, KEY_LENGTH, SPI_PAYLOAD_IN, SPI_PAYLOAD_OUT, RoamingNetwork,
                 wait_until)
from roaming import (CORRESPONDENT4, HOME_ADDRESS4, Ping, Transfer, add_ipv4,  # noqa: E402
                     start_at)
from signalling_capture import Capture  # noqa: E402


def esp_sequences(capture, spi):
    """(sequence number, destination or source at the mobile node's end) of one SA, as captured."""
    rows = capture.tshark(["esp.sequence", "ipv6.src", "ipv6.dst"], f"esp.spi == {spi}")
    return [(int(row["esp.sequence"]), row["ipv6.src"], row["ipv6.dst"]) for row in rows]


def expect_only_esp(capture):
    """What left for, or came from, a care-of address is ESP (or neighbor discovery)."""
    for care_of in CARE_OF.values():
        plain = capture.tshark(["frame.number", "ipv6.nxt", "icmpv6.type"],
                               f"ipv6.addr == {care_of} && !esp && !(icmpv6.type >= 133)")
        expect(plain == [], f"in the clear: {plain[:5]}")
    inner = capture.tshark(["frame.number"], f"ipv6.addr == {HOME_ADDRESS} && !esp")
    expect(inner == [], f"the home address is visible: {inner[:5]}")


@case
def P3_P4_payload_leaves_only_as_esp(net):
    start_at(net, "a")
    capture = Capture(net.lab, "inet", "a")
    expect(net.ping("cn", HOME_ADDRESS, 5), "no answers through ESP")
    expect(net.ping_from_home_address(CORRESPONDENT, 5), "the mobile node reaches nobody through ESP")
    expect(net.ping("home", HOME_ADDRESS, 3), "not reachable from the home link")
    transfer = Transfer(net)
    wait_until(lambda: len(esp_sequences(capture, SPI_PAYLOAD_OUT)) > 100, 20, "TCP under ESP")
    transfer.finish()
    capture.stop()
    expect_only_esp(capture)
    for spi, source, destination in ((SPI_PAYLOAD_OUT, HOME_AGENT, CARE_OF["a"]),
                                     (SPI_PAYLOAD_IN, CARE_OF["a"], HOME_AGENT)):
        rows = esp_sequences(capture, spi)
        expect({row[1:] for row in rows} == {(source, destination)}, f"outer addresses: {rows[:3]}")
        numbers = [row[0] for row in rows]
        expect(numbers == list(range(numbers[0], numbers[0] + len(numbers))),
               f"sequence numbers of SPI {spi:#x} have gaps: {numbers[:20]}...")
    # S1.15: neither a type 2 routing header nor a Home Address option.
    expect(capture.tshark(["frame.number"], "(ipv6.nxt == 43 || ipv6.nxt == 60)"
                          f" && (esp.spi == {SPI_PAYLOAD_OUT} || esp.spi == {SPI_PAYLOAD_IN})")
           == [], "headers that do not belong there")
    net.expect_balance()
    net.expect_no_drops("ipsec.", "mip6.rt.", "mip6.hao.", "mip6.ba.")


@case
def S1_14_one_gapless_sequence_over_both_care_of_addresses(net):
    start_at(net, "b")
    captures = [Capture(net.lab, "inet", "t-wan")]
    ping = Ping(net)
    ping.wait_for_more()
    net.plug("a")  # make before break
    net.wait_registered("a")
    ping.wait_for_more(30)
    lost = ping.stop()
    captures[0].stop()
    rows = esp_sequences(captures[0], SPI_PAYLOAD_OUT)
    numbers = [row[0] for row in rows]
    expect(numbers == list(range(1, len(numbers) + 1)), f"gaps: {numbers}")
    destinations = [row[2] for row in rows]
    switch = destinations.index(CARE_OF["a"])
    expect(0 < switch and set(destinations[switch:]) == {CARE_OF["a"]}
           and set(destinations[:switch]) == {CARE_OF["b"]}, f"S1.13: {destinations}")
    back = esp_sequences(captures[0], SPI_PAYLOAD_IN)
    expect([row[0] for row in back] == list(range(1, len(back) + 1)), "gaps towards the home agent")
    expect({row[1] for row in back} == {CARE_OF["a"], CARE_OF["b"]}, "sources")
    expect(lost == [], f"lost {lost}")
    sas = {row["spi"]: row for row in net.hactl("show", "sa")["sas"]}
    expect(len(sas) == 4, f"SAs: {sas}")
    net.expect_balance()


@case
def S1_37_at_home_payload_is_native_and_signalling_keeps_its_sas(net):
    start_at(net, "a")
    expect(net.ping("cn", HOME_ADDRESS), "no answers through ESP")
    net.move("a", "home")
    net.wait_registered("home")
    wait_until(lambda: net.mn()["state"] == "at-home", 10, "at home")
    capture = Capture(net.lab, "home", "br0", "ip6")
    expect(net.ping("cn", HOME_ADDRESS, 5), "not reachable at home")
    expect(net.ping_from_home_address(HOME_HOST), "does not reach its neighbor at home")
    expect(net.ping_from_home_address(HOME_AGENT), "does not reach the home agent at home")
    # An error that the home agent itself makes for it comes as it is, too.
    answer = net.lab.run("mn", ["ping", "-n", "-c", "1", "-W", "2", "-t", "1", "-I",
                                       HOME_ADDRESS, CORRESPONDENT],
                         check=False)
    expect("Time exceeded" in answer.stdout, f"no Time Exceeded at home: {answer.stdout}")
    capture.wait_for(f"icmpv6.type == 129 && ipv6.src == {HOME_ADDRESS}", 5)
    capture.stop()
    expect(capture.tshark(["frame.number"], "esp") == [], "ESP at home")
    # And away again: at once under ESP.
    visited = Capture(net.lab, "inet", "b")
    net.move("home", "b")
    net.wait_registered("b")
    wait_until(lambda: net.ping("cn", HOME_ADDRESS, 2), 10, "reachable through ESP again")
    visited.stop()
    expect(esp_sequences(visited, SPI_PAYLOAD_OUT) != [], "no ESP to the new care-of address")
    expect_only_esp(visited)
    net.expect_balance()


@case
def P2_plaintext_from_a_node_whose_payload_is_to_be_sealed_is_dropped(net):
    start_at(net, "a")
    before = net.counter("mip6.rt.need_esp")
    net.scapy("mn", f"""
from scapy.all import *
inner = IPv6(src="{HOME_ADDRESS}", dst="{CORRESPONDENT}") / UDP(dport=9) / b"in the clear"
send(IPv6(src="{CARE_OF['a']}", dst="{HOME_AGENT}") / inner, verbose=0)
""")
    wait_until(lambda: net.counter("mip6.rt.need_esp") == before + 1, 5, "mip6.rt.need_esp")
    expect(net.ping("cn", HOME_ADDRESS), "reachable all the same")
    net.expect_balance()


@case
def S1_35_ipv4_goes_in_an_sa_that_was_added_while_it_runs(net):
    net.node_extra = f"      ipv4_home_address: {HOME_ADDRESS4}"
    net.home_link_extra = ", ipv4_prefix: 192.0.2.0/24"
    net.mn_extra = f"ipv4_home_address: {HOME_ADDRESS4}"
    net.start()
    add_ipv4(net)
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    wait_until(lambda: net.mn()["ipv4_home_address"]["bound"], 5, "the IPv4 home address bound")
    wait_until(lambda: net.ping("cn", HOME_ADDRESS4, 1), 10, "an answer over IPv4")
    # New SAs beside the old ones: inbound first at the home agent, then the node, then outbound.
    spis = {"in": 0x10026, "out": 0x20026}
    for way, spi in spis.items():
        path = net.lab.directory / f"new-{way}.key"
        path.touch(mode=0o600)
        path.write_text(secrets.token_hex(KEY_LENGTH) + "\n")
        net.hactl("sa", "add", HOME_ADDRESS, "payload", way, "--spi", hex(spi), "--algorithm",
                  ALGORITHM, "--key-file", path)
    net.mobile_node.stop()
    node = net.mn_config.read_text()
    for old, new in ((f"spi_in: {SPI_PAYLOAD_OUT}", f"spi_in: {spis['out']}"),
                     (f"spi_out: {SPI_PAYLOAD_IN}", f"spi_out: {spis['in']}"),
                     ("payload-out.key", "new-out.key"), ("payload-in.key", "new-in.key")):
        node = node.replace(old, new)
    net.mn_config.write_text(node)
    net.start_mobile_node()
    wait_until(lambda: (net.mn(check=False) or {}).get("state") == "registered", 10, "registered")
    wait_until(lambda: net.ping("cn", HOME_ADDRESS4, 1), 10, "an answer over IPv4, new SAs")
    capture = Capture(net.lab, "inet", "a")
    expect(net.ping("cn", HOME_ADDRESS4, 5), "reachable over IPv4")
    expect(net.ping("mn", CORRESPONDENT4, 3), "reaches others over IPv4")
    expect(net.ping("cn", HOME_ADDRESS, 3), "reachable over IPv6 in the same SA")
    capture.stop()
    expect_only_esp(capture)
    found = {int(row["esp.spi"], 16) for row in capture.tshark(["esp.spi"], "esp")}
    expect(found == set(spis.values()), f"SPIs: {[hex(spi) for spi in found]}")
    sas = {row["spi"]: row for row in net.hactl("show", "sa")["sas"]}
    expect(all(sas[f"0x{spi:08x}"]["packets"] >= 11 and sas[f"0x{spi:08x}"]["errors"] == 0
               for spi in spis.values()), str(sas))
    wait_until(lambda: min(net.hits("payload-ipv4") + net.hits("payload")) > 0, 5,
               "packets of entry 6 of both families in show spd")
    net.expect_balance()


@case
def RFC4301_5_2_plaintext_of_a_node_that_is_away_is_dropped_wherever_it_comes_from(net):
    start_at(net, "a")
    before = net.counter("ipsec.in.policy")
    for where, source in (("cn", HOME_ADDRESS), ("home", HOME_ADDRESS), ("cn", CORRESPONDENT)):
        net.scapy(where, f"""
from scapy.all import *
for destination in ("2001:db8:3::1", "{HOME_AGENT}"):
    send(IPv6(src="{source}", dst=destination) / UDP(dport=9) / b"in the clear", verbose=0)
""")
    # From the correspondent's link only what is for the home agent passes it.
    wait_until(lambda: net.counter("ipsec.in.policy") == before + 3, 5, "ipsec.in.policy")
    expect(net.ping("cn", HOME_ADDRESS), "reachable all the same")
    expect(net.ping_from_home_address(HOME_AGENT), "reaches the home agent itself, through its SA")
    expect(net.ping("ha", HOME_ADDRESS), "is reached by the home agent itself")
    wait_until(lambda: min(net.hits("payload")) > 0, 5, "packets of entry 6 in show spd")
    net.expect_balance()


@case
def P4_payload_from_elsewhere_is_counted_or_dropped(net):
    start_at(net, "a")
    expect(net.ping_from_home_address(CORRESPONDENT), "reaches the correspondent")
    expect(net.counter("mip6.rt.esp_src_seen") == 0, "comes from its care-of address")
    # Break before make without a registration: payload from the new address before the update.
    net.config.write_text(net.config.read_text().replace("max_lifetime",
                                                         "check_esp_outer: drop\n    max_lifetime"))
    net.hactl("config", "reload")
    net.lab.run("mn", ["ip", "-6", "addr", "add", "2001:db8:a::bad/64", "dev", "a", "nodad"])
    before = net.counter("mip6.rt.esp_src")
    net.scapy("mn", f"""
from scapy.all import *
send(IPv6(src="2001:db8:a::bad", dst="{HOME_AGENT}") / ESP(spi={SPI_PAYLOAD_IN}, seq=1000,
     data=b"x" * 64), verbose=0)
""")
    wait_until(lambda: net.counter("mip6.rt.esp_src") == before + 1, 5, "mip6.rt.esp_src")
    wait_until(lambda: "HP-CP-0046" in net.controlplane.output(), 5, "a line in the log")
    line = next(line for line in net.controlplane.output().splitlines() if "HP-CP-0046" in line)
    expect(all(text in line for text in (HOME_ADDRESS, "2001:db8:a::bad", CARE_OF["a"], "dropped")),
           f"who, from where, and where it is: {line}")
    expect(net.ping_from_home_address(CORRESPONDENT), "its own packets are not dropped")
    net.expect_balance()


@case
def S1_22_a_narrow_path_becomes_the_path_mtu_of_the_sa_and_senders_are_told(net):
    net.start()
    for where in (("mn", "a"), ("inet", "a")):
        net.lab.ip(where[0], f"link set dev {where[1]} mtu 1400")
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    # 1500 octets on the wire when sealed: the router before the narrow link says what fits.
    large = ["ping", "-n", "-c", "1", "-W", "1", "-s", "1352", "-M", "do", HOME_ADDRESS]
    wait_until(lambda: "Packet too big" in net.lab.run("cn", large, check=False).stdout or
               "message too long" in net.lab.run("cn", large, check=False).stderr, 10,
               "the correspondent is told that its packet is too big")
    # AES-CBC with HMAC-SHA-256-128: 1400 - 40 - 8 - 16 - 16, whole blocks, less the trailer.
    route = net.lab.ip("cn", f"-6 route get {HOME_ADDRESS}")
    expect("mtu 1310" in route, f"the correspondent's path MTU: {route}")
    expect(net.lab.run("cn", [*large[:7], "1262", *large[8:]], check=False).returncode == 0,
           "what fits arrives")
    transfer = Transfer(net)
    capture = Capture(net.lab, "inet", "a")
    wait_until(lambda: len(esp_sequences(capture, SPI_PAYLOAD_OUT)) > 100, 20, "TCP under ESP")
    transfer.finish()
    capture.stop()
    expect(capture.tshark(["frame.number"], "ipv6.nxt == 44") == [], "sealed packets in pieces")
    net.expect_balance()


@case
def S1_23_pieces_of_a_sealed_packet_go_to_one_care_of_address(net):
    net.start()
    for where in (("mn", "a"), ("inet", "a")):
        net.lab.ip(where[0], f"link set dev {where[1]} mtu 1280")
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    # 1280 octets must pass whatever the path is (RFC 8200 section 5).
    echo = ["ping", "-n", "-c", "1", "-W", "1", "-s", "1232", HOME_ADDRESS]
    capture = Capture(net.lab, "inet", "a")
    wait_until(lambda: net.lab.run("cn", echo, check=False).returncode == 0, 10,
               "an answer of 1280 octets")
    capture.stop()
    pieces = capture.tshark(["ipv6.dst", "ipv6.fraghdr.ident"],
                            f"ipv6.nxt == 44 && ipv6.src == {HOME_AGENT}")
    expect(len(pieces) >= 2 and {row["ipv6.dst"] for row in pieces} == {CARE_OF["a"]},
           f"pieces: {pieces}")
    net.expect_balance()


class Network(RoamingNetwork):
    def __init__(self, lab):
        super().__init__(lab)
        self.protect_payload = True

    def ping_from_home_address(self, destination, count=3):
        result = self.lab.run("mn", ["ping", "-n", "-c", count, "-i", "0.1", "-W", "1", "-I",
                                     HOME_ADDRESS, destination], check=False)
        return result.returncode == 0 and " 0% packet loss" in result.stdout

    def counter(self, name):
        """Of the data plane; 0 if it never rose."""
        rows = self.hactl("show", "drops")["counters"]
        return next((row["value"] for row in rows if row["name"] == name), 0)

    def hits(self, name):
        """(in, out) packets of a policy, as `hactl show spd` has them."""
        rows = self.hactl("show", "spd")["policies"]
        row = next(row for row in rows if row["name"] == name)
        return row["in_packets"], row["out_packets"]

    def expect_balance(self):
        drops = self.hactl("show", "drops")
        expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")

    def expect_no_drops(self, *prefixes):
        rows = self.hactl("show", "drops")["counters"]
        found = {row["name"]: row["value"] for row in rows
                 if row["kind"] == "drop" and row["name"].startswith(prefixes)}
        expect(found == {}, f"dropped: {found}")

    def scapy(self, namespace, program):
        self.lab.run(namespace, ["/usr/bin/python3", "-"], stdin=program, timeout=30)


main(Network)

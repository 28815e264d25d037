#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Binding updates over UDP/IPv4 by scapy against the real home agent; tshark reads the answers."""
import json
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import HOME_ADDRESS, HOME_AGENT, ROOT, SPI_BA, SPI_BU, wait_until  # noqa: E402
from nat_network import (CARE_OF_IPV4, HOME_AGENT_IPV4, NAT_ADDRESS, NatNetwork)  # noqa: E402
from signalling_capture import Capture  # noqa: E402

SECOND_IPV4 = "203.0.113.9"
ALL_ONES = "ffffffff"
STATIC = "192.0.4.100"
POOL = ("192.0.4.200", "192.0.4.201")


def address(text):
    return socket.inet_aton(text).hex()


def option29(text, length=32, prefix=False):
    """IPv4 Home Address: 4n, so two octets of PadN behind the 12 are not needed."""
    bits = struct.pack("!H", length << 10 | (0x200 if prefix else 0)).hex()
    return f"1d06{bits}{address(text)}"


def option32(text):
    return f"20060000{address(text)}"


class ScapyNode:
    """The mobile node's end, in its namespace."""

    def __init__(self, net):
        self.net = net
        directory = net.lab.directory
        path = directory / "scapy.json"
        path.write_text(json.dumps({
            "home_address": HOME_ADDRESS, "home_agent": HOME_AGENT, "to": HOME_AGENT_IPV4,
            "spi_bu": SPI_BU, "spi_ba": SPI_BA, "key_bu": str(directory / "bu.key"),
            "key_ba": str(directory / "ba.key"), "socket": str(directory / "scapy.sock")}))
        self.process = net.lab.start("mn", ["/usr/bin/python3", ROOT / "tests/netns" /
                                            "scapy_dsmip_node.py", path], name="scapy")
        self.process.wait_for_output("ready", 30)
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.control.bind(str(directory / "ask.sock"))
        self.control.connect(str(directory / "scapy.sock"))
        self.control.settimeout(20)

    def send(self, options="", **command):
        self.control.send(json.dumps({"options": options, **command}).encode())
        reply = json.loads(self.control.recv(1 << 16))
        expect(not reply.get("faults"), f"the answer to {command} {options}: {reply}")
        if reply["answer"]:
            expect(reply["answer"]["sequence"] == reply["sequence"] or
                   reply["answer"]["status"] == 135, str(reply))
        return reply

    def status(self, options="", **command):
        reply = self.send(options, **command)
        return reply["answer"] and reply["answer"]["status"]

    def options(self, options="", **command):
        reply = self.send(options, **command)
        expect(reply["answer"] is not None, f"no answer to {options}")
        expect(reply["answer"]["status"] == 0, str(reply))
        return reply["answer"]["options"]


def start(net, network):
    net.home_link_extra = (f", ipv4_prefix: 192.0.4.0/24, ipv4_pool: {{first: {POOL[0]}, "
                           f"last: {POOL[1]}}}")
    net.node_extra = (f"      ipv4_home_address: {STATIC}\n"
                      "      ipv4_mobile_prefixes: [10.7.0.0/16]\n")
    net.controlplane_extra = "  limits: {bu_per_node_per_second: 1000}\n"
    net.virtual_home = True
    net.start()
    net.plug(network)
    return ScapyNode(net)


def counters(net):
    drops = net.hactl("show", "drops")
    rows = drops["counters"] + drops["control_plane"]
    return {row["name"]: row["value"] for row in rows}


@case
def S1_61_no_nat_and_nat_are_told_apart_and_shown(net):
    node = start(net, "v")
    own = CARE_OF_IPV4["v"]
    reply = node.send(option32(own), port=40123)
    expect(reply["answer"]["options"] == [[31, "0000" + ALL_ONES]], str(reply))
    expect(reply["from"] == [HOME_AGENT_IPV4, 4191], str(reply))
    shown = net.bindings()[0]
    expect(shown["encapsulation"] == "ipv4" and shown["nat"] == "no" and
           shown["outer_source"] == f"{own}:40123" and shown["nat_refresh"] is None, str(shown))
    # The same node says another address: a NAT.
    expect(node.options(option32("10.0.0.5")) == [[31, "0000" + f"{110:08x}"]], "behind a NAT")
    shown = net.bindings()[0]
    expect(shown["encapsulation"] == "ipv4-udp" and shown["nat"] == "yes" and
           shown["care_of_address"] == "10.0.0.5" and shown["outer_source"] == f"{own}:4191" and
           shown["nat_refresh"] == 110, str(shown))
    # Without the option nobody can tell.
    expect(node.options("") == [[31, "0000" + f"{110:08x}"]], "without option 32")
    counted = counters(net)
    expect(counted.get("dsmip.in.nat_yes") == 2 and counted.get("dsmip.in.nat_no") == 1,
           str(counted))


@case
def S1_70_behind_a_real_nat_each_update_shows_the_mapping(net):
    node = start(net, "n")
    own = CARE_OF_IPV4["n"]
    expect(node.options(option32(own)) == [[31, "0000" + f"{110:08x}"]], "verdict")
    first = net.bindings()[0]["outer_source"]
    expect(first.split(":")[0] == NAT_ADDRESS, first)
    net.masquerade("50000-50099")
    net.forget_mappings()
    expect(node.options(option32(own)) == [[31, "0000" + f"{110:08x}"]], "verdict")
    second = net.bindings()[0]["outer_source"]
    expect(second != first and 50000 <= int(second.split(":")[1]) <= 50099, second)
    expect(counters(net).get("binding.source_changed") == 1, str(counters(net)))


@case
def S1_50_S1_71_answers_leave_from_where_the_update_went_to_also_rejections(net):
    node = start(net, "v")
    text = net.config.read_text().replace(f'["{HOME_AGENT_IPV4}"]',
                                          f'["{HOME_AGENT_IPV4}", "{SECOND_IPV4}"]')
    net.config.write_text(text)
    net.lab.ip("ha", f"addr add {SECOND_IPV4}/32 dev hp-wan0")
    net.lab.ip("inet", f"route add {SECOND_IPV4}/32 via {HOME_AGENT_IPV4}")
    net.hactl("config", "reload")
    own = CARE_OF_IPV4["v"]
    reply = node.send(option32(own), to=SECOND_IPV4, port=41000)
    expect(reply["from"] == [SECOND_IPV4, 4191], str(reply))
    for expected, command in ((135, {"sequence": 1}), (144, {"sequence": 9, "flags": 0xC100})):
        reply = node.send(option32(own), to=SECOND_IPV4, port=41001, **command)
        expect(reply["answer"]["status"] == expected, str(reply))
        expect(reply["from"] == [SECOND_IPV4, 4191], str(reply))
    expect(net.bindings()[0]["outer_source"] == f"{own}:41000", str(net.bindings()))


@case
def RFC5555_4_5_ipv4_home_addresses_of_every_kind(net):
    node = start(net, "v")
    own = option32(CARE_OF_IPV4["v"])

    def ask(*options):
        return [data for kind, data in node.options("".join(options) + own) if kind == 30]

    expect(ask(option29(STATIC)) == ["0080" + address(STATIC)], "its own")
    expect(ask(option29("0.0.0.0")) == ["0080" + address(STATIC)], "any")
    expect(ask(option29("0.0.0.0", 16, True)) == ["0040" + address("10.7.0.0")], "prefix")
    expect(ask(option29("0.0.0.0"), option29("0.0.0.0", 16, True)) ==
           ["0080" + address(STATIC), "0040" + address("10.7.0.0")], "both")
    shown = net.bindings()[0]
    expect(shown["ipv4_home_addresses"] == [STATIC] and
           shown["mobile_prefixes"] == ["10.7.0.0/16"], str(shown))
    for status, option in ((128, option29(STATIC, 0)), (128, option29(STATIC, 33)),
                           (130, option29("192.0.4.9")), (131, option29("224.0.0.1")),
                           (133, option29("10.9.0.0", 24, True))):
        expect(ask(option) == [f"{status:02x}00" + option[8:]], f"status {status}")
    expect(ask() == [], "none asked, none answered")
    expect(net.bindings()[0]["ipv4_home_addresses"] == [], "an update without it ends it")
    expect(node.status(own, lifetime=0) == 0, "deregistration over IPv4")
    wait_until(lambda: not [b for b in net.bindings() if b["state"] == "active"], 5, "no binding")


@case
def bad_options_are_refused_or_dropped_and_nothing_else_is_disturbed(net):
    node = start(net, "v")
    own = option32(CARE_OF_IPV4["v"])
    expect(node.status(option29(STATIC) + own) == 0, "a binding")
    before = net.bindings()[0]["outer_source"]
    malformed = {
        "truncated": "20060000c000",                        # 32 that ends behind the message
        "too short": "2004" + "0000c000" + "0102",          # 32 of 4 octets
        "too long": "1d08" + "8000" + address(STATIC) + "0000",
        "no length": "1d",
    }
    for what, octets in malformed.items():
        rest = -(12 + len(octets) // 2) % 8
        # In front: padding that is right, so that the bad one is the last.
        front = {0: "", 1: "00"}.get(rest, "01" + f"{rest - 2:02x}" + "00" * max(rest - 2, 0))
        expect(node.status(front + octets, pad=False, wait=0.5) is None, what)
    for what, bad in (("multicast", "224.0.0.5"), ("broadcast", "255.255.255.255"),
                      ("loopback", "127.0.0.1"), ("none", "0.0.0.0")):
        expect(node.status(option32(bad), wait=0.5) is None, what)
    expect(node.status(option32(HOME_AGENT_IPV4)) == 174, "our own")
    expect(node.send(own, flags=0xC100)["answer"]["status"] == 144, "forced UDP is off")
    # Legal, if not pretty: the first of two counts, any alignment, unknown options.
    expect(node.status(own + option32("10.1.1.1")) == 0, "twice")
    expect(net.bindings()[0]["nat"] == "no", "the first counts")
    expect(node.status("00" + own) == 0, "misaligned")
    expect(node.status("fa03aabbcc" + "010100" + own) == 0, "unknown")
    counted = counters(net)
    expect(counted.get("mip6.bu.malformed") == len(malformed) and
           counted.get("mip6.bu.src_not_unicast") == 4, str(counted))
    expect(net.bindings()[0]["outer_source"] == before, "the binding is where it was")
    expect(net.hactl("show", "drops")["difference"] == 0, "packets unaccounted for")


@case
def tshark_reads_each_option_that_we_send(net):
    node = start(net, "v")
    own = option32(CARE_OF_IPV4["v"])
    capture = Capture(net.lab, "inet", "t-wan", "udp port 4191")
    expect(node.status(option29(STATIC) + option29("0.0.0.0", 16, True) + option29("9.9.9.9") +
                       own) == 0, "status")
    expect(node.status(option32("10.0.0.5")) == 0, "behind a NAT")
    capture.stop()
    fields = ["ip.src", "udp.srcport", "udp.checksum", "udp.checksum.status", "mip6.ba.status",
              "mip6.ipv4aa.sts", "mip6.ipv4ha.preflen", "mip6.ipv4ha.ha", "mip6.natd.f_flag",
              "mip6.natd.refresh_t", "_ws.expert.message"]
    rows = capture.tshark(fields, "mip6.mhtype == 6", decode_as="udp.port==4191,ipv6",
                          every=True)
    expect(len(rows) == 2, f"acknowledgements: {rows}")
    expect(rows[0]["mip6.ipv4aa.sts"] == "0,0,130" and
           rows[0]["mip6.ipv4ha.ha"] == f"{STATIC},10.7.0.0,9.9.9.9" and
           rows[0]["mip6.ipv4ha.preflen"] == "32,16,0", str(rows[0]))
    expect(int(rows[0]["mip6.natd.refresh_t"], 0) == 0xFFFFFFFF and
           int(rows[1]["mip6.natd.refresh_t"], 0) == 110, str(rows))
    for row in rows:
        expect(row["ip.src"] == HOME_AGENT_IPV4 and row["udp.srcport"] == "4191", str(row))
        expect(int(row["udp.checksum"], 16) != 0, f"P12 wants a checksum: {row}")
        expect(not row["_ws.expert.message"], f"tshark objects: {row}")


if __name__ == "__main__":
    main(NatNetwork)

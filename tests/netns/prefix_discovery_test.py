#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Mobile prefix discovery between the real binaries (P7): ESP transport mode, opened by tshark."""
import pathlib
import secrets
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import signalling_capture  # noqa: E402
from cases import case, expect, main  # noqa: E402
from lab import (ALGORITHM, CARE_OF, HOME_ADDRESS, HOME_AGENT, KEY_LENGTH,  # noqa: E402
                 wait_until)
from nat_network import HOME_AGENT_IPV4, NatNetwork  # noqa: E402
from signalling_capture import Capture  # noqa: E402

SPI_MPS, SPI_MPA = 0x10002, 0x20002
MPS, MPA = 146, 147
signalling_capture.ASSOCIATIONS += [(SPI_MPS, "mps.key"), (SPI_MPA, "mpa.key")]


def pair(name, spi_in, spi_out, key_in, key_out, indent):
    lines = [f"{name}:", f"  spi_in: {spi_in}", f"  spi_out: {spi_out}",
             f"  algorithm: {ALGORITHM}", f"  key_file_in: {key_in}", f"  key_file_out: {key_out}"]
    return "".join(" " * indent + line + "\n" for line in lines)


class Network(NatNetwork):
    keys = True

    def write_configuration(self):
        super().write_configuration()
        for name in ("mps.key", "mpa.key"):
            path = self.lab.directory / name
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(KEY_LENGTH) + "\n")
        agent, node = self.config.read_text(), self.mn_config.read_text()
        agent = agent.replace("      security:\n", "      security:\n" + pair(
            "mps", SPI_MPS, SPI_MPA, "mps.key", "mpa.key", 8))
        agent = agent.replace("port: home0}", "port: home0, valid_lifetime: 7200, "
                              "preferred_lifetime: 3600}")
        agent = agent.replace("  home_agent:\n", "  home_agent:\n"
                              "    min_prefix_advertisement_interval: 3\n"
                              "    max_prefix_advertisement_interval: 4\n")
        if self.keys:
            node = node.replace("security:\n", "security:\n" + pair(
                "mps", SPI_MPA, SPI_MPS, "mpa.key", "mps.key", 2))
        self.config.write_text(agent)
        self.mn_config.write_text(node)

    def solicit(self):
        return self.lab.run("mn", [self.program("homeport-mn"), "--config", self.mn_config,
                                   "solicit-prefixes"], check=False)

    def discovery(self):
        return self.mn()["prefix_discovery"]

    def wait_accepted(self, count, timeout=15):
        wait_until(lambda: self.discovery()["accepted"] >= count, timeout,
                   f"{count} advertisements; it is {self.discovery()}")


def start_at(net, network):
    net.start()
    net.plug(network)
    net.start_mobile_node()
    net.wait_registered(network)
    wait_until(lambda: net.mn()["state"] in ("registered", "at-home"), 5, "registered")


@case
def P7_solicitation_and_advertisement_under_esp(net):
    start_at(net, "a")
    capture = Capture(net.lab, "mn", "a")
    asked = net.solicit()
    expect(asked.returncode == 0, str(asked))
    net.wait_accepted(1)
    capture.wait_for(f"icmpv6.type == {MPA}")
    capture.stop()
    prefixes = net.discovery()["prefixes"]
    expect(len(prefixes) == 1 and prefixes[0]["prefix"] == "2001:db8:1::/64" and
           prefixes[0]["home_agent"] == HOME_AGENT and 7100 < prefixes[0]["valid"] <= 7200 and
           3500 < prefixes[0]["preferred"] <= 3600, str(prefixes))
    fields = ["ipv6.src", "ipv6.dst", "ipv6.opt.mipv6.home_address",
              "ipv6.routing.mipv6.home_address", "esp.spi", "esp.icv_good", "icmpv6.type",
              "icmpv6.mip6.identifier", "icmpv6.opt.prefix.valid_lifetime",
              "icmpv6.opt.prefix.flag.r"]
    rows = capture.tshark(fields, f"icmpv6.type == {MPS} || icmpv6.type == {MPA}")
    expect(len(rows) == 2, str(rows))
    mps, mpa = rows
    expect(mps["ipv6.src"] == CARE_OF["a"] and mps["ipv6.dst"] == HOME_AGENT and
           mps["ipv6.opt.mipv6.home_address"] == HOME_ADDRESS and
           int(mps["esp.spi"], 0) == SPI_MPS and mps["icmpv6.type"] == str(MPS), str(mps))
    expect(mpa["ipv6.src"] == HOME_AGENT and mpa["ipv6.dst"] == CARE_OF["a"] and
           mpa["ipv6.routing.mipv6.home_address"] == HOME_ADDRESS and
           int(mpa["esp.spi"], 0) == SPI_MPA and mpa["icmpv6.type"] == str(MPA), str(mpa))
    expect(all(row["esp.icv_good"] in ("1", "True") for row in rows), str(rows))
    expect(mps["icmpv6.mip6.identifier"] == mpa["icmpv6.mip6.identifier"], str(rows))
    expect(7190 <= int(mpa["icmpv6.opt.prefix.valid_lifetime"]) <= 7200 and
           mpa["icmpv6.opt.prefix.flag.r"] in ("1", "True"), str(mpa))
    bad = capture.tshark(["frame.number", "_ws.expert.message"],
                         f"(icmpv6.type == {MPS} || icmpv6.type == {MPA}) && _ws.malformed")
    expect(bad == [], str(bad))
    # Nothing of it in clear.
    expect(capture.tshark(["frame.number"], f"icmpv6.type == {MPS} || icmpv6.type == {MPA}",
                          keys=False) == [], "in clear on the visited link")


@case
def P7_over_ipv4_behind_a_nat_a_prefix_that_changes_at_home_is_told(net):
    net.make_networks()
    net.make_networks = lambda: None
    outside = Capture(net.lab, "inet", "nat", "udp port 4191")
    start_at(net, "n")
    expect(net.mn()["tunnel"]["encapsulation"] == "udp-ipv4", str(net.mn()["tunnel"]))
    expect(net.solicit().returncode == 0, "refused")
    net.wait_accepted(1)
    expect(7100 < net.discovery()["prefixes"][0]["valid"] <= 7200, str(net.discovery()))
    net.config.write_text(net.config.read_text().replace(
        "valid_lifetime: 7200, preferred_lifetime: 3600",
        "valid_lifetime: 1000, preferred_lifetime: 500"))
    net.hactl("config", "reload")
    # The home agent tells of itself, by the mapping of the NAT; the node asks.
    net.wait_accepted(2)
    state = net.discovery()
    expect(state["ignored_identifier"] == 1 and state["prefixes"][0]["valid"] <= 1000, str(state))
    outside.stop()
    # RFC 5555 section 2.2: as data go, both home addresses inside, a routing header in the answer.
    as_dsmip = "udp.port==4191,ipv6"
    rows = outside.tshark(["ip.src", "ipv6.src", "ipv6.dst", "ipv6.routing.mipv6.home_address",
                           "ipv6.opt.mipv6.home_address", "udp.srcport", "icmpv6.type"],
                          f"icmpv6.type == {MPS} || icmpv6.type == {MPA}", decode_as=as_dsmip)
    asked = [row for row in rows if row["icmpv6.type"] == str(MPS)]
    told = [row for row in rows if row["icmpv6.type"] == str(MPA)]
    expect(len(asked) >= 2 and len(told) >= 3, str(rows))
    expect(all(row["ipv6.src"] == HOME_ADDRESS and row["ipv6.dst"] == HOME_AGENT and
               row["ipv6.opt.mipv6.home_address"] == HOME_ADDRESS for row in asked), str(asked))
    expect(all(row["ip.src"] == HOME_AGENT_IPV4 and row["udp.srcport"] == "4191" and
               row["ipv6.dst"] == HOME_ADDRESS and
               row["ipv6.routing.mipv6.home_address"] == HOME_ADDRESS for row in told), str(told))
    drops = net.hactl("show", "drops")
    expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")


@case
def S1_8_S1_18_P7_the_same_with_the_heuristic_technique(net):
    net.policy = "    technique: heuristic\n    require_api: off"
    start_at(net, "a")
    # The SPI of acknowledgements is known well by now; advertisements have one of their own.
    for place in ("b", "a", "b"):
        net.move("a" if place == "b" else "b", place)
        net.wait_registered(place)
        wait_until(lambda: net.ping("cn", HOME_ADDRESS), 10, "reachable")
    expect(net.solicit().returncode == 0, "refused")
    net.wait_accepted(1)
    state = net.discovery()
    expect(state["sent"] == 1, f"the first answer was lost: {state}")
    net.move("b", "a")
    net.wait_registered("a")
    wait_until(lambda: net.ping("cn", HOME_ADDRESS), 10, "reachable")


@case
def RFC6275_10_6_2_a_shorter_lifetime_is_told_and_asked_for(net):
    start_at(net, "a")
    net.solicit()
    net.wait_accepted(1)
    net.config.write_text(net.config.read_text().replace(
        "valid_lifetime: 7200, preferred_lifetime: 3600",
        "valid_lifetime: 1000, preferred_lifetime: 500"))
    net.hactl("config", "reload")
    # An unsolicited advertisement is not believed but answered with a solicitation.
    net.wait_accepted(2)
    state = net.discovery()
    expect(state["ignored_identifier"] == 1 and state["prefixes"][0]["valid"] <= 1000, str(state))
    drops = net.hactl("show", "drops")
    expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")


@case
def asked_for_while_detached_it_is_asked_once_registered(net):
    net.start()
    net.start_mobile_node()
    expect(net.solicit().returncode == 0, "refused")
    expect(net.discovery()["sent"] == 0, "sent without a link")
    net.plug("b")
    net.wait_registered("b")
    net.wait_accepted(1)


@case
def without_keys_it_says_so(net):
    net.keys = False
    start_at(net, "a")
    refused = net.solicit()
    expect(refused.returncode == 1 and "security.mps is missing" in refused.stderr, str(refused))


main(Network)

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Internal home agent, VPN gateway and external home agent on three hosts, against a mobile node that
shares no code with them: the wires between them carry packets 2b to 3d of part S2.i (S2.20, S2.130).
"""
import json
import signal

from cases import case, expect, main
from lab import ROOT
from split_vpn_network import SplitVpnNetwork
from vpn_client import BY_VPN, CARE_OF, reply_of, start, steps
from vpn_network import (CORRESPONDENT, EXTERNAL, HOME, INNER, INTERNAL, SPI_EXTERNAL,
                         SPI_INTERNAL)


def watch(net, namespace, *devices):
    """What passes these wires, whoever sends it."""
    watcher = net.lab.start(namespace, ["/usr/bin/python3", ROOT / "tools/lib/stacks.py", 1000, HOME,
                                        *devices], name=f"stacks-{namespace}")
    watcher.wait_for_output("ready")
    return watcher


def seen(watcher):
    watcher.signal(signal.SIGTERM)
    watcher.wait()
    return json.loads(watcher.output().splitlines()[-1])


@case
def S2_20_S2_130_three_hosts_do_what_one_box_does(net):
    start(net)
    inet, core = watch(net, "inet", "a", "t-eo", "t-go"), watch(net, "core", "t-gi", "t-ii", "cn")
    external, internal, answers = steps(
        net, {"do": "register_external"}, {"do": "register_internal"},
        {"do": "ping", "to": CORRESPONDENT, "count": 5})
    expect(reply_of(net, external, "external.key", SPI_EXTERNAL).code == 0, "external")
    expect(reply_of(net, internal, "internal.key", SPI_INTERNAL).code == 0, "internal")
    expect(internal[0]["layers"] == [f"{EXTERNAL}>{CARE_OF} p4", *BY_VPN,
                                     f"{INTERNAL}>{INNER} p17 434>40434"],
           f"the same as of one box: {internal[0]['layers']}")
    expect(len(answers) == 5, f"answers: {answers}")
    for one in answers:
        expect(one["layers"] == [f"{EXTERNAL}>{CARE_OF} p4", *BY_VPN, f"{INTERNAL}>{INNER} p4",
                                 f"{CORRESPONDENT}>{HOME} p1"], f"3b: {one}")
    outside, inside = seen(inet), seen(core)
    # 2a, 3b to the external home agent; 2b, 3c from there to the gateway, and the same back.
    expect(outside["a"]["stacks"].get("ip4/ip4/esp", 0) >= 12, f"a: {outside['a']}")
    expect(outside["t-go"]["stacks"].get("ip4/esp", 0) >= 12, f"gateway: {outside['t-go']}")
    for wire in outside.values():
        expect(wire["clear"] == 0, f"in the clear outside: {outside}")
    # 2c, 3d between gateway and internal home agent; 3e to the correspondent.
    expect(inside["t-gi"]["messages"] == 2, f"2c and its answer: {inside['t-gi']}")
    expect(inside["t-gi"]["stacks"].get("ip4/ip4", 0) == 10, f"3d: {inside['t-gi']}")
    expect(inside["t-ii"]["stacks"].get("ip4/ip4", 0) == 10, f"3d: {inside['t-ii']}")
    expect(inside["cn"]["stacks"].get("ip4", 0) >= 10, f"3e: {inside['cn']}")
    for name, counters in (("external", ("xha.tun.in", "xha.tun.out")),
                           ("gateway", ("vpn.in", "vpn.out")),
                           ("internal", ("iha.tun.in", "iha.tun.out"))):
        host = net.hosts[name]
        for counter in counters:
            expect(host.counter(counter) >= 5, f"{counter} at {name}: {host.counter(counter)}")
        drops = host.hactl("show", "drops")
        expect(drops["difference"] == 0, f"packets are missing at {name}: {drops}")


@case
def S2_35_esp_in_udp_is_answered_in_udp(net):
    """The gateway learns from authentic packets where the answers go."""
    start(net)
    external, internal, answers = steps(
        net, {"do": "register_external"}, {"do": "register_internal", "esp_udp": True},
        {"do": "ping", "to": CORRESPONDENT, "esp_udp": True})
    expect(reply_of(net, external, "external.key", SPI_EXTERNAL).code == 0, "external")
    expect(reply_of(net, internal, "internal.key", SPI_INTERNAL).code == 0, "internal")
    expect(len(answers) == 3, f"answers: {answers}")
    expect(net.hosts["gateway"].counter("vpn.moved") == 1, "the gateway learnt the way back")


def one_round(net):
    """All three registrations and answers, and what the mobile node sees of them."""
    start(net)
    external, internal, answers = steps(
        net, {"do": "register_external"}, {"do": "register_internal"},
        {"do": "ping", "to": CORRESPONDENT, "count": 3})
    expect(reply_of(net, external, "external.key", SPI_EXTERNAL).code == 0, "external")
    expect(reply_of(net, internal, "internal.key", SPI_INTERNAL).code == 0, "internal")
    expect(internal[0]["layers"] == [f"{EXTERNAL}>{CARE_OF} p4", *BY_VPN,
                                     f"{INTERNAL}>{INNER} p17 434>40434"],
           f"the same of any hosts: {internal[0]['layers']}")
    expect([one["layers"] for one in answers] ==
           [[f"{EXTERNAL}>{CARE_OF} p4", *BY_VPN, f"{INTERNAL}>{INNER} p4",
             f"{CORRESPONDENT}>{HOME} p1"]] * 3, f"{answers}")
    for name, counters in (("external", ("xha.tun.in", "xha.tun.out")),
                           ("gateway", ("vpn.in", "vpn.out")),
                           ("internal", ("iha.tun.in", "iha.tun.out"))):
        for counter in counters:
            count = net.hosts[name].counter(counter)
            expect(count == (3 if name == "internal" else 4), f"{counter}: {count}")
    for host in net.all_hosts():
        drops = host.hactl("show", "drops")
        expect(drops["difference"] == 0, f"packets are missing at {host.name}: {drops}")


@case
def S2_20_all_roles_on_one_host(net):
    net.hosts_of = (("internal", "gateway", "external"),)
    one_round(net)


@case
def S2_20_internal_home_agent_and_gateway_on_one_host(net):
    net.hosts_of = (("internal", "gateway"), ("external",))
    one_round(net)


@case
def S2_20_gateway_and_external_home_agent_on_one_host(net):
    net.hosts_of = (("internal",), ("gateway", "external"))
    one_round(net)


@case
def S2_20_both_home_agents_on_one_host(net):
    net.hosts_of = (("internal", "external"), ("gateway",))
    one_round(net)


main(SplitVpnNetwork)

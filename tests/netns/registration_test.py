#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The mobile node registers with the home agent: real programs, tshark and scapy look on."""
import os
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import (CARE_OF, CORRESPONDENT, HOME_ADDRESS, HOME_AGENT, HOME_HOST,  # noqa: E402
                 RoamingNetwork, wait_until)
from signalling_capture import Capture, scapy_checksums  # noqa: E402


@case
def tshark_and_scapy_open_each_update_and_acknowledgement(net):
    net.start()
    capture = Capture(net.lab, "inet", "t-wan")
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    net.move("a", "b")
    net.wait_registered("b")
    net.mobile_node.stop()
    net.wait_registered("home")
    capture.wait_for("mip6.mhtype == 6", 3)
    capture.stop()

    messages = capture.messages()
    updates = [m for m in messages if m["mip6.mhtype"] == "5"]
    answers = [m for m in messages if m["mip6.mhtype"] == "6"]
    expect(len(updates) >= 3 and len(answers) >= 3, f"{len(updates)} BU, {len(answers)} BA")
    for message in messages:
        expect(not message["_ws.expert.message"], f"tshark objects: {message}")
        expect(message["esp.icv_good"] in ("1", "True"), f"ICV: {message}")
    for update in updates:
        expect(update["ipv6.dst"] == HOME_AGENT and
               update["ipv6.src"] in CARE_OF.values() and
               update["ipv6.opt.mipv6.home_address"] == HOME_ADDRESS, str(update))
        expect(update["mip6.bu.a_flag"] in ("1", "True") and
               update["mip6.bu.h_flag"] in ("1", "True"), str(update))
        expect(update["mip6.bu.lifetime"] == "0" or
               update["mip6.acoa.acoa"] == update["ipv6.src"], str(update))
    by_number = {update["mip6.bu.seqnr"]: update for update in updates}
    expect(len(by_number) == len(updates), "sequence numbers repeat")
    for answer in answers:
        expect(answer["mip6.ba.status"] == "0", str(answer))
        expect(answer["ipv6.routing.mipv6.home_address"] == HOME_ADDRESS, str(answer))
        expect(answer["mip6.ba.seqnr"] in by_number, str(answer))
        update = by_number[answer["mip6.ba.seqnr"]]
        expect(answer["ipv6.dst"] in (update["ipv6.src"], HOME_ADDRESS), str(answer))
    # S1.14: one gapless series of ESP sequence numbers over both care-of addresses.
    for spi in {message["esp.spi"] for message in messages}:
        numbers = [int(m["esp.sequence"]) for m in messages if m["esp.spi"] == spi]
        expect(numbers == list(range(1, len(numbers) + 1)), f"SPI {spi}: {numbers}")
    sums = scapy_checksums(capture)
    expect(len(sums) == len(messages) and all(total == 0 for _, total in sums),
           f"checksums over the normal form: {sums}")


@case
def P1_P2_both_ends_reach_each_other(net):
    net.start()
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    for source, destination in (("cn", HOME_ADDRESS), ("mn", CORRESPONDENT),
                                ("home", HOME_ADDRESS), ("mn", HOME_HOST)):
        expect(net.ping(source, destination, 5), f"{source} does not reach {destination}")
    expect(net.lab.run("cn", ["ping", "-n", "-c", 3, "-i", "0.1", "-W", 1, "-M", "do", "-s", 1412,
                              HOME_ADDRESS], check=False).returncode == 0,
           "packets of 1460 octets do not fit the tunnel")


@case
def duplicate_address_detection_asks_the_home_link_first(net):
    net.start()
    capture = Capture(net.lab, "home", "br0", "icmp6")
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    wait_until(lambda: net.mn()["state"] == "registered", 5, "registered")
    capture.wait_for(f"icmpv6.type == 136 && icmpv6.nd.na.target_address == {HOME_ADDRESS}")
    capture.stop()
    rows = capture.tshark(["frame.time_epoch", "icmpv6.type", "ipv6.src", "ipv6.dst",
                           "icmpv6.nd.na.flag.o", "icmpv6.nd.na.flag.s"],
                          f"icmpv6.nd.ns.target_address == {HOME_ADDRESS} || "
                          f"icmpv6.nd.na.target_address == {HOME_ADDRESS}")
    probes = [row for row in rows if row["icmpv6.type"] == "135" and row["ipv6.src"] == "::"]
    claims = [row for row in rows if row["icmpv6.type"] == "136"]
    expect(len(probes) == 1, f"probes: {probes}")
    expect(claims and all(row["ipv6.dst"] == "ff02::1" and
                          row["icmpv6.nd.na.flag.o"] in ("1", "True") and
                          row["icmpv6.nd.na.flag.s"] in ("0", "False") for row in claims),
           f"advertisements: {claims}")
    waited = float(claims[0]["frame.time_epoch"]) - float(probes[0]["frame.time_epoch"])
    expect(0.95 < waited < 1.5, f"waited {waited:.2f} s for an answer")


@case
def status_134_when_another_node_has_the_address(net):
    net.start()
    net.lab.ip("home", f"addr add {HOME_ADDRESS}/64 dev br0 nodad")
    net.plug("a")
    net.start_mobile_node()
    wait_until(lambda: net.mn()["state"] == "stopped", 10, "the mobile node stopped")
    status = net.mn()
    expect(status["binding"]["last_status"]["code"] == 134, str(status["binding"]))
    expect(not [row for row in net.bindings() if row.get("state") == "active"],
           str(net.bindings()))


@case
def deregistration_on_exit_ends_interception(net):
    net.start()
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    expect(net.ping("home", HOME_ADDRESS, 3), "not reachable while bound")
    expect(net.mobile_node.stop() == 0, "exit status of the mobile node")
    net.wait_registered("home")
    capture = Capture(net.lab, "home", "br0", "icmp6")
    net.lab.ip("home", "-6 neigh flush all")
    expect(not net.ping("home", HOME_ADDRESS, 1), "somebody answers")
    capture.wait_for(f"icmpv6.nd.ns.target_address == {HOME_ADDRESS}")
    capture.stop()
    claims = capture.tshark(["ipv6.src"], f"icmpv6.nd.na.target_address == {HOME_ADDRESS}")
    expect(claims == [], f"the home agent still answers for it: {claims}")


@case
def binding_lives_on_when_the_mobile_node_is_killed_and_comes_back(net):
    net.start()
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    os.kill(net.mobile_node.pid, signal.SIGKILL)
    net.mobile_node.wait()
    expect(net.binding_care_of() == CARE_OF["a"], "the binding went with the mobile node")
    net.start_mobile_node()
    wait_until(lambda: (net.mn(check=False) or {}).get("state") == "registered", 15,
               "registered again")
    expect(net.ping("cn", HOME_ADDRESS, 3), "not reachable")


@case
def refused_without_ESP_and_counted(net):
    net.start()
    # A mobile node that does not protect its updates.
    text = net.mn_config.read_text()
    head, tail = text.split("security:")
    net.mn_config.write_text(head + "lab: {unprotected: on}\nstatus_socket:" +
                             tail.split("status_socket:")[1])
    net.plug("a")
    net.start_mobile_node()
    wait_until(lambda: net.mn()["protocol"]["updates_sent"] >= 2, 10, "two binding updates sent")
    expect(net.bindings() == [], str(net.bindings()))
    wait_until(lambda: count(net.hactl("show", "drops"), "ipsec.in.policy") >= 2, 5,
               f"counted as ipsec.in.policy: {net.hactl('show', 'drops')}")
    expect(net.mn()["state"] == "registering", net.mn()["state"])


def count(report, name):
    """The number that stands beside `name` somewhere in a report of hactl."""
    if isinstance(report, dict):
        if isinstance(report.get(name), int):
            return report[name]
        if name in report.values():
            return next(v for v in report.values() if isinstance(v, int))
        report = list(report.values())
    if isinstance(report, list):
        return sum(count(one, name) for one in report)
    return 0


main(RoamingNetwork)

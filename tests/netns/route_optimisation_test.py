#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Return routability and route optimisation with a correspondent that was written from the RFC."""
import json
import pathlib
import re
import secrets
import signal
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import signalling_capture  # noqa: E402
from cases import case, expect, main  # noqa: E402
from lab import (ALGORITHM, CARE_OF, CORRESPONDENT, HOME_ADDRESS, HOME_AGENT,  # noqa: E402
                 KEY_LENGTH, ROOT, LabError, RoamingNetwork, wait_until)
from signalling_capture import Capture  # noqa: E402

SPI_HOTI, SPI_HOT = 0x10003, 0x20003
HOTI, COTI, HOT, COT, BU, BA = 1, 2, 3, 4, 5, 6
signalling_capture.ASSOCIATIONS += [(SPI_HOTI, "hoti.key"), (SPI_HOT, "hot.key")]


def pair(name, spi_in, spi_out, key_in, key_out, indent):
    lines = [f"{name}:", f"  spi_in: {spi_in}", f"  spi_out: {spi_out}",
             f"  algorithm: {ALGORITHM}", f"  key_file_in: {key_in}", f"  key_file_out: {key_out}"]
    return "".join(" " * indent + line + "\n" for line in lines)


class Network(RoamingNetwork):
    """The correspondent's cable goes through its Mobile IPv6 layer."""

    protect = True
    correspondents = "on"

    def make_networks(self):
        super().make_networks()
        lab = self.lab
        lab.namespace("layer")
        lab.ip("cn", "link del eth0")
        lab.veth("cn", "eth0", "layer", "host")
        lab.veth("layer", "net", "inet", "cn")
        for device in ("host", "net"):
            lab.sysctl("layer", f"net.ipv6.conf.{device}.disable_ipv6", 1)
        lab.ip("cn", f"addr add {CORRESPONDENT}/64 dev eth0 nodad")
        lab.ip("cn", "route add default via 2001:db8:3::1")
        lab.ip("inet", "addr add 2001:db8:3::1/64 dev cn nodad")
        config = lab.directory / "correspondent.json"
        config.write_text(json.dumps({"address": CORRESPONDENT, "inside": "host", "outside": "net",
                                      "socket": str(lab.directory / "cn.sock")}))
        self.layer = lab.start("layer", ["/usr/bin/python3", ROOT / "tests/netns" /
                                         "correspondent_node.py", config], name="correspondent")
        self.layer.wait_for_output("ready")
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.control.bind(str(lab.directory / "cn-control.sock"))
        self.control.connect(str(lab.directory / "cn.sock"))
        self.control.settimeout(10)

    def write_configuration(self):
        super().write_configuration()
        for name in ("hoti.key", "hot.key"):
            path = self.lab.directory / name
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(KEY_LENGTH) + "\n")
        agent, node = self.config.read_text(), self.mn_config.read_text()
        if self.protect:
            agent = agent.replace("      security:\n", "      security:\n" + pair(
                "rr", SPI_HOTI, SPI_HOT, "hoti.key", "hot.key", 8))
            node = node.replace("security:\n", "security:\n" + pair(
                "rr", SPI_HOT, SPI_HOTI, "hot.key", "hoti.key", 2))
        self.config.write_text(agent)
        self.mn_config.write_text(node + f"route_optimisation: {self.correspondents}\n"
                                  "log_level: debug\n")

    # ------------------------------------------------------------------------------ operation

    def cn(self, command="state", **arguments):
        if not self.layer.running():
            raise LabError(f"the correspondent ended: {self.layer.output()[-3000:]}")
        self.control.send(json.dumps({"command": command, **arguments}).encode())
        return json.loads(self.control.recv(1 << 20))

    def behave(self, **policy):
        return self.cn("set", policy=policy)

    def seen(self, *kinds):
        return [one for one in self.cn()["seen"] if one["type"] in kinds]

    def wait_seen(self, kind, count, timeout=15):
        wait_until(lambda: len(self.seen(kind)) >= count, timeout,
                   f"{count} messages of type {kind} at the correspondent")

    def entry(self):
        """What the mobile node has on the correspondent, or nothing."""
        listed = self.mn()["route_optimisation"]["correspondents"]
        return next((one for one in listed if one["address"] == CORRESPONDENT), None)

    def ro(self, name):
        return self.mn()["route_optimisation"][name]

    def wait_state(self, state, timeout=15):
        wait_until(lambda: (self.entry() or {}).get("state") == state, timeout,
                   f"the correspondent {state}; it is {self.entry()}")

    def wait_bound(self, network, timeout=15):
        wait_until(lambda: self.cn()["bindings"].get(HOME_ADDRESS) == CARE_OF[network], timeout,
                   f"the correspondent's binding at {network}")
        self.wait_state("bound")

    def expect_no_faults(self):
        faults = self.cn()["faults"]
        expect(faults == [], "the correspondent found fault: " + "; ".join(faults[:5]))
        drops = self.hactl("show", "drops")
        expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")

    def trigger(self, answered=True):
        """Traffic from the correspondent: what makes the mobile node try."""
        expect(self.ping("cn", HOME_ADDRESS) or not answered, "the mobile node is not reachable")


def start_at(net, network):
    net.start()
    net.plug(network)
    net.start_mobile_node()
    net.wait_registered(network)
    wait_until(lambda: net.mn()["state"] in ("registered", "at-home"), 5, "registered")


def bind(net, network="a"):
    start_at(net, network)
    net.trigger()
    net.wait_bound(network)


@case
def S1_34_P3r_P4r_return_routability_through_the_home_agent(net):
    start_at(net, "a")
    visited, home_agent, correspondent = (Capture(net.lab, "mn", "a"),
                                          Capture(net.lab, "inet", "t-wan"),
                                          Capture(net.lab, "inet", "cn"))
    net.trigger()
    net.wait_bound("a")
    correspondent.wait_for(f"mip6.mhtype == {BA}")
    for capture in (visited, home_agent, correspondent):
        capture.stop()
    # On the visited link the home test is under ESP both ways, told by the SPI of entry 4.
    sealed = visited.tshark(["ipv6.src", "ipv6.dst", "esp.spi", "mip6.mhtype", "esp.icv_good"],
                            f"esp.spi == {SPI_HOTI} || esp.spi == {SPI_HOT}")
    expect([(row["ipv6.src"], row["ipv6.dst"], row["mip6.mhtype"]) for row in sealed] ==
           [(CARE_OF["a"], HOME_AGENT, str(HOTI)), (HOME_AGENT, CARE_OF["a"], str(HOT))],
           f"home test on the visited link: {sealed}")
    expect(all(row["esp.icv_good"] in ("1", "True") for row in sealed), str(sealed))
    in_clear = visited.tshark(["mip6.mhtype"], "mip6.mhtype && !esp", keys=False)
    expect({row["mip6.mhtype"] for row in in_clear} == {str(n) for n in (COTI, COT, BU, BA)},
           f"in clear on the visited link: {in_clear}")
    # S1.15: no routing header and no Home Address option around it.
    expect(visited.tshark(["frame.number"], f"(esp.spi == {SPI_HOTI} || esp.spi == {SPI_HOT}) && "
                          "(ipv6.routing || ipv6.dstopts)", keys=False) == [], "S1.15")
    # Between home agent and correspondent it is in clear, between the plain addresses.
    rows = correspondent.tshark(["ipv6.src", "ipv6.dst", "mip6.mhtype", "esp.spi"],
                                f"mip6.mhtype == {HOTI} || mip6.mhtype == {HOT}")
    expect([(row["ipv6.src"], row["ipv6.dst"]) for row in rows] ==
           [(HOME_ADDRESS, CORRESPONDENT), (CORRESPONDENT, HOME_ADDRESS)], str(rows))
    expect(not any(row["esp.spi"] for row in rows), "sealed towards the correspondent")
    net.expect_no_faults()


@case
def S1_36_binding_update_to_a_correspondent_in_clear_with_home_address_option(net):
    start_at(net, "a")
    capture = Capture(net.lab, "mn", "a")
    net.trigger()
    net.wait_bound("a")
    capture.wait_for(f"mip6.mhtype == {BA} && !esp")
    capture.stop()
    fields = ["ipv6.src", "ipv6.dst", "ipv6.opt.mipv6.home_address", "mip6.bu.h_flag",
              "mip6.bu.a_flag", "mip6.ni.hni", "mip6.ni.cni", "mip6.bad.auth",
              "ipv6.routing.mipv6.home_address", "mip6.ba.status", "_ws.expert.message"]
    updates = capture.tshark(fields, f"mip6.mhtype == {BU} && !esp")
    expect(len(updates) == 1, str(updates))
    update = updates[0]
    expect(update["ipv6.src"] == CARE_OF["a"] and update["ipv6.dst"] == CORRESPONDENT and
           update["ipv6.opt.mipv6.home_address"] == HOME_ADDRESS and
           update["mip6.bu.h_flag"] in ("0", "False") and
           update["mip6.bu.a_flag"] in ("1", "True"), str(update))
    expect(update["mip6.ni.hni"] and update["mip6.ni.cni"] and update["mip6.bad.auth"], str(update))
    answers = capture.tshark(fields, f"mip6.mhtype == {BA} && !esp")
    expect(len(answers) == 1 and answers[0]["mip6.ba.status"] == "0" and
           answers[0]["ipv6.routing.mipv6.home_address"] == HOME_ADDRESS, str(answers))
    # Its checksum is over the home address as source; tshark knows the option.
    bad = capture.tshark(["frame.number", "mip6.mhtype", "_ws.expert.message"],
                         "mip6.mhtype && (_ws.malformed || _ws.expert)")
    expect(bad == [], f"tshark finds fault: {bad}")
    expect(len(capture.tshark(["frame.number"], "mip6.mhtype")) >= 6, "messages are missing")
    net.expect_no_faults()


@case
def N3_data_takes_the_direct_way_both_ways(net):
    bind(net)
    before = net.cn()["counts"]
    capture = Capture(net.lab, "inet", "t-wan", "ip6 and not host fe80::1")
    visited = Capture(net.lab, "mn", "a")
    expect(net.ping("cn", HOME_ADDRESS, 5), "not reachable by the direct way")
    expect(net.ping("mn", CORRESPONDENT, 5), "reaches nobody by the direct way")
    visited.wait_for("icmpv6.type == 129", 10)
    for one in (capture, visited):
        one.stop()
    passing = capture.tshark(["ipv6.src", "ipv6.dst", "icmpv6.type"],
                             "icmpv6.type == 128 || icmpv6.type == 129")
    expect(passing == [], f"data at the home agent: {passing[:3]}")
    out = visited.tshark(["ipv6.src", "ipv6.dst", "ipv6.opt.mipv6.home_address"],
                         f"icmpv6 && ipv6.dst == {CORRESPONDENT}")
    expect(out and all(row["ipv6.src"] == CARE_OF["a"] and
                       row["ipv6.opt.mipv6.home_address"] == HOME_ADDRESS for row in out), str(out))
    counts = net.cn()["counts"]
    expect(counts["with_option"] - before["with_option"] >= 10 and
           counts["with_routing_header"] - before["with_routing_header"] >= 10, str(counts))
    counters = net.mn()["counters"]
    expect(counters["mn.ro.sent"] >= 10 and counters["mn.ro.received"] >= 10, str(counters))
    net.expect_no_faults()


@case
def S1_36_the_direct_way_passes_by_payload_under_esp(net):
    net.protect_payload = True
    bind(net)
    capture = Capture(net.lab, "mn", "a")
    expect(net.ping("mn", CORRESPONDENT, 5), "reaches nobody by the direct way")
    expect(net.ping("home", HOME_ADDRESS, 5), "not reachable from home")
    capture.stop()
    own = capture.tshark(["ipv6.nxt"], f"ipv6.addr == {CARE_OF['a']} && ipv6.addr == "
                         f"{CORRESPONDENT} && !esp", keys=False)
    expect(len(own) >= 10, f"{len(own)} packets by the direct way")
    sealed = capture.tshark(["esp.spi"], f"ipv6.addr == {HOME_AGENT} && esp", keys=False)
    expect(len(sealed) >= 10, f"{len(sealed)} packets under ESP")
    expect(capture.tshark(["frame.number"], "ipv6.nxt == 41", keys=False) == [], "a plain tunnel")
    # Without the binding everything is payload again, and nothing goes in clear.
    net.behave(silent=True)
    net.cn("forget")
    net.move("a", "b")
    net.wait_registered("b")
    capture = Capture(net.lab, "mn", "b")
    expect(net.ping("cn", HOME_ADDRESS, 5), "not reachable under ESP")
    capture.stop()
    plain = capture.tshark(["ipv6.src", "ipv6.dst", "ipv6.nxt", "mip6.mhtype"],
                           f"ipv6.addr == {CARE_OF['b']} && !esp && !mip6.mhtype && "
                           "!(icmpv6.type >= 133)", keys=False)
    expect(plain == [], f"in clear: {plain[:3]}")
    net.expect_no_faults()


@case
def tcp_takes_the_direct_way_and_survives_moves(net):
    bind(net)
    program = ROOT / "tools/lib/transfer.py"
    receiver = net.lab.start("mn", ["/usr/bin/python3", program, "receive", HOME_ADDRESS, 5001],
                             name="receiver")
    receiver.wait_for_output("ready")
    sender = net.lab.start("cn", ["/usr/bin/python3", program, "send", HOME_ADDRESS, 5001,
                                  400_000], name="sender")
    sender.wait_for_output("connected", 15)
    for old, new in (("a", "b"), ("b", "a")):
        sent = net.cn()["counts"]["with_option"]
        net.move(old, new)
        net.wait_registered(new)
        net.wait_bound(new)
        wait_until(lambda: net.cn()["counts"]["with_option"] > sent + 60, 20,
                   "segments with the Home Address option")
    sender.signal(signal.SIGTERM)
    expect(sender.wait(70) == 0, sender.output()[-300:])
    expect(receiver.wait(70) == 0, receiver.output()[-300:])
    ends = [json.loads(one.output().splitlines()[-1]) for one in (sender, receiver)]
    expect(ends[0]["sha256"] == ends[1]["sha256"] and ends[0]["octets"] > 100_000, str(ends))
    net.expect_no_faults()


@case
def RFC6275_11_7_2_a_move_registers_again_with_the_home_token_it_has(net):
    bind(net)
    net.move("a", "b")
    net.wait_registered("b")
    net.wait_bound("b")
    expect(len(net.seen(HOTI)) == 1, "the home token was still good")
    tests = net.seen(COTI)
    expect([one["source"] for one in tests] == [CARE_OF["a"], CARE_OF["b"]], str(tests))
    expect(net.ping("cn", HOME_ADDRESS, 5), "not reachable after the move")
    net.expect_no_faults()


@case
def RFC6275_11_5_5_return_home_deletes_the_binding(net):
    bind(net)
    net.move("a", "home")
    net.wait_registered("home")
    wait_until(lambda: not net.cn()["bindings"], 15, "the correspondent's binding deleted")
    last = net.seen(BU)[-1]
    expect(last["wire_source"] == HOME_ADDRESS and not last["home_address_option"] and
           last["hex"][20:24] == "0000", str(last))
    wait_until(lambda: net.entry() is None, 10, "the mobile node's entry gone")
    expect(net.ping("cn", HOME_ADDRESS, 5), "not reachable at home")
    net.expect_no_faults()


@case
def exit_deletes_the_binding_before_the_home_agent_is_told(net):
    bind(net)
    expect(net.mobile_node.stop() == 0, "exit status")
    expect(net.cn()["bindings"] == {}, "the correspondent still has a binding")
    wait_until(lambda: net.binding_care_of() is None, 5, "deregistered")
    rules = [line for line in net.lab.ip("mn", "-6 rule show").splitlines()
             if not line.startswith(("0:", "32766:"))]
    expect(rules == [], str(rules))
    net.expect_no_faults()


@case
def a_correspondent_that_does_not_answer_is_served_by_the_tunnel(net):
    start_at(net, "a")
    net.behave(silent=True)
    net.trigger()
    net.wait_seen(HOTI, 3)
    net.wait_seen(COTI, 3)
    times = [one["time"] for one in net.seen(HOTI)][:3]
    expect(0.9 < times[1] - times[0] < 1.8 and 1.9 < times[2] - times[1] < 3,
           f"home tests at {times}")
    expect(net.ping("cn", HOME_ADDRESS, 5), "not reachable")
    net.wait_state("resting", 20)
    sent = len(net.seen(HOTI))
    expect(sent == 4 and net.ro("given_up") == 1, f"{sent} home tests")
    expect(net.ping("cn", HOME_ADDRESS, 5), "not reachable")
    expect(len(net.seen(HOTI)) == sent, "it was not left alone")
    expect(net.seen(BU) == [], "an update without tests")
    net.expect_no_faults()


@case
def a_correspondent_without_mobile_ipv6_is_left_alone(net):
    start_at(net, "a")
    net.behave(no_support="header")
    net.trigger()
    net.wait_state("resting")
    expect(net.entry()["rests_for"] > 3000, str(net.entry()))
    expect(net.ping("cn", HOME_ADDRESS, 5), "not reachable")
    expect(len(net.seen(COTI)) == 1, "asked again")
    net.expect_no_faults()


@case
def a_binding_error_2_and_an_unknown_option_end_it_too(net):
    start_at(net, "a")
    net.behave(no_support="error")
    net.trigger()
    net.wait_state("resting")
    expect(net.ro("binding_errors") >= 1, "no binding error")
    net.mobile_node.stop()
    net.behave(no_support=None)
    net.start_mobile_node()
    net.wait_registered("a")
    net.trigger()
    net.wait_bound("a")
    net.behave(no_support="option")
    wait_until(lambda: not net.ping("mn", CORRESPONDENT, 1) or net.entry()["state"] == "resting",
               10, "an unknown option")
    net.wait_state("resting")
    net.cn("forget")
    expect(net.ping("mn", CORRESPONDENT, 5), "not by the tunnel either")


@case
def RFC6275_11_7_3_expired_nonces(net):
    for number, (status, tests) in enumerate({136: (2, 1), 137: (1, 2), 138: (2, 2)}.items()):
        if number == 0:
            start_at(net, "a")
        else:
            expect(net.mobile_node.stop() == 0, "exit status")
            net.start_mobile_node()
            net.wait_registered("a")
        old = {kind: len(net.seen(kind)) for kind in (HOTI, COTI)}
        net.behave(status=status, times=1)
        net.trigger()
        net.wait_bound("a")
        made = tuple(len(net.seen(kind)) - old[kind] for kind in (HOTI, COTI))
        expect(made == tests, f"status {status}: {made} tests, expected {tests}")
        expect(net.ro("rejected") == 1 and net.ro("accepted") == 1, str(net.entry()))
    net.expect_no_faults()


@case
def nonces_that_the_correspondent_really_lost(net):
    bind(net)
    net.cn("expire")
    net.move("a", "b")
    net.wait_registered("b")
    net.wait_bound("b")
    expect(len(net.seen(HOTI)) == 2, "no new home test after the home nonce was gone")
    net.expect_no_faults()


@case
def RFC6275_11_7_3_status_135_goes_on_from_the_number_given(net):
    start_at(net, "a")
    net.behave(status=135, times=1, sequence=40000)
    net.trigger()
    net.wait_bound("a")
    numbers = [int(one["hex"][12:16], 16) for one in net.seen(BU)]
    expect(numbers[1:] == [40001], str(numbers))
    net.expect_no_faults()


@case
def a_rejection_for_good_is_not_repeated(net):
    start_at(net, "a")
    net.behave(status=129, times=-1)
    net.trigger()
    net.wait_state("resting")
    expect(net.entry()["last_status"] == 129 and net.entry()["rests_for"] > 3000,
           str(net.entry()))
    expect(net.ping("cn", HOME_ADDRESS, 5), "not reachable")
    expect(len(net.seen(BU)) == 1, "asked again")
    net.expect_no_faults()


@case
def RFC6275_11_6_2_forged_tests_change_nothing(net):
    start_at(net, "a")
    net.behave(forge="cookie")
    net.trigger()
    wait_until(lambda: net.ro("ignored_cookie") >= 4, 10, "wrong cookies ignored")
    expect(net.seen(BU) == [], "an update on forged tokens")
    net.behave(forge=None)
    net.wait_bound("a")
    net.expect_no_faults()


@case
def RFC6275_11_7_3_forged_acknowledgements_change_nothing(net):
    start_at(net, "a")
    net.behave(forge="acknowledgement", silent=False)
    net.trigger()
    net.wait_bound("a")
    expect(net.ro("ignored_authenticator") == 2, f"{net.ro('ignored_authenticator')} ignored")
    net.expect_no_faults()


@case
def RFC6275_11_3_6_binding_error_1_falls_back_and_registers_again(net):
    bind(net)
    net.cn("forget")
    net.ping("mn", CORRESPONDENT, 2)
    net.wait_bound("a")
    expect(net.ro("binding_errors") >= 1, "no binding error")
    expect(net.ping("mn", CORRESPONDENT, 5), "not reachable after it registered again")
    net.expect_no_faults()


@case
def RFC6275_11_7_4_a_refresh_request_is_answered_with_an_update(net):
    bind(net)
    net.cn("refresh_request", home_address=HOME_ADDRESS)
    net.wait_seen(BU, 2)
    net.wait_state("bound")
    expect(net.ro("refresh_requests") == 1, "not counted")
    net.expect_no_faults()


@case
def only_correspondents_of_the_list(net):
    net.correspondents = '{correspondents: ["2001:db8:9::/64"]}'
    start_at(net, "a")
    net.trigger()
    expect(net.mn()["route_optimisation"]["correspondents"] == [], "it tried")
    expect(net.seen(HOTI, COTI) == [], "it asked")


@case
def routing_headers_of_strangers_are_dropped_and_the_kernel_is_quiet(net):
    from scapy.all import ICMPv6EchoRequest, IPv6, IPv6ExtHdrRouting, raw
    bind(net)
    capture = Capture(net.lab, "mn", "a")
    header = IPv6ExtHdrRouting(type=2, segleft=1, addresses=[HOME_ADDRESS])
    stranger = "2001:db8:3::301"
    net.cn("send", packet=raw(IPv6(src=stranger, dst=CARE_OF["a"]) / header /
                              ICMPv6EchoRequest()).hex())
    wait_until(lambda: net.mn()["counters"]["mn.in.not_correspondent"] == 1, 10, "it was dropped")
    net.trigger()
    capture.stop()
    errors = capture.tshark(["ipv6.dst", "icmpv6.type", "icmpv6.code"], "icmpv6.type == 4")
    expect(errors == [], f"the kernel answered: {errors}")


@case
def packet_too_big_on_the_direct_way_counts_the_24_octets(net):
    bind(net)
    # A narrow place that is on the direct way only.
    net.lab.ip("inet", "link set dev cn mtu 1400")
    big = ["ping", "-n", "-c", "4", "-i", "0.2", "-W", "1", "-M", "do", "-s", "1400", CORRESPONDENT]
    result = net.lab.run("mn", big, check=False)
    expect(re.search(r"mtu[ =:]+1376", result.stdout + result.stderr),
           f"nobody was told 1376: {result.stdout}{result.stderr}")
    fits = net.lab.run("mn", big[:-2] + ["1328", CORRESPONDENT], check=False)
    expect(" 0% packet loss" in fits.stdout, fits.stdout)
    net.expect_no_faults()


@case
def without_keys_the_home_test_goes_in_clear_where_policy_allows(net):
    net.protect = False
    net.policy = "    protect_return_routability: off"
    start_at(net, "a")
    capture = Capture(net.lab, "mn", "a")
    net.trigger()
    net.wait_bound("a")
    capture.stop()
    rows = capture.tshark(["ipv6.src", "ipv6.dst"], f"mip6.mhtype == {HOTI}", keys=False)
    expect(len(rows) == 1, str(rows))
    net.expect_no_faults()


main(Network)

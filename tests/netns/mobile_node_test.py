#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The mobile node against a home agent made of scapy: what it sends, and what it makes of answers.

    mobile_node_test.py [WORD...]     runs all, or those whose name contains one of the words
"""
import json
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import wait_until  # noqa: E402
from referee_network import (CARE_OF, CORRESPONDENT, HOME_ADDRESS, HOME_AGENT,  # noqa: E402
                             RefereeNetwork)


@case
def N3_registers_and_the_referee_finds_no_fault(net):
    net.start()
    net.plug("a")
    net.wait_registered("a")
    state = net.ask()
    expect(state["binding"] == CARE_OF["a"], f"binding {state['binding']}")
    update = state["updates"][0]
    expect(update["home_address_option"] and update["lifetime"] == 120, str(update))
    status = net.status()
    expect(status["binding"]["granted"] == 120, str(status["binding"]))
    expect(all(sa["packets"] >= 1 for sa in status["security_associations"]),
           str(status["security_associations"]))
    net.expect_no_faults()


@case
def S1_5_home_address_is_on_the_tunnel_device_only(net):
    net.start()
    for link in ("a", "home"):
        net.plug(link)
        if link == "a":
            net.wait_registered("a")
        else:
            net.wait_state("at-home")
        addresses = net.lab.ip("mn", "-6 -o addr show").splitlines()
        on = [line.split()[1] for line in addresses if HOME_ADDRESS + "/" in line]
        expect(on == ["homeport0"], f"{HOME_ADDRESS} is on {on}")
        device = [line for line in addresses if line.split()[1] == "homeport0"]
        expect(len(device) == 1, f"more than the home address: {device}")


@case
def N1_both_ends_reach_each_other_through_the_tunnel(net):
    net.start()
    net.plug("a")
    net.wait_registered("a")
    expect(net.ping("cn", HOME_ADDRESS) == 5, "the correspondent gets no answer")
    expect(net.ping("mn", CORRESPONDENT) == 5, "the mobile node gets no answer")
    expect(net.ping("mn", CORRESPONDENT, size=1412) == 5, "full-sized packets get no answer")
    state = net.ask()
    expect(set(state["tunnelled"]) == {CARE_OF["a"]}, str(state["tunnelled"]))
    expect(state["natively"] == 0, "packets from the home address on the wire")
    net.expect_no_faults()


@case
def kernel_does_not_answer_the_home_agent_with_errors(net):
    # RH2 is unknown to the kernel, and so may be next header 41: the referee counts each ICMPv6
    # error that quotes a packet of the home agent as a fault.
    net.start()
    net.plug("a")
    net.wait_registered("a")
    expect(net.ping("cn", HOME_ADDRESS, count=20, interval=0.05) == 20, "answers lost")
    net.policy(lifetime=8)
    net.unplug("a")
    net.plug("b")
    net.wait_registered("b")
    net.wait_updates(3)
    net.expect_no_faults()


@case
def S1_41_S1_42_tunnel_moves_only_with_the_acknowledgement(net):
    net.interfaces = "[b, a]"
    net.extra = ""
    net.start()
    net.plug("a")
    net.wait_registered("a")
    net.policy(answer="silent")
    before = len(net.ask()["updates"])
    net.plug("b")
    state = net.wait_updates(before + 1)
    expect(state["updates"][-1]["source"] == CARE_OF["b"], "the update does not come from b")
    # S1.40: data still leave from the old address, and what comes there is taken.
    expect(net.ping("mn", CORRESPONDENT) == 5, "no traffic while the update is outstanding")
    state = net.ask()
    expect(set(state["tunnelled"]) == {CARE_OF["a"]}, str(state["tunnelled"]))
    # S1.42: a rejection does not move the tunnel either.
    net.policy(answer="status", status=130)
    net.wait_state("backing-off")
    expect(net.ping("mn", CORRESPONDENT) == 5, "no traffic after a rejection")
    expect(set(net.ask()["tunnelled"]) == {CARE_OF["a"]}, "the tunnel moved without a binding")
    net.expect_no_faults()


@case
def make_before_break_loses_nothing(net):
    net.interfaces = "[b, a]"
    net.start()
    net.plug("a")
    net.wait_registered("a")
    ping = net.lab.start("cn", ["ping", "-n", "-i", "0.02", "-c", "150", HOME_ADDRESS], "ping")
    wait_until(lambda: "icmp_seq=20 " in ping.output(), 10, "the ping running")
    net.plug("b")
    net.wait_registered("b")
    ping.wait(20)
    expect(" 0% packet loss" in ping.output(), ping.output()[-300:])
    expect(CARE_OF["b"] in net.ask()["tunnelled"], "nothing went by b")
    net.expect_no_faults()


@case
def lost_link_moves_at_once(net):
    net.start()
    net.plug("a")
    net.wait_registered("a")
    net.plug("b")
    expect(net.status()["care_of_address"] == CARE_OF["a"], "moved without need")
    started = time.monotonic()
    net.unplug("a")
    net.wait_registered("b", 5)
    expect(time.monotonic() - started < 3.0, "it took longer than three seconds")
    handover = net.status()["handovers"][-1]
    expect(handover["milliseconds"] is not None and handover["milliseconds"] < 500, str(handover))
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable after the move")
    net.expect_no_faults()


@case
def P5_returns_home_and_leaves_again(net):
    net.start()
    net.plug("a")
    net.wait_registered("a")
    net.unplug("a")
    net.plug("home")
    net.wait_state("at-home")
    state = net.ask()
    last = state["updates"][-1]
    expect(last["source"] == HOME_ADDRESS and not last["home_address_option"] and
           last["lifetime"] == 0 and last["link"] == "home", str(last))
    expect(state["binding"] is None, "still bound")
    net.wait_counter("mn.nd.announced", 3)
    sent = net.ask()["advertisements"]
    announced = [one for one in sent if one["destination"] == "ff02::1"]
    expect(announced and all(one["override"] and not one["solicited"] and
                             one["hop_limit"] == 255 and one["lladdr"] for one in announced),
           str(sent))
    expect(not any(one["bound"] for one in announced), "announced while the binding was there")
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable at home")
    expect(net.ping("mn", CORRESPONDENT) == 5, "reaches nobody from home")
    state = net.ask()
    expect(state["natively"] >= 10, f"only {state['natively']} native packets")
    net.unplug("home")
    net.plug("b")
    net.wait_registered("b")
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable after it left home")
    net.expect_no_faults()


@case
def solicitations_before_the_acknowledgement_are_answered_by_unicast(net):
    from scapy.all import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6, raw
    net.start()
    net.plug("a")
    net.wait_registered("a")
    net.unplug("a")
    net.policy(answer="silent")
    net.plug("home")
    net.wait_state("returning")
    mac = net.ask()["macs"]["home"]
    asks = IPv6(src=HOME_AGENT, dst="ff02::1:ff00:100", hlim=255) / \
        ICMPv6ND_NS(tgt=HOME_ADDRESS) / ICMPv6NDOptSrcLLAddr(lladdr=mac)
    probe = IPv6(src="::", dst="ff02::1:ff00:100", hlim=255) / ICMPv6ND_NS(tgt=HOME_ADDRESS)
    net.wait_updates(2)
    ignored = net.counter("mn.nd.ignored")
    net.inject("home", raw(probe))
    net.wait_counter("mn.nd.ignored", ignored + 1)
    net.inject("home", raw(asks))
    net.wait_counter("mn.nd.answered", 1)
    sent = wait_until(lambda: net.ask()["advertisements"], 5, "an advertisement on the wire")
    expect(len(sent) == 1 and sent[0]["destination"] == HOME_AGENT and sent[0]["solicited"],
           str(sent))
    # Once the home agent has let go, the address is ours to defend.
    net.policy(answer="accept")
    net.wait_state("at-home")
    net.inject("home", raw(probe))
    wait_until(lambda: any(not one["solicited"] and one["destination"] == "ff02::1"
                           for one in net.ask()["advertisements"]), 5, "the probe answered")
    net.expect_no_faults()


@case
def no_advertisement_for_the_home_address_on_a_visited_link(net):
    from scapy.all import ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6, raw
    net.start()
    net.plug("a")
    net.wait_registered("a")
    mac = net.ask()["macs"]["a"]
    net.inject("a", raw(IPv6(src="2001:db8:a::1", dst="ff02::1:ff00:100", hlim=255) /
                        ICMPv6ND_NS(tgt=HOME_ADDRESS) / ICMPv6NDOptSrcLLAddr(lladdr=mac)))
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable")
    expect(net.ask()["advertisements"] == [], "advertised")


@case
def retransmits_with_back_off_and_new_sequence_numbers(net):
    net.start()
    net.policy(drop=3)
    net.plug("a")
    net.wait_registered("a", 20)
    updates = net.ask()["updates"]
    gaps = [b["time"] - a["time"] for a, b in zip(updates, updates[1:])]
    expect(len(updates) == 4, f"{len(updates)} updates")
    for gap, wanted in zip(gaps, (1.5, 3.0, 6.0)):
        expect(wanted * 0.95 <= gap <= wanted * 1.25 + 0.5, f"gaps {gaps}")
    net.expect_no_faults()


@case
def status_135_goes_on_from_the_sequence_number_given(net):
    net.start()
    net.policy(answer="status", status=135, sequence=40000)
    net.plug("a")
    net.wait_registered("a")
    expect(net.ask()["updates"][-1]["sequence"] == 40001, str(net.ask()["updates"]))


@case
def rejection_for_good_stops_and_a_new_network_tries_again(net):
    net.start()
    net.policy(answer="status", status=129)
    net.plug("a")
    status = net.wait_state("stopped")
    expect(status["binding"]["last_status"]["code"] == 129, str(status["binding"]))
    expect(status["tunnel"]["route"] == "none", str(status["tunnel"]))
    net.policy(answer="accept")
    net.plug("b")
    net.unplug("a")
    net.wait_registered("b")


@case
def bad_acknowledgements_change_nothing(net):
    net.start()
    for answer, counter in (("wrong_key", "mn.in.policy"), ("unprotected", "mn.in.policy"),
                            ("bad_rh2", "mn.rh2.bad")):
        before = net.counter(counter)
        net.policy(answer=answer)
        net.plug("a")
        net.wait_counter(counter, before + 1)
        expect(net.status()["state"] == "registering", net.status()["state"])
        net.unplug("a")
        net.wait_state("detached")
    net.policy(answer="wrong_sequence")
    net.plug("a")
    wait_until(lambda: net.status()["protocol"]["ignored_sequence"] >= 1, 10,
               "the wrong sequence number ignored")
    expect(net.status()["state"] == "registering", net.status()["state"])
    net.expect_no_faults()


@case
def refreshes_before_the_lifetime_ends(net):
    net.start()
    net.policy(lifetime=8)
    net.plug("a")
    net.wait_registered("a")
    state = net.wait_updates(3, 20)
    gaps = [b["time"] - a["time"] for a, b in zip(state["updates"], state["updates"][1:])]
    expect(all(3 < gap < 8 for gap in gaps), f"gaps {gaps}")
    expect(net.status()["state"] in ("registered", "refreshing"), net.status()["state"])
    net.expect_no_faults()


@case
def deregisters_on_exit_and_leaves_nothing_behind(net):
    net.start()
    net.plug("a")
    net.wait_registered("a")
    expect(net.mobile_node.stop() == 0, "exit status")
    state = net.ask()
    last = state["updates"][-1]
    expect(last["lifetime"] == 0 and last["home_address_option"] and
           last["source"] == CARE_OF["a"], str(last))
    expect(state["binding"] is None, "still bound")
    expect("homeport0" not in net.lab.ip("mn", "link show"), "the device is still there")
    rules = [line for line in net.lab.ip("mn", "-6 rule show").splitlines()
             if not line.startswith(("0:", "32766:"))]
    expect(rules == [], str(rules))
    expect(not net.status_socket.exists(), "the status socket is still there")
    net.expect_no_faults()


@case
def keeps_the_binding_on_exit_if_told_to(net):
    net.extra = "keep_binding_on_exit: on"
    net.start()
    net.plug("a")
    net.wait_registered("a")
    expect(net.mobile_node.stop() == 0, "exit status")
    expect(net.ask()["binding"] == CARE_OF["a"], "deregistered")


@case
def takes_over_what_a_killed_process_left(net):
    net.extra = f"state_file: {net.directory}/state"
    net.start()
    net.plug("a")
    net.wait_registered("a")
    net.mobile_node.signal(signal.SIGKILL)
    net.mobile_node.wait()
    net.start_mobile_node()
    net.wait_registered("a")
    rules = [line for line in net.lab.ip("mn", "-6 rule show").splitlines()
             if not line.startswith(("0:", "32766:"))]
    expect(len(rules) == 3, f"rules: {rules}")
    sent = [sa for sa in net.status()["security_associations"] if sa["direction"] == "out"]
    expect(sent[0]["sequence"] > 1000, f"ESP sequence numbers start again: {sent}")
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable")


@case
def rules_of_a_killed_process_at_home_go_too(net):
    net.start()
    net.plug("a")
    net.wait_registered("a")
    net.unplug("a")
    net.plug("home")
    net.wait_state("at-home")
    net.mobile_node.signal(signal.SIGKILL)
    net.mobile_node.wait()
    net.unplug("home")
    net.start_mobile_node()
    net.mobile_node.stop()
    rules = [line for line in net.lab.ip("mn", "-6 rule show").splitlines()
             if not line.startswith(("0:", "32766:"))]
    expect(rules == [], str(rules))


@case
def status_and_watch_tell_people_and_programs(net):
    net.start()
    program = net.program()
    watchers = [net.lab.start("mn", [program, "--config", net.config, "watch", *more],
                              name=f"watch{len(more)}") for more in ([], ["--json"])]
    # The first event is missed by a watcher that is not connected yet.
    wait_until(lambda: "watch" in net.lab.run("mn", ["ss", "-xp"]) and
               net.lab.run("mn", ["ss", "-xp"]).count("mn.sock") >= 2, 5, "watchers connected")
    net.plug("a")
    net.wait_registered("a")
    watchers[0].wait_for_output("registered: accepted")
    watchers[1].wait_for_output('"state":"registered"')
    for line in watchers[1].output().splitlines():
        event = json.loads(line)
        expect({"time", "event", "text", "state", "attachment", "care_of_address"} <= set(event),
               line)
    text = net.lab.run("mn", [program, "--config", net.config, "status"])
    for part in ("state             registered", f"attached to       a, {CARE_OF['a']}",
                 "of 120, refresh in", "0 accepted", "mn.bu.sent"):
        expect(part.lower() in text.lower(), f"'{part}' is not in:\n{text}")
    said = json.loads(net.lab.run("mn", [program, "--config", net.config, "status", "--json"]))
    expect(said["state"] == "registered", str(said))
    net.mobile_node.stop()
    gone = net.lab.run("mn", [program, "--config", net.config, "status"], check=False)
    expect(gone.returncode == 1 and "no homeport-mn at" in gone.stderr, str(gone))


@case
def only_the_home_agent_may_tunnel_to_us(net):
    from scapy.all import ICMPv6EchoRequest, IPv6, raw
    net.start()
    net.plug("a")
    net.wait_registered("a")
    inner = IPv6(src=CORRESPONDENT, dst=HOME_ADDRESS) / ICMPv6EchoRequest()
    forged = raw(IPv6(src="2001:db8:a::1", dst=CARE_OF["a"], nh=41) / inner)
    net.inject("a", forged)
    net.wait_counter("mn.in.not_ha", 1)
    to_other = IPv6(src=CORRESPONDENT, dst="2001:db8:9::9") / ICMPv6EchoRequest()
    net.inject("a", raw(IPv6(src=HOME_AGENT, dst=CARE_OF["a"], nh=41) / to_other))
    net.wait_counter("mn.in.inner_dst", 1)
    for cut in (41, 60, 79, 85):
        octets = bytearray(raw(IPv6(src=HOME_AGENT, dst=CARE_OF["a"], nh=41) / inner))[:cut]
        octets[4:6] = (cut - 40).to_bytes(2, "big")
        net.inject("a", octets)
    net.wait_counter("mn.in.malformed", 4)
    congested = bytearray(raw(IPv6(src=HOME_AGENT, dst=CARE_OF["a"], nh=41, tc=3) / inner))
    net.inject("a", congested)
    net.wait_counter("mn.in.ecn_drop", 1)
    expect(net.counter("mn.tun.delivered") == 0, "something of that was delivered")
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable after all that")


@case
def packet_too_big_lowers_the_tunnel_mtu(net):
    from scapy.all import ICMPv6EchoRequest, ICMPv6PacketTooBig, IPv6, Raw, raw
    net.start()
    net.plug("a")
    net.wait_registered("a")
    expect(net.status()["tunnel"]["mtu"] == 1460, str(net.status()["tunnel"]))
    inner = IPv6(src=HOME_ADDRESS, dst=CORRESPONDENT) / ICMPv6EchoRequest() / Raw(b"x" * 1400)
    outer = raw(IPv6(src=CARE_OF["a"], dst=HOME_AGENT, nh=41) / inner)
    net.inject("a", raw(IPv6(src="2001:db8:a::1", dst=CARE_OF["a"]) /
                        ICMPv6PacketTooBig(mtu=1400) / Raw(outer[:1232])))
    wait_until(lambda: net.status()["tunnel"]["mtu"] == 1360, 5, "tunnel MTU 1360")
    expect("mtu 1360" in net.lab.ip("mn", "link show homeport0"), "the device's MTU")
    expect(net.ping("mn", CORRESPONDENT, size=1400) >= 4, "large packets do not get through")
    net.expect_no_faults()


@case
def reload_takes_new_preferences(net):
    net.interfaces = "[a, b]"
    net.start()
    net.plug("a")
    net.plug("b")
    net.wait_registered("a")
    net.interfaces = "[b, a]"
    net.write_configuration()
    net.reload()
    net.wait_registered("b")
    net.config.write_text("home_adress: x\n")
    net.reload()
    net.mobile_node.wait_for_output("the nearest is 'home_address'")
    expect(net.status()["care_of_address"] == CARE_OF["b"], "a bad file did harm")


@case
def applications_need_not_know(net):
    # A new socket gets the home address by itself; one that is bound to a care-of address leaves
    # directly.
    net.start()
    net.plug("a")
    net.wait_registered("a")
    route = net.lab.ip("mn", f"-6 route get {CORRESPONDENT}")
    expect("homeport0" in route and HOME_ADDRESS in route, route)
    route = net.lab.ip("mn", f"-6 route get {CORRESPONDENT} from {CARE_OF['a']}")
    expect("dev a" in route, route)


@case
def unprotected_updates_with_the_lab_switch(net):
    net.security = False
    net.start()
    net.plug("a")
    net.wait_registered("a")
    expect(net.ping("cn", HOME_ADDRESS) == 5, "not reachable")
    net.unplug("a")
    net.plug("home")
    net.wait_state("at-home")
    net.expect_no_faults()


main(RefereeNetwork)

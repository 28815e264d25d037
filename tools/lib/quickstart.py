#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The tour behind tools/quickstart: a mobile node roams, a correspondent keeps talking to it."""
import json
import pathlib
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "netns"), str(ROOT / "tools" / "lib")]
from lab import (CARE_OF, CORRESPONDENT, HOME_ADDRESS, HOME_AGENT, SPI_PAYLOAD_OUT,  # noqa: E402
                 Lab, LabError, wait_until)
from nat_network import CARE_OF_IPV4, HOME_AGENT_IPV4, NAT_ADDRESS, NatNetwork  # noqa: E402
from tour import TCP_PORT, TCP_RATE, Ping, losses, say  # noqa: E402

TOUR = [("a", "n"), ("n", "v"), ("v", "b"), ("b", "home"), ("home", "a")]
NAMES = {"a": "visited network A (IPv6)", "b": "visited network B (IPv6)",
         "n": "network N (IPv4 only, behind a NAT)", "v": "network V (IPv4 only)",
         "home": "home link"}
# Where the home agent sends to: what the world sees of each place.
OUTER = {**CARE_OF, "n": NAT_ADDRESS, "v": CARE_OF_IPV4["v"]}
FORMS = {"ip6/esp": "IPv6, ESP", "ip4/esp": "IPv4, ESP", "ip4/udp4500/esp": "IPv4, UDP 4500, ESP",
         "ip4/udp4191/ip6/esp": "UDP 4191, IPv6, ESP"}
STAY_AT_LEAST = 2.0  # seconds in a network before the next move


def place_of(net):
    """(NAT verdict, mapping) of the binding in force, for the table."""
    rows = [row for row in net.bindings() if row.get("state") == "active"]
    row = rows[0] if rows else {}
    verdict = {"yes": "NAT", "no": "no NAT", "forced": "forced"}.get(row.get("nat"), "-")
    mapping = "-"
    if row.get("nat") in ("yes", "forced"):
        ports = [source.rpartition(":") for source in (row.get("outer_source"),
                                                       row.get("esp_source")) if source]
        mapping = f"{ports[0][0]}, UDP " + " and ".join(port for _, _, port in ports)
    return verdict, mapping


def check(condition, text, problems):
    if not condition:
        problems.append(text)


def tour(lab, net):
    problems = []
    say("Starting the data plane (DPDK, one worker, two net_tap ports) and the control plane")
    net.make_networks()
    net.write_configuration()
    net.start_dataplane()
    net.start_controlplane()
    say(f"Home agent {HOME_AGENT}, {HOME_AGENT_IPV4} is up: home prefix 2001:db8:1::/64 on port home0")
    say("Starting the mobile node in visited network A")
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    say(f"Registered under ESP: home address {HOME_ADDRESS} is at care-of address {CARE_OF['a']}")
    say("Payload is protected: ESP tunnel mode between home agent and home address, one SA each way")
    wire = lab.start("inet", ["/usr/bin/python3", ROOT / "tools/lib/esp_sequence.py", "t-wan",
                              SPI_PAYLOAD_OUT], name="esp-sequence")
    wire.wait_for_output("ready")

    lab.run("cn", ["ping", "-n", "-c", "1", "-W", "3", HOME_ADDRESS])
    receiver = lab.start("mn", ["/usr/bin/python3", ROOT / "tools/lib/transfer.py", "receive",
                                HOME_ADDRESS, TCP_PORT], name="receiver")
    receiver.wait_for_output("ready")
    sender = lab.start("cn", ["/usr/bin/python3", ROOT / "tools/lib/transfer.py", "send",
                              HOME_ADDRESS, TCP_PORT, TCP_RATE], name="sender")
    sender.wait_for_output("connected")
    ping = Ping(lab, HOME_ADDRESS)
    ping.wait_for_answer()
    say(f"Correspondent {CORRESPONDENT} pings it 20 times a second and holds a TCP transfer to it")

    moves = []
    for old, new in TOUR:
        stay = time.monotonic() + STAY_AT_LEAST
        wait_until(lambda: time.monotonic() > stay, STAY_AT_LEAST + 1, "the stay in a network")
        before = time.time()
        net.move(old, new)
        say(f"Moves: {NAMES[old]} -> {NAMES[new]}")
        net.wait_registered(new)
        registered = time.time() - before
        ping.wait_for_answer()
        where = ("deregistered, reached on the home link" if new == "home"
                 else f"registered at {net.care_of_of(new)}")
        say(f"  {where}, {registered * 1000:.0f} ms after the cable came up")
        verdict, mapping = place_of(net)
        moves.append({"at": before, "from": old, "to": new, "registered": registered,
                      "nat": verdict, "mapping": mapping})
    ping.wait_for_answer()

    sender.signal(signal.SIGTERM)
    sender_status, receiver_status = sender.wait(70), receiver.wait(70)
    sent, answered = ping.stop()
    tcp_sent = json.loads(sender.output().splitlines()[-1]) if sender_status == 0 else {}
    tcp_got = json.loads(receiver.output().splitlines()[-1]) if receiver_status == 0 else {}
    check(sender_status == 0 and receiver_status == 0 and
          tcp_sent.get("sha256") == tcp_got.get("sha256"),
          f"the TCP transfer broke: {sender.output()[-300:]} {receiver.output()[-300:]}", problems)

    wire.stop()
    esp = json.loads(wire.output().splitlines()[-1])
    lost = losses(ping.answered(), sent, moves)
    print("\n  move            registered after  pings lost  NAT     encapsulation         "
          "mapping at the home agent")
    for move, n in zip(moves, lost):
        path = f"{move['from']:>4} -> {move['to']:<4}"
        form = FORMS.get(esp["addresses"].get(OUTER.get(move["to"]), [None])[-1], "none")
        print(f"  {path:<15} {move['registered'] * 1000:>13.0f} ms {n:>11}  {move['nat']:<6}  "
              f"{'native, as at home' if move['to'] == 'home' else form:<20}  {move['mapping']}")
    print(f"\n  ping: {sent} sent, {answered} answered, {sum(lost)} lost in the moves")
    if tcp_got:
        print(f"  TCP:  {tcp_got['octets'] / 1e6:.1f} MB in one connection over {len(moves)} moves, "
              f"content {'equal' if not problems else 'DIFFERENT'}, "
              f"longest silence {tcp_got['longest_silence']:.2f} s")
    print(f"  ESP:  SPI {SPI_PAYLOAD_OUT:#x} to the mobile node, on the wire: sequence numbers "
          f"{esp['first']} to {esp['last']}, {esp['packets']} packets, {esp['gaps']} gaps; the SA "
          "never changed,\n        its packets went to " + ", ".join(esp["addresses"]))
    check(esp["packets"] > 100 and esp["gaps"] == 0 and esp["repeated"] == 0,
          f"the ESP sequence has gaps: {esp}", problems)
    check(set(esp["addresses"]) == set(OUTER.values()), f"outer addresses: {esp}", problems)
    check({move["to"]: move["nat"] for move in moves if move["to"] in CARE_OF_IPV4} ==
          {"n": "NAT", "v": "no NAT"}, f"NAT verdicts: {moves}", problems)
    check(sent - answered - sum(lost) <= 1, "packets were lost while the node stood still", problems)
    for title, arguments in (("hactl show bindings", ("show", "bindings")),
                             ("hactl show drops", ("show", "drops"))):
        print(f"\n$ {title}")
        print(net.hactl_text(*arguments).rstrip())
    drops = net.hactl("show", "drops")
    check(drops.get("difference", 0) == 0,
          f"received differs from forwarded + delivered + dropped: {drops}", problems)
    check(net.binding_care_of() == CARE_OF["a"], "the last binding is not the last network",
          problems)
    return problems


def stay(lab, net):
    enter = f"ip netns exec {lab.prefix}"
    build = net.build
    print(f"""
Everything is still running. In another terminal, as root:

  {enter}ha {build}/tools/hactl/hactl --socket {net.management} show bindings
  {enter}ha {build}/tools/hactl/hactl --socket {net.management} show stages
  {enter}mn {build}/tools/mobile-node/homeport-mn --config {net.mn_config} status
  {enter}cn ping {HOME_ADDRESS}
  ip -n {lab.prefix}mn link set dev a down     # and b up: the node moves
  ip -n {lab.prefix}mn link set dev b up
  ip -n {lab.prefix}mn addr replace {CARE_OF['b']}/64 dev b nodad
  ip -n {lab.prefix}mn route replace default via 2001:db8:b::1 dev b

Ctrl-C ends it and removes every namespace.""", flush=True)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})


def main():
    with Lab("quickstart") as lab:
        net = NatNetwork(lab)
        net.protect_payload = True
        try:
            problems = tour(lab, net)
        except LabError as error:
            problems = [str(error)]
            lab.show_logs()
        print()
        if problems:
            for problem in problems:
                print(f"FAILED: {problem}")
            return 1
        print("The mobile node stayed reachable over all its moves.")
        if "--stay" in sys.argv[1:]:
            stay(lab, net)
        return 0


sys.exit(main())

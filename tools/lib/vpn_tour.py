#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The tour behind tools/quickstart --tour vpn: a mobile node moves in and out of an enterprise, and a
correspondent inside keeps talking to it (part S2 of the requirements)."""
import json
import pathlib
import signal
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "netns"), str(ROOT / "tools" / "lib")]
from lab import Lab, LabError, wait_until  # noqa: E402
from tour import TCP_PORT, TCP_RATE, Ping, losses, say  # noqa: E402
from vpn_network import (CORRESPONDENT, EXTERNAL, EXTERNAL_HOME, GATEWAY, HOME, INNER,  # noqa: E402
                         INTERNAL, NETWORKS, VpnNetwork)

TOUR = [("c", "f"), ("f", "a"), ("a", "n"), ("n", "x"), ("x", "c")]
NAMES = {"c": "inside, an address of its own", "f": "inside, a foreign agent",
         "a": "outside, an address of its own", "n": "outside, behind a NAT",
         "x": "outside, a foreign agent"}
MODES = {"c": "c", "f": "f", "a": "cvc", "n": "cvc", "x": "fvc"}
OUTSIDE = ("a", "n", "x")
# What the home agents know of each place: care-of address inside, and end of the external tunnel.
INSIDE_CARE_OF = {"c": "10.1.2.5", "f": "10.1.30.2", "a": INNER, "n": INNER, "x": INNER}
EXTERNAL_END = {"a": "198.51.100.5", "n": "198.51.103.7", "x": "198.51.102.2"}
SIZE = 1000  # octets of the correspondent's echo requests, which show the overhead
STAY_AT_LEAST = 2.0  # seconds in a network before the next move


def is_registered(net, network):
    """Both home agents know where the node is."""
    rows = net.hactl("show", "mip4-bindings")["bindings"]
    inside = [row for row in rows if row["home_address"] == HOME]
    if not any(row["care_of_address"] == INSIDE_CARE_OF[network] for row in inside):
        return False
    if network not in OUTSIDE:
        return True
    return any(row["home_address"] == EXTERNAL_HOME and
               row["tunnel_end"].startswith(EXTERNAL_END[network]) for row in rows)


def moved(net):
    """How often a VPN client's SA found itself elsewhere (S2.37: not by a move)."""
    return next((row["value"] for row in net.hactl("show", "drops")["counters"]
                 if row["name"] == "vpn.moved"), 0)


def form_of(row):
    """(most frequent stack, overhead) of the packets whose size is known."""
    best = max(((stack, extra, count) for stack, sizes in row["overhead"].items()
                for extra, count in sizes.items()), key=lambda one: one[2], default=None)
    return (best[0], int(best[1])) if best else ("-", 0)


def tour(lab, net):
    problems = []
    say("Starting the appliance: internal and external home agent and VPN gateway in one data plane")
    net.start()
    net.start_foreign_agents()
    say(f"Internal home agent {INTERNAL}, external {EXTERNAL}, VPN gateway {GATEWAY}; a firewall "
        "keeps the inside to itself")
    net.plug("c")
    net.start_mobile_node()
    wait_until(lambda: is_registered(net, "c"), 20, "the first registration")
    say(f"The mobile node is inside and registered: {HOME} is at 10.1.2.5, nothing is encrypted")

    lab.run("cn", ["ping", "-n", "-c", "1", "-W", "3", HOME])
    receiver = lab.start("mn", ["/usr/bin/python3", ROOT / "tools/lib/transfer.py", "receive", HOME,
                                TCP_PORT], name="receiver")
    receiver.wait_for_output("ready")
    sender = lab.start("cn", ["/usr/bin/python3", ROOT / "tools/lib/transfer.py", "send", HOME,
                              TCP_PORT, TCP_RATE], name="sender")
    sender.wait_for_output("connected")
    ping = Ping(lab, HOME, SIZE - 28)
    ping.wait_for_answer()
    say(f"Correspondent {CORRESPONDENT} pings it 20 times a second and holds a TCP transfer to it")
    wire = lab.start("mn", ["/usr/bin/python3", ROOT / "tools/lib/stacks.py", SIZE, HOME,
                            *NETWORKS], name="stacks")
    wire.wait_for_output("ready")

    moves, sa_moves = [], []
    for old, new in TOUR:
        stay = time.monotonic() + STAY_AT_LEAST
        wait_until(lambda: time.monotonic() > stay, STAY_AT_LEAST + 1, "the stay in a network")
        before, moves_before = time.time(), moved(net)
        net.move(old, new)
        say(f"Moves: {NAMES[old]} -> {NAMES[new]}")
        wait_until(lambda: is_registered(net, new), 40, f"registrations from network {new}")
        registered = time.time() - before
        ping.wait_for_answer(20)
        say(f"  mode {MODES[new]}, registered {registered * 1000:.0f} ms after the cable came up")
        moves.append({"at": before, "from": old, "to": new, "registered": registered})
        sa_moves.append(moved(net) - moves_before)
    stay = time.monotonic() + STAY_AT_LEAST
    wait_until(lambda: time.monotonic() > stay, STAY_AT_LEAST + 1, "the last stay")

    sender.signal(signal.SIGTERM)
    sender_status, receiver_status = sender.wait(70), receiver.wait(70)
    sent, answered = ping.stop()
    tcp_sent = json.loads(sender.output().splitlines()[-1]) if sender_status == 0 else {}
    tcp_got = json.loads(receiver.output().splitlines()[-1]) if receiver_status == 0 else {}
    if sender_status or receiver_status or tcp_sent.get("sha256") != tcp_got.get("sha256"):
        problems.append(f"the TCP transfer broke: {sender.output()[-300:]} "
                        f"{receiver.output()[-300:]}")
    wire.stop()
    seen = json.loads(wire.output().splitlines()[-1])
    report(moves, losses(ping.answered(), sent, moves), seen)
    print(f"\n  ping: {sent} sent, {answered} answered")
    if tcp_got:
        print(f"  TCP:  {tcp_got['octets'] / 1e6:.1f} MB in one connection over {len(moves)} moves, "
              f"content {'equal' if not problems else 'DIFFERENT'}, "
              f"longest silence {tcp_got['longest_silence']:.2f} s")
    clear = sum(seen[network]["clear"] for network in OUTSIDE)
    print(f"  outside, packets that show the internal home address: {clear}")
    check(net, seen, clear, sa_moves, problems)
    for arguments in (("show", "mip4-bindings"), ("show", "drops")):
        print(f"\n$ hactl {' '.join(arguments)}")
        print(net.hactl_text(*arguments).rstrip())
    return problems


def report(moves, lost, seen):
    print("\n  move        mode  encapsulation on the mobile node's link     overhead  registered "
          "after  pings lost")
    for move, n in zip(moves, lost):
        stack, overhead = form_of(seen[move["to"]])
        path = f"{move['from']} -> {move['to']}"
        print(f"  {path:<10}  {MODES[move['to']]:<4}  {stack:<42}  {overhead:>4} B    "
              f"{move['registered'] * 1000:>10.0f} ms {n:>12}")


def check(net, seen, clear, sa_moves, problems):
    if clear:
        examples = {network: seen[network]["examples"] for network in OUTSIDE}
        problems.append(f"{clear} packets outside show the internal home address (S2.96): {examples}")
    forms = {network: form_of(seen[network]) for network in NETWORKS}
    expected = {"c": "ip4/ip4", "f": "ip4", "a": "ip4/ip4/esp", "n": "ip4/udp434/ip4/esp",
                "x": "ip4/esp"}
    if {network: form[0] for network, form in forms.items()} != expected:
        problems.append(f"encapsulations: {forms}, expected {expected}")
    for network, least, most in (("c", 20, 20), ("f", 0, 0), ("a", 98, 113), ("n", 110, 125),
                                 ("x", 78, 93)):
        if not least <= forms[network][1] <= most:
            problems.append(f"overhead in network {network}: {forms[network][1]} octets, expected "
                            f"{least} to {most} (S2.101)")
    if any(sa_moves):
        problems.append(f"the VPN's SA was elsewhere after moves: {sa_moves} (S2.37)")
    drops = net.hactl("show", "drops")
    if drops["difference"] != 0:
        problems.append(f"received differs from forwarded + delivered + dropped: {drops}")


def main():
    with Lab("quickstart-vpn") as lab:
        net = VpnNetwork(lab)
        try:
            problems = tour(lab, net)
        except LabError as error:
            problems = [str(error)]
            lab.show_logs()
        print()
        for problem in problems:
            print(f"FAILED: {problem}")
        if problems:
            return 1
        print("The mobile node stayed reachable inside and outside, and outside never in the clear.")
        return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What operators meet: small path MTUs, virtual home prefixes, an address in use, traces."""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import CARE_OF, CORRESPONDENT, HOME_ADDRESS, HOME_AGENT, RoamingNetwork  # noqa: E402
from lab import wait_until  # noqa: E402
from signalling_capture import Capture  # noqa: E402


def start_at_a(net):
    net.start()
    net.plug("a")
    net.start_mobile_node()
    net.wait_registered("a")
    wait_until(lambda: net.mn()["state"] == "registered", 5, "registered")


def limit_path(net, mtu):
    """The visited network a takes no more than `mtu` octets, which only its router knows."""
    net.lab.ip("inet", f"link set dev a mtu {mtu}")


def echo(net, source, destination, size, *options):
    return net.lab.run(source, ["ping", "-n", "-c", "4", "-i", "0.1", "-W", "1", "-s", size,
                                *options, destination], check=False).stdout


def transfer(net, octets):
    """A TCP connection from the correspondent to the mobile node; seconds of patience bound it."""
    receiver = net.lab.start("mn", ["/usr/bin/python3", "-c", f"""
import socket
s = socket.create_server(("{HOME_ADDRESS}", 5002), family=socket.AF_INET6)
print("ready", flush=True)
c, _ = s.accept()
n = 0
while data := c.recv(65536):
    n += len(data)
print("received", n, flush=True)
"""], name="tcp-receiver")
    receiver.wait_for_output("ready")
    net.lab.run("cn", ["/usr/bin/python3", "-c", f"""
import socket
c = socket.create_connection(("{HOME_ADDRESS}", 5002), timeout=15)
c.sendall(bytes({octets}))
c.shutdown(socket.SHUT_WR)
c.recv(1)
"""], timeout=40)
    receiver.wait_for_output(f"received {octets}", 20)


@case
def P1_a_packet_too_big_from_the_path_is_learnt_and_told_to_the_sender(net):
    start_at_a(net)
    limit_path(net, 1400)
    # 1400 less the tunnel's 40 octets. The first is lost on the way and makes the path known.
    text = echo(net, "cn", HOME_ADDRESS, 1340, "-M", "do")
    expect("mtu=1360" in text or "mtu = 1360" in text or "mtu: 1360" in text, text)
    wait_until(lambda: "mtu 1360" in net.lab.ip("cn", f"-6 route get {HOME_ADDRESS}"), 5,
               "the correspondent to know 1360")
    fits = echo(net, "cn", HOME_ADDRESS, 1360 - 48, "-M", "do")
    expect(" 0% packet loss" in fits, fits)
    transfer(net, 300_000)
    net.expect_balance()


@case
def P1_below_1280_the_outer_packet_is_fragmented(net):
    start_at_a(net)
    limit_path(net, 1280)
    net.lab.ip("mn", "link set dev a mtu 1280")
    capture = Capture(net.lab, "inet", "a")
    echo(net, "cn", HOME_ADDRESS, 1232)
    text = echo(net, "cn", HOME_ADDRESS, 1232)
    expect(" 0% packet loss" in text, text)
    back = echo(net, "mn", CORRESPONDENT, 1232)
    expect(" 0% packet loss" in back, back)
    capture.stop()
    for source, destination in ((HOME_AGENT, CARE_OF["a"]), (CARE_OF["a"], HOME_AGENT)):
        pieces = capture.tshark(["ipv6.fraghdr.offset"], f"ipv6.fraghdr && ipv6.src == {source} && "
                                                         f"ipv6.dst == {destination}")
        expect(len(pieces) >= 8, f"{len(pieces)} fragments from {source} to {destination}")
    transfer(net, 300_000)
    net.expect_balance()


@case
def a_virtual_home_prefix_needs_no_home_link(net):
    net.virtual_home = True
    start_at_a(net)
    expect(net.ping("cn", HOME_ADDRESS, 5), "not reachable over a virtual home prefix")
    row = net.bindings()[0]
    expect(row["home_link"] == "virtual", str(row))
    # Nobody is asked whether the address is in use: there is no link to ask on.
    registered = net.mn()["handovers"][-1]["milliseconds"]
    expect(registered is not None and registered < 1000, f"{registered} ms")
    before = net.hactl("show", "drops")
    text = echo(net, "cn", "2001:db8:1::1ff", 8)
    expect(" 100% packet loss" in text, text)
    after = net.hactl("show", "drops")
    expect(counter(after, "tun.out.no_binding") >= counter(before, "tun.out.no_binding") + 4,
           f"unbound addresses of a virtual prefix: {after}")
    net.expect_balance()


def counter(drops, name):
    found = re.search(rf'"{re.escape(name)}": (\d+)', str(drops).replace("'", '"'))
    if found:
        return int(found.group(1))
    for row in drops.get("drops", drops.get("counters", [])):
        if isinstance(row, dict) and name in (row.get("name"), row.get("counter")):
            return int(row.get("packets", row.get("value", 0)))
    return 0


@case
def RFC6275_10_3_1_a_home_address_in_use_on_the_home_link_is_refused(net):
    net.start()
    net.lab.ip("home", f"addr add {HOME_ADDRESS}/64 dev br0 nodad")
    net.plug("a")
    net.start_mobile_node()
    wait_until(lambda: (net.mn()["binding"]["last_status"] or {}).get("code") == 134, 15,
               "status 134 from the home agent")
    expect(net.mn()["state"] == "stopped", net.mn()["state"])
    expect(net.bindings() == [], str(net.bindings()))
    expect("HP-CP-0043" in net.controlplane.output(), net.controlplane.output()[-500:])


@case
def trace_shows_the_way_of_chosen_packets(net):
    start_at_a(net)
    net.hactl("trace", "start", CORRESPONDENT, "--packets", "2")
    expect(net.ping("cn", HOME_ADDRESS, 3), "not reachable")
    wait_until(lambda: len(net.hactl("trace", "show")["packets"]) == 2, 5, "two packets traced")
    # Its first step is where it came in, and each other one the stage that it was given to.
    ways = [[step["stage"] for step in packet["steps"]][1:]
            for packet in net.hactl("trace", "show")["packets"]]
    # An echo request is not ordinary enough for express.
    expect(["express", "parse", "classify", "intercept", "ipsec-out", "tunnel-out", "tx"] in ways,
           f"the way of P1 is not among {ways}")
    text = net.hactl_text("trace", "show")
    expect("intercept" in text and "tunnel-out" in text, text)
    net.hactl("trace", "stop")


@case
def hactl_says_what_is_wrong_when_the_control_plane_is_down(net):
    start_at_a(net)
    net.controlplane.stop()
    result = net.lab.run("ha", [net.program("hactl"), "--socket", net.management, "show",
                                "status"], check=False)
    expect(result.returncode != 0, "exit status 0 without a control plane")
    expect("control plane" in result.stderr + result.stdout, result.stderr + result.stdout)
    # Its own counters are what the data plane still tells.
    drops = net.lab.run("ha", [net.program("hactl"), "--socket", net.management, "show", "drops"],
                        check=False)
    expect("parse" in drops.stdout or "received" in drops.stdout or "rx" in drops.stdout,
           drops.stdout + drops.stderr)


class Network(RoamingNetwork):
    def expect_balance(self):
        drops = self.hactl("show", "drops")
        expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")


main(Network)

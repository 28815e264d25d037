#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The mobile node in modes c, f, cvc and fvc (S2.85) against home agents, VPN gateway and foreign
agents of the product, with tcpdump and tshark on its wires.

    vpn_mobile_node_test.py [WORD...]     runs all, or those whose name contains one of the words
"""
import pathlib
import signal
import struct
import sys
import textwrap

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import wait_until  # noqa: E402
from mip4_messages import MOBILE_HOME, Key  # noqa: E402
from signalling_capture import ASSOCIATIONS, Capture  # noqa: E402
from vpn_network import (CORRESPONDENT, EXTERNAL, EXTERNAL_HOME, GATEWAY, HOME,  # noqa: E402
                         INNER, INTERNAL, NETWORKS, SPI_EXTERNAL, SPI_INTERNAL,
                         VpnNetwork)

ASSOCIATIONS.clear()  # no ESP is opened here
# Where the other end of each cable of the node is.
WIRES = {"c": ("core", "c"), "f": ("ifa", "visited"), "a": ("inet", "a"), "n": ("nat", "in"),
         "x": ("xfa", "visited")}
MODES = {"c": "c", "f": "f", "a": "cvc", "n": "cvc", "x": "fvc"}
ECHO = """
    import socket
    server = socket.create_server(("0.0.0.0", 7000))
    while True:
        connection, _ = server.accept()
        while octets := connection.recv(65536):
            connection.sendall(octets)
"""
# Sends a numbered line every 20 ms over one connection, and counts those that came back right.
TALK = """
    import socket, sys, time
    home, correspondent = sys.argv[1:]
    one = socket.create_connection((correspondent, 7000), 10, (home, 0))
    one.settimeout(60)
    reader = one.makefile("rb")
    number = 0
    while True:
        line = b"%d user data of an application, not for others\\n" % number
        one.sendall(line)
        if reader.readline() != line:
            print("wrong", flush=True)
            break
        number += 1
        print(number, flush=True)
        time.sleep(0.02)
"""


def care_of(network):
    return NETWORKS[network][0].partition("/")[0]


def begin(net, network, agents=False):
    net.start()
    if agents:
        net.start_foreign_agents()
    net.start_mobile_node()
    net.plug(network)
    return wait_mode(net, network)


def wait_mode(net, network, timeout=20):
    def there():
        status = net.mn()
        return status["mode"] == MODES[network] and status["interface"] == network and status
    return wait_until(there, timeout, f"mode {MODES[network]} on {network}; it is "
                      f"{net.mn(check=False)}; {net.mobile_node.output()[-3000:]}")


def expect_both_ways(net):
    expect(net.ping("mn", CORRESPONDENT, 5), f"no answer to the node: {net.mn()}")
    expect(net.ping("cn", HOME, 5), f"no answer of the node: {net.mn()}")


# Registrations with a foreign agent have the home address as their source (RFC 5944 section 3.6.1.1),
# and solicitations of agents stay on the link.
SIGNALLING = f"(ip.src == {HOME} && udp.dstport == 434) || (ip.dst == {HOME} && " \
    "udp.srcport == 434) || icmp.type == 10 || icmp.type == 9"


def stacks(capture):
    """Addresses and protocols of each IPv4 header of each packet, outermost first."""
    rows = capture.tshark(["ip.src", "ip.dst", "ip.proto"], f"ip && !({SIGNALLING})", keys=False,
                          every=True)
    return {tuple(zip(*(field.split(",") for field in row.values()))) for row in rows}


def listen(net, network):
    return Capture(net.lab, *WIRES[network], "ip")


@case
def N6_S2_24_mode_c_ip_in_ip_to_the_internal_home_agent(net):
    status = begin(net, "c")
    expect(status["overhead"] == 20 and status["mtu"] == 1480, str(status))
    capture = listen(net, "c")
    expect_both_ways(net)
    capture.wait_for("icmp")
    seen = stacks(capture)
    out = ((care_of("c"), INTERNAL, "4"), (HOME, CORRESPONDENT, "1"))
    back = ((INTERNAL, care_of("c"), "4"), (CORRESPONDENT, HOME, "1"))
    expect(out in seen and back in seen, str(seen))
    expect(all(len(one) == 2 for one in seen if one[-1][2] == "1"), f"native: {seen}")


@case
def N8_S2_28_mode_cvc_three_layers_and_nothing_in_the_clear(net):
    net.start()
    net.start_mobile_node()
    capture = listen(net, "a")
    net.plug("a")
    status = wait_mode(net, "a")
    expect([layer.split()[0] for layer in status["layers"]] ==
           [f"{care_of('a')}>{EXTERNAL}", f"{EXTERNAL_HOME}>{GATEWAY}", f"{INNER}>{INTERNAL}",
            f"{HOME}>any"], str(status["layers"]))
    expect_both_ways(net)
    capture.wait_for("esp")
    seen = stacks(capture)
    out = ((care_of("a"), EXTERNAL, "4"), (EXTERNAL_HOME, GATEWAY, "50"))
    expect(out in seen, str(seen))
    expect(not any(HOME in header[:2] for one in seen for header in one), f"in the clear: {seen}")


@case
def S2_60_both_requests_go_out_at_once_and_their_authenticators_are_right(net):
    net.start()
    net.start_mobile_node()
    capture = listen(net, "a")
    net.plug("a")
    wait_mode(net, "a")
    capture.wait_for("mip.type == 1", 2)
    rows = capture.tshark(["mip.haaddr", "mip.coa", "mip.homeaddr", "mip.flags", "udp.payload",
                           "frame.time_epoch"], "mip.type == 1", keys=False)
    first = {}
    for row in rows:
        first.setdefault(row["mip.haaddr"], row)
        message = bytes.fromhex(row["udp.payload"].replace(":", ""))
        name, spi = {INTERNAL: ("internal.key", SPI_INTERNAL),
                     EXTERNAL: ("external.key", SPI_EXTERNAL)}[row["mip.haaddr"]]
        key = Key(spi, (net.lab.directory / name).read_text().strip())
        # RFC 5944 section 3.5.1: everything before the authenticator, its type, length and SPI too.
        expect(message[-22:-16] == struct.pack("!BBI", MOBILE_HOME, 20, spi), message.hex())
        expect(message[-16:] == key.digest(message[:-16]), f"authenticator: {message.hex()}")
    expect(set(first) == {INTERNAL, EXTERNAL}, str(rows))
    times = [float(row["frame.time_epoch"]) for row in first.values()]
    expect(abs(times[0] - times[1]) < 0.5, f"not at once: {times}")
    expect({row["mip.homeaddr"] for row in first.values()} == {HOME, EXTERNAL_HOME}, str(rows))
    expect({row["mip.coa"] for row in first.values()} == {care_of("a")}, str(rows))


@case
def N8_S2_34_behind_a_nat_the_external_tunnel_is_udp(net):
    status = begin(net, "n")
    outer = status["interfaces"][-1]["registrations"] if len(status["interfaces"]) == 1 else \
        next(one for one in status["interfaces"] if one["name"] == "n")["registrations"]
    expect(outer["external"]["udp"], str(outer))
    expect_both_ways(net)


@case
def N7_S2_26_mode_f_native_to_the_foreign_agent(net):
    status = begin(net, "f", agents=True)
    expect(status["overhead"] == 0, str(status))
    capture = listen(net, "f")
    expect_both_ways(net)
    capture.wait_for("icmp.type == 0")
    seen = stacks(capture)
    expect(((HOME, CORRESPONDENT, "1"),) in seen, str(seen))


@case
def N9_S2_31_mode_fvc_esp_native_to_the_foreign_agent(net):
    begin(net, "x", agents=True)
    capture = listen(net, "x")
    expect_both_ways(net)
    capture.wait_for("esp")
    seen = stacks(capture)
    expect(((EXTERNAL_HOME, GATEWAY, "50"),) in seen, str(seen))
    expect(not any(HOME in header[:2] for one in seen for header in one), f"in the clear: {seen}")


@case
def S2_85_S2_37_a_tour_of_all_modes_with_a_connection_that_lives(net):
    begin(net, "c", agents=True)
    lab = net.lab
    lab.start("cn", ["/usr/bin/python3", "-c", textwrap.dedent(ECHO)], "echo")
    captures = [listen(net, name) for name in ("a", "n", "x")]
    talk = lab.start("mn", ["/usr/bin/python3", "-c", textwrap.dedent(TALK), HOME, CORRESPONDENT],
                     "talk")
    talk.wait_for_output("20\n", 20)

    def goes_on():
        before = talk.output().count("\n")
        wait_until(lambda: talk.output().count("\n") > before + 20 or not talk.running(), 40,
                   f"the connection goes on: {net.mn()}")
        expect(talk.running() and "wrong" not in talk.output(), talk.output()[-200:])
    here = "c"
    for there in ("f", "a", "n", "x", "c"):
        associations = net.mn()["security_associations"]
        net.move(here, there)
        wait_mode(net, there, 30)
        goes_on()
        if there in ("n", "x"):  # S2.37: a move outside changes no SA
            expect([one["spi"] for one in net.mn()["security_associations"]] ==
                   [one["spi"] for one in associations], "other SAs")
        here = there
    for handover in net.mn()["handovers"]:
        print(f"    {handover}")
    for capture in captures:
        for one in stacks(capture):
            expect(not any(HOME in header[:2] for header in one), f"in the clear: {one}")


@case
def S2_50_silence_of_the_internal_home_agent_stops_both_directions(net):
    begin(net, "c")
    expect_both_ways(net)
    # Registrations are lost, data would get through.
    net.lab.run("core", ["nft", "-f", "-"], stdin="""table ip lose {
    chain forward {
        type filter hook forward priority 0;
        udp dport 434 drop
    }
}
""")
    status = wait_until(lambda: (s := net.mn()) and s["mode"] == "none" and s, 45, "T_MONITOR")
    expect(status["interfaces"][0]["state"] in ("stale", "detect"), str(status))
    expect(not net.ping("mn", CORRESPONDENT, 2), "data after T_MONITOR")
    expect(not net.ping("cn", HOME, 2), "data after T_MONITOR, to the node")
    net.lab.run("core", ["nft", "delete", "table", "ip", "lose"])
    wait_mode(net, "c", 40)
    expect_both_ways(net)


@case
def S2_96_native_packets_to_the_home_address_are_not_taken_outside(net):
    begin(net, "a")
    received = net.mn()["counters"].get("mn.tun.delivered", 0)
    # Somebody on the visited link has a route to the home address by our care-of address.
    net.lab.ip("inet", f"route add {HOME}/32 via {care_of('a')} dev a")
    net.lab.run("inet", ["nft", "flush", "ruleset"])
    expect(not net.ping("inet", HOME, 3), "the kernel answers in the clear")
    expect(net.mn()["counters"].get("mn.tun.delivered", 0) == received, "delivered in the clear")


@case
def S2_96_nor_with_several_interfaces_nor_after_a_crash(net):
    begin(net, "a")
    net.plug("n")
    wait_until(lambda: sum(row["state"] == "outside" for row in net.mn()["interfaces"]) == 2, 20,
               f"two interfaces; {net.mn()}")
    # A stranger on each visited link has a route to the home address by our care-of address.
    for namespace, device, network in (("inet", "a", "a"), ("nat", "in", "n")):
        net.lab.ip(namespace, f"route add {HOME}/32 via {care_of(network)} dev {device}")
    net.lab.run("inet", ["nft", "flush", "ruleset"])

    def is_kept_out():
        return not net.ping("inet", HOME, 2) and not net.ping("nat", HOME, 2)
    table = "homeport_mn_homeport0"
    expect(is_kept_out(), "the kernel answers in the clear")
    expect(table in net.lab.run("mn", ["nft", "list", "tables"]), "our table")
    # A process that is killed leaves it: the home address is still there, and so is the danger.
    net.mobile_node.signal(signal.SIGKILL)
    net.mobile_node.wait()
    expect(is_kept_out(), "in the clear after a crash")
    net.start_mobile_node()
    wait_mode(net, "n")  # the last one that got a default route
    rules = net.lab.run("mn", ["nft", "list", "table", "ip", table])
    expect(rules.count("counter packets") == 1, f"once: {rules}")
    expect(is_kept_out(), "in the clear after a new start")
    net.mobile_node.stop()
    expect(table not in net.lab.run("mn", ["nft", "list", "tables"]), "gone with the process")


@case
def S2_50_without_nft_the_reverse_path_filter_does_what_it_can(net):
    net.start()
    # Neither in PATH nor where systems have it.
    script = "mount -t tmpfs none /usr/sbin && exec \"$@\""
    net.mobile_node = net.lab.start(
        "mn", ["unshare", "-m", "sh", "-c", script, "sh", net.program("homeport-mn"), "--config",
               net.mn_config], name="homeport-mn")
    net.wait_mobile_node()
    net.plug("a")
    wait_mode(net, "a")
    expect("kept out by the reverse path filter only" in net.mobile_node.output(), "it says so")
    net.lab.ip("inet", f"route add {HOME}/32 via {care_of('a')} dev a")
    net.lab.run("inet", ["nft", "flush", "ruleset"])
    expect(not net.ping("inet", HOME, 3), "the kernel answers in the clear")


@case
def a_mobile_node_that_ends_deregisters(net):
    begin(net, "a")
    wait_until(lambda: len(net.hactl("show", "mip4-bindings")["bindings"]) == 2, 10, "two bindings")
    expect(net.mobile_node.stop() == 0, "exit status")
    wait_until(lambda: not net.hactl("show", "mip4-bindings")["bindings"], 10, "no bindings")
    rules = net.lab.ip("mn", "rule show")
    expect("4191" not in rules, rules)


if __name__ == "__main__":
    main(VpnNetwork)

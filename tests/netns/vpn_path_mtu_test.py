#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""VPN clients behind narrow links: a router outside says what fits, the gateway tells those inside
(RFC 4301 section 8.2), natively and in UDP 4500.
"""
from cases import case, expect, main
from lab import wait_until
from signalling_capture import ASSOCIATIONS, Capture
from vpn_client import balance, counter, steps
from vpn_network import CORRESPONDENT, GATEWAY, INNER, NETWORKS, SPI_VPN_OUT, VpnNetwork

ASSOCIATIONS.clear()  # no ESP is opened here
NARROW = 1290
# A router that is none: an ICMP error about ESP to `client`, with the SPI given.
FORGER = """
import sys
from scapy.all import ICMP, IP, Raw, send
gateway, client, spi, mtu = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
quoted = IP(src=gateway, dst=client, proto=50, len=1468, flags="DF") / Raw(
    spi.to_bytes(4, "big") + bytes(4))
send(IP(dst=gateway) / ICMP(type=3, code=4, nexthopmtu=mtu) / quoted, verbose=False)
"""


def fits(path, udp):
    """The largest packet inside: AES-CBC and HMAC-SHA1-96 in whole blocks, less the trailer."""
    room = path - (8 if udp else 0) - 20 - 8 - 16 - 12
    return room // 16 * 16 - 2


def start(net, network):
    """A client that is no mobile node: its SA ends at its own address."""
    net.client_outer = NETWORKS[network][0].partition("/")[0]
    net.gateway_extra = "    networks: [10.1.9.0/24]"
    net.start()
    net.plug(network)
    net.lab.run("mn", ["ping", "-c", "1", "-W", "3", "203.0.113.2"], check=False)


def told(net, size):
    """Whether the correspondent hears that `size` octets are too many."""
    answer = net.lab.run("cn", ["ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", size - 28,
                                INNER], check=False)
    return "Frag needed" in answer.stdout or "message too long" in answer.stdout + answer.stderr


def expect_learnt(net, device, wanted, display):
    wait_until(lambda: told(net, 1380), 15, f"the correspondent is told: "
               f"{net.hactl('show', 'drops')}")
    route = net.lab.ip("cn", f"route get {INNER}")
    expect(f"mtu {wanted}" in route, f"expected {wanted}: {route}")
    expect(counter(net, "vpn.path_mtu") == 1, "learnt once")
    capture = Capture(net.lab, "mn", device, "ip")
    expect(not told(net, wanted), "what fits is let pass")
    capture.wait_for(display)
    rows = capture.tshark(["ip.len", "ip.flags.mf", "ip.frag_offset"], display)
    capture.stop()
    expect(all(int(row["ip.len"]) <= NARROW and row["ip.frag_offset"] == "0" for row in rows),
           f"on the narrow link: {rows}")


@case
def RFC4301_8_2_S2_22_a_narrow_path_to_a_client_is_learnt_from_a_router(net):
    start(net, "a")
    net.lab.ip("inet", f"link set dev a mtu {NARROW}")
    client = net.client_outer
    # What nobody sent: another SPI, another address. And what nobody could mean.
    forge = lambda *what: net.lab.run(  # noqa: E731
        "inet", ["/usr/bin/python3", "-c", FORGER, GATEWAY, *what])
    forge(client, SPI_VPN_OUT + 1, 600)
    forge("198.51.100.77", SPI_VPN_OUT, 600)
    wait_until(lambda: counter(net, "icmp.ptb_foreign") == 2, 5, "both are nobody's")
    expect(counter(net, "vpn.path_mtu") == 0, "and nothing is learnt")
    expect_learnt(net, "a", fits(NARROW, False), "esp")
    forge(client, SPI_VPN_OUT, 68)
    wait_until(lambda: counter(net, "vpn.path_mtu") == 2, 5, "less")
    capture = Capture(net.lab, "cn", "eth0", "icmp")
    wait_until(lambda: told(net, 700), 10, "the correspondent is told")
    capture.wait_for("icmp.code == 4")
    capture.stop()
    mtus = {row["icmp.mtu"] for row in capture.tshark(["icmp.mtu"], "icmp.code == 4")}
    expect(mtus == {str(fits(576, False))}, f"there is an end to it: {mtus}")
    balance(net)


@case
def RFC4301_8_2_S2_35_the_same_behind_a_nat_in_udp_4500(net):
    start(net, "n")
    outer = net.client_outer
    answers, = steps(net, {"do": "ping", "to": CORRESPONDENT, "without_internal": True,
                           "without_external": True, "esp_udp": True, "source": INNER},
                     device="n", care_of=outer, outer=outer)
    expect(len(answers) == 3, f"the way back is learnt: {answers} {net.hactl('show', 'drops')}")
    net.lab.ip("inet", f"link set dev nat mtu {NARROW}")
    expect_learnt(net, "n", fits(NARROW, True), "udp.srcport == 4500")
    balance(net)


@case
def RFC4301_8_2_messages_that_no_sa_vouches_for_can_be_left_alone(net):
    net.controlplane_extra += "  policy: {believe_packet_too_big: off}\n"
    start(net, "a")
    net.lab.ip("inet", f"link set dev a mtu {NARROW}")
    wait_until(lambda: told(net, 1380) or counter(net, "icmp.ptb_ignored") >= 2, 15, "messages")
    expect(counter(net, "vpn.path_mtu") == 0, "nothing is learnt")
    balance(net)


main(VpnNetwork)

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Mobile IPv4 home agents, three roles in one process: registration against messages that are built
and checked by hand (mip4_messages.py), on real wires, read by tshark."""
import os
import pathlib
import signal
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import wait_until  # noqa: E402
from mip4_messages import (D, FOREIGN_HOME, G, M, NAI, NTP_OF_UNIX, S, T, TRUSTED, UDP_REPLY,  # noqa: E402
                           MOBILE_HOME, REVOCATION_SUPPORT, Key, acknowledgement, critical_vendor,
                           extension, identification, nai, normal_vendor, request,
                           revocation_support, udp_request)
from mip4_network import (ALICE, BEHIND_NAT, EXTERNAL, EXTERNAL_ALICE, FOREIGN_AGENT,  # noqa: E402
                          HOME_BROADCAST, INSIDE, INTERNAL, NAT_OUTSIDE, PLAIN, PLAIN_ALICE,
                          RANGE_COUNT, UNTRUSTED, VISITED, VISITED2, Mip4Network)
from signalling_capture import Capture  # noqa: E402


def register(net, home, agent, care_of, namespace="inet", key=None, **more):
    """A registration with a co-located care-of address; the reply or nothing."""
    message = (key or net.alice).seal(request(home, agent, care_of, **more))
    return net.send(namespace, care_of, agent, message)


def only(rows, **fields):
    expect(len(rows) == 1, f"one binding expected: {rows}")
    for name, value in fields.items():
        expect(rows[0][name] == value, f"{name}: {rows[0][name]!r}, expected {value!r}")


@case
def P28_each_role_registers_its_nodes_and_tshark_reads_what_they_say(net):
    net.start()
    captures = {name: Capture(net.lab, *place, "udp port 434")
                for name, place in (("inet", ("inet", "t-wan")), ("home", ("home", "t-home")))}
    for home, agent, care_of, namespace, capture in (
            (PLAIN_ALICE, PLAIN, VISITED, "inet", "inet"),
            (EXTERNAL_ALICE, EXTERNAL, VISITED, "inet", "inet"),
            (ALICE, INTERNAL, INSIDE, "home", "home")):
        ident = identification()
        reply = register(net, home, agent, care_of, namespace, ident=ident, lifetime=123)
        expect(reply is not None, f"no reply from {agent}")
        expect(reply.code == 0 and reply.lifetime == 123, f"{reply.code} {reply.lifetime}")
        expect((reply.home, reply.agent, reply.ident) == (home, agent, ident), str(vars(reply)))
        expect(reply.is_sealed_by(net.alice), f"not sealed: {reply.message.hex()}")
        # S2.92: before the authentication, by the internal one only.
        expect(reply.types() == ([TRUSTED, MOBILE_HOME] if agent == INTERNAL else [MOBILE_HOME]),
               str(reply.types()))
        only(net.mip4_bindings(home), care_of_address=care_of, tunnel_end=care_of,
             encapsulation="ip-in-ip", flags="DT", lifetime=123)
        captures[capture].wait_for(f"mip.type == 3 && mip.homeaddr == {home}")
        rows = captures[capture].tshark(
            ["mip.type", "mip.flags", "mip.life", "mip.homeaddr", "mip.haaddr", "mip.coa",
             "mip.code", "udp.checksum.status", "ip.src", "ip.dst", "udp.srcport", "udp.dstport",
             "mip.ext.type", "_ws.malformed"], f"mip && mip.homeaddr == {home}", every=True)
        expect([row["mip.type"] for row in rows] == ["1", "3"], str(rows))
        asked, answered = rows
        expect((asked["mip.life"], asked["mip.coa"], asked["mip.haaddr"]) ==
               ("123", care_of, agent), str(asked))
        expect((answered["mip.code"], answered["mip.life"], answered["mip.haaddr"]) ==
               ("0", "123", agent), str(answered))
        expect((answered["ip.src"], answered["ip.dst"], answered["udp.srcport"],
                answered["udp.dstport"]) == (agent, care_of, "434", "434"), str(answered))
        expect(answered["udp.checksum.status"] == "1", f"checksum: {answered}")
        expect(not answered["_ws.malformed"], str(answered))
    for capture in captures.values():
        capture.stop()
    expect(net.hactl("show", "status")["bindings"]["mip4"] == 3, "three home addresses bound")
    wait_until(net.balance, 5, "received = forwarded + delivered + dropped")


@case
def S2_81_S2_83_S2_91_what_comes_the_wrong_way_is_met_with_silence(net):
    net.start()
    silent = [
        ("inet", VISITED, INTERNAL, ALICE, "internal", "iha.rrq.from_outside"),
        ("home", UNTRUSTED, INTERNAL, ALICE, "internal", "iha.rrq.untrusted"),
        ("home", INSIDE, EXTERNAL, EXTERNAL_ALICE, "external", "xha.rrq.from_inside"),
    ]
    capture = Capture(net.lab, "inet", "t-wan", "udp port 434 or icmp")
    for namespace, source, agent, home, name, counter in silent:
        message = net.alice.seal(request(home, agent, source))
        expect(net.send(namespace, source, agent, message, wait=1) is None,
               f"{agent} answered {source}")
        expect(net.counter(name, counter) == 1, f"{counter}: {net.mip4_agents()[name]}")
    # From inside, by the same way, the internal one answers; the plain one does not care.
    expect(register(net, ALICE, INTERNAL, INSIDE, "home").code == 0, "inside, trusted")
    expect(register(net, PLAIN_ALICE, PLAIN, INSIDE, "home").code == 0, "plain, from inside")
    capture.stop()
    told = capture.tshark(["frame.number"], f"ip.src == {INTERNAL} || (icmp && ip.dst == {VISITED})")
    expect(told == [], f"the outside was told something: {told}")
    log = net.controlplane.output()
    expect(log.count("HP-CP-0084") == 3, "each is logged (S2.91)")


@case
def mipv4_4_requests_that_get_no_answer(net):
    net.start()
    stranger = Key(256, "00" * 15 + "01")
    message = request(PLAIN_ALICE, PLAIN, VISITED)
    # RFC 5944 3.8.2.1; the source address is checked, too.
    for what, payload, counter in (
            ("no authentication", message, "mip4.rrq.no_auth"),
            ("an unknown node", stranger.seal(request("198.18.1.77", PLAIN, VISITED)),
             "mip4.rrq.no_sa"),
            ("an unknown extension below 128",
             net.alice.seal(request(PLAIN_ALICE, PLAIN, VISITED, extensions=extension(99, b"x"))),
             "mip4.rrq.malformed"),
            ("a length that lies", net.alice.seal(message)[:-3], "mip4.rrq.malformed"),
            ("a header cut off", message[:20], "mip4.rrq.malformed"),
            ("a stranger's foreign agent authentication",
             stranger.seal(net.alice.seal(message), FOREIGN_HOME), "mip4.rrq.fa_unknown"),
            ("a registration reply", struct.pack("!BBH4s4sQ", 3, 0, 0, bytes(4), bytes(4), 0),
             "mip4.rrq.unexpected")):
        before = net.counter("plain", counter)
        expect(net.send("inet", VISITED, PLAIN, payload, wait=0.5) is None, f"{what}: answered")
        expect(net.counter("plain", counter) == before + 1,
               f"{what}: {counter} {before}: {net.mip4_agents()['plain']['counters']}")
    expect(net.mip4_bindings() == [], "nothing is bound")


@case
def mipv4_3_each_reply_code_on_the_wire(net):
    net.more_of["external"] = "      reverse_tunnel: on\n"
    net.more_of["internal"] = "      reverse_tunnel: off\n      gre: off\n      minimal: off\n"
    net.start()

    def code(home, agent, key=None, namespace="inet", source=VISITED, more=None, **fields):
        fields.setdefault("flags", D | T)
        payload = (key or net.alice).seal(request(home, fields.pop("field", agent), fields.pop(
            "care_of", source), **fields))
        reply = net.send(namespace, source, agent, more(payload) if more else payload)
        expect(reply is not None, f"no reply from {agent}: {fields}")
        sealed_by = net.alice if key is None or key.spi in (256, 999) else key
        expect(reply.is_sealed_by(sealed_by), f"code {reply.code}: not sealed")
        return reply.code
    wrong = Key(256, "0123456789abcdef" * 2)
    unknown_spi = Key(999, "0123456789abcdef" * 2)
    by_agent = {"source": FOREIGN_AGENT, "care_of": FOREIGN_AGENT, "flags": T}
    # Each with its code; what they are is the table of section 3.
    expected = [
        (0, lambda: code(PLAIN_ALICE, PLAIN)),
        (1, lambda: code(EXTERNAL_ALICE, EXTERNAL, flags=S | D | T)),
        (129, lambda: code("198.18.1.102", PLAIN)),
        (131, lambda: code(PLAIN_ALICE, PLAIN, key=wrong)),
        (131, lambda: code(PLAIN_ALICE, PLAIN, key=unknown_spi)),
        (132, lambda: code(PLAIN_ALICE, PLAIN, **by_agent)),
        (132, lambda: code(PLAIN_ALICE, PLAIN, **by_agent,
                           more=lambda p: Key(500, "0123456789abcdef" * 2).seal(p, FOREIGN_HOME))),
        (0, lambda: code(PLAIN_ALICE, PLAIN, **by_agent,
                         more=lambda p: net.agent_key.seal(p, FOREIGN_HOME))),
        (133, lambda: code(PLAIN_ALICE, PLAIN, ident=identification(-60))),
        (134, lambda: code(PLAIN_ALICE, PLAIN, flags=T, extensions=udp_request())),
        (134, lambda: code(PLAIN_ALICE, PLAIN, care_of=PLAIN_ALICE)),
        (136, lambda: code(PLAIN_ALICE, PLAIN, field="198.51.100.9")),
        (136, lambda: code(PLAIN_ALICE, PLAIN, field="0.0.0.0")),
        (137, lambda: code(ALICE, INTERNAL, namespace="home", source=INSIDE)),
        (138, lambda: code(EXTERNAL_ALICE, EXTERNAL, flags=D)),
        (139, lambda: code(ALICE, INTERNAL, namespace="home", source=INSIDE, flags=D | G)),
        (139, lambda: code(PLAIN_ALICE, PLAIN, flags=D | T | M)),
        (0, lambda: code(PLAIN_ALICE, PLAIN, flags=D | T | M | G)),
        (140, lambda: code(PLAIN_ALICE, PLAIN, extensions=critical_vendor())),
        (141, lambda: code(PLAIN_ALICE, PLAIN, more=lambda p: p + critical_vendor())),
        (142, lambda: code(PLAIN_ALICE, PLAIN, care_of="10.99.0.1",
                           extensions=udp_request(encapsulation=55))),
        (129, lambda: code(PLAIN_ALICE, PLAIN, extensions=udp_request(forced=True))),
        (129, lambda: code(PLAIN_ALICE, PLAIN, extensions=udp_request(by_foreign_agent=True))),
        # What may be skipped is.
        (0, lambda: code(PLAIN_ALICE, PLAIN, extensions=normal_vendor() + extension(200, b"abc"))),
        (0, lambda: code(PLAIN_ALICE, PLAIN, extensions=udp_request(reserved=1))),
        # RFC 5944 section 3.6.1: r and x are ignored.
        (0, lambda: code(PLAIN_ALICE, PLAIN, flags=D | T | 0x05)),
        # Two bindings at a time are all (S); a third is refused.
        (0, lambda: code(PLAIN_ALICE, PLAIN)),
        (0, lambda: code(PLAIN_ALICE, PLAIN, care_of=VISITED2, flags=S | D | T)),
        (135, lambda: code(PLAIN_ALICE, PLAIN, care_of="198.51.100.4", flags=S | D | T)),
    ]
    for number, (wanted, attempt) in enumerate(expected):
        got = attempt()
        expect(got == wanted, f"attempt {number}: code {got}, expected {wanted}")
    expect(len(net.mip4_bindings(PLAIN_ALICE)) == 2, f"{net.mip4_bindings(PLAIN_ALICE)}")
    refused = net.mip4_agents()["plain"]["counters"]
    for wanted in (129, 131, 132, 133, 134, 135, 136, 139, 140, 141, 142):
        expect(refused.get(f"mip4.rrq.code_{wanted}", 0) >= 1, f"code_{wanted}: {refused}")
    expect("refused with code 131" in net.controlplane.output(), "a security exception is logged")


@case
def RFC5944_5_7_clocks_are_told_and_old_requests_are_not_taken_again(net):
    net.start()
    skewed = identification(-3600)
    reply = register(net, PLAIN_ALICE, PLAIN, VISITED, ident=skewed)
    expect(reply.code == 133, f"code {reply.code}")
    expect(reply.ident & 0xffffffff == skewed & 0xffffffff, "the low half is that of the request")
    ours = (reply.ident >> 32) - NTP_OF_UNIX
    expect(abs(ours - time.time()) < 5, f"our time {ours}, it is {time.time()}")
    ident = identification()
    message = net.alice.seal(request(PLAIN_ALICE, PLAIN, VISITED, ident=ident))
    expect(net.send("inet", VISITED, PLAIN, message).code == 0, "a good one")
    expect(net.send("inet", VISITED, PLAIN, message).code == 133, "replayed at once")
    # The binding goes, the control plane goes; what it saw last stays.
    net.hactl("clear", "mip4-binding", PLAIN_ALICE)
    expect(net.mip4_bindings() == [], "cleared")
    expect(net.send("inet", VISITED, PLAIN, message).code == 133, "replayed without a binding")
    expect(register(net, EXTERNAL_ALICE, EXTERNAL, VISITED).code == 0, "another home agent")
    os.kill(net.controlplane.pid, signal.SIGKILL)
    net.controlplane.wait()
    net.start_controlplane()
    expect(net.send("inet", VISITED, PLAIN, message).code == 133, "replayed after a crash")
    only(net.mip4_bindings(), home_address=EXTERNAL_ALICE, care_of_address=VISITED)
    expect(register(net, PLAIN_ALICE, PLAIN, VISITED).code == 0, "a new one after the crash")


@case
def RFC5944_5_7_2_nonces(net):
    net.start()

    def ask(ident):
        return register(net, "198.18.1.101", PLAIN, VISITED, key=net.nina, ident=ident)
    first = ask(0x1111111122222222)
    expect(first.code == 133, f"nobody knows a nonce yet: {first.code}")
    expect(first.ident & 0xffffffff == 0x22222222, f"{first.ident:x}")
    second = ask(first.ident >> 32 << 32 | 1)
    expect(second.code == 0, f"with our nonce: {second.code}")
    expect(ask(first.ident >> 32 << 32 | 2).code == 133, "a nonce is good for one request")
    net.controlplane.stop()
    net.start_controlplane()
    third = ask(0)
    expect(ask(third.ident >> 32 << 32 | 3).code == 0, "after a restart")


@case
def RFC2794_home_addresses_from_the_pool_by_identifier(net):
    eve = net.key("eve", 303)
    net.plain_nodes = ("        - {name: eve, nai: eve@example.com, "
                       "associations: [{spi: 303, key_file: eve.key}]}\n")
    net.start()

    def ask(name, key, home="0.0.0.0", care_of=VISITED, **more):
        return register(net, home, PLAIN, care_of, key=key, extensions=nai(f"{name}@example.com"),
                        **more)
    bob, dan = ask("bob", net.bob), ask("dan", net.dan)
    expect((bob.code, dan.code) == (0, 0), f"{bob.code} {dan.code}")
    expect({bob.home, dan.home} == {"198.18.1.200", "198.18.1.201"}, f"{bob.home} {dan.home}")
    expect(bob.is_sealed_by(net.bob) and dan.is_sealed_by(net.dan), "SHA-1 and SHA-256 by SPI")
    expect(bob.data(NAI) == b"bob@example.com", f"{bob.types()}")
    expect(ask("eve", eve).code == 130, "the pool has two addresses")
    expect(ask("bob", net.bob).home == bob.home, "the same again")
    expect(ask("bob", net.bob, home=bob.home).code == 0, "by its address, too")
    expect(ask("bob", net.bob, home=dan.home).code == 131, "not another's")
    net.controlplane.stop()
    net.start_controlplane()
    expect(ask("bob", net.bob).home == bob.home, "and after a restart")
    # Deregistered, the address is free for the other one only.
    expect(ask("bob", net.bob, home=bob.home, care_of=VISITED, lifetime=0).code == 0, "leaves")
    expect(len(net.mip4_bindings()) == 1, f"{net.mip4_bindings()}")
    expect(net.mip4_bindings()[0]["from_pool"], "of the pool")
    expect(ask("eve", eve).home == bob.home, "and is given to her")


@case
def mipv4_5_lifetimes_simultaneous_bindings_and_deregistration(net):
    net.start()
    expect(register(net, PLAIN_ALICE, PLAIN, VISITED, lifetime=65535).lifetime == 600, "maximum")
    second = register(net, PLAIN_ALICE, PLAIN, VISITED2, flags=S | D | T, lifetime=2)
    expect((second.code, second.lifetime) == (0, 2), f"{second.code} {second.lifetime}")
    rows = net.mip4_bindings(PLAIN_ALICE)
    expect({row["care_of_address"] for row in rows} == {VISITED, VISITED2}, str(rows))
    wait_until(lambda: len(net.mip4_bindings(PLAIN_ALICE)) == 1, 10, "the short one ends by itself")
    only(net.mip4_bindings(PLAIN_ALICE), care_of_address=VISITED)
    expect(net.counter("plain", "mip4.binding.expired") == 1, "counted")
    # One that is not bound is let go without a word; then the real one.
    expect(register(net, PLAIN_ALICE, PLAIN, VISITED2, lifetime=0).code == 0, "not bound")
    expect(len(net.mip4_bindings(PLAIN_ALICE)) == 1, "still there")
    expect(register(net, PLAIN_ALICE, PLAIN, VISITED, lifetime=0).code == 0, "one")
    expect(net.mip4_bindings() == [], "gone")
    # All of them at once: the care-of address is the home address.
    for care_of in (VISITED, VISITED2):
        register(net, PLAIN_ALICE, PLAIN, care_of, flags=S | D | T)
    expect(len(net.mip4_bindings(PLAIN_ALICE)) == 2, "two again")
    message = net.alice.seal(request(PLAIN_ALICE, PLAIN, PLAIN_ALICE, lifetime=0, flags=0))
    expect(net.send("inet", VISITED, PLAIN, message).code == 0, "all")
    expect(net.mip4_bindings() == [], "none is left")
    wait_until(lambda: net.hactl("show", "status")["data_plane"]["bindings"] == 0, 5,
               "the data plane's are gone, too")


@case
def S2_123_RFC3519_behind_a_nat_the_tunnel_goes_to_the_address_that_is_seen(net):
    net.start()
    lab = net.lab
    lab.ip("mn", "route add default via 10.77.0.1")
    capture = Capture(lab, "inet", "t-wan", "udp port 434")

    def ask(port, forced=False):
        message = net.alice.seal(request(PLAIN_ALICE, PLAIN, BEHIND_NAT,
                                         extensions=udp_request(forced)))
        return net.send("mn", BEHIND_NAT, PLAIN, message, port=port)
    reply = ask(5000)
    expect(reply.code == 0, f"code {reply.code}")
    # Code 0, no F, keepalives of 110 s; before the authentication, and a short lifetime (5.2).
    expect(reply.types() == [UDP_REPLY, MOBILE_HOME], str(reply.types()))
    expect(struct.unpack("!BBHH", reply.data(UDP_REPLY)) == (0, 0, 0, 110),
           reply.data(UDP_REPLY).hex())
    expect(reply.lifetime == 300, f"{reply.lifetime}")
    expect(reply.is_sealed_by(net.alice), "sealed")
    row = net.mip4_bindings(PLAIN_ALICE)[0]
    expect(row["encapsulation"] == "udp/ip-in-ip" and row["tunnel_end"].startswith(NAT_OUTSIDE),
           str(row))
    expect(row["care_of_address"] == BEHIND_NAT and row["keepalive"] == 110, str(row))
    # Another port of it is a move, which is told (S2.123).
    expect(ask(5001).code == 0, "from another port")
    after = net.mip4_bindings(PLAIN_ALICE)[0]
    expect(after["tunnel_end"] != row["tunnel_end"], str(after))
    expect(f"its tunnel ended at {NAT_OUTSIDE} port" in net.controlplane.output(), "logged")
    # Without a NAT on the way UDP is declined, and still a binding made.
    plain = register(net, EXTERNAL_ALICE, EXTERNAL, VISITED, extensions=udp_request())
    expect(plain.code == 0 and plain.data(UDP_REPLY)[1] == 64, f"{plain.types()}")
    only(net.mip4_bindings(EXTERNAL_ALICE), encapsulation="ip-in-ip", tunnel_end=VISITED)
    capture.wait_for("mip.type == 3", 3)
    capture.stop()
    rows = capture.tshark(["mip.ext.utrp.code", "mip.ext.utrp.keepalive", "_ws.malformed"],
                          "mip.type == 3")
    expect([row["mip.ext.utrp.code"] for row in rows] == ["0", "0", "64"], str(rows))


@case
def RFC5944_4_6_the_home_link_learns_who_has_the_address(net):
    net.start()
    lab = net.lab
    capture = Capture(lab, "home", "br0", "arp or udp port 434 or icmp")
    lab.ip("mn", "addr add 192.0.2.100/24 dev home")
    lab.ip("mn", "link set dev home down")
    expect(register(net, ALICE, INTERNAL, INSIDE, "home").code == 0, "registers from inside")
    port_mac = lab.run("ha", ["cat", "/sys/class/net/hp-home0/address"]).strip()

    def announcements(mac):
        return capture.tshark(["frame.time_relative", "arp.src.hw_mac"],
                              f"arp.isgratuitous == 1 && arp.src.proto_ipv4 == {ALICE} && "
                              f"eth.src == {port_mac} && arp.src.hw_mac == {mac}")
    wait_until(lambda: len(announcements(port_mac)) >= 3, 10, "three announcements of ours")
    # At home again: it asks from its home address, and the answer goes to it, whatever is bound.
    lab.ip("mn", "link set dev home up")
    mac = lab.run("mn", ["cat", "/sys/class/net/home/address"]).strip()
    old = net.alice.seal(request(ALICE, INTERNAL, ALICE, lifetime=0, flags=0, ident=5))
    refused = net.send("mn", ALICE, INTERNAL, old)
    expect(refused is not None and refused.code == 133, "refused at home, and told there")
    only(net.mip4_bindings(), home_address=ALICE, care_of_address=INSIDE)
    leaving = net.alice.seal(request(ALICE, INTERNAL, ALICE, lifetime=0, flags=0))
    reply = net.send("mn", ALICE, INTERNAL, leaving)
    expect(reply is not None and reply.code == 0, f"{reply and reply.code}")
    expect(reply.types() == [TRUSTED, MOBILE_HOME], str(reply.types()))
    expect(net.mip4_bindings() == [], "deregistered")
    wait_until(lambda: len(announcements(mac)) >= 3, 10, "three announcements of the node's")
    capture.stop()
    answers = capture.tshark(["eth.dst", "ip.ttl"], f"mip.type == 3 && ip.dst == {ALICE}")
    expect([row["eth.dst"] for row in answers] == [mac, mac], str(answers))
    expect(net.ping("home", ALICE, 3), "the neighbours reach it at home")


@case
def RFC5944_3_6_1_2_a_home_agent_that_is_looked_for_tells_its_address(net):
    net.start()
    message = net.alice.seal(request(ALICE, HOME_BROADCAST, INSIDE))
    reply = net.send("home", INSIDE, HOME_BROADCAST, message, broadcast=True, device="br0")
    expect(reply is not None, "no reply to a broadcast")
    expect((reply.code, reply.agent) == (136, INTERNAL), f"{reply.code} {reply.agent}")
    expect(net.mip4_bindings() == [], "nothing was bound")


@case
def RFC5944_2_3_the_home_agent_advertises_itself_on_its_home_link(net):
    net.start()
    lab = net.lab
    capture = Capture(lab, "home", "br0", "icmp")
    fields = ["ip.src", "ip.dst", "ip.ttl", "eth.dst", "icmp.mip.h", "icmp.mip.f", "icmp.mip.seq",
              "icmp.mip.life", "icmp.checksum.status"]
    wait_until(lambda: len(capture.tshark(fields, "icmp.type == 9")) >= 2, 15, "advertisements")
    rows = capture.tshark(fields, "icmp.type == 9")
    for row in rows:
        expect((row["ip.src"], row["ip.ttl"], row["icmp.checksum.status"]) == (INTERNAL, "1", "1"),
               str(row))
        expect(row["icmp.mip.h"] in ("1", "True") and row["icmp.mip.f"] in ("0", "False"), str(row))
        expect(row["icmp.mip.life"] == "600", str(row))
    expect(int(rows[1]["icmp.mip.seq"]) == int(rows[0]["icmp.mip.seq"]) + 1, str(rows))
    solicit = ("from scapy.all import Ether, IP, ICMP, sendp, conf; conf.verb = 0; "
               "sendp(Ether(dst='01:00:5e:00:00:0b') / IP(src='192.0.2.9', dst='224.0.0.11', ttl=1)"
               " / ICMP(type=10), iface='br0')")
    lab.run("home", ["/usr/bin/python3", "-c", solicit])
    wait_until(lambda: net.mip4_agents()["internal"]["links"][0]["solicited"] == 1, 5,
               "the solicitation is heard")
    wait_until(lambda: capture.tshark(fields, "icmp.type == 9 && ip.dst == 192.0.2.9"), 5,
               "answered by unicast")
    capture.stop()


@case
def RFC3543_the_operator_revokes_and_the_foreign_agent_is_told(net):
    net.start()
    capture = Capture(net.lab, "inet", "t-wan", "udp port 434")

    def by_agent():
        inner = net.alice.seal(request(PLAIN_ALICE, PLAIN, FOREIGN_AGENT, flags=T))
        message = net.agent_key.seal(inner + revocation_support(), FOREIGN_HOME)
        return net.send("inet", FOREIGN_AGENT, PLAIN, message)
    reply = by_agent()
    expect(reply.code == 0, f"code {reply.code}")
    expect(reply.types() == [MOBILE_HOME, REVOCATION_SUPPORT, FOREIGN_HOME], str(reply.types()))
    expect(reply.is_sealed_by(net.agent_key, FOREIGN_HOME), "sealed for the agent")
    expect(net.mip4_bindings()[0]["revocable"], "agreed on")
    net.hactl("clear", "mip4-binding", PLAIN_ALICE)
    expect(net.mip4_bindings() == [], "cleared")
    # Nobody listened to the first; the second comes a second later, the third two later.
    listened = {"from": FOREIGN_AGENT, "port": 434, "to": PLAIN, "payload": "", "wait": 10}
    revoked = net.exchange("inet", listened)[0][0][0]
    expect(revoked.type == 7, f"type {revoked.type}")
    expect((revoked.home, revoked.agent, revoked.foreign) == (PLAIN_ALICE, PLAIN, FOREIGN_AGENT),
           str(vars(revoked)))
    expect(revoked.is_sealed_by(net.agent_key, FOREIGN_HOME), "sealed for the agent")
    expect(revoked.lifetime & 0xc000 == 0xc000, f"A and I: {revoked.lifetime:x}")
    expect(abs(revoked.identifier - NTP_OF_UNIX - time.time()) < 10, "our time")
    expect(net.mip4_agents()["plain"]["revocations_waiting"] == 1, "it waits")
    answer = net.agent_key.seal(acknowledgement(PLAIN_ALICE, revoked.identifier), FOREIGN_HOME)
    expect(net.send("inet", FOREIGN_AGENT, PLAIN, answer, wait=0.3) is None, "no answer to that")
    wait_until(lambda: net.mip4_agents()["plain"]["revocations_waiting"] == 0, 5, "acknowledged")
    capture.stop()
    rows = capture.tshark(["frame.time_relative", "mip.rev.a", "mip.rev.i", "mip.homeaddr",
                           "mip.rev.hda", "mip.rev.fda", "mip.revid", "_ws.malformed"],
                          "mip.type == 7")
    for row in rows:
        expect((row["mip.homeaddr"], row["mip.rev.hda"], row["mip.rev.fda"]) ==
               (PLAIN_ALICE, PLAIN, FOREIGN_AGENT) and not row["_ws.malformed"], str(row))
        expect(row["mip.rev.a"] in ("1", "True") and row["mip.rev.i"] in ("1", "True"), str(row))
    stamps = [float(row["frame.time_relative"]) for row in rows]
    gaps = [later - earlier for earlier, later in zip(stamps, stamps[1:])]
    expect(stamps and all(gap >= 0.95 for gap in gaps), f"at most one a second: {gaps}")


@case
def mipv4_4_many_nodes_register_at_once(net):
    net.start()
    steps = []
    for number in range(RANGE_COUNT):
        home = f"198.18.2.{10 + number}"
        message = net.range_keys[number].seal(request(home, PLAIN, VISITED))
        steps.append({"from": VISITED, "port": 10000 + number, "to": PLAIN,
                      "payload": message.hex(), "wait": 20})
    answers = net.exchange("inet", *steps)
    for number, got in enumerate(answers):
        expect(got, f"node {number} has no reply")
        reply = got[0][0]
        expect(reply.code == 0 and reply.is_sealed_by(net.range_keys[number]),
               f"node {number}: code {reply.code}")
    expect(net.hactl("show", "mip4-bindings")["total"] == RANGE_COUNT, "all of them are bound")
    # Both processes anew: all of it comes back from the log, and to the data plane.
    net.controlplane.stop()
    net.start_controlplane()
    expect(net.hactl("show", "mip4-bindings")["total"] == RANGE_COUNT, "and after a restart")
    wait_until(lambda: net.hactl("show", "status")["data_plane"]["bindings"] == RANGE_COUNT, 10,
               "in the data plane, too")


@case
def a_new_configuration_ends_what_it_does_not_allow(net):
    net.start()
    expect(register(net, PLAIN_ALICE, PLAIN, VISITED).code == 0, "alice")
    expect(register(net, EXTERNAL_ALICE, EXTERNAL, VISITED).code == 0, "alice, external")
    text = net.config.read_text()
    net.config.write_text(text.replace(f"home_address: {PLAIN_ALICE}\n",
                                       f"home_address: {PLAIN_ALICE}\n          prohibited: on\n"))
    net.hactl("config", "reload")
    only(net.mip4_bindings(), home_address=EXTERNAL_ALICE)
    expect(register(net, PLAIN_ALICE, PLAIN, VISITED).code == 129, "prohibited now")
    # S2.121: a weak secret is refused, and what is in force stays.
    (net.lab.directory / "alice.key").write_text("11" * 16 + "\n")
    result = net.lab.run("ha", [net.program("hactl"), "--socket", net.management, "config",
                                "reload"], check=False)
    expect(result.returncode != 0 and "weak key" in result.stderr + result.stdout,
           f"{result.stdout}{result.stderr}")
    expect(register(net, EXTERNAL_ALICE, EXTERNAL, VISITED).code == 0, "the old key still holds")


main(Mip4Network)

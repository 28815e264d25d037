#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""homeport-fa with visitors and home agents that are not ours: scapy and Python's hmac on both
cables, the kernel of the foreign agent's host between."""
import hmac
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from foreign_agent_network import (  # noqa: E402
    CARE_OF, CORRESPONDENT, FH_KEY, FH_SPI, FOREIGN_HOME, HOME_AGENT, HOME_AGENT_2, ICMP, IP,
    LINK_ADDRESS, MF_KEY, MF_SPI, MH_KEY, MOBILE_FOREIGN, UDP, Ether, ForeignAgentNetwork,
    MobileIP, MobileIPRRP, Node, Raw, extensions, octets_of, reply, request, seal)
from lab import wait_until  # noqa: E402
from scapy.layers.inet import GRE  # noqa: E402
from scapy.utils import checksum  # noqa: E402


def code_of(frame):
    return MobileIP(bytes(frame[UDP].payload))[MobileIPRRP].code


def is_advertisement(frame):
    return IP in frame and frame[IP].proto == 1 and bytes(frame[IP].payload)[:1] == b"\x09"


def mobility_extension(frame):
    """Sequence, lifetime, flags and care-of addresses of an advertisement."""
    icmp = octets_of(frame)[frame[IP].ihl * 4:]
    at = 8 + icmp[4] * icmp[5] * 4
    expect(icmp[at] == 16, f"extension {icmp[at]}")
    sequence, lifetime, flags = struct.unpack("!HHH", icmp[at + 2:at + 8])
    care_of = [".".join(map(str, icmp[i:i + 4])) for i in range(at + 8, at + 2 + icmp[at + 1], 4)]
    return sequence, lifetime, flags, care_of


def ping(source, destination, number=1, size=56, **ip):
    return IP(src=source, dst=destination, **ip) / ICMP(id=7, seq=number) / Raw(b"x" * size)


@case
def RFC5944_2_advertisements_and_answers_to_solicitations(net):
    net.start("udp_tunnel: on\nregistration_required: on")
    first = net.mobile.wait(is_advertisement, "an advertisement")
    expect((first.dst, first[IP].dst, first[IP].ttl) == ("01:00:5e:00:00:01", "224.0.0.1", 1),
           first.summary())
    sequence, lifetime, flags, care_of = mobility_extension(first)
    expect((sequence, lifetime, care_of) == (0, 600, [CARE_OF]), str((sequence, lifetime)))
    expect(flags == 0x8000 | 0x1000 | 0x0800 | 0x0400 | 0x0100 | 0x0080, hex(flags))
    second = net.mobile.wait(is_advertisement, "another")
    expect(mobility_extension(second)[0] == 1, "sequence numbers grow by one")
    node = Node(1)
    net.mobile.send(Ether(src=node.mac, dst="01:00:5e:00:00:0b") /
                    IP(src=node.home_address, dst="224.0.0.11", ttl=1) / ICMP(type=10))
    answer = net.mobile.wait(lambda f: is_advertisement(f) and f.dst == node.mac, "an answer")
    expect(answer[IP].dst == node.home_address and answer[IP].ttl == 1, answer.summary())
    net.mobile.send(Ether(src=node.mac, dst="01:00:5e:00:00:0b") /
                    IP(src=node.home_address, dst="224.0.0.11", ttl=64) / ICMP(type=10))
    wait_until(lambda: net.status()["links"][0]["bad_solicitations"] == 1, 5, "TTL 64 is refused")
    expect(net.stop() == 0, "exit status")
    last = net.mobile.wait(lambda f: is_advertisement(f) and
                           octets_of(f)[20 + 6:20 + 8] == b"\0\0", "a farewell of lifetime 0")
    expect(last[IP].dst == "224.0.0.1", last.summary())
    net.check_by_tshark(net.mobile)


@case
def several_visitors_at_once_each_with_its_own_tunnel(net):
    net.start()
    nodes = {"": Node(1), "G": Node(2), "M": Node(3), "other": Node(4, HOME_AGENT_2)}
    for flags, node in nodes.items():
        payload_flags = "T" + (flags if flags in "GM" else "")
        net.register(node, payload_flags)
    expect(len(net.status()["visitors"]) == 4, str(net.status()["visitors"]))

    for flags, node in nodes.items():
        # N7 out: native to us, put into the tunnel to its own home agent, TTL one less.
        packet = ping(node.home_address, CORRESPONDENT, ttl=64, tos=0xb8, id=4711)
        net.from_visitor(node, packet)
        got = net.at_home(lambda f, n=node: f[IP].dst == n.home_agent and f[IP].proto != 17,
                          f"{node.home_address} in a tunnel")
        expect(got[IP].src == CARE_OF and got[IP].tos == 0xb8, got.summary())
        expected = packet.copy()
        expected.ttl = 63
        if flags == "M":
            expect(got[IP].proto == 55 and got[IP].ttl == 63, got.summary())
            header = octets_of(got)[20:32]
            expect(header[0] == 1 and header[1] == 0x80 and checksum(header) == 0 and
                   header[4:8] == bytes(map(int, CORRESPONDENT.split("."))) and
                   header[8:12] == bytes(map(int, node.home_address.split("."))), header.hex())
            expect(octets_of(got)[32:] == bytes(expected)[20:], "payload")
        elif flags == "G":
            expect(got[IP].proto == 47 and octets_of(got)[20:24] == b"\0\0\x08\0", got.summary())
            expect(octets_of(got)[24:] == bytes(expected), "the packet inside GRE")
        else:
            expect(got[IP].proto == 4 and octets_of(got)[20:] == bytes(expected),
                   "the packet inside IP")
        # N7 in: decapsulated and given to its link address alone.
        back = ping(CORRESPONDENT, node.home_address, ttl=60)
        outer = IP(src=node.home_agent, dst=CARE_OF)
        tunnelled = {"": outer / back, "other": outer / back,
                     "G": outer / GRE() / back}.get(flags)
        if flags == "M":
            minimal = bytearray(bytes([1, 0x80, 0, 0]) +
                                bytes(map(int, node.home_address.split("."))) +
                                bytes(map(int, CORRESPONDENT.split("."))))
            minimal[2:4] = struct.pack("!H", checksum(bytes(minimal)))
            tunnelled = IP(src=node.home_agent, dst=CARE_OF, proto=55, ttl=60) / \
                Raw(bytes(minimal) + bytes(back.payload))
        net.from_home(tunnelled)
        delivered = net.at_visitor(lambda f, n=node: f[IP].dst == n.home_address and
                                   f[IP].proto == 1, f"a packet for {node.home_address}")
        expect((delivered.dst, delivered.src) == (node.mac, net.link_mac), delivered.summary())
        expect(delivered[IP].ttl == 59 and delivered[IP].src == CORRESPONDENT, delivered.summary())
        expect(octets_of(delivered)[20:] == bytes(back)[20:], "payload")
    text = net.lab.run("fa", [net.process.process.args[4], "status", "--socket",
                              net.status_socket])
    for words in ("4 visitors", "192.0.2.102", "02:00:00:00:01:02", "gre, both ways",
                  "fa.visitor.registered", "link visited0: 10.1.0.1"):
        expect(words in text, f"{words} in {text}")
    counters = net.status()["counters"]
    expect(counters["fa.out.received"] == counters["fa.out.tunnelled"] == 4, str(counters))
    expect(counters["fa.in.received"] == counters["fa.in.delivered"] == 4, str(counters))
    # The kernel forwarded nothing beside us.
    net.home.drain()
    native = [f for f in net.home.frames if IP in f and f[IP].dst == CORRESPONDENT]
    expect(not native, str(native))
    arps = [f for f in net.mobile.frames if f.type == 0x0806]
    expect(not arps, "RFC 5944 section 4.2.2: no broadcast ARP for visitors")
    for cable in (net.home, net.mobile):
        net.check_by_tshark(cable)


@case
def S2_80_one_node_registers_with_two_home_agents(net):
    net.start()
    node = Node(1)
    outside = Node(1, HOME_AGENT_2)
    for one in (node, outside):
        net.ask(one, request(one.home_address, one.home_agent, identification=0x1122334455667788))
    frames = [net.relayed(HOME_AGENT), net.relayed(HOME_AGENT_2)]
    for frame in reversed(frames):
        net.answer(frame, reply(bytes(frame[UDP].payload)))
    seen = set()
    for _ in frames:
        got = MobileIP(bytes(net.replied(node)[UDP].payload))[MobileIPRRP]
        seen.add((got.code, got.haaddr))
    expect(seen == {(0, HOME_AGENT), (0, HOME_AGENT_2)}, str(seen))
    expect(len(net.status()["visitors"]) == 2, "two registrations")


@case
def two_visitors_with_one_private_home_address_are_told_by_home_agent_and_link_address(net):
    net.start()
    nodes = [Node(1, HOME_AGENT, "10.10.10.10"), Node(2, HOME_AGENT_2, "10.10.10.10")]
    for node in nodes:
        net.register(node)
    for node in nodes:
        net.from_visitor(node, ping(node.home_address, CORRESPONDENT, id=1000 + node.port % 100))
        got = net.at_home(lambda f: f[IP].proto == 4, "a packet in a tunnel")
        expect(got[IP].dst == node.home_agent, got.summary())
        net.from_home(IP(src=node.home_agent, dst=CARE_OF) / ping(CORRESPONDENT, node.home_address))
        got = net.at_visitor(lambda f: f[IP].dst == node.home_address and f[IP].proto == 1,
                             "a packet out of a tunnel")
        expect(got.dst == node.mac, got.summary())
    rules = net.lab.ip("fa", "rule show")
    expect(rules.count("blackhole") == 1, rules)
    net.ask(nodes[0], request(nodes[0].home_address, lifetime=0))
    frame = net.relayed()
    net.answer(frame, reply(bytes(frame[UDP].payload)))
    net.replied(nodes[0])
    expect("blackhole" in net.lab.ip("fa", "rule show"), "the other one's rule stays")
    net.from_visitor(nodes[1], ping(nodes[1].home_address, CORRESPONDENT))
    got = net.at_home(lambda f: f[IP].proto == 4, "a packet in a tunnel")
    expect(got[IP].dst == HOME_AGENT_2, got.summary())


@case
def a_link_that_goes_down_and_a_restart_are_survived(net):
    net.start()
    node = Node(1)
    net.register(node)
    net.lab.ip("fa", "link set visited0 down")
    net.process.wait_for_output("HP-FA-0017")
    net.lab.ip("fa", "link set visited0 up")
    net.mobile.drain()
    net.mobile.pending.clear()
    net.mobile.wait(is_advertisement, "advertisements again")
    net.from_visitor(node, ping(node.home_address, CORRESPONDENT))
    net.at_home(lambda f: f[IP].proto == 4, "the visitor is still one")
    # A new process knows nobody, and says so: its numbers begin with 0 (RFC 5944 section 2.4.4).
    net.process.process.kill()
    net.process.wait()
    net.mobile.drain()
    net.mobile.pending.clear()
    net.start()
    first = net.mobile.wait(is_advertisement, "an advertisement")
    expect(mobility_extension(first)[0] == 0, "sequence number 0")
    expect(net.status()["visitors"] == [], "nobody")
    net.register(node)


@case
def fvc_esp_to_the_vpn_gateway_goes_through_the_tunnel(net):
    # requirements S2.b, mode fvc: x-HoA>VPN-GW ESP natively to the agent, FA-CoA>x-HA p4 behind it.
    net.start()
    node = Node(1)
    net.register(node)
    packet = IP(src=node.home_address, dst=CORRESPONDENT, proto=50, ttl=64) / Raw(b"\0\0\x01\0" * 20)
    net.from_visitor(node, packet)
    got = net.at_home(lambda f: f[IP].proto == 4, "ESP in the tunnel")
    expect(octets_of(got)[20 + 9] == 50 and len(octets_of(got)) == len(bytes(packet)) + 20,
           got.summary())


@case
def without_T_packets_are_routed_natively_and_T_may_be_mandatory(net):
    net.start()
    node = Node(1)
    net.register(node, flags="")
    net.from_visitor(node, ping(node.home_address, CORRESPONDENT, ttl=64))
    got = net.at_home(lambda f: f[IP].dst == CORRESPONDENT, "a native packet")
    expect(got[IP].src == node.home_address and got[IP].ttl == 63, got.summary())
    net.wait_counter("fa.out.forwarded", 1)
    net.home.drain()
    expect(sum(IP in f and f[IP].dst == CORRESPONDENT for f in net.home.frames) == 1, "one copy")
    net.process.stop()
    net.start("reverse_tunnel: mandatory")
    expect(net.denied(node, request(node.home_address, flags="")) == 75, "code 75")


@case
def RFC3024_5_2_encapsulating_delivery(net):
    net.start()
    node = Node(1)
    net.register(node, behind=bytes([130, 0]))
    inner = ping(node.home_address, "239.1.2.3", ttl=5)
    net.from_visitor(node, IP(src=node.home_address, dst=LINK_ADDRESS) / inner)
    got = net.at_home(lambda f: f[IP].proto == 4, "a group packet in the reverse tunnel")
    expect(octets_of(got)[20:][16:20] == bytes([239, 1, 2, 3]) and octets_of(got)[28] == 4,
           got.summary())
    # What is not put into a tunnel is routed natively.
    net.from_visitor(node, ping(node.home_address, CORRESPONDENT))
    net.at_home(lambda f: f[IP].dst == CORRESPONDENT, "a native packet")
    # Somebody else's packet inside is not tunnelled.
    net.from_visitor(node, IP(src=node.home_address, dst=LINK_ADDRESS) /
                     ping("192.0.2.66", CORRESPONDENT))
    net.wait_counter("fa.out.bad_inner", 1)


@case
def codes_of_denied_requests(net):
    net.start("max_lifetime: 300\ngre: off\nminimal: off\nencapsulating_delivery: off\n"
              "home_agents: [192.0.2.0/24, 203.0.113.0/24, 198.51.100.0/24]\nco_located: off")
    home = Node(1).home_address
    cases = {
        65: request(home, home_agent="100.64.0.1"), 69: request(home, lifetime=301),
        70: request(home)[:24], 72: request(home, flags="TG"),
        77: request(home, care_of="198.51.100.99"), 79: request(home, behind=bytes([130, 0])),
        96: request("0.0.0.0"), 194: request(home, home_agent=CARE_OF),
    }
    for number, (code, payload) in enumerate(cases.items()):
        node = Node(20 + number, home_address=home)
        expect(net.denied(node, payload) == code, f"code {code}")
    node = Node(60)
    expect(net.denied(node, request(node.home_address), ttl=254) == 76, "code 76")
    codes = net.status()["codes"]
    expect(codes == {str(code): 1 for code in [*cases, 76]}, str(codes))
    expect(net.status()["counters"]["fa.rrq.relayed"] == 0, "nothing was relayed")
    lifetime = MobileIP(bytes(next(f for f in net.mobile.frames if UDP in f and code_of(f) == 69)
                              [UDP].payload))[MobileIPRRP].lifetime
    expect(lifetime == 300, "69 names the longest lifetime")


@case
def what_is_wrong_is_dropped_in_silence_and_counted(net):
    net.start()
    node = Node(1)
    net.register(node)
    before = len(net.mobile.frames)
    net.ask(node, request(node.home_address), broken=True)
    net.ask(node, request(node.home_address) + bytes([99, 0]))
    net.ask(node, b"\x01\x02\x03")
    for length in range(0, 24, 3):
        net.ask(node, request(node.home_address)[:length])
    net.wait_counter("fa.rrq.cksum", 1)
    net.wait_counter("fa.rrq.malformed", 2)
    # Replies that answer nothing, junk and a request that does not come from a visited link.
    for payload in (reply(request(node.home_address)), b"\x03", b"\x07" * 30, b"\x0f" * 40,
                    request(node.home_address), bytes(range(200))):
        net.from_home(IP(src=HOME_AGENT, dst=CARE_OF) / UDP(sport=434, dport=434) / Raw(payload))
    net.wait_counter("fa.rrp.no_pending", 1)
    net.wait_counter("fa.rrp.malformed", 1)
    net.wait_counter("fa.unknown_type", 2)
    net.wait_counter("fa.rrq.off_link", 1)
    # Out of the tunnel: of nobody, of another home agent, in another encapsulation, lying lengths.
    inner = ping(CORRESPONDENT, node.home_address)
    wrong = {
        "fa.in.no_visitor": [IP(src=HOME_AGENT, dst=CARE_OF) / ping(CORRESPONDENT, "192.0.2.200"),
                             IP(src=HOME_AGENT_2, dst=CARE_OF) / inner],
        "fa.in.bad_mode": [IP(src=HOME_AGENT, dst=CARE_OF) / GRE() / inner,
                           IP(src=HOME_AGENT, dst=CARE_OF) / UDP(sport=434, dport=434, chksum=0) /
                           Raw(bytes([4, 4, 0, 0]) + bytes(inner))],
        "fa.in.not_coa": [IP(src=HOME_AGENT, dst=LINK_ADDRESS) / inner],
        "fa.in.malformed": [IP(src=HOME_AGENT, dst=CARE_OF, proto=4) / Raw(b"\x45\0"),
                            IP(src=HOME_AGENT, dst=CARE_OF, proto=4) / Raw(bytes(inner)[:40]),
                            IP(src=HOME_AGENT, dst=CARE_OF, proto=4)],
        "fa.in.gre": [IP(src=HOME_AGENT, dst=CARE_OF) / GRE(key_present=1, key=5) / inner],
        "fa.in.minimal": [IP(src=HOME_AGENT, dst=CARE_OF, proto=55) / Raw(b"\x01\x80" + b"\0" * 10)],
        "fa.in.ttl": [IP(src=HOME_AGENT, dst=CARE_OF) / ping(CORRESPONDENT, node.home_address,
                                                             ttl=1)],
        "fa.in.ecn_drop": [IP(src=HOME_AGENT, dst=CARE_OF, tos=3) / inner],
    }
    for packets in wrong.values():
        for packet in packets:
            net.from_home(packet)
    for name, packets in wrong.items():
        net.wait_counter(name, len(packets))
    # From the link: somebody with a visitor's address, broken packets, a group without a tunnel.
    net.from_visitor(node, ping(node.home_address, CORRESPONDENT), mac="02:00:00:00:09:09")
    net.wait_counter("fa.out.bad_mac", 1)
    broken = ping(node.home_address, CORRESPONDENT)
    broken.chksum = 0x1234
    net.from_visitor(node, broken)
    net.wait_counter("fa.out.malformed", 1)
    net.from_visitor(node, ping(node.home_address, CORRESPONDENT, ttl=1))
    net.wait_counter("fa.out.ttl", 1)
    exceeded = net.at_visitor(lambda f: f[IP].proto == 1 and octets_of(f)[20] == 11,
                              "time exceeded")
    expect((exceeded.dst, exceeded[IP].src) == (node.mac, LINK_ADDRESS), exceeded.summary())
    net.mobile.send(Ether(src=node.mac, dst="01:00:5e:01:02:03") /
                    ping(node.home_address, "239.1.2.3"))
    net.wait_counter("fa.out.style", 1)
    counters = net.status()["counters"]
    drops = {name: value for name, value in counters.items()
             if name.startswith("fa.in.") and name not in ("fa.in.received", "fa.in.fragments")}
    expect(counters["fa.in.received"] == sum(drops.values()), f"each in one counter: {drops}")
    drops = {name: value for name, value in counters.items()
             if name.startswith("fa.out.") and name not in ("fa.out.received", "fa.out.fragments")}
    expect(counters["fa.out.received"] == sum(drops.values()), f"each in one counter: {drops}")
    net.home.drain()
    leaked = [f for f in net.home.frames if IP in f and f[IP].src == node.home_address]
    expect(not leaked, str(leaked))
    answered = [f for f in net.mobile.frames[before:] if UDP in f and f[UDP].sport == 434]
    expect(not answered, str(answered))
    unreachable = [f for f in net.home.frames if IP in f and f[IP].proto == 1 and
                   octets_of(f)[20] == 3]
    expect(not unreachable, "RFC 5944 section 4.2.2: no destination unreachable")


@case
def a_home_agent_out_of_reach_gives_codes_78_and_81(net):
    net.start("registration_timeout: 1")
    node = Node(1)
    net.ask(node, request(node.home_address))
    frame = net.relayed()
    expect(code_of(net.replied(node)) == 78, "code 78")
    net.ask(node, request(node.home_address, HOME_AGENT_2))
    frame = net.relayed(HOME_AGENT_2)
    quoted = octets_of(frame)[:20 + 8 + 24]
    net.from_home(IP(src="203.0.113.254", dst=CARE_OF) / ICMP(type=3, code=1) / Raw(quoted))
    expect(code_of(net.replied(node)) == 81, "code 81")
    net.lab.ip("fa", "route del default")
    net.lab.ip("fa", "route add unreachable default")
    other = Node(2)
    expect(net.denied(other, request(other.home_address)) in (80, 81), "no route")


@case
def keys_with_home_agents_and_mobile_nodes(net):
    net.start(f"""security:
  home_agents: [{{address: {HOME_AGENT}, spi: {FH_SPI}, key_file: fh.key}}]
  mobile_nodes: [{{home_address: 192.0.2.101, spi: {MF_SPI}, key_file: mf.key}}]""")
    node = Node(1)
    payload = request(node.home_address)
    expect(net.denied(node, payload) == 67, "no mobile-foreign authentication")
    sealed = seal(payload, MOBILE_FOREIGN, MF_KEY, MF_SPI)
    net.ask(node, sealed)
    frame = net.relayed()
    relayed = bytes(frame[UDP].payload)
    expect(relayed[:len(payload)] == payload, "octet for octet up to the authentication")
    found = extensions(relayed[24:])
    expect([one[0] for one in found] == [32, 137, 34], str(found))
    covered, authenticator = relayed[:-16], relayed[-16:]
    expect(hmac.new(FH_KEY, covered, "md5").digest() == authenticator, "foreign-home")
    expect(found[2][1][:4] == struct.pack("!I", FH_SPI), "SPI")
    net.answer(frame, reply(relayed))
    expect(code_of(net.replied(node)) == 68, "the reply was not sealed")
    payload = request(node.home_address)
    net.ask(node, seal(payload, MOBILE_FOREIGN, MF_KEY, MF_SPI))
    frame = net.relayed()
    net.answer(frame, reply(bytes(frame[UDP].payload), foreign_key=FH_KEY))
    got = bytes(net.replied(node)[UDP].payload)
    found = extensions(got[20:])
    expect([one[0] for one in found] == [32, MOBILE_FOREIGN], str(found))
    expect(hmac.new(MF_KEY, got[:-16], "md5").digest() == got[-16:], "mobile-foreign")
    expect(hmac.new(MH_KEY, got[:20 + 6], "md5").digest() == found[0][1][4:], "mobile-home")


@case
def RFC3543_revocation_by_home_agent_and_operator(net):
    net.start(f"security: {{home_agents: [{{address: {HOME_AGENT}, spi: {FH_SPI}, "
              "key_file: fh.key}]}")
    advertised = mobility_extension(net.mobile.wait(is_advertisement, "an advertisement"))
    expect(advertised[2] & 0x0040, "flag X")
    nodes = [Node(1), Node(2)]
    support = bytes([137, 6, 0x80, 0]) + struct.pack("!I", 5000)
    for node in nodes:
        net.register(node, answer_behind=support, foreign_key=FH_KEY)
    fixed = bytes([7, 0, 0xc0, 0]) + b"".join(
        bytes(map(int, one.split("."))) for one in (nodes[0].home_address, HOME_AGENT, CARE_OF))
    net.from_home(IP(src=HOME_AGENT, dst=CARE_OF) / UDP(sport=434, dport=434) /
                  Raw(seal(fixed + struct.pack("!I", 5001), FOREIGN_HOME, FH_KEY, FH_SPI)))
    answer = bytes(net.at_home(lambda f: UDP in f and bytes(f[UDP].payload)[:1] == b"\x0f",
                               "an acknowledgement")[UDP].payload)
    expect(answer[2] & 0x80 and answer[8:12] == struct.pack("!I", 5001), answer.hex())
    expect(hmac.new(FH_KEY, answer[:-16], "md5").digest() == answer[-16:], "sealed")
    reset = net.mobile.wait(lambda f: is_advertisement(f) and f.dst == nodes[0].mac, "a reset")
    expect(mobility_extension(reset)[0] == 0, "sequence number 0")
    expect(len(net.status()["visitors"]) == 1, "one visitor is left")

    program = net.process.process.args[3 + 1]
    net.lab.run("fa", [program, "revoke", nodes[1].home_address, "--socket", net.status_socket])
    first = bytes(net.at_home(lambda f: UDP in f and bytes(f[UDP].payload)[:1] == b"\x07",
                              "a revocation")[UDP].payload)
    expect(first[2] == 0x40 and first[4:8] == bytes(map(int, nodes[1].home_address.split("."))),
           first.hex())
    expect(hmac.new(FH_KEY, first[:-16], "md5").digest() == first[-16:], "sealed")
    again = bytes(net.at_home(lambda f: UDP in f and bytes(f[UDP].payload)[:1] == b"\x07",
                              "it is repeated")[UDP].payload)
    expect(again[16:20] > first[16:20], "with a later time stamp")
    acknowledged = bytes([15, 0, 0x80, 0]) + again[4:8] + again[16:20]
    net.from_home(IP(src=HOME_AGENT, dst=CARE_OF) / UDP(sport=434, dport=434) /
                  Raw(seal(acknowledged, FOREIGN_HOME, FH_KEY, FH_SPI)))
    net.mobile.wait(lambda f: is_advertisement(f) and f.dst == nodes[1].mac, "a reset")
    net.wait_counter("fa.revocation.answered", 1)
    bad = net.lab.run("fa", [program, "revoke", "192.0.2.250", "--socket", net.status_socket],
                      check=False)
    expect(bad.returncode == 1 and "no visitor" in bad.stderr, bad.stderr)


@case
def S2_34_a_udp_tunnel_on_behalf_of_visitors(net):
    net.start("udp_tunnel: forced\nkeepalive: 10")
    node = Node(1)
    net.ask(node, request(node.home_address, flags="TG"))
    frame = net.relayed()
    relayed = bytes(frame[UDP].payload)
    found = extensions(relayed[24:])
    expect([one[0] for one in found] == [32, 144] and found[1][1] == bytes([0, 0, 0x80, 0, 0, 0]),
           str(found))
    expect(frame[IP].src == CARE_OF and frame[UDP].sport == 434, frame.summary())
    net.answer(frame, reply(relayed, behind=bytes([44, 6, 0, 0, 0x80, 0, 0, 10])))
    got = bytes(net.replied(node)[UDP].payload)
    expect([one[0] for one in extensions(got[20:])] == [32], "44 is consumed")

    packet = ping(node.home_address, CORRESPONDENT, ttl=64)
    net.from_visitor(node, packet)
    out = net.at_home(lambda f: UDP in f and bytes(f[UDP].payload)[:1] == b"\x04", "tunnel data")
    data = bytes(out[UDP].payload)
    expect((out[UDP].sport, out[UDP].dport) == (434, 434), out.summary())
    expect(data[:8] == bytes([4, 47, 0, 0, 0, 0, 8, 0]), data[:8].hex())
    expect(IP(data[8:]).dst == CORRESPONDENT and IP(data[8:]).ttl == 63, "the packet inside")
    inner = ping(CORRESPONDENT, node.home_address)
    outer = IP(src=HOME_AGENT, dst=CARE_OF)
    tunnel = bytes([4, 47, 0, 0, 0, 0, 8, 0]) + bytes(inner)
    net.from_home(outer / UDP(sport=434, dport=434, chksum=0) / Raw(tunnel))
    net.at_visitor(lambda f: f.dst == node.mac and f[IP].proto == 1, "out of the UDP tunnel")
    for wrong in (outer / UDP(sport=435, dport=434, chksum=0) / Raw(tunnel),
                  outer / UDP(sport=434, dport=434, chksum=0) /
                  Raw(bytes([4, 4, 0, 0]) + bytes(inner)), outer / inner):
        net.from_home(wrong)
    net.wait_counter("fa.in.bad_outer", 1)
    net.wait_counter("fa.in.bad_mode", 2)
    # RFC 3519 section 4.9: keepalives when nothing else went for so long, answered two-way.
    alive = net.home.wait(lambda f: UDP in f and bytes(f[UDP].payload)[:2] == bytes([4, 47]),
                          "a keepalive", 20)
    echo = IP(bytes(alive[UDP].payload)[8:])
    expect((echo.src, echo.dst) == (node.home_address, HOME_AGENT) and echo[ICMP].type == 8,
           echo.summary())
    back = IP(src=HOME_AGENT, dst=node.home_address) / \
        ICMP(type=0, id=echo[ICMP].id, seq=echo[ICMP].seq)
    net.from_home(outer / UDP(sport=434, dport=434, chksum=0) /
                  Raw(bytes([4, 47, 0, 0, 0, 0, 8, 0]) + bytes(back)))
    net.wait_counter("fa.keepalive.answered", 1)
    net.check_by_tshark(net.home)


@case
def large_packets_are_fragmented_or_refused_with_the_right_mtu(net):
    net.start()
    node = Node(1)
    net.register(node)
    net.from_visitor(node, ping(node.home_address, CORRESPONDENT, size=1472, flags="DF"))
    too_big = net.at_visitor(lambda f: f[IP].proto == 1 and octets_of(f)[20:22] == b"\x03\x04",
                             "fragmentation needed")
    expect(struct.unpack("!H", octets_of(too_big)[26:28])[0] == 1480, "1500 less 20")
    net.from_visitor(node, ping(node.home_address, CORRESPONDENT, size=1472, id=99))
    first = net.at_home(lambda f: f[IP].proto == 4, "a first piece")
    second = net.at_home(lambda f: f[IP].proto == 4, "a second piece")
    pieces = [IP(octets_of(frame)[20:]) for frame in (first, second)]
    expect(all(frame[IP].frag == 0 and len(octets_of(frame)) <= 1500 for frame in (first, second)),
           "pieces are made before the tunnel")
    expect([int(p.flags) & 1 for p in pieces] == [1, 0] and
           pieces[1].frag * 8 == len(pieces[0].payload) and {p.id for p in pieces} == {99} and
           len(pieces[0].payload) + len(pieces[1].payload) == 1480, str(pieces))
    # Towards a link that takes less.
    net.lab.ip("fa", "link set visited0 mtu 1280")
    wait_until(lambda: net.mobile.wait(is_advertisement, "an advertisement"), 5, "another turn")
    inner = ping(CORRESPONDENT, node.home_address, size=1400, id=77)
    net.from_home(IP(src=HOME_AGENT, dst=CARE_OF) / inner)
    got = net.at_visitor(lambda f: f.dst == node.mac and f[IP].id == 77, "a piece")
    expect(len(octets_of(got)) <= 1280 and got[IP].flags.MF, got.summary())
    inner = ping(CORRESPONDENT, node.home_address, size=1400, flags="DF")
    net.from_home(IP(src=HOME_AGENT, dst=CARE_OF) / inner)
    told = net.at_home(lambda f: f[IP].dst == CORRESPONDENT and
                       octets_of(f)[20:22] == b"\x03\x04", "its sender is told")
    expect(struct.unpack("!H", octets_of(told)[26:28])[0] == 1280, told.summary())


@case
def a_narrower_path_to_the_home_agent_is_learnt_from_icmp(net):
    net.start()
    node = Node(1)
    net.register(node)
    net.from_visitor(node, ping(node.home_address, CORRESPONDENT, size=1400, flags="DF"))
    sent = net.at_home(lambda f: f[IP].proto == 4, "a packet in the tunnel")
    expect(sent[IP].flags.DF, "RFC 2003 section 3.1: DF of the packet inside")
    net.from_home(IP(src="203.0.113.254", dst=CARE_OF) / ICMP(type=3, code=4, nexthopmtu=1400) /
                  Raw(octets_of(sent)[:28]))

    def told():
        net.from_visitor(node, ping(node.home_address, CORRESPONDENT, size=1400, flags="DF"))
        return [f for f in net.mobile.drain() if IP in f and f[IP].proto == 1 and
                octets_of(f)[20:22] == b"\x03\x04"]
    frames = wait_until(told, 10, "the visitor is told", 0.2)
    expect(struct.unpack("!H", octets_of(frames[0])[26:28])[0] == 1380, "1400 less 20")


@case
def visitors_leave_by_deregistration_and_by_time(net):
    net.start()
    nodes = [Node(1), Node(2)]
    net.register(nodes[0])
    net.register(nodes[1], lifetime=2)
    rules = net.lab.ip("fa", "rule show")
    expect(rules.count("blackhole") == 2, rules)
    net.ask(nodes[0], request(nodes[0].home_address, care_of=nodes[0].home_address, lifetime=0))
    frame = net.relayed()
    expect(len(net.status()["visitors"]) == 2, "not before the reply")
    net.answer(frame, reply(bytes(frame[UDP].payload)))
    expect(code_of(net.replied(nodes[0])) == 0, "accepted")
    net.wait_counter("fa.visitor.deregistered", 1)
    net.wait_counter("fa.visitor.expired", 1)
    wait_until(lambda: "blackhole" not in net.lab.ip("fa", "rule show"), 5, "the rules are gone")
    net.from_home(IP(src=HOME_AGENT, dst=CARE_OF) / ping(CORRESPONDENT, nodes[0].home_address))
    net.wait_counter("fa.in.no_visitor", 1)
    net.register(nodes[0])
    net.process.process.kill()
    net.process.wait()
    net.start()
    expect("blackhole" not in net.lab.ip("fa", "rule show"), "what a killed process left is gone")


@case
def bad_configurations_are_refused_with_place_and_expectation(net):
    net.start()
    net.stop()
    text = net.config.read_text()
    program = net.process.process.args[3 + 1]
    for wrong, words in (("gre: maybe", ("gre", "maybe")),
                         ("max_lifetime: 0", ("max_lifetime", "1")),
                         ("links: []", ("links",)),
                         ("security: {home_agents: [{address: 192.0.2.1, spi: 5, key_file: a}]}",
                          ("spi", "256")),
                         ("unknown_key: 1", ("unknown_key",)),
                         ("reverse_tunnel: sometimes", ("off, on, mandatory",))):
        kept = "\n".join(line for line in text.splitlines() if not line.startswith("links")) \
            if wrong.startswith("links") else text
        net.config.write_text(kept + "\n" + wrong + "\n")
        result = net.lab.run("fa", [program, "--check", "--config", net.config], check=False)
        expect(result.returncode == 2 and f"{net.config}:" in result.stderr and
               all(word in result.stderr for word in words), f"{wrong}: {result.stderr}")
    net.config.write_text(text.replace(CARE_OF, "198.51.100.250"))
    result = net.lab.run("fa", [program, "--config", net.config], check=False)
    expect(result.returncode == 1 and "HP-FA-0004" in result.stderr and
           "198.51.100.250" in result.stderr, result.stderr)
    net.config.write_text(text + "security: {home_agents: [{address: 192.0.2.1, spi: 256, "
                          "key_file: missing.key}]}\n")
    result = net.lab.run("fa", [program, "--config", net.config], check=False)
    expect(result.returncode == 1 and "missing.key" in result.stderr, result.stderr)


if __name__ == "__main__":
    main(ForeignAgentNetwork)

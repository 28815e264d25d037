#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""homeport-fa between visitors, played frame by frame, and the real home agents: modes f and fvc
from end to end, in the inside, outside, and behind a NAT."""
import hmac
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from foreign_agent_network import (  # noqa: E402
    ICMP, IP, LINK_ADDRESS, UDP, Cable, Ether, ForeignAgentNetwork, MobileIP, MobileIPRRP, Node,
    Raw, octets_of, request)
from lab import wait_until  # noqa: E402
from mip4_network import (  # noqa: E402
    ALICE, EXTERNAL, EXTERNAL_ALICE, FOREIGN_AGENT, HOME_HOST4, INSIDE, INTERNAL, NAT_OUTSIDE,
    PLAIN, PLAIN_ALICE, VISITED, Mip4Network)

SHARED_KEY = f"security: {{home_agents: [{{address: {PLAIN}, spi: 500, key_file: agent.key}}]}}"
BEHIND_NAT_AGENT = "10.78.0.5"
CARE_OF = {"inet": FOREIGN_AGENT, "nat": BEHIND_NAT_AGENT, "home": INSIDE}


class VisitedNetwork(Mip4Network):
    """The home agents' network, and a foreign agent somewhere in it with a link of visitors."""
    ask = ForeignAgentNetwork.ask
    replied = ForeignAgentNetwork.replied
    status = ForeignAgentNetwork.status
    fa_counter = ForeignAgentNetwork.counter
    from_visitor = ForeignAgentNetwork.from_visitor
    at_visitor = ForeignAgentNetwork.at_visitor
    mac_of = ForeignAgentNetwork.mac_of

    def start_agent(self, where, text=""):
        lab, care_of = self.lab, CARE_OF[where]
        self.status_socket = lab.directory / "fa.sock"
        lab.namespace("fa", True)
        lab.namespace("mob")
        lab.veth("fa", "visited0", "mob", "mob0")
        lab.ip("fa", f"addr add {LINK_ADDRESS}/24 dev visited0")
        lab.veth("fa", "wan0", where, "fa0")
        gateway = "10.78.0.1" if where == "nat" else "169.254.7.1"
        lab.ip(where, f"addr add {gateway}/24 dev fa0")
        if where != "nat":
            lab.ip(where, f"addr del {care_of}/32 dev lo")
        lab.ip("fa", f"addr add {care_of}/32 dev wan0")
        lab.ip("fa", f"route add {gateway} dev wan0")
        lab.ip("fa", f"route add default via {gateway}")
        lab.ip(where, f"route replace {care_of}/32 dev fa0")
        config = lab.directory / "homeport-fa.yaml"
        config.write_text(f"""care_of_address: {care_of}
links: [{{interface: visited0}}]
advertise: {{min_interval_ms: 200, max_interval_ms: 300, lifetime: 3}}
status_socket: {self.status_socket}
log_level: debug
{text}
""")
        self.agent = lab.start("fa", [self.build / "tools/foreign-agent/homeport-fa", "--config",
                                      config], "homeport-fa")
        self.agent.wait_for_output("HP-FA-0001")
        self.care_of = care_of
        self.mobile = Cable(lab, "mob", "mob0")
        self.link_mac = self.mac_of("visited0")

    def register(self, node, agent, key, seals_with=None, **asked):
        """The code; a reply of the home agent has its authenticator."""
        asked = {"flags": "T", "care_of": self.care_of} | asked
        self.ask(node, request(node.home_address, agent, key=key.key, spi=key.spi, **asked))
        message = bytes(self.replied(node)[UDP].payload)
        if message[1] < 64 or message[1] >= 128:
            home = seals_with or key
            at = message.rindex(bytes([32, 20]) + struct.pack("!I", home.spi))
            expect(hmac.new(home.key, message[:at + 6], "md5").digest() == message[at + 6:at + 22],
                   "the reply is the home agent's, octet for octet")
        return MobileIP(message)[MobileIPRRP].code

    def echo(self, node, correspondent, number=1, **ip):
        """A ping of the visitor and its answer."""
        self.from_visitor(node, IP(src=node.home_address, dst=correspondent, **ip) /
                          ICMP(id=node.port, seq=number) / Raw(b"payload" * 8))
        frame = self.at_visitor(lambda f: f.dst == node.mac and ICMP in f and
                                f[ICMP].type == 0 and f[ICMP].id == node.port and
                                f[ICMP].seq == number, f"an answer to {node.home_address}")
        expect((frame[IP].src, frame[IP].dst) == (correspondent, node.home_address),
               frame.summary())
        return frame


@case
def mode_f_registration_and_payload_by_way_of_the_foreign_agent(net):
    net.start()
    net.start_agent("inet", SHARED_KEY)
    node = Node(1, PLAIN, PLAIN_ALICE)
    expect(net.register(node, PLAIN, net.alice, lifetime=200) == 0, "accepted")
    bindings = net.mip4_bindings(PLAIN_ALICE)
    expect(len(bindings) == 1 and bindings[0]["care_of_address"] == FOREIGN_AGENT and
           bindings[0]["encapsulation"] == "ip-in-ip" and bindings[0]["revocable"], str(bindings))
    visitor = net.status()["visitors"][0]
    expect(visitor["revocation"] and visitor["lifetime"] == 200, str(visitor))
    for number in range(1, 6):
        net.echo(node, VISITED, number)
    counters = net.status()["counters"]
    expect(counters["fa.out.tunnelled"] == counters["fa.in.delivered"] == 5, str(counters))
    # A refusal of the home agent comes through as it is, and changes nothing.
    wrong = type(net.alice)(256, "00" * 15 + "01")
    expect(net.register(node, PLAIN, wrong, net.alice) == 131, "code 131")
    net.echo(node, VISITED, 6)
    # The home agent revokes: acknowledged, and the visitor is told.
    net.hactl("clear", "mip4-binding", PLAIN_ALICE)
    reset = net.at_visitor(lambda f: f.dst == node.mac and f[IP].proto == 1 and
                           octets_of(f)[20] == 9, "an advertisement that resets")
    expect(reset[IP].dst == PLAIN_ALICE, reset.summary())
    wait_until(lambda: net.mip4_agents()["plain"]["revocations_waiting"] == 0, 5, "acknowledged")
    expect(net.status()["visitors"] == [], "no visitor is left")
    # Again, and away by itself.
    expect(net.register(node, PLAIN, net.alice) == 0, "accepted again")
    expect(net.register(node, PLAIN, net.alice, lifetime=0, care_of=PLAIN_ALICE) == 0, "gone")
    expect(net.mip4_bindings() == [] and net.status()["visitors"] == [], "nothing is left")
    expect(net.balance(), "received = forwarded + delivered + dropped")


@case
def mode_f_inside_by_an_agent_of_the_trusted_network(net):
    net.start()
    net.start_agent("home")
    node = Node(1, INTERNAL, ALICE)
    expect(net.register(node, INTERNAL, net.alice, lifetime=60) == 0, "accepted")
    expect(net.mip4_bindings(ALICE)[0]["care_of_address"] == INSIDE, "care-of address")
    for number in range(1, 4):
        net.echo(node, HOME_HOST4, number)


@case
def several_visitors_with_several_home_agents_and_encapsulations(net):
    net.start()
    net.start_agent("inet", SHARED_KEY)
    nodes = []
    for i in range(20):
        node = Node(10 + i, PLAIN, f"198.18.2.{10 + i}")
        expect(net.register(node, PLAIN, net.range_keys[i], flags="TG" if i % 2 else "T") == 0,
               f"{node.home_address} accepted")
        nodes.append(node)
    alice = Node(1, EXTERNAL, EXTERNAL_ALICE)
    expect(net.register(alice, EXTERNAL, net.alice, flags="") == 138, "reverse tunnel mandatory")
    expect(net.register(alice, EXTERNAL, net.alice, flags="TG") == 0, "accepted")
    nodes.append(alice)
    expect(len(net.status()["visitors"]) == 21, "visitors")
    for number in (1, 2):
        for node in nodes:
            net.echo(node, VISITED, number)
    # From one visitor to another: up to the home agent, and down again.
    net.from_visitor(nodes[0], IP(src=nodes[0].home_address, dst=nodes[1].home_address) /
                     ICMP(id=77, seq=1))
    got = net.at_visitor(lambda f: ICMP in f and f[ICMP].id == 77 and f[ICMP].type == 8,
                         "a visitor's packet at the other")
    expect(got.dst == nodes[1].mac, got.summary())
    wait_until(net.balance, 5, "received = forwarded + delivered + dropped")


@case
def fvc_the_vpn_gateway_sees_the_external_home_address(net):
    net.start()
    net.start_agent("inet")
    node = Node(1, EXTERNAL, EXTERNAL_ALICE)
    expect(net.register(node, EXTERNAL, net.alice) == 0, "accepted")
    gateway = Cable(net.lab, "inet", "t-wan")
    esp = IP(src=EXTERNAL_ALICE, dst=VISITED, proto=50, ttl=64) / \
        Raw(struct.pack("!II", 0x1000, 1) + bytes(64))
    net.from_visitor(node, esp)
    got = gateway.wait(lambda f: IP in f and f[IP].proto == 50, "native ESP behind the home agent")
    expect((got[IP].src, got[IP].dst) == (EXTERNAL_ALICE, VISITED) and
           octets_of(got)[20:] == bytes(esp)[20:], got.summary())
    back = IP(src=VISITED, dst=EXTERNAL_ALICE, proto=50, ttl=64) / \
        Raw(struct.pack("!II", 0x2000, 1) + bytes(64))
    gateway.send(Ether(src=gateway.mac, dst="02:00:00:00:01:02") / back)
    frame = net.at_visitor(lambda f: f[IP].proto == 50, "ESP at the visitor")
    expect(frame.dst == node.mac and octets_of(frame)[20:] == bytes(back)[20:], frame.summary())


@case
def S2_34_behind_a_nat_the_agent_gets_a_udp_tunnel_for_its_visitors(net):
    net.start()
    net.start_agent("nat", "udp_tunnel: on\nreverse_tunnel: mandatory")
    node = Node(1, PLAIN, PLAIN_ALICE)
    expect(net.register(node, PLAIN, net.alice, lifetime=60) == 0, "accepted")
    binding = net.mip4_bindings(PLAIN_ALICE)[0]
    expect(binding["care_of_address"] == BEHIND_NAT_AGENT and
           binding["tunnel_end"].startswith(NAT_OUTSIDE), str(binding))
    expect(net.status()["visitors"][0]["udp"], "in UDP")
    for number in range(1, 4):
        net.echo(node, VISITED, number)
    other = Node(2, PLAIN, "198.18.2.10")
    expect(net.register(other, PLAIN, net.range_keys[0], flags="TG") == 0, "a second visitor")
    net.echo(other, VISITED)
    net.echo(node, VISITED, 4)


if __name__ == "__main__":
    main(VisitedNetwork)

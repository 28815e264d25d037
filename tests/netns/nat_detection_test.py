#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Binding updates over UDP and IPv4 through the kernel's NAT, sent by a mobile node made of scapy;
tshark reads what goes over the wire (S1.50, S1.60 to S1.71; P11, P12).

    nat_detection_test.py [WORD...]     runs all, or those whose name contains one of the words
"""
import json
import pathlib
import secrets
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import (ALGORITHM, HOME_ADDRESS, HOME_AGENT, KEY_LENGTH, SPI_BA,  # noqa: E402
                 SPI_BU, wait_until)
from nat_network import (CARE_OF_IPV4, CORRESPONDENT_IPV4, HOME_AGENT_IPV4,  # noqa: E402
                         NAT_ADDRESS, NatNetwork)
from signalling_capture import Capture  # noqa: E402

SECOND_HOME_AGENT_IPV4 = "203.0.113.5"
BOB, BOB_SPI_BU, BOB_SPI_BA = "2001:db8:1::101", 0x10002, 0x20002
PORT, NODE_PORT = 4191, 5000
SERVER, SECOND_SERVER = [HOME_AGENT_IPV4, PORT], [SECOND_HOME_AGENT_IPV4, PORT]
NO_KEEPALIVES = 0xFFFFFFFF
DECODE = f"udp.port=={PORT},ipv6"


class Node:
    """The other side of scapy_mobile_node.py, in a namespace."""

    def __init__(self, net, namespace, home_address=HOME_ADDRESS, keys=("bu.key", "ba.key"),
                 spis=(SPI_BU, SPI_BA)):
        read = [(net.lab.directory / name).read_text().strip() for name in keys]
        self.process = net.lab.start(
            namespace, ["/usr/bin/python3", pathlib.Path(__file__).with_name(
                "scapy_mobile_node.py"), home_address, HOME_AGENT, spis[0], read[0], spis[1],
                read[1]], name=f"node-{namespace}", stdin=True)
        self.process.wait_for_output("ready", 20)
        self.lines = 1

    def ask(self, timeout=10, **command):
        stream = self.process.process.stdin
        stream.write(json.dumps(command).encode() + b"\n")
        stream.flush()
        self.lines += 1
        wait_until(lambda: self.process.output().count("\n") >= self.lines or
                   not self.process.running(), timeout, f"an answer to {command}", 0.01)
        expect(self.process.running(), self.process.output()[-2000:])
        return json.loads(self.process.output().splitlines()[self.lines - 1])

    def open(self, address, port=NODE_PORT):
        self.ask(open=[address, port])
        return self

    def receive(self, seconds=3):
        return self.ask(receive=seconds, timeout=seconds + 10)

    def acknowledgement(self, seconds=3):
        """The next one; data in between is passed over."""
        for _ in range(200):
            answer = self.receive(seconds)
            if answer is None or answer["kind"] == "acknowledgement":
                return answer
        return None

    def register(self, to=None, status=0, **update):
        """Sends an update, awaits its answer; both."""
        sent = self.ask(update=update, to=to or SERVER)
        answer = self.acknowledgement()
        expect(answer is not None, f"no answer to {sent['sequence']}")
        expect(answer["status"] == status and answer["from"] == (to or SERVER), str(answer))
        expect(answer["destination"] == HOME_ADDRESS or answer["destination"] == BOB, str(answer))
        return sent, answer


class Network(NatNetwork):
    """With a second IPv4 address of the home agent, and bob, who is behind the same NAT."""

    def __init__(self, lab):
        super().__init__(lab)
        self.home_agent_extra = ""
        self.controlplane_extra = ("  dual_stack: {nat_refresh: 30}\n"
                                   "  limits: {bu_per_node_per_second: 100}")

    def make_networks(self):
        super().make_networks()
        lab = self.lab
        lab.namespace("bob")
        lab.veth("bob", "n", "nat", "inside2")
        lab.ip("nat", "addr add 192.168.78.1/24 dev inside2")
        lab.ip("bob", "addr add 192.168.78.200/24 dev n")
        lab.ip("bob", "route add default via 192.168.78.1")
        for name in ("bob-bu.key", "bob-ba.key"):
            path = lab.directory / name
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(KEY_LENGTH) + "\n")

    def attach_ports(self):
        super().attach_ports()
        self.lab.ip("ha", f"addr add {SECOND_HOME_AGENT_IPV4}/24 dev hp-wan0")

    def write_configuration(self):
        super().write_configuration()
        text = self.config.read_text()
        text = text.replace(f'ipv4_addresses: ["{HOME_AGENT_IPV4}"]',
                            f'ipv4_addresses: ["{HOME_AGENT_IPV4}", "{SECOND_HOME_AGENT_IPV4}"]')
        text = text.replace("  policy:\n", f"""    - name: bob
      home_address: "{BOB}"
      security:
        bu:
          spi_in: {BOB_SPI_BU}
          spi_out: {BOB_SPI_BA}
          algorithm: {ALGORITHM}
          key_file_in: bob-bu.key
          key_file_out: bob-ba.key
  policy:
""")
        self.config.write_text(text)

    def start_at(self, network="n"):
        """The node, in `network`."""
        self.start()
        self.plug(network)
        return Node(self, "mn").open(CARE_OF_IPV4[network])

    def binding(self, home_address=HOME_ADDRESS):
        rows = [row for row in self.bindings()
                if row["home_address"] == home_address and row["state"] == "active"]
        return rows[0] if rows else None

    def outside_port(self):
        """Of the one mapping of the NAT towards port 4191 that was made last."""
        ports = self.mappings(PORT)
        expect(len(ports) == 1, f"mappings: {ports}")
        return ports[0]

    def expect_behind_nat(self, home_address=HOME_ADDRESS, port=None):
        row = self.binding(home_address)
        source = f"{NAT_ADDRESS}:{port or self.outside_port()}"
        expect(row is not None and row["nat"] == "yes" and row["outer_source"] == source,
               f"expected {source}: {row}")
        return row

    def expect_balance(self):
        drops = self.hactl("show", "drops")
        expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")


def with_technique(net, technique):
    if technique == "heuristic":
        net.policy = "    technique: heuristic\n    require_api: off"


def no_nat(net, technique):
    with_technique(net, technique)
    node = net.start_at("v")
    capture = Capture(net.lab, "inet", "t-wan", "udp port 4191")
    for _ in range(3):  # refreshes, too
        _, answer = node.register(care_of=CARE_OF_IPV4["v"])
        expect(answer.get("refresh") == NO_KEEPALIVES and not answer["force_udp"], str(answer))
    row = net.binding()
    expect(row["nat"] == "no" and row["outer_source"] == f"{CARE_OF_IPV4['v']}:{NODE_PORT}",
           str(row))
    capture.wait_for("udp", 6)
    capture.stop()
    messages = capture.tshark(
        ["ip.src", "ip.dst", "ip.flags.df", "udp.srcport", "udp.dstport", "udp.checksum",
         "ipv6.src", "ipv6.dst", "ipv6.nxt", "mip6.mhtype", "mip6.ipv4coa.addr",
         "mip6.ba.status", "mip6.natd.f_flag", "mip6.natd.refresh_t", "esp.icv_good",
         "_ws.expert.message"], "mip6.mhtype", decode_as=DECODE)
    updates = [m for m in messages if m["mip6.mhtype"] == "5"]
    answers = [m for m in messages if m["mip6.mhtype"] == "6"]
    expect(len(updates) == 3 and len(answers) == 3, f"{messages}")
    for message in messages:
        expect(not message["_ws.expert.message"], f"tshark objects: {message}")
        expect(message["esp.icv_good"] in ("1", "True"), str(message))
    for update in updates:
        expect(update["mip6.ipv4coa.addr"] == CARE_OF_IPV4["v"], str(update))
    for answer in answers:
        expect((answer["ip.src"], answer["ip.dst"], answer["udp.srcport"], answer["udp.dstport"])
               == (HOME_AGENT_IPV4, CARE_OF_IPV4["v"], str(PORT), str(NODE_PORT)), str(answer))
        expect(answer["ipv6.src"] == HOME_AGENT and answer["ipv6.dst"] == HOME_ADDRESS and
               answer["ipv6.nxt"] == "50", f"no routing header: {answer}")
        # A wrong one would not have come through to the socket of the node.
        expect(int(answer["udp.checksum"], 0) != 0, f"no checksum: {answer}")
        expect(answer["mip6.ba.status"] == "0" and
               answer["mip6.natd.refresh_t"] == str(NO_KEEPALIVES), str(answer))
    net.expect_balance()


@case
def S1_61_no_nat_is_found_where_there_is_none_by_technique_api(net):
    no_nat(net, "api")


@case
def S1_61_no_nat_is_found_where_there_is_none_by_technique_heuristic(net):
    no_nat(net, "heuristic")


def remapped_and_rebooted(net, technique):
    with_technique(net, technique)
    node = net.start_at("n")
    _, answer = node.register(care_of=CARE_OF_IPV4["n"])
    expect(answer["refresh"] == 30 and not answer["force_udp"], str(answer))
    net.expect_behind_nat()
    node.register(care_of=CARE_OF_IPV4["n"])  # a refresh
    first = net.outside_port()
    net.expect_behind_nat(port=first)
    # The NAT gives other ports from now on, and forgets what it gave.
    net.masquerade("40000-40999")
    net.forget_mappings()
    node.register(care_of=CARE_OF_IPV4["n"])
    second = net.outside_port()
    expect(second != first and 40000 <= second <= 40999, f"{first}, then {second}")
    net.expect_behind_nat(port=second)
    # It is switched off and on: nothing comes through until the next update.
    net.forget_mappings()
    node.register(care_of=CARE_OF_IPV4["n"])
    net.expect_behind_nat()
    net.expect_balance()


@case
def S1_70_port_remapped_and_nat_rebooted_by_technique_api(net):
    remapped_and_rebooted(net, "api")


@case
def S1_70_port_remapped_and_nat_rebooted_by_technique_heuristic(net):
    remapped_and_rebooted(net, "heuristic")


def captured_update(net, technique):
    with_technique(net, technique)
    node = net.start_at("n")
    attacker = Node(net, "cn").open(CORRESPONDENT_IPV4, 6000)
    sent, _ = node.register(care_of=CARE_OF_IPV4["n"])
    before = net.expect_behind_nat()
    capture = Capture(net.lab, "inet", "cn", "udp port 4191")
    # Right behind a genuine one, again and again.
    for _ in range(10):
        update = node.ask(update={"care_of": CARE_OF_IPV4["n"]}, to=SERVER)
        attacker.ask(send=update["octets"], to=SERVER)
        answer = node.acknowledgement()
        expect(answer is not None and answer["status"] == 0 and
               answer["sequence"] == update["sequence"], f"the genuine node got {answer}")
        after = net.expect_behind_nat()
        expect(after["outer_source"] == before["outer_source"], str(after))
    # And one of long ago.
    attacker.ask(send=sent["octets"], to=SERVER)
    attacker.receive(1)
    net.expect_behind_nat()
    capture.stop()
    accepted = [m for m in capture.tshark(["ip.dst", "mip6.ba.status"], "mip6.mhtype == 6",
                                          decode_as=DECODE) if m["mip6.ba.status"] == "0"]
    expect(accepted == [], f"acknowledged towards the attacker: {accepted}")
    net.expect_balance()


@case
def S1_67_captured_update_from_elsewhere_by_technique_api(net):
    captured_update(net, "api")


@case
def S1_67_captured_update_from_elsewhere_by_technique_heuristic(net):
    captured_update(net, "heuristic")


@case
def S1_50_a_rejected_update_is_answered_where_it_came_from(net):
    node = net.start_at("n")
    sent, _ = node.register(care_of=CARE_OF_IPV4["n"])
    bound = net.expect_behind_nat()
    net.plug("v")
    node.open(CARE_OF_IPV4["v"], 7000)
    # Sequence number out of window (135): the answer says which one is expected.
    _, answer = node.register(care_of=CARE_OF_IPV4["v"], sequence=sent["sequence"] - 50,
                              status=135)
    expect(answer["sequence"] == sent["sequence"], str(answer))
    row = net.binding()
    expect(row["outer_source"] == bound["outer_source"], f"the binding moved: {row}")
    net.expect_balance()


@case
def S1_71_each_of_two_addresses_of_the_home_agent_answers_for_itself(net):
    node = net.start_at("n")
    for server in (SERVER, SECOND_SERVER, SERVER):
        _, answer = node.register(care_of=CARE_OF_IPV4["n"], to=server)
        expect(answer["from"] == server, str(answer))
    net.expect_balance()


@case
def two_nodes_with_the_same_port_behind_one_nat(net):
    alice = net.start_at("n")
    bob = Node(net, "bob", BOB, ("bob-bu.key", "bob-ba.key"), (BOB_SPI_BU, BOB_SPI_BA))
    bob.open("192.168.78.200")
    for _ in range(2):
        alice.register(care_of=CARE_OF_IPV4["n"])
        bob.register(care_of="192.168.78.200")
    ports = net.mappings(PORT)
    expect(len(set(ports)) == 2, f"mappings: {ports}")
    rows = [net.binding(address) for address in (HOME_ADDRESS, BOB)]
    sources = [row["outer_source"] for row in rows]
    expect(sorted(sources) == sorted(f"{NAT_ADDRESS}:{port}" for port in ports),
           f"{sources}, mappings {ports}")
    expect(all(row["nat"] == "yes" for row in rows), str(rows))
    # Bob goes home; alice stays where she is.
    bob.register(care_of="192.168.78.200", lifetime=0)
    expect(net.binding(BOB) is None and net.binding() is not None, "the wrong one went")
    alice.register(care_of=CARE_OF_IPV4["n"])
    net.expect_balance()


def data_arrives(net, node):
    """Whether an echo request of the correspondent comes through the tunnel."""
    net.lab.run("cn", ["ping", "-n", "-c", 1, "-W", 1, HOME_ADDRESS], check=False)
    while True:
        answer = node.receive(0.5)
        if answer is None:
            return False
        if answer["kind"] == "data":
            return True


@case
def S1_70_idle_longer_than_the_mapping_lives_without_keepalives_and_with(net):
    node = net.start_at("n")
    net.udp_timeout(2)
    node.register(care_of=CARE_OF_IPV4["n"])
    expect(data_arrives(net, node), "no data behind the NAT")
    wait_until(lambda: not net.mappings(PORT), 20, "the NAT forgets the mapping", 0.3)
    expect(not data_arrives(net, node), "the NAT let data in without a mapping")
    # The next update brings it back: keepalives are nothing else (mipv6.md section 5.5).
    node.register(care_of=CARE_OF_IPV4["n"])
    net.expect_behind_nat()
    expect(data_arrives(net, node), "no data with the new mapping")
    for _ in range(5):  # longer than the mapping would live
        wait_until(lambda: node.receive(1) is None, 5, "idle for a second")
        node.register(care_of=CARE_OF_IPV4["n"])
        expect(net.mappings(PORT), "the mapping is gone between keepalives")
    expect(data_arrives(net, node), "no data in spite of keepalives")
    net.expect_balance()


@case
def S1_68_a_flood_of_forged_updates_changes_nothing(net):
    node = net.start_at("n")
    attacker = Node(net, "cn").open(CORRESPONDENT_IPV4, 6000)
    sent, _ = node.register(care_of=CARE_OF_IPV4["n"])
    before = net.expect_behind_nat()
    forged = bytearray.fromhex(sent["octets"])
    forged[-1] ^= 1
    for _ in range(200):
        attacker.ask(send=forged.hex(), to=SERVER)
    node.register(care_of=CARE_OF_IPV4["n"])
    expect(net.expect_behind_nat()["outer_source"] == before["outer_source"], "it moved")
    expect(data_arrives(net, node), "no data")
    expect(attacker.receive(0.5) is None, "forged updates were answered")
    net.expect_balance()


main(Network)

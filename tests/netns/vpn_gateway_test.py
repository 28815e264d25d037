#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Internal home agent, external home agent and VPN gateway in one box, against a mobile node in mode
cvc that shares no code with it (S2.20, S2.130, S2.131; packets 1a to 3e on the mobile node's wire).
"""
import json
import signal

from cases import case, expect, main
from vpn_client import BY_VPN, CARE_OF, balance, counter, reply_of, start, steps
from vpn_network import (CORRESPONDENT, EXTERNAL, EXTERNAL_HOME, GATEWAY, HOME, INNER, INTERNAL,
                         NETWORKS, SPI_EXTERNAL, SPI_INTERNAL, VpnNetwork)


@case
def S2_131_three_layers_are_undone_in_one_pass_and_put_on_again(net):
    start(net)
    external, internal, answers = steps(
        net, {"do": "register_external"}, {"do": "register_internal"},
        {"do": "ping", "to": CORRESPONDENT, "count": 3})
    reply = reply_of(net, external, "external.key", SPI_EXTERNAL)
    expect(reply.code == 0 and reply.home == EXTERNAL_HOME, f"external: {reply.code}")
    reply = reply_of(net, internal, "internal.key", SPI_INTERNAL)
    expect(reply.code == 0 and reply.home == HOME, f"internal: {reply.code}")
    expect(internal[0]["layers"] == [f"{EXTERNAL}>{CARE_OF} p4", *BY_VPN,
                                     f"{INTERNAL}>{INNER} p17 434>40434"],
           f"2c on its way back: {internal[0]['layers']}")
    expect(len(answers) == 3, f"answers: {answers}")
    for one in answers:
        expect(one["layers"] == [f"{EXTERNAL}>{CARE_OF} p4", *BY_VPN, f"{INTERNAL}>{INNER} p4",
                                 f"{CORRESPONDENT}>{HOME} p1"], f"3b: {one}")
        # From the correspondent over core (-1) into the tunnels: the user's packet takes one hop
        # of three roles (S2.i).
        expect(one["ttl"] == 64 - 2, f"TTL {one['ttl']}, expected 62")
        # S2.101: 20 + ESP with HMAC-SHA1-96, at most 73, + 20.
        expect(20 + 20 + 58 <= one["size"] - one["inner_size"] <= 20 + 20 + 73,
               f"overhead {one['size'] - one['inner_size']}")
    for name, least in (("xha.tun.in", 4), ("iha.tun.in", 3), ("vpn.in", 4), ("xha.tun.out", 4),
                        ("iha.tun.out", 3), ("vpn.out", 4)):
        expect(counter(net, name) >= least, f"{name}: {counter(net, name)}")
    sas = net.hactl("show", "sa")["sas"]
    expect([row["peer"] for row in sas] == [INNER] * 2, f"whose SAs: {sas}")
    expect(net.hactl("show", "sa", INNER)["sas"] == sas, "found by that address")
    balance(net)


@case
def S2_34_S2_35_all_layers_behind_a_nat(net):
    start(net, "n")
    inside = NETWORKS["n"][0].partition("/")[0]
    external, internal, answers = steps(
        net, {"do": "register_external", "udp": True},
        {"do": "register_internal", "external_udp": True, "esp_udp": True, "udp": True,
         "forced": True},
        {"do": "ping", "to": CORRESPONDENT, "external_udp": True, "esp_udp": True,
         "internal_udp": False}, device="n", care_of=inside)
    expect(reply_of(net, external, "external.key", SPI_EXTERNAL).code == 0, "external")
    # Forced UDP tunnels are not allowed by the internal one: its code says so.
    expect(reply_of(net, internal, "internal.key", SPI_INTERNAL).code == 129, "internal")
    expect(answers == [], f"no binding, and answers: {answers}")
    internal, answers = steps(
        net, {"do": "register_internal", "external_udp": True, "esp_udp": True},
        {"do": "ping", "to": CORRESPONDENT, "external_udp": True, "esp_udp": True},
        device="n", care_of=inside)
    expect(reply_of(net, internal, "internal.key", SPI_INTERNAL).code == 0, "internal")
    expect(len(answers) == 3, f"answers: {answers}")
    for one in answers:
        expect(one["layers"] == [f"{EXTERNAL}>{inside} p17 434>40434 tunnel-data 4",
                                 f"{GATEWAY}>{EXTERNAL_HOME} p17 4500>4500",
                                 f"{INTERNAL}>{INNER} p4", f"{CORRESPONDENT}>{HOME} p1"],
               f"3b with NATs: {one}")
    balance(net)


@case
def S2_83_the_internal_home_agent_does_not_answer_outside(net):
    start(net)
    net.set_firewall(False)
    direct, = steps(net, {"do": "register_internal", "direct": True, "wait": 2})
    expect(direct == [], f"answered: {direct}")
    agents = {row["name"]: row for row in net.hactl("show", "mip4-home-agents")["home_agents"]}
    expect(agents["internal"]["counters"].get("iha.rrq.from_outside") == 1, f"{agents}")
    # And not through the external tunnel without ESP, either.
    external, = steps(net, {"do": "register_external"})
    expect(reply_of(net, external, "external.key", SPI_EXTERNAL).code == 0, "external")
    balance(net)


@case
def S2_30_the_home_address_alone_is_nothing_that_the_sa_lets_pass(net):
    start(net)
    _, internal, answers = steps(
        net, {"do": "register_external"}, {"do": "register_internal"},
        {"do": "ping", "to": CORRESPONDENT, "without_internal": True, "count": 2, "wait": 1})
    expect(reply_of(net, internal, "internal.key", SPI_INTERNAL).code == 0, "internal")
    expect(answers == [], f"{answers}")
    drops = {row["name"]: row["value"] for row in balance(net)["counters"]}
    expect(drops.get("ipsec.in.selector_mismatch") == 2, f"{drops}")


@case
def S2_36_inner_addresses_are_translated(net):
    net.client_extra = ", translated: 10.1.8.77"
    start(net)
    _, internal, answers = steps(
        net, {"do": "register_external"},
        {"do": "register_internal", "udp": True},
        {"do": "ping", "to": CORRESPONDENT, "internal_udp": True})
    reply = reply_of(net, internal, "internal.key", SPI_INTERNAL)
    expect(reply.code == 0 and 44 in reply.types(), f"UDP is used: {reply.types()}")
    expect(len(answers) == 3, f"answers: {answers}")
    for one in answers:
        expect(one["layers"][2] == f"{INTERNAL}>{INNER} p17 434>40434 tunnel-data 4", f"{one}")
    rows = net.hactl("show", "mip4-bindings")["bindings"]
    expect(any("10.1.8.77" in json.dumps(row) for row in rows), f"{rows}")
    expect(counter(net, "vpn.translated") >= 8, "counted")
    balance(net)


IKE_DAEMON = """
import select, socket, sys
sockets = []
for port in (500, 4500):
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((sys.argv[1], port))
    sockets.append(one)
print("ready", flush=True)
while True:
    for one in select.select(sockets, [], [])[0]:
        message, peer = one.recvfrom(2048)
        print(peer, message, flush=True)
        one.sendto(message, peer)
"""


@case
def S2_28_1a_IKE_goes_to_the_kernels_daemon_and_back(net):
    start(net)
    daemon = net.lab.start("ha", ["/usr/bin/python3", "-c", IKE_DAEMON, GATEWAY], name="ike")
    daemon.wait_for_output("ready")
    external, plain, natted = steps(net, {"do": "register_external"}, {"do": "ike", "port": 500},
                                    {"do": "ike", "port": 4500})
    expect(reply_of(net, external, "external.key", SPI_EXTERNAL).code == 0, "external")
    for answers in (plain, natted):
        expect([one["layers"] for one in answers] ==
               [[f"{EXTERNAL}>{CARE_OF} p4", f"{GATEWAY}>{EXTERNAL_HOME} p17"]], f"{answers}")
    expect(counter(net, "udp4500.ike") == 1, "with the marker")
    balance(net)


@case
def S2_37_a_move_outside_changes_no_sa(net):
    start(net)
    _, internal = steps(net, {"do": "register_external"}, {"do": "register_internal"})
    expect(reply_of(net, internal, "internal.key", SPI_INTERNAL).code == 0, "internal")
    before = counter(net, "vpn.moved")
    net.move("a", "n")
    inside = NETWORKS["n"][0].partition("/")[0]
    external, answers = steps(
        net, {"do": "register_external", "udp": True},
        {"do": "ping", "to": CORRESPONDENT, "external_udp": True}, device="n", care_of=inside)
    expect(reply_of(net, external, "external.key", SPI_EXTERNAL).code == 0, "external")
    expect(len(answers) == 3, f"one registration, and packets flow: {answers}")
    expect(counter(net, "vpn.moved") == before, "the SA has not moved")
    balance(net)


@case
def S2_2_the_policy_of_the_gateway_holds_in_both_directions(net):
    net.gateway_extra = "    networks: [10.1.9.0/24]"
    start(net)
    _, internal, answers = steps(
        net, {"do": "register_external"}, {"do": "register_internal"},
        {"do": "ping", "to": CORRESPONDENT})
    expect(reply_of(net, internal, "internal.key", SPI_INTERNAL).code == 0,
           "the internal home agent is within reach all the same (S2.89)")
    expect(len(answers) == 3, f"and so are tunnels to it (S2.90a): {answers}")
    # From the inner address itself, to where the policy leads and to where it does not.
    allowed, refused = steps(
        net, {"do": "ping", "source": INNER, "without_internal": True, "to": CORRESPONDENT},
        {"do": "ping", "source": INNER, "without_internal": True, "to": "10.1.2.1", "wait": 1})
    expect(len(allowed) == 3, f"{allowed}")
    expect(refused == [], f"{refused}")
    drops = {row["name"]: row["value"] for row in balance(net)["counters"]}
    expect(drops.get("ipsec.in.selector_mismatch") == 3, f"{drops}")
    # Plaintext that says it comes from the client.
    net.lab.ip("core", "addr add 10.1.8.5/32 dev lo")
    net.lab.run("core", ["ping", "-c", "2", "-W", "1", "-i", "0.2", "-I", INNER, INTERNAL],
                check=False)
    drops = {row["name"]: row["value"] for row in balance(net)["counters"]}
    expect(drops.get("ipsec.in.policy", 0) >= 2, f"{drops}")


@case
def S2_35_nothing_is_sent_before_the_port_is_known_where_udp_is_demanded(net):
    net.client_extra = ", udp_encapsulation: always"
    start(net)
    net.lab.run("cn", ["ping", "-c", "2", "-i", "0.2", "-W", "1", INNER], check=False)
    drops = {row["name"]: row["value"] for row in balance(net)["counters"]}
    expect(drops.get("vpn.out.no_port") == 2, f"{drops}")
    _, internal, answers = steps(
        net, {"do": "register_external"}, {"do": "register_internal", "esp_udp": True},
        {"do": "ping", "to": CORRESPONDENT, "esp_udp": True})
    expect(reply_of(net, internal, "internal.key", SPI_INTERNAL).code == 0, "internal")
    expect([one["layers"][1] for one in answers] ==
           [f"{GATEWAY}>{EXTERNAL_HOME} p17 4500>4500"] * 3, f"{answers}")
    expect(counter(net, "vpn.moved") == 1, "learnt once")
    # Plain ESP says nothing about the port.
    answers, = steps(net, {"do": "ping", "to": CORRESPONDENT, "count": 1})
    expect([one["layers"][1] for one in answers] ==
           [f"{GATEWAY}>{EXTERNAL_HOME} p17 4500>4500"], f"{answers}")
    balance(net)


@case
def three_roles_forward_while_the_control_plane_is_killed_and_started(net):
    start(net)
    _, internal = steps(net, {"do": "register_external"}, {"do": "register_internal"})
    expect(reply_of(net, internal, "internal.key", SPI_INTERNAL).code == 0, "internal")
    net.controlplane.signal(signal.SIGKILL)
    net.controlplane.wait()
    answers, = steps(net, {"do": "ping", "to": CORRESPONDENT})
    expect(len(answers) == 3, f"without a control plane: {answers}")
    net.start_controlplane()
    answers, = steps(net, {"do": "ping", "to": CORRESPONDENT})
    expect(len(answers) == 3, f"with a new one: {answers}")
    rows = net.hactl("show", "mip4-bindings")["bindings"]
    expect({row["home_address"] for row in rows} == {HOME, EXTERNAL_HOME}, f"kept: {rows}")
    # It knows them as before: the next registration is a refresh.
    internal, = steps(net, {"do": "register_internal"})
    expect(reply_of(net, internal, "internal.key", SPI_INTERNAL).code == 0, "refreshed")
    balance(net)


main(VpnNetwork)

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Two mobile nodes of one home agent: bob tests the way to alice, who is his correspondent."""
import json
import pathlib
import secrets
import socket
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import signalling_capture  # noqa: E402
from cases import case, expect, main  # noqa: E402
from lab import (ALGORITHM, CARE_OF, HOME_ADDRESS, HOME_AGENT, KEY_LENGTH, ROOT,  # noqa: E402
                 LabError, RoamingNetwork, wait_until)
from roaming import start_at  # noqa: E402
from signalling_capture import Capture  # noqa: E402

BOB = "2001:db8:1::200"
BOB_CARE_OF = "2001:db8:c::200"
HOTI, COTI, HOT, COT, BU = 1, 2, 3, 4, 5
# From the home agent's side: (in, out).
SPIS = {"cn": (0x10004, 0x20004), "bob-bu": (0x10011, 0x20011), "bob-rr": (0x10013, 0x20013),
        "bob-payload": (0x10016, 0x20016)}
signalling_capture.ASSOCIATIONS += [(spi, f"{name}-{way}.key") for name, spis in SPIS.items()
                                    for way, spi in zip(("in", "out"), spis)]


def pair(key, name, indent, of_node=False):
    """Lines of `security` for one pair of SAs."""
    (spi_in, spi_out), (file_in, file_out) = SPIS[name], (f"{name}-in.key", f"{name}-out.key")
    if of_node:
        spi_in, spi_out, file_in, file_out = spi_out, spi_in, file_out, file_in
    lines = [f"{key}:", f"  spi_in: {spi_in}", f"  spi_out: {spi_out}", f"  algorithm: {ALGORITHM}",
             f"  key_file_in: {file_in}", f"  key_file_out: {file_out}"]
    return "".join(" " * indent + line + "\n" for line in lines)


class Network(RoamingNetwork):
    def __init__(self, lab):
        super().__init__(lab)
        self.protect_payload = True
        self.with_keys = True
        self.layer = self.control = None

    def make_networks(self):
        super().make_networks()
        lab = self.lab
        lab.namespace("bob")
        lab.veth("bob", "c", "inet", "c")
        lab.ip("inet", "addr add 2001:db8:c::1/64 dev c nodad")
        lab.ip("bob", f"addr add {BOB_CARE_OF}/64 dev c nodad")
        lab.ip("bob", "route add default via 2001:db8:c::1")

    def write_configuration(self):
        super().write_configuration()
        for name in SPIS:
            for way in ("in", "out"):
                path = self.lab.directory / f"{name}-{way}.key"
                path.touch(mode=0o600)
                path.write_text(secrets.token_hex(KEY_LENGTH) + "\n")
        agent, node = self.config.read_text(), self.mn_config.read_text()
        if self.with_keys:
            agent = agent.replace("      security:\n", "      security:\n" + pair("cn", "cn", 8))
            node = node.replace("security:\n", "security:\n" + pair("cn", "cn", 2, True))
        agent = agent.replace("  policy:\n", f'    - name: bob\n      home_address: "{BOB}"\n'
                              "      security:\n" + pair("bu", "bob-bu", 8) +
                              pair("rr", "bob-rr", 8) + pair("payload", "bob-payload", 8) +
                              "  policy:\n")
        self.config.write_text(agent)
        self.mn_config.write_text(node)
        self.bob_config.write_text(f"""home_address: "{BOB}"
home_prefix: "2001:db8:1::/64"
home_agent: "{HOME_AGENT}"
interfaces: [c]
lifetime: 120
security:
{pair("bu", "bob-bu", 2, True)}{pair("rr", "bob-rr", 2, True)}{pair("payload", "bob-payload", 2, True)}
status_socket: {self.lab.directory}/bob.sock
route_optimisation: on
log_level: debug
""")

    @property
    def bob_config(self):
        return self.lab.directory / "bob.yaml"

    def start_bob(self):
        self.lab.start("bob", [self.program("homeport-mn"), "--config", self.bob_config],
                       name="bob")
        wait_until(lambda: any(row["home_address"] == BOB and row["state"] == "active"
                               for row in self.bindings()), 15, "bob's registration")

    def start_correspondent(self):
        lab = self.lab
        config = lab.directory / "correspondent.json"
        config.write_text(json.dumps({"address": HOME_ADDRESS, "inside": "homeport0",
                                      "outside": "homeport0",
                                      "socket": str(lab.directory / "cn.sock")}))
        self.layer = lab.start("mn", ["/usr/bin/python3", ROOT / "tests/netns" /
                                      "tun_correspondent.py", config], name="correspondent")
        self.layer.wait_for_output("ready")
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.control.bind(str(lab.directory / "cn-control.sock"))
        self.control.connect(str(lab.directory / "cn.sock"))
        self.control.settimeout(10)

    def cn(self):
        if not self.layer.running():
            raise LabError(f"the correspondent ended: {self.layer.output()[-3000:]}")
        self.control.send(b'{"command": "state"}')
        return json.loads(self.control.recv(1 << 20))

    def hits(self, name):
        """(in, out) packets of a policy, as `hactl show spd` has them."""
        rows = self.hactl("show", "spd")["policies"]
        row = next(row for row in rows if row["name"] == name)
        return row["in_packets"], row["out_packets"]

    def counter(self, name):
        rows = self.hactl("show", "drops")["counters"]
        return next((row["value"] for row in rows if row["name"] == name), 0)

    def trigger(self):
        self.lab.run("bob", ["ping", "-n", "-c", "3", "-i", "0.2", "-W", "1", "-I", BOB,
                             HOME_ADDRESS], check=False)


@case
def S1_34_RFC4877_7_3_home_test_of_another_mobile_node_goes_by_entry_4c(net):
    start_at(net, "a")
    net.start_correspondent()
    net.start_bob()
    alices, bobs = Capture(net.lab, "mn", "a"), Capture(net.lab, "bob", "c")
    net.trigger()
    wait_until(lambda: net.cn()["bindings"].get(BOB) == BOB_CARE_OF, 15,
               f"bob's binding at alice, who saw {[one['type'] for one in net.cn()['seen']]}")
    alices.stop()
    bobs.stop()
    expect(net.cn()["faults"] == [], f"the correspondent found fault: {net.cn()['faults']}")
    # At alice's end entry 4c, at bob's entry 4, each with its own SAs, in tunnels without more.
    for capture, care_of, spis in ((alices, CARE_OF["a"], SPIS["cn"]),
                                   (bobs, BOB_CARE_OF, SPIS["bob-rr"])):
        rows = capture.tshark(["ipv6.src", "ipv6.dst", "esp.spi", "mip6.mhtype", "esp.icv_good"],
                              f"esp.spi == {spis[0]} || esp.spi == {spis[1]}")
        found = {(row["ipv6.src"], row["ipv6.dst"], int(row["esp.spi"], 16), row["mip6.mhtype"],
                  row["esp.icv_good"] in ("1", "True")) for row in rows}
        out, back = (spis[1], spis[0]) if capture is alices else (spis[0], spis[1])
        ends = (HOME_AGENT, care_of) if capture is alices else (care_of, HOME_AGENT)
        expect(found == {(*ends, out, str(HOTI), True), (*ends[::-1], back, str(HOT), True)},
               f"home test at {care_of}: {found}")
        expect(capture.tshark(["frame.number"], f"mip6.mhtype == {HOTI} || mip6.mhtype == {HOT}",
                              keys=False) == [], "in the clear")
    wait_until(lambda: min(net.hits("hoti-hot") + net.hits("hot-hoti")) > 0, 5,
               "packets of entries 4 and 4c in show spd")
    drops = net.hactl("show", "drops")
    expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")


@case
def S1_34_without_keys_of_entry_4c_home_tests_are_dropped_and_the_tunnel_serves(net):
    net.with_keys = False
    start_at(net, "a")
    net.start_correspondent()
    net.start_bob()
    net.trigger()
    wait_until(lambda: net.counter("ipsec.out.no_sa") > 0, 10, "ipsec.out.no_sa")
    expect(not any(one["type"] == HOTI for one in net.cn()["seen"]), "a home test came through")
    answer = net.lab.run("bob", ["ping", "-n", "-c", "3", "-i", "0.2", "-I", BOB, HOME_ADDRESS],
                         check=False)
    expect(" 0% packet loss" in answer.stdout, f"by the tunnels: {answer.stdout}")


main(Network)

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What networks say of themselves changes what the mobile node asks first, and nothing else (S2.74 to
S2.78): a domain in resolv.conf, the MAC address of a real gateway, the NAI that a foreign agent
advertises. tshark reads who was asked.
"""
import time

from cases import CASES, case, expect, main
from lab import wait_until
from signalling_capture import ASSOCIATIONS, Capture
from vpn_mobile_node_test import WIRES
from vpn_network import CORRESPONDENT, EXTERNAL, HOME, INTERNAL, VpnNetwork

ASSOCIATIONS.clear()
CASES.clear()  # those of the module that helpers come from
PATIENCE = 4  # seconds, detect_period: who waits for it can be told from who does not


class HintNetwork(VpnNetwork):
    def hints(self, text):
        self.mip4_extra = f"  hints: {{{text}}}"

    def write_configuration(self):
        super().write_configuration()
        text = self.mn_config.read_text()
        self.mn_config.write_text(text.replace("detect_period_ms: 500",
                                               f"detect_period_ms: {PATIENCE * 1000}"))
        agent = self.lab.directory / "ifa.yaml"
        agent.write_text(agent.read_text().replace("lifetime: 30",
                                                   "lifetime: 30, nai: fa7@eng.corp.example"))

    def gateway_mac(self, network):
        namespace, device = WIRES[network]
        return self.lab.run(namespace, ["cat", f"/sys/class/net/{device}/address"]).strip()

    def resolv_conf(self, text):
        """As a DHCP client writes it."""
        (self.lab.directory / "resolv.conf").write_text(text)


def move_to(net, network):
    """(seconds until data may flow, who was asked directly)."""
    namespace, device = WIRES[network]
    net.lab.ip(namespace, f"link set dev {device} up")
    capture = Capture(net.lab, namespace, device, "udp port 434")
    began = time.monotonic()
    net.plug(network)
    wait_until(lambda: net.mn()["mode"] != "none", 20, f"a way; {net.mn(check=False)}; "
               f"{net.mobile_node.output()[-2000:]}")
    took = time.monotonic() - began
    capture.wait_for("mip.type == 1")
    capture.stop()
    rows = capture.tshark(["mip.haaddr"], "mip.type == 1")
    return took, {row["mip.haaddr"] for row in rows}


def expect_both_ways(net):
    wait_until(lambda: net.ping("mn", CORRESPONDENT, 1), 10, f"an answer to the node: {net.mn()}")
    wait_until(lambda: net.ping("cn", HOME, 1), 10, f"an answer of the node: {net.mn()}")


def expect_inside(net, network, mode):
    took, asked = move_to(net, network)
    expect(net.mn()["mode"] == mode, str(net.mn()))
    expect(asked == {INTERNAL}, f"S2.78: the external home agent waits: {asked}")
    expect(took < PATIENCE, f"{took:.1f} s")
    expect_both_ways(net)


def expect_outside(net, network):
    took, asked = move_to(net, network)
    expect(net.mn()["mode"] == "cvc", str(net.mn()))
    expect(asked == {INTERNAL, EXTERNAL}, f"S2.77: the internal one is asked all the same: {asked}")
    expect(took < PATIENCE, f"the VPN begins at once: {took:.1f} s")
    expect_both_ways(net)


def expect_nothing(net, network):
    took, asked = move_to(net, network)
    expect(net.mn()["mode"] == "cvc" and asked == {INTERNAL, EXTERNAL}, f"{net.mn()}, {asked}")
    expect(took >= PATIENCE, f"who knows nothing waits: {took:.1f} s")


@case
def S2_76_the_mac_address_of_a_real_gateway(net):
    net.make_networks()
    net.hints(f'gateway_macs: ["{net.gateway_mac("c")}"]')
    net.write_configuration()
    net.start_dataplane()
    net.start_controlplane()
    net.start_mobile_node()
    # The kernel knows its gateway once it has talked to it.
    net.lab.ip("mn", "link set dev c up")
    net.lab.ip("mn", "neigh replace 10.1.2.1 lladdr " + net.gateway_mac("c") + " dev c nud stale")
    expect_inside(net, "c", "c")
    net.unplug("c")
    expect_outside(net, "a")


@case
def S2_74_the_domain_that_a_network_gives(net):
    net.make_networks()
    net.hints("domains: [corp.example], resolv_conf: resolv.conf")
    net.write_configuration()
    net.start_dataplane()
    net.start_controlplane()
    net.resolv_conf("nameserver 10.1.0.53\nsearch eng.Corp.example\n")
    net.start_mobile_node()
    expect_inside(net, "c", "c")
    net.unplug("c")
    net.resolv_conf("nameserver 198.51.100.1\nsearch cafe.example\n")
    expect_outside(net, "a")
    # S2.77: a network that lies about itself is not inside for that.
    net.unplug("a")
    net.resolv_conf("search corp.example\n")
    took, _ = move_to(net, "a")
    expect(net.mn()["mode"] == "cvc", f"inside because somebody says so: {net.mn()}")
    expect(took >= PATIENCE, f"the external home agent was asked late: {took:.1f} s")


@case
def S2_75_the_identifier_that_a_foreign_agent_advertises(net):
    net.make_networks()
    net.hints("domains: [corp.example], resolv_conf: none")
    net.write_configuration()
    net.start_dataplane()
    net.start_controlplane()
    net.start_foreign_agents()
    net.start_mobile_node()
    expect_inside(net, "f", "f")
    net.unplug("f")
    expect_nothing(net, "a")


if __name__ == "__main__":
    main(HintNetwork)

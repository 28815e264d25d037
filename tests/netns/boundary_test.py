#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The boundary around IPsec with the real programs: nothing but packets passes it (S1.9), and what is
behind it is known by either technique (S1.8)."""
from cases import case, expect, main
from lab import CORRESPONDENT, HOME_ADDRESS, RoamingNetwork, wait_until


class Network(RoamingNetwork):
    def start_at(self, network):
        self.start()
        self.plug(network)
        self.start_mobile_node()
        self.wait_registered(network)

    def both_reach_each_other(self):
        wait_until(lambda: self.ping("cn", HOME_ADDRESS), 15, "echoes of the home address")
        wait_until(lambda: self.ping("mn", CORRESPONDENT), 15, "echoes of the correspondent")

    def roam(self):
        self.both_reach_each_other()
        for old, new in (("a", "b"), ("b", "home"), ("home", "a")):
            self.move(old, new)
            self.wait_registered(new)
            self.both_reach_each_other()
        drops = self.hactl("show", "drops")
        expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")


@case
def S1_9_registration_and_roaming_with_a_fresh_buffer_at_both_edges_of_ipsec(net):
    net.dataplane_extra = "  ipsec: {copy_mode: on}"
    net.start_at("a")
    net.roam()


@case
def S1_8_registration_and_roaming_with_the_heuristic_technique(net):
    net.policy = "    technique: heuristic\n    require_api: off"
    net.start_at("a")
    net.roam()
    text = net.hactl_text("show", "config")
    expect("heuristic" in text, text)
    problems = net.hactl("show", "status")["problems"]
    expect(any("heuristic" in problem for problem in problems), f"problems: {problems}")


@case
def S1_82_the_heuristic_technique_is_refused_while_the_api_is_required(net):
    net.start_at("a")
    before = net.hactl("config", "hash")
    good = net.config.read_text()
    net.config.write_text(good.replace("  policy:\n", "  policy:\n    technique: heuristic\n"))
    refused = net.lab.run("ha", [net.program("hactl"), "--socket", net.management, "config",
                                 "reload"], check=False)
    said = refused.stdout + refused.stderr
    expect(refused.returncode != 0 and "controlplane.policy.technique" in said and
           "require_api" in said, said)
    expect(net.hactl("config", "hash") == before, "the running configuration changed")
    net.both_reach_each_other()
    net.config.write_text(good.replace(
        "  policy:\n", "  policy:\n    technique: heuristic\n    require_api: off\n"))
    net.hactl("config", "reload")
    expect("heuristic" in net.hactl_text("show", "config"), "not in force")
    net.move("a", "b")
    net.wait_registered("b")
    net.both_reach_each_other()


main(Network)

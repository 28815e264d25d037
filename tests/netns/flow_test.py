#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""`hactl show flow`: each rule that a port could have, whether it is installed, and why not.

Real drivers that refuse: net_tap, whose family file names no ESP; net_ring under the generic file,
which asks the driver; and a port that wants no rules. What one that accepts makes of them is in
tests/unit/port/flow_steering_test.cpp.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from lab import RoamingNetwork, wait_until  # noqa: E402


def network(lab):
    roaming = RoamingNetwork(lab)
    roaming.workers = 2
    roaming.dataplane_extra = """
    - {name: asked0, device: "net_ring5", tap: hp-asked0, pmd_config: generic}
    - {name: plain0, device: "net_ring6", tap: hp-plain0, pmd_config: generic, flow_rules: off}
"""
    roaming.start()
    wait_until(lambda: len(roaming.hactl("show", "flow")["rules"]) == 4 * 18, 10, "all rules")
    return roaming


def rules(roaming, *arguments):
    return roaming.hactl("show", "flow", *arguments)["rules"]


@case
def each_refusal_is_listed_with_who_refused_and_why(roaming):
    shown = roaming.hactl("show", "flow")
    expect(shown["software"] == len(shown["rules"]) and shown["installed"] == 0, str(shown))
    expect(all(rule["reason"] for rule in shown["rules"]), str(shown))
    tap = {rule["name"]: rule for rule in rules(roaming, "wan0")}
    expect(tap["owner 1 esp ipv6"]["reason"] == "pmd-config/tap.yaml does not name esp_spi_masked",
           str(tap))
    expect(tap["owner 1 esp ipv6"]["match"] ==
           "eth / ipv6 / esp spi spec 0x81000000 spi mask 0xbf000000 / end", str(tap))
    expect(tap["mobility header"]["refused_by"] == "queues", str(tap))
    asked = {rule["name"]: rule for rule in rules(roaming, "asked0")}
    owner = asked["owner 0 esp udp 4500"]
    expect(owner["refused_by"] == "validate" and owner["error_code"] != 0, str(owner))
    expect("implemented" in owner["reason"] or "support" in owner["reason"], str(owner))
    plain = rules(roaming, "plain0")
    expect({rule["refused_by"] for rule in plain} == {"operator"}, str(plain))


@case
def the_table_is_for_people_and_arguments_choose(roaming):
    expect(not rules(roaming, "--state", "installed"), "nothing is installed here")
    expect(len(rules(roaming, "home0")) == 18, "rules of one port")
    text = roaming.hactl_text("show", "flow", "asked0")
    expect("PORT" in text and "owner 1 esp ipv4" in text and "18 in software" in text, text)


@case
def a_control_plane_that_starts_again_is_told_again(roaming):
    before = rules(roaming)
    roaming.controlplane.stop()
    roaming.start_controlplane()
    wait_until(lambda: len(rules(roaming)) == len(before), 15, "the rules after a restart")
    expect(rules(roaming) == before, "the same rules")


if __name__ == "__main__":
    main(network)

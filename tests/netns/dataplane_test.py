#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The data plane alone, with real kernels at both ends and a control plane made of lines.

Ping to the home agent through the exception TAP; forwarding between two links; tunnelled packets
of P1 and P2 as scapy sees them; the control plane killed under traffic: nothing is lost.
"""
import signal
import sys

from data_plane_alone import HOST_WAN, DataPlane, check, exercise, sent_and_received
from lab import Lab, LabError, wait_until


def refused_start(lab, plane):
    """A second data plane with the same names must say what is in its way, and leave."""
    text = plane.config.read_text().replace(f"{lab.prefix}dp", f"{lab.prefix}second")
    second = lab.directory / "second.yaml"
    for what, message, config in (
            ("exception TAP", "HP-DP-0208", text),
            ("channel socket", "HP-DP-0107", text.replace("tap: hp-", "tap: hq-")),
            ("device", "HP-DP-0206", text.replace("net_tap0,iface=t-home", "net_nothing0"))):
        second.write_text(config)
        process = lab.start("ha", [plane.build / "dataplane/core/homeport-dataplane", "--config",
                                   second], name="second")
        status = process.wait(30)
        check(f"a second data plane whose {what} cannot be had says so and exits with 1",
              status == 1 and message in process.output(), f"({status})")


def answered(ping, number):
    wait_until(lambda: f"icmp_seq={number} " in ping.output(), 30, f"answer {number} of the flood")


def run(workers):
    print(f"--- {workers} worker(s)", flush=True)
    with Lab("dataplane") as lab:
        plane = DataPlane(lab, workers)
        client = exercise(lab, plane)
        flood = lab.start("home", ["ping", "-n", "-c", "3000", "-i", "0.002", "-W1", HOST_WAN],
                          name="flood")
        answered(flood, 300)
        client.signal(signal.SIGKILL)
        plane.process.wait_for_output("HP-DP-0102")
        answered(flood, 600)
        plane.client()
        flood.wait(60)
        sent, received = sent_and_received(flood.output())
        check("control plane killed and restarted under traffic: nothing lost",
              sent == received == 3000, f"{received}/{sent}")
        refused_start(lab, plane)
        check("the data plane ends with 0 when told to", plane.process.stop() == 0)
        check("it said so", "HP-DP-0003" in plane.process.output())


if __name__ == "__main__":
    try:
        for count in (1, 2):
            run(count)
    except LabError as error:
        print(f"failed: {error}")
        sys.exit(1)

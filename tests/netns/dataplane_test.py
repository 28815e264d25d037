#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The data plane alone, with real kernels at both ends and a control plane made of lines.

Ping to the home agent through the exception TAP; forwarding between two links; tunnelled packets
of P1 and P2 as scapy sees them; the control plane killed under traffic: nothing is lost.
"""
import re
import signal
import subprocess
import sys
import time

from lab import Lab, LabError, build_directory, wait_until

HOME, WAN = 0, 1
HA_HOME, HA_WAN = "2001:db8:1::1", "2001:db8:f::1"
HOST_HOME, HOST_WAN = "2001:db8:1::9", "2001:db8:f::2"
HOME_ADDRESS, CARE_OF = "2001:db8:1::100", "2001:db8:a::200"


class DataPlane:
    """Two net_tap ports, whose kernel ends are in the namespaces home and wan."""

    def __init__(self, lab, workers):
        self.lab = lab
        self.build = build_directory()
        for name in ("ha", "home", "wan"):
            lab.namespace(name, forwarding=name == "wan")
        self.channel = lab.directory / "channel.sock"
        self.config = lab.directory / "homeport.yaml"
        self.config.write_text(f"""dataplane:
  workers: {workers}
  huge_pages: off
  memory_mb: 256
  mbufs: 16384
  file_prefix: {lab.prefix}dp
  channel_socket: {self.channel}
  ports:
    - {{name: home0, device: "net_tap0,iface=t-home", tap: hp-home0}}
    - {{name: wan0, device: "net_tap1,iface=t-wan", tap: hp-wan0}}
""")
        self.process = lab.start("ha", [self.build / "dataplane/core/homeport-dataplane",
                                        "--config", self.config], name="dataplane")
        self.process.wait_for_output("HP-DP-0001", 30)
        for device, space, address in (("t-home", "home", HOST_HOME), ("t-wan", "wan", HOST_WAN)):
            lab.ip("ha", f"link set {device} netns {lab.prefix}{space}")
            lab.run(space, ["ethtool", "-K", device, "tx", "off"])
            lab.ip(space, f"link set {device} up")
            lab.ip(space, f"addr add {address}/64 dev {device} nodad")
        lab.ip("home", f"route add default via {HA_HOME}")
        lab.ip("wan", f"route add default via {HA_WAN}")
        lab.ip("wan", f"addr add {CARE_OF}/64 dev lo")
        lab.ip("ha", f"addr add {HA_HOME}/64 dev hp-home0 nodad")
        lab.ip("ha", f"addr add {HA_WAN}/64 dev hp-wan0 nodad")
        lab.ip("ha", f"route add default via {HOST_WAN}")
        self.mac = {space: re.search(r"ether (\S+)", lab.ip(space, f"link show {device}"))[1]
                    for device, space in (("t-home", "home"), ("t-wan", "wan"))}

    def client(self):
        """A control plane that attaches and says what the kernel would have said by netlink."""
        process = self.lab.start("ha", [self.build / "tools/traffic/channel-client",
                                        self.channel], name="client", stdin=True)
        self.tell(process, f"""begin 1
bypass
address {HOME} {HA_HOME}/64 home-agent
address {WAN} {HA_WAN}/64
route 2001:db8:1::/64 {HOME}
route 2001:db8:f::/64 {WAN}
route ::/0 {WAN} {HOST_WAN}
neighbour {HOME} {HOST_HOME} {self.mac['home']}
neighbour {WAN} {HOST_WAN} {self.mac['wan']}
prefix 2001:db8:1::/64 {HOME}
binding {HOME_ADDRESS} {CARE_OF} {HA_HOME} {HOME}
end 1
flush
""")
        process.wait_for_output("acknowledged")
        return process

    @staticmethod
    def tell(process, lines):
        process.process.stdin.write(lines.encode())
        process.process.stdin.flush()


def sent_and_received(text):
    match = re.search(r"(\d+) packets transmitted, (\d+) received", text)
    if not match:
        raise LabError(f"not the output of ping: {text}")
    return int(match[1]), int(match[2])


def ping(lab, space, *arguments):
    result = lab.run(space, ["ping", "-n", *arguments], check=False, timeout=60)
    return sent_and_received(result.stdout)


def check(what, condition, detail=""):
    print(f"{'ok  ' if condition else 'FAIL'} {what} {detail}", flush=True)
    if not condition:
        raise LabError(what)


def capture(lab, space, device, count, expression, trigger):
    """`count` frames that scapy decodes, as a list of summaries, one field list a frame."""
    script = f"""
from scapy.all import sniff, Ether, IPv6
import sys
for p in sniff(iface="{device}", count={count}, timeout=60, filter="{expression}",
               started_callback=lambda: print("ready", flush=True)):
    outer = p[IPv6]
    inner = outer.payload
    print(outer.src, outer.dst, outer.nh, outer.hlim, outer.plen,
          *((inner.src, inner.dst, inner.nh, inner.hlim) if outer.nh == 41 else ()))
"""
    sniffer = subprocess.Popen(lab.command(space, ["/usr/bin/python3", "-c", script]),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    sniffer.stdout.readline()
    trigger()
    out, _ = sniffer.communicate(timeout=90)
    return [line.split() for line in out.splitlines()]


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


def run(workers):
    print(f"--- {workers} worker(s)", flush=True)
    with Lab("dataplane") as lab:
        plane = DataPlane(lab, workers)
        # Without a control plane everything goes to the kernel: it answers for its own address.
        wait_until(lambda: ping(lab, "home", "-c1", "-W1", HA_HOME)[1] == 1, 10,
                   "an answer of the home agent's kernel without a control plane")
        check("the kernel answers through the exception TAP, no control plane", True)
        client = plane.client()
        sent, received = ping(lab, "home", "-c20", "-i0.01", HA_HOME)
        check("ping to the home agent", sent == received, f"{received}/{sent}")
        sent, received = ping(lab, "home", "-c50", "-i0.01", HOST_WAN)
        check("forwarding between two links (P30)", sent == received, f"{received}/{sent}")
        sent, received = ping(lab, "home", "-c20", "-i0.01", "-s", "1400", HOST_WAN)
        check("the same with large packets", sent == received, f"{received}/{sent}")

        frames = capture(lab, "wan", "t-wan", 3, f"ip6 and dst {CARE_OF}",
                         lambda: ping(lab, "home", "-c3", "-i0.1", "-W1", HOME_ADDRESS))
        check("P1: tunnelled to the care-of address",
              len(frames) == 3 and frames[0][:3] == [HA_HOME, CARE_OF, "41"] and
              frames[0][5:8] == [HOST_HOME, HOME_ADDRESS, "58"], str(frames[:1]))

        reverse = (f"from scapy.all import *; "
                   f"send(IPv6(src='{CARE_OF}', dst='{HA_HOME}')/IPv6(src='{HOME_ADDRESS}', "
                   f"dst='{HOST_HOME}')/ICMPv6EchoRequest(data=b'x'*64), count=3, verbose=0)")
        frames = capture(lab, "home", "t-home", 3, f"icmp6 and src {HOME_ADDRESS}",
                         lambda: lab.run("wan", ["/usr/bin/python3", "-c", reverse]))
        check("P2: reverse tunnel undone", len(frames) >= 1 and
              frames[0][:2] == [HOME_ADDRESS, HOST_HOME], str(frames[:1]))

        flood = lab.start("home", ["ping", "-n", "-c", "3000", "-i", "0.002", "-W1", HOST_WAN],
                          name="flood")
        time.sleep(1)
        client.signal(signal.SIGKILL)
        plane.process.wait_for_output("HP-DP-0102")
        time.sleep(1)
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

# SPDX-License-Identifier: BSD-3-Clause
"""The data plane without homeport-controlplane: ports of any kind, real kernels at both ends, and a
control plane made of lines."""
import re
import subprocess

from lab import LabError, build_directory, wait_until

HOME, WAN = 0, 1
HA_HOME, HA_WAN = "2001:db8:1::1", "2001:db8:f::1"
HOST_HOME, HOST_WAN = "2001:db8:1::9", "2001:db8:f::2"
HOME_ADDRESS, CARE_OF = "2001:db8:1::100", "2001:db8:a::200"


def tap(lab, name, space, number):
    """A net_tap port, whose kernel end goes to `space` once the program runs."""
    return f"net_tap{number},iface=t-{name}", lambda: lab.ip(
        "ha", f"link set t-{name} netns {lab.prefix}{space}")


def af_packet(lab, name, space, number):
    """A raw socket on a cable to `space`. The kernel here keeps off the cable's own end."""
    lab.veth("ha", f"p-{name}", space, f"t-{name}")
    lab.sysctl("ha", f"net.ipv6.conf.p-{name}.disable_ipv6", 1)
    return f"net_af_packet{number},iface=p-{name}", lambda: None


class DataPlane:
    """Two ports, home0 and wan0, whose other ends are in the namespaces home and wan."""

    def __init__(self, lab, workers, port=tap, huge_pages="off"):
        self.lab = lab
        self.build = build_directory()
        for name in ("ha", "home", "wan"):
            lab.namespace(name, forwarding=name == "wan")
        home_device, move_home = port(lab, "home", "home", 0)
        wan_device, move_wan = port(lab, "wan", "wan", 1)
        self.channel = lab.directory / "channel.sock"
        self.config = lab.directory / "homeport.yaml"
        self.config.write_text(f"""dataplane:
  workers: {workers}
  huge_pages: {huge_pages}
  memory_mb: 256
  mbufs: 16384
  file_prefix: {lab.prefix}dp
  channel_socket: {self.channel}
  ports:
    - {{name: home0, device: "{home_device}", tap: hp-home0}}
    - {{name: wan0, device: "{wan_device}", tap: hp-wan0}}
""")
        self.process = lab.start("ha", [self.build / "dataplane/core/homeport-dataplane",
                                        "--config", self.config], name="dataplane")
        self.process.wait_for_output("HP-DP-0001", 30)
        for device, space, address, move in (("t-home", "home", HOST_HOME, move_home),
                                             ("t-wan", "wan", HOST_WAN, move_wan)):
            move()
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
    print(f"{'PASS' if condition else 'FAIL'} {what} {'' if condition else detail}", flush=True)
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


def exercise(lab, plane):
    """What must hold whatever the ports are; the client that is the control plane meanwhile."""
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
    return client

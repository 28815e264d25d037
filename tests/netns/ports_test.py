#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""The same data plane over other ports than net_tap, and with huge pages.

af_packet: cables of the kernel. memif: two data planes, one behind the other. pcap: files in and
out, read by scapy. ring: a port that gives back what it is given.
"""
import pathlib
import re
import signal
import sys

from data_plane_alone import (CARE_OF, HA_HOME, HA_WAN, HOME_ADDRESS, HOST_HOME, HOST_WAN,
                              DataPlane, af_packet, check, exercise, ping)
from lab import Lab, LabError, build_directory, wait_until

MEMORY_MB = 256
LINK_A, LINK_B = "2001:db8:e::1", "2001:db8:e::2"


def with_af_packet():
    with Lab("af-packet") as lab:
        exercise(lab, DataPlane(lab, 1, af_packet))


class HugePages:
    """Reserves what a data plane asks for, and gives it back."""

    def __init__(self):
        self.file = pathlib.Path("/proc/sys/vm/nr_hugepages")
        self.before = int(self.file.read_text())
        size = int(re.search(r"Hugepagesize: +(\d+)", pathlib.Path("/proc/meminfo").read_text())[1])
        self.wanted = self.before + MEMORY_MB * 1024 // size

    def __enter__(self):
        self.file.write_text(str(self.wanted))
        return int(self.file.read_text()) >= self.wanted

    def __exit__(self, *_):
        self.file.write_text(str(self.before))


def with_huge_pages():
    with HugePages() as reserved:
        if not reserved:
            print("SKIP huge pages: the kernel has no memory in one piece for them")
            return
        with Lab("huge-pages") as lab:
            plane = DataPlane(lab, 1, huge_pages="on")
            exercise(lab, plane)
            check("no warning about small pages", "HP-DP-0004" not in plane.process.output() and
                  "without huge pages" not in plane.process.output())


def configuration(lab, name, ports):
    """Writes NAME.yaml for a data plane with these (name, device) ports; its path."""
    file = lab.directory / f"{name}.yaml"
    lines = "\n".join(f'    - {{name: {port}, device: "{device}", tap: hp-{port}}}'
                      for port, device in ports)
    file.write_text(f"""dataplane:
  workers: 1
  huge_pages: off
  memory_mb: {MEMORY_MB}
  mbufs: 8192
  file_prefix: {lab.prefix}{name}
  channel_socket: {lab.directory}/{name}.sock
  ports:
{lines}
""")
    return file


def start(lab, space, name, ports):
    process = lab.start(space, [build_directory() / "dataplane/core/homeport-dataplane",
                                "--config", configuration(lab, name, ports)], name=name)
    process.wait_for_output("HP-DP-0001", 30)
    return process


def program(lab, space, name, lines):
    """Gives a data plane its tables; returns once they are in force."""
    client = lab.start(space, [build_directory() / "tools/traffic/channel-client",
                               lab.directory / f"{name}.sock"], name=f"{name}-client", stdin=True)
    DataPlane.tell(client, lines + "flush\n")
    client.wait_for_output("acknowledged")
    return client


def mac_of(lab, space, device):
    return re.search(r"ether (\S+)", lab.ip(space, f"link show {device}"))[1]


def host(lab, space, device, address, gateway):
    lab.run(space, ["ethtool", "-K", device, "tx", "off"])
    lab.ip(space, f"link set {device} up")
    lab.ip(space, f"addr add {address}/64 dev {device} nodad")
    lab.ip(space, f"route add default via {gateway}")


def with_memif():
    """home --- [tap A memif] --- [memif B tap] --- wan"""
    with Lab("memif") as lab:
        for name in ("a", "b", "home", "wan"):
            lab.namespace(name)
        socket = f"socket={lab.directory}/memif.sock,socket-abstract=no"
        start(lab, "a", "a", [("home0", "net_tap0,iface=t-home"),
                              ("core0", f"net_memif0,role=server,id=0,{socket}")])
        start(lab, "b", "b", [("core0", f"net_memif0,role=client,id=0,{socket}"),
                              ("wan0", "net_tap0,iface=t-wan")])
        lab.ip("a", f"link set t-home netns {lab.prefix}home")
        lab.ip("b", f"link set t-wan netns {lab.prefix}wan")
        host(lab, "home", "t-home", HOST_HOME, HA_HOME)
        host(lab, "wan", "t-wan", HOST_WAN, HA_WAN)
        lab.ip("wan", f"addr add {CARE_OF}/64 dev lo")
        for space, port, address in (("a", "hp-home0", HA_HOME), ("a", "hp-core0", LINK_A),
                                     ("b", "hp-core0", LINK_B), ("b", "hp-wan0", HA_WAN)):
            lab.ip(space, f"addr add {address}/64 dev {port} nodad")
        core = {space: mac_of(lab, space, "hp-core0") for space in ("a", "b")}
        program(lab, "a", "a", f"""begin 1
bypass
address 0 {HA_HOME}/64 home-agent
address 1 {LINK_A}/64
route 2001:db8:1::/64 0
route 2001:db8:e::/64 1
route ::/0 1 {LINK_B}
neighbour 0 {HOST_HOME} {mac_of(lab, 'home', 't-home')}
neighbour 1 {LINK_B} {core['b']}
prefix 2001:db8:1::/64 0
binding {HOME_ADDRESS} {CARE_OF} {HA_HOME} 0
end 1
""")
        program(lab, "b", "b", f"""begin 1
bypass
address 0 {LINK_B}/64
address 1 {HA_WAN}/64
route 2001:db8:e::/64 0
route 2001:db8:1::/64 0 {LINK_A}
route 2001:db8:f::/64 1
route ::/0 1 {HOST_WAN}
neighbour 0 {LINK_A} {core['a']}
neighbour 1 {HOST_WAN} {mac_of(lab, 'wan', 't-wan')}
end 1
""")
        wait_until(lambda: ping(lab, "home", "-c1", "-W1", HOST_WAN)[1] == 1, 20,
                   "an answer through both data planes")
        sent, received = ping(lab, "home", "-c100", "-i0.01", HOST_WAN)
        check("two data planes, memif between them", sent == received, f"{received}/{sent}")
        sent, received = ping(lab, "home", "-c20", "-i0.01", "-s", "1400", HOST_WAN)
        check("the same with large packets", sent == received, f"{received}/{sent}")


def with_pcap():
    """Packets of a file go through P1 into another, which scapy reads."""
    from scapy.all import Ether, IPv6, Raw, UDP, rdpcap, wrpcap
    with Lab("pcap") as lab:
        lab.namespace("ha")
        source, sink = lab.directory / "in.pcap", lab.directory / "out.pcap"
        mac = "02:70:63:61:70:00"  # of DPDK's first net_pcap device
        sent = [Ether(src="02:00:00:00:00:09", dst=mac) /
                IPv6(src="2001:db8:3::300", dst=HOME_ADDRESS, hlim=10) /
                UDP(sport=1000 + i, dport=53) / Raw(bytes([i] * (1 + 11 * i))) for i in range(100)]
        wrpcap(str(source), sent)
        # What comes before the tables are in force goes to the kernel; the file repeats.
        plane = start(lab, "ha", "pcap", [
            ("in0", f"net_pcap0,rx_pcap={source},infinite_rx=1,tx_pcap={lab.directory}/back.pcap"),
            ("out0", f"net_pcap1,tx_pcap={sink}")])
        check("the TAP has the port's address", mac_of(lab, "ha", "hp-in0") == mac)
        program(lab, "ha", "pcap", f"""begin 1
bypass
address 0 {HA_HOME}/64 home-agent
address 1 {HA_WAN}/64
route ::/0 1 {HOST_WAN}
neighbour 1 {HOST_WAN} 02:00:00:00:00:22
prefix 2001:db8:1::/64 virtual
binding {HOME_ADDRESS} {CARE_OF} {HA_HOME}
end 1
""")
        wait_until(lambda: sink.exists() and sink.stat().st_size > 400_000, 20,
                   "packets in the file")
        plane.signal(signal.SIGTERM)
        check("the data plane ends with 0", plane.wait(20) == 0)
        inner = {bytes(packet[IPv6]) for packet in sent}
        expected = {octets[:7] + bytes([octets[7] - 1]) + octets[8:] for octets in inner}
        seen = set()
        for frame in rdpcap(str(sink), count=400):
            outer = frame[IPv6]
            if outer.dst.startswith("ff02:"):
                continue  # the kernel says what it listens to
            check_tunnel(frame, outer)
            seen.add(bytes(outer.payload))
        check("each packet of the file left in a tunnel, its hop limit one less",
              seen == expected, f"{len(seen & expected)} of {len(expected)}")


def check_tunnel(frame, outer):
    if (frame.dst, outer.src, outer.dst, outer.nh) != ("02:00:00:00:00:22", HA_HOME, CARE_OF, 41):
        raise LabError(f"not the tunnel that was asked for: {frame.summary()}")


def with_ring():
    """Where a net_ring port gives everything back, a packet goes round until its hops are used."""
    with Lab("ring") as lab:
        for name in ("ha", "home"):
            lab.namespace(name)
        start(lab, "ha", "ring", [("home0", "net_tap0,iface=t-home"), ("loop0", "net_ring0")])
        lab.ip("ha", f"link set t-home netns {lab.prefix}home")
        host(lab, "home", "t-home", HOST_HOME, HA_HOME)
        lab.ip("ha", f"addr add {HA_HOME}/64 dev hp-home0 nodad")
        program(lab, "ha", "ring", f"""begin 1
bypass
address 0 {HA_HOME}/64 home-agent
address 1 {LINK_A}/64
route 2001:db8:1::/64 0
route 2001:db8:e::/64 1
route 2001:db8:5::/64 1 {LINK_B}
neighbour 0 {HOST_HOME} {mac_of(lab, 'home', 't-home')}
neighbour 1 {LINK_B} {mac_of(lab, 'ha', 'hp-loop0')}
end 1
""")
        text = lab.run("home", ["ping", "-n", "-c", "3", "-i", "0.2", "-t", "20", "2001:db8:5::1"],
                       check=False).stdout
        check("a packet goes round until it has no hops left", text.count("Time exceeded") == 3,
              text)
        script = (build_directory() / "tools/hactl/hactl")
        drops = lab.run("ha", [script, "--channel", lab.directory / "ring.sock", "--socket",
                               lab.directory / "none", "--json", "show", "drops"], check=False)
        check("nothing is unaccounted for", '"difference": 0' in drops.stdout or
              '"difference":0' in drops.stdout, drops.stdout[-300:] + drops.stderr)


if __name__ == "__main__":
    FAILED = 0
    for run in (with_af_packet, with_huge_pages, with_memif, with_pcap, with_ring):
        print(f"--- {run.__name__}", flush=True)
        try:
            run()
        except LabError as error:
            print(f"FAIL {run.__name__}: {error}", flush=True)
            FAILED += 1
    sys.exit(1 if FAILED else 0)

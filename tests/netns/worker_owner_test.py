#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""An SA belongs to one worker; packets that others receive are handed over to it, in their order.

The real data plane with 2 and 4 workers and several receive queues. Outbound: many flows to each
home address, so that every worker receives some. Inbound: sealed packets whose sizes rise within
each SA, so that their order can be seen behind IPsec; replay window on.
"""
import json
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from cases import case, expect, main  # noqa: E402
from data_plane_alone import CARE_OF, HA_HOME, HOST_WAN, WAN, DataPlane  # noqa: E402
from nat_network import NatNetwork  # noqa: E402
from lab import HOME_ADDRESS, RoamingNetwork, build_directory, wait_until  # noqa: E402

HOMES, EACH = 8, 250
FIRST_HOME = "2001:db8:1::1000"
HOME_AGENT4, CARE_OF4, HOST_WAN4 = "192.0.2.1", "203.0.113.7", "198.18.0.2"
CORRESPONDENT = "2001:db8:3::300"
ALGORITHM, KEY = "aes128-cbc-hmac-sha256-128", bytes(range(48)).hex()

# Sends frames into the port's cable in their order and listens to what comes out of it.
PROGRAM = """
import json, socket, struct, sys, threading, time
frames = json.load(sys.stdin)
inlet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
inlet.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
inlet.bind(("t-wan", 0))
inlet.settimeout(0.2)
seen, done = [], threading.Event()
def listen():
    end = time.monotonic() + 60
    while len(seen) < len(frames) and time.monotonic() < end:
        try:
            data, where = inlet.recvfrom(2048)
        except TimeoutError:
            if done.is_set() and time.monotonic() > done.at + 5:
                return
            continue
        if where[2] == socket.PACKET_OUTGOING:
            continue
        if data[12:14] == b"\\x08\\x00" and data[23] == 50:
            seen.append(struct.unpack_from("!II", data, 34))
        if data[12:14] != b"\\x86\\xdd":
            continue
        if data[20] == 50:
            seen.append(struct.unpack_from("!II", data, 54))
        elif data[20] == 59:
            seen.append((data[22:38].hex(), len(data)))
listener = threading.Thread(target=listen)
listener.start()
outlet = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
outlet.bind(("t-wan", 0))
for i, frame in enumerate(frames):
    outlet.send(bytes.fromhex(frame))
    if i % 32 == 31:
        time.sleep(0.002)  # a port's queue is as long as it is; nothing is waited for
done.at = time.monotonic()
done.set()
listener.join()
print(json.dumps(seen))
"""


def octets(text):
    return socket.inet_pton(socket.AF_INET6, text)


def behind(address, index):
    return (int.from_bytes(octets(address), "big") + index).to_bytes(16, "big")


class Network:
    def __init__(self, lab):
        self.lab = lab

    def start(self, workers, sas, over=f"{CARE_OF} {HA_HOME}"):
        plane = DataPlane(self.lab, workers)
        # What comes out of an SA ends here; the kernel would send it round and round.
        self.lab.ip("wan", "route add blackhole 2001:db8:3::/64")
        client = self.lab.start("ha", [plane.build / "tools/traffic/channel-client",
                                       plane.channel], name="client", stdin=True)
        plane.tell(client, f"""begin 1
protect 2001:db8:1::/64
address 0 {HA_HOME}/64 home-agent
route 2001:db8:1::/64 0
route ::/0 {WAN} {HOST_WAN}
neighbour {WAN} {HOST_WAN} {plane.mac['wan']}
address {WAN} {HOME_AGENT4}/32 home-agent
prefix 2001:db8:1::/64 0
route 0.0.0.0/0 {WAN} {HOST_WAN4}
neighbour {WAN} {HOST_WAN4} {plane.mac['wan']}
bindings {HOMES} {FIRST_HOME} {over}
{sas}
end 1
flush
""")
        self.client = client
        client.wait_for_output("acknowledged")
        expect("failed" not in client.output(), client.output())
        line = next(row for row in client.output().splitlines() if row.startswith("port 1 "))
        self.header = b"".join(bytes.fromhex(mac.replace(":", ""))
                               for mac in (line.split()[3], plane.mac["wan"]))

    def exchange(self, packets):
        result = self.lab.run("wan", ["/usr/bin/python3", "-c", PROGRAM], timeout=120,
                              stdin=json.dumps([self.frame(p).hex() for p in packets]))
        return [tuple(row) for row in json.loads(result)]

    def frame(self, packet):
        return self.header + (b"\x86\xdd" if packet[0] >> 4 == 6 else b"\x08\x00") + packet

    def telemetry(self, command):
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            connection.connect(f"/var/run/dpdk/{self.lab.prefix}dp/dpdk_telemetry.v2")
            connection.recv(4096)
            connection.send(command.encode())
            return json.loads(connection.recv(65536))[command]

    def check(self, seen, packets):
        """All came out, and some were received by another worker than their SA's."""
        counters = self.telemetry("/homeport/counters")
        expect(len(seen) == len(packets), f"{len(seen)} of {len(packets)} came out: {counters}")
        expect(self.telemetry("/homeport/status")["handed_over"] > 0, "nothing was handed over")
        return counters


def overtaken(rows):
    """Rows (key, number) whose number is not above the one before of the same key."""
    last, wrong = {}, []
    for key, number in rows:
        if number <= last.get(key, -1):
            wrong.append((key, last[key], number))
        last[key] = number
    return wrong


def outbound(net, workers, over=f"{CARE_OF} {HA_HOME}"):
    net.start(workers, f"sas out {HOMES} {FIRST_HOME} {HA_HOME} {ALGORITHM} {KEY} 0 {workers}",
              over)
    packets = []
    for i in range(HOMES * EACH):
        datagram = (1024 + i * 7919 % 60000).to_bytes(2, "big") + b"\0\x09\0\x1c\0\1" + bytes(20)
        packets.append(b"\x60\0\0\0\0\x1c\x11\x40" + octets(CORRESPONDENT) +
                       behind(FIRST_HOME, i % HOMES) + datagram)
    seen = net.exchange(packets)
    net.check(seen, packets)
    spis = {spi for spi, _ in seen}
    expect(len(spis) == HOMES, f"SPIs: {spis}")
    expect(not overtaken(seen), f"packets of one SA overtook each other: {overtaken(seen)[:5]}")
    for spi in spis:
        numbers = [number for s, number in seen if s == spi]
        expect(numbers == list(range(1, EACH + 1)), f"{spi:#x}: not 1 to {EACH}")


def sealed(net, sizes):
    path = net.lab.directory / "sealed.pcap"
    net.lab.run("ha", [build_directory() / "tools/traffic/seal-frames", path, HOMES * EACH, HOMES,
                       FIRST_HOME, CARE_OF, HA_HOME, CORRESPONDENT, ALGORITHM, KEY,
                       "02:00:00:00:00:01", "02:00:00:00:00:02", ",".join(map(str, sizes))])
    data, at, packets = path.read_bytes(), 24, []
    while at < len(data):
        length = int.from_bytes(data[at + 8:at + 12], "little")
        packets.append(data[at + 16 + 14:at + 16 + length])
        at += 16 + length
    return packets


def inbound(net, workers, window, sources):
    """Each node sends from `sources` care-of addresses: IPsec does not look at them (S1.20), the
    choice of a receive queue does."""
    net.start(workers,
              f"sas in {HOMES} {FIRST_HOME} {HA_HOME} {ALGORITHM} {KEY} {window} {workers}")
    packets = []
    for i, packet in enumerate(sealed(net, [64 + i // HOMES * 4 for i in range(HOMES * EACH)])):
        source = behind(CARE_OF, packet[43] * sources + i // HOMES % sources)
        packets.append(packet[:8] + source + packet[24:])
    seen = net.exchange(packets)
    counters = net.check(seen, packets)
    expect(counters.get("ipsec/in/ok", 0) == len(packets), str(counters))
    expect(counters.get("ipsec/in/replay", 0) == 0, str(counters))
    return seen


def in_4500(packet, port):
    """ESP over IPv6 as it comes in UDP 4500 from behind a NAT."""
    esp = packet[40:]
    datagram = struct.pack("!4H", port, 4500, 8 + len(esp), 0) + esp
    head = struct.pack("!BBHIBBH", 0x45, 0, 20 + len(datagram), 0, 64, 17, 0) + \
        socket.inet_aton(CARE_OF4) + socket.inet_aton(HOME_AGENT4)
    total = sum(struct.unpack("!10H", head))
    total = (total & 0xffff) + (total >> 16)
    return head[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + head[12:] + datagram


def inbound_4500(net, workers):
    """Behind one NAT each node has a port of its own."""
    net.start(workers, f"sas in {HOMES} {FIRST_HOME} {HA_HOME} {ALGORITHM} {KEY} 64 {workers}",
              f"{CARE_OF4} {HOME_AGENT4} udp 40000")
    packets = [in_4500(packet, 61000 + packet[43])
               for packet in sealed(net, [64 + i // HOMES * 4 for i in range(HOMES * EACH)])]
    seen = net.exchange(packets)
    counters = net.check(seen, packets)
    expect(counters.get("ipsec/in/ok", 0) == len(packets), str(counters))
    expect(counters.get("udp4500/esp", 0) == len(packets), str(counters))
    expect(not overtaken(seen), "packets of one SA overtook each other")
    DataPlane.tell(net.client, "sleep 100\n")  # it reads events between lines
    ports = {packet[20:22] for packet in packets}
    expected = sorted(f"esp-mapping {CARE_OF4} {int.from_bytes(port, 'big')}" for port in ports)

    def told():
        return sorted(line for line in net.client.output().splitlines() if "esp-mapping" in line)
    wait_until(lambda: len(told()) >= HOMES, 5, "the control plane to be told of each mapping")
    expect(told() == expected, f"each mapping once: {told()}")


@case
def P13i_packets_from_behind_a_nat_are_opened_in_order_with_2_workers(net):
    inbound_4500(net, 2)


@case
def P13i_packets_from_behind_a_nat_are_opened_in_order_with_4_workers(net):
    inbound_4500(net, 4)


@case
def P13_numbers_of_an_sa_leave_in_order_over_ipv4_with_4_workers(net):
    outbound(net, 4, f"{CARE_OF4} {HOME_AGENT4}")


@case
def S1_14_numbers_of_an_sa_leave_in_order_with_2_workers(net):
    outbound(net, 2)


@case
def S1_14_numbers_of_an_sa_leave_in_order_with_4_workers(net):
    outbound(net, 4)


@case
def packets_of_an_sa_are_opened_in_order_with_2_workers(net):
    expect(not overtaken(inbound(net, 2, 64, 1)), "packets of one SA overtook each other")


@case
def packets_of_an_sa_are_opened_in_order_with_4_workers(net):
    expect(not overtaken(inbound(net, 4, 64, 1)), "packets of one SA overtook each other")


@case
def S1_20_no_replay_drop_while_a_node_sends_from_two_addresses_with_4_workers(net):
    inbound(net, 4, 1024, 2)


@case
def S1_50_an_answer_finds_its_way_whichever_worker_owns_its_sa(net):
    roaming = RoamingNetwork(net.lab)
    roaming.workers = 3  # the home address's SAs are not those of the first one
    roaming.start()
    roaming.plug("a")
    roaming.start_mobile_node()
    wait_until(lambda: roaming.mn()["state"] == "registered", 15, "registered")
    roaming.move("a", "b")
    roaming.wait_registered("b")
    wait_until(lambda: roaming.mn()["state"] == "registered", 15, "registered after a move")
    expect(roaming.ping("cn", HOME_ADDRESS, 5), "not reachable")
    expect(roaming.hactl("show", "drops").get("difference", 0) == 0, "packets unaccounted for")


@case
def P11_P12_an_update_in_udp_is_opened_by_the_owner_of_its_sa_whoever_receives_it(net):
    roaming = NatNetwork(net.lab)
    roaming.workers = 3
    roaming.start()
    roaming.plug("n")
    roaming.start_mobile_node()
    wait_until(lambda: roaming.mn()["state"] == "registered", 15, "registered behind the NAT")
    # Other ports of the NAT are other flows, which other queues receive: that the owner gets all of
    # six by itself would be chance.
    seen = set()
    for first in range(40000, 40600, 100):
        roaming.masquerade(f"{first}-{first + 99}")
        roaming.forget_mappings()
        before = roaming.mn()["binding"]["sequence"]
        roaming.move("n", "v")
        roaming.wait_registered("v")
        roaming.move("v", "n")
        roaming.wait_registered("n")
        wait_until(lambda: roaming.mn()["state"] == "registered", 15, "registered again")
        expect(roaming.mn()["binding"]["sequence"] != before, "no update was sent")
        wait_until(lambda: roaming.ping("cn", HOME_ADDRESS, 1), 10, "reachable")
        seen.add(roaming.hactl("show", "binding", HOME_ADDRESS)["outer_source"])
    expect(len(seen) == 6, f"the NAT did not change its port: {seen}")
    drops = roaming.hactl("show", "drops")
    expect(drops.get("difference", 0) == 0, f"packets unaccounted for: {drops}")
    waited = [row for row in drops["counters"] if row["name"].startswith("dsmip.in.nat_") and
              row["kind"] == "drop" and row["value"]]
    expect(not waited, f"updates were dropped: {waited}")


if __name__ == "__main__":
    main(Network)

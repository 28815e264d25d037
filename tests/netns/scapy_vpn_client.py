#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""A mobile node in mode cvc that shares no code with the product: three layers by hand and scapy.

    scapy_vpn_client.py DEVICE < JSON

Reads {"care_of", "external", "external_home", "gateway", "inner", "internal", "home", keys and SPIs,
"steps": [...]} and prints a list with what came of each step: for each packet that came down all the
layers that a step expects, the headers that it had, outermost first, and what was inside. Packets of
other forms are told as "strange".
"""
import json
import select
import socket
import sys
import time
import warnings

warnings.filterwarnings("ignore")
from scapy.all import ESP, ICMP, IP, UDP, Raw, SecurityAssociation, raw  # noqa: E402

sys.path.insert(0, __file__.rpartition("/")[0])
import mip4_messages as mip4  # noqa: E402

MIP_PORT, NAT_T_PORT, OWN_MIP_PORT = 434, 4500, 40434
TUNNEL_DATA = b"\x04\x04\x00\x00"


class Client:
    def __init__(self, device, given):
        self.__dict__.update(given)
        self.external_key = mip4.Key(given["external_spi"], given["external_key"])
        self.internal_key = mip4.Key(given["internal_spi"], given["internal_key"])
        self.out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
        self.wire.bind((device, 0x0800))
        # The kernel knows nothing of these tunnels: its answers would only confuse.
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.care_of, OWN_MIP_PORT))
        self.sequence = 0

    def association(self, spi, key, source, destination, nat):
        octets = bytes.fromhex(key)
        self.sequence += 1
        return SecurityAssociation(
            ESP, spi=spi, seq_num=self.sequence, crypt_algo="AES-CBC", crypt_key=octets[:16],
            auth_algo="HMAC-SHA1-96", auth_key=octets[16:],
            tunnel_header=IP(src=source, dst=destination),
            nat_t_header=UDP(sport=NAT_T_PORT, dport=NAT_T_PORT) if nat else None)

    # ------------------------------------------------------------------------------ outwards

    def tunnel(self, packet, source, destination, udp):
        """One layer of Mobile IPv4 around an IPv4 packet."""
        outer = IP(src=source, dst=destination, ttl=64)
        if udp:
            return outer / UDP(sport=OWN_MIP_PORT, dport=MIP_PORT, chksum=0) / Raw(
                TUNNEL_DATA + raw(packet))
        return outer / packet

    def seal(self, packet, nat):
        sealed = self.association(self.spi_out, self.key_out, self.external_home, self.gateway,
                                  nat).encrypt(IP(raw(packet)))
        if nat:  # scapy counts the UDP header alone
            sealed[UDP].len = len(sealed) - 20
        return sealed

    def send(self, packet):
        self.out.sendto(raw(packet), (packet.dst, 0))

    def send_through_vpn(self, packet, step):
        if step.get("without_external"):
            return self.send(self.seal(packet, step.get("esp_udp")))
        return self.send(self.tunnel(self.seal(packet, step.get("esp_udp")), self.care_of,
                                     self.external, step.get("external_udp")))

    # ------------------------------------------------------------------------------- inwards

    def take_off(self, packet, layers):
        """Undoes one layer; None: there is none that we know."""
        layers.append(f"{packet.src}>{packet.dst} p{packet.proto}")
        if packet.proto == 4:
            return IP(raw(packet.payload))
        if packet.proto == 50 or (packet.proto == 17 and packet[UDP].sport == NAT_T_PORT and
                                  raw(packet[UDP].payload)[:4] != bytes(4)):
            nat = packet.proto == 17
            if nat:
                layers[-1] += f" {packet[UDP].sport}>{packet[UDP].dport}"
            opened = self.association(self.spi_in, self.key_in, self.gateway, self.external_home,
                                      nat).decrypt(packet)
            return IP(raw(opened))
        if packet.proto == 17 and packet[UDP].sport == MIP_PORT:
            layers[-1] += f" {packet[UDP].sport}>{packet[UDP].dport}"
            payload = raw(packet[UDP].payload)
            if payload[:1] == b"\x04":
                layers[-1] += f" tunnel-data {payload[1]}"
                return IP(payload[4:])
        return None

    def receive(self, seconds, wanted):
        """Until `wanted` packets came, or the time is over."""
        found, end = [], time.monotonic() + seconds
        while len(found) < wanted and (left := end - time.monotonic()) > 0:
            if not select.select([self.wire], [], [], left)[0]:
                break
            octets, where = self.wire.recvfrom(65536)
            if where[2] == socket.PACKET_OUTGOING:
                continue
            packet, layers = IP(octets), []
            if packet.src == self.care_of or (packet.proto == 1 and packet[ICMP].type in (3, 11)):
                continue
            packet = IP(octets[:packet.len])
            size = packet.len
            try:
                while (inner := self.take_off(packet, layers)) is not None:
                    packet = inner
            except Exception as error:  # pylint: disable=broad-except # told, not raised
                found.append({"strange": repr(error), "layers": layers})
                continue
            one = {"layers": layers, "size": size, "inner": raw(packet).hex(),
                   "inner_size": len(packet), "ttl": packet.ttl}
            if packet.proto == 17 and packet[UDP].sport == MIP_PORT:
                one["payload"] = raw(packet[UDP].payload).hex()
            if packet.proto == 1:
                one["icmp"] = [packet[ICMP].type, packet[ICMP].seq]
            found.append(one)
        return found

    # --------------------------------------------------------------------------------- steps

    def register_external(self, step):
        extensions = mip4.udp_request(step.get("forced", False)) if step.get("udp") else b""
        message = self.external_key.seal(mip4.request(
            self.external_home, self.external, step.get("field", self.care_of),
            step.get("lifetime", 300), extensions=extensions))
        self.udp.sendto(message, (self.external, MIP_PORT))
        return self.receive(step.get("wait", 5), 1)

    def request_internal(self, step):
        extensions = mip4.udp_request(step.get("forced", False)) if step.get("udp") else b""
        source = self.care_of if step.get("direct") else self.inner
        message = self.internal_key.seal(mip4.request(self.home, self.internal, source,
                                                      step.get("lifetime", 300),
                                                      extensions=extensions))
        return IP(src=source, dst=self.internal) / UDP(sport=OWN_MIP_PORT, dport=MIP_PORT) / Raw(
            message)

    def register_internal(self, step):
        request = self.request_internal(step)
        if step.get("direct"):
            self.send(request)
        else:
            self.send_through_vpn(request, step)
        return self.receive(step.get("wait", 5), 1)

    def ike(self, step):
        """1a: from the external home address to the gateway's daemon, without ESP."""
        port = step["port"]
        marker = bytes(4) if port == NAT_T_PORT else b""
        packet = IP(src=self.external_home, dst=self.gateway) / UDP(sport=port, dport=port) / Raw(
            marker + b"an IKE message")
        self.send(self.tunnel(packet, self.care_of, self.external, step.get("external_udp")))
        return self.receive(step.get("wait", 3), 1)

    def ping(self, step):
        """Echo requests from the home address to the correspondent, through three layers."""
        found = []
        for number in range(step.get("count", 3)):
            user = IP(src=step.get("source", self.home), dst=step["to"], ttl=step.get("ttl", 64),
                      flags=step.get("flags", "DF")) / ICMP(id=77, seq=number) / Raw(
                b"x" * step.get("size", 56))
            packet = user if step.get("without_internal") else self.tunnel(
                user, self.inner, self.internal, step.get("internal_udp"))
            self.send_through_vpn(packet, step)
            found += self.receive(step.get("wait", 3), 1)
        return found

    def listen(self, step):
        print(json.dumps("listening"), file=sys.stderr, flush=True)
        return self.receive(step.get("wait", 5), step.get("count", 1))


def main():
    given = json.load(sys.stdin)
    client = Client(sys.argv[1], given)
    results = []
    for step in given["steps"]:
        if step.get("sequence"):
            client.sequence = step["sequence"]
        results.append(getattr(client, step["do"])(step))
    print(json.dumps(results))


main()

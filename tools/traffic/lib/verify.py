# SPDX-License-Identifier: BSD-3-Clause
"""Whether what comes out is right: read from a file that the sink wrote, opened by OpenSSL's ciphers
(python3-cryptography), which neither Homeport nor its peers use."""
import collections
import ipaddress
import struct

from lib import peers

HOME_AGENT, CARE_OF, CORRESPONDENT = (ipaddress.IPv6Address(a).packed for a in (
    peers.HOME_AGENT, peers.CARE_OF, peers.CORRESPONDENT))
HOME_AGENT4, CARE_OF4 = (ipaddress.IPv4Address(a).packed for a in ("192.0.2.1", "203.0.113.7"))
ESP, IPV6, UDP = 50, 41, 17


def frames(file, most=5000):
    """The first frames of a pcap file that may end in the middle of one; `most` None: all."""
    data = file.read_bytes()
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    at, found = 24, []
    while at + 16 <= len(data) and len(found) != most:
        length = struct.unpack_from(order + "I", data, at + 8)[0]
        if at + 16 + length > len(data):
            break
        # The kernel speaks on the port, too: to groups alone, for it has no address there.
        if not data[at + 16] & 1:
            found.append(data[at + 16:at + 16 + length])
        at += 16 + length
    return found


def opened(esp, algorithm):
    """The packet inside, or a ValueError."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives import hashes, hmac
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    if algorithm == "aes128-gcm16":
        key = peers.key_of(20)
        try:
            plain = AESGCM(key[:16]).decrypt(key[16:] + esp[8:16], esp[16:], esp[:8])
        except InvalidTag:
            raise ValueError("the ICV is wrong") from None
    else:
        key = peers.key_of(36)
        code = hmac.HMAC(key[16:], hashes.SHA1())
        code.update(esp[:-12])
        if code.finalize()[:12] != esp[-12:]:
            raise ValueError("the ICV is wrong")
        decryptor = Cipher(algorithms.AES(key[:16]), modes.CBC(esp[8:24])).decryptor()
        plain = decryptor.update(esp[24:-12]) + decryptor.finalize()
    if plain[-1] != IPV6:
        raise ValueError(f"next header {plain[-1]} inside")
    return plain[:-2 - plain[-2]]


def without_udp(packet):
    """ESP inside UDP 4500 inside IPv4 of the right addresses."""
    if packet[0] != 0x45 or packet[12:20] != HOME_AGENT4 + CARE_OF4:
        raise ValueError("outer addresses")
    source, _, length = struct.unpack_from("!HHH", packet, 20)
    if packet[9] != UDP or source != 4500 or length != len(packet) - 20:
        raise ValueError("UDP")
    return packet[28:]


def is_of_lessons(frame):
    """What a node sent to show its port on UDP 4500, or what was sent to it before it did: sealed
    payload, in UDP 4191."""
    packet = frame[14:]
    return packet[0] >> 4 == 6 or (packet[9] == UDP and
                                   packet[20:22] == (4191).to_bytes(2, "big"))


def check(file, path, algorithm, nodes, care_of=None):
    """Raises SystemExit unless every frame is what the path makes of the source's. `care_of(index)`:
    care-of address of a node, where they do not all have the same one."""
    first = int(ipaddress.IPv6Address(peers.home(0)))
    seen, numbers = collections.Counter(), collections.defaultdict(list)
    if path == "P13u":
        got = frames(file, None)
        got = got[max((i + 1 for i, frame in enumerate(got) if is_of_lessons(frame)), default=0):]
        got = got[:5000]
    else:
        got = frames(file)
    for frame in got:
        try:
            packet = frame[14:]
            if path in ("P1", "P3", "P13u"):
                if path == "P13u":
                    inner = without_udp(packet)
                elif packet[8:24] != HOME_AGENT or (care_of is None and packet[24:40] != CARE_OF):
                    raise ValueError("outer addresses")
                elif packet[6] != (IPV6 if path == "P1" else ESP):
                    raise ValueError(f"outer next header {packet[6]}")
                else:
                    inner = packet[40:]
                if path != "P1":
                    numbers[inner[:4]].append(struct.unpack_from("!I", inner, 4)[0])
                    inner = opened(inner, algorithm)
                node, other = inner[24:40], inner[8:24]
                if care_of is not None and packet[24:40] != ipaddress.IPv6Address(
                        care_of(int.from_bytes(node, "big") - first)).packed:
                    raise ValueError("care-of address")
            else:
                node, other = packet[8:24], packet[24:40]
                inner = packet
            if other != CORRESPONDENT or inner[6] != 59:
                raise ValueError("not the packet that was sent")
            if len(inner) != 40 + struct.unpack_from("!H", inner, 4)[0]:
                raise ValueError("length")
            seen[node] += 1
        except (ValueError, IndexError, struct.error) as error:
            raise SystemExit(f"{path}: what comes out is wrong: {error}: {frame.hex()}") from None
    for spi, of in numbers.items():
        if any(b != a + 1 for a, b in zip(of, of[1:])):
            raise SystemExit(f"{path}: numbers of SPI {spi.hex()} are not in order: {of[:20]}")
    if len(got) < 1000 or len(seen) < min(nodes, len(got) // 2):
        raise SystemExit(f"{path}: only {len(got)} frames of {len(seen)} nodes came out")
    return len(got)

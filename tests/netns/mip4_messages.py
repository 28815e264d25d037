# SPDX-License-Identifier: BSD-3-Clause
"""Messages of Mobile IPv4, built and read here from the RFCs alone: nothing of the product is used.

RFC 5944 (registration), 2794 (identifier), 3519 (UDP tunnels), 3543 (revocation), 5265 (TNC).
"""
import hashlib
import hmac
import itertools
import socket
import struct
import time

S, B, D, M, G, T = 0x80, 0x40, 0x20, 0x10, 0x08, 0x02
MOBILE_HOME, MOBILE_FOREIGN, FOREIGN_HOME = 32, 33, 34
UDP_REPLY, NAI, REVOCATION_SUPPORT, UDP_REQUEST, TRUSTED = 44, 131, 137, 144, 149
NTP_OF_UNIX = 2208988800
_fraction = itertools.count(1)


def address(text):
    return socket.inet_aton(text)


def identification(offset=0):
    """A time stamp, each later than the one before."""
    now = time.time() + offset
    return (int(now) + NTP_OF_UNIX) << 32 | (int(now % 1 * (1 << 32)) & 0xfffffc00) | (
        next(_fraction) & 0x3ff)


class Key:
    """A mobility security association."""

    def __init__(self, spi, key, algorithm="hmac-md5"):
        self.spi, self.key, self.algorithm = spi, bytes.fromhex(key), algorithm

    def digest(self, data):
        if self.algorithm == "keyed-md5":
            return hashlib.md5(self.key + data + self.key).digest()
        return hmac.new(self.key, data, self.algorithm.removeprefix("hmac-")).digest()

    def seal(self, message, kind=MOBILE_HOME):
        """The message with that authentication behind it (RFC 5944 section 3.5.1)."""
        length = len(self.digest(b""))
        message = message + struct.pack("!BBI", kind, 4 + length, self.spi)
        return message + self.digest(message)


def extension(kind, data):
    return bytes([kind, len(data)]) + data


def udp_request(forced=False, by_foreign_agent=False, encapsulation=0, reserved=0):
    flags = (0x80 if forced else 0) | (0x40 if by_foreign_agent else 0)
    return extension(UDP_REQUEST, struct.pack("!BBBBH", 0, 0, flags, encapsulation, reserved))


def nai(name):
    return extension(NAI, name.encode())


def revocation_support(informs=True, timestamp=None):
    stamp = int(time.time()) + NTP_OF_UNIX if timestamp is None else timestamp
    return extension(REVOCATION_SUPPORT, struct.pack("!HI", 0x8000 if informs else 0,
                                                     stamp & 0xffffffff))


def critical_vendor(vendor=99999):
    return struct.pack("!BBHIH", 38, 0, 6, vendor, 1)


def normal_vendor(vendor=99999):
    return extension(134, struct.pack("!HIH", 0, vendor, 1))


def request(home, agent, care_of, lifetime=300, flags=D | T, ident=None, extensions=b""):
    return struct.pack("!BBH4s4s4sQ", 1, flags, lifetime, address(home), address(agent),
                       address(care_of), identification() if ident is None else ident) + extensions


def acknowledgement(home, identifier):
    return struct.pack("!BBH4sI", 15, 0, 0, address(home), identifier)


def read_extensions(message, at):
    """(type, data, offset of the extension) of each; the long form is that of types 36 and 38."""
    found = []
    while at < len(message):
        kind = message[at]
        if kind == 0:
            at += 1
            continue
        if kind in (36, 38):
            length = struct.unpack_from("!H", message, at + 2)[0]
            found.append((kind, message[at + 4:at + 4 + length], at))
            at += 4 + length
            continue
        length = message[at + 1]
        found.append((kind, message[at + 2:at + 2 + length], at))
        at += 2 + length
    if at != len(message):
        raise ValueError(f"an extension goes {at - len(message)} octets past the message")
    return found


class Reply:
    """A registration reply, or a revocation (type 7)."""

    def __init__(self, message):
        self.message = message
        self.type, self.code, self.lifetime = struct.unpack_from("!BBH", message)
        if self.type == 3:
            self.home, self.agent = (socket.inet_ntoa(message[i:i + 4]) for i in (4, 8))
            self.ident = struct.unpack_from("!Q", message, 12)[0]
        else:
            self.home, self.agent, self.foreign = (socket.inet_ntoa(message[i:i + 4])
                                                   for i in (4, 8, 12))
            self.identifier = struct.unpack_from("!I", message, 16)[0]
        self.extensions = read_extensions(message, 20)

    def types(self):
        return [kind for kind, _, _ in self.extensions]

    def data(self, kind):
        return next((data for found, data, _ in self.extensions if found == kind), None)

    def is_sealed_by(self, key, kind=MOBILE_HOME):
        """Exactly one such authentication, and it is right."""
        seals = [(data, at) for found, data, at in self.extensions if found == kind]
        if len(seals) != 1:
            return False
        data, at = seals[0]
        spi = struct.unpack_from("!I", data)[0]
        return spi == key.spi and data[4:] == key.digest(self.message[:at + 6])

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Referees of the wire codecs: scapy and tshark read every message that we send, and we read what
scapy builds.

usage: scapy_mip6_test.py PRINT-MESSAGES
"""
import logging
import pathlib
import struct
import subprocess
import sys
import tempfile
import unittest

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)
from scapy.layers import inet6 as s  # noqa: E402
from scapy.layers.l2 import Ether  # noqa: E402
from scapy.utils import wrpcap  # noqa: E402

HOA, HA, COA = "2001:db8:1::100", "2001:db8:1::1", "2001:db8:2::200"
PROGRAM = ""

MOBILITY_LAYERS = {
    0: s.MIP6MH_BRR, 1: s.MIP6MH_HoTI, 2: s.MIP6MH_CoTI, 3: s.MIP6MH_HoT, 4: s.MIP6MH_CoT,
    5: s.MIP6MH_BU, 6: s.MIP6MH_BA, 7: s.MIP6MH_BE,
}
# tshark 4.0 reads the addresses of an HA Switch, but looks for its options four octets too early.
TSHARK_MISREADS_OPTIONS = ("ha_switch", "ha_switch_none")
ICMPV6_LAYERS = {
    1: s.ICMPv6DestUnreach, 2: s.ICMPv6PacketTooBig, 3: s.ICMPv6TimeExceeded,
    4: s.ICMPv6ParamProblem, 128: s.ICMPv6EchoRequest, 129: s.ICMPv6EchoReply,
    131: s.ICMPv6MLReport, 132: s.ICMPv6MLDone, 133: s.ICMPv6ND_RS, 134: s.ICMPv6ND_RA,
    135: s.ICMPv6ND_NS, 136: s.ICMPv6ND_NA, 143: s.ICMPv6MLReport2, 144: s.ICMPv6HAADRequest,
    145: s.ICMPv6HAADReply, 146: s.ICMPv6MPSol, 147: s.ICMPv6MPAdv,
}


def our_packets():
    out = subprocess.run([PROGRAM], check=True, capture_output=True, text=True).stdout
    return {name: bytes.fromhex(text) for name, text in (line.split() for line in out.splitlines())}


def our_verdicts(packets):
    lines = "".join(f"{name} {bytes(packet).hex()}\n" for name, packet in packets.items())
    out = subprocess.run([PROGRAM, "decode"], input=lines, check=True, capture_output=True,
                         text=True).stdout
    return dict(line.split(" ", 1) for line in out.splitlines())


def upper(raw):
    """Offset and protocol of the upper layer; we send no extension header but hop-by-hop."""
    return (48, raw[40]) if raw[6] == 0 else (40, raw[6])


class ScapyReadsOurs(unittest.TestCase):
    def setUp(self):
        self.packets = our_packets()

    def layer(self, name, kind):
        packet = s.IPv6(self.packets[name])
        self.assertTrue(packet.haslayer(kind), f"{name}: {packet.summary()}")
        return packet[kind]

    def test_checksums_are_those_that_scapy_computes(self):
        for name, raw in self.packets.items():
            with self.subTest(name):
                packet = s.IPv6(raw)
                offset, protocol = upper(raw)
                at = 4 if protocol == 135 else 2
                message = bytearray(raw[offset:])
                found = struct.unpack("!H", message[at:at + 2])[0]
                message[at:at + 2] = b"\0\0"
                plain = s.IPv6(src=packet.src, dst=packet.dst)
                self.assertEqual(found, s.in6_chksum(protocol, plain, bytes(message)))

    def test_every_message_is_dissected_as_what_it_is(self):
        seen = set()
        for name, raw in self.packets.items():
            offset, protocol = upper(raw)
            number = raw[offset + 2] if protocol == 135 else raw[offset]
            kinds = MOBILITY_LAYERS if protocol == 135 else ICMPV6_LAYERS
            if number not in kinds:
                continue
            with self.subTest(name):
                self.layer(name, kinds[number])
                seen.add((protocol, number))
        self.assertEqual(len(seen), len(MOBILITY_LAYERS) + len(ICMPV6_LAYERS))

    def test_binding_update(self):
        bu = self.layer("bu_c1", s.MIP6MH_BU)
        self.assertEqual((bu.nh, bu.len, bu.mhtype, bu.seq), (59, 3, 5, 0x1234))
        self.assertEqual(str(bu.flags), "KLHA")
        self.assertEqual(bu.mhtime, 150)
        coa = [o for o in bu.options if isinstance(o, s.MIP6OptAltCoA)]
        self.assertEqual([o.acoa for o in coa], [COA])

    def test_binding_acknowledgement(self):
        ba = self.layer("ba_c3", s.MIP6MH_BA)
        self.assertEqual((ba.status, ba.seq, ba.mhtime, ba.flags), (0, 0x1234, 150, "K"))
        ba = self.layer("ba_refresh", s.MIP6MH_BA)
        advice = [o for o in ba.options if isinstance(o, s.MIP6OptBRAdvice)]
        self.assertEqual([o.rinter for o in advice], [50])

    def test_every_option_that_scapy_knows(self):
        options = self.layer("bu_all", s.MIP6MH_BU).options
        by_type = {}
        for option in options:
            by_type.setdefault(option.otype, option)
        self.assertEqual(by_type[2].rinter, 30)
        self.assertEqual(by_type[3].acoa, COA)
        self.assertEqual((by_type[4].hni, by_type[4].coni), (7, 8))
        self.assertEqual((by_type[6].plen, by_type[6].prefix), (48, "2001:db8:99::"))
        self.assertEqual((by_type[8].subtype, by_type[8].id), (1, b"u@x"))
        self.assertEqual((by_type[9].subtype, by_type[9].mspi), (1, 256))
        self.assertEqual(bytes(by_type[9].authdata), bytes(range(1, 13)))
        for number in (10, 29, 30, 31, 32, 35, 200):
            self.assertIn(number, by_type)

    def test_binding_error(self):
        be = self.layer("be", s.MIP6MH_BE)
        self.assertEqual((be.status, be.ha), (2, HOA))

    def test_return_routability(self):
        hot = self.layer("hot", s.MIP6MH_HoT)
        self.assertEqual((hot.index, hot.cookie, hot.token),
                         (0x0102, bytes.fromhex("1122334455667788"),
                          bytes.fromhex("a1a2a3a4a5a6a7a8")))
        self.assertEqual(self.layer("hoti", s.MIP6MH_HoTI).cookie,
                         bytes.fromhex("1122334455667788"))

    def test_neighbor_discovery(self):
        advertisement = self.layer("icmpv6_neighbor_advertisement", s.ICMPv6ND_NA)
        self.assertEqual((advertisement.R, advertisement.S, advertisement.O, advertisement.tgt),
                         (1, 1, 1, HOA))
        self.assertEqual(advertisement[s.ICMPv6NDOptDstLLAddr].lladdr, "02:00:00:00:00:01")
        router = self.layer("icmpv6_router_advertisement", s.ICMPv6ND_RA)
        self.assertEqual((router.M, router.O, router.H, router.routerlifetime), (1, 1, 1, 1800))
        prefix = router[s.ICMPv6NDOptPrefixInfo]
        self.assertEqual((prefix.R, prefix.prefix, prefix.validlifetime), (1, HA, 86400))
        self.assertEqual(router[s.ICMPv6NDOptAdvInterval].advint, 3000)
        information = router[s.ICMPv6NDOptHAInfo]
        self.assertEqual((information.pref, information.lifetime), (9, 1800))
        self.assertEqual(router[s.ICMPv6NDOptMTU].mtu, 1500)

    def test_multicast_listener_reports_carry_the_router_alert(self):
        for name in ("icmpv6_mld_report", "icmpv6_mld_done", "icmpv6_mldv2_report"):
            with self.subTest(name):
                packet = s.IPv6(self.packets[name])
                self.assertEqual(packet.hlim, 1)
                self.assertTrue(packet.haslayer(s.RouterAlert))
        records = self.layer("icmpv6_mldv2_report", s.ICMPv6MLReport2).records
        # scapy 2.5 takes further records for the payload of the first.
        self.assertEqual((records[0].rtype, records[0].dst, records[0].sources),
                         (4, "ff02::1:ff00:100", []))

    def test_discovery(self):
        reply = self.layer("icmpv6_dhaad_reply", s.ICMPv6HAADReply)
        self.assertEqual((reply.id, reply.R, reply.addresses), (0x1234, 1, [HA, COA]))
        self.assertEqual(self.layer("icmpv6_mps", s.ICMPv6MPSol).id, 0x4321)
        self.assertEqual(self.layer("icmpv6_mpa", s.ICMPv6MPAdv).id, 0x4321)


class WeReadScapys(unittest.TestCase):
    def verdicts(self, packets):
        return our_verdicts({k: s.raw(v) for k, v in packets.items()})

    def test_mobility_messages(self):
        ip = s.IPv6(src=HOA, dst=HA)
        coa = s.MIP6OptAltCoA(acoa=COA)
        packets = {
            "brr": ip / s.MIP6MH_BRR(),
            "hoti": ip / s.MIP6MH_HoTI(cookie=b"12345678"),
            "coti": ip / s.MIP6MH_CoTI(cookie=b"12345678"),
            "hot": ip / s.MIP6MH_HoT(index=1, cookie=b"12345678", token=b"abcdefgh"),
            "cot": ip / s.MIP6MH_CoT(index=1, cookie=b"12345678", token=b"abcdefgh"),
            "bu_bare": ip / s.MIP6MH_BU(seq=1),
            "bu": ip / s.MIP6MH_BU(seq=0xffff, flags="KLHA", mhtime=65535, options=[coa]),
            "bu_many": ip / s.MIP6MH_BU(seq=5, options=[
                s.MIP6OptBRAdvice(rinter=4), coa,
                # scapy 2.5 writes length 16 for both; RFC 6275 says 4 and, for 96 bits, 12.
                s.MIP6OptNonceIndices(olen=4, hni=1, coni=2),
                s.MIP6OptMobNetPrefix(prefix="2001:db8:9::", plen=48),
                s.MIP6OptMNID(subtype=1, id="user@example"),
                s.MIP6OptUnknown(otype=99, odata=b"xyz"),
                s.MIP6OptBindingAuthData(olen=12, authenticator=5)]),
            "bu_unpadded": ip / s.MIP6MH_BU(seq=5, autopad=0, options=[
                s.Pad1(), s.MIP6OptMNID(subtype=1, id="a"), s.PadN(optdata=b"\0" * 5)]),
            "ba": ip / s.MIP6MH_BA(status=0, seq=7, options=[s.MIP6OptBRAdvice(rinter=9)]),
            "ba_135": ip / s.MIP6MH_BA(status=135, seq=7),
            "be": ip / s.MIP6MH_BE(status=2, ha=HOA),
        }
        types = {"brr": 0, "hoti": 1, "coti": 2, "hot": 3, "cot": 4, "ba": 6, "ba_135": 6, "be": 7}
        for name, verdict in self.verdicts(packets).items():
            with self.subTest(name):
                self.assertEqual(verdict, f"ok mobility {types.get(name, 5)}")

    def test_icmpv6_messages(self):
        ip = s.IPv6(src=HA, dst=HOA)
        link = s.IPv6(src="fe80::1", dst="ff02::1", hlim=255)
        ours = "02:00:00:00:00:01"
        packets = {
            "1": ip / s.ICMPv6DestUnreach(code=3) / s.IPv6(src=HOA, dst=HA),
            "2": ip / s.ICMPv6PacketTooBig(mtu=1280) / s.IPv6(src=HOA, dst=HA),
            "4": ip / s.ICMPv6ParamProblem(ptr=41) / s.IPv6(src=HOA, dst=HA),
            "128": ip / s.ICMPv6EchoRequest(data=b"abc"),
            "134": link / s.ICMPv6ND_RA(H=1) / s.ICMPv6NDOptPrefixInfo(R=1, prefix=HA) /
                   s.ICMPv6NDOptHAInfo(pref=3) / s.ICMPv6NDOptAdvInterval(advint=1000) /
                   s.ICMPv6NDOptSrcLLAddr(lladdr=ours),
            "135": s.IPv6(src="::", dst="ff02::1:ff00:100", hlim=255) / s.ICMPv6ND_NS(tgt=HOA),
            "136": link / s.ICMPv6ND_NA(tgt=HOA, R=0, S=0, O=1) /
                   s.ICMPv6NDOptDstLLAddr(lladdr=ours),
            "143": s.IPv6(src="fe80::1", dst="ff02::16", hlim=1) /
                   s.IPv6ExtHdrHopByHop(options=s.RouterAlert()) /
                   s.ICMPv6MLReport2(records=[s.ICMPv6MLDMultAddrRec(rtype=4, dst="ff02::1:3")]),
            "144": s.IPv6(src=COA, dst=HA) / s.ICMPv6HAADRequest(id=5, R=0),
            "145": ip / s.ICMPv6HAADReply(id=5, addresses=[HA, COA]),
            "146": s.IPv6(src=HOA, dst=HA) / s.ICMPv6MPSol(id=6),
            "147": ip / s.ICMPv6MPAdv(id=6) / s.ICMPv6NDOptPrefixInfo(prefix=HA),
        }
        for name, verdict in self.verdicts(packets).items():
            with self.subTest(name):
                self.assertEqual(verdict, f"ok icmpv6 {name}")

    def test_one_wrong_bit_in_scapys_message_is_found(self):
        raw = bytearray(s.raw(s.IPv6(src=HOA, dst=HA) / s.MIP6MH_BU(seq=1)))
        raw[47] ^= 1
        self.assertIn("wrong checksum", our_verdicts({"bu": bytes(raw)})["bu"])


class TsharkReadsOurs(unittest.TestCase):
    FIELDS = ("frame.number", "_ws.malformed", "_ws.expert.severity", "mip6.mhtype", "mip6.csum",
              "mip6.bu.seqnr", "mip6.ba.seqnr", "mip6.ba.status", "mip6.acoa.acoa",
              "mip6.ipv4ha.ha", "mip6.natd.refresh_t", "mip6.be.haddr", "mip6.has.address", "icmpv6.type",
              "icmpv6.checksum.status")

    @classmethod
    def setUpClass(cls):
        cls.packets = our_packets()
        with tempfile.TemporaryDirectory() as folder:
            pcap = pathlib.Path(folder) / "messages.pcap"
            ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
            wrpcap(str(pcap), [ether / s.IPv6(raw) for raw in cls.packets.values()])
            command = ["tshark", "-r", str(pcap), "-T", "fields", "-E", "occurrence=a"]
            for field in cls.FIELDS:
                command += ["-e", field]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        rows = [dict(zip(cls.FIELDS, line.split("\t"))) for line in out.splitlines()]
        cls.rows = dict(zip(cls.packets, rows, strict=True))

    def test_nothing_is_malformed(self):
        for name, row in self.rows.items():
            if name in TSHARK_MISREADS_OPTIONS:
                continue
            with self.subTest(name):
                self.assertEqual(row["_ws.malformed"], "")

    def test_mobility_header_types_and_checksums(self):
        for name, raw in self.packets.items():
            if raw[6] != 135:
                continue
            with self.subTest(name):
                self.assertEqual(self.rows[name]["mip6.mhtype"], str(raw[42]))
                self.assertEqual(self.rows[name]["mip6.csum"], "0x" + raw[44:46].hex())

    def test_icmpv6_checksums_are_good(self):
        good = "1"
        for name, raw in self.packets.items():
            if raw[6] not in (0, 58):
                continue
            with self.subTest(name):
                self.assertEqual(self.rows[name]["icmpv6.checksum.status"].split(",")[0], good)

    def test_fields(self):
        self.assertEqual(self.rows["bu_c1"]["mip6.bu.seqnr"], str(0x1234))
        self.assertEqual(self.rows["bu_c1"]["mip6.acoa.acoa"], COA)
        self.assertEqual(self.rows["ba_c3"]["mip6.ba.status"], "0")
        self.assertEqual(self.rows["ba_c3"]["mip6.ba.seqnr"], str(0x1234))
        self.assertEqual(self.rows["bu_c7"]["mip6.ipv4ha.ha"], "192.0.2.100")
        self.assertEqual(self.rows["ba_c9"]["mip6.natd.refresh_t"], "110")
        self.assertEqual(self.rows["be"]["mip6.be.haddr"], HOA)
        self.assertEqual(self.rows["ha_switch"]["mip6.has.address"], f"{HA},{COA}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    PROGRAM = sys.argv.pop()
    unittest.main(verbosity=1)

# SPDX-License-Identifier: BSD-3-Clause
"""Captures signalling and has it read by tshark and by scapy, with the keys of a RoamingNetwork."""
import csv
import io
import subprocess
import warnings

from lab import HOME_ADDRESS, KEY_LENGTH, SPI_BA, SPI_BU, LabError, wait_until

warnings.filterwarnings("ignore")

FIELDS = ["frame.number", "ipv6.src", "ipv6.dst", "ipv6.opt.mipv6.home_address",
          "ipv6.routing.mipv6.home_address", "esp.spi", "esp.sequence", "esp.icv_good",
          "mip6.mhtype", "mip6.bu.seqnr", "mip6.bu.a_flag", "mip6.bu.h_flag", "mip6.bu.lifetime",
          "mip6.acoa.acoa", "mip6.ba.status", "mip6.ba.seqnr", "mip6.ba.lifetime",
          "_ws.expert.message"]


# SPI and key file of each SA that captures are opened with; a test may add its own.
ASSOCIATIONS = [(SPI_BU, "bu.key"), (SPI_BA, "ba.key")]


class Capture:
    """Runs from its making to stop()."""

    def __init__(self, lab, namespace, device, expression="ip6"):
        self.file = lab.directory / f"{namespace}-{device}.pcap"
        self.lab = lab
        self.process = lab.start(namespace, ["tcpdump", "-i", device, "-n", "-U", "-s", "0", "-w",
                                             self.file, "--immediate-mode", expression],
                                 name=f"capture-{namespace}-{device}")
        self.process.wait_for_output("listening on")

    def stop(self):
        self.process.stop()
        return self.file

    def tshark(self, fields, expression, keys=True, decode_as=None, every=False):
        """A dict for each packet that matches; of fields that repeat the first, or all of them."""
        options = ["-o", "esp.enable_encryption_decode:TRUE",
                   "-o", "esp.enable_authentication_check:TRUE",
                   "-o", "udp.check_checksum:TRUE"]
        for spi, name in ASSOCIATIONS if keys else ():
            key = (self.lab.directory / name).read_text().strip()
            options += ["-o", f'uat:esp_sa:"IPv6","*","*","{spi:#010x}","AES-CBC [RFC3602]",'
                              f'"0x{key[:32]}","HMAC-SHA-256-128 [RFC4868]","0x{key[32:]}"']
        if decode_as:
            options += ["-d", decode_as]
        command = ["tshark", "-r", str(self.file), *options, "-Y", expression, "-T", "fields",
                   "-E", "header=y", "-E", "separator=,", "-E", "quote=d", "-E", f"occurrence={'a' if every else 'f'}"]
        for field in fields:
            command += ["-e", field]
        result = subprocess.run(command, text=True, capture_output=True, check=False, timeout=60)
        if result.returncode != 0:
            raise LabError(f"tshark: {result.stderr.strip()}")
        return list(csv.DictReader(io.StringIO(result.stdout)))

    def wait_for(self, expression, count=1, timeout=10):
        """Until so many packets that tshark matches are in the file."""
        wait_until(lambda: len(self.tshark(["frame.number"], expression)) >= count, timeout,
                   f"{count} packets '{expression}' in {self.file.name}", interval=0.3)

    def messages(self):
        """Binding updates and acknowledgements in clear, as tshark sees them."""
        return self.tshark(FIELDS, "mip6.mhtype == 5 || mip6.mhtype == 6")


def scapy_checksums(capture):
    """(type, sum over the mobility header and the pseudo-header of the normal form), a message.

    By hand from octets: the normal form, then ESP by scapy, then the sum, which must be 0.
    """
    from scapy.all import ESP, IPv6, SecurityAssociation, raw, rdpcap
    from scapy.layers.inet6 import in6_chksum
    associations = {}
    for spi, name in ((SPI_BU, "bu.key"), (SPI_BA, "ba.key")):
        key = bytes.fromhex((capture.lab.directory / name).read_text().strip())
        associations[spi] = SecurityAssociation(ESP, spi=spi, crypt_algo="AES-CBC",
                                                crypt_key=key[:16], auth_algo="SHA2-256-128",
                                                auth_key=key[16:KEY_LENGTH])
    out = []
    for frame in rdpcap(str(capture.file)):
        packet = raw(frame)[14:]
        if len(packet) < 72 or packet[0] >> 4 != 6 or packet[6] not in (43, 50, 60):
            continue
        source, destination, at, next_header = packet[8:24], packet[24:40], 40, packet[6]
        if next_header == 60:
            source, next_header, at = packet[48:64], packet[40], 64
        elif next_header == 43:
            destination, next_header, at = packet[48:64], packet[40], 64
        spi = int.from_bytes(packet[at:at + 4], "big")
        if next_header != 50 or spi not in associations:
            continue
        end = 40 + int.from_bytes(packet[4:6], "big")
        normal = IPv6(raw(IPv6(nh=50, plen=end - at)) [:8] + source + destination + packet[at:end])
        opened = raw(associations[spi].decrypt(normal))
        out.append((opened[42], in6_chksum(135, IPv6(opened[:40]), opened[40:])))
    return out


__all__ = ["Capture", "HOME_ADDRESS", "scapy_checksums"]

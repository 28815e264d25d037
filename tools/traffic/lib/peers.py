# SPDX-License-Identifier: BSD-3-Clause
"""The programs that Homeport is compared with: how they are built, configured and measured."""
import os
import pathlib
import time

from lib import dpdk, machine

NEEDED = ("python3-cryptography",)


def build():
    """Folder of the peers' programs: examples of the DPDK that Homeport is built against."""
    dpdk.require(NEEDED, "looking at what comes out")
    return dpdk.build().examples


def octets(data):
    return ":".join(f"{octet:02x}" for octet in data)


def key_of(length):
    """As tools/traffic/sealer.cpp makes it."""
    return bytes((11 * i + 5) & 255 for i in range(length))


def home(index):
    return f"2001:0db8:0001:0001:0000:0000:{(0x1000 + index) >> 16:04x}:{(0x1000 + index) & 0xffff:04x}"


HOME_AGENT = "2001:0db8:0001:0000:0000:0000:0000:0001"
CARE_OF = "2001:0db8:000a:0000:0000:0000:0000:0200"
CORRESPONDENT = "2001:0db8:0003:0000:0000:0000:0000:0300"
NEXT_HOP_MAC = "02:00:00:00:00:aa"
FIRST_SPI = 100000  # of ipsec-secgw, which reads SPIs as signed numbers


class Peer:
    """A running peer that receives on DPDK port 0 and sends on port 1."""

    def __init__(self, name, command, directory, frames, realtime, first=(), prefix="hppeer"):
        """`first`: arguments in front of those of DPDK."""
        self.prefix = f"{prefix}{os.getpid()}"
        pages = ["--in-memory"] if machine.has_huge_pages(frames) else ["--no-huge"]
        self.process = machine.Process(
            [*command[:1], *first, f"--lcores=0@{machine.MEASURED_CPU}", "--no-pci", "-m",
             machine.memory_mb(frames), f"--file-prefix={self.prefix}", *pages, *command[1:]],
            pathlib.Path(directory) / f"{name}.log", realtime)

    def start(self):
        """What is to be done before packets can come out."""
        self.thread = self.process.pid

    def __enter__(self):
        self.telemetry = None
        try:
            self.start()
            self.telemetry = machine.Telemetry(self.prefix)
            end = time.monotonic() + 90
            while self.sent() == 0:
                if self.process.process.poll() is not None or time.monotonic() > end:
                    raise SystemExit("the peer forwards nothing:\n" + self.process.said()[-3000:])
                time.sleep(0.1)
            return self
        except BaseException as error:
            self.__exit__()
            if isinstance(error, OSError):
                raise SystemExit("the peer did not start:\n" + self.process.said()[-3000:])
            raise

    def __exit__(self, *_):
        if self.telemetry is not None:
            self.telemetry.close()
        self.process.__exit__()

    def sent(self):
        return self.telemetry.ask("/ethdev/stats,1")["opackets"]

    def received(self):
        return self.telemetry.ask("/ethdev/stats,0")["ipackets"]

    def sample(self):
        return machine.at_once(lambda: (self.process.cpu_seconds(self.thread), self.sent(),
                                        self.received()))

    def measure(self, seconds, settled_after=1):
        time.sleep(settled_after)
        before = self.sample()
        time.sleep(seconds)
        return self.result([(before, self.sample())])

    def result(self, turns):
        """Of samples before and after each turn: what all of the turns come to."""
        busy, sent = (sum(after[i] - before[i] for before, after in turns) for i in range(2))
        if busy == 0:
            raise SystemExit("the peer had no CPU: something else uses this machine")
        all_sent, received = (turns[-1][1][i] - turns[0][0][i] for i in (1, 2))
        if abs(received - all_sent) > 0.01 * all_sent + 4096:
            raise SystemExit(f"the peer lost packets: received {received}, sent {all_sent}")
        return {"mpps": sent / busy / 1e6}


class SourceAndSink(Peer):
    """Source and sink with nothing between them, measured as a peer is."""

    def __init__(self, build, directory, pcap, frames, realtime):
        super().__init__("source-and-sink", [
            build / "tools/traffic/source-and-sink", *devices(pcap)], directory, frames, realtime,
            first=(FOREVER, frames + 32768), prefix="hpbase")


FOREVER = 1 << 30  # seconds


def devices(pcap, tx="net_null0,no-rx=1"):
    return [f"--vdev=net_pcap0,rx_pcap={pcap},infinite_rx=1", f"--vdev={tx}"]


def l3fwd(programs, directory, pcap, frames, realtime, sink="net_null0,no-rx=1"):
    v4, v6 = pathlib.Path(directory) / "l3fwd.v4", pathlib.Path(directory) / "l3fwd.v6"
    v4.write_text("R198.51.100.0/24 1\n")
    v6.write_text("R2001:0db8:0001:0001:0000:0000:0000:0000/64 1\n")
    return Peer("l3fwd", [programs / "dpdk-l3fwd", *devices(pcap, sink), "--", "-P", "-p", "0x3",
                          "--config=(0,0,0)", "--lookup=lpm", "--parse-ptype", f"--rule_ipv4={v4}",
                          f"--rule_ipv6={v6}", f"--eth-dest=1,{NEXT_HOP_MAC}"],
                directory, frames, realtime)


ENGINES = ("cpu-crypto", "asynchronous")


def secgw_config(outbound, nodes, algorithm, engine):
    """Policies, SAs and routes: one SA a node, as Homeport has them."""
    if algorithm == "aes128-gcm16":
        cipher = f"aead_algo aes-128-gcm aead_key {octets(key_of(20))}"
    else:
        key = key_of(36)
        cipher = (f"cipher_algo aes-128-cbc cipher_key {octets(key[:16])} "
                  f"auth_algo sha1-hmac auth_key {octets(key[16:])}")
    kind = " type cpu-crypto" if engine == "cpu-crypto" else ""
    lines = []
    for i in range(nodes):
        spi = FIRST_SPI + i
        ports = "sport 0:65535 dport 0:65535"
        if outbound:
            lines.append(f"sp ipv6 out esp protect {spi} pri 1 dst {home(i)}/128 {ports}")
            lines.append(f"sa out {spi} {cipher} mode ipv6-tunnel src {HOME_AGENT} "
                         f"dst {CARE_OF}{kind}")
        else:
            lines.append(f"sp ipv6 in esp protect {spi} pri 1 src {home(i)}/128 {ports}")
            lines.append(f"sa in {spi} {cipher} mode ipv6-tunnel src {CARE_OF} "
                         f"dst {HOME_AGENT}{kind}")
    if outbound:
        # It insists on an inbound SA where a port is unprotected; nothing comes by this one.
        lines.append(f"sp ipv6 in esp protect 5 pri 1 src {CARE_OF}/128 sport 0:65535 dport 0:65535")
        lines.append(f"sa in 5 {cipher} mode ipv6-tunnel src {CARE_OF} dst {HOME_AGENT}{kind}")
    lines += [f"rt ipv6 dst {CARE_OF}/128 port 1", f"rt ipv6 dst {CORRESPONDENT}/128 port 1",
              f"neigh port 1 {NEXT_HOP_MAC}"]
    return "\n".join(lines) + "\n"


def secgw(programs, directory, pcap, frames, realtime, *, outbound, nodes, algorithm, engine,
          sink="net_null0,no-rx=1"):
    config = pathlib.Path(directory) / "secgw.cfg"
    config.write_text(secgw_config(outbound, nodes, algorithm, engine))
    device = "crypto_aesni_gcm0" if algorithm == "aes128-gcm16" else "crypto_aesni_mb0"
    return Peer("secgw", [programs / "dpdk-ipsec-secgw", *devices(pcap, sink), f"--vdev={device}",
                          "--", "-P", "-p", "0x3", "-u", "0x2" if outbound else "0x1",
                          "--config=(0,0,0),(1,0,0)", "-l", "-s", frames + 65536, "-f", config],
                directory, frames, realtime)

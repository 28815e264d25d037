# SPDX-License-Identifier: BSD-3-Clause
"""The programs that Homeport is compared with: how they are built, configured and measured."""
import os
import pathlib
import subprocess
import tempfile
import time

from lib import machine

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "homeport"
PATCHED = ".offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM,"
DRIVERS = "bus/vdev,bus/pci,mempool/ring,net/pcap,net/null,net/ring,crypto/ipsec_mb,crypto/null"
SOURCES = """deb-src [signed-by={key}] http://deb.debian.org/debian {suite} main
deb-src [signed-by={key}] http://deb.debian.org/debian {suite}-updates main
deb-src [signed-by={key}] http://deb.debian.org/debian-security {suite}-security main
"""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
NEEDED = ("dpkg-dev", "meson", "ninja-build", "gcc", "pkg-config", "libpcap-dev", "libipsec-mb-dev",
          "libnuma-dev", "libelf-dev", "python3-pyelftools", "python3-cryptography", "xz-utils")


def run(command, log, **more):
    with open(log, "a") as out:
        if subprocess.run(list(map(str, command)), stdout=out, stderr=out, **more).returncode != 0:
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n" +
                             pathlib.Path(log).read_text()[-3000:])


def release():
    words = dict(line.split("=", 1) for line in
                 pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return words.get("VERSION_CODENAME", "bookworm").strip('"')


def fetch(directory, version, log):
    """DPDK's source of Debian, by a configuration of apt that lasts as long as this call."""
    with tempfile.TemporaryDirectory(prefix="homeport-apt-") as apt:
        apt = pathlib.Path(apt)
        (apt / "sources.list").write_text(SOURCES.format(suite=release(), key=KEYRING))
        (apt / "lists/partial").mkdir(parents=True)
        (apt / "cache").mkdir()
        options = [f"-oDir::Etc::sourcelist={apt}/sources.list", "-oDir::Etc::sourceparts=/dev/null",
                   f"-oDir::State::lists={apt}/lists", f"-oDir::Cache={apt}/cache",
                   "-oAPT::Sandbox::User=root"]
        run(["apt-get", *options, "update"], log)
        run(["apt-get", *options, "source", f"dpdk={version}"], log, cwd=directory)


def build():
    """Folder of the peers' programs; built once a version of DPDK."""
    for name in NEEDED:
        state = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status}", name],
                               capture_output=True, text=True).stdout
        if state != "installed":
            raise SystemExit(f"the peers' build needs the package {name}: apt-get install "
                             f"{' '.join(NEEDED)}")
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libdpdk-dev"],
                             capture_output=True, text=True, check=True).stdout
    directory = CACHE / "peers"
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "build.log"
    source = directory / f"dpdk-{version.split('-')[0]}"
    programs = source / "build-peers/examples"
    names = ("dpdk-l3fwd", "dpdk-ipsec-secgw")
    if all((programs / name).exists() for name in names):
        return programs
    print(f"building ipsec-secgw and l3fwd of DPDK {version} in {source}, once", flush=True)
    log.write_text("")
    if not source.exists():
        fetch(directory, version, log)
    for name in ("l3fwd/main.c", "ipsec-secgw/ipsec-secgw.c"):
        file = source / "examples" / name
        text = file.read_text()
        # Virtual devices lack this offload, and both programs insist on it.
        if PATCHED in text:
            file.write_text(text.replace(PATCHED, ".offloads = 0,"))
    if not (source / "build-peers/build.ninja").exists():
        run(["meson", "setup", "build-peers", "--buildtype=release", "-Ddefault_library=static",
             "-Dplatform=native", "-Dexamples=l3fwd,ipsec-secgw", f"-Denable_drivers={DRIVERS}",
             "-Denable_apps=proc-info", "-Dtests=false"], log, cwd=source)
    run(["nice", "-n", "10", "ninja", "-C", "build-peers", *(f"examples/{name}" for name in names)],
        log, cwd=source)
    return programs


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

    def __init__(self, name, command, directory, frames, realtime):
        self.prefix = f"hppeer{os.getpid()}"
        pages = ["--in-memory"] if machine.has_huge_pages(frames) else ["--no-huge"]
        self.process = machine.Process(
            [*command[:1], f"--lcores=0@{machine.MEASURED_CPU}", "--no-pci", "-m",
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
        return self.process.cpu_seconds(self.thread), self.sent(), self.received()

    def measure(self, seconds, settled_after=1):
        time.sleep(settled_after)
        t0, sent0, received0 = self.sample()
        time.sleep(seconds)
        t1, sent1, received1 = self.sample()
        sent, received = sent1 - sent0, received1 - received0
        if t1 == t0:
            raise SystemExit("the peer had no CPU: something else uses this machine")
        if abs(received - sent) > 0.01 * sent + 4096:
            raise SystemExit(f"the peer lost packets: received {received}, sent {sent}")
        return {"mpps": sent / (t1 - t0) / 1e6}


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

# SPDX-License-Identifier: BSD-3-Clause
"""DPDK for this CPU, as archives, and what is built against it: one build of the sources of the
package that is installed serves Homeport and the programs that it is compared with."""
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "homeport"
# Those that pmd-config/ knows and the usual ones of virtual machines; crypto/ is for the peers.
# DPDK leaves out what this host lacks the libraries of.
DRIVERS = ("bus/auxiliary,bus/pci,bus/vdev,common/iavf,common/mlx5,mempool/ring,net/af_packet,"
           "net/af_xdp,net/e1000,net/ena,net/i40e,net/iavf,net/ice,net/ixgbe,net/memif,net/mlx5,"
           "net/null,net/pcap,net/ring,net/tap,net/vhost,net/virtio,net/vmxnet3,crypto/ipsec_mb,"
           "crypto/null")
NOT_NEEDED = ("bitratestats,flow_classify,gpudev,gro,jobstats,kni,latencystats,node,pdump,pipeline,"
              "port,power,table")
EXAMPLES = ("l3fwd", "ipsec-secgw")
OPTIONS = ("--buildtype=release", "-Ddefault_library=static", "-Dplatform=native",
           f"-Dexamples={','.join(EXAMPLES)}", f"-Denable_drivers={DRIVERS}",
           f"-Ddisable_libs={NOT_NEEDED}", "-Dtests=false", "-Denable_apps=proc-info",
           "--libdir=lib")
PATCHED = {"l3fwd/main.c", "ipsec-secgw/ipsec-secgw.c"}
OFFLOADS = ".offloads = RTE_ETH_RX_OFFLOAD_CHECKSUM,"
SOURCES = """deb-src [signed-by={key}] http://deb.debian.org/debian {suite} main
deb-src [signed-by={key}] http://deb.debian.org/debian {suite}-updates main
deb-src [signed-by={key}] http://deb.debian.org/debian-security {suite}-security main
"""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
NEEDED = ("dpkg-dev", "meson", "ninja-build", "gcc", "pkg-config", "libdpdk-dev", "libpcap-dev",
          "libipsec-mb-dev", "libnuma-dev", "libelf-dev", "libbsd-dev", "libjansson-dev",
          "python3-pyelftools", "xz-utils")


def run(command, log, **more):
    with open(log, "a") as out:
        if subprocess.run(list(map(str, command)), stdout=out, stderr=out, **more).returncode != 0:
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n" +
                             pathlib.Path(log).read_text()[-3000:])


def require(packages, what):
    """Installs what is missing of `packages`, and says so; without the right to, ends with the
    command that would."""
    missing = [name for name in packages if subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", name],
        capture_output=True, text=True).stdout != "installed"]
    if not missing:
        return
    command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
    if os.geteuid() != 0:
        raise SystemExit(f"{what} needs packages that are missing: {' '.join(command)}")
    print(f"Installing {len(missing)} packages for {what}: {' '.join(missing)}", file=sys.stderr)
    done = subprocess.run(command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")


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


def patch(source):
    """Virtual devices lack a checksum offload that both programs insist on."""
    for name in PATCHED:
        file = source / "examples" / name
        text = file.read_text()
        if OFFLOADS in text:
            file.write_text(text.replace(OFFLOADS, ".offloads = 0,"))


def field(text, name):
    found = re.search(rf"^{re.escape(name)}:(.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def package_file(prefix, built):
    """libdpdk.pc that names the archives, and shared libraries for all that is not DPDK: asked for
    everything static, pkg-config would want libpcap.a and what that is made of."""
    own = (built / "libdpdk.pc").read_text()
    libs = (built / "libdpdk-libs.pc").read_text()
    others = re.sub(r"\s*[<>=]+\s*[\d.]+", "",
                    field(own, "Requires.private") + ", " + field(own, "Requires"))
    others = [name for name in re.split(r"[,\s]+", others) if name and name != "libdpdk-libs"]
    shared = subprocess.run(["pkg-config", "--libs", *others], capture_output=True, text=True,
                            check=True).stdout.strip()
    return "\n".join([
        f"prefix={prefix}", "includedir=${prefix}/include", "libdir=${prefix}/lib", "",
        "Name: DPDK", "Description: DPDK for the CPU that it was built on, as archives",
        f"Version: {field(own, 'Version')}",
        f"Libs: {field(own, 'Libs.private')} {shared} {field(libs, 'Libs.private')}",
        f"Cflags: {field(libs, 'Cflags')}", ""])


def identity(version):
    """What a build depends on; another one makes it anew."""
    cpu = re.search(r"^(?:flags|Features)\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(),
                    re.MULTILINE)
    compiler = subprocess.run(["gcc", "-dumpfullversion"], capture_output=True, text=True)
    return "\n".join([version, compiler.stdout.strip(), *OPTIONS, cpu[1] if cpu else ""]) + "\n"


class Dpdk:
    """`prefix`: where its headers, archives and libdpdk.pc are; `examples`: the peers' folder."""

    def __init__(self, version):
        directory = CACHE / "dpdk" / version
        self.version, self.prefix, self.log = version, directory / "prefix", directory / "build.log"
        self.source = directory / f"dpdk-{version.split('-')[0]}"
        self.build = self.source / "build-native"
        self.examples = self.build / "examples"
        self.mark = self.prefix / "built-from"
        self.package_path = self.prefix / "lib/pkgconfig"

    def there(self):
        return self.mark.exists() and self.mark.read_text() == identity(self.version)

    def make(self):
        print(f"building DPDK {self.version} for this CPU in {self.build}, once", flush=True)
        self.log.write_text("")
        if not self.source.exists():
            fetch(self.source.parent, self.version, self.log)
        patch(self.source)
        for old in (self.build, self.prefix):
            shutil.rmtree(old, ignore_errors=True)
        run(["meson", "setup", self.build, *OPTIONS, f"--prefix={self.prefix}"], self.log,
            cwd=self.source)
        run(["nice", "-n", "10", "ninja", "-C", self.build], self.log)
        run(["meson", "install", "-C", self.build, "--no-rebuild", "--tags", "devel"], self.log)
        for library in (self.prefix / "lib").glob("*.so*"):
            library.unlink()
        (self.package_path / "libdpdk-libs.pc").unlink()
        (self.package_path / "libdpdk.pc").write_text(
            package_file(self.prefix, self.build / "meson-private"))
        self.mark.write_text(identity(self.version))


def build():
    """The one of the installed version; built if it is not there."""
    require(NEEDED, "a native DPDK")
    version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libdpdk-dev"],
                             capture_output=True, text=True, check=True).stdout
    dpdk = Dpdk(version)
    dpdk.prefix.parent.mkdir(parents=True, exist_ok=True)
    with open(dpdk.prefix.parent / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not dpdk.there():
            dpdk.make()
    return dpdk


def configure(directory, dpdk, *options):
    """A build folder of Homeport against it."""
    directory, mark = pathlib.Path(directory), pathlib.Path(directory) / "dpdk-built-from"
    wanted = f"{dpdk.prefix}\n{dpdk.mark.read_text()}{options}\n"
    if (directory / "build.ninja").exists() and mark.exists() and mark.read_text() == wanted:
        return
    wipe = ["--wipe"] if (directory / "build.ninja").exists() else []
    log = dpdk.prefix.parent / "homeport.log"
    log.write_text("")
    run(["meson", "setup", *wipe, directory, ROOT, f"-Dpkg_config_path={dpdk.package_path}",
         *options], log)
    mark.write_text(wanted)

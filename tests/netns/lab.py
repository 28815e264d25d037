# SPDX-License-Identifier: BSD-3-Clause
"""Virtual networks for tests and the quickstart: namespaces, processes, conditions.

    with Lab("register") as lab:
        net = RoamingNetwork(lab, build)
        net.start()
        ...

Everything that a Lab makes carries its own prefix and is gone when it is left, also by a signal or
an exception: processes first, then namespaces, then its directory (kept when HOMEPORT_KEEP is set).
Nothing here waits for a fixed time where a condition can be waited for.
"""
import atexit
import contextlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIPPED = 77


class LabError(Exception):
    """A condition that did not come true, or a command that failed."""


def require_root():
    if os.geteuid() != 0:
        print("needs root: network namespaces and TAP devices")
        sys.exit(SKIPPED)


def build_directory():
    """Of the programs under test: $HOMEPORT_BUILD, else build/ in the repository."""
    return pathlib.Path(os.environ.get("HOMEPORT_BUILD", ROOT / "build")).resolve()


def wait_until(condition, timeout, what, interval=0.05):
    """The first true value of `condition`; LabError naming `what` after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"not within {timeout} s: {what}")
        time.sleep(interval)


class Lab:
    """Owner of namespaces, processes and a directory."""

    def __init__(self, name):
        require_root()
        self.prefix = f"hp{os.getpid()}-"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"homeport-{name}-"))
        self.namespaces = []
        self.processes = []
        self._previous_handlers = {}
        self._closed = False

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._previous_handlers[number] = signal.signal(number, self._on_signal)
        atexit.register(self.close)
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and not issubclass(kind, SystemExit):
            self.show_logs()
        self.close()

    @staticmethod
    def _on_signal(number, _frame):
        sys.exit(128 + number)

    def close(self):
        if self._closed:
            return
        self._closed = True
        for process in reversed(self.processes):
            process.stop()
        for name in self.namespaces:
            # What was started behind the lab's back (by a shell, say) goes too.
            pids = subprocess.run(["ip", "netns", "pids", self.prefix + name], text=True,
                                  capture_output=True, check=False).stdout.split()
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", self.prefix + name], check=False,
                           stderr=subprocess.DEVNULL)
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)
        if os.environ.get("HOMEPORT_KEEP"):
            print(f"kept: {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def show_logs(self, lines=40):
        for path in sorted(self.directory.glob("*.log")):
            text = path.read_text(errors="replace").splitlines()
            if text:
                print(f"--- {path.name}, last {min(lines, len(text))} of {len(text)} lines")
                print("\n".join(text[-lines:]))

    # ------------------------------------------------------------------------------ namespaces

    def namespace(self, name, forwarding=False):
        self.shell(f"ip netns add {self.prefix}{name}")
        self.namespaces.append(name)
        self.ip(name, "link set lo up")
        self.sysctl(name, "net.ipv6.conf.all.disable_ipv6", 0)
        self.sysctl(name, "net.ipv6.conf.default.accept_dad", 0)
        self.sysctl(name, "net.ipv6.conf.default.accept_ra", 0)
        if forwarding:
            self.sysctl(name, "net.ipv6.conf.all.forwarding", 1)
            self.sysctl(name, "net.ipv4.ip_forward", 1)
        return name

    def ip(self, namespace, arguments):
        """`ip -n NAMESPACE ARGUMENTS`; its output."""
        return self.shell(f"ip -n {self.prefix}{namespace} {arguments}")

    def sysctl(self, namespace, key, value):
        self.run(namespace, ["sysctl", "-qw", f"{key}={value}"])

    def veth(self, namespace, name, peer_namespace, peer_name):
        """A cable. Checksums are made in software, so that captures and DPDK see right ones."""
        self.shell(f"ip link add name {name} netns {self.prefix}{namespace} type veth "
                   f"peer name {peer_name} netns {self.prefix}{peer_namespace}")
        for where, device in ((namespace, name), (peer_namespace, peer_name)):
            self.run(where, ["ethtool", "-K", device, "tx", "off"])
            self.ip(where, f"link set dev {device} up")

    @staticmethod
    def shell(command, check=True, timeout=30):
        result = subprocess.run(command, shell=True, text=True, capture_output=True, check=False,
                                timeout=timeout)
        if check and result.returncode != 0:
            raise LabError(f"{command}: {result.stderr.strip() or result.stdout.strip()}")
        return result.stdout

    def command(self, namespace, arguments):
        return ["ip", "netns", "exec", self.prefix + namespace, *map(str, arguments)]

    def run(self, namespace, arguments, check=True, timeout=30, stdin=None):
        """Runs to its end; its standard output. Not `check`: the CompletedProcess."""
        result = subprocess.run(self.command(namespace, arguments), text=True, input=stdin,
                                capture_output=True, check=False, timeout=timeout)
        if not check:
            return result
        if result.returncode != 0:
            raise LabError(f"{' '.join(map(str, arguments))} in {namespace}: exit status "
                           f"{result.returncode}: {result.stderr.strip()}{result.stdout.strip()}")
        return result.stdout

    def start(self, namespace, arguments, name=None, stdin=False, env=None):
        """Starts a process that the lab ends; its output goes to NAME.log in the directory."""
        process = Process(self, namespace, arguments, name, stdin, env)
        self.processes.append(process)
        return process

    def wait_for_address(self, namespace, address, timeout=10):
        """An address that may be used: not tentative."""
        def usable():
            text = self.ip(namespace, "-o addr show")
            return any(f" {address}/" in line and "tentative" not in line
                       for line in text.splitlines())
        wait_until(usable, timeout, f"{address} usable in {namespace}")


class Process:
    def __init__(self, lab, namespace, arguments, name, stdin, env):
        self.name = name or pathlib.Path(str(arguments[0])).name
        count = sum(p.name == self.name for p in lab.processes)
        self.log = lab.directory / f"{self.name}{count or ''}.log"
        self._file = self.log.open("wb")
        # `ip netns exec` replaces itself by the program, so the pid is the program's.
        self.process = subprocess.Popen(
            lab.command(namespace, arguments), stdout=self._file, stderr=subprocess.STDOUT,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, start_new_session=True,
            env=env, cwd=lab.directory)

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process.poll() is None

    def output(self):
        return self.log.read_text(errors="replace")

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, timeout=10):
        """Its exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired as late:
            raise LabError(f"{self.name} did not end within {timeout} s") from late

    def wait_for_output(self, text, timeout=10):
        def seen():
            if text in self.output():
                return True
            if not self.running():
                raise LabError(f"{self.name} ended with exit status {self.process.returncode} "
                               f"before it said '{text}':\n{self.output()[-2000:]}")
            return False
        wait_until(seen, timeout, f"'{text}' from {self.name}")

    def stop(self, timeout=10):
        """SIGTERM, SIGKILL if that does not help; its exit status."""
        if self.running():
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(5)
        self._file.close()
        return self.process.returncode


HOME_AGENT = "2001:db8:1::1"
HOME_ADDRESS = "2001:db8:1::100"
HOME_HOST = "2001:db8:1::9"
CORRESPONDENT = "2001:db8:3::300"
CARE_OF = {"a": "2001:db8:a::200", "b": "2001:db8:b::200"}
ALGORITHM = "aes128-cbc-hmac-sha256-128"
KEY_LENGTH = 16 + 32
SPI_BU = 0x10001
SPI_BA = 0x20001
SPI_PAYLOAD_IN = 0x10006   # from the mobile node
SPI_PAYLOAD_OUT = 0x20006  # to it


class RoamingNetwork:
    """A home agent, its home link, two visited networks, a correspondent and a mobile node.

        cn --- inet ---[wan0 home agent home0]--- home --- mn (interface home)
                | \\                               host 2001:db8:1::9
                |  +--- visited network b --- mn (interface b)
                +------ visited network a --- mn (interface a)

    `inet` is a router of the kernel, `home` a bridge. The data plane's ports are net_tap devices,
    whose kernel ends are moved to `inet` and `home`.
    """

    def __init__(self, lab, build=None, prefix="", virtual_home=False):
        self.lab = lab
        self.build = build or build_directory()
        self.virtual_home = virtual_home
        self.config = lab.directory / f"{prefix}homeport.yaml"
        self.mn_config = lab.directory / f"{prefix}homeport-mn.yaml"
        self.management = lab.directory / f"{prefix}control.sock"
        self.channel = lab.directory / f"{prefix}channel.sock"
        self.mn_status = lab.directory / f"{prefix}mn.sock"
        self.file_prefix = f"{lab.prefix}{prefix}"
        self.dataplane = self.controlplane = self.mobile_node = None
        self.policy = ""  # more lines of controlplane.policy
        self.home_agent_extra = ""  # more lines of controlplane.home_agent
        self.home_link_extra = ""  # more of its home link, one line: ", ipv4_prefix: ..."
        self.node_extra = ""  # more lines of the mobile node's entry
        self.controlplane_extra = ""  # more sections of controlplane
        self.mn_extra = ""  # more lines of homeport-mn.yaml
        self.dataplane_extra = ""
        self.protect_payload = False
        self.payload_algorithm = ALGORITHM
        self.payload_key_length = KEY_LENGTH
        self.workers = 1

    # -------------------------------------------------------------------------------- networks

    def make_networks(self):
        lab = self.lab
        for name, forwarding in (("ha", True), ("home", False), ("inet", True), ("cn", False),
                                 ("mn", False)):
            lab.namespace(name, forwarding)
        lab.ip("home", "link add br0 type bridge")
        # No IGMP/MLD querier lives on this bridge: flood groups, as a plain switch does.
        lab.ip("home", "link set br0 type bridge mcast_snooping 0")
        lab.ip("home", "link set br0 up")
        lab.ip("home", f"addr add {HOME_HOST}/64 dev br0 nodad")
        lab.ip("home", f"route add default via {HOME_AGENT}")
        lab.veth("mn", "home", "home", "mn")
        lab.ip("home", "link set mn master br0")
        lab.veth("cn", "eth0", "inet", "cn")
        lab.ip("cn", f"addr add {CORRESPONDENT}/64 dev eth0 nodad")
        lab.ip("cn", "route add default via 2001:db8:3::1")
        lab.ip("inet", "addr add 2001:db8:3::1/64 dev cn nodad")
        for net in ("a", "b"):
            lab.veth("mn", net, "inet", net)
            lab.ip("inet", f"addr add 2001:db8:{net}::1/64 dev {net} nodad")
        for net in ("home", "a", "b"):
            lab.ip("mn", f"link set dev {net} down")

    def attach_ports(self):
        """Moves the kernel ends of the data plane's ports to where their cables end."""
        lab = self.lab
        # A device that leaves before all its queues are open would be made a second time.
        self.dataplane.wait_for_output("HP-DP-0001", 30)
        lab.ip("ha", f"link set t-home netns {lab.prefix}home")
        lab.ip("ha", f"link set t-wan netns {lab.prefix}inet")
        lab.ip("home", "link set t-home master br0")
        lab.ip("home", "link set t-home up")
        lab.ip("inet", "link set t-wan up")
        lab.ip("inet", "addr add 2001:db8:f::2/64 dev t-wan nodad")
        lab.ip("inet", "route add 2001:db8:1::/64 via 2001:db8:f::1")
        # The home agent's own addresses and routes, as an operator gives them to the kernel.
        wait_until(lambda: "hp-home0" in lab.ip("ha", "-o link show") and
                   "hp-wan0" in lab.ip("ha", "-o link show"), 20, "exception TAPs")
        lab.ip("ha", f"addr add {HOME_AGENT}/64 dev hp-home0 nodad")
        lab.ip("ha", "addr add 2001:db8:f::1/64 dev hp-wan0 nodad")
        lab.ip("ha", "route add default via 2001:db8:f::2")

    # --------------------------------------------------------------------------- configuration

    def write_configuration(self):
        lab = self.lab
        for name, length in (("bu.key", KEY_LENGTH), ("ba.key", KEY_LENGTH),
                             ("payload-in.key", self.payload_key_length),
                             ("payload-out.key", self.payload_key_length)):
            path = lab.directory / name
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(length) + "\n")
        link = "virtual" if self.virtual_home else "home0"
        self.config.write_text(f"""# Two virtual ports, one mobile node with static keys.
dataplane:
  main_lcore: 0
  workers: {self.workers}
  huge_pages: off
  memory_mb: 512
  file_prefix: {self.file_prefix}
  channel_socket: {self.channel}
  pmd_config_dir: {ROOT}/pmd-config
  ports:
    - {{name: home0, device: "net_tap0,iface=t-home", tap: hp-home0}}
    - {{name: wan0, device: "net_tap1,iface=t-wan", tap: hp-wan0}}
{self.dataplane_extra}
controlplane:
  home_agent:
    addresses: ["{HOME_AGENT}"]
{self.home_agent_extra}
  home_links:
    - {{prefix: "2001:db8:1::/64", port: {link}{self.home_link_extra}}}
  mobile_nodes:
    - name: alice
      home_address: "{HOME_ADDRESS}"
{self.node_extra}
      security:
        bu:
          spi_in: {SPI_BU}
          spi_out: {SPI_BA}
          algorithm: {ALGORITHM}
          key_file_in: bu.key
          key_file_out: ba.key
{self.payload_sas(8, SPI_PAYLOAD_IN, SPI_PAYLOAD_OUT, "payload-in.key", "payload-out.key")}
  policy:
    protect_payload: {"on" if self.protect_payload else "off"}
    max_lifetime: 600
{self.policy}
{self.controlplane_extra}
  store: {{path: {lab.directory}/bindings.db}}
  management: {{socket: {self.management}}}
""")
        self.mn_config.write_text(f"""home_address: "{HOME_ADDRESS}"
home_prefix: "2001:db8:1::/64"
home_agent: "{HOME_AGENT}"
interfaces: [home, a, b]
home_interface: home
lifetime: 120
security:
  bu:
    spi_in: {SPI_BA}
    spi_out: {SPI_BU}
    algorithm: {ALGORITHM}
    key_file_in: ba.key
    key_file_out: bu.key
{self.payload_sas(2, SPI_PAYLOAD_OUT, SPI_PAYLOAD_IN, "payload-out.key", "payload-in.key")}
status_socket: {self.mn_status}
state_file: {lab.directory}/mn-state
{self.mn_extra}
""")

    def payload_sas(self, indent, spi_in, spi_out, key_in, key_out):
        """Lines of `security` for the SAs of payload, of either end."""
        if not self.protect_payload:
            return ""
        lines = ["payload:", f"  spi_in: {spi_in}", f"  spi_out: {spi_out}",
                 f"  algorithm: {self.payload_algorithm}", f"  key_file_in: {key_in}",
                 f"  key_file_out: {key_out}", "  replay_window: 1024"]
        return "\n".join(" " * indent + line for line in lines)

    # ------------------------------------------------------------------------------- processes

    def program(self, name):
        """Path of one of the product's programs in the build."""
        places = {"homeport-dataplane": "dataplane/core", "homeport-controlplane":
                  "controlplane/core", "hactl": "tools/hactl", "homeport-mn": "tools/mobile-node"}
        return self.build / places[name] / name

    def start_dataplane(self):
        self.dataplane = self.lab.start(
            "ha", [self.program("homeport-dataplane"), "--config", self.config])
        self.attach_ports()

    def start_controlplane(self):
        self.controlplane = self.lab.start(
            "ha", [self.program("homeport-controlplane"), "--config", self.config])
        wait_until(self.in_sync, 20, "the control plane in sync with the data plane")

    def start_mobile_node(self):
        self.mobile_node = self.lab.start(
            "mn", [self.program("homeport-mn"), "--config", self.mn_config])
        self.wait_mobile_node()

    def wait_mobile_node(self):
        """Until it answers; the socket of one that was killed may still be there."""
        wait_until(lambda: self.mn(check=False), 10, "an answer of the mobile node")

    def start(self):
        """Networks, configuration, data plane and control plane; the mobile node is not started."""
        self.make_networks()
        self.write_configuration()
        self.start_dataplane()
        self.start_controlplane()

    # ------------------------------------------------------------------------------ operation

    def hactl(self, *arguments, check=True):
        """Reply of `hactl --json ARGUMENTS`."""
        result = self.lab.run("ha", [self.program("hactl"), "--socket", self.management, "--json",
                                     *arguments], check=False)
        if result.returncode != 0:
            if check:
                raise LabError(f"hactl {' '.join(map(str, arguments))}: exit status "
                               f"{result.returncode}: {result.stderr}{result.stdout}")
            return None
        return json.loads(result.stdout)

    def hactl_text(self, *arguments):
        """What a person sees of `hactl ARGUMENTS`."""
        return self.lab.run("ha", [self.program("hactl"), "--socket", self.management, *arguments])

    def in_sync(self):
        if not self.controlplane.running():
            raise LabError(f"the control plane ended:\n{self.controlplane.output()[-2000:]}")
        status = self.hactl("show", "status", check=False)
        return bool(status) and json.dumps(status).find('"synchronized": true') >= 0

    def mn(self, check=True):
        """The mobile node's own view: `homeport-mn status --json`."""
        result = self.lab.run("mn", [self.program("homeport-mn"), "--config", self.mn_config,
                                     "status", "--json"], check=False)
        if result.returncode != 0:
            if check:
                raise LabError(f"homeport-mn status: {result.stderr}{result.stdout}")
            return None
        return json.loads(result.stdout)

    def plug(self, network):
        """The mobile node's cable to `network` ("home", "a", "b") comes up."""
        lab = self.lab
        lab.ip("mn", f"link set dev {network} up")
        if network in CARE_OF:
            lab.ip("mn", f"addr replace {CARE_OF[network]}/64 dev {network} nodad")
            lab.ip("mn", f"route replace default via 2001:db8:{network}::1 dev {network} "
                         f"metric {100 + ord(network)}")

    def unplug(self, network):
        self.lab.ip("mn", f"link set dev {network} down")

    def move(self, old, new):
        """Break before make: the old cable goes, the new one comes."""
        if old:
            self.unplug(old)
        self.plug(new)

    def bindings(self):
        """Rows of `hactl show bindings`."""
        reply = self.hactl("show", "bindings")
        return reply.get("bindings", []) if isinstance(reply, dict) else reply

    def binding_care_of(self):
        """Care-of address in force for the mobile node, or nothing."""
        for row in self.bindings():
            if row.get("home_address") == HOME_ADDRESS and row.get("state") == "active":
                return row.get("care_of_address")
        return None

    def wait_registered(self, network, timeout=15):
        """Home agent and mobile node agree that the node is at `network`."""
        if network == "home":
            wait_until(lambda: not any(row.get("state") == "active" for row in self.bindings()),
                       timeout, "deregistration at home")
        else:
            wait_until(lambda: self.binding_care_of() == CARE_OF[network], timeout,
                       f"binding with care-of address {CARE_OF[network]}")

    def ping(self, source, destination, count=3, timeout=10):
        """True if every echo request was answered."""
        result = self.lab.run(source, ["ping", "-n", "-c", count, "-i", "0.1", "-W", "1",
                                       destination], check=False, timeout=timeout)
        return result.returncode == 0 and " 0% packet loss" in result.stdout

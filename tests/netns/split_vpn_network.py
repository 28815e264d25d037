# SPDX-License-Identifier: BSD-3-Clause
"""The networks of vpn_network, with the three roles on one, two or three hosts (S2.20).

    cn --- core ---[home0 internal]          inet ---[wan0 external]
             |                                 |
             +----[home0 VPN gateway wan0]-----+

Each host is a pair of data plane and control plane; between them are real packets: 2b, 2c, 3c, 3d.
"""
import json

from lab import ROOT, LabError, wait_until
from vpn_network import (ALGORITHM, EXTERNAL, EXTERNAL_HOME, GATEWAY, HOME, INNER, INTERNAL,
                         SPI_EXTERNAL, SPI_INTERNAL, SPI_VPN_IN, SPI_VPN_OUT, VpnNetwork)

GATEWAY_INSIDE = "10.1.5.1"
ROLES = ("internal", "gateway", "external")


class Host:
    """One data plane and its control plane, in a namespace named after its first role."""

    def __init__(self, net, roles):
        self.net, self.lab, self.roles, self.name = net, net.lab, roles, roles[0]
        name = self.name
        # Ports, each with the device at its far end and where that is.
        self.ports = {}
        if roles != ("external",):
            self.ports["home0"] = (f"t-{name[0]}i", "core")
        if roles != ("internal",):
            self.ports["wan0"] = (f"t-{name[0]}o", "inet")
        directory = self.lab.directory
        self.config = directory / f"{name}.yaml"
        self.management = directory / f"{name}.sock"
        ports = "\n".join(
            f'    - {{name: {port}, device: "net_tap{number},iface={device}", tap: hp-{port}}}'
            for number, (port, (device, _)) in enumerate(self.ports.items()))
        self.config.write_text(f"""dataplane:
  main_lcore: 0
  workers: {net.workers}
  huge_pages: off
  memory_mb: 256
  file_prefix: {self.lab.prefix}{name}
  channel_socket: {directory}/{name}-channel.sock
  pmd_config_dir: {ROOT}/pmd-config
  ports:
{ports}
controlplane:
{self.sections()}
  store: {{path: {directory}/{name}.db}}
  management: {{socket: {self.management}}}
""")
        self.dataplane = self.controlplane = None

    def sections(self):
        net, lines = self.net, []
        inside = f"[{'home0' if 'home0' in self.ports else ''}]"
        if self.roles != ("gateway",):
            lines.append("  mobile_ipv4:")
        if "internal" in self.roles:
            lines.append(f"""    - role: internal
      addresses: [{INTERNAL}]
      networks: [{{prefix: 10.1.4.0/24, port: virtual}}]
      nodes: [{{name: alice, home_address: {HOME}, associations: [{{spi: {SPI_INTERNAL}, key_file: internal.key}}]}}]
      trusted_subnets: [10.1.0.0/16]
      inside_ports: {inside}
{net.internal_extra}""")
        if "external" in self.roles:
            lines.append(f"""    - role: external
      addresses: [{EXTERNAL}]
      networks: [{{prefix: 198.18.0.0/24, port: virtual}}]
      nodes: [{{name: alice, home_address: {EXTERNAL_HOME}, associations: [{{spi: {SPI_EXTERNAL}, key_file: external.key}}]}}]
      inside_ports: {inside}
{net.external_extra}""")
        if "gateway" in self.roles:
            lines.append(f"""  vpn_gateway:
    addresses: [{GATEWAY}]
{net.gateway_extra}
    clients:
      - {{name: alice, outer: {EXTERNAL_HOME}, inner: {INNER}{net.client_extra}, sa: {{spi_in: {SPI_VPN_IN}, spi_out: {SPI_VPN_OUT}, algorithm: {ALGORITHM}, key_file_in: vpn-in.key, key_file_out: vpn-out.key, replay_window: 1024}}}}""")
        return "\n".join(lines)

    def inside_address(self):
        """Its address towards core."""
        return INTERNAL if "internal" in self.roles else GATEWAY_INSIDE

    def set_addresses(self):
        """As an operator gives them to the kernel."""
        lab, name = self.lab, self.name
        if "home0" in self.ports:
            device = self.ports["home0"][0]
            own = self.inside_address()
            router = own.rpartition(".")[0] + ".2"
            lab.ip("core", f"addr add {router}/24 dev {device}")
            lab.ip(name, f"addr add {own}/24 dev hp-home0")
            lab.ip(name, f"route add 10.0.0.0/8 via {router}")
        if "wan0" in self.ports:
            lab.ip("inet", f"link set {self.ports['wan0'][0]} master dmz")
            own = [address for role, address in (("external", EXTERNAL), ("gateway", GATEWAY))
                   if role in self.roles]
            for address in own:
                lab.ip(name, f"addr add {address}/24 dev hp-wan0")
            lab.ip(name, "route add default via 203.0.113.2")
            if EXTERNAL not in own:
                lab.ip(name, f"route add 198.18.0.0/24 via {EXTERNAL}")

    def start_dataplane(self):
        self.dataplane = self.lab.start(
            self.name, [self.net.program("homeport-dataplane"), "--config", self.config],
            name=f"dataplane-{self.name}")
        self.dataplane.wait_for_output("HP-DP-0001", 30)
        for port, (device, where) in self.ports.items():
            self.lab.ip(self.name, f"link set {device} netns {self.lab.prefix}{where}")
            self.lab.ip(where, f"link set {device} up")
            wait_until(lambda port=port: f"hp-{port}" in self.lab.ip(self.name, "-o link show"), 20,
                       f"the exception TAP of {port}")

    def start_controlplane(self):
        self.controlplane = self.lab.start(
            self.name, [self.net.program("homeport-controlplane"), "--config", self.config],
            name=f"controlplane-{self.name}")
        wait_until(self.in_sync, 20, f"{self.name} in sync")

    def in_sync(self):
        if not self.controlplane.running():
            raise LabError(f"the control plane ended:\n{self.controlplane.output()[-2000:]}")
        status = self.hactl("show", "status", check=False)
        return bool(status) and '"synchronized": true' in json.dumps(status)

    def hactl(self, *arguments, check=True):
        result = self.lab.run(self.name, [self.net.program("hactl"), "--socket", self.management,
                                          "--json", *arguments], check=False)
        if result.returncode == 0:
            return json.loads(result.stdout)
        if check:
            raise LabError(f"hactl {' '.join(arguments)} on {self.name}: {result.stderr}")
        return None

    def counter(self, name):
        return next((row["value"] for row in self.hactl("show", "drops")["counters"]
                     if row["name"] == name), 0)


class SplitVpnNetwork(VpnNetwork):
    hosts_of = tuple((role,) for role in ROLES)  # the roles of each host

    def make_networks(self):
        super().make_networks()
        for roles in self.hosts_of:
            self.lab.namespace(roles[0], True)

    def write_configuration(self):
        super().write_configuration()  # keys, and the mobile node's side
        self.hosts = {}  # by each of its roles
        for roles in self.hosts_of:
            host = Host(self, roles)
            self.hosts.update({role: host for role in roles})

    def all_hosts(self):
        return [self.hosts[roles[0]] for roles in self.hosts_of]

    def start_dataplane(self):
        lab = self.lab
        for host in self.all_hosts():
            host.start_dataplane()
        lab.ip("inet", "link add dmz type bridge")
        lab.ip("inet", "link set dmz up")
        lab.ip("inet", "addr add 203.0.113.2/24 dev dmz")
        lab.ip("inet", f"route add 198.18.0.0/24 via {EXTERNAL}")
        lab.ip("inet", f"route add 10.0.0.0/8 via {GATEWAY}")
        for host in self.all_hosts():
            host.set_addresses()
        lab.ip("core", f"route add 10.1.4.0/24 via {self.hosts['internal'].inside_address()}")
        lab.ip("core", f"route add 10.1.8.0/24 via {self.hosts['gateway'].inside_address()}")

    def start_controlplane(self):
        for host in self.all_hosts():
            host.start_controlplane()

    def hactl(self, *arguments, check=True):
        return self.hosts["internal"].hactl(*arguments, check=check)

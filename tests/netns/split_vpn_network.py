# SPDX-License-Identifier: BSD-3-Clause
"""The networks of vpn_network, with the three roles on hosts of their own (S2.20).

    cn --- core ---[home0 internal]          inet ---[wan0 external]
             |                                 |
             +----[home0 VPN gateway wan0]-----+

Each is a pair of data plane and control plane; between them are real packets: 2b, 2c, 3c, 3d.
"""
import json

from lab import ROOT, LabError, wait_until
from vpn_network import (ALGORITHM, EXTERNAL, EXTERNAL_HOME, GATEWAY, HOME, INNER, INTERNAL,
                         SPI_EXTERNAL, SPI_INTERNAL, SPI_VPN_IN, SPI_VPN_OUT, VpnNetwork)

GATEWAY_INSIDE = "10.1.5.1"
# Of each host: its ports, each with the name of the device at its far end and where that is.
PORTS = {"internal": {"home0": ("t-i", "core")},
         "gateway": {"home0": ("t-gi", "core"), "wan0": ("t-go", "inet")},
         "external": {"wan0": ("t-x", "inet")}}


class Host:
    """One data plane and its control plane, in a namespace of that name."""

    def __init__(self, net, name, sections):
        self.net, self.lab, self.name = net, net.lab, name
        directory = self.lab.directory
        self.config = directory / f"{name}.yaml"
        self.management = directory / f"{name}.sock"
        ports = "\n".join(
            f'    - {{name: {port}, device: "net_tap{number},iface={device}", tap: hp-{port}}}'
            for number, (port, (device, _)) in enumerate(PORTS[name].items()))
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
{sections}
  store: {{path: {directory}/{name}.db}}
  management: {{socket: {self.management}}}
""")
        self.dataplane = self.controlplane = None

    def start_dataplane(self):
        self.dataplane = self.lab.start(
            self.name, [self.net.program("homeport-dataplane"), "--config", self.config],
            name=f"dataplane-{self.name}")
        self.dataplane.wait_for_output("HP-DP-0001", 30)
        for port, (device, where) in PORTS[self.name].items():
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
    def make_networks(self):
        super().make_networks()
        for name in PORTS:
            self.lab.namespace(name, True)

    def write_configuration(self):
        super().write_configuration()  # keys, and the mobile node's side
        self.hosts = {
            "internal": Host(self, "internal", f"""  mobile_ipv4:
    - role: internal
      addresses: [{INTERNAL}]
      networks: [{{prefix: 10.1.4.0/24, port: virtual}}]
      nodes: [{{name: alice, home_address: {HOME}, associations: [{{spi: {SPI_INTERNAL}, key_file: internal.key}}]}}]
      trusted_subnets: [10.1.0.0/16]
      inside_ports: [home0]
{self.internal_extra}"""),
            "gateway": Host(self, "gateway", f"""  vpn_gateway:
    addresses: [{GATEWAY}]
{self.gateway_extra}
    clients:
      - {{name: alice, outer: {EXTERNAL_HOME}, inner: {INNER}{self.client_extra}, sa: {{spi_in: {SPI_VPN_IN}, spi_out: {SPI_VPN_OUT}, algorithm: {ALGORITHM}, key_file_in: vpn-in.key, key_file_out: vpn-out.key, replay_window: 1024}}}}"""),
            "external": Host(self, "external", f"""  mobile_ipv4:
    - role: external
      addresses: [{EXTERNAL}]
      networks: [{{prefix: 198.18.0.0/24, port: virtual}}]
      nodes: [{{name: alice, home_address: {EXTERNAL_HOME}, associations: [{{spi: {SPI_EXTERNAL}, key_file: external.key}}]}}]
{self.external_extra}"""),
        }

    def start_dataplane(self):
        lab = self.lab
        for host in self.hosts.values():
            host.start_dataplane()
        lab.ip("core", "addr add 10.1.0.2/24 dev t-i")
        lab.ip("core", "addr add 10.1.5.2/24 dev t-gi")
        lab.ip("core", f"route add 10.1.4.0/24 via {INTERNAL}")
        lab.ip("core", f"route add 10.1.8.0/24 via {GATEWAY_INSIDE}")
        lab.ip("inet", "link add dmz type bridge")
        for device in ("t-go", "t-x"):
            lab.ip("inet", f"link set {device} master dmz")
        lab.ip("inet", "link set dmz up")
        lab.ip("inet", "addr add 203.0.113.2/24 dev dmz")
        lab.ip("inet", f"route add 198.18.0.0/24 via {EXTERNAL}")
        lab.ip("inet", f"route add 10.0.0.0/8 via {GATEWAY}")
        lab.ip("internal", f"addr add {INTERNAL}/24 dev hp-home0")
        lab.ip("internal", "route add default via 10.1.0.2")
        lab.ip("gateway", f"addr add {GATEWAY_INSIDE}/24 dev hp-home0")
        lab.ip("gateway", f"addr add {GATEWAY}/24 dev hp-wan0")
        lab.ip("gateway", "route add 10.0.0.0/8 via 10.1.5.2")
        lab.ip("gateway", f"route add 198.18.0.0/24 via {EXTERNAL}")
        lab.ip("gateway", "route add default via 203.0.113.2")
        lab.ip("external", f"addr add {EXTERNAL}/24 dev hp-wan0")
        lab.ip("external", "route add default via 203.0.113.2")

    def start_controlplane(self):
        for host in self.hosts.values():
            host.start_controlplane()

    def hactl(self, *arguments, check=True):
        return self.hosts["internal"].hactl(*arguments, check=check)

# SPDX-License-Identifier: BSD-3-Clause
"""An enterprise and what is outside of it: part S2 of the requirements, every mode of access.

    cn 10.1.9.9 --- core --- [home0 appliance wan0] --- inet --- a  198.51.100.0/24    mn (cvc)
                     | |                                  | |
      mn (c) c 10.1.2.0/24                                | +--- nat --- n 10.77.0.0/24  mn (cvc)
      mn (f) f --- ifa 10.1.3.0/24                        +----- xfa --- x 198.51.101.0/24 mn (fvc)

The appliance is internal home agent (10.1.0.1), external home agent (203.0.113.1) and VPN gateway
(203.0.113.3) in one. Between inet and it a firewall lets nothing pass to inside addresses (S2.41).
"""
import secrets

from lab import ROOT, RoamingNetwork, wait_until

INTERNAL, EXTERNAL, GATEWAY = "10.1.0.1", "203.0.113.1", "203.0.113.3"
HOME, EXTERNAL_HOME, INNER = "10.1.4.100", "198.18.0.100", "10.1.8.5"
CORRESPONDENT = "10.1.9.9"
SPI_INTERNAL, SPI_EXTERNAL, SPI_VPN_IN, SPI_VPN_OUT = 300, 400, 0x5001, 0x6001
ALGORITHM, KEY_LENGTH = "aes128-cbc-hmac-sha1-96", 36
# Of the mobile node on each network: its address with prefix, and its router. None: what a
# foreign agent offers.
NETWORKS = {
    "c": ("10.1.2.5/24", "10.1.2.1"),
    "f": (None, None),
    "a": ("198.51.100.5/24", "198.51.100.1"),
    "n": ("10.77.0.2/24", "10.77.0.1"),
    "x": (None, None),
}


class VpnNetwork(RoamingNetwork):
    def __init__(self, lab, build=None):
        super().__init__(lab, build)
        self.gateway_extra = ""   # more lines of the VPN gateway's section
        self.client_outer = EXTERNAL_HOME  # where its SA ends
        self.client_extra = ""    # more of its client, one line: ", udp_encapsulation: always"
        self.internal_extra = ""  # more lines of the internal home agent's entry
        self.external_extra = ""
        self.mip4_extra = ""      # more lines of the mobile node's section mobile_ipv4
        self.agents = {}

    # -------------------------------------------------------------------------------- networks

    def make_networks(self):
        lab = self.lab
        for name in ("ha", "core", "inet", "nat", "ifa", "xfa"):
            lab.namespace(name, True)
        for name in ("cn", "mn"):
            lab.namespace(name, False)
        self._link("cn", "eth0", f"{CORRESPONDENT}/24", "core", "cn", "10.1.9.1/24")
        lab.ip("cn", "route add default via 10.1.9.1")
        lab.veth("mn", "c", "core", "c")
        lab.ip("core", "addr add 10.1.2.1/24 dev c")
        lab.veth("mn", "a", "inet", "a")
        lab.ip("inet", "addr add 198.51.100.1/24 dev a")
        self._link("ifa", "up", "10.1.30.2/24", "core", "ifa", "10.1.30.1/24")
        lab.ip("ifa", "route add default via 10.1.30.1")
        lab.veth("mn", "f", "ifa", "visited")
        lab.ip("ifa", "addr add 10.1.3.1/24 dev visited")
        self._link("xfa", "up", "198.51.102.2/24", "inet", "xfa", "198.51.102.1/24")
        lab.ip("xfa", "route add default via 198.51.102.1")
        lab.veth("mn", "x", "xfa", "visited")
        lab.ip("xfa", "addr add 198.51.101.1/24 dev visited")
        self._link("nat", "out", "198.51.103.7/24", "inet", "nat", "198.51.103.1/24")
        lab.ip("nat", "route add default via 198.51.103.1")
        lab.veth("mn", "n", "nat", "in")
        lab.ip("nat", "addr add 10.77.0.1/24 dev in")
        lab.run("nat", ["nft", "-f", "-"], stdin="""table ip nat {
    chain post {
        type nat hook postrouting priority srcnat;
        oifname "out" masquerade
    }
}
""")
        self.set_firewall(True)
        for net in NETWORKS:
            lab.ip("mn", f"link set dev {net} down")

    def _link(self, namespace, name, address, peer, peer_name, peer_address):
        lab = self.lab
        lab.veth(namespace, name, peer, peer_name)
        lab.ip(namespace, f"addr add {address} dev {name}")
        lab.ip(peer, f"addr add {peer_address} dev {peer_name}")

    def set_firewall(self, closed):
        """S2.41: nothing from outside gets to inside addresses; or S2.83 alone sees to it."""
        rule = "ip daddr 10.0.0.0/8 counter drop" if closed else ""
        self.lab.run("inet", ["nft", "-f", "-"], stdin=f"""table ip fire
delete table ip fire
table ip fire {{
    chain forward {{
        type filter hook forward priority 0;
        {rule}
    }}
}}
""")

    def attach_ports(self):
        lab = self.lab
        self.dataplane.wait_for_output("HP-DP-0001", 30)
        lab.ip("ha", f"link set t-home netns {lab.prefix}core")
        lab.ip("ha", f"link set t-wan netns {lab.prefix}inet")
        lab.ip("core", "link set t-home up")
        lab.ip("core", "addr add 10.1.0.2/24 dev t-home")
        for prefix in ("10.1.4.0/24", "10.1.8.0/24"):
            lab.ip("core", f"route add {prefix} via {INTERNAL}")
        lab.ip("core", f"route add default via {INTERNAL}")
        lab.ip("inet", "link set t-wan up")
        lab.ip("inet", "addr add 203.0.113.2/24 dev t-wan")
        lab.ip("inet", f"route add 198.18.0.0/24 via {EXTERNAL}")
        lab.ip("inet", f"route add 10.0.0.0/8 via {EXTERNAL}")
        wait_until(lambda: "hp-home0" in lab.ip("ha", "-o link show") and
                   "hp-wan0" in lab.ip("ha", "-o link show"), 20, "exception TAPs")
        lab.ip("ha", f"addr add {INTERNAL}/24 dev hp-home0")
        lab.ip("ha", f"addr add {EXTERNAL}/24 dev hp-wan0")
        lab.ip("ha", f"addr add {GATEWAY}/24 dev hp-wan0")
        lab.ip("ha", "route add default via 203.0.113.2")
        lab.ip("ha", "route add 10.1.0.0/16 via 10.1.0.2")

    # --------------------------------------------------------------------------- configuration

    def write_configuration(self):
        lab = self.lab
        for name, length in (("internal.key", 16), ("external.key", 16), ("vpn-in.key", KEY_LENGTH),
                             ("vpn-out.key", KEY_LENGTH)):
            path = lab.directory / name
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(length) + "\n")
        self.config.write_text(f"""# Internal and external home agent and VPN gateway in one.
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
  mobile_ipv4:
    - role: internal
      addresses: [{INTERNAL}]
      networks: [{{prefix: 10.1.4.0/24, port: virtual}}]
      nodes:
        - {{name: alice, home_address: {HOME}, associations: [{{spi: {SPI_INTERNAL}, key_file: internal.key}}]}}
      trusted_subnets: [10.1.0.0/16]
      inside_ports: [home0]
{self.internal_extra}
    - role: external
      addresses: [{EXTERNAL}]
      networks: [{{prefix: 198.18.0.0/24, port: virtual}}]
      nodes:
        - {{name: alice, home_address: {EXTERNAL_HOME}, associations: [{{spi: {SPI_EXTERNAL}, key_file: external.key}}]}}
      inside_ports: [home0]
{self.external_extra}
  vpn_gateway:
    addresses: [{GATEWAY}]
{self.gateway_extra}
    clients:
      - {{name: alice, outer: {self.client_outer}, inner: {INNER}{self.client_extra}, sa: {{spi_in: {SPI_VPN_IN}, spi_out: {SPI_VPN_OUT}, algorithm: {ALGORITHM}, key_file_in: vpn-in.key, key_file_out: vpn-out.key, replay_window: 1024}}}}
{self.controlplane_extra}
  store: {{path: {lab.directory}/bindings.db}}
  management: {{socket: {self.management}}}
""")
        self.mn_config.write_text(f"""mobile_ipv4:
  internal: {{home_agent: {INTERNAL}, home_address: {HOME}, spi: {SPI_INTERNAL}, key_file: internal.key}}
  external: {{home_agent: {EXTERNAL}, home_address: {EXTERNAL_HOME}, spi: {SPI_EXTERNAL}, key_file: external.key}}
  vpn:
    gateway: {GATEWAY}
    inner_address: {INNER}
    sa: {{spi_in: {SPI_VPN_OUT}, spi_out: {SPI_VPN_IN}, algorithm: {ALGORITHM}, key_file_in: vpn-out.key, key_file_out: vpn-in.key, replay_window: 1024}}
  detection: {{detect_period_ms: 500, monitor: 30, grace: 10}}
{self.mip4_extra}
interfaces: [{", ".join(NETWORKS)}]
status_socket: {self.mn_status}
{self.mn_extra}
""")
        for name, care_of, gateway in (("ifa", "10.1.30.2", "10.1.3.1"),
                                       ("xfa", "198.51.102.2", "198.51.101.1")):
            path = lab.directory / f"{name}.yaml"
            path.write_text(f"""care_of_address: {care_of}
links: [{{interface: visited, address: {gateway}}}]
advertise: {{min_interval_ms: 500, max_interval_ms: 1000, lifetime: 30}}
udp_tunnel: on
status_socket: {lab.directory}/{name}.sock
""")

    # ------------------------------------------------------------------------------- processes

    def start_foreign_agents(self):
        for name in ("ifa", "xfa"):
            self.agents[name] = self.lab.start(
                name, [self.build / "tools/foreign-agent/homeport-fa", "--config",
                       self.lab.directory / f"{name}.yaml"])

    # ------------------------------------------------------------------------------- movement

    def plug(self, network):
        """The mobile node's cable to `network` comes up, and the network gives it an address."""
        lab = self.lab
        address, router = NETWORKS[network]
        lab.ip("mn", f"link set dev {network} up")
        if address is None:
            return
        if address not in lab.ip("mn", f"-o -4 addr show dev {network}"):
            lab.ip("mn", f"addr add {address} dev {network}")
        lab.ip("mn", f"route replace default via {router} dev {network}")

    def unplug(self, network):
        self.lab.ip("mn", f"link set dev {network} down")
        self.lab.ip("mn", f"addr flush dev {network}")

    def move(self, old, new):
        self.unplug(old)
        self.plug(new)

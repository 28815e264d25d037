# SPDX-License-Identifier: BSD-3-Clause
"""Three Mobile IPv4 home agents in one process, and where their nodes are.

    inside 10.5.0.0/24 --- home (bridge, host 192.0.2.9) ---[home0 home agents wan0]--- inet
                            |                                                            |
                        mn at home                          visited 198.51.100.0/24 -----+
                                                      mn 10.77.0.2 --- nat 198.51.100.77 +

internal  192.0.2.1    home network 192.0.2.0/24 on home0, trusts 10.5.0.0/24 and 192.0.2.0/24
external  203.0.113.1  home network 198.18.0.0/24, virtual; home0 is inside
plain     203.0.113.3  home networks 198.18.1.0/24 and 198.18.2.0/24, virtual
"""
import json
import pathlib
import secrets

import signalling_capture
from lab import ROOT, RoamingNetwork, wait_until
from mip4_messages import Key, Reply

INTERNAL, EXTERNAL, PLAIN = "192.0.2.1", "203.0.113.1", "203.0.113.3"
HOME_HOST4, HOME_BROADCAST = "192.0.2.9", "192.0.2.255"
INSIDE = "10.5.0.2"            # a care-of address of the trusted network
UNTRUSTED = "10.6.0.2"         # one of the inside that is not trusted
VISITED = "198.51.100.2"       # care-of addresses outside
VISITED2 = "198.51.100.3"
FOREIGN_AGENT = "198.51.100.5"
NAT_OUTSIDE, NAT_INSIDE, BEHIND_NAT = "198.51.100.77", "10.77.0.1", "10.77.0.2"
ALICE, PLAIN_ALICE, EXTERNAL_ALICE = "192.0.2.100", "198.18.1.100", "198.18.0.100"
RANGE_FIRST, RANGE_COUNT = "198.18.2.10", 200
signalling_capture.ASSOCIATIONS.clear()  # captures are opened with no keys
EXCHANGE = pathlib.Path(__file__).resolve().parent / "mip4_exchange.py"


class Mip4Network(RoamingNetwork):
    def __init__(self, lab, build=None):
        super().__init__(lab, build)
        self.keys = {}
        self.more_of = {"internal": "", "external": "", "plain": ""}  # lines of each home agent
        self.plain_nodes = ""

    # -------------------------------------------------------------------------------- networks

    def make_networks(self):
        lab = self.lab
        for name, forwarding in (("ha", True), ("home", True), ("inet", True), ("nat", True),
                                 ("mn", False)):
            lab.namespace(name, forwarding)
        lab.ip("home", "link add br0 type bridge")
        lab.ip("home", "link set br0 type bridge mcast_snooping 0")
        lab.ip("home", "link set br0 up")
        lab.ip("home", f"addr add {HOME_HOST4}/24 dev br0")
        for address in (INSIDE, "10.5.0.3", UNTRUSTED):
            lab.ip("home", f"addr add {address}/32 dev lo")
        lab.ip("home", f"route add default via {INTERNAL}")
        lab.veth("mn", "home", "home", "mn")
        lab.ip("home", "link set mn master br0")
        for address in (VISITED, VISITED2, FOREIGN_AGENT):
            lab.ip("inet", f"addr add {address}/32 dev lo")
        lab.veth("nat", "out", "inet", "nat")
        lab.ip("nat", f"addr add {NAT_OUTSIDE}/32 dev out")
        lab.ip("nat", "route add 198.51.100.1 dev out")
        lab.ip("nat", "route add default via 198.51.100.1")
        lab.ip("inet", "addr add 198.51.100.1/32 dev nat")
        lab.ip("inet", f"route add {NAT_OUTSIDE} dev nat")
        lab.veth("mn", "away", "nat", "in")
        lab.ip("nat", f"addr add {NAT_INSIDE}/24 dev in")
        lab.ip("mn", f"addr add {BEHIND_NAT}/24 dev away")
        lab.run("nat", ["nft", "-f", "-"], stdin="table ip nat {\n chain post {\n  type nat hook "
                "postrouting priority 100;\n  oifname out masquerade\n }\n}\n")

    def attach_ports(self):
        lab = self.lab
        self.dataplane.wait_for_output("HP-DP-0001", 30)
        lab.ip("ha", f"link set t-home netns {lab.prefix}home")
        lab.ip("ha", f"link set t-wan netns {lab.prefix}inet")
        lab.ip("home", "link set t-home master br0")
        lab.ip("home", "link set t-home up")
        lab.ip("inet", "link set t-wan up")
        lab.ip("inet", "addr add 203.0.113.2/24 dev t-wan")
        lab.ip("inet", f"route add 192.0.2.0/24 via {EXTERNAL}")
        lab.ip("inet", f"route add 198.18.0.0/22 via {EXTERNAL}")
        lab.ip("inet", f"route add 10.5.0.0/16 via {EXTERNAL}")
        wait_until(lambda: "hp-home0" in lab.ip("ha", "-o link show") and
                   "hp-wan0" in lab.ip("ha", "-o link show"), 20, "exception TAPs")
        lab.ip("ha", f"addr add {INTERNAL}/24 dev hp-home0")
        lab.ip("ha", f"addr add {EXTERNAL}/24 dev hp-wan0")
        lab.ip("ha", f"addr add {PLAIN}/24 dev hp-wan0")
        lab.ip("ha", "route add default via 203.0.113.2")
        lab.ip("ha", f"route add 10.5.0.0/24 via {HOME_HOST4}")
        lab.ip("ha", f"route add 10.6.0.0/24 via {HOME_HOST4}")

    # --------------------------------------------------------------------------- configuration

    def key(self, name, spi, algorithm="hmac-md5"):
        """The association of that name; its key file is made the first time."""
        if name not in self.keys:
            path = self.lab.directory / f"{name}.key"
            text = secrets.token_hex(16)
            path.parent.mkdir(exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(text + "\n")
            self.keys[name] = Key(spi, text, algorithm)
        return self.keys[name]

    def write_configuration(self):
        lab = self.lab
        self.alice = self.key("alice", 256)
        self.bob = self.key("bob", 300, "hmac-sha1")
        self.dan = self.key("dan", 301, "hmac-sha256")
        self.nina = self.key("nina", 302)
        self.agent_key = self.key("agent", 500)
        self.range_keys = [self.key(f"range/198.18.2.{10 + i}", 400) for i in range(RANGE_COUNT)]
        self.config.write_text(f"""dataplane:
  main_lcore: 0
  workers: {self.workers}
  huge_pages: off
  memory_mb: 512
  file_prefix: {self.file_prefix}
  channel_socket: {self.channel}
  pmd_config_dir: {ROOT}/pmd-config
  ports:
    - {{name: home0, device: "net_tap0,iface=t-home", tap: hp-home0, mac: "02:00:00:00:01:01"}}
    - {{name: wan0, device: "net_tap1,iface=t-wan", tap: hp-wan0, mac: "02:00:00:00:01:02"}}
{self.dataplane_extra}
controlplane:
  mobile_ipv4:
    - role: internal
      addresses: [{INTERNAL}]
      networks: [{{prefix: 192.0.2.0/24, port: home0, advertisement_interval: 3}}]
      nodes:
        - name: alice
          home_address: {ALICE}
          associations: [{{spi: 256, key_file: alice.key}}]
      trusted_subnets: [10.5.0.0/24, 192.0.2.0/24]
      inside_ports: [home0]
{self.more_of["internal"]}
    - role: external
      addresses: [{EXTERNAL}]
      networks: [{{prefix: 198.18.0.0/24, port: virtual}}]
      nodes:
        - name: alice
          home_address: {EXTERNAL_ALICE}
          associations: [{{spi: 256, key_file: alice.key}}]
      inside_ports: [home0]
      reverse_tunnel_mandatory: on
{self.more_of["external"]}
    - role: plain
      addresses: [{PLAIN}]
      networks: [{{prefix: 198.18.1.0/24, port: virtual, pool: {{first: 198.18.1.200, last: 198.18.1.201}}}}, {{prefix: 198.18.2.0/24, port: virtual}}]
      nodes:
        - name: alice
          home_address: {PLAIN_ALICE}
          associations: [{{spi: 256, key_file: alice.key}}]
        - {{name: bob, nai: bob@example.com, associations: [{{spi: 300, key_file: bob.key, algorithm: hmac-sha1}}]}}
        - {{name: dan, nai: dan@example.com, associations: [{{spi: 301, key_file: dan.key, algorithm: hmac-sha256}}]}}
        - name: nina
          home_address: 198.18.1.101
          associations: [{{spi: 302, key_file: nina.key, replay: nonces}}]
        - {{name: paul, home_address: 198.18.1.102, prohibited: on, associations: [{{spi: 256, key_file: alice.key}}]}}
{self.plain_nodes}
      ranges: [{{first: {RANGE_FIRST}, count: {RANGE_COUNT}, key_directory: range, spi: 400}}]
      foreign_agents: [{{address: {FOREIGN_AGENT}, associations: [{{spi: 500, key_file: agent.key}}]}}]
      simultaneous_bindings: 2
      minimal: off
{self.more_of["plain"]}
  store: {{path: {lab.directory}/bindings.db}}
  management: {{socket: {self.management}}}
  log: {{level: debug}}
""")

    # ------------------------------------------------------------------------------- exchanges

    def exchange(self, namespace, *steps):
        """Answers of each step: (Reply, source address, source port)."""
        output = self.lab.run(namespace, ["/usr/bin/python3", EXCHANGE], timeout=60,
                              stdin=json.dumps(list(steps)))
        return [[(Reply(bytes.fromhex(one["payload"])), one["from"], one["port"])
                 for one in answers] for answers in json.loads(output)]

    def send(self, namespace, source, agent, message, port=434, wait=5, **more):
        """The reply to one message, or nothing."""
        answers = self.exchange(namespace, {"from": source, "port": port, "to": agent,
                                            "payload": message.hex(), "wait": wait, **more})[0]
        if not answers:
            return None
        reply, came_from, came_port = answers[0]
        if (came_from, came_port) != (agent, 434) and not more.get("broadcast"):
            raise AssertionError(f"answered by {came_from}:{came_port}, not by {agent}:434")
        return reply

    def mip4_bindings(self, *arguments):
        return self.hactl("show", "mip4-bindings", *arguments)["bindings"]

    def mip4_agents(self):
        return {row["name"]: row for row in self.hactl("show", "mip4-home-agents")["home_agents"]}

    def counter(self, agent, name):
        return self.mip4_agents()[agent]["counters"].get(name, 0)

    def balance(self):
        drops = self.hactl("show", "drops")
        return drops if drops["difference"] == 0 else None

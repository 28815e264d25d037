# SPDX-License-Identifier: BSD-3-Clause
"""The roaming network with IPv4 in it: a visited network behind a NAT, one without, and the home
agent's own IPv4 address (RFC 5555, paths P9 to P13).

    with Lab("nat") as lab:
        net = NatNetwork(lab)
        net.start()
        net.plug("n")
"""
import re

from lab import CARE_OF, RoamingNetwork, wait_until

HOME_AGENT_IPV4 = "203.0.113.1"
ROUTER_IPV4 = "203.0.113.2"  # of inet, on the home agent's wan0
NAT_ADDRESS = "198.51.100.2"  # what the world sees of network n
CARE_OF_IPV4 = {"n": "192.168.77.200", "v": "192.0.2.200"}
ROUTER_OF = {"n": "192.168.77.1", "v": "192.0.2.1"}
CORRESPONDENT_IPV4 = "192.0.3.3"


class NatNetwork(RoamingNetwork):
    """
        cn --- inet ---[wan0 home agent home0]--- home --- mn (interface home)
                |||+------------- visited network a, IPv6 only --- mn (interface a)
                ||+-------------- visited network b, IPv6 only --- mn (interface b)
                |+--------------- visited network v, IPv4 only --- mn (interface v)
                +--- nat (masquerade) --- visited network n, IPv4 only --- mn (interface n)

    The NAT is the kernel's, in a namespace of its own.
    """

    def make_networks(self):
        super().make_networks()
        lab = self.lab
        lab.namespace("nat", forwarding=True)
        lab.veth("nat", "outside", "inet", "nat")
        lab.ip("inet", "addr add 198.51.100.1/24 dev nat")
        lab.ip("nat", f"addr add {NAT_ADDRESS}/24 dev outside")
        lab.ip("nat", "route add default via 198.51.100.1")
        lab.veth("mn", "n", "nat", "inside")
        lab.ip("nat", f"addr add {ROUTER_OF['n']}/24 dev inside")
        lab.veth("mn", "v", "inet", "v")
        lab.ip("inet", f"addr add {ROUTER_OF['v']}/24 dev v")
        lab.ip("inet", "addr add 192.0.3.1/24 dev cn")
        lab.ip("cn", f"addr add {CORRESPONDENT_IPV4}/24 dev eth0")
        lab.ip("cn", "route add default via 192.0.3.1")
        for net in CARE_OF_IPV4:
            lab.ip("mn", f"link set dev {net} down")
        self.masquerade()

    def masquerade(self, ports=None):
        """The NAT's rules, made anew; `ports`, such as "40000-40999": what it maps UDP to."""
        to_ports = f" to :{ports}" if ports else ""
        self.lab.run("nat", ["nft", "-f", "-"], stdin=f"""
table ip nat
delete table ip nat
table ip nat {{
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        oifname "outside" meta l4proto {{ tcp, udp }} masquerade{to_ports}
        oifname "outside" masquerade
    }}
}}
""")

    def forget_mappings(self):
        """As if the NAT had been switched off and on: every mapping is gone."""
        self.lab.run("nat", ["conntrack", "-F"])

    def udp_timeout(self, seconds):
        """How long the NAT keeps a mapping over which nothing goes."""
        for key in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
            self.lab.sysctl("nat", f"net.netfilter.{key}", seconds)

    def mappings(self, port):
        """Outside UDP ports of the mappings towards `port` of the home agent."""
        found = []
        for line in self.lab.run("nat", ["conntrack", "-L", "-p", "udp"]).splitlines():
            # Two tuples a line: as sent from inside, and as the answer is expected outside.
            ports = re.findall(r"dport=(\d+)", line)
            if len(ports) == 2 and int(ports[0]) == port:
                found.append(int(ports[1]))
        return found

    def attach_ports(self):
        super().attach_ports()
        lab = self.lab
        lab.ip("inet", f"addr add {ROUTER_IPV4}/24 dev t-wan")
        lab.ip("ha", f"addr add {HOME_AGENT_IPV4}/24 dev hp-wan0")
        lab.ip("ha", f"route add default via {ROUTER_IPV4}")

    def write_configuration(self):
        self.home_agent_extra = f'    ipv4_addresses: ["{HOME_AGENT_IPV4}"]\n{self.home_agent_extra}'
        super().write_configuration()
        # In order of preference; which family is used is the mobile node's choice.
        text = self.mn_config.read_text().replace("[home, a, b]", "[home, a, b, v, n]")
        text = f"home_agent_ipv4: {HOME_AGENT_IPV4}\n{text}"
        self.mn_config.write_text(text)

    def care_of_of(self, network):
        """The care-of address that the mobile node registers in `network`, its own idea of it."""
        return {**CARE_OF, **CARE_OF_IPV4}[network]

    def wait_registered(self, network, timeout=15):
        if network not in CARE_OF_IPV4:
            super().wait_registered(network, timeout)
            return
        wait_until(lambda: self.binding_care_of() == self.care_of_of(network), timeout,
                   f"binding with care-of address {self.care_of_of(network)}")

    def plug(self, network):
        super().plug(network)
        if network in CARE_OF_IPV4:
            self.lab.ip("mn", f"addr replace {CARE_OF_IPV4[network]}/24 dev {network}")
            self.lab.ip("mn", f"route replace default via {ROUTER_OF[network]} dev {network} "
                              f"metric {100 + ord(network)}")

# SPDX-License-Identifier: BSD-3-Clause
"""A mobile node among networks whose other ends are all played by scapy_home_agent.py."""
import json
import os
import secrets
import signal
import socket

from lab import ROOT, LabError, build_directory, wait_until

HOME_AGENT = "2001:db8:1::1"
HOME_ADDRESS = "2001:db8:1::100"
CORRESPONDENT = "2001:db8:3::300"
CARE_OF = {"a": "2001:db8:a::200", "b": "2001:db8:b::200"}
SPI_BU, SPI_BA = 0x10001, 0x20001


class RefereeNetwork:
    """
        cn --- [ referee: routers, home agent ] --- mn (interfaces home, a, b)
    """

    def __init__(self, lab):
        self.lab = lab
        self.directory = lab.directory
        self.config = lab.directory / "homeport-mn.yaml"
        self.status_socket = lab.directory / "mn.sock"
        self.mobile_node = self.referee = None
        self.extra = ""
        self.lifetime = 120
        self.interfaces = "[home, a, b]"
        self.security = True
        self.control = None

    links = ("home", "a", "b")
    script = "scapy_home_agent.py"

    def start(self, mobile_node=True):
        lab = self.lab
        for name in ("net", "cn", "mn"):
            lab.namespace(name)
        for link in self.links:
            lab.veth("mn", link, "net", link)
            lab.ip("mn", f"link set dev {link} down")
        lab.veth("cn", "eth0", "net", "cn")
        lab.ip("cn", f"addr add {CORRESPONDENT}/64 dev eth0 nodad")
        lab.ip("cn", "route add default via 2001:db8:3::1")
        for link in (*self.links, "cn"):
            lab.sysctl("net", f"net.ipv6.conf.{link}.disable_ipv6", 1)
        for name in ("bu.key", "ba.key"):
            path = self.directory / name
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(48) + "\n")
        self.start_referee()
        self.write_configuration()
        if mobile_node:
            self.start_mobile_node()

    def referee_settings(self):
        return {
            "home_agent": HOME_AGENT, "home_address": HOME_ADDRESS,
            "links": {"home": [], "a": ["2001:db8:a::1"], "b": ["2001:db8:b::1"],
                      "cn": ["2001:db8:3::1"]},
            "home_link": "home", "correspondent_link": "cn", "correspondent": CORRESPONDENT,
            "correspondent_mac": self.lab.run("cn", ["cat", "/sys/class/net/eth0/address"]).strip(),
            "bu_key": str(self.directory / "bu.key"), "ba_key": str(self.directory / "ba.key"),
            "spi_in": SPI_BU, "spi_out": SPI_BA, "unprotected": not self.security,
            "socket": str(self.directory / "referee.sock")}

    def start_referee(self):
        path = self.directory / "referee.json"
        path.write_text(json.dumps(self.referee_settings()))
        self.referee = self.lab.start("net", ["/usr/bin/python3", ROOT / "tests/netns" /
                                              self.script, path], name="referee")
        self.referee.wait_for_output("ready", 30)
        self.control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.control.bind(str(self.directory / "control.sock"))
        self.control.connect(str(self.directory / "referee.sock"))
        self.control.settimeout(10)

    def write_configuration(self):
        bu = f"""security:
  bu:
    spi_in: {SPI_BA:#x}
    spi_out: {SPI_BU:#x}
    algorithm: aes128-cbc-hmac-sha256-128
    key_file_in: ba.key
    key_file_out: bu.key
""" if self.security else "lab: {unprotected: on}\n"
        self.config.write_text(f"""home_address: "{HOME_ADDRESS}"
home_prefix: "2001:db8:1::/64"
home_agent: "{HOME_AGENT}"
interfaces: {self.interfaces}
{"home_interface: home" if "home" in self.interfaces else ""}
lifetime: {self.lifetime}
status_socket: {self.status_socket}
log_level: debug
{bu}{self.extra}
""")

    @staticmethod
    def program():
        return build_directory() / "tools/mobile-node/homeport-mn"

    def start_mobile_node(self):
        self.status_socket.unlink(missing_ok=True)
        self.mobile_node = self.lab.start("mn", [self.program(), "--config", self.config], name="mn")
        def ready():
            if not self.mobile_node.running():
                raise LabError(f"homeport-mn ended: {self.mobile_node.output()[-2000:]}")
            return self.status_socket.exists()
        wait_until(ready, 10, "the mobile node's status socket")

    # ------------------------------------------------------------------------------ operation

    def ask(self, command="state", **arguments):
        if not self.referee.running():
            raise LabError(f"the referee ended: {self.referee.output()[-3000:]}")
        self.control.send(json.dumps({"command": command, **arguments}).encode())
        return json.loads(self.control.recv(1 << 20))

    def policy(self, **policy):
        return self.ask("set", policy=policy)

    def inject(self, link, packet):
        """A whole IPv6 packet, from the referee's end of `link`."""
        return self.ask("inject", link=link, packet=bytes(packet).hex())

    def status(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(10)
            client.connect(str(self.status_socket))
            client.sendall(b"status\n")
            octets = b""
            while not octets.endswith(b"\n"):
                chunk = client.recv(1 << 16)
                if not chunk:
                    raise LabError("the mobile node closed its status socket")
                octets += chunk
        return json.loads(octets)

    def counter(self, name):
        return self.status()["counters"][name]

    def wait_counter(self, name, at_least, timeout=10):
        wait_until(lambda: self.counter(name) >= at_least, timeout, f"{name} >= {at_least}")

    def wait_state(self, state, timeout=15):
        return wait_until(lambda: self.status()["state"] == state and self.status(), timeout,
                          f"the mobile node {state}; it is {self.status()['state']}")

    def wait_registered(self, link, timeout=15):
        care_of = CARE_OF[link]
        wait_until(lambda: (lambda s: s["state"] == "registered" and
                            s["care_of_address"] == care_of)(self.status()), timeout,
                   f"registered at {care_of}")

    def wait_updates(self, count, timeout=15):
        """State of the referee once it has seen so many binding updates."""
        return wait_until(lambda: (lambda s: s if len(s["updates"]) >= count else None)(self.ask()),
                          timeout, f"{count} binding updates")

    def plug(self, link):
        self.lab.ip("mn", f"link set dev {link} up")
        if link in CARE_OF:
            self.lab.ip("mn", f"addr replace {CARE_OF[link]}/64 dev {link} nodad")
            metric = 100 + ord(link)
            self.lab.ip("mn", f"-6 route replace default via 2001:db8:{link}::1 dev {link} "
                              f"metric {metric}")

    def unplug(self, link):
        self.lab.ip("mn", f"link set dev {link} down")

    def ping(self, namespace, destination, count=5, size=56, interval=0.1):
        """Answers to `count` echo requests."""
        result = self.lab.run(namespace, ["ping", "-n", "-c", count, "-i", interval, "-W", "1",
                                          "-s", size, destination], check=False, timeout=30)
        for word in result.stdout.replace(",", "").split("\n"):
            if "packets transmitted" in word:
                return int(word.split("transmitted")[1].split()[0])
        return 0

    def expect_no_faults(self):
        faults = self.ask()["faults"]
        if faults:
            raise LabError("the referee found fault: " + "; ".join(faults[:5]))

    def reload(self):
        os.kill(self.mobile_node.pid, signal.SIGHUP)

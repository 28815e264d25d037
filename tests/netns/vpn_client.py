# SPDX-License-Identifier: BSD-3-Clause
"""What tests with the independent mobile node of scapy_vpn_client.py have in common."""
import itertools
import json
import pathlib

from cases import expect
from lab import LabError
from mip4_messages import Key, Reply
from vpn_network import (EXTERNAL, EXTERNAL_HOME, GATEWAY, HOME, INNER, INTERNAL, NETWORKS,
                         SPI_EXTERNAL, SPI_INTERNAL, SPI_VPN_IN, SPI_VPN_OUT)

CLIENT = pathlib.Path(__file__).resolve().parent / "scapy_vpn_client.py"
CARE_OF = NETWORKS["a"][0].partition("/")[0]
BY_VPN = [f"{GATEWAY}>{EXTERNAL_HOME} p50"]
_sequence = itertools.count(1000, 1000)


def start(net, network="a"):
    net.start()
    net.plug(network)
    net.lab.run("mn", ["ping", "-c", "1", "-W", "3", EXTERNAL], check=False)


def steps(net, *wanted, device="a", care_of=CARE_OF, outer=EXTERNAL_HOME):
    """What came of each step of the independent mobile node."""
    read = lambda name: (net.lab.directory / name).read_text().strip()  # noqa: E731
    first = dict(wanted[0], sequence=next(_sequence))
    given = {"care_of": care_of, "external": EXTERNAL, "external_home": outer,
             "gateway": GATEWAY, "inner": INNER, "internal": INTERNAL, "home": HOME,
             "external_spi": SPI_EXTERNAL, "external_key": read("external.key"),
             "internal_spi": SPI_INTERNAL, "internal_key": read("internal.key"),
             "spi_out": SPI_VPN_IN, "key_out": read("vpn-in.key"),
             "spi_in": SPI_VPN_OUT, "key_in": read("vpn-out.key"),
             "steps": [first, *wanted[1:]]}
    output = net.lab.run("mn", ["/usr/bin/python3", CLIENT, device],
                         stdin=json.dumps(given), timeout=60)
    return json.loads(output)


def reply_of(net, packets, key_file, spi):
    if len(packets) != 1 or "payload" not in packets[0]:
        raise LabError(f"no reply: {packets}; {net.hactl('show', 'drops')}")
    reply = Reply(bytes.fromhex(packets[0]["payload"]))
    key = Key(spi, (net.lab.directory / key_file).read_text().strip())
    expect(reply.is_sealed_by(key), f"not sealed by us: {reply.message.hex()}")
    return reply


def counter(net, name):
    for row in net.hactl("show", "drops")["counters"]:
        if row["name"] == name:
            return row["value"]
    return 0


def balance(net):
    drops = net.hactl("show", "drops")
    expect(drops["difference"] == 0, f"packets are missing: {drops}")
    return drops

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Holds every #include against the walls between the rooms (docs/architecture.md).

A room may include itself and what WALLS lists for it. Libraries are walled too: DPDK, ipsec-mb and
so on may only be included where LIBRARIES allows them. Prints one line a breach; exit status 1.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

BASE = {"dataplane/base"}
WALLS = {
    "dataplane/base": set(),
    "dataplane/channel": BASE,
    "dataplane/config": BASE,
    "dataplane/ipsec": BASE,
    "dataplane/parse": BASE | {"dataplane/channel"},
    "dataplane/tunnel": BASE | {"dataplane/channel", "dataplane/parse", "dataplane/ipsec",
                                "dataplane/table", "dataplane/stage"},
    "dataplane/table": BASE | {"dataplane/channel"},
    "dataplane/stage": BASE | {"dataplane/channel", "dataplane/table", "dataplane/ipsec"},
    "dataplane/forward": BASE | {"dataplane/channel", "dataplane/parse", "dataplane/table",
                                 "dataplane/stage", "dataplane/tunnel"},
    "dataplane/port": BASE | {"dataplane/channel", "dataplane/config", "dataplane/table",
                              "dataplane/stage"},
    "dataplane/punt": BASE | {"dataplane/channel", "dataplane/stage", "dataplane/tunnel",
                              "dataplane/table", "dataplane/parse", "dataplane/port"},
    "dataplane/core": None,  # every dataplane room
    "controlplane/wire": BASE,
    "controlplane/binding": BASE | {"controlplane/wire"},
    "controlplane/mip6": BASE | {"controlplane/wire", "controlplane/binding"},
    "controlplane/mip4": BASE | {"controlplane/wire"},
    "controlplane/ipsec": BASE | {"dataplane/channel", "dataplane/config", "dataplane/ipsec"},
    "controlplane/netlink": BASE | {"dataplane/channel"},
    "controlplane/management": None,  # all of controlplane
    "controlplane/core": None,
    "tools/hactl": None,
    "tools/mobile-node": BASE | {"controlplane/wire", "controlplane/mip4", "controlplane/mip6",
                                 "controlplane/ipsec",
                                 "dataplane/config", "dataplane/ipsec", "dataplane/parse",
                                 "dataplane/tunnel", "dataplane/channel"},
    # Of the mobile node's room it takes what has no mobile node in it: descriptors, readiness,
    # netlink, the status socket.
    "tools/foreign-agent": BASE | {"controlplane/wire", "controlplane/mip4", "controlplane/ipsec",
                                   "dataplane/config", "dataplane/tunnel", "tools/mobile-node"},
    "tools/traffic": None,
}
# Rooms whose files may include the headers of a library; everything else may not.
LIBRARIES = {
    re.compile(r"^rte_|^generic/rte_"): {"dataplane/table", "dataplane/stage", "dataplane/tunnel",
                                         "dataplane/forward", "dataplane/port", "dataplane/punt",
                                         "dataplane/core", "tools/traffic"},
    re.compile(r"^intel-ipsec-mb"): {"dataplane/ipsec"},
    re.compile(r"^yaml-cpp/"): {"dataplane/config", "dataplane/port", "tools/mobile-node",
                                "tools/foreign-agent", "controlplane/core"},
    re.compile(r"^sqlite3"): {"controlplane/binding", "controlplane/ipsec", "controlplane/core"},
    re.compile(r"^libmnl/|^linux/(rt)?netlink"): {"controlplane/netlink", "tools/mobile-node",
                                                   "tools/foreign-agent"},
    re.compile(r"^asio"): {"controlplane/core", "controlplane/management", "tools/hactl",
                           "tools/mobile-node", "tools/foreign-agent"},
}
# Inside dataplane/tunnel only the stages may know DPDK and the tables: the mobile node links the
# rest. None of them knows more of IPsec than its interface, see below.
TUNNEL_STAGE_ONLY = re.compile(r"^(rte_|dataplane/(table|stage)/)")
# S1.7: what stands around IPsec knows packets, verdicts and the two queries of it; databases and
# engine are for those who configure it.
IPSEC = re.compile(r"^dataplane/ipsec/")
IPSEC_INTERFACE = {f"dataplane/ipsec/{name}.hpp" for name in ("interface", "packet", "queries",
                                                              "verdict")}
BESIDE_IPSEC = {"dataplane/stage", "dataplane/tunnel", "dataplane/forward", "dataplane/port",
                "dataplane/punt", "dataplane/parse", "dataplane/table", "controlplane/mip6",
                "controlplane/binding", "controlplane/wire", "tools/mobile-node"}
# The part of the mobile node that configures IPsec and shows its state.
MOBILE_NODE_IPSEC = {"config", "sa_pair_config", "security", "status",
                     "status_report"}
MOBILITY_WORDS = re.compile(r"care[-_ ]?of|home[-_ ]address|\bbinding|mip6|\bHoA\b|\bCoA\b", re.I)


def room_of(path):
    parts = path.relative_to(ROOT).parts
    return "/".join(parts[:2])


def breaches():
    sources = [p for top in ("dataplane", "controlplane", "tools") for p in (ROOT / top).rglob("*")
               if p.suffix in (".hpp", ".cpp")]
    for path in sorted(sources):
        room = room_of(path)
        name = path.relative_to(ROOT)
        if room not in WALLS:
            yield f"{name}: room {room} is not in the list of tests/walls/includes.py"
            continue
        text = path.read_text()
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if not match:
                continue
            included = match.group(2)
            target = "/".join(included.split("/")[:2])
            allowed = WALLS[room]
            if included.split("/")[0] in ("dataplane", "controlplane", "tools"):
                side = room.split("/")[0]
                if allowed is None:
                    if side == "dataplane" and not target.startswith("dataplane/"):
                        yield f"{name}:{number}: the data plane may not include {target}"
                elif target != room and target not in allowed:
                    yield f"{name}:{number}: {room} may not include {target}"
            for library, rooms in LIBRARIES.items():
                if library.match(included) and room not in rooms:
                    yield f"{name}:{number}: {room} may not include <{included}>"
            if (room in BESIDE_IPSEC and IPSEC.match(included) and included not in IPSEC_INTERFACE
                    and not (room == "tools/mobile-node" and path.stem in MOBILE_NODE_IPSEC)):
                yield (f"{name}:{number}: of IPsec, {room} may know only "
                       f"{', '.join(sorted(IPSEC_INTERFACE))} (S1.7), not {included}")
            if (room == "dataplane/tunnel" and not path.stem.endswith(("_stage", "stages"))
                    and TUNNEL_STAGE_ONLY.match(included)):
                yield (f"{name}:{number}: only the stages of dataplane/tunnel may include "
                       f"{included}: the mobile node links the rest")
        if room == "dataplane/ipsec":
            for number, line in enumerate(text.splitlines(), 1):
                if MOBILITY_WORDS.search(line):
                    yield f"{name}:{number}: IPsec knows no mobility (S1.1): {line.strip()}"


found = list(breaches())
for breach in found:
    print(breach)
if not found:
    print("every include keeps the walls")
sys.exit(1 if found else 0)

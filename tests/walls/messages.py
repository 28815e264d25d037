#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Each message id of the control plane is used, has one paragraph in docs/messages.md, and the
paragraph names its level; docs/messages.md names no other."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LEVELS = {"kInfo": "info", "kWarning": "warning", "kError": "error"}

declared = {}
for name, number, level in re.findall(
        r"X\((k\w+), (\d+), (k\w+)\)", (ROOT / "controlplane/core/messages.hpp").read_text()):
    declared[f"HP-CP-{int(number):04}"] = (name, LEVELS[level])
documented = re.findall(r"^\*\*(HP-CP-\d{4})\*\* (\w+), ", (ROOT / "docs/messages.md").read_text(),
                        re.M)
sources = "".join(path.read_text() for path in (ROOT / "controlplane").rglob("*.cpp"))

found = []
for identity, (name, level) in declared.items():
    levels = [documented_level for shown, documented_level in documented if shown == identity]
    if levels != [level]:
        found.append(f"docs/messages.md: {identity} ({name}, {level}): found {levels or 'nothing'},"
                     " expected one paragraph with its level")
    if f"Message::{name}" not in sources:
        found.append(f"controlplane/core/messages.hpp: {name} is used nowhere")
for identity, _ in documented:
    if identity not in declared:
        found.append(f"docs/messages.md: {identity} is not declared")
for line in found:
    print(line)
if not found:
    print(f"{len(declared)} messages are declared, used and documented")
sys.exit(1 if found else 0)

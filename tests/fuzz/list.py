#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Prints a line a fuzz target: its name and the meson dependencies that it links."""
import pathlib
import re
import sys

for path in sorted(pathlib.Path(__file__).parent.glob("*_fuzz.cpp")):
    match = re.search(r"^// links: *(.*)$", path.read_text(), re.M)
    if not match:
        sys.exit(f"{path.name}: no line '// links: ROOM ...'")
    print(path.stem, *match.group(1).replace(",", " ").split())

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks the text of every tracked file: SPDX line, no open ends, no paths of one machine."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPEN_ENDS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
MACHINE = re.compile(r"(?<![\w/])/(work|home|root)/[a-z]")
SOURCE = {".hpp", ".cpp", ".py", ".sh", ".build"}

found = []
names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, text=True,
                       capture_output=True, check=True).stdout.split("\n")
for name in filter(None, names):
    path = ROOT / name
    if not path.is_file() or path.is_symlink():
        continue
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        continue
    lines = text.splitlines()
    is_script = lines and lines[0].startswith("#!")
    if path.suffix in SOURCE or is_script:
        if not any("SPDX-License-Identifier: BSD-3-Clause" in line for line in lines[:2]):
            found.append(f"{name}:1: no SPDX line in the first two lines")
    for number, line in enumerate(lines, 1):
        if OPEN_ENDS.search(line):
            found.append(f"{name}:{number}: open end: {line.strip()}")
        if MACHINE.search(line):
            found.append(f"{name}:{number}: path of one machine: {line.strip()}")
for line in found:
    print(line)
if not found:
    print("every file has its licence line and no open ends")
sys.exit(1 if found else 0)

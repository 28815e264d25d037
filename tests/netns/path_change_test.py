#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What tools/traffic/path-change and registrations measure takes place: registrations from the wire
to the wire, over the rings, beside traffic. Whether it is fast is not asked here."""
import json
import subprocess
import tempfile

from cases import case, expect, main
from lab import ROOT, build_directory


def run(lab, tool, *arguments):
    """What the tool writes as JSON. It ends by itself, whatever happens."""
    result = lab.directory / "result.json"
    done = subprocess.run([ROOT / "tools/traffic" / tool, "--build", build_directory(), "--json",
                           result, *map(str, arguments)], capture_output=True, text=True,
                          timeout=240, check=False)
    expect(done.returncode == 0, f"{tool}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return json.loads(result.read_text())


@case
def S1_13_data_follows_binding_updates_beside_a_flood(lab):
    row = run(lab, "path-change", "--seconds", 1, "--rate", 500, "--nodes", 50)
    expect(row["updates"] > 10 and row["refused"] == 0, str(row))
    # A machine under test takes CPUs away, and rings run over meanwhile: most must arrive.
    expect(row["no_answer"] < row["updates"] / 2 and row["no_data"] < row["updates"] / 2, str(row))
    expect(row["mpps"] > 0.1, f"no flood beside: {row}")


@case
def each_registration_over_the_rings_is_answered(lab):
    rows = run(lab, "registrations", "--nodes", 2000, "--seconds", 0.5, "--rate", 2000,
               "--directory", tempfile.gettempdir())
    expect({row["phase"] for row in rows} == {"register", "refresh"}, str(rows))
    for row in rows:
        asked = row["registrations" if row["phase"] == "register" else "refreshes"]
        expect(asked["sent"] > 0 and asked["accepted"] == asked["sent"], str(row))


if __name__ == "__main__":
    main(lambda lab: lab)

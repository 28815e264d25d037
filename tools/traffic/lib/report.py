# SPDX-License-Identifier: BSD-3-Clause
"""Figures as tables and plots."""
import pathlib

from lib import plots


def verdict(r):
    return "goal" if r["ratio"] >= r["goal"] else "accept" if r["ratio"] >= r["accept"] else "below"


HEAD = ("work", "peer", "peer, Mpps", "Homeport, Mpps", "ratio", "range", "goal", "accept", "")


def cells(r):
    if "error" in r:
        return (r["what"], "", "", "", r["error"], "", "", "", "")
    if "peer" not in r:
        return (r["what"], "no peer here", "", f"{r['own_mpps']:.2f}", "", "", f"{r['goal']:.1f}",
                f"{r['accept']:.1f}", "not measured")
    return (r["what"], r["peer"], f"{r['peer_mpps']:.2f}", f"{r['own_mpps']:.2f}",
            f"{r['ratio']:.2f}", f"{r['ratio_range'][0]:.2f} to {r['ratio_range'][1]:.2f}",
            f"{r['goal']:.1f}", f"{r['accept']:.1f}", verdict(r))


def text_table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
                     for row in rows)


def markdown_table(rows):
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


BENCH_HEAD = ("path", "octets", "bindings", "Mpps", "range", "Gbit/s", "cycles", "source and sink",
              "own", "stage by stage")


def bench_cells(r):
    path = r["path"] + (f", {r['algorithm']}" if r["algorithm"] else "")
    path += f", window {r['window']}" if r["window"] and r["path"] in ("P4", "P13i") else ""
    path += f", {r['workers']} workers" if r["workers"] > 1 else ""
    stages = ", ".join(f"{name} {cycles:.0f}" for name, cycles in r["stages"].items()
                       if cycles >= 0.5)
    return (path, r["frame_octets"], plots.short(r["bindings"]), f"{r['mpps']:.1f}",
            f"{r['mpps_range'][0]:.1f} to {r['mpps_range'][1]:.1f}", f"{r['gbit_s']:.1f}",
            f"{r['cycles']:.0f}", f"{r['source_and_sink']:.0f}",
            f"{r['cycles'] - r['source_and_sink']:.0f}", stages)


def draw(results, directory):
    """Rate against size, rate against bindings, shares of the stages: what there is enough for."""
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    by_size, by_bindings = {}, {}
    for r in results:
        if r["frame_octets"] != "imix":
            by_size.setdefault(f"{r['path']}, {plots.short(r['bindings'])}", []).append(
                (int(r["frame_octets"]), r["mpps"]))
        by_bindings.setdefault(f"{r['path']}, {r['frame_octets']} octets", []).append(
            (r["bindings"], r["mpps"]))
    made = []

    def write(name, content):
        (directory / name).write_text(content)
        made.append(name)

    by_size = {name: points for name, points in by_size.items() if len(points) > 1}
    if by_size:
        write("rate-by-size.svg", plots.lines("Rate against size, one worker", "octets of a frame",
                                              "Mpps", by_size))
    by_bindings = {name: points for name, points in by_bindings.items() if len(points) > 1}
    if by_bindings:
        write("rate-by-bindings.svg", plots.lines("Rate against bindings, one worker", "bindings",
                                                  "Mpps", by_bindings, logarithmic=True))
    bars = [(f"{r['path']}, {plots.short(r['bindings'])}, {r['frame_octets']}",
             {**{name: cycles for name, cycles in r["stages"].items() if cycles >= 1},
              "source, sink, loop": max(0.0, r["cycles"] - sum(r["stages"].values()))})
            for r in results]
    write("stages.svg", plots.shares("Where the cycles go", "cycles a packet", bars))
    return made

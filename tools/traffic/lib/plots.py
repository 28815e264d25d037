# SPDX-License-Identifier: BSD-3-Clause
"""Two kinds of plot as SVG: lines, and bars made of shares. No library: what is needed is little."""
import html
import math

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 64, 170, 40, 52
COLOURS = ("#1f6fb4", "#d9541e", "#2f8f4e", "#8457a6", "#b8860b", "#c2387a", "#4b8f9b", "#7a5c45",
           "#6b7280", "#94a63a", "#3a3f9a", "#a33b3b")


def text(x, y, words, anchor="middle", size=12, turn=None):
    rotated = f' transform="rotate({turn} {x:.1f} {y:.1f})"' if turn is not None else ""
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{rotated}>'
            f'{html.escape(str(words))}</text>')


def line(x1, y1, x2, y2, colour="#d0d0d0", width=1.0):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def nice_step(most):
    step = 10 ** math.floor(math.log10(max(most, 1e-9) / 4))
    for factor in (1, 2, 5, 10):
        if most / (step * factor) <= 6:
            return step * factor
    return step * 10


def short(value):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size and value % size == 0:
            return f"{value / size:g} {unit}"
    return f"{value:g}"


def document(title, parts, height=HEIGHT):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'font-family="sans-serif"><rect width="{WIDTH}" height="{height}" fill="white"/>'
            + text(LEFT, 22, title, "start", 15) + "".join(parts) + "</svg>\n")


def legend(names):
    parts = []
    for i, name in enumerate(names):
        y = TOP + 10 + 18 * i
        parts.append(f'<rect x="{WIDTH - RIGHT + 16}" y="{y - 9}" width="12" height="10" '
                     f'fill="{COLOURS[i % len(COLOURS)]}"/>')
        parts.append(text(WIDTH - RIGHT + 34, y, name, "start"))
    return parts


def horizontal_grid(top, y_of, y_name):
    parts, value, step = [], 0.0, nice_step(top)
    while value <= top * 1.0001:
        parts.append(line(LEFT, y_of(value), WIDTH - RIGHT, y_of(value)))
        parts.append(text(LEFT - 8, y_of(value) + 4, f"{value:g}", "end"))
        value += step
    parts.append(text(16, (TOP + HEIGHT - BOTTOM) / 2, y_name, turn=-90))
    return parts


def lines(title, x_name, y_name, series, logarithmic=False):
    """`series`: {name: [(x, y), ...]}"""
    xs = sorted({x for points in series.values() for x, _ in points})
    top = max(y for points in series.values() for _, y in points) * 1.05
    scale = math.log10 if logarithmic else float
    low, high = scale(xs[0]), scale(xs[-1])
    span = (high - low) or 1

    def x_of(x):
        return LEFT + 12 + (scale(x) - low) / span * (WIDTH - LEFT - RIGHT - 24)

    def y_of(y):
        return HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)

    parts = horizontal_grid(top, y_of, y_name)
    for x in xs:
        parts.append(line(x_of(x), HEIGHT - BOTTOM, x_of(x), HEIGHT - BOTTOM + 5, "#404040"))
        parts.append(text(x_of(x), HEIGHT - BOTTOM + 19, short(x)))
    parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_name))
    for i, points in enumerate(series.values()):
        colour = COLOURS[i % len(COLOURS)]
        way = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in sorted(points))
        parts.append(f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{colour}"/>'
                  for x, y in points]
    return document(title, parts + legend(series))


def shares(title, x_name, bars):
    """`bars`: [(name, {part: value}), ...], one below the other."""
    parts_of = list(dict.fromkeys(part for _, values in bars for part in values))
    most = max(sum(values.values()) for _, values in bars) * 1.02
    left, height = 130, TOP + 30 * len(bars) + BOTTOM
    height = max(height, TOP + 18 * len(parts_of) + 30)

    def x_of(value):
        return left + value / most * (WIDTH - left - RIGHT)

    parts, value, step = [], 0.0, nice_step(most)
    bottom = TOP + 30 * len(bars)
    while value <= most:
        parts.append(line(x_of(value), TOP, x_of(value), bottom))
        parts.append(text(x_of(value), bottom + 16, f"{value:g}"))
        value += step
    parts.append(text((left + WIDTH - RIGHT) / 2, bottom + 36, x_name))
    for row, (name, values) in enumerate(bars):
        y, at = TOP + 30 * row + 5, 0.0
        parts.append(text(left - 8, y + 14, name, "end"))
        for part, amount in values.items():
            colour = COLOURS[parts_of.index(part) % len(COLOURS)]
            parts.append(f'<rect x="{x_of(at):.1f}" y="{y}" width="{x_of(at + amount) - x_of(at):.1f}"'
                         f' height="20" fill="{colour}"><title>{html.escape(part)} {amount:.0f}'
                         f'</title></rect>')
            at += amount
    return document(title, parts + legend(parts_of), height)

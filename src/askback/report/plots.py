"""Plots as SVG text: no library in the page, nothing fetched, readable on a phone, in print and in the dark.

Every text from outside is escaped. A plot without data is "".
"""

import math
from collections.abc import Mapping, Sequence
from html import escape

from askback.report.axes import (
    BOTTOM,
    COLOURS,
    HEIGHT,
    LEFT,
    TOP,
    WIDTH,
    Frame,
    alone,
    area_key,
    bounds,
    dot_key,
    formatted,
    legend,
    line_key,
    room,
    shape,
    stroke,
    svg,
    widen,
)

POINTS = 60
"""Largest number of points of a line; more are averaged in groups, as single batches are noisy."""
TAIL = 0.01
"""Share of the largest values that the last column of a histogram collects, so that outliers do not flatten it."""

BESIDE, LONGEST = 22, 52
"""Characters from which on a label stands above its row, and from which on it is cut."""

Row = tuple[str, float, float | None, float | None]
"""A label, its value, and the ends of its interval, if it has one."""


def histogram(title: str, series: Mapping[str, Sequence[float]], x_label: str, bins: int = 24) -> str:
    """Draw the distribution of values, as shares of each series, so that sets of different size can be compared."""
    found = {name: sorted(values) for name, values in series.items() if values}
    if not found:
        return ""
    low = min(values[0] for values in found.values())
    high = max(values[math.ceil((len(values) - 1) * (1 - TAIL))] for values in found.values())
    low, high = widen(low, high)
    cut = any(values[-1] > high for values in found.values())
    shares = {name: _shares(values, low, high, bins) for name, values in found.items()}
    return outlines(title, (low, high), shares, f"{x_label} (last column: and more)" if cut else x_label)


def outlines(title: str, x: tuple[float, float], shares: Mapping[str, Sequence[float]], x_label: str) -> str:
    """Draw shares of records, in columns of equal width over the range `x`."""
    frame = Frame(x, (0, 1.08 * max(max(found) for found in shares.values())))
    marks = []
    for number, (name, found) in enumerate(shares.items()):
        width = (frame.x1 - frame.x0) / len(found)
        steps = "".join(
            f"V{frame.y(share):.1f}H{frame.x(frame.x0 + width * (at + 1)):.1f}" for at, share in enumerate(found)
        )
        path = f"M{frame.x(frame.x0):.1f} {frame.y(0):.1f}{steps}V{frame.y(0):.1f}"
        marks.append(f'<path {stroke(number, "mark area")} d="{path}"><title>{escape(name)}</title></path>')
    return svg(title, frame.axes(x_label, "share of records") + "".join(marks)) + legend(list(shares), area_key)


def lines(title: str, series: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str) -> str:
    """Draw series of (x, y) points, joined."""
    drawn = {name: _thinned(found) for name, found in series.items() if found}
    if not drawn:
        return ""
    points = [point for found in drawn.values() for point in found]
    frame = Frame(bounds(x for x, _ in points), room(*bounds(y for _, y in points)))
    marks = []
    for number, (name, found) in enumerate(drawn.items()):
        path = "L".join(f"{frame.x(x):.1f} {frame.y(y):.1f}" for x, y in found)
        marks.append(f'<path {stroke(number, "mark line")} d="M{path}"><title>{escape(name)}</title></path>')
    return svg(title, frame.axes(x_label, y_label) + "".join(marks)) + legend(list(drawn), line_key)


def intervals(
    title: str, series: Mapping[str, Sequence[Row]], x_label: str, against: float | None = None, digits: int = 3
) -> str:
    """Draw values and their intervals: a row per label, in it a line per series, with the value beside it.

    `against` is a reference value, such as chance.
    """
    drawn = {name: rows for name, rows in series.items() if rows}
    labels = list(dict.fromkeys(label for rows in drawn.values() for label, *_ in rows))
    if not labels:
        return ""
    above = 16 if max(map(len, labels)) > BESIDE else 0
    step = above + 12 * len(drawn) + 10
    height = TOP + BOTTOM + step * len(labels)
    left = 10 if above else 14 + 7 * max(map(len, labels))
    values = [x for rows in drawn.values() for _, *found in rows for x in found if x is not None]
    frame = Frame(room(*bounds(values + ([] if against is None else [against]))), (0, 1), height, left, 58)
    parts = [frame.axes(x_label, y_ticks=False), frame.upright(against) if against is not None else ""]
    for at, label in enumerate(labels):
        x, y, end = (
            (left + 4, TOP + step * at + 13, "start") if above else (left - 6, TOP + step * (at + 0.5) + 4, "end")
        )
        shown = label if len(label) <= LONGEST else f"{label[: LONGEST - 1]}…"
        parts.append(f'<text class="over" x="{x}" y="{y:.0f}" text-anchor="{end}">{escape(shown)}</text>')
    for number, (name, rows) in enumerate(drawn.items()):
        for row in rows:
            y = TOP + step * labels.index(row[0]) + above + 11 + 12 * number
            parts.append(_interval(frame, y, number, name if len(drawn) > 1 else "", row, digits))
    key = legend(list(drawn), dot_key) if len(drawn) > 1 else ""
    return svg(title, "".join(parts), height) + key


def intervals_file(title: str, rows: Sequence[Row], x_label: str, against: float | None = None, digits: int = 3) -> str:
    """Return the intervals of one series as a file of its own, with its style."""
    picture = intervals(title, {"": rows}, x_label, against, digits)
    return alone(picture) if picture else ""


def _interval(frame: Frame, y: float, number: int, name: str, row: Row, digits: int) -> str:
    label, value, low, high = row
    form = f".{digits}f"
    title = f"{name + ', ' if name else ''}{label}: {formatted(value, form)}"
    line = ""
    if low is not None and high is not None:
        title += f" ({formatted(low, form)} to {formatted(high, form)})"
        line = f'<path class="mark line c{number % COLOURS}" d="M{frame.x(low):.1f} {y}H{frame.x(high):.1f}"/>'
    value_text = f'<text x="{WIDTH - 2}" y="{y + 4}" text-anchor="end">{formatted(value, form)}</text>'
    return line + shape(number, frame.x(value), y, title, 4) + value_text


def bars(title: str, rows: Sequence[tuple[str, float, str]], x_label: str) -> str:
    """Draw (label, value, the value in words), a bar each, from 0."""
    if not rows:
        return ""
    height = TOP + BOTTOM + 20 * len(rows)
    left = min(160, 14 + 7 * max(len(label) for label, *_ in rows))
    frame = Frame((0, max(value for _, value, _ in rows)), (0, 1), height, left, 70)
    marks = []
    for at, (label, value, words) in enumerate(rows):
        y = TOP + 20 * at + 4
        end = frame.x(value)
        marks.append(f'<text x="{left - 6}" y="{y + 10}" text-anchor="end">{escape(label)}</text>')
        marks.append(f'<path class="mark full c0" d="M{left} {y}H{end:.1f}v12H{left}Z"/>')
        marks.append(f'<text x="{end + 4:.1f}" y="{y + 10}">{escape(words)}</text>')
    return svg(title, frame.axes(x_label, y_ticks=False) + "".join(marks), height)


def scatter(title: str, groups: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str) -> str:
    """Draw groups of (x, y) on equal scales, each in its colour and shape, with the diagonal x = y."""
    values = [value for points in groups.values() for point in points for value in point]
    if not values:
        return ""
    both = room(*bounds(values))
    frame = Frame(both, both)
    marks = [shape(at, frame.x(x), frame.y(y)) for at, points in enumerate(groups.values()) for x, y in points]
    ends = (f"{frame.x(end):.1f} {frame.y(end):.1f}" for end in both)
    equal = f'<path class="against" d="M{"L".join(ends)}"/>'
    return svg(title, frame.axes(x_label, y_label) + equal + "".join(marks)) + legend(
        [f"{name} ({len(points):,})" for name, points in groups.items()], dot_key
    )


Points = Mapping[str, Sequence[tuple[int, float, float]]]
"""Name of a set → (size, value, half the width of its interval)."""


def curves(title: str, points: Points, fits: Mapping[str, tuple[float, float]], x_label: str, y_label: str) -> str:
    """Draw the values of each set over the logarithm of the size, and the set's fit, alpha ln N + C.

    Args:
        fits: alpha and C of a set; those of one size have none.
    """
    body = _curves(points, fits, x_label, y_label)
    return svg(title, body) + legend(list(points), _curve_key) if body else ""


def curves_file(
    title: str,
    points: Points,
    fits: Mapping[str, tuple[float, float]],
    x_label: str,
    y_label: str,
    names: Sequence[str],
) -> str:
    """Return the same as a file of its own, with its style and a key that holds `names`, one for each set."""
    body = _curves(points, fits, x_label, y_label)
    keys = "".join(
        f'<g transform="translate({LEFT} {HEIGHT + 18 * n})">{_curve_key(n)}<text x="32" y="10">{escape(name)}</text></g>'
        for n, name in enumerate(names)
    )
    return alone(svg(title, body + keys, HEIGHT + 18 * len(names) + 6)) if body else ""


def _curve_key(number: int) -> str:
    return line_key(number) + dot_key(number)


def _curves(points: Points, fits: Mapping[str, tuple[float, float]], x_label: str, y_label: str) -> str:
    every = [(size, value + side * error) for row in points.values() for size, value, error in row for side in (-1, 1)]
    if not every:
        return ""
    frame = Frame(room(*bounds(math.log(size) for size, _ in every)), room(*bounds(value for _, value in every)))
    marks = []
    for number, (name, row) in enumerate(points.items()):
        if name in fits:
            alpha, constant = fits[name]
            ends = (math.log(size) for size in bounds(size for size, *_ in row))
            path = "L".join(f"{frame.x(x):.1f} {frame.y(alpha * x + constant):.1f}" for x in ends)
            marks.append(f'<path {stroke(number, "mark line")} d="M{path}"/>')
        for size, value, error in row:
            x, words = frame.x(math.log(size)), f"{name}, {size:,}: {value:.4g}"
            if error:
                path = f"M{x:.1f} {frame.y(value - error):.1f}V{frame.y(value + error):.1f}"
                marks.append(f'<path class="mark line c{number % COLOURS}" d="{path}"/>')
            marks.append(shape(number, x, frame.y(value), words, 4))
    sizes = [(math.log(size), f"{size:,g}") for size in sorted({size for row in points.values() for size, *_ in row})]
    return frame.axes(x_label, y_label, x_ticks=sizes) + "".join(marks)


def sunburst(title: str, top: Sequence[tuple[str, int, Sequence[tuple[str, int]]]]) -> str:
    """Draw (a verb, its count, its most frequent nouns with theirs) as rings of shares; rarer nouns are a gap."""
    total = sum(count for _, count, _ in top)
    if not total:
        return ""
    marks, turn = [], 0.0
    for number, (word, size, leaves) in enumerate(top):
        marks.append(_sector(word, size, turn, size / total, 45, 105, number % COLOURS))
        at = turn
        for leaf, count in leaves:
            marks.append(_sector(leaf, count, at, count / total, 107, 177, number % COLOURS))
            at += count / total
        turn += size / total
    return svg(title, f'<g transform="translate({WIDTH / 2} 180)">' + "".join(marks) + "</g>", 360)


def _sector(word: str, count: int, start: float, share: float, inner: int, outer: int, colour: int) -> str:
    share = min(share, 0.9999)  # an arc that ends where it began is none
    a, b = (2 * math.pi * turn - math.pi / 2 for turn in (start, start + share))
    large = int(share > 0.5)
    path = (
        f"M{inner * math.cos(a):.1f} {inner * math.sin(a):.1f}L{outer * math.cos(a):.1f} {outer * math.sin(a):.1f}"
        f"A{outer} {outer} 0 {large} 1 {outer * math.cos(b):.1f} {outer * math.sin(b):.1f}"
        f"L{inner * math.cos(b):.1f} {inner * math.sin(b):.1f}A{inner} {inner} 0 {large} 0 "
        f"{inner * math.cos(a):.1f} {inner * math.sin(a):.1f}Z"
    )
    outer_ring = " outer" if inner > 50 else ""
    drawn = (
        f'<path class="mark sector{outer_ring} c{colour}" d="{path}"><title>{escape(word)}: {count:,}</title></path>'
    )
    if share * 2 * math.pi * (inner + outer) / 2 < 10:  # no room for a line of text
        return drawn
    middle = (a + b) / 2
    angle = math.degrees(middle)
    angle += 180 if math.cos(middle) < 0 else 0
    x, y = ((inner + outer) / 2 * part for part in (math.cos(middle), math.sin(middle)))
    return (
        f'{drawn}<text class="on{outer_ring}" text-anchor="middle" dominant-baseline="middle" '
        f'transform="translate({x:.1f} {y:.1f}) rotate({angle:.1f})">{escape(word[:12])}</text>'
    )


def _shares(values: Sequence[float], low: float, high: float, bins: int) -> list[float]:
    counts = [0] * bins
    for value in values:
        counts[min(bins - 1, int((value - low) / (high - low) * bins))] += 1
    return [count / len(values) for count in counts]


def _thinned(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    size = -(-len(points) // POINTS)
    groups = (points[start : start + size] for start in range(0, len(points), size))
    return [(group[-1][0], sum(y for _, y in group) / len(group)) for group in groups]

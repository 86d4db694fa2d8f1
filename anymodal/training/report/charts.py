"""Line charts as SVG, for a page without a script."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[int, float]]

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 460, 230, 62, 26, 12
COLORS = ("#2f6fd0", "#d0602f", "#2f9e5f", "#9a4fc0", "#b08a1e", "#c03f6a", "#3aa0b0", "#777777")
MAX_POINTS = 400
"""The most points of a line; of more, each is a mean of neighbours."""


def line_chart(title: str, lines: Mapping[str, Points]) -> str:
    """A chart of one or several lines over steps; values that aren't finite leave a gap.

    Args:
        title: as text.
        lines: points (step, value) by name, in order of steps.
    """
    thinned = {name: _thin(points) for name, points in lines.items()}
    finite = [(s, v) for points in thinned.values() for s, v in points if math.isfinite(v)]
    if not finite:
        return ""
    steps, values = [s for s, _ in finite], [v for _, v in finite]
    frame = _Frame(min(steps), max(steps), min(values), max(values))
    body = [frame.axes()]
    legend = []
    for color, (name, points) in zip(_cycle(len(thinned)), thinned.items(), strict=True):
        body.append(frame.line(points, color))
        last = next((v for _, v in reversed(points) if math.isfinite(v)), math.nan)
        label = "" if name == title else f"{escape(name)} "
        legend.append(f'<span style="color:{color}">{label}{last:.4g}</span>')
    return (
        f'<figure class="chart"><figcaption><b>{escape(title)}</b> {" · ".join(legend)}'
        f'</figcaption><svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        f'role="img" aria-label="{escape(title, quote=True)}">{"".join(body)}</svg></figure>'
    )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers within a range, two to six of them: multiples of 1, 2 or 5 times a power."""
    rough = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    size = next(power * each for each in (1, 2, 5, 10) if power * each >= rough)
    first, last = math.ceil(low / size), math.floor(high / size)
    digits = 12 - math.floor(math.log10(size))  # rounded, since 3 × 0.1 is written with a tail
    return [round(place * size, digits) for place in range(first, last + 1)]


def _cycle(count: int) -> list[str]:
    return [COLORS[place % len(COLORS)] for place in range(count)]


def _thin(points: Points) -> list[tuple[int, float]]:
    size = -(-len(points) // MAX_POINTS)
    if size <= 1:
        return list(points)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(v for _, v in group) / len(group)) for group in groups]


class _Frame:
    """The axes of a chart, from data to places.

    Args:
        first: step on the left.
        last: step on the right.
        low: value at the bottom.
        high: value at the top.
    """

    def __init__(self, first: int, last: int, low: float, high: float) -> None:
        room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
        self.first, self.last, self.low, self.high = first, last, low - room, high + room

    def x(self, step: int) -> float:
        """The place of a step."""
        share = (step - self.first) / max(1, self.last - self.first)
        return LEFT + share * (WIDTH - LEFT - 8)

    def y(self, value: float) -> float:
        """The place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)

    def line(self, points: Points, color: str) -> str:
        """One line, with a dot where it has a single point."""
        runs: list[list[str]] = [[]]
        for step, value in points:
            if math.isfinite(value):
                runs[-1].append(f"{self.x(step):.1f},{self.y(value):.1f}")
            elif runs[-1]:
                runs.append([])
        pieces = [_run(run, color) for run in runs if run]
        return "".join(pieces)

    def axes(self) -> str:
        """Grid lines at round values, and the first and last step."""
        pieces = []
        for value in ticks(self.low, self.high):
            y = self.y(value)
            pieces.append(
                f'<path d="M{LEFT} {y:.1f}H{WIDTH - 8}" stroke="currentColor" opacity=".15"/>'
                f'<text x="{LEFT - 5}" y="{y + 3:.1f}" text-anchor="end">{value:g}</text>'
            )
        bottom = HEIGHT - 7
        pieces.append(f'<text x="{LEFT}" y="{bottom}">step {self.first:,}</text>')
        pieces.append(f'<text x="{WIDTH - 8}" y="{bottom}" text-anchor="end">{self.last:,}</text>')
        return f'<g font-size="12" fill="currentColor">{"".join(pieces)}</g>'


def _run(places: Sequence[str], color: str) -> str:
    if len(places) == 1:
        x, y = places[0].split(",")
        return f'<circle cx="{x}" cy="{y}" r="2.5" fill="{color}"/>'
    points = " ".join(places)
    return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.6"/>'

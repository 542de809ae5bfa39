"""A chart of measured growth as SVG: time and memory against the number of training images, both axes logarithmic."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from xml.sax.saxutils import escape

from telltale.studies.growth.measure import Growth

WIDTH, HEIGHT = 940, 400
PLOT_WIDTH, PLOT_HEIGHT, TOP = 360, 270, 50
LEFTS = (60, 530)
INK, FAINT, FONT = "#33363d", "#d7d9de", "font-family='sans-serif' font-size='12'"


@dataclass(frozen=True)
class _Line:
    label: str
    colour: str
    field: str


@dataclass(frozen=True)
class _Panel:
    title: str
    unit: str
    lines: tuple[_Line, ...]


PANELS = (
    _Panel(
        "Evidence for one image",
        "ms",
        (
            _Line("all three", INK, "total_ms"),
            _Line("neighbours", "#0072b2", "neighbours_ms"),
            _Line("influence", "#d55e00", "influence_ms"),
            _Line("ranks and distances", "#009e73", "ranks_ms"),
        ),
    ),
    _Panel(
        "Memory of the process that answers",
        "GB",
        (_Line("peak, with mapped files", INK, "peak_gb"), _Line("its own", "#cc79a7", "held_gb")),
    ),
)


def growth_svg(measured: Sequence[Growth]) -> str:
    """Draw what `telltale.studies.growth.measure.measure_growth` returned, without any drawing library."""
    panels = "".join(_panel(panel, left, measured) for panel, left in zip(PANELS, LEFTS, strict=True))
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' role='img' "
        f"aria-label='Time and memory against the number of training images'>"
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='#ffffff'/><g {FONT} fill='{INK}'>{panels}</g></svg>\n"
    )


def _panel(panel: _Panel, left: int, measured: Sequence[Growth]) -> str:
    counts = [growth.references for growth in measured]
    values = [getattr(growth, line.field) for growth in measured for line in panel.lines]
    x, y = _Axis.over(counts, left, left + PLOT_WIDTH), _Axis.over(values, TOP + PLOT_HEIGHT, TOP)
    parts = [f"<text x='{left}' y='{TOP - 22}' font-size='14'>{escape(panel.title)} ({panel.unit})</text>"]
    for power in y.powers():
        at = y.place(10.0**power)
        parts.append(f"<path d='M{left} {at:.1f}h{PLOT_WIDTH}' stroke='{FAINT}'/>")
        parts.append(f"<text x='{left - 6}' y='{at + 4:.1f}' text-anchor='end'>{10.0**power:g}</text>")
    for power in x.powers():
        at = x.place(10.0**power)
        parts.append(f"<path d='M{at:.1f} {TOP}v{PLOT_HEIGHT}' stroke='{FAINT}'/>")
        parts.append(f"<text x='{at:.1f}' y='{TOP + PLOT_HEIGHT + 18}' text-anchor='middle'>{10**power:,}</text>")
    middle = left + PLOT_WIDTH / 2
    parts.append(f"<text x='{middle}' y='{TOP + PLOT_HEIGHT + 38}' text-anchor='middle'>training images</text>")
    for place, line in enumerate(panel.lines):
        for alike in _with_the_same_layers(measured):
            points = [(x.place(growth.references), y.place(getattr(growth, line.field))) for growth in alike]
            parts.append(_marked_line(line.colour, points))
        parts.append(_legend(line, left + 10, TOP + 16 + 17 * place))
    return "".join(parts)


def _with_the_same_layers(measured: Sequence[Growth]) -> list[list[Growth]]:
    """Part the sizes where the network changes: a line across would compare what cannot be compared."""
    return [list(alike) for _, alike in groupby(measured, key=lambda growth: (growth.layers, growth.width))]


def _marked_line(colour: str, points: Sequence[tuple[float, float]]) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3.5' fill='{colour}'/>" for x, y in points)
    return f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.5'/>{dots}"


def _legend(line: _Line, x: int, y: int) -> str:
    return f"<circle cx='{x}' cy='{y - 4}' r='3.5' fill='{line.colour}'/><text x='{x + 9}' y='{y}'>{line.label}</text>"


@dataclass(frozen=True)
class _Axis:
    """A logarithmic axis from one whole power of ten to another, between two places of the picture."""

    low: int
    high: int
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> _Axis:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        return cls(low, max(high, low + 1), start, end)

    def place(self, value: float) -> float:
        return self.start + (self.end - self.start) * (math.log10(value) - self.low) / (self.high - self.low)

    def powers(self) -> range:
        return range(self.low, self.high + 1)

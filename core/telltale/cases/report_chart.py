"""The one chart of a report: running suspicion over the layers, as SVG that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from telltale.cases.record import CaseNumbers

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 220, 44, 12, 12, 34


def suspicion_svg(numbers: CaseNumbers) -> str:
    """Return the chart with a text alternative, or nothing where there are no layers.

    Parameters
    ----------
    numbers : CaseNumbers
    """
    paths = {name: image.suspicion for name, image in numbers.images() if image.suspicion}
    if not paths:
        return ""
    said = "; ".join(f"{name} image ends at {values[-1]:.2f}" for name, values in paths.items())
    lines = "".join(_path(name, values) for name, values in paths.items())
    words = f"Running suspicion after every layer, from 0 to 1: {said}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{words}">'
        f"{_axes(max(len(values) for values in paths.values()))}{lines}</svg>"
    )


def _path(name: str, values: Sequence[float]) -> str:
    places = [(_x(i, len(values)), _y(value)) for i, value in enumerate(values)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = "".join(_mark(name, x, y) for x, y in places)
    return f'<polyline class="{name}" points="{line}"/>{marks}'


def _mark(name: str, x: float, y: float) -> str:
    """Draw circles for the natural image and squares for the attacked one, so that colour is not needed."""
    if name == "natural":
        return f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
    return f'<rect class="{name}" x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8"/>'


def _axes(count: int) -> str:
    rows = "".join(
        f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{_y(level):.1f}" y2="{_y(level):.1f}"/>'
        f'<text x="{LEFT - 8}" y="{_y(level) + 4:.1f}" text-anchor="end">{level:g}</text>'
        for level in (0.0, 0.5, 1.0)
    )
    columns = "".join(
        f'<text x="{_x(i, count):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{i + 1}</text>'
        for i in range(count)
    )
    middle = (LEFT + WIDTH - RIGHT) / 2
    return f'{rows}{columns}<text x="{middle:.0f}" y="{HEIGHT - 2}" text-anchor="middle">layer</text>'


def _x(index: int, count: int) -> float:
    return LEFT + 10 + (WIDTH - LEFT - RIGHT - 20) * (index / max(count - 1, 1))


def _y(value: float) -> float:
    return TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - min(max(value, 0.0), 1.0))

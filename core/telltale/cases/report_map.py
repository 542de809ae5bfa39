"""The map of a report: every training image, and this image with lines to its lists, as SVG that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from telltale.figures import palette
from telltale.figures.base import MOST_CLASSES
from telltale.figures.points import Ids, positions_of
from telltale.figures.results.neighbours import LOOKS
from telltale.kinds.neighbours import NeighboursView

if TYPE_CHECKING:
    from telltale.analysis.results import Analysis
    from telltale.bundle import Bundle

WIDTH, HEIGHT, ROOM = 640, 480, 24
STEP = 2  # points that fall into one square of this side are drawn once
METHODS = {"umap": "UMAP", "pca": "PCA"}
POINT, MARK, STAR = 1.6, 6.0, 11.0

Places = npt.NDArray[np.float64]


def map_svg(bundle: Bundle, method: str, name: str, analysis: Analysis, ids: Mapping[str, Ids]) -> str:
    """Return the last layer's map with an image and its lists, and a text alternative.

    Parameters
    ----------
    bundle : Bundle
    method : {"umap", "pca"}
    name : {"natural", "attacked"}
        Of the image.
    analysis : Analysis
    ids : mapping
        `telltale.figures.results.neighbours.listed_ids` of it.
    """
    points = np.asarray(bundle.maps[method][-1], dtype=np.float64)
    own = np.asarray(analysis.view(NeighboursView).positions[method][-1], dtype=np.float64)
    placed = on_screen(np.concatenate([points, own[None]]))
    training, image = placed[:-1], placed[-1]
    rows = {kind: positions_of(listed, bundle.splits.train) for kind, listed in ids.items()}
    labels = bundle.training_labels
    involved = {analysis.prediction.label, *(int(labels[row]) for found in rows.values() for row in found)}
    said = (
        f"{METHODS[method]} map of {len(points)} training images: the {name} image, joined to its "
        f"{', '.join(LOOKS[kind][0] for kind in rows)} ones"
    )
    parts = [
        *_classes(training, labels, involved),
        *(part for kind, found in rows.items() for part in _lines(image, training[found], LOOKS[kind][1])),
        *(_mark(x, y, *LOOKS[kind][1:]) for kind, found in rows.items() for x, y in training[found]),
        *_names(training, labels, involved, bundle.class_names),
        _star(float(image[0]), float(image[1]), palette.IMAGE_COLOURS[name]),
    ]
    return (
        f'<svg class=map viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(said)}">{"".join(parts)}</svg>'
    )


def on_screen(points: Places) -> Places:
    """Return where points of a map are drawn, shape (n, 2): one scale for both axes, the second one downwards."""
    low, high = points.min(axis=0), points.max(axis=0)
    size = np.where(high > low, high - low, 1.0)
    scale = float(min((WIDTH - 2 * ROOM) / size[0], (HEIGHT - 2 * ROOM) / size[1]))
    return np.asarray(np.array([WIDTH, HEIGHT]) / 2 + (points - (low + high) / 2) * scale * [1, -1])


def _classes(training: Places, labels: Ids, involved: set[int]) -> Iterator[str]:
    """Draw the points of each class as one path of dots; those that are not involved are faint and lie below."""
    present = np.unique(labels).tolist()
    many = len(present) > MOST_CLASSES
    numbers = {label: place if many else label for place, label in enumerate(sorted(involved) if many else present)}
    for label in sorted(present, key=lambda label: label in involved):
        colour = palette.class_colour(numbers[label]) if label in numbers else palette.OF_ANY_CLASS
        squares = np.unique(np.round(training[labels == label] / STEP).astype(int), axis=0) * STEP
        dots = "".join(f"M{x} {y}h0" for x, y in squares.tolist())
        opacity = 0.8 if label in involved else 0.25
        yield f'<path d="{dots}" stroke="{colour}" stroke-opacity="{opacity}" stroke-width="{2 * POINT}"/>'


def _lines(image: Places, ends: Places, colour: str) -> Iterator[str]:
    for x, y in ends:
        yield (
            f'<line x1="{image[0]:.1f}" y1="{image[1]:.1f}" x2="{x:.1f}" y2="{y:.1f}" stroke="{colour}" '
            'stroke-opacity="0.7"/>'
        )


def _mark(x: float, y: float, colour: str, symbol: str) -> str:
    """Draw a circle or a triangle, so that colour is not needed."""
    if symbol == "circle":
        return f'<circle class=ringed cx="{x:.1f}" cy="{y:.1f}" r="{MARK - 1}" fill="{colour}"/>'
    tip = -MARK if symbol == "triangle-up" else MARK
    corners = f"{x:.1f},{y + tip:.1f} {x - MARK:.1f},{y - 0.6 * tip:.1f} {x + MARK:.1f},{y - 0.6 * tip:.1f}"
    return f'<polygon class=ringed points="{corners}" fill="{colour}"/>'


def _names(training: Places, labels: Ids, involved: set[int], class_names: tuple[str, ...]) -> Iterator[str]:
    """Write the involved classes at the middle of their points."""
    for label in sorted(involved & set(np.unique(labels).tolist())):
        x, y = np.median(training[labels == label], axis=0)
        yield f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escape(class_names[label])}</text>'


def _star(x: float, y: float, colour: str) -> str:
    angles = [math.pi * (step / 5 - 0.5) for step in range(10)]
    reach = [STAR if step % 2 == 0 else 0.45 * STAR for step in range(10)]
    corners = " ".join(
        f"{x + r * math.cos(a):.1f},{y + r * math.sin(a):.1f}" for a, r in zip(angles, reach, strict=True)
    )
    return f'<polygon class=ringed points="{corners}" fill="{colour}"/>'

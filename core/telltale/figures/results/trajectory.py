"""The path of one image, or of a natural and an attacked one, through the layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import plotly.graph_objects as go

from telltale.analysis import reading
from telltale.evidence.trajectory import DistanceKind, departure_layer
from telltale.figures import curves, palette, trajectory
from telltale.figures.results.shown import Shown
from telltale.kinds.trajectory import TrajectoryView

Variant = tuple[str, str]
NO_CLASS = -1
DISTANCES = {"l2": "Euclidean distance", "cosine": "cosine similarity"}


def compared_classes(shown: Shown, variant: Variant) -> tuple[int, int]:
    """Return the first image's class and its rival.

    The rival is the class that the attacked image is taken for; without one, the class whose pivot is nearest to the
    end of the first image's path besides its own. A class without references has no pivot: the one whose pivot is
    nearest to the end of that image's path takes its place.

    Parameters
    ----------
    shown : Shown
    variant : (pivot, distance)
        A key of `TrajectoryView.distances`.
    """
    first, last = (analysis.view(TrajectoryView).distances[variant] for _, analysis in (shown[0], shown[-1]))
    own, reached = shown[0][1].prediction.label, shown[-1][1].prediction.label
    if np.isnan(first[-1, own]):
        own = reading.nearest_other(first, NO_CLASS, variant[1] == "cosine")
    if reached == own or np.isnan(last[-1, reached]):
        reached = reading.nearest_other(last, own, variant[1] == "cosine")
    return own, reached


def departure(shown: Shown, variant: Variant) -> int | None:
    """Return the index of the layer from which an attacked path stays nearer to its new class; None without one.

    There is none either where one of the two classes has no references.
    """
    first, last = shown[0][1], shown[-1][1]
    own, reached = first.prediction.label, last.prediction.label
    table = last.view(TrajectoryView).distances[variant]
    if reached == own or np.isnan(table[:, [own, reached]]).any():
        return None
    return departure_layer(table, cast("DistanceKind", variant[1]), own, reached)


def pivot_distances(shown: Shown, class_names: Sequence[str], variant: Variant) -> dict[str, go.Figure]:
    """Return for each image its distance to both classes' pivots over the layers, on one shared axis."""
    own, rival = compared_classes(shown, variant)
    tables = [analysis.view(TrajectoryView).distances[variant] for _, analysis in shown]
    logarithmic = variant[1] == "l2"
    limits = curves.log_limits(*tables) if logarithmic else curves.limits(*tables)
    left_at = departure(shown, variant)
    figures = {}
    for (name, analysis), table in zip(shown, tables, strict=True):
        split = reading.pivot_distances(table, own, rival)
        original = " (original)" if own == shown[0][1].prediction.label else ""
        lines = [(f"class {class_names[own]}{original}", split.own), (f"class {class_names[rival]}", split.rival)]
        marked = left_at is not None and analysis is shown[-1][1]
        figures[name] = trajectory.pivot_lines(
            analysis.view(TrajectoryView).layers,
            lines,
            (split.low, split.high),
            DISTANCES[variant[1]],
            limits,
            logarithmic,
            analysis.view(TrajectoryView).layers[left_at] if marked and left_at is not None else None,
        )
    return figures


def path(shown: Shown, class_names: Sequence[str], variant: Variant) -> go.Figure:
    """Return the distance to one class's pivot against the distance to the other's, layer by layer."""
    own, rival = compared_classes(shown, variant)
    paths = []
    for name, analysis in shown:
        table = analysis.view(TrajectoryView).distances[variant]
        paths.append((name, table[:, own], table[:, rival], palette.IMAGE_COLOURS[name]))
    word = DISTANCES[variant[1]]
    x, y = (f"{word} to class {class_names[label]}" for label in (own, rival))
    return trajectory.pivot_path(shown[0][1].view(TrajectoryView).layers, paths, x, y, variant[1] == "cosine")


def suspicion(shown: Shown) -> go.Figure:
    """Return the LSTM's running suspicion of each image."""
    curves = [(name, analysis.view(TrajectoryView).suspicion, palette.IMAGE_COLOURS[name]) for name, analysis in shown]
    return trajectory.suspicion(shown[0][1].view(TrajectoryView).layers, curves)

"""Feature responses and their entropy: maps of each image and of the difference, and the mean beside the reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.base.errors import InputError
from telltale.figures import curves, palette
from telltale.figures.maps import distributions, heatmap
from telltale.figures.results.shown import mark_name
from telltale.kinds.response import MEAN_ENTROPY, ResponseView
from telltale.scores import table

if TYPE_CHECKING:
    import pyarrow as pa

DIFFERENCE = "difference"
Map = npt.NDArray[np.float32]
Found = Sequence[tuple[str, ResponseView]]


def response_maps(found: Found, locked: bool = True) -> dict[str, go.Figure]:
    """Return the response of each image and, of two, the difference.

    Parameters
    ----------
    found : sequence of (image name, ResponseView)
    locked : bool
        Whether all maps share one colour scale. An attacked response can be a hundred times stronger: unlocked, each
        fills the scale by itself.
    """
    maps = _with_difference({name: view.response for name, view in found})
    together = curves.largest_magnitude(*maps.values())
    ends = {name: together if locked else curves.largest_magnitude(values) for name, values in maps.items()}
    return {name: heatmap(values, -ends[name], ends[name], True, "") for name, values in maps.items()}


def entropy_maps(found: Found) -> dict[str, go.Figure]:
    """Return the local entropy of each image and, of two, the signed difference, up to the same end."""
    own = {name: view.entropy for name, view in found}
    top = curves.largest_magnitude(*own.values())
    return {
        name: heatmap(values, -top if name == DIFFERENCE else 0, top, name == DIFFERENCE, "bits")
        for name, values in _with_difference(own).items()
    }


def _with_difference(maps: dict[str, Map]) -> dict[str, Map]:
    if len(maps) < 2:
        return maps
    natural, attacked = maps.values()
    return {**maps, DIFFERENCE: attacked - natural}


def entropy_reference(scores: pa.Table) -> tuple[table.ScoreSet, table.ScoreSet] | None:
    """Return the mean entropies of the natural and of the adversarial test images, or None where one is missing."""
    natural = table.select_scores(scores, MEAN_ENTROPY, table.NATURAL)
    adversarial = table.select_scores(scores, MEAN_ENTROPY, table.ADVERSARIAL)
    return (natural, adversarial) if len(natural) and len(adversarial) else None


def mean_entropy(scores: pa.Table, found: Found) -> go.Figure:
    """Return the reference distributions of the mean entropy with each image marked.

    Raises
    ------
    InputError
        If the scores hold no reference.
    """
    reference = entropy_reference(scores)
    if reference is None:
        raise InputError("This model has no reference distribution of the mean entropy.")
    natural, adversarial = reference
    groups = [
        ("natural test images", *curves.density_curve(natural.values), palette.NATURAL),
        ("adversarial test images", *curves.density_curve(adversarial.values), palette.ATTACKED),
    ]
    marks = [
        (mark_name(name), view.mean_entropy, palette.IMAGE_COLOURS[name], palette.IMAGE_SYMBOLS[name])
        for name, view in found
    ]
    return distributions(groups, marks, "mean entropy, bits")

"""Feature responses and their entropy: maps of each image and of the difference, and the mean beside the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.base.errors import InputError
from telltale.base.images import FloatImages
from telltale.figures import curves, palette
from telltale.figures.maps import distributions, heatmap, over_picture
from telltale.figures.results.shown import mark_name
from telltale.kinds.response import MEAN_ENTROPY, ResponseView
from telltale.scores import table

if TYPE_CHECKING:
    import pyarrow as pa

DIFFERENCE = "difference"
MANY_PIXELS, SPIKES = 10_000, 0.005  # of a map that large, so great a share of the pixels may lie beyond its scale
Map = npt.NDArray[np.float32]
Found = Sequence[tuple[str, ResponseView]]


@dataclass(frozen=True)
class Under:
    """Pictures that maps are laid over.

    Attributes
    ----------
    pictures : mapping of str to array of float32, shape (C, H, W)
        By image name, the natural one first, over which the difference is laid.
    opacity : float
        Of the maps, in [0, 1].
    """

    pictures: Mapping[str, FloatImages]
    opacity: float


def response_maps(found: Found, locked: bool = True, under: Under | None = None) -> dict[str, go.Figure]:
    """Return the response of each image and, of two, the difference.

    Parameters
    ----------
    found : sequence of (image name, ResponseView)
    locked : bool
        Whether all maps share one colour scale. An attacked response can be a hundred times stronger: unlocked, each
        fills the scale by itself. A few pixels of a large map are so much stronger than all others that nothing else
        would be seen beside them: the strongest 0.5 % have the colour of the scale's end.
    under : Under, optional
        Pictures to lay the maps over.
    """
    maps = _with_difference({name: view.response for name, view in found})
    together = _end(*maps.values())
    ends = {name: together if locked else _end(values) for name, values in maps.items()}
    figures = {name: heatmap(values, -ends[name], ends[name], True, "") for name, values in maps.items()}
    return _laid_over(figures, under)


def beyond_scale(view: ResponseView) -> bool:
    """Return whether the strongest pixels of a response lie beyond the scale of its map."""
    return view.response.size > MANY_PIXELS


def _end(*maps: Map) -> float:
    """Return the end of a signed scale for maps of one size: the largest magnitude, or nearly."""
    largest = curves.largest_magnitude(*maps)
    if maps[0].size <= MANY_PIXELS:
        return largest
    return max(float(np.quantile(np.abs(values), 1.0 - SPIKES)) for values in maps) or largest


def entropy_maps(found: Found, under: Under | None = None) -> dict[str, go.Figure]:
    """Return the local entropy of each image and, of two, the signed difference, up to the same end.

    A value stands at the middle of its patch. `under` holds pictures to lay the maps over.
    """
    border = found[0][1].patch // 2
    own = {name: view.entropy for name, view in found}
    top = curves.largest_magnitude(*own.values())
    figures = {
        name: heatmap(values, -top if name == DIFFERENCE else 0, top, name == DIFFERENCE, "bits", first=border)
        for name, values in _with_difference(own).items()
    }
    return _laid_over(figures, under)


def _laid_over(figures: dict[str, go.Figure], under: Under | None) -> dict[str, go.Figure]:
    if under is None:
        return figures
    first = next(iter(under.pictures.values()))
    return {
        name: over_picture(figure, under.pictures.get(name, first), under.opacity) for name, figure in figures.items()
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

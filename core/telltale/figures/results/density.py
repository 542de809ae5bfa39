"""How usual the hidden state is: per class against its threshold, and on the class map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from telltale.figures import curves, density, palette
from telltale.figures.base import MOST_CLASSES, drawn_classes
from telltale.figures.embedding import add_ellipses, mark, training_map
from telltale.figures.results.shown import Shown, mark_name
from telltale.kinds.density import DensityView
from telltale.scores.titles import percent

if TYPE_CHECKING:
    from telltale.bundle import Bundle

FAINT = 0.25


def class_densities(shown: Shown, class_names: Sequence[str]) -> go.Figure:
    """Return log p(H | class) of each image, against every class's thresholds; classes without a mixture are absent.

    Of many classes only the predicted ones and the densest are drawn, the densest first.
    """
    images = [
        (name, analysis.view(DensityView).log_density, palette.IMAGE_COLOURS[name], palette.IMAGE_SYMBOLS[name])
        for name, analysis in shown
    ]
    known = drawn_classes([values for _, values, _, _ in images], {a.prediction.label for _, a in shown})
    thresholds = [
        (f"threshold keeping {percent(keep)}", values[known])
        for keep, values in sorted(shown[0][1].view(DensityView).thresholds.items())
    ]
    drawn = [(name, values[known], colour, symbol) for name, values, colour, symbol in images]
    return density.class_densities([class_names[c] for c in known], drawn, thresholds)


def class_map(bundle: Bundle) -> go.Figure:
    """Return the training images' hidden states in two dimensions; the same for every image.

    Every class that has enough images is outlined, unless there are too many to tell them apart.
    """
    places = bundle.density_map
    figure = training_map(
        np.asarray(places.points), np.asarray(places.labels), bundle.splits.train, bundle.class_names, opacity=FAINT
    )
    outlines = class_outlines(bundle)
    return figure if len(outlines) > MOST_CLASSES else add_ellipses(figure, outlines, bundle.class_names)


def class_outlines(bundle: Bundle) -> dict[int, npt.NDArray[np.float64]]:
    """Return the outline of every class that has one, by its label; the others have too few images."""
    places = bundle.density_map
    known = np.flatnonzero(np.isfinite(places.means).all(1))
    return {int(c): curves.ellipse(places.means[c], places.covariances[c]) for c in known}


def marked_class_map(base: go.Figure, bundle: Bundle, shown: Shown) -> go.Figure:
    """Return a copy of the class map with each image marked, and of many classes those that they are read as."""
    figure = go.Figure(base)
    outlines = class_outlines(bundle)
    if len(outlines) > MOST_CLASSES:
        read = {analysis.prediction.label for _, analysis in shown}
        add_ellipses(figure, {c: outline for c, outline in outlines.items() if c in read}, bundle.class_names)
    figure.update_layout(uirevision=bundle.id)
    for name, analysis in shown:
        colour, symbol = palette.IMAGE_COLOURS[name], palette.MAP_SYMBOLS[name]
        mark(figure, mark_name(name), analysis.view(DensityView).position[None], colour, symbol, 20)
    return figure

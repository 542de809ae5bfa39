"""How usual the hidden state is: per class against its threshold, and on the class map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import plotly.graph_objects as go

from telltale.figures import curves, density, palette
from telltale.figures.embedding import add_ellipses, mark, training_map
from telltale.figures.results.shown import Shown, mark_name
from telltale.kinds.density import DensityView
from telltale.scores.titles import percent

if TYPE_CHECKING:
    from telltale.bundle import Bundle

FAINT = 0.25


def class_densities(shown: Shown, class_names: Sequence[str]) -> go.Figure:
    """Return log p(H | class) of each image, against every class's thresholds; classes without a mixture are absent."""
    images = [
        (name, analysis.view(DensityView).log_density, palette.IMAGE_COLOURS[name], palette.IMAGE_SYMBOLS[name])
        for name, analysis in shown
    ]
    known = np.flatnonzero(np.isfinite(images[0][1]))
    thresholds = [
        (f"threshold keeping {percent(keep)}", values[known])
        for keep, values in sorted(shown[0][1].view(DensityView).thresholds.items())
    ]
    drawn = [(name, values[known], colour, symbol) for name, values, colour, symbol in images]
    return density.class_densities([class_names[int(c)] for c in known], drawn, thresholds)


def class_map(bundle: Bundle) -> go.Figure:
    """Return the training images' hidden states in two dimensions, one outline per class; the same for every image."""
    places = bundle.density_map
    figure = training_map(
        np.asarray(places.points), np.asarray(places.labels), bundle.splits.train, bundle.class_names, opacity=FAINT
    )
    known = np.flatnonzero(np.isfinite(places.means).all(1))  # the others have too few images for an outline
    outlines = {int(c): curves.ellipse(places.means[c], places.covariances[c]) for c in known}
    return add_ellipses(figure, outlines, bundle.class_names)


def marked_class_map(base: go.Figure, bundle: Bundle, shown: Shown) -> go.Figure:
    """Return a copy of the class map with each image marked."""
    figure = go.Figure(base)
    figure.update_layout(uirevision=bundle.id)
    for name, analysis in shown:
        colour, symbol = palette.IMAGE_COLOURS[name], palette.MAP_SYMBOLS[name]
        mark(figure, mark_name(name), analysis.view(DensityView).position[None], colour, symbol, 20)
    return figure

"""How the neighbours vote: the nearest ones that the page shows, and those that the kNN detector asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import streamlit as st

from telltale.detectors.tails import BOTH
from telltale.figures.base import MOST_CLASSES
from telltale.figures.results.neighbours import detector_votes, layer_votes, vote_bars
from telltale.kinds.neighbours import NeighboursView
from telltale_app import catalogue, layout, words
from telltale_app.analyses import CaseAnalysis

if TYPE_CHECKING:
    from telltale.bundle import Bundle

Doubles = npt.NDArray[np.float64]

PROCESSINGS = {"none": "plain activations", "l2": "L2-normalised", "pca_whiten": "after PCA and whitening"}
WEIGHTINGS = {"knn": "equal votes", "wknn": "votes weighted by 1/rank", "dwknn": "votes weighted by 1/d²"}


def show_votes(case: CaseAnalysis, layer: int, k: int) -> None:
    """Show how the nearest images on one layer vote, and, folded, whom the kNN detector asks."""
    names, layer_name = case.bundle.class_names, case.bundle.layers[layer]
    st.header("Votes of the neighbours", anchor=False)
    shares = layer_votes(case.views(), len(names), layer, k)
    said = _votes_words(case, shares)
    layout.chart(
        vote_bars(shares, names),
        f"Share of the votes of the {k} nearest on {layer_name}; {said}",
        "votes",
    )
    st.caption(f"{said[0].upper()}{said[1:]}. The {k} nearest on {layer_name} have one vote each.")
    with st.expander("Whom the kNN detector asks", icon=":material/how_to_vote:"):
        _detector_votes(case)


def _detector_votes(case: CaseAnalysis) -> None:
    """Show the weighted votes behind the kNN score."""
    near = case.natural.view(NeighboursView)
    shares = detector_votes(case.views())
    said = _votes_words(case, shares)
    layout.chart(vote_bars(shares, case.bundle.class_names), f"Votes behind the kNN score; {said}", "detector-votes")
    processing = PROCESSINGS.get(near.processing, near.processing)
    weighting = WEIGHTINGS.get(near.weighting, near.weighting)
    st.caption(
        f"{said[0].upper()}{said[1:]}. {_drawn_words(case.bundle)}The kNN detector asks {near.score_k} neighbours on "
        f"{near.score_layer} ({processing}; {weighting}), whatever layer is chosen above; {_score_words(case.bundle)}."
    )


def _votes_words(case: CaseAnalysis, shares: Mapping[str, Doubles]) -> str:
    """Return what share of the votes each image's predicted class has."""
    return words.listed(
        [
            f"{image}: {words.percent(float(shares[image][analysis.prediction.label]))} for the predicted class "
            f"{analysis.prediction.name}"
            for image, analysis in case.views()
        ]
    )


def _drawn_words(bundle: Bundle) -> str:
    many = len(bundle.class_names) > MOST_CLASSES
    return f"Of {len(bundle.class_names):,} classes, those with most votes are drawn. " if many else ""


def _score_words(bundle: Bundle) -> str:
    if catalogue.detector_settings(bundle, "knn_score").get("tails") == BOTH:
        return (
            "its score says how unusual the predicted class's share is among natural images, 0 in the "
            "middle and 1 at either end: strong attacks have too many neighbours of that class, minimal ones too few"
        )
    return "its score is one minus the predicted class's share"

"""Response and entropy maps of the current case, and its mean entropy beside the reference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from telltale.figures.results.responses import (
    SPIKES,
    Under,
    beyond_scale,
    entropy_maps,
    entropy_reference,
    mean_entropy,
    response_maps,
)
from telltale.kinds.response import ResponseView
from telltale.scores import metrics
from telltale_app import engine_client, layout, words
from telltale_app.analyses import CaseAnalysis

LEVELS = (8, 16, 32, 64, 128, 256)
PATCHES = (3, 5, 7)
NAMES = ("natural", "attacked")
WIDE_OVERLAP = 0.8
PICTURE_SIDE, OVER_A_PICTURE = 64, 70  # pixels from which one sees what a picture shows; opacity of maps over it, in %


def responses_of(case: CaseAnalysis, levels: int, patch: int) -> list[ResponseView]:
    """Return the response of each image with the chosen settings, as analysed where they are the detector's own."""
    found = []
    for _, analysis in case.views():
        own = analysis.view(ResponseView)
        if (own.levels, own.patch) == (levels, patch):
            found.append(own)
        else:
            found.append(engine_client.respond(case.case.bundle, analysis.image, levels, patch))
    return found


def opacity_slider(case: CaseAnalysis) -> float:
    """Offer to lay the maps over the picture that they are of, and return their opacity; 1 leaves the picture out."""
    chosen = st.slider(
        "Opacity of the maps",
        0,
        100,
        OVER_A_PICTURE if min(case.image.shape[1:]) >= PICTURE_SIDE else 100,
        step=10,
        format="%d %%",
        key="opacity",
        bind="query-params",
        help="Below 100 % the maps are laid over the picture, in grey: what drives the network, where it is.",
        width=200,
    )
    return chosen / 100


def show_maps(case: CaseAnalysis, found: list[ResponseView], locked: bool, opacity: float) -> None:
    """Show response and entropy of each image, and the difference, each row on one locked colour scale.

    An attacked response can be a hundred times stronger: unlocked, each response fills the scale by itself.

    Parameters
    ----------
    case : CaseAnalysis
    found : list of ResponseView
        Of its images.
    locked : bool
        Whether all response maps share one colour scale.
    opacity : float
        In [0, 1]; below 1 the maps lie over the pictures.
    """
    pictures = {name: analysis.image for name, analysis in case.views()}
    large = beyond_scale(found[0])
    under = None if opacity == 1.0 else Under(pictures, opacity)
    st.header("Feature response", anchor="feature-response")
    _row(response_maps(_named(found), locked, under), "", "response")
    spikes = f" The strongest {words.percent(SPIKES)} of the pixels have the colours of its ends." if large else ""
    scale = "One scale for all maps of the row." if locked else "Each map has its own scale: compare shapes only."
    st.caption(f"Blue is a negative response, red a positive one, white none. {scale}{spikes}{_over_words(under)}")
    st.header("Local entropy", anchor="local-entropy")
    _row(entropy_maps(_named(found), under), "bits", "entropy")
    st.caption("Bits of grey-level entropy in each patch: bright is busy. The difference is signed, to the same end.")


def _over_words(under: Under | None) -> str:
    """Say what a map over a picture shows otherwise than a bare one."""
    if under is None:
        return ""
    return " Over the picture, zero is see-through instead of white; the difference lies over the natural image."


def _named(found: list[ResponseView]) -> list[tuple[str, ResponseView]]:
    return list(zip(NAMES, found, strict=False))


def _row(figures: Mapping[str, go.Figure], unit: str, key: str) -> None:
    for column, (name, figure) in zip(st.columns(3, gap="small"), figures.items(), strict=False):
        with column:
            st.markdown(f"**{name.capitalize()}**")
            values = np.asarray(figure.data[0].z)
            alt = f"{key.capitalize()} map, {name}: from {values.min():.3g} to {values.max():.3g} {unit}"
            layout.chart(figure, alt, f"{key}-{name.capitalize()}")


def show_mean_entropy(case: CaseAnalysis, found: list[ResponseView]) -> None:
    """Mark the images' mean entropy on the reference distributions, and say what those are worth."""
    st.header("Mean entropy beside the reference", anchor="mean-entropy")
    reference = entropy_reference(case.bundle.scores)
    if reference is None:
        st.info(
            "This model has no reference distribution of the mean entropy: a build that attacks labelled images brings "
            "it.",
            icon=":material/info:",
        )
        return
    auc = metrics.auc(reference[0].values, reference[1].values)
    st.markdown(direction_words(auc, case.bundle.image_shape[0] == 1))
    said = words.listed([f"this image, {name} {view.mean_entropy:.3f} bits" for name, view in _named(found)])
    layout.chart(mean_entropy(case.bundle.scores, _named(found)), f"Mean entropy: {said}", "mean-entropy")
    if (found[0].levels, found[0].patch) != (
        case.natural.view(ResponseView).levels,
        case.natural.view(ResponseView).patch,
    ):
        st.caption("The reference was computed with the detector's own levels and patch, not with those chosen above.")


def direction_words(auc: float, grey: bool) -> str:
    """Return in words which way the mean entropy points on this data, and how far that carries."""
    number = f"(AUC {auc:.2f} as the paper reads it)"
    if abs(auc - 0.5) < 0.1:
        return (
            f":material/trending_flat: On this data the mean entropy hardly tells adversarial images from natural "
            f"ones {number}, so its verdict carries little weight here."
            + (" Grey strokes on black do not show the effect that the paper reports for photographs." if grey else "")
        )
    if auc < 0.5:
        return (
            f":material/swap_vert: On this data adversarial images have **lower** mean entropy than natural ones "
            f"{number}: the direction is the reverse of the paper's. The detector learned its direction on the "
            "fitting split."
        )
    return (
        f":material/trending_up: As in the paper, adversarial images have **higher** mean entropy, "
        f"{'though the two overlap widely' if auc < WIDE_OVERLAP else 'and the two stand well apart'} {number}."
    )

"""Response and entropy maps of the current case, and its mean entropy beside the reference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import streamlit as st

from app import engine_client, layout, words
from app.analyses import CaseAnalysis
from core import metrics, views
from core.figures import palette
from core.figures.maps import distributions, heatmap
from core.results import ResponseView

LEVELS = (8, 16, 32, 64, 128, 256)
PATCHES = (3, 5, 7)
NAMES = ("natural", "attacked")
WIDE_OVERLAP = 0.8
TITLES = ("Natural", "Attacked", "Difference")

Map = npt.NDArray[np.float32]


def responses_of(case: CaseAnalysis, levels: int, patch: int) -> list[ResponseView]:
    """Return the response of each image with the chosen settings, as analysed where they are the detector's own."""
    found = []
    for _, analysis in case.views():
        own = analysis.response
        if (own.levels, own.patch) == (levels, patch):
            found.append(own)
        else:
            found.append(engine_client.respond(case.case.bundle, analysis.image, levels, patch))
    return found


def show_maps(found: list[ResponseView], locked: bool) -> None:
    """Show response and entropy of each image, and the difference, each row on one locked colour scale.

    An attacked response can be a hundred times stronger: unlocked, each response fills the scale by itself.
    """
    st.header("Feature response", anchor=False)
    maps = [view.response for view in found]
    if len(found) == 2:
        maps.append(found[1].response - found[0].response)
    ends = [views.largest_magnitude(*maps)] * 3 if locked else [views.largest_magnitude(values) for values in maps]
    _row(maps, [(-end, end, True) for end in ends], "", "response")
    scale = "One scale for all maps of the row." if locked else "Each map has its own scale: compare shapes only."
    st.caption(f"Blue is a negative response, red a positive one, white none. {scale}")
    st.header("Local entropy", anchor=False)
    maps = [view.entropy for view in found]
    top = views.largest_magnitude(*maps)
    if len(found) == 2:
        maps.append(found[1].entropy - found[0].entropy)
    _row(maps, [(0, top, False)] * 2 + [(-top, top, True)], "bits", "entropy")
    st.caption("Bits of grey-level entropy in each patch: bright is busy. The difference is signed, to the same end.")


def _row(maps: Sequence[Map], scales: Sequence[tuple[float, float, bool]], unit: str, key: str) -> None:
    for column, title, values, (low, high, diverging) in zip(
        st.columns(3, gap="small"), TITLES, maps, scales, strict=False
    ):
        with column:
            st.markdown(f"**{title}**")
            alt = f"{key.capitalize()} map, {title.lower()}: from {values.min():.3g} to {values.max():.3g} {unit}"
            layout.chart(heatmap(values, low, high, diverging, unit), alt, f"{key}-{title}")


def show_mean_entropy(case: CaseAnalysis, found: list[ResponseView]) -> None:
    """Mark the images' mean entropy on the reference distributions, and say what those are worth."""
    st.header("Mean entropy beside the reference", anchor=False)
    natural = views.select_scores(case.bundle.scores, "mean_entropy", "natural")
    adversarial = views.select_scores(case.bundle.scores, "mean_entropy", "adversarial")
    if not len(natural) or not len(adversarial):
        st.info("This model has no reference distribution of the mean entropy.", icon=":material/info:")
        return
    st.markdown(direction_words(metrics.auc(natural.values, adversarial.values), case.bundle.image_shape[0] == 1))
    groups = [
        ("natural test images", *views.density_curve(natural.values), palette.NATURAL),
        ("adversarial test images", *views.density_curve(adversarial.values), palette.ATTACKED),
    ]
    looks = (("this image, natural", palette.NATURAL, "circle"), ("this image, attacked", palette.ATTACKED, "diamond"))
    marks = [
        (name, view.mean_entropy, colour, symbol) for view, (name, colour, symbol) in zip(found, looks, strict=False)
    ]
    said = words.listed([f"{name} {value:.3f} bits" for name, value, _, _ in marks])
    layout.chart(distributions(groups, marks, "mean entropy, bits"), f"Mean entropy: {said}", "mean-entropy")
    if (found[0].levels, found[0].patch) != (case.natural.response.levels, case.natural.response.patch):
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

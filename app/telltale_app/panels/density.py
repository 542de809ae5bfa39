"""How usual the hidden state of the current case is for each class."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from telltale.bundle.absent_classes import absent_words
from telltale.figures.base import MOST_CLASSES
from telltale.figures.packed_map import MapPoints
from telltale.figures.results.density import class_densities
from telltale.figures.results.density_map import density_points, packed_density
from telltale.kinds.density import DensityView
from telltale_app import catalogue, layout, words
from telltale_app.analyses import CaseAnalysis
from telltale_app.panels import canvas_map, map_selection

if TYPE_CHECKING:
    from telltale.analysis.results import Analysis
    from telltale.bundle import Bundle

MAP = "density-map"


def density_words(case: CaseAnalysis) -> str:
    """Return for each image whether its predicted class would accept its hidden state."""
    sentences = []
    for image, analysis in case.views():
        label = analysis.prediction.label
        value = float(analysis.view(DensityView).log_density[label])
        if not math.isfinite(value):
            said = catalogue.outside_words(case.bundle, label) or (
                f"Class **{analysis.prediction.name}** has too few reference images for a density."
            )
            sentences.append(f"The {image} image: :material/folder_off: {said}")
            continue
        keep = max(analysis.view(DensityView).thresholds, default=None)
        if keep is None:
            sentences.append(f"The {image} image has log density {value:.1f} for its predicted class.")
            continue
        threshold = float(analysis.view(DensityView).thresholds[keep][label])
        verdict = ":material/check_circle: usual" if value >= threshold else ":material/warning: **unusual**"
        sentences.append(
            f"The {image} image is {verdict} for its predicted class **{analysis.prediction.name}**: log density "
            f"{value:.1f} against a threshold of {threshold:.1f}, set to keep {words.percent(keep)} of natural images."
        )
    return "\n\n".join(sentences)


def score_words(bundle: Bundle) -> str:
    """Return how these thresholds differ from the one by which the I-defender judges."""
    settings = catalogue.detector_settings(bundle, "idefender")
    plain = settings.get("variant") == "log_density" and settings.get("tails") == "upper"
    score = "this log density with its sign turned" if plain else "taken from this log density"
    return (
        "These thresholds are the paper's, one per class and the same at every α. The I-defender's score on the "
        f"workbench is {score}, with one threshold for all classes that follows α."
    )


def show_class_densities(case: CaseAnalysis) -> None:
    """Show log p(H | class) per class against the thresholds, for each image."""
    figure = class_densities(case.views(), case.bundle.class_names)
    said = words.listed(
        [
            f"{image} {_nats(analysis)} for its predicted class {analysis.prediction.name}"
            for image, analysis in case.views()
        ]
    )
    layout.chart(figure, f"Log density per class: {said}", "class-densities")
    known = int(np.isfinite(case.natural.view(DensityView).log_density).sum())
    if known > MOST_CLASSES:
        st.caption(f"Of {known:,} classes with a density, the predicted and the densest ones are drawn.")


def _nats(analysis: Analysis) -> str:
    value = float(analysis.view(DensityView).log_density[analysis.prediction.label])
    return f"{value:.1f} nats" if math.isfinite(value) else "no density"


@st.cache_resource(max_entries=16, show_spinner=False)
def _points(_bundle: Bundle, bundle_id: str) -> MapPoints:  # noqa: ARG001  # the id is the key
    return density_points(_bundle)


def show_density_map(case: CaseAnalysis) -> None:
    """Show the hidden states of all training images in two dimensions with both images marked."""
    st.header("The classes in two dimensions", anchor=False)
    bundle = case.bundle
    points = _points(bundle, bundle.id)
    word = catalogue.reference_word(bundle)
    said = (
        f"Two-dimensional map of the hidden states of {points.count:,} {word} images, one outline per class, with this "
        "image marked. Arrow keys go through the marked images, Enter opens one, plus and minus zoom, Escape takes a "
        "choice back."
    )
    picked = map_selection.lassoed_rows(bundle)
    header = canvas_map.header(bundle, MAP, said, len(picked) > 0, picked)
    packed = packed_density(points, bundle, case.views(), header)
    canvas_map.show(packed, MAP, lambda: map_selection.take(canvas_map.choice(MAP, points.count), bundle))
    point = "for its class" if bundle.image_set is None else "to see it"
    st.caption(
        f"Point at an image {point}; click it, or draw around several, to list them below. Every {word} image once, "
        f"those of other classes than the predicted ones faint; {_outline_words(bundle)} The detector judges in more "
        "dimensions than two."
    )
    if (absent := absent_words(bundle)) is not None:
        st.caption(f":material/folder_off: {absent}")
    map_selection.open_chosen(bundle)
    map_selection.show_lassoed(bundle, {})


def _outline_words(bundle: Bundle) -> str:
    lies = "lies two standard deviations from its class's mean in this flattened view."
    if len(np.unique(bundle.training_labels)) > MOST_CLASSES:
        return f"the outline of the class that an image is read as, where that class has enough images, {lies}"
    return f"each outline {lies}"


def mixture_words(bundle: Bundle) -> str:
    """Return the settings of this model's mixtures in words; empty where the bundle does not say."""
    settings = bundle.manifest.notes.get("mixtures")
    if not settings:
        return ""
    kind = {"diag": "diagonal", "full": "full"}.get(settings["covariance"], settings["covariance"])
    return (
        f" Here: {settings['components']} component(s) per class with {kind} covariance over {settings['dimensions']} "
        "principal dimensions."
    )


def show_keep_rates(bundle: Bundle) -> None:
    """Show how many natural images the thresholds keep, promised and achieved."""
    rates = bundle.manifest.notes.get("keep_rates")
    if not rates:
        return
    st.header("What the thresholds keep", anchor=False)
    rows = [
        {"promised": words.percent(float(nominal)), "achieved on natural test images": words.percent(float(achieved))}
        for nominal, achieved in sorted(rates.items())
    ]
    st.table(rows, hide_index=True, width="content", alt="Promised and achieved keep rates of the thresholds")

"""The path of the current case through the layers, in words and figures, and the strength scrubber."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import streamlit as st

from telltale.analysis import reading
from telltale.analysis.results import SweepPoint
from telltale.base import changes
from telltale.figures import palette
from telltale.figures.results.trajectory import (
    DISTANCES,
    Variant,
    compared_classes,
    departure,
    path,
    pivot_distances,
    suspicion,
)
from telltale.figures.strength import leading_classes
from telltale.figures.trajectory import sweep
from telltale.kinds.trajectory import TrajectoryView
from telltale_app import catalogue, engine_client, layout, pictures, state, words
from telltale_app.analyses import CaseAnalysis, analyse

PIVOTS = ("centroid", "medoid")
STRENGTHS = tuple(float(s) for s in np.round(np.linspace(0.0, 1.5, 16), 2))


def departure_words(case: CaseAnalysis, variant: Variant) -> tuple[str, str | None]:
    """Return where the attacked path leaves the original class, in words, and the layer's name."""
    names = case.bundle.class_names
    own = case.natural.prediction.label
    if outside := _outside(case):
        drawn = words.listed([f"**{names[label]}**" for label in compared_classes(case.views(), variant)])
        instead = f"Drawn in its place: what lies nearest among the classes that have references ({drawn})."
        return f":material/folder_off: {' '.join(outside)} {instead}", None
    if case.attacked is None or case.rival is None:
        return f"The path ends at class **{names[own]}**, the one that is predicted; there is no departure.", None
    index = departure(case.views(), variant)
    layers = case.attacked.view(TrajectoryView).layers
    if index is None:
        return (
            f":material/help: By this measure the path never ends nearer to class **{names[case.rival]}**, although "
            "that is what is predicted.",
            None,
        )
    if index == 0:
        return (
            f":material/call_split: The path is nearer to class **{names[case.rival]}** than to class **{names[own]}** "
            f"from the first layer, **{layers[0]}**, to the last.",
            layers[0],
        )
    return (
        f":material/call_split: The path leaves class **{names[own]}** for class **{names[case.rival]}** at "
        f"**{layers[index]}** (layer {index + 1} of {len(layers)}) and stays there.",
        layers[index],
    )


def show_departure(case: CaseAnalysis, variant: Variant) -> None:
    """Say where the attacked path leaves the original class, as a heading; what keeps it from being said, as text."""
    sentence, _ = departure_words(case, variant)
    st.markdown(sentence if _outside(case) else f"### {sentence}")


def _outside(case: CaseAnalysis) -> list[str]:
    """Return a sentence for every class that the images are read as and that has no reference image."""
    own = case.natural.prediction.label
    read = [own] if case.rival is None else [own, case.rival]
    return [said for label in read if (said := catalogue.outside_words(case.bundle, label))]


def verdict_words(case: CaseAnalysis) -> str:
    """Return the trajectory detector's own answer on each image; the running suspicion below is another network's."""
    if not case.natural.judged_by("trajectory"):
        return "This model has no trajectory detector: nothing judges the path."
    answers = []
    for image, analysis in case.views():
        verdict = analysis.verdict("trajectory")
        value = "not calibrated" if verdict.p_value is None else f"p = {verdict.p_value:.3f}"
        answers.append(f"{image} {value}")
    return f"The trajectory detector's answer: {words.listed(answers)}, at α {words.percent(case.case.alpha)}."


def detector_words(case: CaseAnalysis) -> str:
    """Return what reads the path in this model's detector, and where the running suspicion comes from."""
    if not case.natural.judged_by("trajectory"):
        return "No detector of this model reads them."
    settings = catalogue.detector_settings(case.bundle, "trajectory")
    if settings.get("architecture") == "mlp":
        return (
            "This model's detector is a small network (MLP) that reads the whole path at once, which did best on the "
            "fitting split; the running suspicion comes from an LSTM fitted on the same paths."
        )
    return "This model's detector is an LSTM that reads the path layer by layer; the running suspicion is its own."


def show_distances(case: CaseAnalysis, variant: Variant) -> None:
    """Show the distance to the named pivots over the band of all others, for each image."""
    names = case.bundle.class_names
    own, rival = compared_classes(case.views(), variant)
    figures = pivot_distances(case.views(), names, variant)
    for column, (image, analysis) in zip(st.columns(len(figures), gap="medium"), case.views(), strict=True):
        last = analysis.view(TrajectoryView).distances[variant][-1]
        with column:
            st.subheader(f"{image.capitalize()} image", anchor=f"{image}-image")
            alt = (
                f"{image.capitalize()} image, last layer: {DISTANCES[variant[1]]} {last[own]:.3g} to class "
                f"{names[own]} and {last[rival]:.3g} to class {names[rival]}"
            )
            layout.chart(figures[image], alt, f"pivots-{image}")


def show_path_and_suspicion(case: CaseAnalysis, variant: Variant) -> None:
    """Show the 2-D path and the running suspicion."""
    names = case.bundle.class_names
    own, rival = compared_classes(case.views(), variant)
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader(f"Path between class {names[own]} and class {names[rival]}", anchor=False)
        figure = path(case.views(), names, variant)
        layout.chart(figure, "Path of each image between two class pivots, layer by layer", "path")
        side = "above" if variant[1] == "cosine" else "below"
        st.caption(f"Every marker is a layer. A path {side} the dotted line is nearer to class {names[rival]}.")
    with right:
        _show_suspicion(case)


def _show_suspicion(case: CaseAnalysis) -> None:
    st.subheader("The LSTM's running suspicion", anchor="running-suspicion")
    if not len(case.natural.view(TrajectoryView).suspicion):
        st.info("Not available for this model: no LSTM was fitted to its paths.", icon=":material/do_not_disturb_on:")
        return
    said = words.listed(
        [
            f"{image} {words.percent(float(analysis.view(TrajectoryView).suspicion[-1]))}"
            for image, analysis in case.views()
        ]
    )
    layout.chart(suspicion(case.views()), f"Suspicion after the last layer: {said}", "suspicion")
    st.caption(
        "Share of held-out natural images that looked less suspicious to an LSTM after the same layer. Near 100 % is "
        "where an attack shows; natural images lie anywhere, equally often. It illustrates the path; the verdict is "
        "the detector's own."
    )


@st.fragment
def show_sweep(variant: Variant) -> None:
    """Scale the perturbation and follow the last layer: the strength scrubber.

    The case is asked for again, which costs nothing: what a fragment is given stays in the session's memory.
    """
    st.header("How strong must it be?", anchor="how-strong")
    case = analyse(state.current(), announce=False)
    if case.attacked is None:
        st.caption("Attack the image first; then its perturbation can be scaled here.")
        return
    with st.skeleton(height=320):
        points = engine_client.sweep(case.case.bundle, case.image, case.attacked.image, STRENGTHS)
    names, colour = case.bundle.class_names, case.bundle.image_shape[0] > 1
    own, rival = compared_classes(case.views(), variant)
    picture, plot = st.columns([1, 3], gap="medium", vertical_alignment="center")
    with plot:
        strength = st.select_slider(
            "Strength of the perturbation (× the attack's, with its ε)",
            STRENGTHS,
            value=1.0,
            format_func=lambda s: strength_words(points[STRENGTHS.index(s)], colour),
            key="strength",
            help="Scales the attack's change from none to one and a half times, rounded to 8 bits; ε is the largest "
            "change of a pixel (L∞) that results.",
        )
        at = [
            (f"class {names[label]}", _last_layer(points, variant, label), tone)
            for label, tone in _followed(points, own, rival, catalogue.with_references(case.bundle))
        ]
        layout.chart(
            sweep(STRENGTHS, at, strength, f"last layer, {DISTANCES[variant[1]]}"), sweep_words(points), "sweep"
        )
    with picture:
        chosen = points[STRENGTHS.index(strength)]
        pictures.show(
            changes.scaled(case.image, case.attacked.image, strength),
            alt=f"Image at strength {strength:g}, read as {chosen.prediction.name}",
        )
        st.markdown(
            f"{strength_words(chosen, colour)}: read as **{chosen.prediction.name}** "
            f"({words.percent(chosen.prediction.confidence)})"
        )
    st.markdown(sweep_words(points))


def _followed(
    points: Sequence[SweepPoint], own: int, rival: int, known: npt.NDArray[np.bool_]
) -> list[tuple[int, str]]:
    """Return the two compared classes and every other one that is read anywhere on the way, each with its colour.

    A class without references has no pivot, and so no line.
    """
    read = leading_classes(np.stack([point.prediction.probabilities for point in points]), [own, rival])
    others = [label for label in read if label not in (own, rival) and known[label]]
    colours = [palette.NATURAL, palette.ATTACKED, *(palette.class_colour(label) for label in others)]
    return list(zip([own, rival, *others], colours, strict=True))


def _last_layer(points: Sequence[SweepPoint], variant: Variant, label: int) -> list[float]:
    return [float(point.view(TrajectoryView).distances[variant][-1, label]) for point in points]


def strength_words(point: SweepPoint, colour: bool) -> str:
    """Return a strength with the largest change of a pixel that it makes, such as "× 0.5, ε 4/255"."""
    return f"× {point.strength:g}, ε {words.pixel_change(point.linf, colour)}"


def sweep_words(points: Sequence[SweepPoint]) -> str:
    """Return from which strength the class changes for good, in words."""
    first = reading.first_lasting_change([point.prediction.label for point in points])
    if first is None:
        return "The class does not change up to × 1.5 of this perturbation."
    before = points[0].prediction.name
    return f"From × {STRENGTHS[first]:g} of this perturbation on, the image is no longer read as {before}."

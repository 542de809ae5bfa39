"""Two models side by side: choosing the other one, where they disagree, whose attack fools whom, one image's paths."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import streamlit as st

from telltale.base.errors import InputError
from telltale.bundle.bundle import NEED_LABELS
from telltale.figures.errors import confusion_matrix
from telltale.figures.results.trajectory import pivot_distances
from telltale.figures.versus import CrossingRate, crossing_bars, departure_bars
from telltale.kinds.trajectory import NO_LAYER, TrajectoryView
from telltale.model_errors.confusion import OUTSIDE, OUTSIDE_NAME, answered, confusion_of
from telltale.model_errors.versus import BOTH, NEITHER, ONLY_FIRST, ONLY_SECOND, TwoAnswers
from telltale.model_errors.versus_attacks import FEWEST, Crossing, Transfers
from telltale_app import bundle_jobs, catalogue, emphasis, engine_client, layout, words
from telltale_app.analyses import CaseAnalysis
from telltale_app.panels import selection, trajectory
from telltale_app.panels.missing import missing_images_note
from telltale_app.panels.selection import Thumbnail

if TYPE_CHECKING:
    from telltale.bundle import Bundle

CELL, RUN = "versus-cell", "versus-run"
COUNTS = (12, 24, 48, 96)
DIFFERENT, LOST, WON, ASTRAY = "All that differ", "Only the first right", "Only the second right", "Both wrong"


def choose_other(bundle: Bundle) -> Bundle | None:
    """Let the person choose the other model; None, with what would bring one, where none fits."""
    fitting = [name for name in catalogue.bundle_names() if _fits(bundle, name)]
    if not fitting:
        st.info(
            f"No other model here knows the same classes of images of the same size as **{bundle.manifest.title}**. "
            "Train and build a second one on the same data, with another recipe or with `telltale.build`, and it can "
            "be chosen here.",
            icon=":material/compare:",
        )
        return None
    name = st.selectbox(
        f"Compare {title_of(bundle)} with",
        fitting,
        format_func=lambda other: title_of(catalogue.bundle(other)),
        key=f"versus-other-{bundle.name}",
        persist_state="session",
        width=360,
    )
    return catalogue.bundle(str(name))


def title_of(bundle: Bundle) -> str:
    """Return a model's title with its name, by which two of one title can be told apart."""
    return f"{bundle.manifest.title} ({bundle.name})"


def _fits(bundle: Bundle, name: str) -> bool:
    if name == bundle.name or catalogue.summary(name).problem is not None:
        return False
    other = catalogue.bundle(name)
    return (other.class_names, other.image_shape) == (bundle.class_names, bundle.image_shape)


def answers_words(answers: TwoAnswers) -> str:
    """Return how often the two disagree, and which is right more often."""
    right = {name: int(mask.sum()) for name, mask in answers.right.items()}
    differing = int(answers.differ.sum())
    text = (
        f"Of {len(answers):,} images held out, **{differing:,}** ({words.percent(differing / len(answers))}) get "
        "different answers. "
    )
    if not answers.labelled:
        return f"{text}Which of them is right cannot be said: {NEED_LABELS[:1].lower()}{NEED_LABELS[1:]}"
    text += (
        f"Both are right on {right[BOTH]:,}, only **{answers.first_name}** on "
        f"{right[ONLY_FIRST]:,}, only **{answers.second_name}** on {right[ONLY_SECOND]:,}, neither on "
        f"{right[NEITHER]:,}. "
    )
    better = answers.first_name if right[ONLY_FIRST] > right[ONLY_SECOND] else answers.second_name
    verdict = f"**{better}** is right more often" if answers.p_value < 0.05 else "Neither is clearly right more often"
    text += f"{verdict} (McNemar's exact test, p = {answers.p_value:.2g})."
    if not answers.new_to_both:
        text += f" Whether {answers.second_name} has learned from some of these images is not known."
    return text


def show_answers(bundle: Bundle, answers: TwoAnswers) -> None:
    """Show the two models' answers against each other, and the images on which they differ."""
    st.markdown(answers_words(answers))
    if not answers.differ.any():
        return
    scope = f"{bundle.id}-{answers.second_name}"
    left, right = st.columns(2, gap="medium")
    with left:
        known = catalogue.with_references(bundle)
        whole = confusion_of(answers.first, answers.second, bundle.class_names, known)
        found = whole.shown()
        figure = confusion_matrix(
            found.counts,
            found.names,
            labels=found.labels,
            x=f"read by {answers.second_name} as",
            y=f"read by {answers.first_name} as",
        )
        key = f"versus-matrix-{scope}"
        selection.selectable_cells(
            layout.legible(figure, layout.theme_colour("textColor")),
            f"Answers of {answers.first_name} against those of {answers.second_name} on {len(answers):,} images",
            key,
            lambda: selection.take(key, CELL, scope),
        )
        part = ""
        if len(found.names) < len(whole.names):
            part = f" Of all classes, the {len(found.names)} on which the answers differ most are drawn."
        st.caption(f"The diagonal holds equal answers. Choose a cell to see its images.{part}")
    with right:
        _show_differing(bundle, answers, scope)


def _show_differing(bundle: Bundle, answers: TwoAnswers, scope: str) -> None:
    kinds = (DIFFERENT, LOST, WON, ASTRAY) if answers.labelled else (DIFFERENT,)
    choice = st.pills("Show", kinds, default=DIFFERENT, required=True, key="versus-which")
    chosen = answers.differ & _masks(answers)[str(choice or DIFFERENT)]
    cell = selection.selected(CELL, scope)
    if cell is not None and len(cell) == 2:
        known = catalogue.with_references(bundle)
        chosen &= answered(answers.first, known, int(cell[0])) & answered(answers.second, known, int(cell[1]))
        with st.container(horizontal=True, vertical_alignment="center"):
            first, second = (OUTSIDE_NAME if label == OUTSIDE else bundle.class_names[int(label)] for label in cell)
            st.markdown(f":material/filter_alt: Only **{first}** against **{second}**.")
            st.button("Show all", icon=":material/close:", key="versus-clear", on_click=selection.clear, args=(CELL,))
    shown = answers.take(chosen)
    if not len(shown):
        st.info("No image is among these.", icon=":material/filter_alt_off:")
        return
    st.markdown(
        f"**{len(shown):,}** images. Below each: its **true class**, and what {answers.first_name} | "
        f"{answers.second_name} read."
    )
    selection.thumbnails(bundle, len(shown), lambda row: _thumbnail(bundle, shown, row), "versus")


def _masks(answers: TwoAnswers) -> dict[str, npt.NDArray[np.bool_]]:
    right = answers.right
    return {DIFFERENT: answers.differ, LOST: right[ONLY_FIRST], WON: right[ONLY_SECOND], ASTRAY: right[NEITHER]}


def _thumbnail(bundle: Bundle, answers: TwoAnswers, row: int) -> Thumbnail:
    image_id = int(answers.ids[row])
    true, first, second = (
        bundle.class_names[int(labels[row])] for labels in (answers.labels, answers.first, answers.second)
    )
    said = f"Image {image_id}, class {true}, read as {first} and as {second}"
    return Thumbnail(image_id, f"{answers.splits[row]}-{image_id}", said, f"**{true}**  \n{first} | {second}")


def show_transfers(bundle: Bundle, other: Bundle) -> None:
    """Let the person start an attack on both models, and show whom it fools."""
    if bundle.image_set is None:
        missing_images_note(bundle, "Test images are attacked here, so they are needed; the answers are not.")
        return
    _controls(bundle, other)
    asked: dict[str, Any] | None = st.session_state.get(RUN)
    if asked is None or asked["scope"] != _scope(bundle, other):
        st.caption(
            "Test images that both models read correctly are attacked on each of them; both read what comes out."
        )
        return
    arguments = {name: asked[name] for name in ("attack", "images", "seed")}
    title = catalogue.attack_title(str(asked["attack"]))
    found: Transfers | None = bundle_jobs.result_of(
        "transfers", bundle, f"Attacking with {title}", other=other.name, parameters={}, **arguments
    )
    if found is not None:
        _show_crossings(found, title)


def _controls(bundle: Bundle, other: Bundle) -> None:
    specs = {name: spec for name, spec in catalogue.attacks().items() if not spec.needs_detectors}
    names = list(specs)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        attack = st.selectbox(
            "Attack",
            names,
            index=names.index(catalogue.DEFAULT_ATTACK),
            format_func=lambda name: specs[name].title,
            key="versus-attack",
            width=200,
        )
        images = st.segmented_control("Images", COUNTS, default=COUNTS[1], key="versus-count", required=True)
        seed = st.number_input("Seed", 0, 2**31 - 1, 0, key="versus-seed", width=140)
        st.button(
            "Start",
            icon=":material/play_arrow:",
            type=emphasis.filled(),
            key="versus-start",
            on_click=_start,
            args=(_scope(bundle, other), str(attack), int(images or FEWEST), int(seed)),
        )


def _scope(bundle: Bundle, other: Bundle) -> str:
    return f"{bundle.id}-{other.id}"


def _start(scope: str, attack: str, images: int, seed: int) -> None:
    st.session_state[RUN] = {"scope": scope, "attack": attack, "images": images, "seed": seed}


def crossing_words(found: Transfers) -> str:
    """Return the share of the images that fool the other model, either way, beyond what noise does."""
    said = []
    for crossing in found.crossings:
        if crossing.made_on != crossing.read_by:
            low, high = crossing.fooled.interval
            said.append(
                f"made on **{crossing.made_on}** fool **{crossing.read_by}** in "
                f"{words.percent(crossing.fooled.share)} ({words.percent(low)} to {words.percent(high)}) of "
                f"{crossing.fooled.total}, the same perturbations on other images in "
                f"{words.percent(crossing.control.share)}"
            )
    return f"Attacks {'; those '.join(said)}."


def _show_crossings(found: Transfers, title: str) -> None:
    st.markdown(crossing_words(found))
    bars = [
        CrossingRate(
            f"{crossing.made_on} → {crossing.read_by}",
            crossing.fooled.share,
            *crossing.fooled.interval,
            crossing.control.share,
            crossing.fooled.total,
        )
        for crossing in found.crossings
    ]
    layout.chart(crossing_bars(bars), crossing_words(found).replace("**", ""), "versus-crossings")
    natural = words.listed([f"{name} {words.percent(rate.share)}" for name, rate in found.natural.items()])
    st.caption(
        f"{title}, made on the model left of the arrow and read by the one right of it, with 95 % intervals. Without "
        f"an attack none of these images is misread; of all test images the models misread: {natural}."
    )
    st.subheader("At which layer they depart", anchor=False)
    columns = st.columns(len(found.layers), gap="medium")
    for column, (reader, layers) in zip(columns, found.layers.items(), strict=True):
        with column:
            _show_departures(reader, layers, [crossing for crossing in found.crossings if crossing.read_by == reader])


def _show_departures(reader: str, layers: tuple[str, ...], crossings: list[Crossing]) -> None:
    known = [crossing for crossing in crossings if len(crossing.departures)]
    st.markdown(f"**{reader}**")
    if not known:
        st.caption("None of these images is misread, or this model has no trajectories.")
        return
    groups = [(f"attacked on {crossing.made_on}", _counts(crossing, len(layers))) for crossing in known]
    layout.chart(
        departure_bars([*layers, "never"], groups),
        f"Departure layers of the images that {reader} misreads",
        f"versus-departures-{reader}",
    )


def _counts(crossing: Crossing, layers: int) -> list[int]:
    places = np.where(crossing.departures == NO_LAYER, layers, crossing.departures)
    return [int(count) for count in np.bincount(places, minlength=layers + 1)]


def show_paths(other: Bundle) -> None:
    """Show the current case's path through both models; the attack, if there is one, was made on the first."""
    case = layout.evidence_case(TrajectoryView)
    theirs = _read_by(other, case)
    for reader in (case, theirs):
        st.subheader(title_of(reader.bundle), anchor=False)
        try:
            own = reader.natural.view(TrajectoryView)
        except InputError as error:
            st.info(f"Not available for this model: {error}", icon=":material/do_not_disturb_on:")
            continue
        variant = (own.pivot, own.distance)
        after = (reader.attacked or reader.natural).prediction
        st.markdown(f"Read as **{after.name}** ({words.percent(after.confidence)}).")
        st.markdown(trajectory.departure_words(reader, variant)[0])
        shown = reader.views()
        figures = pivot_distances(shown, reader.bundle.class_names, variant)
        layout.chart(figures[shown[-1][0]], f"Path through {reader.bundle.name}", f"versus-path-{reader.bundle.name}")


def _read_by(other: Bundle, case: CaseAnalysis) -> CaseAnalysis:
    """Return the case as the other model reads the same pixels."""
    alpha, images = case.case.alpha, [analysis.image for _, analysis in case.views()]
    jobs = [engine_client.submit_analysis(other.name, image, alpha) for image in images]
    analyses = [engine_client.wait_analysis(job, f"Reading with {other.manifest.title}") for job in jobs]
    return replace(case, bundle=other, natural=analyses[0], attacked=analyses[1] if len(analyses) > 1 else None)

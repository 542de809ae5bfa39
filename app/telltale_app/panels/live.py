"""The live run on the page: start, watch the curve grow, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from telltale.base.parameters import validate_parameters
from telltale.figures.roc import roc_curves
from telltale.scores import metrics, table
from telltale_app import catalogue, emphasis, layout, state, words
from telltale_app.live import LiveRun
from telltale_app.panels.missing import missing_images_note

if TYPE_CHECKING:
    from telltale.bundle import Bundle

COUNTS = (12, 24, 48, 96)
POLL_SECONDS = 1.0
FEWEST_FOR_A_CURVE = 2


def live_run(bundle: Bundle, detector: str) -> None:
    """Draw the whole section; Cancel stands in the main script, the curve in a fragment that polls."""
    st.header("Live run", anchor=False)
    st.markdown(
        "The curves above come with the model. This one is made now: fresh attacks on test images, a few at a time."
    )
    if bundle.image_set is None:
        missing_images_note(bundle, "A live run attacks test images, so it needs them; the stored curves do not.")
        return
    run: LiveRun | None = st.session_state.get("live-run")
    _controls(bundle, run)
    if run is None:
        return
    if run.bundle != bundle.name:
        st.session_state.pop("live-run")
        return
    st.fragment(_progress, run_every=POLL_SECONDS if run.running else None)(run, detector)


def _controls(bundle: Bundle, run: LiveRun | None) -> None:
    specs = catalogue.attacks()
    default = state.current().attack or catalogue.DEFAULT_ATTACK
    running = run is not None and run.running
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox(
            "Attack",
            list(specs),
            index=list(specs).index(default),
            format_func=lambda name: specs[name].title,
            key="live-attack",
            disabled=running,
            width=200,
        )
        st.segmented_control("Images", COUNTS, default=COUNTS[1], key="live-count", required=True, disabled=running)
        st.number_input("Seed", 0, 2**31 - 1, 0, key="live-seed", disabled=running, width=140)
        if running and run is not None:
            st.button("Cancel", icon=":material/cancel:", key="live-cancel", on_click=run.cancel)
        else:
            st.button(
                "Start",
                icon=":material/play_arrow:",
                type=emphasis.filled(),
                key="live-start",
                on_click=_start,
                args=(bundle,),
            )
    st.caption(
        "It has the settings with which the stored scores were made; where the current case uses the same attack, the "
        "case's."
    )


def _start(bundle: Bundle) -> None:
    name = st.session_state["live-attack"]
    case = state.current()
    spec = catalogue.attacks()[name]
    given = bundle.attack_parameters(name) | (dict(case.parameters) if case.attack == name else {})
    seed = int(st.session_state["live-seed"])
    run = LiveRun(
        bundle.name,
        name,
        validate_parameters(spec.parameters, given, spec.title),
        seed,
        table.draw_test_ids(bundle.scores, int(st.session_state["live-count"]), seed),
    )
    run.advance()
    st.session_state["live-run"] = run


def _progress(run: LiveRun, detector: str) -> None:
    was_running = run.running
    run.advance()
    st.progress(run.done / max(1, len(run.ids)), text=progress_words(run))
    if run.problem:
        st.error(run.problem, icon=":material/error:")
    _curve(run, detector)
    if was_running and not run.running:
        st.rerun()


def progress_words(run: LiveRun) -> str:
    """Return how far a run is, in words."""
    title = catalogue.attack_title(run.attack)
    count = f"{run.done} of {len(run.ids)} images attacked with {title}, {run.fooled} fooled the model"
    if run.cancelled:
        return f"Cancelled. {count}."
    if not run.running:
        return f"Finished. {count}."
    return f"{count}; about {words.seconds(run.seconds_left)} left." if run.seconds_left else f"Started. {count}."


def _curve(run: LiveRun, detector: str) -> None:
    if not run.results:
        return
    natural, adversarial = run.scores(detector)
    if min(len(natural), len(adversarial)) < FEWEST_FOR_A_CURVE:
        st.caption("The curve appears as soon as a few attacks have succeeded.")
        return
    curve = metrics.roc_curve(natural, adversarial)
    of_natural, of_adversarial = run.image_ids()
    low, high = metrics.auc_interval(
        natural, adversarial, n_resamples=200, natural_groups=of_natural, adversarial_groups=of_adversarial
    )
    auc = metrics.auc(natural, adversarial)
    title = catalogue.detector_title(detector)
    said = f"{title}, live: AUC {auc:.3f} ({low:.3f} – {high:.3f}, 95 %)"
    layout.chart(roc_curves([(said, curve.fpr, curve.tpr)], [], False, 1.0 / len(natural)), said, "live-roc")
    st.markdown(f"**{said}**, from {len(natural)} natural and {len(adversarial)} adversarial images.")

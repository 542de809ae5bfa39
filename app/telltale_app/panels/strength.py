"""The attack's change from none to one and a half times, moved through in the browser: pictures and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from telltale.analysis import reading
from telltale.analysis.results import SweepPoint
from telltale.base import changes
from telltale.base.errors import TelltaleError
from telltale.data.uploads import png_address
from telltale.figures import palette
from telltale.figures.strength import StrengthFrame, along_strength, leading_classes
from telltale_app import engine_client, layout, pictures, state, words
from telltale_app.analyses import CaseAnalysis
from telltale_app.panels.trajectory import STRENGTHS, strength_words, sweep_words

if TYPE_CHECKING:
    from telltale.engine import Job

SIDE = 128  # pixels that small pictures are enlarged to
STOPPED = "strength-stopped"  # the case for which it was cancelled
EVERY_OF_LARGE = 2  # of large pictures, every other one travels


def show_strength(case: CaseAnalysis) -> None:
    """Show what the image is read as at every strength of its change; nothing where it has not been attacked."""
    points = _points(case)
    if case.attacked is None or points is None:
        return
    probabilities = np.stack([point.prediction.probabilities for point in points])
    own, reached = case.natural.prediction.label, case.attacked.prediction.label
    colours = {reached: palette.ATTACKED, own: palette.NATURAL}
    labels = leading_classes(probabilities, [own, reached])
    step = EVERY_OF_LARGE if min(case.image.shape[1:]) >= pictures.LARGE_SIDE else 1
    frames = _frames(case, points[::step])
    shown = [frame.strength for frame in frames].index(1.0)
    first = reading.first_lasting_change([point.prediction.label for point in points])
    layout.chart(
        along_strength(
            STRENGTHS,
            [
                (
                    case.bundle.class_names[label],
                    probabilities[:, label].tolist(),
                    colours.get(label, palette.class_colour(label)),
                )
                for label in labels
            ],
            frames,
            shown,
            None if first is None else STRENGTHS[first],
        ),
        f"Class probabilities as the change grows. {sweep_words(points)}",
        "strength-frames",
    )
    st.caption(
        f"{sweep_words(points)} Drag, or press Play.",
        help="The picture is the image at that strength; a line stands for every class that leads anywhere on the way.",
    )


def _points(case: CaseAnalysis) -> Sequence[SweepPoint] | None:
    """Return what is read at every strength; None where there is nothing to follow, or it was cancelled or failed.

    Cancelling gives up nothing but this: the attack and its verdicts stay.
    """
    if case.attacked is None:
        return None
    if st.session_state.get(STOPPED) == case.case:
        st.caption("Following the change was cancelled.")
        st.button("Follow it", icon=":material/refresh:", key="again-strength", on_click=_go_on)
        return None
    job = engine_client.submit_sweep(case.case.bundle, case.image, case.attacked.image, STRENGTHS)
    try:
        engine_client.watch(job, "Following the change", _stop)
        points: Sequence[SweepPoint] = job.result()
    except TelltaleError as error:
        st.error(str(error), icon=":material/error:")
        return None
    return points


def _stop(job: Job) -> None:
    job.cancel()
    st.session_state[STOPPED] = state.current()


def _go_on() -> None:
    st.session_state.pop(STOPPED, None)


def _frames(case: CaseAnalysis, points: Sequence[SweepPoint]) -> list[StrengthFrame]:
    assert case.attacked is not None
    frames = []
    for point in points:
        image = changes.scaled(case.image, case.attacked.image, point.strength)
        read = f"{point.prediction.name} ({words.percent(point.prediction.confidence)})"
        colour = case.bundle.image_shape[0] > 1
        frames.append(
            StrengthFrame(
                point.strength,
                png_address(pictures.png(image, SIDE)),
                f"{strength_words(point, colour)}: read as {read}",
            )
        )
    return frames

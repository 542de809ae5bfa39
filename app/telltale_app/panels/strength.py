"""The attack's change from none to one and a half times, moved through in the browser: pictures, readings, verdicts."""

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
from telltale.figures.strength import StrengthFrame, StrengthVerdict, along_strength, leading_classes
from telltale.scores.calibration import fused_kind_at
from telltale_app import engine_client, layout, pictures, state, words
from telltale_app.analyses import CaseAnalysis
from telltale_app.panels.trajectory import STRENGTHS, strength_words, sweep_words

if TYPE_CHECKING:
    from telltale.engine import Job
    from telltale.scores.verdicts import FusedVerdict

SIDE = 128  # pixels that small pictures are enlarged to
MARKS = "a circle looks natural, a square is probably wrong but not attacked, a diamond looks adversarial"
STOPPED = "strength-stopped"  # the case for which it was cancelled
EVERY_OF_LARGE = 2  # of large pictures, every other one travels


def show_strength(case: CaseAnalysis) -> None:
    """Show what the image is read as at every strength of its change; nothing where it has not been attacked."""
    followed = _followed(case)
    if case.attacked is None or followed is None:
        return
    points, fused = followed
    verdicts = _verdicts(case, fused)
    probabilities = np.stack([point.prediction.probabilities for point in points])
    own, reached = case.natural.prediction.label, case.attacked.prediction.label
    colours = {reached: palette.ATTACKED, own: palette.NATURAL}
    labels = leading_classes(probabilities, [own, reached])
    step = EVERY_OF_LARGE if _large(case) else 1
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
            verdicts,
        ),
        f"Class probabilities as the change grows. {sweep_words(points)} {_verdict_words(verdicts)}",
        "strength-frames",
    )
    st.caption(
        f"{sweep_words(points)} {_verdict_words(verdicts)} Drag, or press Play.",
        help="The picture is the image at that strength; a line stands for every class that leads anywhere on the way."
        + (f" Above the lines, what the fused verdict says of each: {MARKS}." if verdicts else ""),
    )


def _followed(case: CaseAnalysis) -> tuple[Sequence[SweepPoint], Sequence[FusedVerdict]] | None:
    """Return what is read at every strength, and the fused verdicts.

    None where there is nothing to follow, or it was cancelled or failed. Cancelling gives up nothing but this: the
    attack and its verdicts stay. Of large pictures the verdict is not followed: each takes a second.
    """
    if case.attacked is None:
        return None
    if st.session_state.get(STOPPED) == case.case:
        st.caption("Following the change was cancelled.")
        st.button("Follow it", icon=":material/refresh:", key="again-strength", on_click=_go_on)
        return None
    asked = (case.case.bundle, case.image, case.attacked.image, STRENGTHS)
    readings = engine_client.submit_sweep(*asked)
    asks = case.natural.fused is not None and not _large(case)
    verdicts = engine_client.submit_verdicts_along(*asked) if asks else None
    try:
        engine_client.watch(readings, "Following the change", _stop)
        points: Sequence[SweepPoint] = readings.result()
        if verdicts is None:
            return points, ()
        engine_client.watch(verdicts, "Asking the detectors along the change", _stop)
        fused: Sequence[FusedVerdict] = verdicts.result()
    except TelltaleError as error:
        st.error(str(error), icon=":material/error:")
        return None
    return points, fused


def _large(case: CaseAnalysis) -> bool:
    return bool(min(case.image.shape[1:]) >= pictures.LARGE_SIDE)


def _verdicts(case: CaseAnalysis, fused: Sequence[FusedVerdict]) -> list[StrengthVerdict]:
    return [
        StrengthVerdict(strength, fused_kind_at(verdict, case.case.alpha), f"p = {verdict.attack.p_value:.3f}")
        for strength, verdict in zip(STRENGTHS, fused, strict=bool(fused))
        if verdict.attack.p_value is not None
    ]


def _verdict_words(verdicts: Sequence[StrengthVerdict]) -> str:
    """Say from where on the fused verdict calls the image adversarial, and where it does not."""
    if not verdicts or any(verdict.kind == "uncalibrated" for verdict in verdicts):
        return ""
    called = [verdict.strength for verdict in verdicts if verdict.kind == "adversarial"]
    if not called:
        return "The fused verdict calls it adversarial at none of these strengths."
    spans = [f"× {low:g}" if low == high else f"× {low:g} to × {high:g}" for low, high in _spans(called)]
    return f"The fused verdict calls it adversarial at {words.listed(spans)}."


def _spans(strengths: Sequence[float]) -> list[tuple[float, float]]:
    """Return the first and the last of every stretch of neighbouring strengths."""
    found: list[tuple[float, float]] = []
    for strength in strengths:
        if found and STRENGTHS.index(found[-1][1]) + 1 == STRENGTHS.index(strength):
            found[-1] = found[-1][0], strength
        else:
            found.append((strength, strength))
    return found


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
                f"{strength_words(point, colour)}: {read}",
            )
        )
    return frames

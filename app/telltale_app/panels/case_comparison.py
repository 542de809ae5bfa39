"""The ticked cases: the stored numbers of one, or two side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from telltale.base.errors import InputError
from telltale.cases import wording
from telltale.cases.record import ImageNumbers, SavedCase
from telltale.detectors.fusion import FUSED
from telltale.scores import titles
from telltale_app import words
from telltale_app.panels.case_list import both_pictures, compared, forget, title

if TYPE_CHECKING:
    from telltale.cases.store import CaseStore

SIDE = 128


def comparison(store: CaseStore) -> None:
    """Show what is ticked, if anything."""
    chosen = _read(store)
    if not chosen:
        return
    with st.container(border=True, key="case-comparison"):
        st.header("Side by side" if len(chosen) > 1 else "Stored numbers", anchor=False)
        if len(chosen) == 1:
            st.caption("Tick **Compare** at a second case to see both side by side.")
        for column, saved in zip(st.columns(2, gap="medium"), chosen, strict=False):
            with column:
                st.subheader(title(saved.record).replace("$", r"\$"), anchor=False)
                both_pictures(saved, SIDE)
                st.text(wording.sentence(saved.record))
        images = _images(chosen)
        if len(chosen) > 1:
            st.markdown(_disagreement(*(image for _, image in images)))
        st.dataframe(
            _rows(images),
            hide_index=True,
            height="content",
            alt="Every detector's stored score and verdict: " + words.listed([name for name, _ in images]),
        )


def _read(store: CaseStore) -> list[SavedCase]:
    """Return the ticked cases; one that somebody else has deleted meanwhile is no longer ticked."""
    found = []
    for case_id in compared():
        try:
            found.append(store.get(case_id))
        except InputError:
            forget(case_id)
    return found


def _images(chosen: list[SavedCase]) -> list[tuple[str, ImageNumbers]]:
    """Return what is compared: the images of one case, or the one that each of two cases is about."""
    if len(chosen) == 1:
        return list(chosen[0].record.numbers.images())
    return [(("left", "right")[i], saved.record.numbers.judged) for i, saved in enumerate(chosen)]


def _disagreement(first: ImageNumbers, second: ImageNumbers) -> str:
    after = {verdict.detector: verdict.adversarial for verdict in second.verdicts}
    both = [verdict for verdict in first.verdicts if verdict.detector in after]
    differing = [titles.detector_title(v.detector) for v in both if v.adversarial is not after[v.detector]]
    if not differing:
        return f"All {len(both)} detectors say the same of both."
    return f"**{len(differing)} of {len(both)}** detectors say something else of the two: {words.listed(differing)}."


def _rows(images: list[tuple[str, ImageNumbers]]) -> list[dict[str, object]]:
    names = dict.fromkeys(verdict.detector for _, image in images for verdict in image.verdicts)
    fused = [FUSED] if any(image.fused for _, image in images) else []
    rows: list[dict[str, object]] = [{"detector": titles.detector_title(name)} for name in (*fused, *names)]
    for label, image in images:
        answers = {titles.detector_title(v.detector): (titles.verdict_title(v.adversarial), v) for v in image.verdicts}
        if image.fused is not None:
            answers[titles.detector_title(FUSED)] = (wording.fused_words(image), image.fused.attack)
        for row in rows:
            said, verdict = answers.get(str(row["detector"]), ("–", None))
            row[f"{label}: verdict"] = said
            row[f"{label}: score"] = "–" if verdict is None else titles.number(verdict.score)
            row[f"{label}: p-value"] = "–" if verdict is None else titles.number(verdict.p_value)
    return rows

"""What it takes to fool the model where it may answer with few of its classes only."""

from __future__ import annotations

import math
from collections.abc import Sequence

import streamlit as st

from telltale.analysis.results import FewClasses
from telltale_app import engine_client, pictures, words
from telltale_app.analyses import CaseAnalysis

KEY, ANCHOR = "few-classes", "few-classes"
FEWEST = 2  # classes, of which none can be left out
METHOD = (
    "**With few classes**, DeepFool attacks the natural image while the network may answer only with its class and one "
    "or two others, drawn by lot; shown is the draw with the median change. The paper trains networks for two and for "
    "three classes, and finds that fooling them takes a change that can be seen (Figure 6). Here one network's answers "
    "are restricted, which moves no boundary and only takes the nearest ones away."
)


def show(case: CaseAnalysis) -> None:
    """Offer the attack among two, three and all classes, and show its pictures once it is asked for."""
    if len(case.bundle.class_names) <= FEWEST:
        return
    st.header("With few classes to be mistaken for", anchor=ANCHOR)
    asked = st.toggle(
        "Fool it among two, three and all classes",
        key=KEY,
        bind="query-params",
        help="DeepFool looks for the smallest change that does, with other classes drawn by lot.",
    )
    if not asked:
        st.caption("With fewer classes to be mistaken for, the nearest wrong one may lie farther away.")
        return
    found = engine_client.few_classes(case.case.bundle, case.image)
    st.markdown(sentence(found, case.bundle.class_names))
    natural, *places = st.columns(1 + len(found))
    with natural:
        own = case.natural.prediction
        pictures.show(case.image, alt=f"The natural image, read as {own.name}", caption=f"natural: {own.name}")
    for place, few in zip(places, found, strict=True):
        with place:
            _picture(few, case.bundle.class_names)


def sentence(found: Sequence[FewClasses], class_names: Sequence[str]) -> str:
    """Say how much larger the change must be among few classes than among all."""
    every = found[-1]
    told = [few for few in found[:-1] if few.fooled]
    if not every.fooled or every.l2 == 0.0:
        return f"Even among all {len(every.classes):,} classes no change was found that fools the model on this image."
    if not told:
        return "Among few classes no change was found that fools the model on this image; among all classes one was."
    own = class_names[told[0].classes[0]]
    said = words.listed([_times(few, every) for few in told])
    return (
        f"With nothing but **{own}** and others drawn by lot to answer, the change must be {said} as large as among "
        f"all {len(every.classes):,} classes (L2 {every.l2:.3g})."
    )


def _times(few: FewClasses, every: FewClasses) -> str:
    low, high = (f"{size / every.l2:.2g}" if math.isfinite(size) else "more" for size in few.range)
    return (
        f"**{few.l2 / every.l2:.2g} times** with {len(few.classes) - 1} "
        f"{'other' if len(few.classes) == 2 else 'others'} ({low} to {high} in {few.draws} draws)"
    )


def _picture(few: FewClasses, class_names: Sequence[str]) -> None:
    count, name = len(few.classes), class_names[few.label]
    read = f"read as {name}" if few.fooled else f"still read as {name}"
    pictures.show(
        few.image,
        alt=f"Attacked among {count} classes, {read}; L2 {few.l2:.3g}, no pixel changed by more than {few.linf:.3g}",
        caption=f"{count:,} classes: {read}, L2 {few.l2:.3g}",
    )

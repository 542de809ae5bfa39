"""What it takes to fool the model where it may answer with few of its classes only."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from telltale.analysis.results import FewClasses
from telltale_app import engine_client, pictures, words
from telltale_app.analyses import CaseAnalysis

KEY, ANCHOR = "few-classes", "few-classes"
METHOD = (
    "**With few classes**, DeepFool attacks the natural image while the network may answer only with its class and the "
    "one or two that it is likeliest to be mistaken for; with all classes it is the usual attack. The paper trains "
    "networks for two and for three classes (Figure 6); here one network's answers are restricted."
)


def show(case: CaseAnalysis) -> None:
    """Offer the attack among two, three and all classes, and show its pictures once it is asked for."""
    st.header("With few classes to be mistaken for", anchor=ANCHOR)
    asked = st.toggle(
        "Fool it among two, three and all classes",
        key=KEY,
        bind="query-params",
        help="DeepFool looks for the smallest change that does; three attacks.",
    )
    if not asked:
        st.caption("The fewer classes there are, the larger must be the change that turns one into another.")
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
    """Say how much larger the change must be among the fewest classes than among all, and among which."""
    fewest, every = found[0], found[-1]
    if not (fewest.fooled and every.fooled) or every.l2 == 0.0:
        few = words.listed([f"{len(one.classes)}" for one in found if not one.fooled])
        return f"Among {few} classes no change was found that fools the model on this image."
    names = words.listed([f"**{class_names[label]}**" for label in fewest.classes])
    return (
        f"With nothing but {names} to answer, the change must be **{fewest.l2 / every.l2:.3g} times** as large as "
        f"among all {len(every.classes):,} classes (L2 {fewest.l2:.3g} instead of {every.l2:.3g})."
    )


def _picture(few: FewClasses, class_names: Sequence[str]) -> None:
    count, name = len(few.classes), class_names[few.label]
    read = f"read as {name}" if few.fooled else f"still read as {name}"
    pictures.show(
        few.image,
        alt=f"Attacked among {count} classes, {read}; L2 {few.l2:.3g}, no pixel changed by more than {few.linf:.3g}",
        caption=f"{count:,} classes: {read}, L2 {few.l2:.3g}",
    )

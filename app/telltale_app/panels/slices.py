"""Groups of images that the model misreads more often than others; a click shows the errors of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go
import streamlit as st

from telltale.figures.slices import GroupRate, group_rates
from telltale.model_errors.slices import FailureSlices, Slice
from telltale.model_errors.slices_features import DOUBT
from telltale_app import layout, words

if TYPE_CHECKING:
    from telltale.bundle import Bundle

SLICE = "errors-slice"
TAB, ERRORS_TAB = "misclassifications-tab", "Model errors"


def chosen_slice(scope: str) -> tuple[str, npt.NDArray[np.int64]] | None:
    """Return name and images of the group that was chosen; None where none is, or that of another model."""
    kept = st.session_state.get(SLICE)
    if kept is None or kept["scope"] != scope:
        return None
    return kept["name"], np.asarray(kept["ids"], dtype=np.int64)


def choose_without() -> tuple[str, ...]:
    """Let the person say whether groups are also described by how much the network doubts; return what they are not."""
    doubt = st.toggle(
        "Describe groups also by confidence and neighbour agreement",
        key="slices-doubt",
        persist_state="session",
        help="What the model doubts holds most errors of any model, and hides what kind of images they are.",
    )
    return () if doubt else DOUBT


def summary_words(found: FailureSlices) -> str:
    """Return how many groups there are, and of how many that were tried."""
    overall = words.percent(found.overall.share)
    searched = (
        f"{found.tried:,} groups were tried on one half of the images, and the {found.counted:,} best that hardly "
        "overlap were counted among the other half"
    )
    if found.overall.count == 0 or found.counted == 0:
        return (
            f"Too few of the {found.overall.total:,} images that would be counted are misread "
            f"({found.overall.count:,}) for any group to stand out."
        )
    if not found.slices:
        return (
            f"**No group stands out.** {searched}: in none are errors more frequent than chance explains. All in "
            f"all {overall} are misread; with {found.overall.count:,} errors to count, small differences stay unseen."
        )
    one = len(found.slices) == 1
    return (
        f"**{len(found.slices)} {'group is' if one else 'groups are'} misread more often** than all images "
        f"({overall}). {searched}."
    )


def show_slices(bundle: Bundle, found: FailureSlices) -> None:
    """Show the groups that stand out, each with a button that shows its errors, and what could not be looked at."""
    st.markdown(summary_words(found))
    if found.slices:
        layout.chart(
            _figure(found),
            f"Error rates of {len(found.slices)} groups with intervals; all images {found.overall.share:.1%}",
            f"slices-figure-{bundle.name}",
        )
        with st.grid("auto", min_column_width=280, gap="small"):
            for place, group in enumerate(found.slices):
                with st.container(border=True):
                    _card(bundle, found, group, place)
    if found.missing:
        reasons: dict[str, list[str]] = {}
        for name, reason in found.missing.items():
            reasons.setdefault(reason.rstrip("."), []).append(name)
        said = "; ".join(f"{words.listed(names)}: {reason}" for reason, names in reasons.items())
        st.caption(f"Not looked at: {said}.")


def _figure(found: FailureSlices) -> go.Figure:
    groups = [
        GroupRate(group.name, group.errors.share, group.low, group.high, group.errors.count, group.errors.total)
        for group in found.slices
    ]
    return group_rates(groups, found.overall.share)


def _card(bundle: Bundle, found: FailureSlices, group: Slice, place: int) -> None:
    rate, low, high = (words.percent(share) for share in (group.errors.share, group.low, group.high))
    times = f", {group.errors.share / found.overall.share:.1f} times the rate of all" if found.overall.count else ""
    st.markdown(f"**{group.name}**")
    st.markdown(
        f"**{rate}** misread ({low} to {high}){times}: {group.errors.count:,} of {group.errors.total:,} images, and "
        f"{words.percent(group.share)} of all errors."
    )
    st.caption(" · ".join(group.details))
    st.button(
        "Show its errors",
        icon=":material/filter_alt:",
        key=f"slice-{place}",
        on_click=_choose,
        args=(bundle.id, group.name, group.ids.tolist()),
        help="Narrows the list and the pictures under 'Model errors' to this group.",
    )


def _choose(scope: str, name: str, ids: list[int]) -> None:
    """Keep a group as the chosen one and turn to the errors; for a button's callback."""
    st.session_state[SLICE] = {"scope": scope, "name": name, "ids": ids}
    st.session_state[TAB] = ERRORS_TAB

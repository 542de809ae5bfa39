"""Training images whose label is probably wrong, the most suspicious first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from telltale.bundle.summary import training_images
from telltale.model_errors.corrections import LabelEvidence
from telltale.model_errors.sentences import Votes, suspicion_conclusion, votes_of, what_neighbours_say
from telltale.model_errors.suspicious import SuspiciousImages
from telltale_app.corrections import Pick
from telltale_app.panels import selection
from telltale_app.panels.bars import named_bars, percent_bar
from telltale_app.panels.picking import pick_button, pick_many_button, pointer
from telltale_app.panels.tiles import beside_picture, tiles

if TYPE_CHECKING:
    from telltale.bundle import Bundle

COUNTS = (50, 100, 300, 1000)
EVERY_CLASS = -1


def summary_words(bundle: Bundle, found: SuspiciousImages) -> str:
    """Return what is listed, and how to read it."""
    learned = training_images(bundle)
    ranked = f"All **{len(found):,}** training images are ranked here"
    if len(found) < learned:
        ranked = f"The **{len(found):,}** of {learned:,} training images that this compact model keeps are ranked here"
    contradicted = int((found.disagreement > 0.5).sum())
    return (
        f"{ranked}, the least trustworthy label first. **{contradicted:,}** of them carry another label than most of "
        f"their {found.k} nearest neighbours. The list is a place to look, not a verdict: hard images "
        "with right labels stand in it too."
    )


def show_list(bundle: Bundle, found: SuspiciousImages) -> None:
    """Show the ranked list with its filters, table, thumbnails and file."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.selectbox(
            "Given label",
            [EVERY_CLASS, *np.unique(found.labels).tolist()],
            format_func=lambda c: "any" if c == EVERY_CLASS else bundle.class_names[c],
            key=f"suspicious-label-{bundle.name}",
            width=220,
        )
        most = st.segmented_control(
            "Show the first", COUNTS, default=COUNTS[1], required=True, key="suspicious-count", persist_state="session"
        )
    chosen = np.arange(len(found)) if label == EVERY_CLASS else np.flatnonzero(found.labels == label)
    frame = _frame(bundle, found)
    shown = frame.iloc[chosen[: int(most or COUNTS[1])]].reset_index(drop=True)
    picks = [_pick(found, int(rank) - 1) for rank in shown["rank"]]
    tiles(bundle, len(shown), lambda i: _tile(bundle, found, int(shown["rank"].iloc[i]) - 1, picks[i]), "suspicious")
    pointer(bundle)
    ticked = selection.pickable_table(
        shown,
        f"{len(shown)} training images by suspicion, with given label, strongest other label and scores",
        f"suspicious-table-{bundle.name}",
        _columns(found),
    )
    pick_many_button(
        bundle,
        len(ticked),
        lambda: [picks[row] for row in ticked],
        "Pick the ticked image" if len(ticked) == 1 else f"Pick the {len(ticked):,} ticked images",
        "suspicious-pick",
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        selection.download(frame, f"{bundle.name}-suspicious-labels.csv", "suspicious-csv")
        st.caption(f"The file holds all {len(frame):,} ranked images.")


def _frame(bundle: Bundle, found: SuspiciousImages) -> pd.DataFrame:
    names = np.array(bundle.class_names)
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(found) + 1),
            "image": found.ids,
            "given label": names[found.labels],
            "strongest other label": np.where(found.neighbour_shares > 0.0, names[found.neighbour_labels], "–"),
            "suspicion": found.suspicion,
            "self-influence": found.self_influence,
            "neighbours that disagree": found.disagreement,
            "share of that label": found.neighbour_shares,
        }
    )


def _pick(found: SuspiciousImages, row: int) -> Pick:
    evidence = LabelEvidence(
        float(found.self_influence[row]), float(found.disagreement[row]), int(found.neighbour_labels[row])
    )
    return Pick(int(found.ids[row]), f"suspicious label, rank {row + 1:,} of {len(found):,}", evidence)


def votes(bundle: Bundle, found: SuspiciousImages, row: int) -> Votes:
    """Return how the neighbours of one ranked image vote on its label."""
    given, other = (bundle.class_names[int(of[row])] for of in (found.labels, found.neighbour_labels))
    return votes_of(given, other, 1.0 - float(found.disagreement[row]), float(found.neighbour_shares[row]), found.k)


def _tile(bundle: Bundle, found: SuspiciousImages, row: int, pick: Pick) -> None:
    image_id, cast = int(found.ids[row]), votes(bundle, found, row)

    def head() -> None:
        st.markdown(f"Labelled **{cast.label}**")
        st.caption(f"Rank {row + 1:,}, no. {image_id}")
        named_bars([percent_bar("disagree", float(found.disagreement[row]))])

    beside_picture(bundle, image_id, f"Training image {image_id}, given label {cast.label}", head)
    st.markdown(what_neighbours_say(cast))
    st.caption(suspicion_conclusion(cast, float(found.self_influence[row])))
    with st.container(horizontal=True, gap="small"):
        selection.open_button(bundle, f"train-{image_id}", f"suspicious-open-train-{image_id}")
        pick_button(bundle, pick, "suspicious")


def _columns(found: SuspiciousImages) -> dict[str, object]:
    def share(explained: str) -> object:
        return st.column_config.ProgressColumn(format="percent", min_value=0.0, max_value=1.0, help=explained)

    return {
        "rank": st.column_config.NumberColumn(format="%d"),
        "image": st.column_config.NumberColumn(format="%d", help="Data-set id"),
        "strongest other label": st.column_config.TextColumn(
            help="The most frequent other label among the nearest images, however few carry it."
        ),
        "suspicion": st.column_config.NumberColumn(
            format="%.4f", help="Mean of the shares of training images with less self-influence and less disagreement."
        ),
        "self-influence": st.column_config.NumberColumn(
            format="%.3g", help="By how many nats the loss of the given label would rise without this image."
        ),
        "neighbours that disagree": share(f"Of the {found.k} nearest other training images, on the last layer."),
        "share of that label": share("Share of the nearest images that carry the strongest other label."),
    }

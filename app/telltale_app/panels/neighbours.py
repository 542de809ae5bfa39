"""The training images that decided: nearest, most helpful, most harmful; their overlap, their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import streamlit as st

from telltale.analysis.results import Analysis
from telltale.bundle.summary import training_images
from telltale.figures.points import shared_ids
from telltale.figures.results.neighbours import listed_ids
from telltale.kinds.influence import InfluenceView
from telltale.kinds.neighbours import NeighboursView
from telltale_app import catalogue, words
from telltale_app.panels.training_images import ICONS, Head, TrainingImage, cards, class_words

if TYPE_CHECKING:
    from telltale.bundle import Bundle

KINDS = {
    "nearest": "Nearest",
    "helpful": "Most helpful",
    "harmful": "Most harmful",
}
MEANINGS = {
    "nearest": "closest to this image on {layer}",
    "helpful": "without them the predicted class would lose support",
    "harmful": "without them the predicted class would gain support",
}


Numbers = npt.NDArray[np.generic]


def training_lists(analysis: Analysis, layer: int, k: int, references: int) -> dict[str, tuple[TrainingImage, ...]]:
    """Return the lists of one image, each with what its members are besides; only the nearest without influence."""
    near, influence = analysis.view(NeighboursView), analysis.find(InfluenceView)
    ids = listed_ids(analysis, layer, k)
    shared = {kind: {other: set(shared_ids(mine, ids[other]).tolist()) for other in ids} for kind, mine in ids.items()}
    columns: dict[str, tuple[Numbers, Numbers, Numbers, Numbers | None]] = {
        "nearest": (
            near.labels[layer],
            near.distances[layer],
            np.arange(len(ids["nearest"])) / references,
            None,
        ),
    }
    if influence is not None:
        columns["helpful"] = (
            influence.helpful_labels,
            influence.helpful_distances[layer],
            influence.helpful_ranks[layer],
            influence.helpful_values,
        )
        columns["harmful"] = (
            influence.harmful_labels,
            influence.harmful_distances[layer],
            influence.harmful_ranks[layer],
            influence.harmful_values,
        )
    lists: dict[str, tuple[TrainingImage, ...]] = {}
    for kind, (labels, distances, ranks, values) in columns.items():
        lists[kind] = tuple(
            TrainingImage(
                int(image_id),
                int(labels[i]),
                float(distances[i]),
                float(ranks[i]),
                None if values is None else float(values[i]),
                tuple(other for other in ids if other != kind and int(image_id) in shared[kind][other]),
            )
            for i, image_id in enumerate(ids[kind])
        )
    return lists


def overlap_words(bundle: Bundle, lists: dict[str, tuple[TrainingImage, ...]], image: str) -> str:
    """Return in words how many of the nearest images are among the influential ones."""
    nearest = lists["nearest"]
    if "helpful" not in lists:
        return f"The {len(nearest)} nearest {catalogue.reference_word(bundle)} images of the {image} image."
    helpful = sum("helpful" in item.also for item in nearest)
    harmful = sum("harmful" in item.also for item in nearest)
    return (
        f"Of the {len(nearest)} nearest training images of the {image} image, **{helpful}** "
        f"{'is' if helpful == 1 else 'are'} also among the most helpful {ICONS['helpful']} and **{harmful}** among the "
        f"most harmful {ICONS['harmful']}."
    )


def influence_words(analysis: Analysis) -> str:
    """Return how influence is computed, or why it is not."""
    influence = analysis.find(InfluenceView)
    if influence is None:
        return "Influence is not available here."
    return (
        f"Influence is computed through the softmax head ({influence.method}): how much the loss of the predicted "
        f"class would change if one training image were removed, for all {influence.n_train:,} references. Its "
        "detector (NNIF) looks at where the most influential images lie among the neighbours."
    )


def layer_words(bundle: Bundle, layer: int, k: int) -> str:
    """Return the one layer that distances, nearest images and votes are of, and how the bars are read."""
    return (
        f"The nearest images, all distances and the votes of the {k} nearest are those of **{bundle.layers[layer]}**. "
        "The bar under an image is its distance as a share of the farthest one's in its list."
    )


def show_lists(bundle: Bundle, lists: dict[str, tuple[TrainingImage, ...]], head: Head, layer: int) -> None:
    """Show the lists of an image as rows of cards, the image itself at the head of each."""
    for kind, images in lists.items():
        meaning = MEANINGS[kind].format(layer=bundle.layers[layer])
        counts = f" {class_words(bundle, images)}." if bundle.image_set is not None else ""  # chips have bars
        st.markdown(f"{ICONS[kind]} **{KINDS[kind]}**: {meaning}.{counts}")
        cards(bundle, images, kind, head)


def show_table(bundle: Bundle, lists: dict[str, tuple[TrainingImage, ...]]) -> None:
    """Show every listed training image with its numbers."""
    word = catalogue.reference_word(bundle)
    nearer = f"nearer {word} images"
    rows = [
        {
            "list": KINDS[kind],
            "image": item.image_id,
            "class": bundle.class_names[item.label],
            "distance": item.distance,
            nearer: None if item.rank is None else 100 * item.rank,
            "influence": item.influence,
            "also": words.listed(item.also) if item.also else "",
        }
        for kind, items in lists.items()
        for item in items
    ]
    st.dataframe(
        rows,
        hide_index=True,
        alt=f"{word.capitalize()} images by list, with class, distance, rank and influence",
        column_config={
            "image": st.column_config.NumberColumn(format="%d", help="Data-set id"),
            "distance": st.column_config.NumberColumn(format="%.4g"),
            nearer: st.column_config.NumberColumn(
                format="%.1f %%", help=f"Share of all {word} images that lie nearer on the chosen layer."
            ),
            "influence": st.column_config.NumberColumn(
                format="%.3e", help="Change of the loss when the training image is removed; positive is helpful."
            ),
        },
    )


def reference_words(bundle: Bundle) -> str:
    """Return among how many training images neighbours and influences were looked for."""
    references, learned = len(bundle.splits.train), training_images(bundle)
    if references == learned:
        return f"No {catalogue.reference_word(bundle)} image is left out or sampled."
    return (
        f"This compact model keeps {references:,} of the {learned:,} training images as references, drawn at random: "
        "no other one can appear here."
    )


def head_words(bundle: Bundle) -> str:
    """Return how well the head behind the influence stands for the network; empty where the bundle does not say."""
    head = bundle.manifest.notes.get("head")
    if not head:
        return ""
    return (
        f" The refitted head (damping {words.number(head['damping'])}) gives the network's own answer on "
        f"{words.percent(head['agreement'])} of the test images."
    )

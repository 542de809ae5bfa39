"""Neighbours & influence: which training images decided."""

from __future__ import annotations

import streamlit as st

from telltale.kinds.influence import InfluenceView
from telltale.kinds.neighbours import NeighboursView
from telltale_app import layout
from telltale_app.link_images import image_words
from telltale_app.panels import correcting, influence_trust, neighbours, neighbours_map, votes
from telltale_app.panels.correcting import Asked
from telltale_app.panels.missing import missing_images_note
from telltale_app.panels.picking import pointer
from telltale_app.panels.training_images import Head
from telltale_app.papers import INFLUENCE, KNN

layout.opening(
    "Neighbours & influence",
    "The images behind the answer: the nearest ones and, where the network has learned from these images, those that "
    "most helped or harmed it. What helps a natural image tends to lie near it; after an attack, farther off.",
)
current = layout.evidence_case(NeighboursView)
bundle = current.bundle
images = dict(current.views())
with st.container(horizontal=True, vertical_alignment="bottom"):
    image = st.segmented_control(
        "Image", list(images), default=list(images)[-1], required=True, key=f"which-{len(images)}"
    )
    layer_name = st.selectbox(
        "Layer",
        bundle.layers,
        index=len(bundle.layers) - 1,
        key="layer",
        bind="query-params",
        width=220,
    )
    most = min(current.natural.view(NeighboursView).ids.shape[1], 50)
    k = st.slider("How many", 1, most, min(8, most), key="k", bind="query-params", width=260)
analysis = images[image or "natural"]
layer = bundle.layers.index(layer_name)
lists = neighbours.training_lists(analysis, layer, int(k), len(bundle.splits.train))
st.markdown(neighbours.overlap_words(bundle, lists, image or "natural"))
st.caption(neighbours.layer_words(bundle, layer, int(k)))
missing_images_note(bundle, "Each of these images is named by class, id and distance instead.")
name = image_words(current.case.image) + (" (attacked)" if image == "attacked" else "")
neighbours.show_lists(bundle, lists, Head(analysis.image, name, analysis.prediction.name), layer)
pointer(bundle)
if layout.unavailable_note(analysis, InfluenceView) and not bundle.trained_on:
    st.caption(
        "`telltale inspect --trained-on` says so, or `trained_on` under `[data]` in the model's file of settings."
    )
with layout.folded("All numbers as a table", "numbers", "table") as section:
    if section.open:
        neighbours.show_table(bundle, lists)
st.header("Where they lie", anchor="where-they-lie")
neighbours_map.show_map(current, image or "natural", lists, layer)
votes.show_votes(current, layer, int(k))
if analysis.find(InfluenceView) is not None:
    influence_trust.show_trust(bundle)
correcting.show(bundle, Asked(analysis.image, name, current.true_label))
layout.how_computed(
    "Neighbours are found by Euclidean distance of pooled activations. " + neighbours.influence_words(analysis),
    INFLUENCE,
    f"Features are frozen: this is influence through the last layer. {neighbours.reference_words(bundle)} "
    f"The detector's votes follow {KNN.reference} Positive influence means helpful, as in the authors' code."
    + neighbours.head_words(bundle),
)

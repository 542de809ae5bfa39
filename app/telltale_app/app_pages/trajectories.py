"""Trajectories: at which layer the image's path leaves its class."""

from __future__ import annotations

import streamlit as st

from telltale.figures.results.trajectory import DISTANCES
from telltale.kinds.trajectory import TrajectoryView
from telltale_app import layout
from telltale_app.panels import trajectory
from telltale_app.papers import TRAJECTORY

layout.opening(
    "Trajectories",
    "An image's path through the network: how far it is from each class after every layer. "
    "A natural image approaches one class; an attacked one starts there and crosses over.",
)
current = layout.evidence_case(TrajectoryView)
own_variant = current.natural.view(TrajectoryView)
with st.container(horizontal=True):
    pivot = st.segmented_control(
        "Pivot",
        trajectory.PIVOTS,
        default=own_variant.pivot,
        required=True,
        key="pivot",
        bind="query-params",
        help="Centre of a class: the mean of its training images, or the most central training image.",
    )
    distance = st.segmented_control(
        "Measure",
        list(DISTANCES),
        default=own_variant.distance,
        required=True,
        format_func=DISTANCES.__getitem__,
        key="measure",
        bind="query-params",
        help="Cosine is a similarity: there, larger is nearer.",
    )
chosen_variant = (pivot or own_variant.pivot, distance or own_variant.distance)
trajectory.show_departure(current, chosen_variant)
st.markdown(trajectory.verdict_words(current))
trajectory.show_distances(current, chosen_variant)
trajectory.show_path_and_suspicion(current, chosen_variant)
trajectory.show_sweep(chosen_variant)
layout.how_computed(
    "After every layer the activation is averaged over space and compared with one pivot per class. A detector "
    "reads these distances. " + trajectory.detector_words(current),
    TRAJECTORY,
    f"This model's detector uses the {own_variant.pivot} and {DISTANCES[own_variant.distance]}. Pivots come "
    "from all training images of the true class; the medoid is chosen by Euclidean distance, also for cosine. The "
    "layer named above is the first from which the new class stays nearer to the very end.",
)

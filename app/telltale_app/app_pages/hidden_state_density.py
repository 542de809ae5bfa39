"""Hidden-state density: how unusual the hidden state is for the predicted class."""

from __future__ import annotations

import streamlit as st

from telltale.kinds.density import DensityView
from telltale_app import layout
from telltale_app.panels import density
from telltale_app.papers import DENSITY

layout.opening(
    "Hidden-state density",
    "How usual the network's last hidden state is for each class: a marker above its class's bar is a state that "
    "natural images of that class have, one below it is a state that they hardly ever have.",
)
current = layout.evidence_case(DensityView)
st.markdown(density.density_words(current))
st.caption(density.score_words(current.bundle))
st.header("Density for each class", anchor="class-densities")
density.show_class_densities(current)
st.caption("The axis is logarithmic on both sides of zero. Higher is more usual.")
density.show_density_map(current)
density.show_keep_rates(current.bundle)
layout.how_computed(
    "For each class a Gaussian mixture is fitted to the input of the last linear layer over that class's training "
    "images. An image whose log density under its predicted class falls below the class's threshold is rejected.",
    DENSITY,
    "The number of components and the kind of covariance are chosen by held-out likelihood. Thresholds are set on "
    "held-out natural images, because those set on training images keep fewer images than they promise."
    + density.mixture_words(current.bundle),
)

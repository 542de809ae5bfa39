"""Feature responses: where the network looked, and how scattered that is."""

from __future__ import annotations

import streamlit as st

from telltale.kinds.response import ResponseView
from telltale_app import layout
from telltale_app.panels import few_classes, responses, second_opinion, stability
from telltale_app.papers import RESPONSE

layout.opening(
    "Feature responses",
    "Where the network looked: strong colours mark the pixels that drive its last convolutional features. "
    "A fooled network tends to look at a wider, busier region, which the entropy map shows.",
)
current = layout.evidence_case(ResponseView)
own_view = current.natural.view(ResponseView)
with st.container(horizontal=True, vertical_alignment="bottom"):
    chosen_levels = st.select_slider(
        "Grey levels",
        sorted({*responses.LEVELS, own_view.levels}),
        value=own_view.levels,
        key="levels",
        bind="query-params",
        help="Grey levels of the response whose entropy is taken.",
        width=320,
    )
    chosen_patch = st.segmented_control(
        "Patch",
        sorted({*responses.PATCHES, own_view.patch}),
        default=own_view.patch,
        required=True,
        format_func=lambda side: f"{side} × {side}",
        key="patch",
        bind="query-params",
        help="Side of the square in which the entropy is taken.",
    )
    locked = st.toggle(
        "One colour scale",
        value=True,
        key="locked",
        bind="query-params",
        help="Off: each response map fills the scale by itself, so a weak natural response can be seen beside a strong "
        "attacked one.",
    )
    opacity = responses.opacity_slider(current)
shown = responses.responses_of(current, int(chosen_levels), int(chosen_patch or own_view.patch))
with st.grid("auto", min_column_width=180):
    for name, view in zip(responses.NAMES, shown, strict=False):
        st.metric(f"Mean entropy, {name}", f"{view.mean_entropy:.3f} bits", border=True)
responses.show_maps(current, shown, locked, opacity)
responses.show_mean_entropy(current, shown)
stability.show(current)
second_opinion.show(current)
few_classes.show(current)
layout.how_computed(
    "The activations of the last convolutional stage are sent back to the pixels "
    f"({own_view.method}); the grey response is rescaled to 8 bits, and the entropy of the grey levels in every patch "
    f"is averaged.\n\n{stability.METHOD}\n\n{second_opinion.METHOD}\n\n{few_classes.METHOD}",
    RESPONSE,
    "The seed is the activation itself, not one logit. Only patches that lie wholly inside count. Grey levels and "
    "patch side are visible parameters, because the paper's Eq. 3 leaves them open. The sign of the effect is fitted "
    "on the fitting split and shown, because it is not the same on all data.",
)

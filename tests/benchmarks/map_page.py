"""A page with nothing but a map of 50,000 images of CIFAR-10, for `map_speed.py`."""

from __future__ import annotations

import numpy as np
import streamlit as st

from telltale.bundle import load_bundle
from telltale.figures.packed_map import MapPoints, MarkedRows, PlacedImage, pack
from telltale_app.panels import canvas_map

POINTS = 50_000


@st.cache_resource
def _packed() -> bytes:
    """Return ten clouds that overlap, with the images of the training split as their points."""
    bundle = load_bundle("cifar10")
    labels = bundle.require_images().labels[:POINTS]
    draws = np.random.default_rng(0)
    middles = draws.normal(scale=3.0, size=(len(bundle.class_names), 2))
    points = middles[labels] + draws.normal(size=(POINTS, 2))
    image = PlacedImage("this image", "#0072B2", "star", points[0])
    listed = MarkedRows("nearest", "#808080", "circle", draws.permutation(POINTS)[:50])
    more = {"map": "speed", "chosen": 0, **canvas_map.header(bundle, "speed", "A map")}
    of = MapPoints.of(points, labels, np.arange(POINTS), bundle.class_names)
    return pack(of, [image], [listed], {0, 3, 5}, more)


st.set_page_config(layout="wide")
st.title("Map")
canvas_map.show(_packed(), "speed", lambda: None)

"""The ways of attributing an answer to training images that the study compares."""

from __future__ import annotations

HEAD, HEAD_MEAN = "head", "head_mean"
GRADIENT, TRACIN, TRACIN_ALL = "gradient", "tracin", "tracin_all"
TRAK, TRAK_ONE = "trak", "trak_one"
COSINE, RANDOM = "cosine", "random"

# In the order in which they are shown; the first is what the pages show.
TITLES = {
    HEAD: "closed form through the head",
    HEAD_MEAN: "closed form, mean of all networks",
    TRAK: "TRAK, all networks",
    TRAK_ONE: "TRAK, one network",
    TRACIN_ALL: "TracIn, all weights",
    TRACIN: "TracIn, last layer",
    GRADIENT: "gradient dot product, last layer",
    COSINE: "control: cosine of hidden states",
    RANDOM: "control: random",
}

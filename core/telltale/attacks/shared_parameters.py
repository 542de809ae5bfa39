"""Parameters that mean the same in several attacks, declared once."""

from __future__ import annotations

from telltale.base.parameters import Parameter

EPS_LINF = Parameter(
    "eps",
    "float",
    0.1,
    0.0,
    1.0,
    help="Largest change of a pixel, in [0, 1] pixel units.",
    title="Budget ε (L∞)",
    pixels=True,
)
STEP_LINF = Parameter(
    "step",
    "float",
    0.01,
    0.0,
    1.0,
    help="Change of a pixel per step, in [0, 1] pixel units.",
    title="Step size",
    pixels=True,
)
CONFIDENCE = Parameter(
    "confidence",
    "float",
    0.0,
    0.0,
    100.0,
    help="Margin between the logits that must be reached.",
    title="Margin κ",
)
SEARCH_STEPS = Parameter(
    "binary_search_steps",
    "int",
    5,
    1,
    20,
    help="Steps of the search for the weight of the margin.",
    title="Search steps",
)
FIRST_WEIGHT = Parameter(
    "c0",
    "float",
    1.0,
    1e-6,
    1e6,
    help="First weight of the margin against the distance.",
    title="First weight c₀",
)

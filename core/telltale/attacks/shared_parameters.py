"""Parameters that mean the same in several attacks, declared once: each is called in the body of a settings class."""

from __future__ import annotations

from telltale.base.settings import parameter


def eps_linf() -> float:
    """Declare `eps`: the budget in the L∞ norm."""
    return parameter(
        0.1,
        low=0.0,
        high=1.0,
        help="Largest change of a pixel, in [0, 1] pixel units.",
        title="Budget ε (L∞)",
        pixels=True,
    )


def step_linf() -> float:
    """Declare `step`: the length of a signed step."""
    return parameter(
        0.01,
        low=0.0,
        high=1.0,
        help="Change of a pixel per step, in [0, 1] pixel units.",
        title="Step size",
        pixels=True,
    )


def confidence_margin() -> float:
    """Declare `confidence`: the margin between logits."""
    return parameter(
        0.0,
        low=0.0,
        high=100.0,
        help="Margin between the logits that must be reached.",
        title="Margin κ",
    )


def search_steps() -> int:
    """Declare `binary_search_steps`: the length of the search for a weight."""
    return parameter(
        5,
        low=1,
        high=20,
        help="Steps of the search for the weight of the margin.",
        title="Search steps",
    )


def first_weight() -> float:
    """Declare `c0`: the weight with which the search begins."""
    return parameter(
        1.0,
        low=1e-6,
        high=1e6,
        help="First weight of the margin against the distance.",
        title="First weight c₀",
    )

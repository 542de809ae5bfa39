"""The images that a figure shows, and how each is called and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from telltale.analysis.results import Analysis

ALONE = "image"
Shown: TypeAlias = Sequence[tuple[str, Analysis]]
"""One image under the name ``"natural"`` or `ALONE`, or the pair ``"natural"``, ``"attacked"``, in this order."""


def mark_name(name: str) -> str:
    """Return what a marked point is called in a legend."""
    return "this image" if name == ALONE else f"this image, {name}"

"""Alarms under natural shift, made by hand."""

from __future__ import annotations

from telltale.scores.rates import Rate
from telltale.scores.shift import AlarmsUnderShift, ShiftAlarms


def made_shift(names: tuple[str, ...] = ("nnif", "random")) -> ShiftAlarms:
    """Return counts under two changes: of the first detector 4 of 100 and 12 of 80 images, of each next one more."""
    kinds = (("none", "as it is", 100, 4), ("noise_8", "noise σ 8/255", 80, 12))
    shifts = tuple(
        AlarmsUnderShift(name, title, kept, {key: Rate(first + place, kept) for place, key in enumerate(names)})
        for name, title, kept, first in kinds
    )
    return ShiftAlarms(0.05, 100, names, shifts)

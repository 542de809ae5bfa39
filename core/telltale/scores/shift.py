"""Alarms under natural shift: on natural images that were only processed, not attacked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from telltale.scores.controls import CONTROLS
from telltale.scores.rates import Rate
from telltale.scores.titles import detector_title, percent

OF_OTHERS = (
    "These are kinds of change that detectors were fitted with: nothing is promised about others, such as single "
    "pixels that are dead, on which many times as many may alarm."
)
BAR = 0.10  # the most that false alarms at 5 % may come to under any change


@dataclass(frozen=True)
class AlarmsUnderShift:
    """Alarms under one kind of shift.

    Attributes
    ----------
    name, title : str
        Of `telltale.data.shifts.SHIFTS`.
    kept : int
        Images that are still read correctly: the others are no longer natural images read correctly.
    alarms : mapping of str to Rate
        By detector and control, among those kept.
    """

    name: str
    title: str
    kept: int
    alarms: Mapping[str, Rate]


@dataclass(frozen=True)
class ShiftAlarms:
    """Alarms under every kind of shift.

    Attributes
    ----------
    alpha : float
    images : int
        Natural test images read correctly that each shift was applied to.
    names : tuple of str
        Detectors and controls.
    shifts : tuple of AlarmsUnderShift
    """

    alpha: float
    images: int
    names: tuple[str, ...]
    shifts: tuple[AlarmsUnderShift, ...]

    def to_json(self) -> dict[str, object]:
        """Return the alarms as JSON holds them."""
        return {
            "alpha": self.alpha,
            "images": self.images,
            "shifts": [
                {
                    "name": shift.name,
                    "title": shift.title,
                    "kept": shift.kept,
                    "alarms": {name: rate.to_json() for name, rate in shift.alarms.items()},
                }
                for shift in self.shifts
            ],
        }

    def worst(self, name: str) -> tuple[str, Rate] | None:
        """Return the change under which a detector alarms most often, and how often; None where nothing was kept."""
        known = [(shift.title, shift.alarms[name]) for shift in self.shifts if shift.kept]
        return max(known, key=lambda pair: pair[1].share, default=None)


def shift_sentences(found: ShiftAlarms) -> tuple[str, ...]:
    """Say which detectors keep their false alarms under every change at or below `BAR`, and which do not."""
    keeping, losing, widest = [], [], 0.0
    for name in found.names:
        worst = found.worst(name)
        if name in CONTROLS or worst is None:
            continue
        title, rate = worst
        if rate.share <= BAR:
            keeping.append(detector_title(name))
            widest = max(widest, rate.interval[1])
        else:
            low, high = rate.interval
            losing.append(f"{detector_title(name)} ({percent(rate.share)}, {percent(low)} to {percent(high)}, {title})")
    said = f"At α {percent(found.alpha)}, false alarms"
    sentences = []
    if keeping:
        sentences.append(
            f"{said} stay at or below {percent(BAR)} under every change for {'; '.join(keeping)}. "
            f"95 % intervals of the worst of each reach up to {percent(widest)}."
        )
    if losing:
        sentences.append(f"{said} exceed {percent(BAR)} under some change for {'; '.join(losing)}: the worst of each.")
    return (*sentences, OF_OTHERS) if sentences else ()

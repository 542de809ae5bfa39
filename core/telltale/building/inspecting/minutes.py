"""What a build reads, observes and attacks, cut to minutes: fewer images of every kind, and at last fewer attacks."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from telltale.base.errors import InputError
from telltale.building.inspecting.cost import Counts, Measured, cores
from telltale.data.splits import SplitSizes
from telltale.models.class_names import listed

EACH = 5  # references of every class: trajectories, votes and label doubts want as many
LEAST = SplitSizes(fit=60, calibration=120, test=60)  # 1 % of false alarms takes 99 images that are read correctly
LEAST_ATTACKED = 20  # images of a split, with every attack
STEPS = 1000


@dataclass(frozen=True)
class Cut:
    """A build that fits.

    Attributes
    ----------
    counts : Counts
    minutes : float
        Its estimate.
    sentence : str or None
        What was cut; None where nothing was.
    """

    counts: Counts
    minutes: float
    sentence: str | None


def check_minutes(minutes: float) -> None:
    """Refuse what is no number of minutes.

    Raises
    ------
    InputError
    """
    if not (isinstance(minutes, int | float) and not isinstance(minutes, bool) and 0 < minutes < math.inf):
        raise InputError(f"minutes must be a number above 0. Got {minutes!r} instead.")


def cut_to(minutes: float, full: Counts, least_references: int, measured: Measured, processes: int = 0) -> Cut:
    """Cut a build to minutes.

    All numbers of images shrink alike, each down to what is of use at least. Where that is not enough attacks are left
    out, the slowest first.

    Parameters
    ----------
    minutes : float
    full : Counts
        What the build takes with nothing cut.
    least_references : int
        So that every class has some.
    measured : Measured
    processes : int
        As many as there are cores where 0.

    Raises
    ------
    InputError
        If the minutes are too few for anything.
    """
    check_minutes(minutes)
    processes = processes or cores()
    fastest = sorted(full.attacks, key=lambda attack: measured.attacks[attack.name])
    for count in range(len(fastest), -1, -1):
        some = replace(full, attacks=tuple(attack for attack in full.attacks if attack in fastest[:count]))
        builds = [_shrunk(some, step / STEPS, least_references) for step in range(STEPS + 1)]
        # Every one takes at least as long as the one before.
        found = bisect.bisect_right(builds, minutes, key=lambda counts: counts.minutes(measured, processes)) - 1
        if found >= 0:
            cut = builds[found]
            sentence = None if cut == full else _sentence(minutes, full, cut)
            return Cut(cut, cut.minutes(measured, processes), sentence)
    needed = math.ceil(builds[0].minutes(measured, processes) * 10.0) / 10.0
    raise InputError(
        f"{minutes:g} minutes are too few to build anything around this network: reading, observing and attacking the "
        f"fewest images take at least {needed:g}."
    )


def _shrunk(full: Counts, share: float, least_references: int) -> Counts:
    """Return a build with a share of what it may lose: the fewest images that are of use at 0, and all at 1."""

    def between(least: int, most: int) -> int:
        return min(least, most) + math.floor(share * (most - min(least, most)))

    sizes = SplitSizes(*(between(getattr(LEAST, name), getattr(full.sizes, name)) for name in vars(LEAST)))
    attacks = full.attacks
    if share < 1.0:
        attacks = tuple(
            replace(
                attack,
                fit=between(LEAST_ATTACKED, min(attack.fit, full.sizes.fit)),
                test=between(LEAST_ATTACKED, min(attack.test, full.sizes.test)),
            )
            for attack in attacks
        )
    return Counts(between(least_references, full.references), sizes, attacks, full.pictures)


def _sentence(minutes: float, full: Counts, cut: Counts) -> str:
    parts = [f"{few:,} of {many:,} {what}" for what, many, few in _numbers(full, cut) if few < many]
    kept = {attack.name for attack in cut.attacks}
    gone = [attack.name for attack in full.attacks if attack.name not in kept]
    left_out = f", and leaves out the attack{'s' if len(gone) > 1 else ''} {listed(gone)}" if gone else ""
    return (
        f"To be read, observed and attacked within {minutes:g} minutes it takes {', '.join(parts)}{left_out}; fitting, "
        "maps and scores come on top."
    )


def _numbers(full: Counts, cut: Counts) -> Iterator[tuple[str, int, int]]:
    yield "reference images", full.references, cut.references
    yield "images to fit to", full.sizes.fit, cut.sizes.fit
    yield "to calibrate with", full.sizes.calibration, cut.sizes.calibration
    yield "to test on", full.sizes.test, cut.sizes.test
    yield "attacked images", full.attacked, cut.attacked

"""Progress of work, told the same way everywhere: how much is done, and what is being done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[float, str], None]  # the done share of the whole in [0, 1] and words; may raise to stop
Share: TypeAlias = Callable[[float], None]  # the done share of one stage in [0, 1]; may raise to stop


def silent(_fraction: float, _message: str) -> None:
    """Be told, and tell nobody."""


def unheard(_count: int, _last: object) -> None:
    """Be told how many parts are finished, as what `counted` returns is, and tell nobody."""


def part(progress: Progress, start: float, end: float) -> Progress:
    """Return the progress of a stage that spans a part of the whole and finds its own words.

    Parameters
    ----------
    progress : callable
        Of the whole.
    start, end : float
        Shares of the whole at which the stage begins and ends.
    """
    return lambda fraction, message: progress(start + fraction * (end - start), message)


def stage(progress: Progress, start: float, end: float, message: str) -> Share:
    """Return the share of a stage that spans a part of the whole, under one message; see `part`."""
    return lambda fraction: progress(start + fraction * (end - start), message)


def counted(progress: Progress, message: str, total: int) -> Callable[[int, object], None]:
    """Return what reports ``message, 3 of 10 parts`` when told that 3 are finished, and which was the last."""
    return lambda count, _: progress(count / total, f"{message}, {count} of {total} parts")

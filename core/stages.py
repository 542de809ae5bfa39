"""Progress of work that consists of stages: each tells its own share, the whole is told the sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Checkpoint: TypeAlias = Callable[[float, str], None]


def stage(checkpoint: Checkpoint, start: float, end: float, message: str) -> Callable[[float], None]:
    """Return what tells `checkpoint` the progress of one stage.

    Parameters
    ----------
    checkpoint : callable
        Told the done share of everything and what is being done; may raise to stop.
    start, end : float
        Shares of everything at which the stage begins and ends.
    message : str
    """
    return lambda fraction: checkpoint(start + fraction * (end - start), message)

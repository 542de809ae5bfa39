"""How long the rest of a long command takes, in words."""

from __future__ import annotations

import time
from collections.abc import Callable

WATCHED_SECONDS = 3.0


class TimeLeft:
    """Estimates the time left from the pace since the present stage began.

    Earlier stages say little about the pace of this one, and a resumed command jumps ahead where its stage begins.

    Parameters
    ----------
    clock : callable
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stage = ""
        self._began_at = 0.0
        self._began_with = 0.0

    def words(self, fraction: float, message: str) -> str:
        """Return, for example, ``"14 min left"``; empty where nothing can be said yet.

        Parameters
        ----------
        fraction : float
            Share of everything that is done.
        message : str
            Its first word names the stage.
        """
        now, stage = self._clock(), message.partition(" ")[0].rstrip(",")
        if stage != self._stage:
            self._stage, self._began_at, self._began_with = stage, now, fraction
        seconds, done = now - self._began_at, fraction - self._began_with
        if seconds < WATCHED_SECONDS or done <= 0 or fraction >= 1:
            return ""
        return f"{_duration((1 - fraction) * seconds / done)} left"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"

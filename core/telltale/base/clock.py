"""How long the parts of some work take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Clock:
    """Adds up the time of named parts, from its making on.

    Parameters
    ----------
    begin : callable, optional
        Told the name of every part before it begins; may raise to stop.
    """

    def __init__(self, begin: Callable[[str], None] | None = None) -> None:
        self._begin = begin
        self._start = time.perf_counter()
        self._parts: dict[str, float] = {}

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Count what happens inside as time of a part."""
        if self._begin is not None:
            self._begin(name)
        start = time.perf_counter()
        yield
        self._parts[name] = self._parts.get(name, 0.0) + 1000.0 * (time.perf_counter() - start)

    def report(self) -> dict[str, float]:
        """Return the milliseconds of every part, and of everything so far as ``total``."""
        return {**self._parts, "total": 1000.0 * (time.perf_counter() - self._start)}

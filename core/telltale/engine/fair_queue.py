"""Whose run comes next: visitors take turns, so that one who asks for much delays nobody else."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from itertools import zip_longest

from telltale.engine.jobs import Run

Visitor = object


class FairQueue:
    """Waiting runs, one line for each visitor; the first of each line are taken in turn.

    A run that several visitors wait for stands in the line of each, and is taken at the earliest of its places. The
    engine uses it under its lock.
    """

    def __init__(self) -> None:
        self._returned: deque[Run] = deque()  # had begun before; theirs is the next free worker
        self._lines: OrderedDict[Visitor, OrderedDict[Run, None]] = OrderedDict()

    def __bool__(self) -> bool:
        return bool(self._returned or self._lines)

    def __len__(self) -> int:
        return len({*self._returned, *(run for line in self._lines.values() for run in line)})

    def __contains__(self, run: Run) -> bool:
        return run in self._returned or any(run in line for line in self._lines.values())

    def __iter__(self) -> Iterator[Run]:
        """Yield every waiting run once, in the order in which they are taken if nobody comes or goes."""
        by_turn = zip_longest(*self._lines.values())
        waiting = [*self._returned, *(run for turn in by_turn for run in turn if run is not None)]
        return iter(dict.fromkeys(waiting))

    def count(self, visitor: Visitor) -> int:
        """Return how many runs a visitor waits for."""
        return len(self._lines.get(visitor, ()))

    def add(self, run: Run, visitor: Visitor) -> None:
        """Put a run at the end of a visitor's line, unless it stands there."""
        self._lines.setdefault(visitor, OrderedDict()).setdefault(run, None)

    def put_back(self, run: Run) -> None:
        """Put a run that had begun before all others."""
        self._returned.appendleft(run)

    def take(self) -> Run:
        """Take out the run whose turn it is; its visitor's line goes to the back.

        Raises
        ------
        LookupError
            If nothing waits.
        """
        if self._returned:
            run = self._returned.popleft()
        else:
            visitor, line = next(iter(self._lines.items()), (None, None))
            if line is None:
                raise LookupError("Nothing waits.")
            run = next(iter(line))
            self._lines.move_to_end(visitor)
        self.remove(run)
        return run

    def remove(self, run: Run) -> None:
        """Take a run out, wherever it stands."""
        if run in self._returned:
            self._returned.remove(run)
        for visitor in list(self._lines):
            self.leave(run, visitor)

    def leave(self, run: Run, visitor: Visitor) -> None:
        """Take a run out of one visitor's line; it keeps its place in the others."""
        line = self._lines.get(visitor, OrderedDict())
        line.pop(run, None)
        if not line:
            self._lines.pop(visitor, None)

    def clear(self) -> None:
        """Take out everything."""
        self._returned.clear()
        self._lines.clear()

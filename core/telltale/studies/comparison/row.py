"""One line of the table of comparisons."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ComparisonRow:
    """The same work done here and by another library, timed in one process on the same inputs.

    Attributes
    ----------
    work : str
        What was done, with its size.
    against : str
        The other library's function and its settings.
    ours_ms, theirs_ms : float
        Wall time in milliseconds.
    equal : str
        What was checked to be equal or equally good, with the figures.
    """

    work: str
    against: str
    ours_ms: float
    theirs_ms: float
    equal: str

    @property
    def ratio(self) -> float:
        """How many times faster the work is done here."""
        return self.theirs_ms / self.ours_ms

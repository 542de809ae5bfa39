"""What every task is handed first."""

from __future__ import annotations

from typing import Protocol


class Checkpoint(Protocol):
    """First argument of every task: reports progress and raises `CancelledError` once the run is cancelled."""

    def __call__(self, fraction: float, message: str = "") -> None:
        """Report the done share in [0, 1] and what is being done."""

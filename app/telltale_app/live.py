"""A live run: fresh attacks on test images in small chunks, whose scores arrive one chunk after another."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

import telltale.engine
from telltale.base.errors import CancelledError, TelltaleError
from telltale.base.parameters import ParameterValue

if TYPE_CHECKING:
    from telltale.analysis.results import LiveScores
    from telltale.engine import Job

Number = TypeVar("Number", np.float64, np.int64)

CHUNK = 4
AT_ONCE = 2
FINISHED = ("done", "failed", "cancelled")


@dataclass
class LiveRun:
    """One run of one session; `advance` is called while someone looks at it.

    Attributes
    ----------
    bundle, attack : str
    parameters : mapping of str to value
    seed : int
    ids : array of int64, shape (n,)
        Test images to attack.
    """

    bundle: str
    attack: str
    parameters: Mapping[str, ParameterValue]
    seed: int
    ids: npt.NDArray[np.int64]
    results: list[LiveScores] = field(default_factory=list)
    problem: str = ""
    cancelled: bool = False
    _jobs: list[Job] = field(default_factory=list)
    _sent: int = 0
    _started: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> int:
        """Images that are dealt with; those that the model misreads are skipped, not attacked."""
        return sum(len(result.ids) + result.skipped for result in self.results)

    @property
    def running(self) -> bool:
        """Whether more scores will arrive."""
        return not (self.cancelled or self.problem or self.done >= len(self.ids))

    @property
    def seconds_left(self) -> float | None:
        """Time left at the pace so far; None before the first chunk."""
        if not self.done:
            return None
        return (time.monotonic() - self._started) / self.done * (len(self.ids) - self.done)

    def advance(self) -> None:
        """Take in finished chunks and send the next ones; only a few wait at once, so others get their turn."""
        if not self.running:
            return
        try:
            self._collect()
            while len(self._jobs) < AT_ONCE and self._sent < len(self.ids):
                self._send()
        except CancelledError:
            self.cancelled = True
        except TelltaleError as error:
            self.problem = str(error)

    def cancel(self) -> None:
        """Give the run up; what has arrived stays."""
        self.cancelled = True
        for job in self._jobs:
            job.cancel()

    def scores(self, detector: str) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return the scores of the natural images, and of the attacked ones that are adversarial."""
        natural = [np.asarray(result.natural[detector]) for result in self.results]
        attacked = [np.asarray(result.attacked[detector])[result.success] for result in self.results]
        return _joined(natural), _joined(attacked)

    def image_ids(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the images that the scores belong to, in their order: an attacked one bears its natural one's id."""
        natural = [np.asarray(result.ids, dtype=np.int64) for result in self.results]
        attacked = [ids[result.success] for ids, result in zip(natural, self.results, strict=True)]
        return _joined(natural), _joined(attacked)

    @property
    def fooled(self) -> int:
        """Attacked images that are adversarial."""
        return sum(int(result.success.sum()) for result in self.results)

    def _collect(self) -> None:
        waiting = []
        for job in self._jobs:
            if job.status().state in FINISHED:
                self.results.append(job.result())
            else:
                waiting.append(job)
        self._jobs = waiting

    def _send(self) -> None:
        chunk = self.ids[self._sent : self._sent + CHUNK]
        self._jobs.append(
            telltale.engine.get_engine().submit(
                "live",
                owner=id(self),
                bundle=self.bundle,
                attack=self.attack,
                parameters=dict(self.parameters),
                seed=self.seed,
                ids=chunk,
            )
        )
        self._sent += len(chunk)


def _joined(parts: list[npt.NDArray[Number]]) -> npt.NDArray[Number]:
    return np.concatenate(parts)

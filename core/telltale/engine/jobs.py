"""A run is work to be done once; a job is one session's handle on it. Several jobs may share a run."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias
from weakref import WeakSet

from telltale.base.endings import Ending
from telltale.base.errors import CancelledError

JobState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled"]

CANCELLED = "The work was cancelled."


@dataclass(frozen=True)
class JobStatus:
    """Where a job stands.

    Attributes
    ----------
    state : {"queued", "running", "done", "failed", "cancelled"}
    position : int or None
        Jobs waiting ahead of this one; None unless queued.
    fraction : float
        Done share in [0, 1]; never falls.
    seconds_left : float or None
        Estimate from the time taken so far; None where nothing is known.
    message : str
        What is being done, what keeps a queued job from running at all, or the sentence of the error.
    """

    state: JobState
    position: int | None = None
    fraction: float = 0.0
    seconds_left: float | None = None
    message: str = ""


class Run:
    """Work to be done once. The engine changes it under its lock; anyone may read it.

    Parameters
    ----------
    key : str
        Content address of the request.
    path : str
        ``module:function`` of the task.
    kwargs : mapping
        Its arguments.
    """

    def __init__(self, key: str, path: str, kwargs: Mapping[str, Any]) -> None:
        self.id = uuid.uuid4().hex
        self.key = key
        self.path = path
        self.kwargs = kwargs
        self.result: Future[Any] = Future()
        self.holders: WeakSet[Job] = WeakSet()  # a handle that nobody keeps no longer counts
        self.worker = ""  # address of the process that does it
        self.attempts = 0
        self.endings: list[Ending] = []  # of the processes that ended while doing it
        self.interruptions = 0  # times that whoever hands out the work was lost
        self.unheld_since: float | None = None
        self.stopping_since: float | None = None
        self.started_at: float | None = None
        self.fraction = 0.0
        self.message = ""
        self._reported_at = 0.0

    def note(self, fraction: float, message: str) -> None:
        """Take in one progress report; a report after a restart does not turn the bar back."""
        now = time.monotonic()
        self._reported_at = now
        if self.started_at is None:
            self.started_at = now
        self.fraction = max(self.fraction, fraction)
        self.message = message or self.message

    def succeed(self, value: Any) -> None:
        """Settle with a result, unless settled before."""
        if not self.result.done():
            self.result.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Settle with an error, unless settled before."""
        if not self.result.done():
            self.result.set_exception(error)

    def seconds_left(self) -> float | None:
        """Time left if the rest goes at the pace so far."""
        if self.started_at is None or self.fraction <= 0.0:
            return None
        total = (self._reported_at - self.started_at) / self.fraction
        return max(0.0, total - (time.monotonic() - self.started_at))


class Queue(Protocol):
    """Where jobs wait: the engine."""

    def position(self, run: Run) -> int | None:
        """Return how many runs wait ahead of this one."""

    def obstacle(self) -> str:
        """Return what keeps every job from running now, in words; "" where nothing does."""

    def leave(self, run: Run, job: Job) -> None:
        """Give up one job's interest in a run."""


class Job:
    """One session's handle on a run; made by `Engine.submit`.

    Attributes
    ----------
    id : str
        Unique per handle, so that two sessions that share a run cannot cancel each other.
    owner : object or None
        Session that asked.
    """

    def __init__(self, engine: Queue, run: Run, owner: object = None) -> None:
        self.id = uuid.uuid4().hex
        self.owner = owner
        self._engine = engine
        self._run = run
        self._cancelled = False

    def status(self) -> JobStatus:
        """Return where the job stands; quick and never blocking."""
        run = self._run
        if self._cancelled:
            return JobStatus("cancelled", fraction=run.fraction, message=CANCELLED)
        if run.result.done():
            return self._settled()
        if run.started_at is None:
            return JobStatus("queued", position=self._engine.position(run), message=self._engine.obstacle())
        return JobStatus("running", None, run.fraction, run.seconds_left(), run.message)

    def _settled(self) -> JobStatus:
        error = self._run.result.exception()
        if error is None:
            return JobStatus("done", fraction=1.0, seconds_left=0.0, message=self._run.message)
        state: JobState = "cancelled" if isinstance(error, CancelledError) else "failed"
        return JobStatus(state, fraction=self._run.fraction, message=str(error))

    def result(self, timeout: float | None = None) -> Any:
        """Wait for the result.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait; None waits until the job ends.

        Raises
        ------
        CancelledError
            If the job was cancelled.
        TimeoutError
            If it has not ended in time; it goes on.
        Exception
            Whatever the task raised.
        """
        if self._cancelled:
            raise CancelledError(CANCELLED)
        error = self._run.result.exception(timeout)
        if error is not None:
            # Pages ask again on every rerun: without this, each time would lengthen the one shared traceback.
            raise error.with_traceback(None)
        return self._run.result.result()

    def cancel(self) -> None:
        """Give the job up at once. The work stops within two seconds unless another session waits for it too."""
        if not self._cancelled and not self._run.result.done():
            self._cancelled = True
            self._engine.leave(self._run, self)

"""The processes that compute for the pages: workers of our own, or somebody else's scheduler, behind one `Link`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from telltale.base.cluster import Workers
from telltale.base.endings import Ending, memory_kills
from telltale.base.errors import WorkerLostError
from telltale.base.remote.asking import answer_of
from telltale.base.remote.connecting import connect
from telltale.base.sealed import do_sealed, seal
from telltale.base.waiting import within
from telltale.engine.others_workers import OthersWorkers
from telltale.engine.settings import Settings
from telltale.engine.worker_state import Call, report, run_call

CALL_SECONDS = 5.0
STARTS_OF_PATIENCE = 4.0  # a replacement may take this many times as long as the slowest start so far


@dataclass
class Starts:
    """How long workers took to start, over every cluster of an engine; a busy machine makes that long.

    Attributes
    ----------
    slowest : float or None
        In seconds; None before the first one.
    """

    slowest: float | None = None

    def note(self, seconds: float) -> None:
        """Take in how long one start took."""
        self.slowest = max(seconds, self.slowest or 0.0)

    @property
    def patience(self) -> float:
        """Seconds for which a replacement is waited for; without end before any start was seen."""
        return math.inf if self.slowest is None else STARTS_OF_PATIENCE * self.slowest


class Link:
    """A connection to a scheduler and, where embedded, the ownership of its processes.

    Open it with `Link.open`. Every method belongs to the event loop that opened it.
    """

    def __init__(
        self, settings: Settings, client: Any, workers: Workers | None, opened_at: float, starts: Starts | None = None
    ) -> None:
        self.client = client
        self.reports: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, dict[str, Any]] = {}  # every worker's last report, for when it has ended
        self._living: set[str] = set()  # addresses
        self._memory_kills = memory_kills()
        self._starts = starts or Starts()
        self._settings = settings
        self._workers = workers
        self._opened_at = opened_at
        self._incomplete_since: float | None = opened_at
        self._was_complete = False
        self._others = None if workers is not None else OthersWorkers(client, settings.scheduler or "", settings.bundle)

    @classmethod
    async def open(cls, settings: Settings, starts: Starts) -> Link:
        """Connect to ``settings.scheduler``, or start an embedded cluster where there is none."""
        opened_at = time.monotonic()
        if settings.scheduler is not None:
            return cls(settings, await connect(settings.scheduler), None, opened_at, starts)
        workers = await Workers.start(settings.workers)
        try:
            return cls(settings, await connect(workers.address), workers, opened_at, starts)
        except BaseException:
            await workers.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether the scheduler is there and connected."""
        if self.client.status != "running":
            return False
        return self._workers is None or self._workers.alive

    @property
    def expected_workers(self) -> int:
        """How many workers there should be: as set up, or whoever joined somebody else's scheduler."""
        return self._settings.workers if self._workers is not None else max(1, len(self.reports))

    @property
    def refused(self) -> list[str]:
        """Sentences that name every one of somebody else's workers that may not compute here, and why."""
        return [] if self._others is None else self._others.refused

    def fault(self) -> str:
        """Return why the workers are not ready, in words; "" once every expected worker holds the bundle."""
        bundle, reports = self._settings.bundle, self.reports
        if self._others is not None and not reports:
            return self._others.complaint()
        for state in reports.values():
            if state["fault"]:
                return f"A worker could not load the bundle '{bundle}': {state['fault']}"
        ready = sum(bool(state["ready"]) for state in reports.values())
        if ready >= self.expected_workers:
            return ""
        return f"{ready} of {self.expected_workers} workers hold the bundle '{bundle}'; the others are loading it."

    async def refresh(self) -> None:
        """Replace dead workers and learn what the living ones hold; new ones start loading the bundle."""
        if self._workers is not None and await self._workers.replace_dead():
            self._incomplete_since = time.monotonic()  # each replacement has its own time to start
        if self._others is not None:
            await self._others.refresh()
        known = set(await within(CALL_SECONDS, self.client.nthreads()))
        answers = await self.call(report, self._settings.bundle)
        if self._others is not None:
            known, answers = self._others.fit(known, answers)
        # A worker too busy to answer is still there, and one that left is not.
        self.reports = {address: state for address, state in self.reports.items() if address in known} | answers
        self._living = known | answers.keys()
        self._seen |= answers

    def check_complete(self) -> None:
        """Raise where workers of our own were lost and do not come back: only a new cluster helps then.

        How long is waited for them follows from how long workers took to start.

        Raises
        ------
        WorkerLostError
        """
        now = time.monotonic()
        if self._workers is None or len(self.reports) >= self._settings.workers:
            if self._incomplete_since is not None:
                self._starts.note(now - self._incomplete_since)
            self._incomplete_since, self._was_complete = None, True
            return
        if self._incomplete_since is None:
            self._incomplete_since = now
        # The first start of a cluster may take as long as it takes: another one would take as long.
        if self._was_complete and now - self._incomplete_since > self._starts.patience:
            raise WorkerLostError(f"Lost workers did not come back within {self._starts.patience:.0f} seconds.")

    async def ending(self, address: str) -> Ending:
        """Return what was seen of a worker that has ended."""
        seen = self._seen.get(address, {})
        code = await self._workers.exit_code(seen["pid"]) if self._workers is not None and seen else None
        return Ending(code, seen.get("memory"), memory_kills() > self._memory_kills)

    def distrust(self) -> None:
        """Take no worker to be alive until it has answered again: where one died, others may have."""
        self.reports = {}
        self._memory_kills = memory_kills()

    def submit(self, call: Call, key: str, worker: str) -> Any:
        """Hand a call to the workers that may do it, and return the scheduler's future.

        Of this process's own workers it is `worker`, which has answered and so loads its bundle first.
        """
        if self._others is not None:
            return self._others.submit(call, key, list(self.reports))
        return self.client.submit(do_sealed, seal(run_call, call), key=key, pure=False, workers=[worker])

    async def answer(self, future: Any, worker: str) -> Any:
        """Wait for what becomes of a call that was handed to `worker`.

        Raises
        ------
        WorkersGoneError
            If all workers that might do it have left.
        """
        if self._others is not None:
            return await self._others.answer(future)
        return await answer_of(future, lambda: worker not in self._living)

    async def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Run a quick function on every worker beside its task; workers that do not answer in time are left out."""
        who = None if self._others is None else list(self._others.accepted)
        try:
            asked = self.client.run(function, *args, workers=who, on_error="ignore")
            answers: dict[str, Any] = await within(CALL_SECONDS, asked)
        except (TimeoutError, OSError):
            return {}
        return answers

    async def close(self) -> None:
        """Let go of the scheduler; end every process where they are ours."""
        if self._others is not None:
            self._others.close()
        try:
            await self.client.close(timeout=1)
        finally:
            if self._workers is not None:
                await self._workers.close()

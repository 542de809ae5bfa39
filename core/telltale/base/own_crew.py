"""Workers that this process starts and ends, for code that hands them one call each; see `telltale.base.pool`."""

from __future__ import annotations

import uuid
from typing import Any

from telltale.base.calls import Call, do
from telltale.base.cluster import Workers
from telltale.base.errors import WorkerLostError
from telltale.base.outcomes import Outcome
from telltale.base.remote.connecting import connect

MOST_LOSSES = 1
MOST_REPLACEMENTS = 5
SILENT_AFTER = "30 days"  # compiled code may keep a worker from saying that it is there for as long as a job takes

LOST = (
    "Two worker processes have ended while doing the same work. "
    "What others had finished is kept where the command keeps its work: free some memory and start it again."
)
NEVER_READY = "The worker processes die one after the other without finishing anything; free some memory and try again."
NO_SCHEDULER = "The process that hands out work to the worker processes has ended; start the command again."


class OwnCrew:
    """As many worker processes as were asked for, replaced when they die.

    Open it with `OwnCrew.open`. Every method belongs to the event loop that opened it.
    """

    def __init__(self, workers: Workers, client: Any) -> None:
        self._workers = workers
        self._client = client
        self._replacements = 0

    @classmethod
    async def open(cls, count: int) -> OwnCrew:
        """Start the workers."""
        workers = await Workers.start(count, SILENT_AFTER)
        try:
            return cls(workers, await connect(workers.address))
        except BaseException:
            await workers.close()
            raise

    @property
    def capacity(self) -> int:
        """How many calls can be under way."""
        return self._workers.count

    async def look_after(self) -> None:
        """Start a worker in place of each that died.

        Raises
        ------
        WorkerLostError
            If they die one after the other, or the scheduler has.
        """
        if not self._workers.alive or self._client.status != "running":
            raise WorkerLostError(NO_SCHEDULER)
        self._replacements += await self._workers.replace_dead()
        if self._replacements > MOST_REPLACEMENTS:
            raise WorkerLostError(NEVER_READY)

    async def attempt(self, call: Call) -> Outcome:
        """Do one call, once more where its worker dies."""
        import dask
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        name = uuid.uuid4().hex
        for attempt in range(1 + MOST_LOSSES):
            with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):  # images are large
                future = self._client.submit(do, call, key=f"{name}-{attempt}", pure=False)
            try:
                outcome: Outcome = await future.result()
            except (KilledWorker, FutureCancelledError):
                continue
            self._replacements = 0
            return outcome
        return Outcome(error=WorkerLostError(LOST))

    async def renew(self) -> None:
        """End the idle workers and start new ones."""
        await self._workers.renew()

    async def close(self) -> None:
        """End every process, whatever it does."""
        try:
            await self._client.close(timeout=1)
        finally:
            await self._workers.close()

"""Calls in worker processes for code that waits for them; everything asynchronous about workers stays in here."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar

from telltale.base.cluster import Workers, connect
from telltale.base.errors import WorkerLostError
from telltale.base.outcomes import Outcome, portable_error

T = TypeVar("T")

PULSE_SECONDS = 0.25
MOST_LOSSES = 1
MOST_REPLACEMENTS = 5
SILENT_AFTER = "30 days"  # compiled code may keep a worker from saying that it is there for as long as a job takes

LOST = (
    "Two worker processes have ended while doing the same work. What others had finished is kept where the command "
    "keeps its work: start it again, with more memory free if that was short."
)
NEVER_READY = "The worker processes die one after the other without finishing anything; free some memory and try again."
NO_SCHEDULER = "The process that hands out work to the worker processes has ended; start the command again."


@dataclass(frozen=True)
class Call:
    """A module's function and its argument; opaque to the scheduler, so that nothing inside is taken for a graph."""

    function: Callable[[Any], None]
    argument: Any


class Pool:
    """Single-threaded worker processes, from its making to `close`. One call of `do` at a time.

    Parameters
    ----------
    count : int
        Number of workers.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._replacements = 0
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="telltale-pool", daemon=True)
        self._thread.start()
        try:
            self._workers, self._client = self._wait_for(_open(count))
        except BaseException:
            self._end_loop()
            raise

    def do(self, calls: Sequence[Call]) -> Iterator[int]:
        """Do all calls, begun in order, and yield the place of each when it is done.

        A call whose worker dies is begun once more. After an error nothing that was not begun is; close the pool then.

        Raises
        ------
        WorkerLostError
            If workers died for one call twice.
        Exception
            Whatever a call raised.
        """
        waiting, running = deque(enumerate(calls)), dict[asyncio.Task[Outcome], int]()
        try:
            while waiting or running:
                for place, outcome in self._wait_for(self._step(waiting, running)):
                    if outcome.error is not None:
                        raise outcome.error
                    yield place
        finally:
            for task in running:
                self._loop.call_soon_threadsafe(task.cancel)

    def renew(self) -> None:
        """End the idle workers and start new ones."""
        self._wait_for(self._workers.renew())

    def close(self) -> None:
        """End every process, whatever it does."""
        try:
            self._wait_for(_close(self._workers, self._client))
        finally:
            self._end_loop()

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _step(
        self, waiting: deque[tuple[int, Call]], running: dict[asyncio.Task[Outcome], int]
    ) -> list[tuple[int, Outcome]]:
        """Keep every worker busy and return what has ended, if anything has within a moment."""
        while waiting and len(running) < self._count:  # one each, so that few arguments travel ahead of their turn
            place, call = waiting.popleft()
            running[asyncio.create_task(self._attempt(call))] = place
        ended, _ = await asyncio.wait(running, timeout=PULSE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        await self._look_after()
        if ended:
            self._replacements = 0
        return [(running.pop(task), task.result()) for task in ended]

    async def _look_after(self) -> None:
        if not self._workers.alive or self._client.status != "running":
            raise WorkerLostError(NO_SCHEDULER)
        self._replacements += await self._workers.replace_dead()
        if self._replacements > MOST_REPLACEMENTS:
            raise WorkerLostError(NEVER_READY)

    async def _attempt(self, call: Call) -> Outcome:
        import dask
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        name = uuid.uuid4().hex
        for attempt in range(1 + MOST_LOSSES):
            with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TB"}):  # images are large
                future = self._client.submit(_do, call, key=f"{name}-{attempt}", pure=False)
            try:
                return await future.result()  # type: ignore[no-any-return]
            except (KilledWorker, FutureCancelledError):
                continue
        return Outcome(error=WorkerLostError(LOST))


async def _open(count: int) -> tuple[Workers, Any]:
    workers = await Workers.start(count, SILENT_AFTER)
    try:
        return workers, await connect(workers.address)
    except BaseException:
        await workers.close()
        raise


async def _close(workers: Workers, client: Any) -> None:
    try:
        await client.close(timeout=1)
    finally:
        await workers.close()


def _do(call: Call) -> Outcome:
    """Run one call in a worker."""
    try:
        call.function(call.argument)
    except (Exception, SystemExit) as error:
        return Outcome(error=portable_error(error))
    return Outcome()

"""Calls in worker processes for code that waits for them; everything asynchronous about workers stays behind it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterator, Sequence
from threading import Thread
from typing import Any, Protocol, TypeVar

from telltale.base.calls import Call
from telltale.base.outcomes import Outcome
from telltale.base.own_crew import OwnCrew
from telltale.base.remote.crew import RemoteCrew

T = TypeVar("T")

PULSE_SECONDS = 0.25


class Crew(Protocol):
    """Workers that take one call each; every method belongs to the event loop of the pool."""

    @property
    def capacity(self) -> int:
        """How many calls can be under way."""

    async def attempt(self, call: Call) -> Outcome:
        """Do one call, once more where its worker dies."""

    async def look_after(self) -> None:
        """See to it that workers are there; raise `WorkerLostError` where there is no hope."""

    async def renew(self) -> None:
        """Let the next calls begin in new processes, where these belong to this process."""

    async def close(self) -> None:
        """Let go of the workers, and end those that belong to this process."""


class Pool:
    """Single-threaded worker processes, from its making to `close`. One call of `do` at a time.

    Parameters
    ----------
    count : int
        Number of workers that are started.
    scheduler : str, optional
        Address of a scheduler whose workers are used, as many as have joined it; none are started then.

    Raises
    ------
    WorkerLostError
        If that scheduler cannot be reached.
    InputError
        If it wants certificates, and Dask's settings name none.
    """

    def __init__(self, count: int, scheduler: str | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="telltale-pool", daemon=True)
        self._thread.start()
        try:
            self._crew = self._wait_for(_open(count, scheduler))
        except BaseException:
            self._end_loop()
            raise

    def do(self, calls: Sequence[Call]) -> Iterator[int]:
        """Do all calls, begun in order, and yield the place of each when it is done.

        A call whose worker dies is begun once more. After an error nothing that was not begun is; close the pool then.

        Raises
        ------
        WorkerLostError
            If workers died for one call twice, or none are left.
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
        """End the idle workers and start new ones, where they were started here."""
        self._wait_for(self._crew.renew())

    def close(self) -> None:
        """Let go of the workers; those that were started here are ended, whatever they do."""
        try:
            self._wait_for(self._crew.close())
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
        while waiting and len(running) < self._crew.capacity:  # one each: few arguments travel ahead of their turn
            place, call = waiting.popleft()
            running[asyncio.create_task(self._crew.attempt(call))] = place
        if not running:
            await asyncio.sleep(PULSE_SECONDS)
            await self._crew.look_after()
            return []
        ended, _ = await asyncio.wait(running, timeout=PULSE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        await self._crew.look_after()
        return [(running.pop(task), task.result()) for task in ended]


async def _open(count: int, scheduler: str | None) -> Crew:
    return await OwnCrew.open(count) if scheduler is None else await RemoteCrew.open(scheduler)

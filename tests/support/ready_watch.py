"""Whether `/ready` tells the truth: what it answers, beside the processes that really live at that moment."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from support.server_memory import SCHEDULER, WORKER, processes_of

LOOK_EVERY = 0.5
ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """One answer.

    Attributes
    ----------
    at : float
        Seconds since the watch began.
    status : int
        Of the answer; 0 where there was none in time.
    reason : str
    complete : bool
        Whether the scheduler and as many workers as expected lived before and after it was asked.
    """

    at: float
    status: int
    reason: str
    complete: bool


@dataclass
class ReadyWatch:
    """All answers while a server was watched.

    Attributes
    ----------
    answers : list of Answer
    """

    answers: list[Answer] = field(default_factory=list)

    @property
    def unanswered(self) -> int:
        """How often nothing came."""
        return sum(answer.status == 0 for answer in self.answers)

    @property
    def without_reason(self) -> int:
        """How often it was not ready and did not say why."""
        return sum(answer.status == 503 and not answer.reason for answer in self.answers)

    @property
    def not_ready(self) -> int:
        """How often it was not ready."""
        return sum(answer.status == 503 for answer in self.answers)

    def longest_lie(self) -> float:
        """Return for how many seconds on end it was called ready while processes were missing."""
        longest, since = 0.0, None
        for answer in self.answers:
            lies = answer.status == 200 and not answer.complete
            since = (answer.at if since is None else since) if lies else None
            longest = max(longest, 0.0 if since is None else answer.at - since)
        return longest


async def ask(address: str) -> tuple[int, str]:
    """Return the status of `/ready` and the reason it gives; 0 where it does not answer in time."""

    def asked() -> tuple[int, str]:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=ANSWER_SECONDS)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/ready")
                answer = connection.getresponse()
                return answer.status, str(json.loads(answer.read())["reason"])
            except (OSError, http.client.HTTPException) as error:
                return 0, f"{type(error).__name__}: {error}"

    return await asyncio.to_thread(asked)


@asynccontextmanager
async def watched(address: str, pid: int, workers: int) -> AsyncIterator[ReadyWatch]:
    """Ask again and again while the block runs."""
    watch, began = ReadyWatch(), time.monotonic()

    async def look() -> None:
        while True:
            before = await asyncio.to_thread(_complete, pid, workers)
            status, reason = await ask(address)
            after = await asyncio.to_thread(_complete, pid, workers)
            watch.answers.append(Answer(time.monotonic() - began, status, reason, before or after))
            await asyncio.sleep(LOOK_EVERY)

    looking = asyncio.create_task(look())
    try:
        yield watch
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking


def _complete(pid: int, workers: int) -> bool:
    living = processes_of(pid)
    return len(living.get(WORKER, ())) >= workers and bool(living.get(SCHEDULER))

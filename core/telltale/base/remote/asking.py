"""Waiting for a worker that may never answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

LOOK_SECONDS = 1.0


class WorkersGoneError(Exception):
    """Every worker that might have done a call has left."""


async def answer_of(future: Any, gone: Callable[[], bool]) -> Any:
    """Return the result of a scheduler's future.

    A call is handed to workers by address. Whoever takes the place of a lost one has another address, and the scheduler
    would wait for the old one for ever, even where it is told that others may do: so it does with a call that arrives
    while it knows no worker at all. That a worker has ended while it did the call is the scheduler's to say, and a list
    of the living may be faster: it must hold at two looks.

    Parameters
    ----------
    future : distributed.Future
    gone : callable
        Whether all those have left who might do it.

    Raises
    ------
    WorkersGoneError
        If they have.
    Exception
        Whatever the future raises.
    """
    answer = asyncio.ensure_future(future.result())
    gone_before = False
    try:
        while not answer.done():
            await asyncio.wait({answer}, timeout=LOOK_SECONDS)
            gone_now = gone()
            if not answer.done() and gone_before and gone_now:
                raise WorkersGoneError
            gone_before = gone_now
        return answer.result()
    finally:
        answer.cancel()

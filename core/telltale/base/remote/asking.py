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

    A call is handed to workers that were accepted, by address. Whoever takes the place of a lost one has another
    address, and the scheduler would wait for the old one for ever.

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
    try:
        while not answer.done():
            await asyncio.wait({answer}, timeout=LOOK_SECONDS)
            if not answer.done() and gone():
                raise WorkersGoneError
        return answer.result()
    finally:
        answer.cancel()

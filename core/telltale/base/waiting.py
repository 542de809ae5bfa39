"""Waiting that ends in time, whatever is waited for does when it is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def within(seconds: float, work: Awaitable[T]) -> T:
    """Await `work` for at most `seconds`.

    `asyncio.wait_for` also waits until what it cancelled has ended, and a call to a process that died may never end.

    Raises
    ------
    TimeoutError
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
            task.add_done_callback(_look_at)
    if not task.done():
        raise TimeoutError
    return task.result()


def _look_at(task: asyncio.Future[T]) -> None:
    """Take note of how an abandoned task ended, so that asyncio does not complain that nobody did."""
    if not task.cancelled():
        task.exception()

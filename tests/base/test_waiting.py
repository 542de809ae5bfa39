"""Waiting ends in time even for work that will not be stopped."""

from __future__ import annotations

import asyncio
import time

import pytest

from telltale.base.waiting import within


async def stubborn(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            await asyncio.sleep(end - time.monotonic())
        except asyncio.CancelledError:
            continue


def test_results_and_errors_come_through() -> None:
    async def fail() -> None:
        raise OSError("gone")

    assert asyncio.run(within(5, asyncio.sleep(0, "done"))) == "done"
    with pytest.raises(OSError, match="gone"):
        asyncio.run(within(5, fail()))


def test_work_that_ignores_being_cancelled_is_left_behind_in_time() -> None:
    async def measure() -> float:
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            await within(0.1, stubborn(1.0))
        return time.monotonic() - start

    assert asyncio.run(measure()) < 0.8

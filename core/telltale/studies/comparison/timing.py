"""Wall time on one thread, as every engine worker has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from threadpoolctl import threadpool_limits

Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold every linear-algebra library of this process, and torch, to one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(threads)


def timed(work: Callable[[], Result], repeats: int = 1) -> tuple[float, Result]:
    """Return the median wall time in milliseconds and the last result; more repeats follow one run that is not counted.

    Parameters
    ----------
    work : callable
    repeats : int
    """
    if repeats > 1:
        work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = work()
        times.append(1000.0 * (time.perf_counter() - start))
    return float(np.median(times)), result

"""How many threads BLAS takes where its own choice costs more than it brings."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager
from typing import Any

from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager[Any]:
    """Return a context in which BLAS computes in the calling thread alone.

    Handing hundreds of small products to several threads takes longer than computing them, many times so where other
    processes want the same cores; and threads that each call BLAS already have all cores to themselves.
    """
    return _controller().limit(limits=1, user_api="blas")  # type: ignore[no-any-return]


@functools.cache
def _controller() -> ThreadpoolController:
    """Find the libraries once: looking for them takes longer than a product."""
    return ThreadpoolController()

"""What the engine reads from the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass

from telltale.base.errors import InputError
from telltale.base.remote.address import scheduler_address

FIRST_BUNDLE = "signs"
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Settings:
    """How the engine is set up; every field has one environment variable.

    Attributes
    ----------
    workers : int
        Worker processes of the embedded cluster (``TELLTALE_WORKERS``).
    scheduler : str or None
        Address of an existing ``dask`` scheduler to use in place of an embedded cluster (``TELLTALE_SCHEDULER``).
        Its workers are started by ``telltale worker``; start it with
        ``DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES=0``, because the engine does its own retrying.
    bundle : str
        Bundle that every worker loads before the engine is ready (``TELLTALE_BUNDLE``); empty for none.
    max_queue : int
        Jobs that may wait before further ones are refused (``TELLTALE_MAX_QUEUE``).
    visitor_queue : int
        Jobs that may wait for one visitor (``TELLTALE_MAX_QUEUE_PER_VISITOR``).
    cache_bytes : int
        Memory kept for finished results (``TELLTALE_CACHE_MB``, in MiB).
    """

    workers: int = 2
    scheduler: str | None = None
    bundle: str = FIRST_BUNDLE
    max_queue: int = 1000
    visitor_queue: int = 200
    cache_bytes: int = 256 * MEGABYTE

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the settings.

        Raises
        ------
        InputError
            If a number is not a whole number in its range, or the scheduler's address may not be used; the message
            names the variable.
        """
        return cls(
            workers=_whole_number("TELLTALE_WORKERS", 2, low=1),
            scheduler=scheduler_address(),
            bundle=os.environ.get("TELLTALE_BUNDLE", FIRST_BUNDLE),
            max_queue=_whole_number("TELLTALE_MAX_QUEUE", 1000, low=1),
            visitor_queue=_whole_number("TELLTALE_MAX_QUEUE_PER_VISITOR", 200, low=1),
            cache_bytes=_whole_number("TELLTALE_CACHE_MB", 256, low=0) * MEGABYTE,
        )


def _whole_number(variable: str, default: int, low: int) -> int:
    text = os.environ.get(variable, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < low:
        raise InputError(f"The environment variable {variable} must be a whole number of at least {low}. Got {text!r}.")
    return int(text)

"""What the C library's allocator does with memory that arrays have left; only glibc can be told."""

from __future__ import annotations

import contextlib
import ctypes
import gc

LARGEST_KEPT = 128 * 2**20  # bytes; larger arrays are few, and theirs goes back at once
ARENA_MAX, TRIM_THRESHOLD, MMAP_THRESHOLD = -8, -1, -3  # as in malloc.h


def keep_freed_memory() -> None:
    """Let this process use the memory of freed arrays again instead of giving it back and asking for it anew.

    Every pass through a network allocates the same arrays of some megabytes. By default each is mapped by the system,
    page by page, and unmapped afterwards, which takes a third of the processor time of a pass. `return_memory` gives
    back between jobs what is kept. Call it before other threads run: theirs would keep heaps of their own.
    """
    with contextlib.suppress(AttributeError):
        allocator = ctypes.CDLL(None)
        allocator.mallopt(ARENA_MAX, 1)
        allocator.mallopt(MMAP_THRESHOLD, LARGEST_KEPT)
        allocator.mallopt(TRIM_THRESHOLD, 2 * LARGEST_KEPT)


def collect_and_return_memory() -> None:
    """Free what only garbage still holds, then return memory: processes would grow by half."""
    gc.collect()  # Python looks for garbage by the number of objects, not by the size of what they hold
    return_memory()


def return_memory() -> None:
    """Give the system what freed arrays have left; takes some milliseconds."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)

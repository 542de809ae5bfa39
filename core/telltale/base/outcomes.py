"""What becomes of work in another process, as a value: no foreign class is needed to read it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """What became of one call; errors travel as values so that no foreign class is needed to read them."""

    value: Any = None
    error: BaseException | None = None
    cancelled: bool = False


def portable_error(error: BaseException) -> BaseException:
    """Return an error that a process without torch can read: the same one where that is safe, else its text."""
    kind = type(error)
    safe = kind.__module__ in ("builtins", "telltale.base.errors") and all(
        arg is None or isinstance(arg, str | int | float) for arg in error.args
    )
    if isinstance(error, SystemExit) or not safe:
        portable: BaseException = RuntimeError(f"{kind.__name__}: {error}")
    else:
        portable = kind(*error.args)
    portable.add_note("In the worker:\n" + "".join(traceback.format_exception(error)))
    return portable

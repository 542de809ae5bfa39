"""One call in another process, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from telltale.base.outcomes import Outcome, portable_error


@dataclass(frozen=True)
class Call:
    """A module's function and its argument; opaque to the scheduler, so that nothing inside is taken for a graph."""

    function: Callable[[Any], None]
    argument: Any


def do(call: Call) -> Outcome:
    """Run one call in a worker."""
    try:
        call.function(call.argument)
    except (Exception, SystemExit) as error:
        return Outcome(error=portable_error(error))
    return Outcome()

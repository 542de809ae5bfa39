"""What a person is told of a job that was begun and lost more often than the engine begins it again."""

from __future__ import annotations

from collections.abc import Sequence

from telltale.base.endings import Ending
from telltale.base.errors import WorkerLostError


def lost(endings: Sequence[Ending]) -> WorkerLostError:
    """Return the error of a job during which processes have ended, with what was seen of each."""
    told = "; the next ".join(ending.words() for ending in endings)
    hint = " Try fewer images or smaller settings." if any(ending.memory_ran_out for ending in endings) else ""
    return WorkerLostError(
        f"{len(endings)} worker processes have ended while doing this, and nothing was computed. "
        f"The first {told}.{hint}"
    )


def interrupted(times: int) -> WorkerLostError:
    """Return the error of a job whose scheduler or cluster was lost, by no doing of its own."""
    return WorkerLostError(
        f"The processes that hand out and do the work were lost {times} times while this was done; "
        "nothing was computed."
    )

"""How a worker process ended, in words that say what was seen and nothing else."""

from __future__ import annotations

import contextlib
import signal
from dataclasses import dataclass
from pathlib import Path

GIGABYTE = 1e9
MEMORY_KILLS = Path("/proc/vmstat")


@dataclass(frozen=True)
class Ending:
    """What was seen of one process that has ended.

    Attributes
    ----------
    code : int or None
        Exit code; negative for the signal that killed it, None where nobody saw it end.
    memory : int or None
        Bytes that it held when it was last looked at.
    memory_ran_out : bool
        Whether the system has ended processes for lack of memory since the process was last looked at.
    """

    code: int | None = None
    memory: int | None = None
    memory_ran_out: bool = False

    def words(self) -> str:
        """Return what was seen, to go on after the process is named."""
        seen = [self._how()]
        if self.memory is not None:
            seen.append(f"it held {self.memory / GIGABYTE:.1f} GB when last looked at")
        if self.memory_ran_out:
            seen.append("the system was ending processes for lack of memory")
        return ", ".join(seen)

    def _how(self) -> str:
        if self.code is None:
            return "was lost and nobody saw how it ended"
        if self.code >= 0:
            return f"ended with exit code {self.code}"
        name = ""
        with contextlib.suppress(ValueError):  # a signal without a name
            name = f" ({signal.Signals(-self.code).name})"
        return f"was killed by signal {-self.code}{name}"


def memory_kills() -> int:
    """Return how many processes the system has ended for lack of memory since it started; 0 where it does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in MEMORY_KILLS.read_text(encoding="ascii").splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0

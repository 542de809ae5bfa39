"""Runs first in every scheduler and worker process of the embedded cluster, before it serves anything."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ORPHAN_CHECK_SECONDS = 0.5
SINGLE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "TBB_NUM_THREADS")
}

_installed = False


def preload_source(parent: int) -> str:
    """Return the script that installs the guard in a child of the process `parent`.

    It is given as text because a child finds `telltale` on its path only once the script has put it there.
    """
    return (
        f"import sys\n"
        f"if {str(ROOT)!r} not in sys.path:\n"
        f"    sys.path.insert(0, {str(ROOT)!r})\n"
        f"from telltale.base.guard import install\n"
        f"install({parent})\n"
    )


def install(parent: int) -> None:
    """Tie this process to `parent`, keep it single-threaded and quiet. Later calls do nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    os.environ.update(SINGLE_THREAD)
    logging.getLogger("distributed").setLevel(logging.ERROR)
    _leave_terminal()
    _never_block_on_stderr()
    threading.Thread(target=exit_when_orphaned, args=(parent,), name="orphan-watch", daemon=True).start()


def _leave_terminal() -> None:
    # Ctrl-C in the terminal is for the parent alone, which then ends its children in order.
    try:
        os.setsid()
    except OSError:  # already the leader of a session
        return


def _never_block_on_stderr() -> None:
    # The scheduler's stderr is a pipe that nobody reads; once full, it would stop the scheduler for good.
    sys.stderr.flush()
    os.dup2(1, 2)


def exit_when_orphaned(parent: int) -> None:
    """Watch the parent, and end this process once it is gone; runs in a thread of its own."""
    # A parent killed outright closes nothing in order; its children must notice by themselves.
    while os.getppid() == parent:
        time.sleep(ORPHAN_CHECK_SECONDS)
    os._exit(0)

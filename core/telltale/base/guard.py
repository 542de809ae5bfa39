"""Runs first in every scheduler and worker process that Telltale starts, before it serves anything."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from pathlib import Path

from telltale.base.memory import keep_freed_memory

ROOT = Path(__file__).resolve().parents[2]
ORPHAN_CHECK_SECONDS = 0.5
SINGLE_THREAD = {
    name: "1"
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "TBB_NUM_THREADS")
}

_installed = False


def preload_source(parent: int, drain_stderr: bool = False) -> str:
    """Return the script that installs the guard in a child of the process `parent`.

    It is given as text because a child finds `telltale`, and whatever else its parent can import, only once the script
    has put the parent's path in place.

    Parameters
    ----------
    parent : int
        Process id.
    drain_stderr : bool
        Whether nobody reads the child's stderr.
    """
    path = [str(ROOT), *(entry for entry in sys.path if entry and entry != str(ROOT))]
    return (
        f"import sys\n"
        f"path = {path!r}\n"
        f"sys.path[:] = path + [entry for entry in sys.path if entry not in path]\n"
        f"from telltale.base.guard import install\n"
        f"install({parent}, {drain_stderr})\n"
    )


def install(parent: int, drain_stderr: bool) -> None:
    """Tie this process to `parent`, keep it single-threaded, quiet and fast. Later calls do nothing."""
    global _installed
    if _installed:
        return
    _installed = True
    os.environ.update(SINGLE_THREAD)
    keep_freed_memory()
    logging.getLogger("distributed").setLevel(logging.ERROR)
    _leave_terminal()
    if drain_stderr:
        _never_block_on_stderr()
    threading.Thread(target=exit_when_orphaned, args=(parent,), name="orphan-watch", daemon=True).start()


def _leave_terminal() -> None:
    # Ctrl-C in the terminal is for the parent alone, which then ends its children in order.
    try:
        os.setsid()
    except OSError:  # already the leader of a session
        return


def _never_block_on_stderr() -> None:
    # A pipe that nobody reads would, once full, stop the scheduler for good; stdout may be read as a command's answer.
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)


def exit_when_orphaned(parent: int) -> None:
    """Watch the parent, and end this process once it is gone; runs in a thread of its own."""
    # A parent killed outright closes nothing in order; its children must notice by themselves.
    while os.getppid() == parent:
        time.sleep(ORPHAN_CHECK_SECONDS)
    os._exit(0)

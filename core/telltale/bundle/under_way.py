"""How far the build of a bundle has come, in a file that the build writes beside its folder, and pages read."""

from __future__ import annotations

import contextlib
import math
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from telltale.base.errors import DamagedBundleError
from telltale.base.files import load_json, save_json, whole
from telltale.base.progress import Progress

FOLDER = ".build"  # where builds keep what they have finished
SECONDS_BETWEEN = 1.0


@dataclass(frozen=True)
class UnderWay:
    """A build that goes on, or did until it was stopped.

    Attributes
    ----------
    fraction : float
        Done share, in [0, 1].
    message : str
        What is being done.
    process : int
        Id of the process that builds.
    """

    fraction: float
    message: str
    process: int

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return bool(psutil.pid_exists(self.process))


def file_of(folder: Path) -> Path:
    """Return the file that tells of the build of a bundle's folder."""
    return folder.parent / FOLDER / f"{folder.name}.json"


def told_beside(folder: Path, progress: Progress) -> Progress:
    """Return a progress that also writes what it is told beside the bundle's folder, once a second at most."""
    file, last = file_of(folder), -math.inf

    def tell(fraction: float, message: str) -> None:
        nonlocal last
        progress(fraction, message)
        if time.monotonic() - last >= SECONDS_BETWEEN:
            file.parent.mkdir(parents=True, exist_ok=True)
            with whole(file) as partial:
                save_json(partial, asdict(UnderWay(fraction, message, os.getpid())))
            last = time.monotonic()

    return tell


def finish(folder: Path) -> None:
    """Forget the build of a bundle's folder."""
    file_of(folder).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # not there, or not empty
        file_of(folder).parent.rmdir()


def under_way(folder: Path) -> UnderWay | None:
    """Return how far a build has come; None where none has begun, or it is finished."""
    try:
        found = load_json(file_of(folder))
        return UnderWay(float(found["fraction"]), str(found["message"]), int(found["process"]))
    except (DamagedBundleError, KeyError, TypeError, ValueError, OverflowError):
        return None

"""Jobs for workers that share no disk with who asks; imported by the workers under their dotted path."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from telltale.base.errors import InputError
from telltale.base.files import whole


@dataclass(frozen=True)
class Join:
    """Two files that are read and one that is written."""

    parts: tuple[Path, Path]
    file: Path


@dataclass(frozen=True)
class Some:
    """A folder of which one file is read and another is written."""

    folder: Path

    def files_read(self) -> list[Path]:
        return [self.folder / "in", self.folder / "not-there"]


def join(job: Join) -> None:
    with whole(job.file) as partial:
        partial.write_text("".join(part.read_text() for part in job.parts))


def see(job: Some) -> None:
    """Leave what lies in the folder, and where it lies."""
    names = sorted(file.name for file in job.folder.iterdir())
    with whole(job.folder / "out") as partial:
        partial.write_text(f"{' '.join(names)} in {job.folder}")


def append(file: Path) -> None:
    """Write to what was read, in place."""
    with file.open("a") as opened:
        opened.write("!")


def refuse(file: Path) -> None:
    file.write_text("half")
    raise InputError(f"'{file}' is not accepted.")


def stray(file: Path) -> None:
    (file.parent / "somewhere-else").write_text("not asked for")


def slow(file: Path) -> None:
    """Take a while, long enough for a test to take something away meanwhile."""
    time.sleep(4)
    file.write_text(str(os.getpid()))


def die(file: Path) -> None:
    del file
    os.kill(os.getpid(), signal.SIGKILL)

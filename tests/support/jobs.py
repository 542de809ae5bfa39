"""Jobs that behave in every way a job can; imported by the workers under their dotted path."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

from telltale.base.errors import InputError
from telltale.base.processes import kept


def note(file: Path) -> None:
    """Leave which process this was, when it began and how many threads it computes with."""
    import torch
    from threadpoolctl import threadpool_info

    begun = time.monotonic()
    time.sleep(0.3)
    threads = max([torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())])
    file.write_text(f"{os.getpid()} {begun} {threads}")


def die(file: Path) -> None:
    """Be killed on the first attempt, and on the second unless that is allowed to finish."""
    with file.open("a") as log:
        log.write(f"{os.getpid()}\n")
    if file.name == "always" or len(file.read_text().splitlines()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def refuse(file: Path) -> None:
    raise InputError(f"'{file.name}' is not accepted.")


def leave(_file: Path) -> None:
    raise SystemExit(3)


def product(job: tuple[Path, np.ndarray]) -> None:
    """Multiply, with a factor that the jobs of this process share."""
    file, array = job
    factor = kept("factor", lambda: _noted(file.parent))
    np.save(file, array @ array.T * factor)


def _noted(folder: Path) -> float:
    with (folder / f"made-{os.getpid()}").open("a") as log:
        log.write("once\n")
    return 2.0


def wait(file: Path) -> None:
    file.touch()
    time.sleep(60)

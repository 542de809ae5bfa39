"""Tasks that behave in every way a task can; imported by the workers under their dotted path."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from telltale.base.errors import InputError

Checkpoint = Callable[..., None]


def add(checkpoint: Checkpoint, a: float, b: float) -> float:
    return a + b


def double(checkpoint: Checkpoint, image: np.ndarray) -> dict[str, np.ndarray]:
    return {"image": image * 2}


def sleepy(checkpoint: Checkpoint, seconds: float, steps: int = 20, tag: str = "") -> str:
    """Sleep in steps, as a well-behaved task computes."""
    for step in range(steps):
        checkpoint(step / steps, f"step {step + 1} of {steps}")
        time.sleep(seconds / steps)
    return tag


def deaf(checkpoint: Checkpoint, seconds: float) -> None:
    """Compute without ever asking whether to go on."""
    time.sleep(seconds)


def count(checkpoint: Checkpoint, log: str, seconds: float = 0.0) -> int:
    """Leave one line per time this was truly computed."""
    with Path(log).open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return len(Path(log).read_text().splitlines())


def count_with(checkpoint: Checkpoint, bundle: str, log: str) -> int:
    return count(checkpoint, log)


def die_once(checkpoint: Checkpoint, log: str) -> str:
    """Be killed on the first attempt, finish on the second."""
    path = Path(log)
    first = not path.exists()
    with path.open("a") as file:
        file.write(f"{os.getpid()}\n")
    if first:
        os.kill(os.getpid(), signal.SIGKILL)
    return "finished"


def die(checkpoint: Checkpoint, tag: str = "") -> None:
    os._exit(3)


def refuse(checkpoint: Checkpoint, what: str) -> None:
    raise InputError(f"The image must be square. Got {what} instead.")


def divide(checkpoint: Checkpoint) -> float:
    return 1 / 0


def fail_in_torch(checkpoint: Checkpoint) -> None:
    import torch

    raise torch.OutOfMemoryError("the card is full")


def with_torch(checkpoint: Checkpoint, image: np.ndarray) -> dict[str, object]:
    """Compute with torch and answer with arrays, as the real tasks do."""
    import torch

    checkpoint(0.5)
    return {"sum": np.asarray(torch.from_numpy(image.copy()).sum()), "threads": torch.get_num_threads()}


def threads(checkpoint: Checkpoint) -> dict[str, str]:
    return {name: os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}


def pid(checkpoint: Checkpoint, tag: str = "") -> int:
    return os.getpid()

"""The processes of a running server by what they do, and the memory of each while it works."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

SERVER, SCHEDULER, WORKER, DECODER, OTHER = "server", "scheduler", "worker", "decoder", "other"
MEGABYTE = 2**20
FILES = "files, each page once"
FILES_EVERY = 5.0  # seconds: reading all mappings takes a tenth of one


def processes_of(pid: int) -> dict[str, list[psutil.Process]]:
    """Return the living processes of a server by what they do."""
    found: dict[str, list[psutil.Process]] = {}
    with contextlib.suppress(psutil.Error):
        server = psutil.Process(pid)
        for process in [server, *server.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    kind = SERVER if process.pid == pid else _kind(" ".join(process.cmdline()))
                    found.setdefault(kind, []).append(process)
    return found


def _kind(command: str) -> str:
    if "distributed.Scheduler" in command:
        return SCHEDULER
    if "distributed.Worker" in command:
        return WORKER
    return DECODER if "decoder_process" in command else OTHER


def resident(process: psutil.Process) -> int:
    """Return the resident memory of a process in bytes, shared pages counted in full."""
    return int(process.memory_info().rss)


def anonymous(process: psutil.Process) -> int:
    """Return the memory of a process in bytes that no file stands behind, which only it holds."""
    said = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    match = re.search(r"^Anonymous:\s+(\d+) kB$", said, re.MULTILINE)
    return 1024 * int(match[1]) if match else 0


def file_pages(processes: Iterable[psutil.Process]) -> int:
    """Return the bytes of files that these processes hold in memory, what several of them hold counted once.

    Who else on the machine holds the same libraries makes no difference, as it does to the kernel's own PSS. Of every
    mapped piece of a file counts the most that one process holds of it.
    """
    most: dict[str, int] = {}
    for process in processes:
        with contextlib.suppress(OSError):
            for piece, size in _mapped(Path(f"/proc/{process.pid}/smaps").read_text()):
                most[piece] = max(size, most.get(piece, 0))
    return sum(most.values())


def _mapped(smaps: str) -> Iterator[tuple[str, int]]:
    """Yield (file and place in it, bytes in memory that are still the file's) of every mapping of a file."""
    for head, held in re.findall(r"^[0-9a-f]+-[0-9a-f]+ (.*)\n((?:[A-Z].*\n)*)", smaps, re.MULTILINE):
        _, offset, device, inode, *_ = head.split(maxsplit=4)
        if inode != "0":
            figures = dict(re.findall(r"^(Rss|Anonymous):\s+(\d+) kB$", held, re.MULTILINE))
            yield f"{device} {inode} {offset}", 1024 * (int(figures["Rss"]) - int(figures["Anonymous"]))


@dataclass(frozen=True)
class Sample:
    """Memory at one moment.

    Attributes
    ----------
    at : float
        Seconds since it was first looked.
    bytes : dict of str to int
        By what the processes do, all of a kind together.
    """

    at: float
    bytes: dict[str, int]

    @property
    def total(self) -> int:
        """All processes together."""
        return sum(self.bytes.values())


@dataclass
class Followed:
    """Memory followed over a time.

    Attributes
    ----------
    samples : list of Sample
    """

    samples: list[Sample] = field(default_factory=list)

    def largest(self, kind: str) -> int:
        """Return the most that the processes of a kind held together, in bytes."""
        return max((sample.bytes.get(kind, 0) for sample in self.samples), default=0)

    @property
    def peak(self) -> Sample:
        """The moment at which all processes together held most."""
        return max(self.samples, key=lambda sample: sample.total)

    def thirds(self, kind: str) -> tuple[float, float]:
        """Return the mean over the first and over the last third of the time, in bytes."""
        held = np.array([sample.bytes.get(kind, 0) for sample in self.samples], dtype=np.float64)
        third = max(1, len(held) // 3)
        return float(held[:third].mean()), float(held[-third:].mean())

    def lines(self) -> list[str]:
        """Say all of it, one line for each kind of process."""
        kinds = sorted({kind for sample in self.samples for kind in sample.bytes})
        return [
            f"  {kind}: largest {self.largest(kind) / MEGABYTE:.0f} MiB; first third "
            f"{self.thirds(kind)[0] / MEGABYTE:.0f}, last third {self.thirds(kind)[1] / MEGABYTE:.0f} MiB on average"
            for kind in kinds
        ]


def look(pid: int) -> dict[str, int]:
    """Return the resident memory of a server's processes by kind; those that end meanwhile are left out."""
    return _summed(pid, resident)


class LookOnce:
    """Like `look`, but what several processes share is counted once, under a kind of its own."""

    def __init__(self) -> None:
        self._files, self._looked_at = 0, -FILES_EVERY

    def __call__(self, pid: int) -> dict[str, int]:
        if time.monotonic() - self._looked_at > FILES_EVERY:
            self._looked_at = time.monotonic()
            self._files = file_pages(process for every in processes_of(pid).values() for process in every)
        return {**_summed(pid, anonymous), FILES: self._files}


def _summed(pid: int, measure: Callable[[psutil.Process], int]) -> dict[str, int]:
    held: dict[str, int] = {}
    for kind, processes in processes_of(pid).items():
        for process in processes:
            with contextlib.suppress(psutil.Error, OSError):
                held[kind] = held.get(kind, 0) + measure(process)
    return held


@asynccontextmanager
async def followed(
    pid: int, measure: Callable[[int], dict[str, int]] = look, every: float = 1.0
) -> AsyncIterator[Followed]:
    """Follow a server's memory while the block runs, without holding up its event loop."""
    kept, began = Followed(), time.monotonic()

    async def follow() -> None:
        while True:
            held = await asyncio.to_thread(measure, pid)
            kept.samples.append(Sample(time.monotonic() - began, held))
            await asyncio.sleep(every)

    following = asyncio.create_task(follow())
    try:
        yield kept
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        kept.samples.append(Sample(time.monotonic() - began, measure(pid)))

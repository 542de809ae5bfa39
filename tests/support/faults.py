"""Faults that befall a running server while people use it, by a schedule that a seed repeats."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Sequence

import psutil

from support.server_memory import DECODER, SCHEDULER, WORKER, processes_of

WORKER_KILLED, WORKERS_KILLED, SCHEDULER_KILLED = "a worker killed", "all workers killed", "the scheduler killed"
DECODER_KILLED, WORKER_STOPPED = "a decoder killed", "a worker stopped for 10 s"
CONNECTION_CUT, QUEUE_FILLED = "a connection cut", "the queue filled"
FAULTS = (
    WORKER_KILLED,
    WORKERS_KILLED,
    SCHEDULER_KILLED,
    DECODER_KILLED,
    WORKER_STOPPED,
    CONNECTION_CUT,
    QUEUE_FILLED,
)
KILLED = {WORKER_KILLED: WORKER, WORKERS_KILLED: WORKER, SCHEDULER_KILLED: SCHEDULER, DECODER_KILLED: DECODER}
STOPPED_SECONDS = 10.0
CALM_AT_THE_END = 30.0  # seconds without a new fault


def schedule(seconds: float, every: float, seed: int) -> list[tuple[float, str]]:
    """Return (time in seconds, fault): every kind once before any comes again, at times that vary by half.

    Parameters
    ----------
    seconds : float
        How long people use the server.
    every : float
        Between two faults, on average.
    seed : int
    """
    chance = random.Random(seed)
    found: list[tuple[float, str]] = []
    at, left = 0.0, []
    while True:
        at += every * chance.uniform(0.5, 1.5)
        if at > seconds - min(CALM_AT_THE_END, seconds / 4):
            return found
        if not left:
            left = chance.sample(FAULTS, len(FAULTS))
        found.append((at, left.pop()))


async def befall(pid: int, fault: str, chance: random.Random) -> str:
    """Do to a server's processes what a fault does; return to how many of them.

    Connections and the queue are the visitors' own doing, and nothing is done for them here.
    """
    if fault == WORKER_STOPPED:
        return await _stop_for_a_while(_some(pid, WORKER, 1, chance))
    if fault not in KILLED:
        return ""
    hit = _some(pid, KILLED[fault], 99 if fault == WORKERS_KILLED else 1, chance)
    for process in hit:
        with contextlib.suppress(psutil.Error):
            process.kill()
    return f"{len(hit)} of them" if hit else "there was none"


def _some(pid: int, kind: str, count: int, chance: random.Random) -> Sequence[psutil.Process]:
    living = sorted(processes_of(pid).get(kind, []), key=lambda process: process.pid)
    return chance.sample(living, min(count, len(living)))


async def _stop_for_a_while(processes: Sequence[psutil.Process]) -> str:
    try:
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(STOPPED_SECONDS)
    finally:
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGCONT)
    return f"{len(processes)} of them" if processes else "there was none"

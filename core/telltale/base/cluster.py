"""The one way in which Telltale starts processes that compute: a scheduler and single-threaded workers under it.

The pages' engine and builds both stand on it. Every process ends with the one that started it, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from telltale.base.guard import preload_source
from telltale.base.quiet_dask import keep_dask_quiet
from telltale.base.waiting import within

CLUSTER_CLOSE_SECONDS = 3.0
SLOWEST_RESPAWN_SECONDS = 30.0
STABLE_SECONDS = 10.0
EXIT_SECONDS = 5.0
REMEMBERED_EXITS = 100


class Workers:
    """A scheduler and worker processes of one thread each, owned by this process.

    Start them with `Workers.start`. Every method belongs to the event loop that did. Workers import nothing of the
    script that starts them, so that a script needs no guard around its own code.
    """

    def __init__(self, count: int, cluster: Any, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.count = count
        self._cluster = cluster
        self._folder = folder
        self._respawn = _Backoff()
        self._codes: dict[int, int] = {}  # exit codes by process id, of those that were taken away

    @classmethod
    async def start(cls, count: int, silent_after: str | None = None) -> Workers:
        """Start the scheduler and `count` workers, which join it by themselves.

        Parameters
        ----------
        count : int
        silent_after : str, optional
            How long a worker may not be heard of before it counts as lost, as ``distributed`` writes times; its own
            default, five minutes, where left out.
        """
        folder = tempfile.TemporaryDirectory(prefix="telltale-", ignore_cleanup_errors=True)
        try:
            return cls(count, await _start_cluster(count, Path(folder.name), silent_after), folder)
        except BaseException:
            folder.cleanup()
            raise

    @property
    def address(self) -> str:
        """Where the scheduler listens."""
        return str(self._cluster.scheduler_address)

    @property
    def alive(self) -> bool:
        """Whether the scheduler's process is there."""
        process = self._cluster.scheduler.process
        return process is None or process.returncode is None

    async def replace_dead(self) -> bool:
        """Start a worker in place of each that died, slower and slower while they die young; return whether any was."""
        # SubprocessCluster starts processes but does not look after them.
        workers = self._cluster.workers
        dead = [name for name, worker in workers.items() if worker.process and worker.process.returncode is not None]
        for name in dead:
            worker = workers.pop(name)
            self._remember(worker.process)
            await _end(worker)
        if len(workers) >= self.count or not self._respawn.due():
            return False
        self._cluster.scale(self.count)
        return True

    async def exit_code(self, pid: int) -> int | None:
        """Return how a worker's process ended, once it has; None where it goes on, or nobody saw it end."""
        for worker in self._cluster.workers.values():
            process = worker.process
            if process is not None and process.pid == pid:
                with contextlib.suppress(TimeoutError):  # the connection may end a moment before the process
                    await within(EXIT_SECONDS, process.wait())
                return process.returncode  # type: ignore[no-any-return]
        return self._codes.get(pid)

    def _remember(self, process: Any) -> None:
        self._codes[process.pid] = process.returncode
        while len(self._codes) > REMEMBERED_EXITS:
            del self._codes[next(iter(self._codes))]

    async def renew(self) -> None:
        """End every worker and start as many new ones."""
        await self._end_workers()
        self._cluster.scale(self.count)
        await self._cluster  # until their processes are there, and so can be ended

    async def close(self) -> None:
        """End every process."""
        # Retiring workers in order would wait for their tasks, or for a scheduler that died: end them outright.
        try:
            await self._end_workers()
            await asyncio.wait_for(self._cluster.close(), CLUSTER_CLOSE_SECONDS if self.alive else 0.5)
        except (TimeoutError, OSError):
            await self._cluster.scheduler.close()
        finally:
            self._folder.cleanup()

    async def _end_workers(self) -> None:
        workers = [self._cluster.workers.pop(name) for name in list(self._cluster.workers)]
        await asyncio.gather(*(_end(worker) for worker in workers))


async def _end(worker: Any) -> None:
    """End one worker's process, which may have gone between one look and the next."""
    from psutil import NoSuchProcess

    with contextlib.suppress(NoSuchProcess):
        await worker.close()


class _Backoff:
    """Immediate after a quiet time, slower and slower while processes die young."""

    def __init__(self) -> None:
        self._delay = 0.0
        self._last = -STABLE_SECONDS

    def due(self) -> bool:
        age = time.monotonic() - self._last
        if age < self._delay:
            return False
        self._delay = 0.5 if age > STABLE_SECONDS + self._delay else min(SLOWEST_RESPAWN_SECONDS, 2 * self._delay)
        self._last = time.monotonic()
        return True


async def _start_cluster(workers: int, folder: Path, silent_after: str | None) -> Any:
    from distributed.deploy.subprocess import SubprocessCluster

    keep_dask_quiet()
    parent = os.getpid()
    scheduler = {
        "preload": preload_source(parent, drain_stderr=True),
        "scheduler_file": str(folder / "scheduler.json"),
        "allowed_failures": 0,  # who asked tries again, and knows how often
        "dashboard": False,
    }
    return await SubprocessCluster(
        n_workers=workers,
        threads_per_worker=1,
        worker_class="distributed.Worker",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs=scheduler if silent_after is None else {**scheduler, "worker_ttl": silent_after},
        worker_kwargs={
            "preload": preload_source(parent),
            "local_directory": str(folder),
            "memory_limit": 0,  # a paused worker would look like a hung one
            "dashboard": False,
        },
        silence_logs=logging.ERROR,
        asynchronous=True,
    )

"""The processes that compute: an embedded cluster of workers, or somebody else's scheduler, behind one `Link`."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from telltale.base.errors import WorkerLostError
from telltale.base.guard import preload_source
from telltale.engine.settings import Settings
from telltale.engine.waiting import within
from telltale.engine.worker_state import report

CALL_SECONDS = 5.0
CONNECT_SECONDS = 10.0
CLUSTER_CLOSE_SECONDS = 3.0
SLOWEST_RESPAWN_SECONDS = 30.0
STABLE_SECONDS = 10.0
LOST_SECONDS = 8.0


class Link:
    """A connection to a scheduler and, where embedded, the ownership of its processes.

    Open it with `Link.open`. Every method belongs to the event loop that opened it.
    """

    def __init__(self, settings: Settings, client: Any, cluster: Any, folder: tempfile.TemporaryDirectory[str]) -> None:
        self.client = client
        self.reports: dict[str, dict[str, Any]] = {}
        self._settings = settings
        self._cluster = cluster
        self._folder = folder
        self._respawn = _Backoff()
        self._complete_at: float | None = None

    @classmethod
    async def open(cls, settings: Settings) -> Link:
        """Connect to ``settings.scheduler``, or start an embedded cluster where there is none."""
        from distributed import Client

        folder = tempfile.TemporaryDirectory(prefix="telltale-", ignore_cleanup_errors=True)
        cluster: Any = None
        try:
            address = settings.scheduler
            if address is None:
                cluster = await _start_cluster(settings.workers, Path(folder.name))
                address = cluster.scheduler_address
            connection: Any = Client
            client = await connection(address, asynchronous=True, set_as_default=False, timeout=CONNECT_SECONDS)
        except BaseException:
            if cluster is not None:
                await _end_cluster(cluster)
            folder.cleanup()
            raise
        return cls(settings, client, cluster, folder)

    @property
    def alive(self) -> bool:
        """Whether the scheduler is there and connected."""
        if self.client.status != "running":
            return False
        process = self._cluster.scheduler.process if self._cluster is not None else None
        return process is None or process.returncode is None

    @property
    def expected_workers(self) -> int:
        """How many workers there should be: as set up, or whoever joined somebody else's scheduler."""
        return self._settings.workers if self._cluster is not None else max(1, len(self.reports))

    def fault(self) -> str:
        """Return why the workers are not ready, in words; "" once every expected worker holds the bundle."""
        bundle, reports = self._settings.bundle, self.reports
        for state in reports.values():
            if state["fault"]:
                return f"A worker could not load the bundle '{bundle}': {state['fault']}"
        ready = sum(bool(state["ready"]) for state in reports.values())
        if ready >= self.expected_workers:
            return ""
        return f"{ready} of {self.expected_workers} workers hold the bundle '{bundle}'; the others are loading it."

    async def refresh(self) -> None:
        """Replace dead workers and learn what the living ones hold; new ones start loading the bundle."""
        await self._replace_dead()
        known = set(await within(CALL_SECONDS, self.client.nthreads()))
        answers = await self.call(report, self._settings.bundle)
        # A worker too busy to answer is still there, and one that left is not.
        self.reports = {address: state for address, state in self.reports.items() if address in known} | answers

    def check_complete(self) -> None:
        """Raise where workers of our own were lost and have not come back for a while: only a new cluster helps then.

        Raises
        ------
        WorkerLostError
        """
        now = time.monotonic()
        if self._cluster is None or len(self.reports) >= self._settings.workers:
            self._complete_at = now
        elif self._complete_at is not None and now - self._complete_at > LOST_SECONDS:
            raise WorkerLostError("Lost workers did not come back.")

    def distrust(self) -> None:
        """Take no worker to be alive until it has answered again: where one died, others may have."""
        self.reports = {}

    async def call(self, function: Callable[..., Any], *args: Any) -> dict[str, Any]:
        """Run a quick function on every worker beside its task; workers that do not answer in time are left out."""
        try:
            answers: dict[str, Any] = await within(CALL_SECONDS, self.client.run(function, *args, on_error="ignore"))
        except (TimeoutError, OSError):
            return {}
        return answers

    async def close(self) -> None:
        """Let go of the scheduler; end every process where they are ours."""
        try:
            await self.client.close(timeout=1)
        finally:
            if self._cluster is not None:
                await _end_cluster(self._cluster)
            self._folder.cleanup()

    async def _replace_dead(self) -> None:
        # SubprocessCluster starts processes but does not look after them.
        if self._cluster is None:
            return
        workers = self._cluster.workers
        dead = [name for name, worker in workers.items() if worker.process and worker.process.returncode is not None]
        for name in dead:
            await workers.pop(name).close()
        if len(workers) < self._settings.workers and self._respawn.due():
            self._cluster.scale(self._settings.workers)


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


async def _start_cluster(workers: int, folder: Path) -> Any:
    from distributed.deploy.subprocess import SubprocessCluster

    guard = preload_source(os.getpid())
    return await SubprocessCluster(
        n_workers=workers,
        threads_per_worker=1,
        worker_class="distributed.Worker",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={
            "preload": guard,
            "scheduler_file": str(folder / "scheduler.json"),
            "allowed_failures": 0,  # the engine itself tries again, and only where a worker has answered since
            "dashboard": False,
        },
        worker_kwargs={
            "preload": guard,
            "local_directory": str(folder),
            "memory_limit": 0,  # a paused worker would look like a hung one
            "dashboard": False,
        },
        silence_logs=logging.ERROR,
        asynchronous=True,
    )


async def _end_cluster(cluster: Any) -> None:
    # Retiring workers in order would wait for their tasks, or for a scheduler that died: end them outright.
    workers = [cluster.workers.pop(name) for name in list(cluster.workers)]
    await asyncio.gather(*(worker.close() for worker in workers))
    try:
        dead = cluster.scheduler.process is None or cluster.scheduler.process.returncode is not None
        await asyncio.wait_for(cluster.close(), 0.5 if dead else CLUSTER_CLOSE_SECONDS)
    except (TimeoutError, OSError):
        await cluster.scheduler.close()

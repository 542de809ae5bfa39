"""A scheduler and workers of somebody else's, each in processes of its own with a cache of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PATIENCE = 600.0  # a busy machine takes minutes to start a process


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE, told: Callable[[], object] = str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"gave up waiting: {told()}"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Cluster:
    """A scheduler at an address that stays the same, and workers that can be lost one by one.

    Parameters
    ----------
    folder : Path
        Of all that its processes keep and say.
    kind : {"tcp", "tls"}
    environment : mapping of str to str
        Of all its processes, besides.
    host : str
        Of the scheduler.
    inside, workers_inside : sequence of str
        What starts a command where the scheduler, and where the workers are.
    """

    def __init__(
        self,
        folder: Path,
        kind: str = "tcp",
        environment: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        inside: Sequence[str] = (),
        workers_inside: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        self.kind, self.host, self.port = kind, host, free_port()
        self.address = f"{kind}://{host}:{self.port}"
        self.environment = os.environ | dict(environment or {})
        self.inside, self.workers_inside = list(inside), list(workers_inside)
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.start_scheduler()

    def start_scheduler(self) -> None:
        command = [*self.inside, sys.executable, "-m", "dask", "scheduler", "--host", f"{self.kind}://{self.host}"]
        command += ["--port", str(self.port), "--no-dashboard", "--dashboard-address", "127.0.0.1:0"]
        self.scheduler = self._start(command, "scheduler", self.environment)

    def start_worker(self, name: str, environment: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a worker with a cache of its own, and wait until it has joined."""
        own = self.environment | {"TELLTALE_CACHE": str(self.folder / f"cache-{name}")} | dict(environment or {})
        command = [*self.workers_inside, sys.executable, "-m", "telltale", "worker"]
        self.workers[name] = self._start([*command, "--scheduler", self.address, "--name", name], name, own)
        self.wait_for_joining(name)
        return self.workers[name]

    def wait_for_joining(self, name: str, times: int = 1) -> None:
        wait_until(lambda: self.said(name).count("Joined") >= times, told=lambda: self.said(name))

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def stop(self) -> None:
        for process in (*self.workers.values(), self.scheduler):
            process.terminate()
        for process in (*self.workers.values(), self.scheduler):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, command: list[str], name: str, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, env=dict(environment), cwd=self.folder, stdout=log, stderr=log)

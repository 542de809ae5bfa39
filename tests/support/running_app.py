"""The app as a process of its own, for tests and benchmarks that need a real server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[2]
SLOWEST_START = 300.0


@dataclass(frozen=True)
class RunningApp:
    """A server that answers.

    Attributes
    ----------
    address : str
    pid : int
    log : Path
        What it has written so far.
    """

    address: str
    pid: int
    log: Path


@contextmanager
def running_app(**environment: str) -> Iterator[RunningApp]:
    """Run the app on a port of its own, from when every worker holds its first bundle until the block ends.

    Parameters
    ----------
    **environment : str
        Variables for the server beside those of this process; its first bundle are the digits, the smallest there is,
        where these do not say otherwise.

    Raises
    ------
    RuntimeError
        If the server ends or is not ready in time; it carries what the server wrote.
    """
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app/server.py", "--server.port", str(port)]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        with log.open("w") as file:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | {"TELLTALE_BUNDLE": "digits"} | environment,
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        app = RunningApp(f"http://127.0.0.1:{port}", process.pid, log)
        try:
            deadline = time.monotonic() + SLOWEST_START
            while not _ready(app.address):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"The server did not become ready.\n{log.read_text()}")
                time.sleep(0.1)
            yield app
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def fresh_app(**environment: str) -> Iterator[RunningApp]:
    """Run the app with a folder of its own for saved cases and pictures, empty at the beginning."""
    with tempfile.TemporaryDirectory() as folder, running_app(XDG_DATA_HOME=folder, **environment) as app:
        yield app


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ready(address: str) -> bool:
    try:
        with urlopen(address + "/ready", timeout=10) as answer:
            return bool(answer.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False

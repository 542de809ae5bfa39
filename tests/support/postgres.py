"""A PostgreSQL server of the tests' own: in a folder of its own, without a network port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DEBIAN = "/usr/lib/postgresql"


def programs() -> Path:
    """Return the folder of initdb and pg_ctl; without them nothing here can run, a fault where all checks must run."""
    found = sorted(Path(DEBIAN).glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    on_path = shutil.which("initdb")
    if found or on_path:
        return (found[-1] if found else Path(str(on_path))).parent
    reason = "There is no PostgreSQL on this machine; the store of cases was not tested on it."
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def server() -> Iterator[str]:
    """Yield the address of a fresh server, as hosts give it."""
    tools = programs()
    # PostgreSQL refuses to run as root, and a socket's path must be short.
    owner = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder:
        shutil.chown(folder, owner)
        data = f"{folder}/data"
        as_owner = ["runuser", "-u", owner, "--"] if os.getuid() == 0 else []

        def run(tool: str, *arguments: str) -> None:
            command = [*as_owner, str(tools / tool), "-D", data, *arguments]
            # The server keeps the log open, so output goes to a file: a pipe would never end.
            with Path(folder, "log").open("a") as log:
                done = subprocess.run(command, cwd=folder, stdout=log, stderr=log, timeout=60)
            assert done.returncode == 0, Path(folder, "log").read_text()

        run("initdb", "--auth=trust", "--username=telltale", "--encoding=UTF8", "--locale=C", "--no-sync")
        run("pg_ctl", "start", "--wait", "-o", f"-k {folder} -c listen_addresses='' -c fsync=off")
        try:
            yield f"postgres://telltale@/postgres?host={folder}"
        finally:
            run("pg_ctl", "stop", "--wait", "-m", "immediate")

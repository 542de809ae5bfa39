"""Dask's own watching of its processes: little of it, unless somebody wants it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from telltale.base.quiet_dask import VARIABLES

READ = """
import dask
import distributed
from telltale.base.quiet_dask import keep_dask_quiet
keep_dask_quiet()
names = "worker.profile.enabled", "admin.tick.interval", "admin.system-monitor.interval", "admin.tick.limit"
print([dask.config.get(f"distributed.{name}") for name in names])
import subprocess, sys
child = "import distributed, dask; print(dask.config.get('distributed.worker.profile.enabled'))"
print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True).stdout)
"""


def said(**environment: str) -> list[str]:
    """Return what a fresh process reads, and what a child of it does."""
    plain = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    found = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, env={**plain, **environment})
    assert found.returncode == 0, found.stderr
    return found.stdout.split("\n")[:2]


def test_this_process_and_its_children_are_quiet() -> None:
    assert said() == ["[False, '500ms', '5s', '3s']", "False"]


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED", "True", "[True, '500ms', '5s', '3s']"),
        ("DASK_DISTRIBUTED__ADMIN__TICK__INTERVAL", "7ms", "[False, '7ms', '5s', '3s']"),
    ],
)
def test_an_owners_own_settings_stay(name: str, value: str, read: str) -> None:
    assert said(**{name: value})[0] == read

"""Fills a disk of four megabytes with cases, deletes some and saves another; run in a mount namespace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from sqlalchemy import URL

from support.saved_cases import saved_case
from telltale.base.errors import StorageError
from telltale.cases.store import CaseStore

MEGABYTES, MOST = 4, 2_000


def fill(store: CaseStore, folder: Path) -> None:
    """Save cases until there is no room for another, then leave no room for anything."""
    for number in range(MOST):
        try:
            store.save(saved_case(number, note="x" * 3_000))
        except StorageError as error:
            print("full")
            print("refused in words" if "no room left on the disk" in str(error) else f"refused: {error}")
            break
    with (folder / "rest").open("wb", buffering=0) as rest:
        try:
            while rest.write(b"x" * 512):
                pass
        except OSError:
            return


def main(folder: Path) -> None:
    """Print what happened, step by step."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}M", "tmpfs", folder], check=True)
    store = CaseStore(URL.create("sqlite", database=str(folder / "cases.sqlite")))
    fill(store, folder)
    for _ in range(3):  # the room that is kept for this is kept again
        before = store.find().total
        store.delete(store.find(most=1).cases[0].record.id)
        assert store.find().total == before - 1
    print("deleted")
    store.save(saved_case(MOST))
    print("saved again")
    store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

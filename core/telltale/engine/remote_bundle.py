"""The bundle of a server on the workers of other machines: sent to those that lack it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from telltale.base.errors import InputError
from telltale.base.remote.errands import store
from telltale.base.remote.sending import Contents, Sender
from telltale.base.waiting import within
from telltale.bundle.bundle import BUNDLES_VARIABLE, find_bundle
from telltale.engine import worker_state

INSTALL_SECONDS = 60.0


async def send_bundle(client: Any, worker: str, name: str, stamp: str) -> None:
    """Send a worker every file of a bundle, and let it load it.

    Parameters
    ----------
    client : distributed.Client
    worker : str
        Its address.
    name : str
    stamp : str
        `bundle_stamp` of the bundle.

    Raises
    ------
    TimeoutError, OSError
        If it cannot be reached, or cannot keep the files.
    InputError
        If a file changed while it was sent.
    """
    folder = find_bundle(name)
    contents = Contents().of(sorted(file for file in folder.rglob("*") if file.is_file()))
    await Sender().send(client, worker, {file.sha256: file.path for file in contents})
    files = {file.path.relative_to(folder).as_posix(): file.sha256 for file in contents}
    await within(INSTALL_SECONDS, client.run(install, folder.name, stamp, files, workers=[worker]))


def install(name: str, stamp: str, files: Mapping[str, str]) -> None:
    """Put a bundle that was sent where this worker finds it by its name, before all others.

    Raises
    ------
    InputError
        If a file has not arrived, or leads out of the bundle's folder.
    """
    folder = store().folder.parent / "bundles" / stamp
    for path, sha256 in files.items():
        place = PurePosixPath(path)
        if place.is_absolute() or ".." in place.parts:
            raise InputError(f"'{path}' is no file of a bundle.")
        if not store().lay(sha256, folder / name / place):
            raise InputError(f"The file '{path}' of the bundle '{name}' has not arrived.")
    known = os.environ.get(BUNDLES_VARIABLE)
    others = [other for other in (known or "").split(os.pathsep) if other and other != str(folder)]
    os.environ[BUNDLES_VARIABLE] = os.pathsep.join([str(folder), *others])
    worker_state.forget(name)

"""One worker for somebody's scheduler: one thread, looked after, and back again whenever the scheduler was lost."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from typing import Any

from telltale.base.errors import InputError
from telltale.base.guard import SINGLE_THREAD
from telltale.base.places import cache_folder
from telltale.base.quiet_dask import keep_dask_quiet
from telltale.base.remote.address import check_address, check_certificates
from telltale.base.remote.errands import store
from telltale.base.remote.identity import SHOWN, own_identity

AGAIN_SECONDS = 2.0
SCRATCH = "scratch"
FIRST = "from telltale.base.memory import keep_freed_memory\nkeep_freed_memory()\n"  # in the worker's process


def check_self() -> str:
    """Return, in words, what decides over the figures of this machine.

    Raises
    ------
    InputError
        If a library is missing, or nothing can be kept in the cache's folder.
    """
    try:
        found = own_identity()
    except PackageNotFoundError as error:
        raise InputError(f"This machine lacks the package '{error.name}': install Telltale's requirements.") from error
    try:
        kept = store().folder
    except OSError as error:
        raise InputError(f"Files that are sent here cannot be kept in '{cache_folder()}': {error.strerror}.") from error
    libraries = " ".join(f"{name} {found['libraries'][name]}" for name in ("python", "torch", "numpy"))
    processor = " ".join(found["instructions"])
    return f"Telltale's code {found['code'][:SHOWN]}, {libraries}, {processor}, one thread; files in '{kept}'"


def work_for(address: str, name: str | None, tell: Callable[[str], None]) -> None:
    """Compute for a scheduler until this process is asked to end.

    Parameters
    ----------
    address : str
    name : str, optional
        By which the worker is spoken of; its address where left out.
    tell : callable
        Told in a sentence whenever the scheduler was found or lost.

    Raises
    ------
    InputError
        If the address may not be used, certificates are missing, or this machine lacks something.
    """
    check_certificates(check_address(address), "worker")
    tell(f"{check_self()}.")
    os.environ.update(SINGLE_THREAD)  # before the worker's process imports what reads them
    asyncio.run(_until_ended(address, name, tell))


async def _until_ended(address: str, name: str | None, tell: Callable[[str], None]) -> None:
    working = asyncio.ensure_future(_work(address, name, tell))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await working


async def _work(address: str, name: str | None, tell: Callable[[str], None]) -> None:
    said = ""
    while True:
        try:
            async with _nanny(address, name) as nanny:
                said = f"Joined {address}"
                tell(f"{said} as {nanny.worker_address if name is None else name}.")
                await nanny.finished()
            news = f"The scheduler at {address} was lost; looking for it."
        except (OSError, RuntimeError) as error:
            news = f"The scheduler at {address} cannot be reached ({' '.join(str(error).split())}); looking for it."
        if news != said:
            tell(news)
        said = news
        await asyncio.sleep(AGAIN_SECONDS)


def _nanny(address: str, name: str | None) -> Any:
    """Return who starts the worker's process, and another one when that dies."""
    from distributed import Nanny

    keep_dask_quiet()
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what happens is told in sentences here
    nanny: Any = Nanny
    return nanny(
        address,
        nthreads=1,
        name=name,
        preload=FIRST,
        memory_limit=0,  # a paused worker would look like a hung one
        local_directory=str(cache_folder() / SCRATCH),  # beside the files that were sent, which it shares the disk of
        dashboard=False,
        dashboard_address="127.0.0.1:0",  # what is left of it answers nobody else
        silence_logs=logging.CRITICAL,
    )

"""The command that lends this machine to a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from telltale.base.errors import InputError
from telltale.base.remote.address import SCHEDULER_VARIABLE, scheduler_address
from telltale.base.remote.worker import work_for


def worker(
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help=f"tls://HOST:PORT; {SCHEDULER_VARIABLE} where left out.")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="What it is called where something about it is said.")
    ] = None,
) -> None:
    """Compute for a dask.distributed scheduler, in one thread, until Ctrl-C; start one for each core to be used."""
    address = scheduler or scheduler_address()
    if address is None:
        raise InputError(f"Name the scheduler: --scheduler tls://HOST:PORT, or {SCHEDULER_VARIABLE}.")
    work_for(address, name, lambda sentence: typer.echo(sentence, err=True))

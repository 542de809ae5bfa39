"""Becoming the client of a scheduler."""

from __future__ import annotations

import logging
from typing import Any

from telltale.base.remote.address import check_certificates

CONNECT_SECONDS = 10.0
TALKATIVE = ("distributed.client", "distributed.batched")  # about losses, which are said in a sentence here


async def connect(address: str) -> Any:
    """Return a client of the scheduler at `address`, for the running event loop.

    Raises
    ------
    InputError
        If it wants certificates, and Dask's settings name none.
    OSError
        If it cannot be reached.
    """
    from distributed import Client

    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    check_certificates(address, "client")
    connection: Any = Client
    return await connection(address, asynchronous=True, set_as_default=False, timeout=CONNECT_SECONDS)

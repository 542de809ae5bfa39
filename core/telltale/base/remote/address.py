"""Where an existing scheduler is, and whether what is said to it stays between those who may say it."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from telltale.base.errors import InputError

SCHEDULER_VARIABLE = "TELLTALE_SCHEDULER"
PLAIN_VARIABLE = "TELLTALE_PLAIN_TCP"

Role: TypeAlias = Literal["client", "worker"]


def scheduler_address(environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the address in ``TELLTALE_SCHEDULER``, checked; None where there is none.

    Raises
    ------
    InputError
        See `check_address`.
    """
    address = environment.get(SCHEDULER_VARIABLE, "").strip()
    return check_address(address, environment) if address else None


def check_address(address: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return the address of a scheduler if it may be used.

    Dask's processes send each other pickled code: whoever can talk to one of them runs what he likes there. Beyond this
    machine they must therefore prove by certificates who they are.

    Raises
    ------
    InputError
        If it is not an address, or is one of another machine without TLS that nobody has allowed.
    """
    kind, _, rest = address.partition("://")
    host, _, port = rest.rpartition(":")
    if kind not in ("tcp", "tls") or not host or not port.isdigit():
        raise InputError(f"A scheduler's address reads tls://HOST:PORT or tcp://127.0.0.1:PORT. Got '{address}'.")
    if kind == "tcp" and not _on_this_machine(host) and environment.get(PLAIN_VARIABLE) != "on":
        raise InputError(
            f"'{address}' is on another machine and without TLS, where everybody on the way could run code on yours: "
            f"use tls:// with certificates, or set {PLAIN_VARIABLE}=on on a network that nobody else reaches."
        )
    return address


def _on_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def check_certificates(address: str, role: Role) -> None:
    """Refuse a ``tls://`` address before connecting where Dask's settings name no certificates that are there.

    Raises
    ------
    InputError
        The message names the variable.
    """
    if not address.startswith("tls://"):
        return
    import dask

    for setting in ("ca-file", f"{role}.cert"):
        file = dask.config.get(f"distributed.comm.tls.{setting}", None)
        variable = f"DASK_DISTRIBUTED__COMM__TLS__{setting.upper().replace('-', '_').replace('.', '__')}"
        if not file:
            raise InputError(f"'{address}' wants certificates: {variable} names none.")
        if not Path(str(file)).is_file():
            raise InputError(f"'{address}' wants certificates: {variable} names '{file}', which is no file.")

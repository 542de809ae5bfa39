"""A machine without a network: processes of Python that reach this machine alone, and leave what else they tried."""

from __future__ import annotations

import os
from pathlib import Path

_HOOK = """
import ipaddress, os, sys

def _here(host):
    if host in (None, "", b"", "localhost", b"localhost"):
        return True
    try:
        return ipaddress.ip_address(host.decode() if isinstance(host, bytes) else host).is_loopback
    except ValueError:
        return False

def _watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None  # a path is a socket of this machine
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    else:
        return
    if not _here(host):
        with open(os.environ["OUTSIDE_LOG"], "a") as log:
            log.write(f"{event} {host} by {sys.argv}\\n")
        raise OSError(101, "Network is unreachable")

sys.addaudithook(_watch)
"""


def without_network(folder: Path) -> tuple[dict[str, str], Path]:
    """Return variables for a process and all that it starts, and the file that says where else they wanted to go."""
    (folder / "sitecustomize.py").write_text(_HOOK)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    log = folder / "outside"
    log.touch()
    return {"PYTHONPATH": path, "OUTSIDE_LOG": str(log)}, log

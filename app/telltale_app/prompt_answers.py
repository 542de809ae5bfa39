"""Answers that leave at once: else the end of each waits 40 ms, until the browser has acknowledged its beginning."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

DESCRIPTORS = "/dev/fd"  # of this process; where a system has no such folder, answers leave as they did
INTERNET = (socket.AF_INET, socket.AF_INET6)


def send_at_once() -> None:
    """Switch Nagle's algorithm off for every TCP socket of this process; what a listening one accepts inherits it.

    asyncio does so for the sockets that it makes, but does not recognise those that Streamlit binds for it.
    """
    with contextlib.suppress(OSError):
        for descriptor in Path(DESCRIPTORS).iterdir():
            with contextlib.suppress(OSError):  # closed since, such as that of the list itself
                _switch_off(int(descriptor.name))


def _switch_off(descriptor: int) -> None:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        return
    with socket.socket(fileno=os.dup(descriptor)) as held:
        if held.family in INTERNET and held.type == socket.SOCK_STREAM:
            held.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

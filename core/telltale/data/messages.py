"""What a server and its limited processes say to each other: a header in JSON and bytes, both of stated length."""

from __future__ import annotations

import json
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

_LENGTHS = struct.Struct(">II")
MOST_HEADER = 2**16


class BrokenOffError(Exception):
    """The other side is gone, or says what is no message."""


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes
    ----------
    header : dict
        As JSON holds it.
    body : bytes
    """

    header: dict[str, Any]
    body: bytes | bytearray = b""


def send(connection: socket.socket, message: Message) -> None:
    """Send a message.

    Raises
    ------
    OSError
        If the other side is gone, or does not read in time.
    """
    header = json.dumps(message.header).encode()
    connection.sendall(_LENGTHS.pack(len(header), len(message.body)) + header)
    connection.sendall(message.body)


def receive(connection: socket.socket, most: int, until: float | None = None) -> Message | None:
    """Receive a message; None where the other side has closed.

    Parameters
    ----------
    connection : socket
    most : int
        Bytes that its body may have.
    until : float, optional
        Moment of ``time.monotonic`` until which it must be there.

    Raises
    ------
    BrokenOffError
        If it breaks off, is too long or no message.
    TimeoutError
        If it is not there in time.
    """
    start = _read(connection, _LENGTHS.size, until)
    if not start:
        return None
    header_length, body_length = _LENGTHS.unpack(_whole(start, _LENGTHS.size))
    if header_length > MOST_HEADER or body_length > most:
        raise BrokenOffError
    try:
        header = json.loads(_whole(_read(connection, header_length, until), header_length))
    except ValueError as error:
        raise BrokenOffError from error
    if not isinstance(header, dict):
        raise BrokenOffError
    return Message(header, _whole(_read(connection, body_length, until), body_length))


def _read(connection: socket.socket, count: int, until: float | None) -> bytearray:
    """Return the next bytes; fewer where the other side closes before."""
    found, place = bytearray(count), 0
    view = memoryview(found)
    while place < count:
        if until is not None:
            connection.settimeout(max(until - time.monotonic(), 0.001))
        read = connection.recv_into(view[place:])
        if read == 0:
            break
        place += read
    view.release()
    del found[place:]
    return found


def _whole(found: bytearray, count: int) -> bytearray:
    if len(found) < count:
        raise BrokenOffError
    return found

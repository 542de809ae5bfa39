"""Calls that a scheduler passes on to its workers without opening them.

A scheduler unpickles whatever it is handed, and thereby imports the modules of every function and class in it: with
those of an analysis it took 120 MB and some seconds more. Of a sealed call it sees bytes and the one function below.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def seal(function: Callable[[Any], Any], argument: object) -> bytes:
    """Return a call as bytes that `do_sealed` opens.

    Parameters
    ----------
    function : callable
        Of a module that workers can import: it travels by its name.
    argument : object
        Whatever the scheduler's own serialisation takes.
    """
    from distributed.protocol.serialize import serialize_bytes

    sealed: bytes = serialize_bytes((function, argument))
    return sealed


def do_sealed(sealed: bytes) -> Any:
    """Do a sealed call in a worker, and return what its function returns."""
    from distributed.protocol.serialize import deserialize_bytes

    function, argument = deserialize_bytes(sealed)
    return function(argument)

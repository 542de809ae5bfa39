"""Bundles that this process keeps open with their models. Importing this imports no torch."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from telltale.base.errors import InputError
from telltale.base.processes import use_one_thread
from telltale.bundle.bundle import find_bundle
from telltale.bundle.store import read_manifest_bytes

if TYPE_CHECKING:
    from telltale.analysis.opened import LoadedBundle

KEPT = 3

_kept: OrderedDict[tuple[str, str], LoadedBundle] = OrderedDict()
_loading = threading.RLock()


def load(name: str) -> LoadedBundle:
    """Return the bundle `name` with its model, loaded at most once per process and version on disk.

    Raises
    ------
    InputError
        If there is no such bundle or it is damaged.
    """
    from telltale.analysis.opened import open_bundle

    key = (name, bundle_stamp(name))
    with _loading:
        if key not in _kept:
            # Workers are the unit of parallelism; a thread pool in each would only make them fight for the cores.
            use_one_thread()
            _kept[key] = open_bundle(name)
        _kept.move_to_end(key)
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
        return _kept[key]


def bundle_stamp(name: str) -> str:
    """Return the SHA-256 of a bundle's manifest, which lists the checksum of every file; "" where there is none.

    It makes a rebuilt bundle another one to the result cache and to the workers.
    """
    try:
        return hashlib.sha256(read_manifest_bytes(find_bundle(name))).hexdigest()
    except InputError:  # the task itself says what is wrong
        return ""

"""Who a process is, as far as its figures depend on it: the code, the libraries, the instructions of its processor."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

from telltale.base.origin import code_sha256, library_versions

BESIDES = ("scipy", "pyarrow", "safetensors", "numba")  # what else decides over the bytes of a bundle
SHOWN = 8  # characters of a hash

Identity = Mapping[str, Any]  # plain values: another version of Telltale must be able to read them


@cache
def own_identity() -> dict[str, Any]:
    """Return who this process is.

    Returns
    -------
    dict
        ``code`` (SHA-256 of Telltale's own), ``libraries`` (versions by name), ``instructions`` (what its processor
        knows beside the common ones; sums are ordered by it).
    """
    import numpy as np

    found: Any = np.show_config(mode="dicts")
    instructions = [platform.machine(), *found.get("SIMD Extensions", {}).get("found", [])]
    libraries = library_versions() | {name: version(name) for name in BESIDES}
    return {"code": code_sha256(), "libraries": libraries, "instructions": instructions}


def who_is_there(dask_worker: Any) -> dict[str, Any]:
    """Return who a worker is; run on it by `Client.run`, which hands in the worker."""
    about = {"name": str(dask_worker.name), "threads": dask_worker.state.nthreads}
    return own_identity() | about


def refusal(mine: Identity, theirs: Identity) -> str:
    """Return why a worker must not compute for a process, to be read after its name; "" where nothing is wrong."""
    if theirs["threads"] != 1:
        return f"computes with {theirs['threads']} threads, on which figures depend; `telltale worker` starts one right"
    other = [
        f"{name} {theirs['libraries'].get(name, 'missing')} (here {here})"
        for name, here in mine["libraries"].items()
        if theirs["libraries"].get(name) != here
    ]
    if other:
        return f"has other versions: {', '.join(other)}"
    if theirs["code"] != mine["code"]:
        return f"runs another version of Telltale's code ({theirs['code'][:SHOWN]}, here {mine['code'][:SHOWN]})"
    return ""


def same_instructions(mine: Identity, theirs: Identity) -> bool:
    """Whether two processes' figures agree to the last bit; where not, a network's answers do to 1e-5."""
    return bool(mine["instructions"] == theirs["instructions"])

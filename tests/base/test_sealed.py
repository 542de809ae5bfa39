"""A sealed call arrives whole, and whoever only passes it on imports nothing for it."""

from __future__ import annotations

import base64
import pickle
import subprocess
import sys
from collections.abc import Callable

import numpy as np

from telltale.base.sealed import do_sealed, seal
from telltale.engine.worker_state import Call, run_call

HEAVY = ("numpy", "pyarrow", "sklearn", "scipy", "faiss", "torch", "telltale.engine", "telltale.analysis")

# What a scheduler does with a task: it unpickles the function and its arguments.
PASS_ON = """
import base64, pickle, sys
function, sealed = pickle.loads(base64.b64decode(sys.stdin.read()))
print(function.__name__, len(sealed), *[name for name in {heavy} if name in sys.modules])
"""


def doubled(values: np.ndarray) -> np.ndarray:
    values *= 2  # as some tasks do, in their own copy
    return values


def test_a_sealed_call_is_done_with_its_own_copy_of_the_arrays() -> None:
    given = np.arange(4.0)
    assert do_sealed(seal(doubled, given)).tolist() == [0.0, 2.0, 4.0, 6.0]
    assert given.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_whoever_passes_a_call_on_imports_nothing_of_it() -> None:
    call = Call("a run", "a topic", "telltale.engine.tasks:analyse", {"image": np.zeros((1, 8, 8), dtype=np.float32)})
    assert imported_for(do_sealed, seal(run_call, call)) == []
    assert "sklearn" in imported_for(run_call, b"")  # which is what it would import otherwise


def imported_for(function: Callable[..., object], sealed: bytes) -> list[str]:
    """Return which of the heavy modules another process has imported once it has unpickled a task."""
    ended = subprocess.run(
        [sys.executable, "-c", PASS_ON.format(heavy=HEAVY)],
        input=base64.b64encode(pickle.dumps((function, sealed))).decode(),
        capture_output=True,
        text=True,
        check=True,
    )
    name, size, *heavy = ended.stdout.split()
    assert (name, int(size)) == (function.__name__, len(sealed))
    return heavy

"""What one worker process remembers: loaded bundles, cancelled runs, the run in progress. Torch is imported inside."""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from telltale.analysis.kept import bundle_stamp, load
from telltale.base.errors import CancelledError, InputError
from telltale.base.memory import return_memory
from telltale.base.outcomes import Outcome, portable_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from telltale.analysis.opened import LoadedBundle

REPORT_SECONDS = 0.2
REMEMBERED_CANCELS = 1000
SECONDS_BEFORE_ABANDON = 10.0


@dataclass(frozen=True)
class Call:
    """One run as sent to a worker; opaque to the scheduler, so that nothing inside is taken for a graph."""

    run_id: str
    topic: str
    path: str
    kwargs: Mapping[str, Any]
    stamps: Mapping[str, str] = field(default_factory=dict)  # of its bundles, where the disk may not be the asker's


@dataclass
class _State:
    cancelled: OrderedDict[str, None] = field(default_factory=OrderedDict)
    preloads: dict[str, str | None] = field(default_factory=dict)  # bundle: None while loading, "" or a fault after
    running: str | None = None


_state = _State()
_one_at_a_time = threading.Lock()


def run_call(call: Call) -> Outcome:
    """Run one task to its end, whatever end that is."""
    with _one_at_a_time:
        _state.running = call.run_id
        try:
            checkpoint = _Checkpoint(call.run_id, call.topic)
            checkpoint(0.0)
            check_same_bundles(call.stamps)
            return Outcome(value=_function(call.path)(checkpoint, **call.kwargs))
        except CancelledError:
            return Outcome(cancelled=True)
        except (Exception, SystemExit) as error:
            return Outcome(error=portable_error(error))
        finally:
            _state.running = None
            _state.cancelled.pop(call.run_id, None)
            return_memory()


class _Checkpoint:
    def __init__(self, run_id: str, topic: str) -> None:
        from distributed import get_worker

        self._run_id = run_id
        self._topic = topic
        self._worker = get_worker()
        self._reported_at = -1.0
        self._fraction = 0.0

    def __call__(self, fraction: float, message: str = "") -> None:
        if self._run_id in _state.cancelled:
            raise CancelledError("The work was cancelled.")
        self._fraction = max(self._fraction, min(1.0, float(fraction)))
        now = time.monotonic()
        if now - self._reported_at < REPORT_SECONDS:
            return
        self._reported_at = now
        self._worker.log_event(self._topic, {"run": self._run_id, "fraction": self._fraction, "message": message})


def _function(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def cancel(run_id: str) -> None:
    """Make the next checkpoint of a run raise; kept for a while, for a run that has yet to arrive here."""
    _state.cancelled[run_id] = None
    while len(_state.cancelled) > REMEMBERED_CANCELS:
        _state.cancelled.popitem(last=False)


def abandon(run_id: str) -> None:
    """End this process if it is still busy with a run that ignores its cancellation; a fresh one takes its place."""
    if _state.running == run_id:
        os._exit(70)


def check_same_bundles(stamps: Mapping[str, str]) -> None:
    """Refuse to compute with other bundles than the asker's.

    Parameters
    ----------
    stamps : mapping of str to str
        `bundle_stamp` of every bundle by name, as the asker has it.

    Raises
    ------
    InputError
        The message names this worker.
    """
    from distributed import get_worker

    for name, stamp in stamps.items():
        here = bundle_stamp(name)
        if stamp and here != stamp:
            raise InputError(f"The worker {get_worker().name} {other_bundle(name, here)}.")


def other_bundle(name: str, stamp: str) -> str:
    """Return what is wrong with a worker whose bundle of a name has a stamp other than the asker's, in words."""
    if not stamp:
        return f"lacks the bundle '{name}': copy its folder there and name it in TELLTALE_BUNDLES"
    return f"holds another build of the bundle '{name}' than this server: copy one of them over the other"


def report(bundle: str, dask_worker: Any) -> dict[str, str | int | bool]:
    """Return whether this worker holds `bundle` and how much memory it takes; the first call starts loading it.

    Parameters
    ----------
    bundle : str
        Name of a bundle; empty for none.
    dask_worker : distributed.Worker
        Handed in by ``Client.run``. Loading takes its task thread, so that no task runs half-loaded.
    """
    if bundle not in _state.preloads:
        _state.preloads[bundle] = None
        dask_worker.executors["default"].submit(_preload, bundle)
    fault = _state.preloads[bundle]
    return {
        "pid": os.getpid(),
        "memory": psutil.Process().memory_info().rss,
        "ready": fault == "",
        "fault": fault or "",
        "stamp": bundle_stamp(bundle) if bundle else "",
    }


def forget(bundle: str) -> None:
    """Let the next `report` load a bundle again, which has arrived since."""
    _state.preloads.pop(bundle, None)


def _warm(loaded: LoadedBundle) -> None:
    """Analyse a black image: what is imported and rewritten for the first one took 2 s at 224 pixels."""
    from telltale.analysis.analyse import analyse_image

    analyse_image(loaded, np.zeros(loaded.bundle.image_shape, dtype=np.float32))


def _preload(bundle: str) -> None:
    fault = ""
    try:
        if bundle:
            _warm(load(bundle))
    except InputError as error:
        fault = str(error)
    except Exception as error:
        fault = f"{type(error).__name__}: {error}"
    if bundle in _state.preloads:  # it has not been forgotten meanwhile, because another one has arrived
        _state.preloads[bundle] = fault

"""The errors that Telltale raises on purpose, each carrying one clear sentence for the person who caused it."""

from __future__ import annotations


class TelltaleError(Exception):
    """Base of every error that Telltale raises on purpose."""


class InputError(TelltaleError, ValueError):
    """Something handed in was wrong; the message says what was wrong and what is accepted."""


class DamagedBundleError(InputError):
    """A bundle on disk is incomplete or was changed; the message names the file."""


class NotFittedError(TelltaleError):
    """A detector was asked for a score before it was fitted."""


class CancelledError(TelltaleError):
    """The work was cancelled by the person who asked for it."""


class EngineBusyError(TelltaleError):
    """The engine takes no further work now; the message says when to try again."""


class WorkerLostError(TelltaleError):
    """The process that did the work died more often than the engine retries."""


class StorageError(TelltaleError):
    """The store of saved cases cannot be reached, read or written; the message says which."""

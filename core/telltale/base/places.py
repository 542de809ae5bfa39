"""Where what ships with Telltale lies, and where what a person builds is written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "precomputed"

# An installed package brings its bundles along; in a checkout they lie beside the source roots.
PRECOMPUTED = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parents[1] / "precomputed"

CACHE_VARIABLE = "TELLTALE_CACHE"


def data_home(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the person's folder for Telltale's data: ``telltale`` in ``XDG_DATA_HOME`` or in ``~/.local/share``."""
    return Path(environment.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "telltale"


def cache_folder() -> Path:
    """Folder of the cache: ``TELLTALE_CACHE``, else ``telltale`` in ``XDG_CACHE_HOME`` or in ``~/.cache``.

    Raises
    ------
    RuntimeError
        If the home folder cannot be told.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "telltale"


def writable(shipped: Path) -> Path:
    """Return where what would replace a shipped file or folder is written.

    Parameters
    ----------
    shipped : Path
        Any path; only those inside an installed package change.

    Returns
    -------
    Path
        In a checkout the path itself. For an installed package, which stays as it was installed, the same place below
        ``precomputed`` in the person's folder for data.
    """
    if not shipped.is_relative_to(_INSTALLED):
        return shipped
    return data_home() / "precomputed" / shipped.relative_to(_INSTALLED)


def newest(shipped: Path) -> Path:
    """Return where a file is read from: what the person has made in its place, else the shipped one."""
    own = writable(shipped)
    return own if own.exists() else shipped

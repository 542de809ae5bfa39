"""Where what ships with Telltale lies."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "precomputed"

# An installed package brings its bundles along; in a checkout they lie beside the source roots.
PRECOMPUTED = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parents[1] / "precomputed"

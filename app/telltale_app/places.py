"""Where the pages' pictures and the text that one of them shows lie, in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "assets"
_ASSETS = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parents[1] / "assets"

ICON = str(_ASSETS / "icon.svg")
LOGO = str(_ASSETS / "logo.svg")

_TEXTS = _PACKAGE / "docs"
CHECKLIST = (_TEXTS if _TEXTS.is_dir() else _PACKAGE.parents[1] / "docs") / "evaluation-checklist.md"

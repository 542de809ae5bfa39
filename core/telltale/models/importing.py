"""Importing a file or module that the owner of this machine has named."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from telltale.base.errors import InputError
from telltale.base.files import file_sha256

SUFFIX = ".py"

_imported: dict[str, str] = {}  # names of the modules made here, and the SHA-256 of the files they were made from


def import_place(place: str) -> ModuleType:
    """Import ``FILE.py`` or a module by its dotted name; a file that was imported before only where it has changed."""
    return import_file(Path(place)) if place.endswith(SUFFIX) else importlib.import_module(place)


def import_file(file: Path) -> ModuleType:
    """Import a file under a name of its own; what lies beside it is found by its imports."""
    path = file.expanduser().resolve()
    name = f"telltale_models_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    known = [module for module in list(sys.modules.values()) if getattr(module, "__file__", None) == str(path)]
    sha256 = file_sha256(path)
    if known and _imported.get(known[0].__name__, sha256) == sha256:
        return known[0]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        # Not by its loader, which takes a compiled file of the same second and size for the present text.
        exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[name]
        raise
    _imported[name] = sha256
    return module


def source_of(place: str) -> Path:
    """Return the file that holds the code of ``FILE.py`` or of a module, without running it.

    Packages that a module lies in are imported.

    Raises
    ------
    InputError
        If there is none.
    """
    if place.endswith(SUFFIX):
        file = Path(place).expanduser()
        if not file.is_file():
            raise InputError(f"There is no file '{place}'.")
        return file.resolve()
    try:
        spec = importlib.util.find_spec(place)
    except (ImportError, ValueError) as error:
        raise InputError(f"There is no module '{place}' here: {error}.") from error
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise InputError(f"There is no module '{place}' here.")
    return Path(spec.origin)

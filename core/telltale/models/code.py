"""Networks made by code that is named where Telltale is run: ``FILE.py:FUNCTION`` or ``package.module:function``.

Only what the owner of this machine has named is ever run: on a command line, which is noted in the owner's folder, or
in ``TELLTALE_MODELS``. A bundle or a file of settings says which code it needs, and its SHA-256; it is no naming.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.files import file_sha256, load_json, save_json, whole
from telltale.base.places import data_home
from telltale.models.factories import MODELS_VARIABLE, mark
from telltale.models.importing import SUFFIX, import_place, source_of

CHANGED_VARIABLE = "TELLTALE_CHANGED_MODELS"
NOTES = "named-code.json"
NAMED = "named"


def is_code(reference: str) -> bool:
    """Whether a reference has the form ``FILE.py:FUNCTION`` or ``package.module:function``."""
    place, colon, function = reference.rpartition(":")
    dotted = all(part.isidentifier() for part in place.split("."))
    return bool(colon) and function.isidentifier() and (place.endswith(SUFFIX) or dotted)


def name_code(reference: str, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """Run code that the owner names now, and note that it was named.

    Parameters
    ----------
    reference : str
        ``FILE.py:FUNCTION`` or ``package.module:function``.
    arguments : mapping, optional
        What the function is called with, by name; JSON.

    Returns
    -------
    nn.Module
        Marked with its reference, so that another process can make it again.

    Raises
    ------
    InputError
        If there is no such code, or it does not give a network.
    """
    place, function = _parts(reference)
    given = _json(reference, arguments or {})
    lasting = f"{source_of(place) if place.endswith(SUFFIX) else place}:{function}"
    network = _call(lasting, given)
    _note(lasting, given)
    return network


def make_again(reference: str, arguments: Mapping[str, Any], sha256: str) -> nn.Module:
    """Run code that a bundle or a file of settings says it needs, if the owner has named it and it is the same.

    Parameters
    ----------
    reference : str
        As a marked network carries it.
    arguments : mapping
    sha256 : str
        Of the file that holds the code (hexadecimal).

    Raises
    ------
    InputError
        If nobody has named this code here, it has changed, or it gives no network.
    """
    place, _ = _parts(reference)
    if not _is_named(reference, arguments):
        raise InputError(
            f"The network is made by code that nobody has named on this machine, '{reference}': name it by 'telltale "
            f"inspect NAME --model {reference}', or its file or module in {MODELS_VARIABLE}."
        )
    file = source_of(place)
    if file_sha256(file) != sha256 and place not in _listed(CHANGED_VARIABLE):
        raise InputError(
            f"The code that makes the network, '{file}', has changed since; bring back what it was, or put '{place}' "
            f"into {CHANGED_VARIABLE} to run it as it is."
        )
    return _call(reference, arguments)


def _parts(reference: str) -> tuple[str, str]:
    if not is_code(reference):
        raise InputError(f"'{reference}' does not name code: write FILE.py:FUNCTION or package.module:function.")
    place, _, function = reference.rpartition(":")
    return place, function


def _call(reference: str, arguments: Mapping[str, Any]) -> nn.Module:
    place, name = _parts(reference)
    sha256 = file_sha256(source_of(place))
    try:
        function = getattr(import_place(place), name, None)
    except Exception as error:  # whatever the code raises when it runs
        raise InputError(f"'{place}' cannot be imported: {type(error).__name__}: {error}") from error
    if not callable(function):
        raise InputError(f"There is no function '{name}' in '{place}'.")
    try:
        network = function(**arguments)
    except Exception as error:  # the same
        said = f"with {dict(arguments)}" if arguments else "without arguments"
        raise InputError(f"'{reference}' fails when called {said}: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"'{reference}' must return a torch.nn.Module. It returns {type(network).__name__} instead.")
    mark(network, reference, arguments, sha256)
    return network


def _json(reference: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    try:
        given: dict[str, Any] = json.loads(json.dumps(dict(arguments), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise InputError(f"The arguments of '{reference}' are not JSON: {error}.") from error
    return given


def _listed(variable: str) -> list[str]:
    """Return what a variable lists, files by their full paths."""
    entries = [entry.strip() for entry in os.environ.get(variable, "").split(os.pathsep)]
    return [str(Path(entry).expanduser().resolve()) if entry.endswith(SUFFIX) else entry for entry in entries if entry]


def _is_named(reference: str, arguments: Mapping[str, Any]) -> bool:
    return _parts(reference)[0] in _listed(MODELS_VARIABLE) or _entry(reference, arguments) in _noted()


def _entry(reference: str, arguments: Mapping[str, Any]) -> str:
    # The arguments too: what the code does with others is nothing that its owner has asked for.
    return json.dumps([reference, dict(arguments)], sort_keys=True)


def _noted() -> list[str]:
    file = data_home() / NOTES
    try:
        named = load_json(file).get(NAMED, []) if file.exists() else []
    except DamagedBundleError as error:
        raise InputError(f"The list of code that was named here, '{file}', is damaged: remove it.") from error
    return [entry for entry in named if isinstance(entry, str)]


def _note(reference: str, arguments: Mapping[str, Any]) -> None:
    named, entry = _noted(), _entry(reference, arguments)
    if entry not in named:
        with whole(data_home() / NOTES) as partial:
            save_json(partial, {NAMED: [*named, entry]})

"""Files of weights from other people: read without running anything, and held against the network they are for."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from telltale.base.errors import InputError

State: TypeAlias = dict[str, torch.Tensor]

SAFE, ZIPPED = (".safetensors",), (".pth", ".pt")
WRAPPERS = ("module.", "model.", "network.", "net.", "_orig_mod.")  # DataParallel, Lightning, torch.compile and habits
HOLDERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "weights")
COUNTERS = "num_batches_tracked"  # counts training steps: older files lack it, and no answer depends on it
MOST_NAMED = 5

REFUSED = {
    ".pt2": "an exported program, which torch itself falls back to unpickling in full",
    ".ts": "TorchScript, which is code",
    ".torchscript": "TorchScript, which is code",
    ".pkl": "a pickle, which can run anything",
    ".pickle": "a pickle, which can run anything",
    ".joblib": "a pickle, which can run anything",
}
ACCEPTED = "save the weights alone, as .safetensors or by torch.save(network.state_dict(), 'weights.pth')"


def read_state(file: Path) -> State:
    """Read a file of weights; whatever it holds, nothing of it is run.

    Parameters
    ----------
    file : Path
        ``.safetensors``; or ``.pth`` or ``.pt`` with a state dict, read by torch's unpickler for weights alone.

    Returns
    -------
    dict of str to Tensor
        On the processor.

    Raises
    ------
    InputError
        If there is no such file, it is damaged, or it could hold code.
    """
    suffix = file.suffix.lower()
    if suffix in REFUSED:
        raise InputError(f"'{file}' is {REFUSED[suffix]}; {ACCEPTED}.")
    if suffix not in SAFE + ZIPPED:
        raise InputError(f"'{file}' is no file of weights that is read here: .safetensors, .pth or .pt.")
    if not file.is_file():
        raise InputError(f"There is no file of weights '{file}'.")
    return _read_safe(file) if suffix in SAFE else _read_zipped(file)


def fill(network: nn.Module, state: Mapping[str, torch.Tensor], file: Path) -> str | None:
    """Load weights into a network; only where every name and shape fits.

    A prefix that all names share and that wrappers add (``module.``, ``model.``) is taken off where they fit then.

    Returns
    -------
    str or None
        What was taken off, in a sentence.

    Raises
    ------
    InputError
        If a weight is missing, left over, of another shape or not finite.
    """
    wanted = network.state_dict()
    fitting, prefix = _without_prefix(state, wanted)
    _check_names(fitting, wanted, file)
    for name, tensor in fitting.items():
        if tensor.shape != wanted[name].shape:
            shapes = f"{tuple(tensor.shape)} there and {tuple(wanted[name].shape)} in the network"
            raise InputError(f"The weights in '{file}' do not fit the network: '{name}' has shape {shapes}.")
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(f"The weights in '{file}' are not all finite numbers: look at '{name}'.")
    network.load_state_dict({**wanted, **fitting})
    return f"The names in '{file.name}' begin with '{prefix}', which was taken off." if prefix else None


def _read_safe(file: Path) -> State:
    try:
        return dict(load_file(file))
    except (OSError, SafetensorError, ValueError) as error:
        raise InputError(f"The weights in '{file}' are damaged, or no safetensors: {error}.") from error


def _read_zipped(file: Path) -> State:
    _check_archive(file)
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a cut file, or none of torch's: whatever its readers raise
        if type(error).__name__ == "UnpicklingError":  # torch has met something that is no weight
            raise InputError(f"'{file}' holds more than weights, perhaps a whole module; {ACCEPTED}.") from error
        raise InputError(f"The weights in '{file}' are damaged, or none of torch's.") from error
    state = _state_in(found)
    if state is None:
        raise InputError(f"'{file}' holds no state dict of named weights; {ACCEPTED}.")
    return state


def _check_archive(file: Path) -> None:
    """Refuse by its table of contents what torch would take for a program."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        parts = [name.split("/") for name in archive.namelist()]
    if any("constants.pkl" in part or "code" in part[:-1] for part in parts):
        raise InputError(f"'{file}' is TorchScript, which is code; {ACCEPTED}.")
    if any(part[-1] == "archive_format" or "models" in part[:-1] for part in parts):
        raise InputError(f"'{file}' is an exported program, which torch falls back to unpickling; {ACCEPTED}.")


def _state_in(found: Any) -> State | None:
    """Return the state dict in what was saved: all of it, or what one of the usual names holds."""
    if not isinstance(found, Mapping):
        return None
    if found and all(isinstance(value, torch.Tensor) for value in found.values()):
        return {str(name): value for name, value in found.items()}
    held = (_state_in(found[name]) for name in HOLDERS if name in found)
    return next((state for state in held if state is not None), None)


def _without_prefix(state: Mapping[str, torch.Tensor], wanted: Mapping[str, torch.Tensor]) -> tuple[State, str]:
    found, prefix = dict(state), ""
    while _misfits(found, wanted) != ([], []):
        shared = next((p for p in WRAPPERS if found and all(name.startswith(p) for name in found)), None)
        if shared is None:
            return dict(state), ""
        found, prefix = {name.removeprefix(shared): value for name, value in found.items()}, prefix + shared
    return found, prefix


def _misfits(state: Mapping[str, object], wanted: Mapping[str, object]) -> tuple[list[str], list[str]]:
    missing = [name for name in wanted if name not in state and not name.endswith(COUNTERS)]
    return missing, [name for name in state if name not in wanted]


def _check_names(state: Mapping[str, object], wanted: Mapping[str, object], file: Path) -> None:
    missing, unexpected = _misfits(state, wanted)
    said = [
        f"{len(names)} {what} ({', '.join(names[:MOST_NAMED])}{', …' if len(names) > MOST_NAMED else ''})"
        for names, what in ((missing, "missing"), (unexpected, "that it does not have"))
        if names
    ]
    if said:
        raise InputError(f"The weights in '{file}' do not fit the network: of its names {' and '.join(said)}.")

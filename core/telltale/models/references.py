"""From what a person writes as a model to a network: code, the hub, a folder, a fine-tuned file, or ImageNet's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from telltale.base.errors import InputError
from telltale.base.files import file_sha256
from telltale.models import imagenet
from telltale.models.code import is_code, make_again, name_code
from telltale.models.factories import made_by
from telltale.models.fine_tuned import Learned, is_fine_tuned, read_fine_tuned
from telltale.models.hub import PREFIX, is_hub_model, read_model
from telltale.models.preprocess import Preprocess
from telltale.models.state_files import fill, read_state

ACCEPTED = (
    "FILE.py:FUNCTION, package.module:function, hf:OWNER/NAME[@REVISION], a folder of save_pretrained, a .safetensors "
    "file of 'telltale train --from', or imagenet"
)


@dataclass(frozen=True)
class FoundModel:
    """A network, and what is known about it without asking anyone.

    Attributes
    ----------
    reference : str
        From which it is found again from any working folder.
    network : nn.Module
    arguments : dict
        What the code was called with.
    code : str or None
        SHA-256 (hexadecimal) of the file with the code.
    weights : Path or None
        File that the weights were read from.
    weights_sha256 : str or None
    class_names : tuple of str or None
        In the order of the logits.
    synonyms : tuple of tuple of str
        Other names by which a class may be meant, for each class; empty where there are none.
    preprocess : Preprocess or None
    size : (int, int) or None
        Height and width of its images.
    head : str or None
        The module whose output are the logits, of a network that returns several tensors.
    learned : Learned or None
        What it was fine-tuned on, where that is known.
    remarks : tuple of str
        Sentences for the person.
    """

    reference: str
    network: nn.Module
    arguments: dict[str, Any]
    code: str | None = None
    weights: Path | None = None
    weights_sha256: str | None = None
    class_names: tuple[str, ...] | None = None
    synonyms: tuple[tuple[str, ...], ...] = ()
    preprocess: Preprocess | None = None
    size: tuple[int, int] | None = None
    head: str | None = None
    learned: Learned | None = None
    remarks: tuple[str, ...] = ()


def find_model(
    reference: str,
    weights: Path | None = None,
    arguments: Mapping[str, Any] | None = None,
    code: str | None = None,
) -> FoundModel:
    """Make a network from what a person has written.

    Parameters
    ----------
    reference : str
        ``FILE.py:FUNCTION`` or ``package.module:function``, a callable that returns a network; ``hf:OWNER/NAME`` with
        an optional ``@REVISION``, or a folder that `save_pretrained` wrote; a ``.safetensors`` file of ``telltale train
        --from``; ``imagenet``.
    weights : Path, optional
        A file to load into a network that code has made.
    arguments : mapping, optional
        What the code is called with; JSON.
    code : str, optional
        SHA-256 of the code, where a file of settings names it: it must be the same, and have been named here before.
        Without it the code counts as named now, by the owner.

    Raises
    ------
    InputError
        If there is no such model, it gives no network, or the weights do not fit.
    """
    if is_code(reference):
        return _from_code(reference, weights, dict(arguments or {}), code)
    if reference != imagenet.REFERENCE and not is_fine_tuned(reference) and not is_hub_model(reference):
        raise InputError(f"'{reference}' is no model; use {ACCEPTED}.")
    if arguments:
        raise InputError(f"Only code takes arguments; '{reference}' is none.")
    if weights is not None:
        raise InputError(f"'{reference}' brings its own weights; leave '{weights}' out.")
    if is_fine_tuned(reference):
        return _from_file(Path(reference).expanduser().resolve())
    return _imagenet() if reference == imagenet.REFERENCE else _from_hub(reference)


def _from_code(reference: str, weights: Path | None, arguments: dict[str, Any], code: str | None) -> FoundModel:
    state = None if weights is None else read_state(weights)  # before anything runs
    network = name_code(reference, arguments) if code is None else make_again(reference, arguments, code)
    origin = made_by(network)
    remark = None if weights is None or state is None else fill(network, state, weights)
    return FoundModel(
        origin.factory,
        network,
        origin.arguments,
        origin.code,
        None if weights is None else weights.expanduser().resolve(),
        None if weights is None else file_sha256(weights),
        _own_names(network),
        remarks=() if remark is None else (remark,),
    )


def _own_names(network: nn.Module) -> tuple[str, ...] | None:
    """Return the names of its classes that a network carries, if it does."""
    names = getattr(network, "class_names", None)
    given = isinstance(names, list | tuple) and len(names) >= 2 and all(isinstance(name, str) for name in names)
    return tuple(names) if given and names is not None else None


def _from_file(file: Path) -> FoundModel:
    found = read_fine_tuned(file)
    return FoundModel(
        str(file),
        found.network,
        {},
        weights=file,
        weights_sha256=file_sha256(file),
        class_names=found.class_names,
        preprocess=found.preprocess,
        size=found.size,
        head=found.head,
        learned=found.learned,
        remarks=(found.learned.sentence(),),
    )


def _from_hub(reference: str) -> FoundModel:
    lasting = reference if reference.startswith(PREFIX) else str(Path(reference).expanduser().resolve())
    model = read_model(lasting)
    known = model.processor
    return FoundModel(
        lasting,
        model.network,
        {},
        class_names=model.class_names,
        preprocess=None if known is None else known.preprocess,
        size=None if known is None else known.size,
        remarks=() if known is None else known.remarks,
    )


def _imagenet() -> FoundModel:
    return FoundModel(
        imagenet.REFERENCE,
        imagenet.efficientnet_lite0(),
        {},
        class_names=imagenet.imagenet_names(),
        synonyms=imagenet.imagenet_classes(),
        preprocess=imagenet.PREPROCESS,
        size=(imagenet.SIZE, imagenet.SIZE),
    )

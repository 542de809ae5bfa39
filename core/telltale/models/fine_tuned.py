"""The file that fine-tuning writes: all weights, and in its header what makes the network around them again.

The header is JSON that names a network of Telltale's own, of the hub's library or of code; such code runs only where
its owner has named it (`telltale.models.code`). Nothing in the file itself is ever run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import nn

from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.files import load_metadata, save_arrays, whole
from telltale.data.listing import class_name, shown
from telltale.models.classifier import Classifier
from telltale.models.factories import made_by
from telltale.models.new_heads import NEW_HEAD, with_new_head
from telltale.models.preprocess import Preprocess
from telltale.models.state_files import fill, read_state

SUFFIX = ".safetensors"
KEY = "telltale.fine_tuned"
VERSION = 1
MARK = "_telltale_learned"


@dataclass(frozen=True)
class Learned:
    """What a fine-tuned network has learned from, and how well.

    Attributes
    ----------
    model : str
        Reference of the network that was fine-tuned.
    data : str
        Where the images come from.
    fingerprint : str
        `ImageSet.fingerprint` of all of them, in the network's size.
    training_images : int
    blocks : int
        How many of the last blocks learned beside the head.
    validation_images, validation_accuracy : int, float
        Of the images that chose the head, and the share of them that is read correctly.
    """

    model: str
    data: str
    fingerprint: str
    training_images: int
    blocks: int
    validation_images: int
    validation_accuracy: float

    def sentence(self) -> str:
        """Return it for a person."""
        more = (
            f" and its last {self.blocks} blocks" if self.blocks > 1 else " and its last block" if self.blocks else ""
        )
        return (
            f"The head{more} of '{self.model}' learned from {self.training_images:,} training images of '{self.data}'; "
            f"of {self.validation_images:,} validation images {self.validation_accuracy:.1%} are read correctly."
        )


@dataclass(frozen=True)
class FineTuned:
    """A network that a file of fine-tuning describes.

    Attributes
    ----------
    network : nn.Module
    class_names : tuple of str
    preprocess : Preprocess
    size : (int, int)
    head : str or None
        As given to `telltale.wrap`, for a network that returns several tensors.
    learned : Learned
    """

    network: nn.Module
    class_names: tuple[str, ...]
    preprocess: Preprocess
    size: tuple[int, int]
    head: str | None
    learned: Learned


def learned_by(network: nn.Module) -> Learned | None:
    """Return what a network has learned from, where its file said so; None of any other network."""
    found = getattr(network, MARK, None)
    return found if isinstance(found, Learned) else None


def is_fine_tuned(reference: str) -> bool:
    """Whether a reference to a model names a file that fine-tuning may have written."""
    return reference.lower().endswith(SUFFIX)


def write_fine_tuned(file: Path, classifier: Classifier, learned: Learned) -> None:
    """Write a classifier whose head was replaced (`telltale.models.new_heads`); the file appears whole or not at all.

    Parameters
    ----------
    file : Path
    classifier : Classifier
        With named classes.
    learned : Learned
    """
    origin = made_by(classifier.network)
    assert origin.factory == NEW_HEAD and classifier.class_names is not None
    header = {
        "version": VERSION,
        **origin.arguments,
        "classes": list(classifier.class_names),
        "size": list(classifier.input_shape[1:]),
        "preprocess": asdict(classifier.preprocess),
        "output": classifier.plan.chosen_head,
        "learned": asdict(learned),
    }
    arrays = {name: value.detach().cpu().numpy() for name, value in classifier.network.state_dict().items()}
    with whole(file) as partial:
        save_arrays(partial, arrays, {KEY: json.dumps(header, sort_keys=True)})


def read_fine_tuned(file: Path) -> FineTuned:
    """Make the network of a file again.

    Raises
    ------
    InputError
        If there is no such file, fine-tuning has not written it, its network cannot be made here, or the weights do
        not fit it.
    """
    header = _header(file)
    try:
        classes = [class_name(_text(name)) for name in header["classes"]]
        arguments: Mapping[str, Any] = dict(header["arguments"])
        code = None if header["code"] is None else _text(header["code"])
        height, width = (int(side) for side in header["size"])
        preprocess = Preprocess(**{name: _as_given(value) for name, value in header["preprocess"].items()})
        output = None if header["output"] is None else _text(header["output"])
        learned = _learned(header["learned"])
        made_from, head = _text(header["network"]), _text(header["head"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _not_written_here(file) from error
    network = with_new_head(network=made_from, arguments=dict(arguments), head=head, classes=len(classes), code=code)
    fill(network, read_state(file), file)
    setattr(network, MARK, learned)
    return FineTuned(network, tuple(classes), preprocess, (height, width), output, learned)


def _header(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise InputError(f"There is no file '{file}'.")
    try:
        raw = load_metadata(file).get(KEY)
        header = None if raw is None else json.loads(raw)
    except (DamagedBundleError, ValueError, RecursionError) as error:
        raise InputError(f"The file '{file}' is damaged, or no safetensors.") from error
    if not isinstance(header, dict):
        raise _not_written_here(file)
    if header.get("version") != VERSION:
        raise InputError(f"'{file}' was written by another version of Telltale: fine-tune anew with this one.")
    return header


def _not_written_here(file: Path) -> InputError:
    return InputError(
        f"'{file}' holds weights, but not which network they are for: only files of 'telltale train --from' do. Name "
        f"the network by --model and this file by --weights."
    )


def _learned(raw: Mapping[str, Any]) -> Learned:
    return Learned(
        shown(_text(raw["model"])),
        shown(_text(raw["data"])),
        shown(_text(raw["fingerprint"])),
        int(raw["training_images"]),
        int(raw["blocks"]),
        int(raw["validation_images"]),
        float(raw["validation_accuracy"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _as_given(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

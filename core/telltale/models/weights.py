"""Files of weights, and classifiers made again around them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

import telltale.models.early_resnet
import telltale.models.hub
import telltale.models.imagenet
import telltale.models.new_heads
import telltale.models.resnet  # noqa: F401  # all register their factories
from telltale.base.errors import DamagedBundleError
from telltale.base.files import load_arrays, load_metadata, save_arrays
from telltale.models.classifier import NETWORK, TWIN, Classifier, arrays_sha256
from telltale.models.code import make_again
from telltale.models.compute import to_layout
from telltale.models.factories import brings_weights, made_by, make
from telltale.models.preprocess import Preprocess
from telltale.models.spec import ClassifierSpec
from telltale.models.wrapping import wrap

DATA_KEY = "data"
HALF_KEY = "half"  # names the arrays that lie in the file in half precision and are single
BROUGHT_KEY = "brought"  # the factory whose networks bring every array that the file leaves out, and its arguments

Arrays = dict[str, npt.NDArray[Any]]


def make_classifier(spec: ClassifierSpec, mean: Any = None, std: Any = None) -> Classifier:
    """Make a classifier anew, with whatever weights its factory gives it.

    Parameters
    ----------
    spec : ClassifierSpec
    mean, std : float or sequence of float, optional
        Of its input; see `Preprocess`.

    Raises
    ------
    InputError
        If its factory is not known here or does not make what the spec says.
    """
    classifier = _wrapped(_network(spec), spec, mean, std)
    return classifier if spec.twin is None else classifier.take_twin(make_classifier(spec.twin, mean, std))


def load_weights(spec: ClassifierSpec, file: Path) -> Classifier:
    """Make a classifier again from its spec and its weights.

    Raises
    ------
    DamagedBundleError
        If the file does not fit the spec.
    InputError
        If its factory is not known here, or the code behind it was not named here or has changed.
    """
    arrays, ready = _read(file)
    misfit = DamagedBundleError(f"The weights in '{file.name}' do not fit the network of this bundle.")
    if spec.sha256 is not None and arrays_sha256(arrays) != spec.sha256:
        raise misfit
    try:
        classifier = _filled(spec, arrays, ready)
        if spec.twin is not None:
            classifier.take_twin(_filled(spec.twin, _part(arrays, TWIN)))
    except RuntimeError as error:
        raise misfit from error
    return in_fast_layout(classifier)


def weights_sha256(file: Path) -> str:
    """Return the SHA-256 (hexadecimal) of a file's weights as they are used, however they are stored.

    Raises
    ------
    DamagedBundleError
        If it is no file of weights.
    """
    return arrays_sha256(_read(file)[0])


def _read(file: Path) -> tuple[Arrays, nn.Module | None]:
    """Return all weights as they are used, widened and with those that a factory brings, and the network with these."""
    arrays, metadata = load_arrays(file), load_metadata(file)
    if BROUGHT_KEY not in metadata:
        return _widened(arrays, metadata), None
    factory, arguments = json.loads(metadata[BROUGHT_KEY])
    if not brings_weights(factory):
        raise DamagedBundleError(f"The weights are left to '{factory}', which brings none.")
    network = make(factory, arguments)
    return _arrays_of(network) | _widened(arrays, metadata), network


def _arrays_of(network: nn.Module) -> Arrays:
    """Return the arrays of a network by the names that a classifier gives them."""
    return {NETWORK + name: value.numpy() for name, value in network.state_dict().items()}


def _filled(spec: ClassifierSpec, arrays: Arrays, ready: nn.Module | None = None) -> Classifier:
    """Make a classifier and fill it; around a network that is there already, where the same factory has made it."""
    mean, std = (None if name not in arrays else np.squeeze(arrays[name]).tolist() for name in ("mean", "std"))
    network = ready if ready is not None and _is_of(spec, ready) else _network(spec)
    network.load_state_dict({key: torch.from_numpy(value.copy()) for key, value in _part(arrays, NETWORK).items()})
    return _wrapped(network, spec, mean, std)


def _is_of(spec: ClassifierSpec, network: nn.Module) -> bool:
    origin = made_by(network)
    return (origin.factory, origin.arguments, origin.code) == (spec.factory, spec.arguments, spec.code)


def _network(spec: ClassifierSpec) -> nn.Module:
    if spec.code is not None:
        return make_again(spec.factory, spec.arguments, spec.code)
    return make(spec.factory, spec.arguments)


def _part(arrays: Arrays, prefix: str) -> Arrays:
    return {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}


def save_weights(classifier: Classifier, file: Path, data: str | None = None) -> None:
    """Write all parameters and buffers, normalisation included; the file appears whole or not at all.

    What half precision holds to the last bit takes half of the room; what the network's factory brings takes none.

    Parameters
    ----------
    classifier : Classifier
    file : Path
    data : str, optional
        Fingerprint of the data it was trained on, for `trained_on`.
    """
    arrays, metadata = classifier.arrays(), {DATA_KEY: data} if data else {}
    origin = made_by(classifier.network)
    if brings_weights(origin.factory):
        known = _arrays_of(make(origin.factory, origin.arguments))
        arrays = {name: values for name, values in arrays.items() if not _same(values, known.get(name))}
        metadata[BROUGHT_KEY] = json.dumps([origin.factory, origin.arguments])
    half = [name for name, values in arrays.items() if _fits_half(values)]
    if half:
        arrays |= {name: arrays[name].astype(np.float16) for name in half}
        metadata[HALF_KEY] = json.dumps(half)
    write_whole(file, arrays, metadata)


def round_to_half(classifier: Classifier) -> None:
    """Round every weight of a convolution or linear layer to the nearest number that half precision holds."""
    with torch.no_grad():
        for parameter in classifier.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half())


def _same(values: npt.NDArray[Any], known: npt.NDArray[Any] | None) -> bool:
    return known is not None and values.dtype == known.dtype and np.array_equal(values, known)


def _fits_half(values: npt.NDArray[Any]) -> bool:
    if values.dtype != np.float32 or values.ndim < 2:
        return False
    with np.errstate(over="ignore"):
        return bool((values.astype(np.float16) == values).all())


def _widened(arrays: Arrays, metadata: Mapping[str, str]) -> Arrays:
    half = set(json.loads(metadata.get(HALF_KEY, "[]")))
    return {name: values.astype(np.float32) if name in half else values for name, values in arrays.items()}


def trained_on(file: Path) -> str | None:
    """Return the fingerprint of the data that weights were trained on; None if the file is absent or does not say.

    Raises
    ------
    DamagedBundleError
        If the file is damaged.
    """
    return load_metadata(file).get(DATA_KEY) if file.exists() else None


def write_whole(file: Path, arrays: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write arrays to a file that appears whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f".{file.name}-{os.getpid()}.partial")
    try:
        save_arrays(unfinished, arrays, metadata)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _wrapped(network: nn.Module, spec: ClassifierSpec, mean: Any, std: Any) -> Classifier:
    return wrap(
        network,
        classes=spec.classes,
        size=(spec.height, spec.width),
        preprocess=Preprocess(spec.resize, spec.crop, mean, std, spec.interpolation),
        layers=spec.layers,
        head=spec.head,
        channels=spec.channels,
    )


def in_fast_layout(classifier: Classifier) -> Classifier:
    """Lay weights out channels last, a fifth faster on processors, forward and backward, where the network bears it.

    Rounding changes in the last bits, so all that is loaded has it. Networks that reshape by `view` refuse it.
    """
    images = torch.full((1, *classifier.input_shape), 0.5)
    to_layout(classifier, torch.channels_last)
    try:
        with torch.inference_mode():
            classifier(images)
    except RuntimeError:
        to_layout(classifier, torch.contiguous_format)
    return classifier

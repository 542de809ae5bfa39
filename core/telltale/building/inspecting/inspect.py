"""Whether a network works with these images, and everything about it is as its owner says."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from telltale.base.errors import InputError
from telltale.base.images import round_to_8_bits
from telltale.base.progress import Progress, part, silent
from telltale.building.inspecting.cost import IMAGES, Estimate, estimate, measure
from telltale.building.inspecting.inspection import Inspection
from telltale.building.inspecting.mistakes import compare_preprocessing, picture_of, to_size
from telltale.building.inspecting.pictures import Pictures
from telltale.building.inspecting.warnings import find_warnings
from telltale.building.own_images import check_count
from telltale.bundle.manifest import check_name
from telltale.evidence.guided import guided_network
from telltale.models.class_names import ClassMap, match_classes
from telltale.models.classifier import Classifier
from telltale.models.preprocess import Preprocess
from telltale.models.references import FoundModel
from telltale.models.wrapping import wrap
from telltale.recipes import own_plan, own_sizes

ACTIVATIONS = torch.nn.modules.activation.__name__


@dataclass(frozen=True)
class Stated:
    """What a person says about a network; what is left out is what the model says, or found.

    Attributes
    ----------
    size : (int, int), optional
        Height and width of its images.
    preprocess : Preprocess, optional
    class_names : sequence of str, optional
        In the order of the outputs.
    classes : mapping of str to str or int
        Outputs of some of the data's classes, by name or index.
    layers : sequence of str, optional
    head : str, optional
    channels : int, optional
    attacks, detectors : tuple of str
        Of the build.
    title : str, optional
        Of the bundle, shown to people.
    trained_on : bool, optional
        Whether the network has learned from the data; see `telltale.recipes.BundlePlan`.
    """

    size: tuple[int, int] | None = None
    preprocess: Preprocess | None = None
    class_names: Sequence[str] | None = None
    classes: Mapping[str, str | int] = field(default_factory=dict)
    layers: Sequence[str] | None = None
    head: str | None = None
    channels: int | None = None
    attacks: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    title: str | None = None
    trained_on: bool | None = None


def inspect(
    name: str,
    model: FoundModel,
    pictures: Pictures,
    source: str | None,
    stated: Stated | None = None,
    *,
    cost: bool = True,
    progress: Progress = silent,
) -> Inspection:
    """Look at a network and some of the images that it is to be debugged with.

    Parameters
    ----------
    name : str
        Of the bundle that it may become.
    model : FoundModel
    pictures : Pictures
        `NO_PICTURES`, where there are none: neither the preprocessing nor the order of the classes' names can be
        checked then.
    source : str or None
        Where the pictures come from.
    stated : Stated, optional
    cost : bool
        Whether a build's parts are measured, which takes most of the time.
    progress : callable
        Told the fraction done and what is being done.

    Raises
    ------
    InputError
        If the network cannot be wrapped, no class of the data is one of its outputs, or a logit or gradient is not a
        finite number.
    """
    check_name(name)
    stated = stated or Stated()
    progress(0.0, "Looking at the network")
    classifier = wrap_model(model, stated, pictures)
    return look_at(name, model, classifier, pictures, source, stated, cost, progress)


def look_at(
    name: str,
    model: FoundModel,
    classifier: Classifier,
    pictures: Pictures,
    source: str | None,
    stated: Stated,
    cost: bool,
    progress: Progress,
) -> Inspection:
    """Look at a model that is wrapped already; see `inspect`."""
    # Fine-tuning spares what a build holds out, also of data without splits of their own.
    fine_tuned_here = model.learned is not None and model.learned.data == source
    classes = _classes(model, classifier, pictures, stated) if pictures.labelled else ClassMap({})
    known, targets = _targets(pictures, classes) if pictures.labelled else (list(pictures.pixels), None)
    images = _sample(classifier, known) if known else _noise(classifier)
    largest = check_gradients(classifier, images)
    progress(0.1, "Reading the pictures in every way")
    accuracies, predictions = ([], None) if targets is None else compare_preprocessing(classifier, known, targets)
    progress(0.6, "Following the guided pass")
    rectifiers = guided_network(classifier).rectifiers
    trace = classifier.trace(images[:1])
    found = Inspection(
        name,
        model,
        classifier,
        source,
        len(pictures),
        pictures.split,
        classes,
        dict(zip(pictures.class_names, zip(pictures.counts, _referred_to(pictures), strict=True), strict=True)),
        pictures.damaged,
        tuple(accuracies),
        tuple((layer, a.shape[1]) for layer, a in zip(classifier.layers, trace.activations, strict=True)),
        rectifiers,
        _other_activations(classifier.network),
        largest,
        _cost(classifier, images, pictures, stated, part(progress, 0.65, 1.0)) if cost and known else None,
        (),
        True if fine_tuned_here and stated.trained_on is None else stated.trained_on,
    )
    progress(1.0, "Done")
    answers = None if predictions is None or targets is None else (predictions, targets)
    return replace(found, warnings=find_warnings(found, answers, pictures.validated or fine_tuned_here))


def wrap_model(model: FoundModel, stated: Stated, pictures: Pictures | None = None, named: bool = True) -> Classifier:
    """Wrap a network as a person, or else the model itself, says.

    Parameters
    ----------
    model : FoundModel
    stated : Stated
    pictures : Pictures, optional
        Whose size is taken where nothing says another and all have the same.
    named : bool
        Whether the outputs must have names.

    Raises
    ------
    InputError
        If the size or the names of the classes are not known, or the network cannot be wrapped.
    """
    names = stated.class_names or model.class_names
    if named:
        check_named(model, names)
    preprocess = stated.preprocess or model.preprocess or Preprocess()
    size = stated.size or _cropped(preprocess) or model.size or _common_size(pictures)
    if size is None:
        why = "The pictures differ in size" if pictures else "There are no pictures to tell it by"
        raise InputError(f"{why}: say by --size which size the network takes.")
    if preprocess.resize is None and preprocess.crop is None:
        preprocess = replace(preprocess, resize=size)
    return wrap(
        model.network,
        classes=None if names is None else list(names),
        size=size,
        preprocess=preprocess,
        layers=stated.layers,
        head=stated.head or model.head,
        channels=stated.channels,
    )


def check_named(model: FoundModel, names: Sequence[str] | None) -> None:
    """Refuse a network whose outputs have no names.

    Parameters
    ----------
    model : FoundModel
    names : sequence of str or None
        What a person or the model itself says.

    Raises
    ------
    InputError
        If nobody says what the outputs are called.
    """
    if names is None:
        raise InputError(
            f"'{model.reference}' does not say what its outputs are called: give the names, in the order of the "
            "outputs, by --classes."
        )


def check_gradients(classifier: Classifier, images: npt.NDArray[np.float32]) -> float:
    """Return the largest gradient of a largest logit with respect to a pixel.

    Raises
    ------
    InputError
        If one is not a finite number.
    """
    inputs = torch.from_numpy(images).requires_grad_()
    with torch.enable_grad():
        logits = classifier(inputs)
        (gradient,) = torch.autograd.grad(logits.amax(1).sum(), inputs)
    if not torch.isfinite(logits).all():
        raise InputError("The network's logits are not finite numbers for some of the pictures.")
    wrong = int((~torch.isfinite(gradient)).flatten(1).any(1).sum())
    if wrong:
        raise InputError(
            f"The gradients at the pixels are not finite numbers for {wrong} of {len(images)} pictures: look for "
            "square roots, logarithms and divisions at 0 in the network."
        )
    return float(gradient.abs().max())


def _cropped(preprocess: Preprocess) -> tuple[int, int] | None:
    side = preprocess.crop if preprocess.crop is not None else preprocess.resize
    if isinstance(side, int):
        return (side, side) if preprocess.crop is not None else None
    return side


def _common_size(pictures: Pictures | None) -> tuple[int, int] | None:
    sizes = set() if pictures is None else {pixels.shape[1:] for pixels in pictures.pixels}
    return (int(first[0]), int(first[1])) if len(sizes) == 1 and (first := next(iter(sizes))) else None


def _classes(model: FoundModel, classifier: Classifier, pictures: Pictures, stated: Stated) -> ClassMap:
    """Return the outputs of the data's classes: by name, or by number where the outputs have no names."""
    here, names = pictures.class_names, classifier.class_names
    if names is not None:
        return match_classes(here, names, model.synonyms, stated.classes)
    check_count(classifier, len(here))
    return ClassMap({folder: output for output, folder in enumerate(here)})


def _referred_to(pictures: Pictures) -> tuple[int, ...]:
    """Return about how many pictures of every class a build keeps as references: what it holds out itself is gone."""
    own_test, own_validation = pictures.own_held_out
    if own_validation:
        return pictures.references
    try:
        sizes = own_sizes(own_plan("inspected", "").sizes, pictures.total, own_test)
    except InputError:
        return pictures.references  # too few for a build, which says so
    left = pictures.total - own_test
    kept = left - sizes.fit - sizes.calibration - (0 if own_test else sizes.test)
    return tuple(min(count, max(1, count * kept // left)) for count in pictures.references)


def _targets(pictures: Pictures, classes: ClassMap) -> tuple[list[Any], npt.NDArray[np.int64]]:
    """Return the pictures whose class is an output of the network, and those outputs."""
    outputs = [classes.outputs.get(pictures.class_names[label], -1) for label in pictures.labels]
    known = [pixels for pixels, output in zip(pictures.pixels, outputs, strict=True) if output >= 0]
    if not known:
        raise InputError("None of the classes that the network knows has a picture that can be read.")
    return known, np.array([output for output in outputs if output >= 0], dtype=np.int64)


def _sample(classifier: Classifier, pictures: Sequence[Any]) -> npt.NDArray[np.float32]:
    channels, *size = classifier.input_shape
    sized = [to_size(picture_of(pixels, channels), classifier.preprocess, tuple(size)) for pixels in pictures[:IMAGES]]
    return round_to_8_bits(np.stack(sized))


def _noise(classifier: Classifier) -> npt.NDArray[np.float32]:
    """Return images of random pixels, for what can be tried without pictures."""
    shape = (IMAGES, *classifier.input_shape)
    return round_to_8_bits(np.random.default_rng(0).random(shape, dtype=np.float32))


def _other_activations(network: nn.Module) -> tuple[str, ...]:
    guided = (nn.ReLU, nn.Hardtanh, nn.Threshold)
    found = {
        type(module).__name__
        for module in network.modules()
        if type(module).__module__ == ACTIVATIONS and not isinstance(module, (*guided, nn.MultiheadAttention))
    }
    return tuple(sorted(found))


def _cost(
    classifier: Classifier, images: npt.NDArray[np.float32], pictures: Pictures, stated: Stated, progress: Progress
) -> Estimate | None:
    """Return what a build takes; None where there are too few pictures for one, which it will say itself."""
    plan = own_plan("inspected", "", stated.attacks, stated.detectors)
    try:
        own_sizes(plan.sizes, pictures.total, *pictures.own_held_out)
    except InputError:
        return None
    begun = time.perf_counter()
    _sample(classifier, pictures.pixels)
    sizing = (time.perf_counter() - begun) / min(IMAGES, len(pictures))
    measured = measure(classifier, images, plan, progress, read=pictures.decoding + sizing)
    size = int(np.prod(classifier.input_shape))
    return estimate(measured, plan, pictures.total, size, own_held_out=pictures.own_held_out)

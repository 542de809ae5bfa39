"""Looking at a classifier that somebody has wrapped, as ``telltale inspect`` looks at a model that it is told of."""

from __future__ import annotations

import torch

from telltale.base.errors import InputError
from telltale.base.progress import Progress, silent
from telltale.building.inspecting.inspect import Stated, look_at
from telltale.building.inspecting.inspection import Inspection
from telltale.building.inspecting.pictures import NO_PICTURES, Pictures, read_pictures
from telltale.bundle.manifest import check_name
from telltale.data.sources import lasting_source
from telltale.models.classifier import Classifier
from telltale.models.factories import check_known_elsewhere, made_by
from telltale.models.fine_tuned import learned_by
from telltale.models.references import FoundModel
from telltale.recipes import check_trained_on


def inspect_wrapped(
    name: str,
    classifier: Classifier,
    data: str | None,
    *,
    images: int = 200,
    cost: bool = True,
    trained_on: bool | None = None,
    progress: Progress = silent,
) -> Inspection:
    """Look at a wrapped classifier and some images.

    Parameters
    ----------
    name : str
        Of the bundle that it may become.
    classifier : Classifier
    data : str or None
        What `telltale.data.sources.load_image_set` takes; None where there are no images.
    images : int
        How many to read.
    cost : bool
        Whether a build's parts are measured.
    trained_on : bool, optional
        Whether the network has learned from these images; see `telltale.recipes.BundlePlan`.
    progress : callable

    Raises
    ------
    InputError
        If the images cannot be read or the classifier does not say how they are brought to its size, no class of theirs
        is one of its outputs, or a logit or gradient is not a finite number.
    """
    check_name(name)
    if not isinstance(images, int) or images < 10:
        raise InputError(f"images must be a whole number of at least 10. Got {images!r} instead.")
    check_trained_on(trained_on)
    progress(0.0, f"Reading {data or 'the network'}")
    pictures = NO_PICTURES if data is None else read_pictures(data, images)
    _check_sizes(classifier, pictures)
    source = None if data is None else lasting_source(data)
    stated = Stated(trained_on=trained_on)
    return look_at(name, _as_found(classifier), classifier, pictures, source, stated, cost, progress)


def _check_sizes(classifier: Classifier, pictures: Pictures) -> None:
    """Refuse pictures of other sizes where nothing says how they are brought to the network's."""
    preprocess, (_, height, width) = classifier.preprocess, classifier.input_shape
    sizes = {pixels.shape[1:] for pixels in pictures.pixels} - {(height, width)}
    if sizes and preprocess.resize is None and preprocess.crop is None:
        other = min(sizes)
        raise InputError(
            f"The network takes pictures of {height} x {width} pixels, and some have {other[0]} x {other[1]}: say by "
            "telltale.Preprocess(resize=..., crop=...) how they are brought to its size."
        )


def _as_found(classifier: Classifier) -> FoundModel:
    """Return what is known of a network that a person holds in their hands."""
    network: torch.nn.Module = classifier.network
    try:
        origin = made_by(network)
        check_known_elsewhere(origin.factory, origin.code)
    except InputError as error:
        return FoundModel(type(network).__qualname__, network, {}, remarks=(f"Nothing can be built yet. {error}",))
    return FoundModel(origin.factory, network, origin.arguments, origin.code, learned=learned_by(network))

"""The classifier as everything else sees it: pixels in [0, 1] in, logits out, one trace of all layers."""

from __future__ import annotations

import contextlib
import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from telltale.base.errors import InputError
from telltale.models.compute import device_of
from telltale.models.factories import made_by
from telltale.models.heads import Head, Key, pick
from telltale.models.layers import Catching, Layer, Reached
from telltale.models.preprocess import Preprocess
from telltale.models.spec import ClassifierSpec
from telltale.models.trace import Trace, softmax

NETWORK, TWIN = "network.", "twin."
MOST_AT_ONCE, VALUES_AT_ONCE = 64, 64 * 3 * 64 * 64  # images of a pass, and numbers that they are made of


@dataclass(frozen=True)
class Plan:
    """What `telltale.wrap` has found out about a network.

    Attributes
    ----------
    input_shape : (int, int, int)
    classes : int
    layers : tuple of Layer
        In the order in which they run; where there is a head, pooling the last one gives its input.
    key : int, str or None
        Where the logits stand in what the network returns.
    linear : str or None
        Path of the head.
    head_problem : str or None
        Why there is none.
    chosen_head : str or None
        As the person named it.
    writes_input : bool
        Whether the network writes over what it is given, which must then be a copy.
    class_names : tuple of str or None
        In the order of the logits, where the person named them.
    """

    input_shape: tuple[int, int, int]
    classes: int
    layers: tuple[Layer, ...]
    key: Key
    linear: str | None
    head_problem: str | None
    chosen_head: str | None
    writes_input: bool = False
    class_names: tuple[str, ...] | None = None


class Classifier(nn.Module):
    """Any network with its input normalisation inside, in evaluation mode; `telltale.wrap` makes it.

    Parameters
    ----------
    network : nn.Module
        Maps normalised images to logits; not copied.
    plan : Plan
    preprocess : Preprocess

    Attributes
    ----------
    network : nn.Module
    classes : int
    input_shape : (int, int, int)
        Shape (C, H, W) of one image.
    head_problem : str or None
        Why there is no `head`.
    class_names : tuple of str or None
        In the order of the logits; None where only their number was given.
    twin : Classifier or None
        A second network for the same images and classes, trained independently: its doubt is evidence. See `take_twin`.
    """

    twin: Classifier | None
    mean: torch.Tensor | None
    std: torch.Tensor | None

    def __init__(self, network: nn.Module, plan: Plan, preprocess: Preprocess) -> None:
        super().__init__()
        self.classes = plan.classes
        self.input_shape = plan.input_shape
        self.head_problem = plan.head_problem
        self.class_names = plan.class_names
        self.plan = plan
        self._sides = preprocess.resize, preprocess.crop, preprocess.interpolation
        device = device_of(network)
        for name in ("mean", "std"):
            value = getattr(preprocess, name)
            tensor = None if value is None else torch.tensor(value, dtype=torch.float32, device=device)
            # One number per channel lies along the channels; one for all is left without axes.
            self.register_buffer(name, tensor if tensor is None or tensor.ndim == 0 else tensor[:, None, None])
        self.network = network
        self.twin = None
        self.eval()

    # --- what it is -------------------------------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the traced layers, in the order in which they run."""
        return tuple(layer.name for layer in self.plan.layers)

    @property
    def head(self) -> Head | None:
        """Weights and bias of the final linear layer as they are now; None where `head_problem` says why."""
        if self.plan.linear is None:
            return None
        linear = self.network.get_submodule(self.plan.linear)
        assert isinstance(linear, nn.Linear)
        return Head.of(linear)

    @property
    def preprocess(self) -> Preprocess:
        """What happens to a picture before the network reads it."""
        resize, crop, interpolation = self._sides
        return Preprocess(resize, crop, _numbers(self.mean), _numbers(self.std), interpolation)

    @property
    def device(self) -> torch.device:
        """Where the network's numbers lie."""
        return device_of(self)

    @property
    def images_at_once(self) -> int:
        """How many images a pass takes: of large ones few, for what layers hand on to fit the processor's cache."""
        return max(1, min(MOST_AT_ONCE, VALUES_AT_ONCE // math.prod(self.input_shape)))

    @property
    def spec(self) -> ClassifierSpec:
        """What another process makes this classifier from, with a file of its weights.

        Raises
        ------
        InputError
            If no registered factory and no reference to code made the network (see `telltale.model_factory`).
        """
        origin = made_by(self.network)
        channels, height, width = self.input_shape
        resize, crop, interpolation = self._sides
        return ClassifierSpec(
            origin.factory,
            origin.arguments,
            channels,
            height,
            width,
            self.classes,
            self.plan.layers,
            self.plan.chosen_head,
            resize,
            crop,
            arrays_sha256(self.arrays()),
            None if self.twin is None else self.twin.spec,
            origin.code,
            interpolation,
        )

    def take_twin(self, twin: Classifier) -> Classifier:
        """Keep a second opinion beside this classifier, and return this classifier.

        Parameters
        ----------
        twin : Classifier
            Takes the same images and tells the same classes apart.

        Raises
        ------
        InputError
            If it does not, or is no second network.
        """
        mine, others = (self.input_shape, self.classes), (twin.input_shape, twin.classes)
        if mine != others:
            raise InputError(
                f"A twin reads the same images and classes: shape {mine[0]} and {mine[1]} classes. "
                f"Got {others[0]} and {others[1]} instead."
            )
        if twin is self or twin.network is self.network or twin.twin is not None:
            raise InputError("A twin is a second network, which has no twin itself.")
        self.twin = twin
        return self

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return all parameters and buffers, those of the normalisation included, by name."""
        return {key: value.detach().cpu().numpy() for key, value in self.state_dict().items()}

    # --- passes -----------------------------------------------------------------------------------------------------

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (n, C, H, W) in [0, 1], on any device, to logits (n, classes) on the same device."""
        return self._pass(images).to(images.device)

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Map images to logits, differentiably.

        Parameters
        ----------
        images : Tensor, float32, shape (n, C, H, W), in [0, 1]

        Returns
        -------
        Tensor, float32, shape (n, classes)
            On the images' device.
        """
        return self(images)  # type: ignore[no-any-return]

    def outputs(self, images: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return what every traced layer gives as it is, and the logits, from one differentiable pass."""
        with Catching(self.network, self.plan.layers) as catching:
            logits = self._pass(images)
        return catching.outputs(), logits

    def look(self, images: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
        """Return `activations` and `logits` from one differentiable pass, on the images' device."""
        outputs, logits = self.outputs(images)
        pooled = (layer.pool(output).to(images.device) for layer, output in zip(self.plan.layers, outputs, strict=True))
        return tuple(pooled), logits.to(images.device)

    def activations(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the pooled output of every traced layer, each of shape (n, d_l), differentiably."""
        return self.look(images)[0]

    def hidden(self, images: torch.Tensor) -> torch.Tensor:
        """Return the last layer's pooled output, shape (n, d), differentiably: the head's input, if there is a head."""
        return self.activations(images)[-1]

    @property
    def last_stage(self) -> Layer:
        """The last traced layer that still has places: maps or tokens; the last of all where none has."""
        return next((layer for layer in reversed(self.plan.layers) if layer.has_places), self.plan.layers[-1])

    def stage(self, images: torch.Tensor) -> torch.Tensor:
        """Return the output of `last_stage` as it is, differentiably; nothing behind it is computed."""
        with Catching(self.network, [self.last_stage], stop=True) as catching, contextlib.suppress(Reached):
            self._pass(images)
        return catching.outputs()[0]

    @torch.inference_mode()
    def trace(self, images: npt.NDArray[np.float32]) -> Trace:
        """Run images once and keep logits and pooled activations.

        Parameters
        ----------
        images : array of float32, shape (n, C, H, W), in [0, 1]
            Each pass takes `images_at_once`; results do not depend on it beyond float tolerance.

        Raises
        ------
        InputError
            If the shape is not the classifier's.
        """
        self.check_images(images)
        parts = []
        for part in self._parts(images):
            pooled, logits = self.look(part)
            parts.append(Trace(self.layers, tuple(p.numpy() for p in pooled), logits.numpy()))
        return Trace.concatenate(parts)

    @torch.inference_mode()
    def logits_of(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the logits for images, shape (n, classes), without looking at any layer.

        Parameters
        ----------
        images : array of float32, shape (n, C, H, W), in [0, 1]

        Raises
        ------
        InputError
            If the shape is not the classifier's.
        """
        self.check_images(images)
        return np.concatenate([self(part).numpy() for part in self._parts(images)])

    def probabilities(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the softmax outputs for images, shape (n, classes); see `logits_of`."""
        return softmax(self.logits_of(images).astype(np.float64))

    def predict(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Return the predicted class of every image, shape (n,)."""
        return self.trace(images).predictions

    def normalised(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the network is given for images (n, C, H, W) in [0, 1]."""
        if self.mean is not None:
            images = images - self.mean
        return images if self.std is None else images / self.std

    def check_images(self, images: npt.NDArray[np.float32]) -> None:
        """Raise `InputError` unless images are a non-empty (n, C, H, W) batch of this network's shape in [0, 1]."""
        if images.ndim != 4 or images.shape[1:] != self.input_shape or len(images) == 0:
            shape = ", ".join(map(str, self.input_shape))
            raise InputError(f"Expected images of shape (n, {shape}), got {images.shape}.")
        if not np.isfinite(images).all() or images.min() < 0.0 or images.max() > 1.0:
            raise InputError("Images must hold finite values in [0, 1].")

    def _parts(self, images: npt.NDArray[np.float32]) -> Iterator[torch.Tensor]:
        size = self.images_at_once
        return (torch.from_numpy(images[start : start + size]) for start in range(0, len(images), size))

    def _pass(self, images: torch.Tensor) -> torch.Tensor:
        given = self.normalised(images.to(self.device))
        return pick(self.network(given.clone() if self.plan.writes_input else given), self.plan.key)


def arrays_sha256(arrays: dict[str, npt.NDArray[Any]]) -> str:
    """Return the SHA-256 (hexadecimal) of named arrays, whatever file they come from."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _numbers(tensor: torch.Tensor | None) -> float | Sequence[float] | None:
    """Return single-precision numbers by their shortest decimals: 0.485 as it was stated, not 0.48500001430511475."""
    if tensor is None:
        return None
    numbers = [float(str(value)) for value in tensor.detach().cpu().numpy().flatten()]
    return numbers[0] if tensor.ndim == 0 else numbers

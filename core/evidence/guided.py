"""Backpropagation of the last convolutional stage's activation to the image, guided at every ReLU.

Springenberg et al. (2015); Captum's `GuidedBackprop` gives the same. Here the pass has a network of its own: batch
normalisation is folded into the convolutions, no weight asks for a gradient, and nothing is hooked to the classifier,
which other threads may be using.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from core.models.classifier import Classifier

AT_ONCE = 16  # images whose activations stay in the processor's cache


class GuidedNetwork:
    """A classifier's convolutional part, ready to be backpropagated through.

    Parameters
    ----------
    classifier : Classifier
        In evaluation mode; its weights are copied.

    Attributes
    ----------
    guided : bool
        Whether there is any `nn.ReLU` module; without one the gradient is plain.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._network: nn.Module = fuse(_LastStage(classifier).eval())
        self._network.requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.guided = _guide(self._network)

    def backpropagate(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the gradient of half the squared activation, shape (n, C, H, W), at images of that shape."""
        return np.concatenate([self._part(images[i : i + AT_ONCE]) for i in range(0, len(images), AT_ONCE)])

    def _part(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        inputs = torch.from_numpy(images).clone(memory_format=torch.channels_last).requires_grad_()
        activation = self._network(inputs)
        (gradient,) = torch.autograd.grad(activation, inputs, grad_outputs=activation.detach())
        return np.ascontiguousarray(gradient.numpy())


def guided_network(classifier: Classifier) -> GuidedNetwork:
    """Return the network of a classifier, made once for as long as its weights stay as they are."""
    stamp = tuple((id(t), t._version) for t in (*classifier.parameters(), *classifier.buffers()))
    known = _networks.get(classifier)
    if known is None or known[0] != stamp:
        known = _networks[classifier] = (stamp, GuidedNetwork(classifier))
    return known[1]


_networks: WeakKeyDictionary[Classifier, tuple[tuple[tuple[int, int], ...], GuidedNetwork]] = WeakKeyDictionary()


class _LastStage(nn.Module):
    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier.feature_maps(images)[-1]


class _GuidedReluFunction(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(x)
        context.save_for_backward(y)
        return y

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (y,) = context.saved_tensors
        return torch.ops.aten.threshold_backward(gradients[0], y, 0).clamp_min_(0)  # type: ignore[no-any-return]


class _GuidedRelu(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _GuidedReluFunction.apply(x)  # type: ignore[no-any-return, no-untyped-call]


def _guide(module: nn.Module) -> bool:
    """Replace every ReLU inside a module; return whether there was one."""
    found = False
    for name, child in module.named_children():
        if isinstance(child, nn.ReLU):
            setattr(module, name, _GuidedRelu())
            found = True
        else:
            found = _guide(child) or found
    return found

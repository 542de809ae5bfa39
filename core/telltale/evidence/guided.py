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
from torch.fx import GraphModule
from torch.fx.experimental.optimization import fuse

from telltale.models.classifier import Classifier

AT_ONCE = 32  # images: more only need more memory


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
        network = fuse(_LastStage(classifier).eval())
        assert isinstance(network, GraphModule)
        self.guided = _guide(network)
        self._network = network.requires_grad_(False)
        self._network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def backpropagate(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the gradient of half the squared activation, shape (n, C, H, W), at images of that shape."""
        return np.concatenate([self._part(images[i : i + AT_ONCE]) for i in range(0, len(images), AT_ONCE)])

    def pull_back(self, images: torch.Tensor, activation: torch.Tensor) -> torch.Tensor:
        """Return the same as `backpropagate`, differentiable with respect to what the images' activation depends on.

        Parameters
        ----------
        images : Tensor, shape (n, C, H, W)
        activation : Tensor, shape (n, d, h, w)
            The last convolutional stage at these images. This network's own would not do: its ReLUs are guided when
            they are differentiated again, too.
        """
        inputs = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self._network(inputs), inputs, grad_outputs=activation, create_graph=True)
        return gradient

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
    def forward(context: Any, x: torch.Tensor, in_place: bool) -> torch.Tensor:
        y = x.relu_() if in_place else x.relu()
        if in_place:
            context.mark_dirty(x)
        context.save_for_backward(y)
        return y

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (y,) = context.saved_tensors
        return torch.ops.aten.threshold_backward(gradients[0], y, 0).clamp_min_(0), None


class _GuidedRelu(nn.Module):
    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _GuidedReluFunction.apply(x, self.in_place)  # type: ignore[no-any-return, no-untyped-call]


def _guide(network: GraphModule) -> bool:
    """Replace every ReLU of a network, in place where nothing else reads its input; return whether there was one."""
    found = False
    for node in network.graph.nodes:
        if node.op == "call_module" and isinstance(network.get_submodule(node.target), nn.ReLU):
            given = node.args[0]
            network.set_submodule(node.target, _GuidedRelu(len(given.users) == 1 and given.op != "placeholder"))
            found = True
    return found

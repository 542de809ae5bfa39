"""Backpropagation of the last stage's activation to the image, guided at every rectifier.

Springenberg et al. (2015): a rectifier hands a gradient back only where both the gradient and its own input are
positive. A rectifier is whatever computes max(x, 0) or min(max(x, 0), c): modules and functions, in place or not,
used once or several times. They are recognised where they run, so nothing is hooked to the classifier, which other
threads may be using.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch
from torch import fx, nn
from torch.fx.experimental.optimization import fuse
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from telltale.models.classifier import Classifier
from telltale.models.compute import to_layout

AT_ONCE = 32  # images at the most: more only need more memory
AGREEMENT = 1e-4  # relative: how near a rewritten network must come to the pass that follows the definition


class GuidedNetwork:
    """A classifier up to its last stage, ready to be backpropagated through.

    Parameters
    ----------
    classifier : Classifier
        In evaluation mode.

    Attributes
    ----------
    guided : bool
        Whether there is any rectifier on the way; without one the gradient is plain.
    rectifiers : int
        How many run on the way.
    """

    def __init__(self, classifier: Classifier) -> None:
        by_definition = _ByDefinition(classifier)
        dtype = next((p.dtype for p in classifier.parameters()), torch.float32)
        images = torch.rand((2, *classifier.input_shape), generator=torch.Generator().manual_seed(0)).to(dtype)
        activation, gradient, count = by_definition.both(images)
        self.guided, self.rectifiers = count > 0, count
        self._device, self._at_once = classifier.device, images_at_once(classifier)
        self._network: _Pass = _rewritten(classifier, images, activation, gradient) or by_definition

    def backpropagate(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the gradient of half the squared activation, shape (n, C, H, W), at images of that shape."""
        starts = range(0, len(images), self._at_once)
        return np.concatenate([self._part(images[start : start + self._at_once]) for start in starts])

    def pull_back(self, images: torch.Tensor, activation: torch.Tensor) -> torch.Tensor:
        """Return the same as `backpropagate`, differentiable with respect to what the images' activation depends on.

        Parameters
        ----------
        images : Tensor, shape (n, C, H, W)
        activation : Tensor, shape (n, d, h, w) or as the last stage gives it
            The last stage at these images. This network's own would not do: its rectifiers are guided when they are
            differentiated again, too.
        """
        inputs = images.detach().to(self._device).requires_grad_()
        with self._network.guiding():
            output = self._network(inputs)
            gradient = _pulled_back(output, activation, inputs, create_graph=True)
        return gradient.to(images.device)

    def _part(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        inputs = torch.from_numpy(images).clone(memory_format=torch.channels_last).to(self._device).requires_grad_()
        with self._network.guiding():
            activation = self._network(inputs)
            gradient = _pulled_back(activation, activation.detach(), inputs)
        return np.ascontiguousarray(gradient.cpu().numpy())


def guided_network(classifier: Classifier) -> GuidedNetwork:
    """Return the network of a classifier, made once for as long as its weights stay as they are."""
    stamp = tuple((id(t), t._version) for t in _tensors(classifier))
    known = _networks.get(classifier)
    if known is None or known[0] != stamp:
        known = _networks[classifier] = (stamp, GuidedNetwork(classifier))
    return known[1]


def plain_gradient(classifier: Classifier, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the same gradient without any guiding, shape (n, C, H, W): what guided backprop is to be better than."""
    parts, size = [], images_at_once(classifier)
    for start in range(0, len(images), size):
        inputs = torch.from_numpy(images[start : start + size]).to(classifier.device).requires_grad_()
        with torch.enable_grad():
            activation = classifier.stage(inputs)
            gradient = _pulled_back(activation, activation.detach(), inputs)
        parts.append(gradient.cpu().numpy())
    return np.concatenate(parts)


def images_at_once(classifier: Classifier) -> int:
    """How many images are backpropagated through a classifier together."""
    return min(AT_ONCE, classifier.images_at_once)


def _pulled_back(
    output: torch.Tensor, weights: torch.Tensor, inputs: torch.Tensor, create_graph: bool = False
) -> torch.Tensor:
    """Return the gradient of the weighted sum of an output.

    That of the output with `grad_outputs`, for which PyTorch imports a system for symbolic mathematics: 34 MB in every
    worker.
    """
    (gradient,) = torch.autograd.grad((output * weights).sum(), inputs, create_graph=create_graph)
    return gradient


def _tensors(classifier: Classifier) -> Iterator[torch.Tensor]:
    """Yield all parameters and buffers; without their names, which take longer than a layer."""
    for module in classifier.modules():
        for tensors in (module._parameters, module._buffers):
            yield from (tensor for tensor in tensors.values() if tensor is not None)


_networks: WeakKeyDictionary[Classifier, tuple[tuple[tuple[int, int], ...], GuidedNetwork]] = WeakKeyDictionary()


class _Pass(Protocol):
    """A way from images to the last stage, guided within `guiding`."""

    def __call__(self, images: torch.Tensor) -> torch.Tensor: ...

    def guiding(self) -> contextlib.AbstractContextManager[Any]: ...


# --- by definition: every rectifier that runs is replaced at that moment --------------------------------------------


class GuidedRectifier(torch.autograd.Function):
    """min(max(x, 0), top), which hands back only positive gradients, and only where 0 < x < top."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor, top: float) -> torch.Tensor:
        """Map any tensor to one of its shape."""
        y = x.clamp(0.0, top) if math.isfinite(top) else x.relu()
        context.save_for_backward(y)
        context.top = top
        return y

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Guide the gradient."""
        (y,) = context.saved_tensors
        gradient = torch.ops.aten.threshold_backward(gradients[0], y, 0)
        if math.isfinite(context.top):
            gradient = torch.where(y < context.top, gradient, 0.0)
        return gradient.clamp_min(0), None


class _ByDefinition:
    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        # What runs inside a script cannot be seen, and half a guided pass is none.
        self._visible = not any(isinstance(module, torch.jit.ScriptModule) for module in classifier.modules())

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return self._classifier.stage(images)

    def guiding(self) -> contextlib.AbstractContextManager[Any]:
        return _Guiding() if self._visible else contextlib.nullcontext()

    def both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Return activation, its guided gradient at the images, and how many rectifiers were met."""
        inputs = images.to(self._classifier.device).requires_grad_()
        with torch.enable_grad(), self.guiding() as guiding:
            activation = self(inputs)
            gradient = _pulled_back(activation, activation.detach(), inputs)
        return activation.detach(), gradient, 0 if guiding is None else guiding.count


class _Guiding(TorchFunctionMode):
    """Replaces every rectifier that this thread runs, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        rectifier = RECTIFIERS.get(func)
        if rectifier is None:
            return func(*args, **(kwargs or {}))
        found = rectifier(*args, **(kwargs or {}))
        if found is None or not isinstance(found[0], torch.Tensor) or not found[0].is_floating_point():
            return func(*args, **(kwargs or {}))
        x, top, in_place = found
        self.count += 1
        y = GuidedRectifier.apply(x, top)  # type: ignore[no-untyped-call]
        return x.copy_(y) if in_place else y


Found = tuple[Any, float, bool] | None  # the input, the upper bound, whether it is written over


def _relu(x: Any, inplace: bool = False, **_: Any) -> Found:
    return x, math.inf, inplace


def _relu_in_place(x: Any) -> Found:
    return x, math.inf, True


def _relu6(x: Any, inplace: bool = False) -> Found:
    return x, 6.0, inplace


def _hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Found:
    return (x, float(max_val), inplace) if min_val == 0.0 else None


def _threshold(x: Any, threshold: float, value: float, inplace: bool = False) -> Found:
    return (x, math.inf, inplace) if threshold == 0.0 and value == 0.0 else None


def _clamp(x: Any, min: Any = None, max: Any = None, **named: Any) -> Found:  # noqa: A002  # torch's own names
    top = math.inf if max is None else max
    if named or not _is_zero(min) or not isinstance(top, int | float):
        return None
    return x, float(top), False


def _clamp_min(x: Any, min: Any, **named: Any) -> Found:  # noqa: A002  # torch's own name
    return _clamp(x, min, **named)


def _maximum(x: Any, other: Any = None, **named: Any) -> Found:
    if named or not isinstance(other, torch.Tensor):
        return None
    for value, zero in ((x, other), (other, x)):
        if _is_zero(zero) and zero.numel() in (1, value.numel()):
            return value, math.inf, False
    return None


def _is_zero(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return not value.requires_grad and not bool(value.any())
    return isinstance(value, int | float) and value == 0.0


def _in_place(rectifier: Callable[..., Found]) -> Callable[..., Found]:
    def found(*args: Any, **kwargs: Any) -> Found:
        plain = rectifier(*args, **kwargs)
        return None if plain is None else (plain[0], plain[1], True)

    return found


def _table() -> Iterator[tuple[Any, Callable[..., Found]]]:
    yield from ((f, _relu) for f in (torch.relu, functional.relu, torch.Tensor.relu))
    yield from ((f, _relu_in_place) for f in (torch.relu_, functional.relu_, torch.Tensor.relu_))
    yield functional.relu6, _relu6
    yield from ((f, _hardtanh) for f in (functional.hardtanh, torch._C._nn.hardtanh))
    yield from ((f, _in_place(_hardtanh)) for f in (functional.hardtanh_, torch._C._nn.hardtanh_))
    yield from ((f, _threshold) for f in (torch.threshold, functional.threshold))
    yield functional.threshold_, _in_place(_threshold)  # type: ignore[attr-defined]
    yield from ((f, _clamp) for f in (torch.clamp, torch.clip, torch.Tensor.clamp, torch.Tensor.clip))
    yield from ((f, _in_place(_clamp)) for f in (torch.clamp_, torch.clip_, torch.Tensor.clamp_, torch.Tensor.clip_))
    yield from ((f, _clamp_min) for f in (torch.clamp_min, torch.Tensor.clamp_min))
    yield from ((f, _in_place(_clamp_min)) for f in (torch.clamp_min_, torch.Tensor.clamp_min_))
    yield from ((f, _maximum) for f in (torch.maximum, torch.max, torch.Tensor.maximum, torch.Tensor.max))


RECTIFIERS: dict[Any, Callable[..., Found]] = dict(_table())


# --- rewritten: the same pass with batch normalisation folded into convolutions ------------------------------------


def _rewritten(
    classifier: Classifier, images: torch.Tensor, activation: torch.Tensor, gradient: torch.Tensor
) -> _Pass | None:
    """Return a faster pass if this network can be rewritten and gives what the definition gives, None otherwise.

    Rewriting follows the code with symbols in the place of images. That fails where code looks at values, and passes
    over gradients that a network defines by itself: hence the comparison, of value and gradient.
    """
    for in_place in (True, False):
        try:
            rewritten = _Rewritten(classifier, in_place)
            inputs = images.to(classifier.device).requires_grad_()
            with torch.enable_grad():
                output = rewritten(inputs)
                found = _pulled_back(output, output.detach(), inputs)
        except Exception:  # whatever other people's code raises when it is given symbols
            continue
        if _agree(output.detach(), activation) and _agree(found, gradient):
            return rewritten
    return None


def _agree(found: torch.Tensor, expected: torch.Tensor) -> bool:
    if found.shape != expected.shape:
        return False
    return bool((found - expected).abs().max() <= AGREEMENT * expected.abs().max())


class _Rewritten:
    """A copy of the network with batch normalisation folded into convolutions and guided rectifiers.

    Parameters
    ----------
    classifier : Classifier
    in_place : bool
        Whether rectifiers write over what nothing else in the code reads.
    """

    def __init__(self, classifier: Classifier, in_place: bool) -> None:
        stage = _Stage(copy.deepcopy(classifier).eval())
        network = fuse(fx.GraphModule(stage, _Tracer(stage).trace(stage)), inplace=True, no_trace=True)
        assert isinstance(network, fx.GraphModule)
        _guide(network, in_place)
        self._network = to_layout(network.requires_grad_(False), torch.channels_last)

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        return self._network(images)  # type: ignore[no-any-return]

    def guiding(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()


class _StageFound(Exception):
    """Ends the tracing where the last stage is."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class _Stage(nn.Module):
    """A classifier up to its last stage, in a form that can be traced."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: torch.Tensor) -> Any:
        """Map images to the last stage's output."""
        try:
            self.classifier.network(self.classifier.normalised(images))
        except _StageFound as found:
            return found.value
        raise ValueError("The last stage did not run.")


class _Tracer(fx.Tracer):
    def __init__(self, stage: _Stage) -> None:
        super().__init__()
        self._layer = stage.classifier.last_stage
        self._target = stage.classifier.network.get_submodule(self._layer.module)
        self._calls = 0

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Record a module's call, and end where the layer is."""
        wanted = m is self._target and self._calls + 1 == self._layer.call
        self._calls += m is self._target
        if wanted and self._layer.place == "input":
            raise _StageFound(args[0])
        result = super().call_module(m, forward, args, kwargs)
        if wanted:
            raise _StageFound(result)
        return result


class _GuidedInPlace(torch.autograd.Function):
    """`GuidedRectifier` without an upper bound, which can write over its input."""

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        y = x.relu_()
        context.mark_dirty(x)
        context.save_for_backward(y)
        return y

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (y,) = context.saved_tensors
        guided: torch.Tensor = torch.ops.aten.threshold_backward(gradients[0], y, 0).clamp_min_(0)
        return guided


def _guided(x: torch.Tensor, top: float) -> torch.Tensor:
    guided: torch.Tensor = GuidedRectifier.apply(x, top)  # type: ignore[no-untyped-call]
    return guided


def _guided_in_place(x: torch.Tensor) -> torch.Tensor:
    guided: torch.Tensor = _GuidedInPlace.apply(x)  # type: ignore[no-untyped-call]
    return guided


def _guide(network: fx.GraphModule, in_place: bool) -> None:
    """Replace every rectifier of a traced network."""
    for node in list(network.graph.nodes):
        found = _rectifier(network, node)
        if found is None:
            continue
        given, top, overwrites = found
        alone = isinstance(given, fx.Node) and len(given.users) == 1 and given.op != "placeholder"
        if overwrites and not alone:
            raise ValueError("What is written over is read again.")
        with network.graph.inserting_after(node):
            if in_place and alone and math.isinf(top):
                guided = network.graph.call_function(_guided_in_place, (given,))
            else:
                guided = network.graph.call_function(_guided, (given, top))
        node.replace_all_uses_with(guided)
        network.graph.erase_node(node)
    network.recompile()


def _rectifier(network: fx.GraphModule, node: fx.Node) -> Found:
    if node.op == "call_module":
        module = network.get_submodule(str(node.target))
        if isinstance(module, nn.ReLU):
            return node.args[0], math.inf, module.inplace
        if isinstance(module, nn.Hardtanh):  # nn.ReLU6 is one
            return _hardtanh(node.args[0], module.min_val, module.max_val, module.inplace)
        if isinstance(module, nn.Threshold):
            return _threshold(node.args[0], module.threshold, module.value, module.inplace)
        return None
    function = getattr(torch.Tensor, str(node.target), None) if node.op == "call_method" else node.target
    rectifier = RECTIFIERS.get(function) if node.op in ("call_function", "call_method") else None
    return None if rectifier is None else rectifier(*node.args, **node.kwargs)

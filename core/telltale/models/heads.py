"""The softmax head: the last linear layer, if its output is the logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from telltale.base.errors import InputError
from telltale.models.anatomy import Anatomy, Call

TOLERANCE = 1e-4

Key: TypeAlias = "int | str | None"  # where the logits stand in what a network returns; None where they are all of it


@dataclass(frozen=True)
class Head:
    """A final linear layer: logits = weights · hidden + bias.

    Attributes
    ----------
    weights : array of float32, shape (C, d)
    bias : array of float32, shape (C,)
        Zeros for a layer without.
    """

    weights: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    @classmethod
    def of(cls, linear: nn.Linear) -> Head:
        """Copy a layer's numbers."""
        weights = linear.weight.detach().cpu().numpy().copy()
        bias = np.zeros(len(weights), np.float32) if linear.bias is None else linear.bias.detach().cpu().numpy().copy()
        return cls(weights, bias)


@dataclass(frozen=True)
class Ending:
    """How a network ends.

    Attributes
    ----------
    key : int, str or None
        Where the logits stand in a returned tuple or dictionary.
    logits : Tensor, shape (n, C)
    call : Call or None
        Of the linear layer whose output they are.
    problem : str or None
        Why there is none.
    """

    key: Key
    logits: torch.Tensor
    call: Call | None
    problem: str | None


def pick(returned: Any, key: Key) -> torch.Tensor:
    """Return the logits among what a network returned."""
    found = returned if key is None else returned[key]
    assert isinstance(found, torch.Tensor)
    return found


def find_ending(anatomy: Anatomy, head: str | None, classes: int | None) -> Ending:
    """Find logits and head.

    Parameters
    ----------
    anatomy : Anatomy
    head : str or None
        Path of the module whose output are the logits, for a network that returns several.
    classes : int or None
        Any number where None.

    Raises
    ------
    InputError
        If it is not clear what the logits are, or they do not have one column per class.
    """
    key, logits = _logits(anatomy, head)
    count = 0 if anatomy.root.given is None else len(anatomy.root.given)
    if classes is None and (logits.ndim != 2 or len(logits) != count):
        raise InputError(f"The logits have shape {tuple(logits.shape)}; expected one row for each of {count} images.")
    if classes is not None and logits.ndim == 2 and len(logits) == count and logits.shape[1] != classes:
        raise InputError(f"The network has {logits.shape[1]} outputs, and {classes} classes are given for them.")
    if classes is not None and logits.shape != (count, classes):
        expected = f"({count}, {classes}) for {count} images"
        raise InputError(f"The logits have shape {tuple(logits.shape)}; expected {expected} and {classes} classes.")
    if not logits.is_floating_point() or not torch.isfinite(logits).all():
        raise InputError("The network's logits are not finite numbers for images in [0, 1].")
    call, problem = _linear(anatomy, logits)
    return Ending(key, logits, call, problem)


def _logits(anatomy: Anatomy, head: str | None) -> tuple[Key, torch.Tensor]:
    returned = anatomy.returned
    options: Mapping[Key, Any]
    if isinstance(returned, torch.Tensor):
        options = {None: returned}
    elif isinstance(returned, Mapping):
        options = dict(returned)
    elif isinstance(returned, tuple | list):
        options = dict(enumerate(returned))
    else:
        raise InputError(f"The network must return a tensor of logits; it returns {type(returned).__name__}.")
    tensors = {key: value for key, value in options.items() if isinstance(value, torch.Tensor)}
    if head is None:
        if len(tensors) == 1:
            return next(iter(tensors.items()))
        raise InputError(
            f"The network returns {len(options)} values; name with head= the module whose output are the logits"
            f"{_candidates(anatomy, tensors)}."
        )
    outputs = [call.output for call in anatomy.calls if call.path == head and call.output is not None]
    if not outputs:
        raise InputError(f"head='{head}' is not a module that runs in the network{_candidates(anatomy, tensors)}.")
    for key, value in tensors.items():
        if _distance(value, outputs[-1]) < TOLERANCE:
            return key, value
    raise InputError(f"The output of head='{head}' is not what the network returns{_candidates(anatomy, tensors)}.")


def _candidates(anatomy: Anatomy, tensors: Mapping[Key, torch.Tensor]) -> str:
    fitting = [
        f"'{call.path}'"
        for call in anatomy.calls
        if isinstance(call.module, nn.Linear)
        and call.output is not None
        and any(_distance(value, call.output) < TOLERANCE for value in tensors.values())
    ]
    return f"; these fit: {', '.join(fitting)}" if fitting else ""


def _linear(anatomy: Anatomy, logits: torch.Tensor) -> tuple[Call | None, str | None]:
    """Return the last linear layer's call whose output is the logits, or why there is none."""
    linear = [call for call in anatomy.calls if isinstance(call.module, nn.Linear)]
    if not linear:
        return None, "The network has no linear layer that is a module of its own."
    for call in reversed(linear):
        if call.given is not None and call.given.ndim == 2 and _distance(_by_hand(call), logits) < TOLERANCE:
            return call, None
    return None, f"The output of the last linear layer, '{linear[-1].path}', is not the logits."


def _by_hand(call: Call) -> torch.Tensor:
    assert isinstance(call.module, nn.Linear) and call.given is not None
    product = call.given.detach() @ call.module.weight.detach().T
    return product if call.module.bias is None else product + call.module.bias.detach()


def _distance(a: torch.Tensor, b: torch.Tensor) -> float:
    if a.shape != b.shape:
        return float("inf")
    return float((a.detach() - b.detach()).abs().max())

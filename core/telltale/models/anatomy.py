"""One forward pass of a network looked at through hooks: every call of every module, in the order of execution."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from telltale.models.layers import first_tensor

WIDTHS = ("out_channels", "num_features", "num_channels", "out_features", "embed_dim")
CHANNELS_FIRST = (
    nn.modules.conv._ConvNd,
    nn.modules.batchnorm._NormBase,
    nn.GroupNorm,
)


@dataclass(eq=False)
class Call:
    """One call of one module.

    Attributes
    ----------
    path : str
        As in `named_modules`.
    module : nn.Module
    number : int
        Which call of the module this is, from 1.
    given, output : Tensor or None
        First tensor that went in and that came out.
    children : list of Call
        Calls of other modules within this one, in the order in which they ended.
    ended : int
        Position among all calls in the order in which they ended.
    given_version, output_version : int
        Versions of both when they were seen; one that has grown since was written over.
    """

    path: str
    module: nn.Module
    number: int
    given: torch.Tensor | None
    output: torch.Tensor | None = None
    children: list[Call] = field(default_factory=list)
    ended: int = -1
    given_version: int = 0
    output_version: int = 0

    @property
    def width(self) -> int | None:
        """Number of channels that the module writes, if it says so."""
        shape = getattr(self.module, "normalized_shape", None)
        if shape:
            return int(shape[-1])
        return next((int(getattr(self.module, name)) for name in WIDTHS if hasattr(self.module, name)), None)

    @property
    def channels_first(self) -> bool:
        """Whether such a module writes its channels to axis 1, and not to the last."""
        return isinstance(self.module, CHANNELS_FIRST)

    @property
    def weighs(self) -> bool:
        """Whether the module multiplies its input by a matrix or kernel."""
        return any(parameter.ndim >= 2 for parameter in self.module.parameters(recurse=False))

    def leaves(self) -> Iterator[Call]:
        """Yield the calls within that call nothing themselves, in the order of execution."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


@dataclass(frozen=True)
class Anatomy:
    """What a pass through a network has shown.

    Attributes
    ----------
    root : Call
        Of the network itself.
    calls : list of Call
        All others, in the order in which they ended.
    returned : object
        What the network returned.
    """

    root: Call
    calls: list[Call]
    returned: Any

    def find(self, path: str, number: int = 1) -> Call | None:
        """Return a call by its module's path and its number."""
        return next((call for call in self.calls if call.path == path and call.number == number), None)


def look_at(network: nn.Module, images: torch.Tensor) -> Anatomy:
    """Pass images through a network, with gradients, and note every call; hooks are gone afterwards."""
    calls: list[Call] = []
    counts: Counter[str] = Counter()
    open_calls: list[Call] = []

    def begin(path: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            counts[path] += 1
            given = first_tensor((*inputs, *named.values()))
            version = 0 if given is None else given._version
            open_calls.append(Call(path, module, counts[path], given, given_version=version))

        return hook

    def end(module: nn.Module, inputs: Any, output: Any) -> None:
        del module, inputs
        call = open_calls.pop()
        call.output, call.ended = first_tensor(output), len(calls)
        call.output_version = 0 if call.output is None else call.output._version
        if open_calls:
            open_calls[-1].children.append(call)
            calls.append(call)
        else:
            roots.append(call)

    roots: list[Call] = []
    handles = []
    for path, module in network.named_modules():
        if isinstance(module, torch.jit.ScriptModule):  # takes no hooks, and runs as one
            continue
        handles += [module.register_forward_pre_hook(begin(path), with_kwargs=True), module.register_forward_hook(end)]
    try:
        with torch.enable_grad():
            # A copy, because a network may write over what it is given, which nobody may over a leaf.
            returned = network(images.detach().requires_grad_().clone())
    finally:
        for handle in handles:
            handle.remove()
    return Anatomy(roots[0], calls, returned)

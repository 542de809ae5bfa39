"""Layers: which outputs of a network are traced, how each becomes a vector, and how they are caught in one pass."""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from telltale.base.errors import InputError

Place: TypeAlias = Literal["output", "input"]

_REFERENCE = re.compile(r"(?P<module>[^:]+)(:(?P<which>input|[1-9][0-9]*))?")


@dataclass(frozen=True)
class Layer:
    """One place of a network at which it is traced.

    Attributes
    ----------
    module : str
        Dotted path of the module, as in `named_modules`.
    call : int
        Which of its calls within one forward pass, from 1: a module used several times is a layer at each.
    place : {"output", "input"}
        Whether its output or what it is given is meant.
    name : str
        Shown to people; the reference (`module`, `module:call` or `module:input`) where left out.
    channel_axis : int, optional
        Axis of the channels, which is kept while all others but the first are averaged; found where left out.
    tokens : (int, int), optional
        First token that is averaged and the first that no longer is; all where left out.
    has_places : bool
        Whether it has axes beside images and channels; found when the network is wrapped.
    cloned : bool
        Whether the output is written over later in the pass and must be copied when it is caught; found as well.
    """

    module: str
    call: int = 1
    place: Place = "output"
    name: str = ""
    channel_axis: int | None = None
    tokens: tuple[int, int] | None = None
    has_places: bool = False
    cloned: bool = False

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.reference)

    @property
    def reference(self) -> str:
        """What a person writes to name it."""
        if self.place == "input":
            return f"{self.module}:input"
        return self.module if self.call == 1 else f"{self.module}:{self.call}"

    @classmethod
    def parse(cls, reference: str, name: str = "") -> Layer:
        """Read ``"module"``, ``"module:2"`` (its second call) or ``"module:input"``.

        Raises
        ------
        InputError
            If it is none of these.
        """
        found = _REFERENCE.fullmatch(reference)
        if found is None:
            raise InputError(f"'{reference}' does not name a layer: write 'module', 'module:2' or 'module:input'.")
        which = found["which"]
        if which == "input":
            return cls(found["module"], place="input", name=name)
        return cls(found["module"], int(which or 1), name=name)

    def pool(self, output: torch.Tensor) -> torch.Tensor:
        """Average an output over everything but images and channels, to shape (n, d)."""
        if output.ndim == 2:
            return output
        axis = (1 if self.channel_axis is None else self.channel_axis) % output.ndim
        if self.tokens is not None:
            output = output[:, slice(*self.tokens)]
        return output.mean(tuple(i for i in range(1, output.ndim) if i != axis))

    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` reads."""
        return asdict(self) | {"tokens": None if self.tokens is None else list(self.tokens)}

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Layer:
        """Rebuild from `to_json`."""
        tokens = raw.get("tokens")
        return cls(**{**raw, "tokens": None if tokens is None else (int(tokens[0]), int(tokens[1]))})


class Reached(Exception):
    """Ends a pass that has shown all that was wanted."""


class Catching:
    """Catches the outputs of layers while the block runs, in this thread only.

    Parameters
    ----------
    network : nn.Module
        Left as it was at the end.
    layers : sequence of Layer
    stop : bool
        Whether the pass ends by `Reached` as soon as everything is caught.
    """

    def __init__(self, network: nn.Module, layers: Sequence[Layer], stop: bool = False) -> None:
        self._network, self._layers, self._stop = network, layers, stop
        self._found: dict[int, torch.Tensor] = {}
        self._handles: list[Any] = []
        self._thread = threading.get_ident()

    def __enter__(self) -> Catching:
        wanted: dict[tuple[str, Place], dict[int, int]] = {}
        for position, layer in enumerate(self._layers):
            wanted.setdefault((layer.module, layer.place), {})[layer.call] = position
        for (path, place), calls in wanted.items():
            module = self._network.get_submodule(path)
            if place == "input":
                self._handles.append(module.register_forward_pre_hook(self._on_input(calls), with_kwargs=True))
            else:
                self._handles.append(module.register_forward_hook(self._on_output(calls)))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def outputs(self) -> list[torch.Tensor]:
        """Return what was caught, in the order of the layers.

        Raises
        ------
        InputError
            If a layer did not run.
        """
        missing = [layer.name for i, layer in enumerate(self._layers) if i not in self._found]
        if missing:
            raise InputError(f"The layer '{missing[0]}' did not run in this forward pass.")
        return [self._found[i] for i in range(len(self._layers))]

    def _on_output(self, calls: Mapping[int, int]) -> Any:
        seen: Counter[str] = Counter()

        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            del module, inputs
            self._take(calls, seen, output)

        return hook

    def _on_input(self, calls: Mapping[int, int]) -> Any:
        seen: Counter[str] = Counter()

        def hook(module: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
            del module
            self._take(calls, seen, (*inputs, *named.values()))

        return hook

    def _take(self, calls: Mapping[int, int], seen: Counter[str], value: Any) -> None:
        if threading.get_ident() != self._thread:  # another thread's pass through the same module
            return
        seen["calls"] += 1
        position, tensor = calls.get(seen["calls"]), first_tensor(value)
        if position is None or tensor is None:
            return
        self._found[position] = tensor.clone() if self._layers[position].cloned else tensor
        if self._stop and len(self._found) == len(self._layers):
            raise Reached


def first_tensor(value: Any) -> torch.Tensor | None:
    """Return a tensor, or the first of a tuple, list or mapping; None where there is none."""
    if isinstance(value, torch.Tensor):
        return value
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple | list) else ()
    return next((found for found in map(first_tensor, parts) if found is not None), None)

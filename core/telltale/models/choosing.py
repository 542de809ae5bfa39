"""Which layers of a network are traced, and which axes of their outputs are channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import nn

from telltale.base.errors import InputError
from telltale.models.anatomy import Anatomy, Call
from telltale.models.heads import Ending
from telltale.models.layers import Layer

ENOUGH = 3  # blocks at one level of a network: no need to look inside them
MOST = 12  # layers chosen without being asked
FEWEST = 4  # stage ends that say enough about a network with more blocks than `MOST`
BULK = 2 / 3  # share of all calls within one block, from which on the block is the network
SAME = 1e-6  # relative: pooled outputs closer than this are one layer

Wanted: TypeAlias = "Sequence[str | Layer] | Mapping[str, str | Layer] | None"
Shape: TypeAlias = "tuple[int, ...]"


@dataclass(frozen=True)
class Subject:
    """A network while its layers are being found.

    Attributes
    ----------
    network : nn.Module
    anatomy : Anatomy
    ending : Ending
    enlarged : callable
        Returns the anatomy of a pass through larger images, or None where the network takes none.
    """

    network: nn.Module
    anatomy: Anatomy
    ending: Ending
    enlarged: Callable[[], Anatomy | None]


def find_layers(subject: Subject, wanted: Wanted) -> tuple[Layer, ...]:
    """Return the layers to trace, in the order in which they run; the last one is the head's input, if there is a head.

    Parameters
    ----------
    subject : Subject
    wanted : sequence or mapping, optional
        References or layers, or names for them; a sensible handful where left out.

    Raises
    ------
    InputError
        If a wanted layer does not run, or there is nothing to trace.
    """
    if wanted is None:
        layers = _named(subject.network, [Layer(call.path, call.number) for call in choose(subject)])
    else:
        layers = _read(wanted)
    found = [_resolved(subject, layer) for layer in layers]
    found.sort(key=lambda pair: _moment(pair[1], pair[0]))
    found = _with_head(subject, found)
    if not found:
        raise InputError("No module of the network gives a layer to trace; name some with layers=.")
    chosen = tuple(layer for layer, _ in found)
    names = [layer.name for layer in chosen]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"Two layers are called '{twice}'; name every layer once.")
    return chosen


def choose(subject: Subject) -> list[Call]:
    """Choose the outputs of blocks, or of a network without blocks the ends of its convolutions and linear layers."""
    level = _level(subject.anatomy.root)
    before = subject.ending.call.ended if subject.ending.call is not None else len(subject.anatomy.calls)
    ends = [call for call in _ends(level, subject.ending.logits) if call.ended < before and _on_the_way(subject, call)]
    if len(ends) <= MOST:
        return ends
    stages = [*(call for call, after in pairwise(ends) if _differ(call, after)), ends[-1]]
    if FEWEST <= len(stages) <= MOST:
        return stages
    chosen = stages if len(stages) > MOST else ends
    places = torch.linspace(0, len(chosen) - 1, MOST).round().int().tolist()
    return [chosen[place] for place in places]


def _level(root: Call) -> list[Call]:
    """Return calls side by side: those that the network makes itself, or those within blocks that are most of it."""
    level = root.children
    while True:
        blocks = [call for call in level if call.children]
        if not blocks or len(blocks) >= ENOUGH:
            return level
        largest = max(blocks, key=_size)
        sequence = isinstance(largest.module, nn.Sequential)
        if not sequence and _size(largest) < BULK * sum(map(_size, level)):
            return level
        place = level.index(largest)
        level = [*level[:place], *largest.children, *level[place + 1 :]]


def _size(call: Call) -> int:
    return sum(1 for _ in call.leaves())


def _ends(level: Sequence[Call], logits: torch.Tensor) -> list[Call]:
    """Return every block, and of what stands between blocks the last call that belongs to each weighted one."""
    ends: list[Call] = []
    extending = False
    for call in level:
        if call.children:
            ends.append(call)
            extending = False
        elif call.weighs:
            ends.append(call)
            extending = True
        elif extending and call.output is not logits:
            extending = not _loses_places(ends[-1], call)
            ends[-1] = call if extending else ends[-1]
    return ends


def _loses_places(before: Call, after: Call) -> bool:
    """Whether a call pools or flattens away what is known about places: the stage ends before it."""
    if before.output is None or after.output is None or before.output.ndim < 3:
        return False
    shape, pooled = before.output.shape, after.output.shape
    return len(pooled) < len(shape) or (len(pooled) == 4 and pooled[2:] == (1, 1) and shape[2:] != (1, 1))


def _on_the_way(subject: Subject, call: Call) -> bool:
    """Whether the logits depend on a call's output, one row per image, and it is not the logits themselves."""
    output, images = call.output, subject.anatomy.root.given
    if output is None or images is None or output.ndim < 2 or len(output) != len(images):
        return False
    return output is not subject.ending.logits and _slope(subject, output) is not None


def _slope(subject: Subject, output: torch.Tensor) -> torch.Tensor | None:
    """Differentiate a weighted sum of the logits with respect to an output; None where they do not depend on it."""
    logits = subject.ending.logits
    if not output.requires_grad:
        return None
    weights = torch.linspace(0.5, 1.5, logits.shape[1], device=logits.device)
    (slope,) = torch.autograd.grad((logits * weights).sum(), output, retain_graph=True, allow_unused=True)
    return slope


def _differ(a: Call, b: Call) -> bool:
    return a.output is None or b.output is None or a.output.shape != b.output.shape


def _named(network: nn.Module, layers: Sequence[Layer]) -> list[Layer]:
    """Leave out the names of `nn.ModuleDict`s, whose keys name their modules, where no two become the same."""
    dictionaries = [path for path, module in network.named_modules() if isinstance(module, nn.ModuleDict) and path]
    short = []
    for layer in layers:
        parts, reference = layer.module.split("."), layer.reference
        kept = [part for i, part in enumerate(parts) if ".".join(parts[: i + 1]) not in dictionaries]
        short.append(".".join(kept) + reference.removeprefix(layer.module))
    if len(set(short)) < len(short):
        return list(layers)
    return [replace(layer, name=name) for layer, name in zip(layers, short, strict=True)]


def _read(wanted: Sequence[str | Layer] | Mapping[str, str | Layer]) -> list[Layer]:
    if isinstance(wanted, str):
        raise InputError("layers must be a list of names, not one name.")
    pairs = wanted.items() if isinstance(wanted, Mapping) else [("", reference) for reference in wanted]
    return [
        Layer.parse(reference, name) if isinstance(reference, str) else replace(reference, name=name or reference.name)
        for name, reference in pairs
    ]


def _resolved(subject: Subject, layer: Layer) -> tuple[Layer, Call]:
    """Complete a layer by what the pass has shown about it."""
    call = subject.anatomy.find(layer.module, layer.call)
    if call is None:
        calls = sum(call.path == layer.module for call in subject.anatomy.calls)
        runs = f"runs {calls} time{'s' if calls > 1 else ''}" if calls else "does not run"
        raise InputError(f"There is no layer '{layer.reference}': '{layer.module}' {runs} in a forward pass.")
    tensor = call.given if layer.place == "input" else call.output
    images = subject.anatomy.root.given
    if tensor is None or images is None or tensor.ndim < 2 or len(tensor) != len(images):
        shape = None if tensor is None else tuple(tensor.shape)
        raise InputError(f"The layer '{layer.reference}' has no row per image: its shape is {shape}.")
    seen = call.given_version if layer.place == "input" else call.output_version
    axis = _channel_axis(subject, layer, call, tensor) if layer.channel_axis is None else layer.channel_axis
    tokens = layer.tokens
    if tokens is None and tensor.ndim == 3 and axis in (-1, 2):
        tokens = _tokens(subject, tensor.shape[1])
    cloned = tensor._version > seen
    return replace(layer, channel_axis=axis, tokens=tokens, has_places=tensor.ndim > 2, cloned=cloned), call


def _moment(call: Call, layer: Layer) -> tuple[float, int]:
    """When a layer is caught: what goes into a call is there before anything within it has ended."""
    if layer.place == "output":
        return float(call.ended), 1
    first = next(call.leaves())
    return float(first.ended) - 0.5, 0


def _with_head(subject: Subject, found: list[tuple[Layer, Call]]) -> list[tuple[Layer, Call]]:
    """End with the input of the head: the last layer where pooling already makes it that, otherwise one more."""
    head = subject.ending.call
    if head is None or head.given is None:
        return found
    if found and _is_input(found[-1], head.given):
        return found
    layer = Layer(head.path, head.number, "input")
    return [*(pair for pair in found if pair[0].reference != layer.reference), _resolved(subject, layer)]


def _is_input(pair: tuple[Layer, Call], given: torch.Tensor) -> bool:
    layer, call = pair
    tensor = call.given if layer.place == "input" else call.output
    if tensor is None or layer.cloned:  # what was written over can no longer be compared
        return layer.place == "input" and tensor is given
    pooled = layer.pool(tensor.detach())
    if pooled.shape != given.shape:
        return False
    return float((pooled - given.detach()).abs().max()) <= SAME * float(given.detach().abs().max())


# --- axes ---------------------------------------------------------------------------------------------------------


def _channel_axis(subject: Subject, layer: Layer, call: Call, tensor: torch.Tensor) -> int:
    """Find the axis of the channels.

    The last module with a known width that ran before the output was complete says how many channels there are. One
    axis of that length is it. Where two are, the one that stays as long in a pass through larger images is; where the
    network takes none, or no axis has that length, it is where such a module writes its channels: the second axis
    after convolutions, batch and group normalisation, the last after linear layers and layer normalisation.
    """
    if tensor.ndim == 2:
        return 1
    writer = _writer(subject.anatomy, _moment(call, layer)[0])
    if writer is None:
        return 1 if tensor.ndim > 3 else tensor.ndim - 1
    width = writer.width
    fitting = [axis for axis in (1, tensor.ndim - 1) if tensor.shape[axis] == width]
    if len(fitting) == 1:
        return fitting[0]
    if len(fitting) == 2:
        constant = _constant_axis(subject, layer, tensor.shape)
        if constant is not None:
            return constant
    return 1 if writer.channels_first else tensor.ndim - 1


def _writer(anatomy: Anatomy, moment: float) -> Call | None:
    """Return the last call without calls inside that ended by then and knows its width."""
    return next(
        (c for c in reversed(anatomy.calls) if c.ended <= moment and not c.children and c.width is not None), None
    )


def _constant_axis(subject: Subject, layer: Layer, shape: Shape) -> int | None:
    """Return the only one of the second and the last axis that does not grow with the images, if that can be seen."""
    larger = subject.enlarged()
    call = None if larger is None else larger.find(layer.module, layer.call)
    if call is None:
        return None
    tensor = call.given if layer.place == "input" else call.output
    if tensor is None or tensor.ndim != len(shape):
        return None
    constant = [axis for axis in (1, len(shape) - 1) if tensor.shape[axis] == shape[axis]]
    return constant[0] if len(constant) == 1 else None


def _tokens(subject: Subject, count: int) -> tuple[int, int] | None:
    """Return the range of tokens that the logits read, where they do not read all: a class token, or all but one.

    Taken from the last output with so many tokens: there, tokens that are not read have a gradient of exactly zero.
    """
    for call in reversed(subject.anatomy.calls):
        output = call.output
        if output is None or output.ndim != 3 or output.shape[1] != count:
            continue
        slope = _slope(subject, output)
        if slope is None:
            continue
        read = slope.abs().sum((0, 2)).nonzero().flatten().tolist()
        whole = not read or len(read) == count or read[-1] - read[0] + 1 != len(read)
        return None if whole else (read[0], read[-1] + 1)
    return None

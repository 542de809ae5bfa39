"""Where networks run and in which precision: the one place that decides."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import torch
from torch import nn

from telltale.recipes import Recipe

Network = TypeVar("Network", bound=nn.Module)


def best_device() -> torch.device:
    """Return where inference, tracing, attacks and builds run: CUDA where there is one, otherwise the processor.

    Results must be those of float32: CUDA's shortened multiplications, which convolutions take by default, are off
    from here on.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device("cuda")


def device_of(network: nn.Module) -> torch.device:
    """Return where a network's numbers lie; the processor for one that has none."""
    held = next(chain(network.parameters(), network.buffers()), None)
    return torch.device("cpu") if held is None else held.device


@dataclass(frozen=True)
class Compute:
    """How a network is trained: device, threads, and whether convolutions run in bfloat16 on channels-last tensors.

    Attributes
    ----------
    device : {"cpu", "cuda"}
    threads : int
    half : bool
    channels_last : bool
    """

    device: str
    threads: int
    half: bool
    channels_last: bool

    @classmethod
    def of(cls, recipe: Recipe) -> Compute:
        """Choose what suits a recipe on this machine."""
        if not recipe.mixed_precision:
            # The order of float additions, and so the result, must not depend on the number of cores.
            return cls("cpu", threads=1, half=False, channels_last=False)
        threads = _cores()
        if best_device().type == "cuda":
            return cls("cuda", threads, half=True, channels_last=True)
        # Without instructions for it, bfloat16 is emulated and slower than float32.
        half = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
        return cls("cpu", threads, half, channels_last=True)

    @contextmanager
    def limits(self) -> Iterator[None]:
        """Compute on this number of threads for a while; what follows finds its own number again."""
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)

    def place(self, network: Network) -> Network:
        """Bring a network to the device and memory layout of the training."""
        return to_layout(network.to(self.device), self._format())

    def take_back(self, network: Network) -> Network:
        """Bring a network to where it will be used, in the layout that everything else expects."""
        return to_layout(network.to(best_device()), torch.contiguous_format)

    def move(self, images: torch.Tensor) -> torch.Tensor:
        """Bring images (n, C, H, W) to the device and memory layout."""
        return images.to(self.device, memory_format=self._format())

    def precision(self) -> AbstractContextManager[object]:
        """Return the context in which to compute logits."""
        return torch.autocast(self.device, torch.bfloat16) if self.half else nullcontext()

    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


def to_layout(network: Network, memory_format: torch.memory_format) -> Network:
    """Bring a network's weights into a memory layout."""
    # torch's stubs do not know that modules take a memory format.
    return network.to(memory_format=memory_format)  # type: ignore[call-overload, no-any-return]


def _cores() -> int:
    """Return how many cores this process may use; where it is kept to some of them, more threads only wait."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

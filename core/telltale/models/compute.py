"""Where a network is trained and in which precision."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch

from telltale.models.classifier import Classifier
from telltale.recipes import Recipe


@dataclass(frozen=True)
class Compute:
    """A device, the number of threads, and whether convolutions run in bfloat16 on channels-last tensors.

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
        if torch.cuda.is_available():
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

    def place(self, classifier: Classifier) -> Classifier:
        """Bring a classifier to the device and memory layout."""
        return _to(classifier, self.device, self._format())

    def take_back(self, classifier: Classifier) -> Classifier:
        """Bring a classifier to the processor, in the layout that everything else expects."""
        return _to(classifier, "cpu", torch.contiguous_format)

    def move(self, images: torch.Tensor) -> torch.Tensor:
        """Bring images (n, C, H, W) to the device and memory layout."""
        return images.to(self.device, memory_format=self._format())

    def precision(self) -> AbstractContextManager[object]:
        """Return the context in which to compute logits."""
        return torch.autocast(self.device, torch.bfloat16) if self.half else nullcontext()

    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


def _cores() -> int:
    """Return how many cores this process may use; where it is kept to some of them, more threads only wait."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _to(classifier: Classifier, device: str, memory_format: torch.memory_format) -> Classifier:
    # torch's stubs do not know that modules take a memory format.
    return classifier.to(device, memory_format=memory_format)  # type: ignore[call-overload, no-any-return]

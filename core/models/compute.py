"""Where a network is trained and in which precision."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch

from core.models.classifier import Classifier
from core.recipes import Recipe


@dataclass(frozen=True)
class Compute:
    """A device, and whether convolutions run in bfloat16 on channels-last tensors.

    Attributes
    ----------
    device : {"cpu", "cuda"}
    half : bool
    channels_last : bool
    """

    device: str
    half: bool
    channels_last: bool

    @classmethod
    def of(cls, recipe: Recipe) -> Compute:
        """Choose what suits a recipe on this machine, and set the number of threads."""
        if not recipe.mixed_precision:
            torch.set_num_threads(1)  # the order of float additions, and so the result, must not depend on the machine
            return cls("cpu", half=False, channels_last=False)
        if torch.cuda.is_available():
            return cls("cuda", half=True, channels_last=True)
        torch.set_num_threads(os.cpu_count() or 1)
        # Without instructions for it, bfloat16 is emulated and slower than float32.
        half = bool(torch.cpu.get_capabilities().get("avx512_bf16"))
        return cls("cpu", half, channels_last=True)

    def place(self, classifier: Classifier) -> Classifier:
        """Bring a classifier to the device and memory layout."""
        return classifier.to(self.device, memory_format=self._format())

    def move(self, images: torch.Tensor) -> torch.Tensor:
        """Bring images (n, C, H, W) to the device and memory layout."""
        return images.to(self.device, memory_format=self._format())

    def precision(self) -> AbstractContextManager[object]:
        """Return the context in which to compute logits."""
        return torch.autocast(self.device, torch.bfloat16) if self.half else nullcontext()

    def _format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format

"""Random streams that depend on the seed and the image alone, and leave the global ones untouched."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from telltale.attacks.base import AttackProblem, IntArray
from telltale.base.images import FloatImages, image_sha256

if TYPE_CHECKING:
    import torch


def stream_seed(seed: int, image: FloatImages, purpose: str) -> int:
    """Return the 63-bit seed of one image's random stream.

    Parameters
    ----------
    seed : int
        The caller's seed.
    image : array of float32, shape (C, H, W)
        The natural image: an image draws the same numbers alone and among batch-mates.
    purpose : str
        Keeps streams for different uses apart.
    """
    digest = hashlib.sha256(f"{seed}:{purpose}:{image_sha256(image)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def draw_targets(images: FloatImages, labels: IntArray, classes: int, seed: int) -> IntArray:
    """Draw for every image a random class other than its label.

    Parameters
    ----------
    images : array of float32, shape (n, C, H, W)
        Natural images on the 8-bit grid; an image's draw depends on the seed and on itself alone.
    labels : array of int64, shape (n,)
    classes : int
        Number of classes, at least 2.
    seed : int

    Returns
    -------
    array of int64, shape (n,)
    """
    shifts = [np.random.default_rng(stream_seed(seed, image, "target")).integers(1, classes) for image in images]
    return (labels + np.array(shifts, dtype=np.int64)) % classes


def draw_for_each(problem: AttackProblem, draw: Callable[[torch.Generator], torch.Tensor]) -> torch.Tensor:
    """Draw once for every image, each from its own stream, and stack the draws along a new first axis."""
    import torch

    return torch.stack([draw(torch.Generator().manual_seed(seed)) for seed in problem.seeds])


@contextmanager
def isolated_randomness(seed: int) -> Iterator[None]:
    """Seed the global generators of torch (CPU) and NumPy, which attack libraries draw from, and restore them."""
    import torch

    torch_state = torch.get_rng_state()
    numpy_state = np.random.get_state()  # noqa: NPY002 - torchattacks draws from this generator
    try:
        torch.default_generator.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        yield
    finally:
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002

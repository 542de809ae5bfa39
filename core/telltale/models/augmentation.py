"""Random shifts, mirror images, noise and grey squares of a training batch."""

from __future__ import annotations

import torch
from torch import nn

from telltale.recipes import Recipe


class Augmentation:
    """Training images that come out a little different every time.

    Parameters
    ----------
    images : tensor of uint8, shape (N, C, H, W)
    shift : int
        Largest shift in pixels along either axis; what moves in from outside mirrors the image.
    flip : bool
        Whether every second image, at random, is mirrored left to right.
    alternate : int, optional
        With `flip`: a seed of which images are mirrored in the first epoch; in every other epoch it is the others.
    cutout : int
        Side in pixels of a square, at a random place within every image, that gets the images' mean grey level.
    noise : float
        Largest standard deviation, in grey levels of 255, of the normal noise that half of the images get.
    """

    def __init__(
        self,
        images: torch.Tensor,
        shift: int,
        flip: bool,
        alternate: int | None = None,
        cutout: int = 0,
        noise: float = 0.0,
    ) -> None:
        height, width = images.shape[2:]
        padded = torch.empty((*images.shape[:2], height + 2 * shift, width + 2 * shift), dtype=images.dtype)
        for start in range(0, len(images), 4096):  # padding has no 8-bit version, and floats of everything are large
            part = images[start : start + 4096].float()
            padded[start : start + 4096] = nn.functional.pad(part, (shift,) * 4, mode="reflect").to(images.dtype)
        self._windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        self._flip = flip
        self._noise = noise / 255.0
        self._first = None
        if alternate is not None:
            self._first = torch.rand(len(images), generator=torch.Generator().manual_seed(alternate)) < 0.5
        self._cutout = min(cutout, height, width)
        self._grey = float(images.sum(dtype=torch.float64)) / images.numel() / 255.0 if cutout else 0.0

    @classmethod
    def of(cls, recipe: Recipe, images: torch.Tensor) -> Augmentation:
        """Return what a recipe declares."""
        alternate = recipe.seed if recipe.alternate else None
        return cls(images, recipe.shift, recipe.flip, alternate, recipe.cutout, recipe.noise)

    def batch(self, rows: torch.Tensor, generator: torch.Generator, epoch: int = 0) -> torch.Tensor:
        """Return images of these rows, shape (n, C, H, W), float32 in [0, 1]."""
        places = self._windows.shape[2]
        down = right = torch.zeros(len(rows), dtype=torch.int64)
        if places > 1:
            down, right = torch.randint(places, (2, len(rows)), generator=generator)
        images = self._windows[rows, :, down, right].float() / 255.0
        if self._flip:
            mirrored = self._mirrored(rows, generator, epoch)
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        images = self._noisy(images, generator) if self._noise else images
        return self._cut(images, generator) if self._cutout else images

    def _mirrored(self, rows: torch.Tensor, generator: torch.Generator, epoch: int) -> torch.Tensor:
        if self._first is None:
            return torch.rand(len(rows), generator=generator) < 0.5
        return self._first[rows] ^ bool(epoch % 2)

    def _noisy(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        strength = (2.0 * torch.rand(len(images), generator=generator) - 1.0).clamp(min=0.0) * self._noise
        drawn = torch.randn(images.shape, generator=generator) * strength[:, None, None, None]
        return (images + drawn).clamp(0.0, 1.0)

    def _cut(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        inside = [self._span(len(images), size, generator) for size in images.shape[2:]]
        square = inside[0][:, None, :, None] & inside[1][:, None, None, :]
        return images.masked_fill(square, self._grey)

    def _span(self, count: int, size: int, generator: torch.Generator) -> torch.Tensor:
        """Mark `cutout` neighbouring places among `size`, anew for each of some images; shape (count, size)."""
        starts = torch.randint(size - self._cutout + 1, (count, 1), generator=generator)
        places = torch.arange(size)
        return (places >= starts) & (places < starts + self._cutout)

"""Random shifts and mirror images of a training batch."""

from __future__ import annotations

import torch
from torch import nn


class Augmentation:
    """Training images that come out a little different every time.

    Parameters
    ----------
    images : tensor of uint8, shape (N, C, H, W)
    shift : int
        Largest shift in pixels along either axis; what moves in from outside mirrors the image.
    flip : bool
        Whether every second image, at random, is mirrored left to right.
    """

    def __init__(self, images: torch.Tensor, shift: int, flip: bool) -> None:
        height, width = images.shape[2:]
        padded = torch.empty((*images.shape[:2], height + 2 * shift, width + 2 * shift), dtype=images.dtype)
        for start in range(0, len(images), 4096):  # padding has no 8-bit version, and floats of everything are large
            part = images[start : start + 4096].float()
            padded[start : start + 4096] = nn.functional.pad(part, (shift,) * 4, mode="reflect").to(images.dtype)
        self._windows = padded.unfold(2, height, 1).unfold(3, width, 1)
        self._flip = flip

    def batch(self, rows: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Return images of these rows, shape (n, C, H, W), float32 in [0, 1]."""
        places = self._windows.shape[2]
        down = right = torch.zeros(len(rows), dtype=torch.int64)
        if places > 1:
            down, right = torch.randint(places, (2, len(rows)), generator=generator)
        images = self._windows[rows, :, down, right].float() / 255.0
        if self._flip:
            mirrored = torch.rand(len(rows), generator=generator) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        return images

"""Training images that come out a little different: mirrored, and cut out of themselves."""

from __future__ import annotations

import torch
from torch.nn import functional

LEAST_AREA = 0.5  # of an image, that a cut shows


def mirrored(images: torch.Tensor) -> torch.Tensor:
    """Exchange left and right of images (n, C, H, W)."""
    return images.flip(3)


def cut(images: torch.Tensor, generator: torch.Generator, least_area: float = LEAST_AREA) -> torch.Tensor:
    """Cut a part at random out of every image, mirror half of them, and bring each to the size that it had.

    Parameters
    ----------
    images : tensor of float32, shape (n, C, H, W)
    generator : Generator
    least_area : float
        Share of the image that is kept at least, in (0, 1]; proportions stay.

    Returns
    -------
    tensor of float32, shape (n, C, H, W)
    """
    drawn = torch.rand((4, len(images)), generator=generator)
    side = (least_area + (1.0 - least_area) * drawn[0]).sqrt()
    places = torch.zeros(len(images), 2, 3)
    places[:, 0, 0] = torch.where(drawn[1] < 0.5, -side, side)
    places[:, 1, 1] = side
    places[:, :, 2] = ((2.0 * drawn[2:] - 1.0) * (1.0 - side)).T  # the cut stays within the image
    grid = functional.affine_grid(places, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid.to(images.device), padding_mode="border", align_corners=False)

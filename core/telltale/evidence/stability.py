"""How clearly the predicted class still wins when the image is moved by one pixel or mirrored.

An attack tunes every pixel to the network's grid; a step aside takes much of that away, and little from what the image
shows (Tian, Yang & Cai 2018; Roth, Kilcher & Hofmann 2019 move it by noise and read differences of logits).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.evidence.margins import logit_margins

Images = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
MIRRORED = "mirrored"


@dataclass(frozen=True)
class Transform:
    """A shift by whole pixels, the edge repeated, or a mirroring of left and right.

    Attributes
    ----------
    down, right : int
        Pixels by which the image is moved.
    mirrored : bool
    """

    down: int = 0
    right: int = 0
    mirrored: bool = False

    def places(self, height: int, width: int) -> tuple[Places, Places]:
        """Return the row and the column, of shape (H, 1) and (W,), that every pixel is taken from."""
        columns = np.arange(width)[::-1] if self.mirrored else np.arange(width)
        rows = np.clip(np.arange(height) - self.down, 0, height - 1)
        return rows[:, None], np.clip(columns - self.right, 0, width - 1)

    def __call__(self, images: Images) -> Images:
        """Return images (n, C, H, W) transformed."""
        rows, columns = self.places(*images.shape[2:])
        return images[:, :, rows, columns]


TRANSFORMS: Mapping[str, Transform] = {
    "up": Transform(down=-1),
    "down": Transform(down=1),
    "left": Transform(right=-1),
    "right": Transform(right=1),
    MIRRORED: Transform(mirrored=True),
}
MIRROR = tuple(TRANSFORMS).index(MIRRORED)


def transformed(images: Images) -> Images:
    """Return images (n, C, H, W) after each transform, shape (T, n, C, H, W), in the order of `TRANSFORMS`."""
    return np.stack([transform(images) for transform in TRANSFORMS.values()])


def margins_of(logits: npt.NDArray[np.floating], classes: npt.NDArray[np.int64]) -> Floats:
    """Return by how many logits a class leads the next one, or trails it, after each transform of the image.

    Parameters
    ----------
    logits : array of float, shape (T, n, C)
        Of the transformed images.
    classes : array of int64, shape (n,)
        Class predicted for each image as it is.

    Returns
    -------
    array of float64, shape (n, T)
        One column per entry of `TRANSFORMS`.
    """
    return np.stack([logit_margins(moved, classes) for moved in logits], axis=1)


def counted_transforms(mirrored: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return which transforms count, shape (n, T): every shift, and mirroring where it is said to.

    Parameters
    ----------
    mirrored : array of bool, shape (n,)
    """
    counted = np.ones((len(mirrored), len(TRANSFORMS)), dtype=np.bool_)
    counted[:, MIRROR] = mirrored
    return counted


def margin_drops(margins: Floats, transformed: Floats, mirrored: npt.NDArray[np.bool_]) -> Floats:
    """Return the margin less its mean over the transforms that count, shape (n,), in logits.

    Parameters
    ----------
    margins : array of float64, shape (n,)
        Of the images as they are.
    transformed : array of float64, shape (n, T)
    mirrored : array of bool, shape (n,)
        Whether mirroring counts.

    Examples
    --------
    >>> margin_drops(np.array([5.0]), np.array([[4.0, 4.0, 2.0, 2.0, -9.0]]), np.array([False]))
    array([2.])
    """
    return np.asarray(margins - transformed.mean(1, where=counted_transforms(mirrored)))

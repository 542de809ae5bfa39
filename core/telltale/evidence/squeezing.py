"""How far an image's softmax output moves when the image is squeezed (Xu, Evans & Qi 2018)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.ndimage import median_filter

from telltale.models.trace import softmax

Images = npt.NDArray[np.float32]


def reduce_bits(images: Images, bits: int) -> Images:
    """Round every pixel of images in [0, 1] to `bits` bits."""
    levels = np.float32(2**bits - 1)
    return np.asarray(np.rint(images * levels) / levels, dtype=np.float32)


def median_2x2(images: Images) -> Images:
    """Replace every pixel by the median of a 2 x 2 window, channel by channel, mirrored at the border."""
    return np.asarray(median_filter(images, size=(1, 1, 2, 2), mode="reflect"), dtype=np.float32)


def non_local_means(images: Images) -> Images:
    """Average every pixel with those whose 3 x 3 surroundings look alike, within 6 pixels, at strength 4/255."""
    from skimage.restoration import denoise_nl_means

    smoothed = [
        denoise_nl_means(image, patch_size=3, patch_distance=6, h=4 / 255, fast_mode=True, channel_axis=0)
        for image in images
    ]
    # A single channel comes back without its axis.
    return np.asarray(np.stack(smoothed), dtype=np.float32).reshape(images.shape)


SQUEEZERS: dict[str, Callable[[Images], Images]] = {
    "bits_1": lambda images: reduce_bits(images, 1),
    "bits_4": lambda images: reduce_bits(images, 4),
    "bits_5": lambda images: reduce_bits(images, 5),
    "median_2x2": median_2x2,
    "non_local_means": non_local_means,
}


def squeezed(images: Images) -> Images:
    """Return every squeezed version of images (n, C, H, W), shape (S, n, C, H, W), in the order of `SQUEEZERS`."""
    return np.stack([squeeze(images) for squeeze in SQUEEZERS.values()])


def distances_to(logits: npt.NDArray[np.floating], probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the L1 distance between the softmax outputs for an image and for each of its squeezed versions.

    Parameters
    ----------
    logits : array of float, shape (S, n, classes)
        Of the squeezed versions.
    probabilities : array of float64, shape (n, classes)
        Softmax outputs for the images themselves.

    Returns
    -------
    array of float64, shape (n, S)
        In [0, 2]; one column per entry of `SQUEEZERS`.
    """
    return np.asarray(np.abs(softmax(logits.astype(np.float64)) - probabilities).sum(2).T)

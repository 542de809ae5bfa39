"""Natural shift: what happens to pictures without anyone attacking them, as small functions of pixels.

A detector that alarms on these notices processing, not attacks. So detectors are shown images that were changed by some
of it at random (`change_at_random`), and judged by fixed changes (`SHIFTS`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from telltale.base.images import FloatImages
from telltale.data.uploads import decode_image, jpeg_bytes

# Rec. 601: how bright red, green and blue are to the eye.
LUMA = (0.299, 0.587, 0.114)


def noise(images: FloatImages, sigma: float, seed: int = 0) -> FloatImages:
    """Add normal noise to every pixel of images (n, C, H, W) in [0, 1]; `sigma` in the same units."""
    drawn = np.random.default_rng(seed).normal(0.0, sigma, images.shape)
    return _clipped(images + drawn)


def blur(images: FloatImages, sigma: float) -> FloatImages:
    """Blur images (n, C, H, W) by a Gaussian of `sigma` pixels, edge pixels repeated."""
    values = images.astype(np.float64)
    for axis in (2, 3):
        values = gaussian_filter1d(values, sigma, axis=axis, mode="nearest")
    return _clipped(values)


def brighten(images: FloatImages, by: float) -> FloatImages:
    """Add the same to every pixel of images (n, C, H, W) in [0, 1]."""
    return _clipped(images + np.float32(by))


def contrast(images: FloatImages, factor: float) -> FloatImages:
    """Move every pixel of images (n, 1 or 3, H, W) towards its image's mean brightness; 1 leaves them as they are."""
    weights = np.array(LUMA if images.shape[1] == len(LUMA) else [1.0])
    brightness = np.einsum("nchw,c->nhw", images.astype(np.float64), weights).mean(axis=(1, 2))[:, None, None, None]
    return _clipped(brightness + factor * (images - brightness))


def compress(images: FloatImages, quality: int) -> FloatImages:
    """Save every image of (n, C, H, W) as JPEG of this quality and read it again."""
    grey = images.shape[1] == 1
    read = [decode_image(jpeg_bytes(image, quality)) for image in images]
    channels = [np.asarray(picture.convert("L" if grey else "RGB"), dtype=np.float32) / 255.0 for picture in read]
    return np.stack([values[None] if grey else values.transpose(2, 0, 1) for values in channels])


def move(images: FloatImages, pixels: int) -> FloatImages:
    """Move images (n, C, H, W) to the right, their left edge repeated."""
    padded = np.pad(images, ((0, 0), (0, 0), (0, 0), (pixels, 0)), mode="edge")
    return np.asarray(padded[..., : images.shape[-1]])


def _clipped(values: npt.NDArray[np.floating]) -> FloatImages:
    return np.asarray(np.clip(values, 0.0, 1.0), dtype=np.float32)


@dataclass(frozen=True)
class Shift:
    """One kind of natural shift.

    Attributes
    ----------
    name, title : str
    apply : callable
        From images (n, C, H, W), float32 in [0, 1], to as many of the same form.
    """

    name: str
    title: str
    apply: Callable[[FloatImages], FloatImages]


SHIFTS = (
    Shift("none", "as it is", lambda images: images),
    Shift("noise_2", "noise σ 2/255", lambda images: noise(images, 2 / 255)),
    Shift("noise_8", "noise σ 8/255", lambda images: noise(images, 8 / 255)),
    Shift("blur", "blur σ 0.6", lambda images: blur(images, 0.6)),
    Shift("brightness", "brightness + 0.1", lambda images: brighten(images, 0.1)),
    Shift("contrast", "contrast × 0.8", lambda images: contrast(images, 0.8)),
    Shift("jpeg", "JPEG 60", lambda images: compress(images, 60)),
    Shift("move", "moved by 2 px", lambda images: move(images, 2)),
)


@dataclass(frozen=True)
class Family:
    """One kind of change, at any strength between two.

    Attributes
    ----------
    name : str
    weakest, strongest : float
        Between which strengths are drawn evenly.
    apply : callable
        Maps images (n, C, H, W) in [0, 1], a strength and a seed to the changed ones.
    """

    name: str
    weakest: float
    strongest: float
    apply: Callable[[FloatImages, float, int], FloatImages]


FAMILIES = (
    Family("noise", 1.0, 10.0, lambda images, levels, seed: noise(images, levels / 255, seed)),
    Family("blur", 0.3, 0.8, lambda images, sigma, _: blur(images, sigma)),
    Family("brightness", -0.15, 0.15, lambda images, by, _: brighten(images, by)),
    Family("contrast", 0.7, 1.2, lambda images, factor, _: contrast(images, factor)),
    Family("jpeg", 50.0, 95.0, lambda images, quality, _: compress(images, round(quality))),
    Family("move", 1.0, 3.0, lambda images, pixels, _: move(images, round(pixels))),
)


def change_at_random(images: FloatImages, ids: npt.NDArray[np.int64], seed: int = 0) -> FloatImages:
    """Change every image in one way, by a strength of its own, both drawn by its id and the seed.

    Parameters
    ----------
    images : array of float32, shape (n, C, H, W)
        In [0, 1].
    ids : array of int64, shape (n,)
    seed : int
    """
    changed = np.empty_like(images)
    for row, image in enumerate(images):
        draws = np.random.default_rng((seed, int(ids[row])))
        family = FAMILIES[draws.integers(len(FAMILIES))]
        strength = float(draws.uniform(family.weakest, family.strongest))
        changed[row] = family.apply(image[None], strength, int(draws.integers(2**31)))[0]
    return changed

"""Feature responses and their local spatial entropy (Amirian et al. 2018, Eqs. 3 and 4)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from telltale.base.errors import InputError
from telltale.evidence.guided import guided_network, plain_gradient
from telltale.models.classifier import Classifier

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
PIXELS_AT_ONCE = 8192  # patches of so many stay in the processor's cache
GUIDED, PLAIN = "guided backprop", "plain gradient"


@dataclass(frozen=True)
class Responses:
    """Feature responses of n images and the entropy maps over them.

    Attributes
    ----------
    maps : array of float32, shape (n, H, W)
        Luma of the backpropagated response, signed.
    grey : array of uint8, shape (n, H, W)
        The maps rescaled to 8-bit grey levels, then quantised to `levels`.
    entropy : array of float32, shape (n, H - patch + 1, W - patch + 1)
        Bits.
    levels, patch : int
    method : str
        ``"guided backprop"`` or ``"plain gradient"``.
    """

    maps: npt.NDArray[np.float32]
    grey: npt.NDArray[np.uint8]
    entropy: npt.NDArray[np.float32]
    levels: int
    patch: int
    method: str

    @property
    def mean_entropy(self) -> npt.NDArray[np.float64]:
        """Average local spatial entropy in bits (Eq. 4), shape (n,)."""
        return np.asarray(self.entropy.mean((1, 2), dtype=np.float64))


def feature_responses(
    classifier: Classifier, images: npt.NDArray[np.float32], levels: int = 256, patch: int = 3, guided: bool = True
) -> Responses:
    """Backpropagate the last convolutional stage's activation to the image and measure its local entropy.

    Parameters
    ----------
    classifier : Classifier
    images : array of float32, shape (n, C, H, W), in [0, 1]
    levels : int
        Grey levels of the histogram, 2 to 256.
    patch : int
        Odd side of the square patch, 3 to 9.
    guided : bool
        Whether rectifiers are guided; otherwise the gradient is plain, to compare with.

    Raises
    ------
    InputError
        If the images' shape, `levels` or `patch` is not accepted.
    """
    classifier.check_images(images)
    check_settings(levels, patch)
    maps, method = response_maps(classifier, images) if guided else (luma(plain_gradient(classifier, images)), PLAIN)
    grey = to_grey_levels(maps, levels)
    return Responses(maps, grey, local_entropy(grey, patch), levels, patch, method)


def check_settings(levels: int, patch: int) -> None:
    """Raise `InputError` unless levels is in [2, 256] and patch is odd in [3, 9]."""
    if not isinstance(levels, int | np.integer) or not 2 <= levels <= 256:
        raise InputError(f"levels must be an integer in [2, 256], got {levels}.")
    if not isinstance(patch, int | np.integer) or patch not in (3, 5, 7, 9):
        raise InputError(f"patch must be one of 3, 5, 7, 9, got {patch}.")


def response_maps(classifier: Classifier, images: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], str]:
    """Return signed grey responses of shape (n, H, W) and the name of the method used."""
    network = guided_network(classifier)
    return luma(network.backpropagate(images)), GUIDED if network.guided else PLAIN


def luma(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Weigh colour channels into grey, (n, C, H, W) to (n, H, W); one channel is taken as it is."""
    if images.shape[1] == 1:
        return images[:, 0]
    return np.asarray(np.einsum("nchw,c->nhw", images, LUMA), dtype=np.float32)


def to_grey_levels(maps: npt.NDArray[np.float32], levels: int = 256) -> npt.NDArray[np.uint8]:
    """Rescale every map from its own range to 8 bits and quantise to `levels` equal bins; constant maps become 0."""
    low = maps.min((1, 2), keepdims=True).astype(np.float64)
    span = maps.max((1, 2), keepdims=True) - low
    unit = (maps - low) / np.where(span > 0.0, span, 1.0)
    eight_bits = np.rint(unit * 255.0).astype(np.int64)
    return np.asarray(eight_bits * levels // 256, dtype=np.uint8)


def local_entropy(grey: npt.NDArray[np.uint8], patch: int = 3) -> npt.NDArray[np.float32]:
    """Entropy in bits of the grey-level histogram of every patch that lies wholly inside (Eq. 3).

    Parameters
    ----------
    grey : array of uint8, shape (n, H, W)
    patch : int
        Odd.

    Returns
    -------
    array of float32, shape (n, H - patch + 1, W - patch + 1)
    """
    step = max(1, PIXELS_AT_ONCE // grey[0].size)
    parts = [grey[start : start + step] for start in range(0, len(grey), step)]
    return np.concatenate([_entropy_of_patches(part, patch) for part in parts])


def _entropy_of_patches(grey: npt.NDArray[np.uint8], patch: int) -> npt.NDArray[np.float32]:
    """Sort every patch: with runs of r equal levels among p pixels the entropy is log p - (1/p) sum of r log r."""
    windows = sliding_window_view(grey, (patch, patch), axis=(1, 2))
    pixels = patch * patch
    levels = windows.astype(np.uint16).reshape(-1, pixels)  # NumPy sorts these in vector registers, and not 8 bits
    levels.sort(axis=1)
    begins = np.ones(levels.shape, dtype=np.bool_)
    np.not_equal(levels[:, 1:], levels[:, :-1], out=begins[:, 1:])
    places = np.flatnonzero(begins)
    runs = np.arange(pixels + 1)
    weighted = (runs * np.log2(np.maximum(runs, 1)))[np.diff(places, append=levels.size)]
    sums = np.bincount(places // pixels, weighted, len(levels))
    return np.asarray((np.log2(pixels) - sums / pixels).reshape(windows.shape[:3]), dtype=np.float32)

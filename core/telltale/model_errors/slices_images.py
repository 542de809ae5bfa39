"""What pictures are like, whatever a network makes of them: brightness and sharpness."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import convolve

from telltale.base.images import FloatImages

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue (ITU-R BT.601)
LAPLACIAN = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])


def image_statistics(images: FloatImages) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return brightness and sharpness of n images.

    Parameters
    ----------
    images : array of float32, shape (n, C, H, W), in [0, 1]
        Three channels are taken for red, green and blue; of others the mean counts.

    Returns
    -------
    brightness : array of float64, shape (n,)
        Mean grey value, in [0, 1].
    sharpness : array of float64, shape (n,)
        Variance of the grey picture's Laplacian, in squared grey values; edges are mirrored. Small for blurred
        pictures (Pech-Pacheco et al. 2000, Diatom autofocusing in brightfield microscopy).
    """
    weights = LUMA if images.shape[1] == len(LUMA) else [1.0 / images.shape[1]] * images.shape[1]
    grey = np.einsum("nchw,c->nhw", images.astype(np.float64), np.asarray(weights))
    edges = convolve(grey, LAPLACIAN[None], mode="reflect")
    return grey.mean((1, 2)), edges.var((1, 2))

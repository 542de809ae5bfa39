"""The answer of a second network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import log_softmax

if TYPE_CHECKING:
    from telltale.models.classifier import Classifier

AT_ONCE = 64


@torch.inference_mode()
def log_probabilities(twin: Classifier, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the logarithms of the softmax output in double precision, so that small probabilities keep their order.

    Parameters
    ----------
    twin : Classifier
    images : array of float32, shape (n, C, H, W), in [0, 1]

    Returns
    -------
    array of float64, shape (n, classes), at most 0
    """
    starts = range(0, len(images), AT_ONCE)
    logits = [twin(torch.from_numpy(images[start : start + AT_ONCE])).numpy() for start in starts]
    return np.asarray(log_softmax(np.concatenate(logits).astype(np.float64), axis=1))

"""How much every training image holds up its own label: influence of the image on itself, through the softmax head.

With logits W [h, 1], residual r = p - y and f = [h, 1], the gradient of image i's loss is g_i = r_i (x) f_i, and

    s_i = g_i' H^-1 g_i / N

estimates by how much the loss of i rises when i is removed from training (Koh & Liang 2017, Eq. 2 with z_test = z).
It is never negative. A large value means that the head gives this answer only because it was told to: the image was
memorised, as mislabelled images must be (Koh & Liang 2017, section 5.4; Feldman & Zhang 2020).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg import cholesky, solve_triangular

from telltale.base.progress import Share
from telltale.evidence.by_size import FACTORED_WEIGHTS
from telltale.evidence.curvature import ClassBlocks
from telltale.evidence.influence import SoftmaxHead, head_hessian, with_bias
from telltale.evidence.sparse_probabilities import SparseProbabilities

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]

ROWS_AT_ONCE = 2048
WHOLE = "exact Hessian of the softmax head, features frozen"
BLOCKS = "class blocks of the softmax head's Hessian, features frozen"


def self_influence(head: SoftmaxHead, hidden: Floats, labels: Labels, progress: Share) -> tuple[Doubles, str]:
    """Return the influence of every training image on its own loss.

    Parameters
    ----------
    head : SoftmaxHead
        At the optimum of its own damping on exactly these images.
    hidden : array of float32, shape (N, d)
    labels : array of int64, shape (N,)
    progress : callable
        Told the done share now and then; may raise to stop.

    Returns
    -------
    array of float64, shape (N,)
        In nats, never negative. Exact where the head has at most `FACTORED_WEIGHTS` weights, else with the Hessian's
        blocks between classes left out. Time O(N C^2 d^2), or O(N C d^2) with blocks.
    str
        Which of both, in words for the page.
    """
    if head.weights.size <= FACTORED_WEIGHTS:
        return _with_whole_hessian(head, hidden, labels, progress), WHOLE
    return _with_class_blocks(head, hidden, labels, progress), BLOCKS


def _with_whole_hessian(head: SoftmaxHead, hidden: Floats, labels: Labels, progress: Share) -> Doubles:
    features, probabilities = with_bias(hidden), head.probabilities(hidden)
    progress(0.0)
    factor = cholesky(head_hessian(features, probabilities, head.damping), lower=True, check_finite=False)
    residuals = probabilities - np.eye(len(head.weights))[labels]
    values = np.empty(len(hidden))
    for start in range(0, len(hidden), ROWS_AT_ONCE):
        progress(start / len(hidden))
        part = slice(start, start + ROWS_AT_ONCE)
        gradients = (residuals[part, :, None] * features[part, None, :]).reshape(-1, factor.shape[0])
        half = solve_triangular(factor, gradients.T, lower=True, check_finite=False)  # |L^-1 g|^2 = g' H^-1 g
        values[part] = np.einsum("wn,wn->n", half, half)
    return values / len(hidden)


def _with_class_blocks(head: SoftmaxHead, hidden: Floats, labels: Labels, progress: Share) -> Doubles:
    progress(0.0)
    blocks = ClassBlocks.fit(hidden, SparseProbabilities.of(head, hidden, labels), head.damping)
    residuals = head.probabilities(hidden) - np.eye(len(head.weights))[labels]
    columns = with_bias(hidden).T
    values = np.zeros(len(hidden))
    for label, factor in enumerate(blocks.factors):
        progress(label / len(blocks.factors))
        half = solve_triangular(factor.astype(np.float64), columns, lower=True, check_finite=False)
        values += np.square(residuals[:, label]) * np.einsum("dn,dn->n", half, half)
    return values / len(hidden)

"""What tells misclassified natural images from those read right: logistic regression, kept simple by choice."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

PENALTY = 0.01  # inverse strength of the L2 penalty where nothing is chosen
PENALTIES = (0.01, 0.1, 1.0)
FOLDS = 5
Floats = npt.NDArray[np.float64]
Columns = npt.NDArray[np.int64]


def fit_error_weights(usual: Floats, wrong: Floats, margins: bool) -> Floats:
    """Return weights and a constant that tell misclassified natural images from the others, both counting the same.

    With margins, the margin alone, the deviates with it, and all features compete under several penalties, in folds;
    what is not used gets weight 0. So few errors are known that a cheap rule is often the best.

    Parameters
    ----------
    usual, wrong : array of float64, shape (n, f) and (m, f)
        Deviates, their squares and, with `margins`, the margin's deviate in the last column.
    margins : bool

    Returns
    -------
    array of float64, shape (f + 1,)
    """
    features, target = np.vstack([usual, wrong]), np.repeat([False, True], [len(usual), len(wrong)])
    everything = np.arange(features.shape[1])
    if not margins:
        return _fit(features, target, everything, PENALTY)
    members = (features.shape[1] - 1) // 2
    subsets = (everything[-1:], np.append(everything[:members], everything[-1]), everything)
    candidates = [(columns, penalty) for columns in subsets for penalty in PENALTIES]
    return _fit(features, target, *candidates[int(np.argmax([_quality(features, target, *c) for c in candidates]))])


def _quality(features: Floats, target: npt.NDArray[np.bool_], columns: Columns, penalty: float) -> float:
    """Return the mean AUC on held-out folds."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(features, target)
    found = []
    for fit, held_out in folds:
        weights = _fit(features[fit], target[fit], columns, penalty)
        found.append(roc_auc_score(target[held_out], features[held_out] @ weights[:-1]))
    return float(np.mean(found))


def _fit(features: Floats, target: npt.NDArray[np.bool_], columns: Columns, penalty: float) -> Floats:
    balance = np.where(target, 0.5 / target.mean(), 0.5 / (~target).mean())
    model = LogisticRegression(C=penalty, l1_ratio=0.0, solver="lbfgs", tol=1e-8, max_iter=5000)
    model.fit(features[:, columns], target, sample_weight=balance)
    weights = np.zeros(features.shape[1] + 1)
    weights[columns], weights[-1] = model.coef_[0], model.intercept_[0]
    return weights

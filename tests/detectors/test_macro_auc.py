"""The mean over attacks that settings are chosen by, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from telltale.base.errors import InputError
from telltale.detectors.base import Labels, macro_auc


def labels(attacks: np.ndarray) -> Labels:
    return Labels(adversarial=attacks != "", attacks=attacks, groups=np.arange(len(attacks)))


def test_it_is_scikit_learns_mean_with_ties_and_unequal_attacks() -> None:
    rng = np.random.default_rng(0)
    attacks = rng.choice(np.array(["", "", "fgsm", "cw"], dtype="U8"), 400)
    attacks[:7] = "boundary"
    scores = rng.integers(0, 12, 400) + (attacks == "cw") * 2.0
    found = []
    for name in ("boundary", "cw", "fgsm"):
        rows = (attacks == "") | (attacks == name)
        found.append(roc_auc_score(attacks[rows] == name, scores[rows]))
    assert macro_auc(scores, labels(attacks)) == pytest.approx(np.mean(found), abs=1e-12)


@pytest.mark.parametrize("kind", ["", "fgsm"])
def test_it_needs_both_kinds(kind: str) -> None:
    with pytest.raises(InputError, match="one of the two is missing"):
        macro_auc(np.zeros(3), labels(np.array([kind] * 3)))

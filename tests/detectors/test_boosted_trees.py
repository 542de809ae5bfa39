"""Boosted trees as arrays: equal to the library that grows them, additive, monotone, never trusted when read back."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.ensemble._hist_gradient_boosting.binning import _find_binning_thresholds

from telltale.base.errors import DamagedBundleError
from telltale.detectors.base import Labels
from telltale.detectors.bins import Bins
from telltale.detectors.boosted_trees import LEAF, BoostedTrees, Boosting

GROWN = Boosting(trees=20, leaves=6, learning_rate=0.2, fewest=5, penalty=0.5)


def task(n: int = 400, seed: int = 0) -> tuple[np.ndarray, Labels]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 4))
    attacked = features[:, 0] + features[:, 1] * features[:, 2] + 0.3 * rng.normal(size=n) > 0.4
    attacks = np.where(attacked, np.where(rng.random(n) < 0.2, "rare", "often"), "")
    return features, Labels(attacked, attacks, np.arange(n))


def grown(monotone: tuple[int, ...] | None = None) -> BoostedTrees:
    return BoostedTrees.fit(*task(), GROWN, monotone)


@pytest.mark.parametrize("monotone", [None, (1, 0, 0, -1)])
def test_answers_are_those_of_the_library(monotone: tuple[int, ...] | None) -> None:
    features, labels = task()
    model = HistGradientBoostingClassifier(
        max_iter=20,
        max_leaf_nodes=6,
        learning_rate=0.2,
        min_samples_leaf=5,
        l2_regularization=0.5,
        monotonic_cst=None if monotone is None else list(monotone),
        early_stopping=False,
        random_state=0,
    ).fit(features, labels.adversarial, sample_weight=labels.balanced_weights())
    seen = np.vstack([features, task(200, 1)[0], np.full((1, 4), 1e9), np.full((1, 4), -1e9)])
    np.testing.assert_allclose(grown(monotone).log_odds(seen), model.decision_function(seen), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_bins_end_where_the_library_lets_them_end(seed: int) -> None:
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(700, 5))
    columns[:, 1], columns[:, 2] = np.round(columns[:, 1], 1), np.round(columns[:, 2], 2)  # few values, and ties
    columns[:, 3], columns[:, 4] = np.exp(5 * columns[:, 3]), 3.0
    weights = rng.choice([0.0, 0.5, 1.0, 2.0], 700) if seed % 2 else rng.uniform(0.1, 3.0, 700)
    bins = Bins.of(columns, weights)
    for column, edges in zip(columns.T, bins.edges, strict=True):
        expected = _find_binning_thresholds(column, 255, sample_weight=weights)
        if edges is not None:
            np.testing.assert_array_equal(edges, expected)
        else:
            assert len(np.unique(column[weights != 0.0])) <= 255
    assert [edges is None for edges in bins.edges] == [False, True, False, False, True]


def test_answers_are_the_librarys_where_weights_part_the_images_unevenly() -> None:
    """Far more images of one attack than of another, some features with ties: new images reach the same leaves."""
    rng = np.random.default_rng(3)
    features = np.round(rng.normal(size=(900, 6)), 2)
    attacked = features[:, 0] * features[:, 1] + 0.5 * rng.normal(size=900) > 0.0
    attacks = np.where(attacked, np.where(rng.random(900) < 0.02, "rare", "often"), "")
    labels = Labels(attacked, attacks, np.arange(900))
    model = HistGradientBoostingClassifier(max_iter=100, max_leaf_nodes=8, l2_regularization=1.0, random_state=0)
    model.set_params(early_stopping=False).fit(features, attacked, sample_weight=labels.balanced_weights())
    seen = rng.normal(size=(2000, 6))
    found = BoostedTrees.fit(features, labels, Boosting()).log_odds(seen)
    np.testing.assert_allclose(found, model.decision_function(seen), rtol=1e-10, atol=1e-10)


def test_contributions_follow_every_tree_from_node_to_node_and_sum_to_the_answer() -> None:
    trees, seen = grown(), task(60, 1)[0]
    found = trees.contributions(seen)
    np.testing.assert_allclose(trees.baseline + found.sum(1), trees.log_odds(seen), atol=1e-12)
    for image, contribution in zip(seen, found, strict=True):
        expected = np.zeros(4)
        for node in trees.roots:
            while trees.feature[node] != LEAF:
                asked = trees.feature[node]
                child = (trees.left if image[asked] <= trees.threshold[node] else trees.right)[node]
                expected[asked] += trees.value[child] - trees.value[node]
                node = child
        np.testing.assert_allclose(contribution, expected, atol=1e-12)


def test_every_node_of_the_first_tree_holds_a_shrunken_newton_step_of_its_own_images() -> None:
    (features, labels), trees = task(), grown()
    weights, p = labels.balanced_weights(), 1.0 / (1.0 + np.exp(-trees.baseline))
    slope, curvature = weights * (p - labels.adversarial), weights * p * (1.0 - p)
    nodes = [(int(trees.roots[0]), np.arange(len(features)))]
    checked = 0
    while nodes:
        node, rows = nodes.pop()
        if node != trees.roots[0]:
            step = -slope[rows].sum() / (curvature[rows].sum() + GROWN.penalty)
            assert trees.value[node] == pytest.approx(GROWN.learning_rate * step, rel=1e-4)
            checked += trees.feature[node] != LEAF
        if trees.feature[node] != LEAF:
            below = features[rows, trees.feature[node]] <= trees.threshold[node]
            nodes += [(int(trees.left[node]), rows[below]), (int(trees.right[node]), rows[~below])]
    assert checked, "some node between the root and the leaves"


def test_monotone_features_never_move_the_answer_the_other_way() -> None:
    trees, free, seen = grown((1, 0, 0, -1)), grown(), task(50, 2)[0]
    steps = np.linspace(-3, 3, 60)
    fell = []
    for model in (trees, free):
        for feature, sign in ((0, 1), (3, -1)):
            moved = np.repeat(seen[:, None], 60, axis=1)
            moved[:, :, feature] = steps
            answers = model.log_odds(moved.reshape(-1, 4)).reshape(50, 60)
            fell.append(bool((sign * np.diff(answers) < -1e-12).any()))
    assert fell[:3] == [False, False, True]


def test_natural_and_attacked_images_count_the_same_however_many_there_are() -> None:
    features, labels = task()
    few = np.flatnonzero(~labels.adversarial | (labels.attacks == "rare"))
    assert labels.take(few).adversarial.mean() < 0.2
    assert BoostedTrees.fit(features[few], labels.take(few), GROWN).baseline == pytest.approx(0.0, abs=1e-12)


def test_arrays_bring_the_trees_back_and_one_image_alone_is_judged_the_same() -> None:
    trees, seen = grown(), task(30, 3)[0]
    again = BoostedTrees.from_arrays({**trees.to_arrays(), "another": np.zeros(2)}, features=4)
    together = again.log_odds(seen)
    np.testing.assert_array_equal(together, trees.log_odds(seen))
    np.testing.assert_array_equal(together, [float(again.log_odds(image[None])[0]) for image in seen])
    assert again.log_odds(seen[:0]).shape == (0,)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("left", lambda a: np.zeros_like(a)),  # a way back to the root, and round for ever
        ("right", lambda a: a + 10_000),
        ("feature", lambda a: a + 4),
        ("roots", lambda a: a + 10_000),
        ("roots", lambda a: a[:0]),
        ("value", lambda a: a[:-1]),
        ("value", lambda a: a * np.nan),
        ("threshold", None),
    ],
)
def test_what_is_no_tree_is_refused(name: str, change: object) -> None:
    arrays = grown().to_arrays()
    stored = arrays.pop(name)
    if change is not None:
        arrays[name] = change(stored)  # type: ignore[operator]
    with pytest.raises(DamagedBundleError, match="Stored trees"):
        BoostedTrees.from_arrays(arrays, features=4)

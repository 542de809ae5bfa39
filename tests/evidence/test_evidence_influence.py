"""Influence against autograd, explicit Hessians and exact leave-one-out retraining; the top against sorting."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import spearmanr
from sklearn.linear_model import LogisticRegression

from support.tiny import tiny_classifier, tiny_digits
from telltale.evidence import influence as influence_module
from telltale.evidence.influence import HeadInfluence, fit_head, head_hessian, with_bias
from telltale.evidence.most_influential import MostInfluential, most_influential

TRAINING, TEST, CLASSES, DAMPING = 120, 8, 10, 1e-2


@functools.cache
def digit_states() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Hidden states and labels of 120 training digits; hidden states and predictions of 8 others."""
    classifier, data = tiny_classifier(), tiny_digits()
    trace = classifier.trace(data.images(np.arange(TRAINING)))
    others = classifier.trace(data.images(np.arange(400, 400 + TEST)))
    return trace.hidden, data.labels[:TRAINING], others.hidden, others.predictions


def small_problem(count: int = 40, width: int = 3, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(0)
    labels = np.arange(count) % classes
    centres = draws.normal(size=(classes, width))
    return (centres[labels] + draws.normal(size=(count, width))).astype(np.float32), labels


def mean_loss(weights: torch.Tensor, features: torch.Tensor, labels: torch.Tensor, damping: float) -> torch.Tensor:
    """Regularised mean cross-entropy as written in the docstring of `SoftmaxHead`, biases penalised too."""
    fit = torch.nn.functional.cross_entropy(features @ weights.T, labels)
    return fit + damping / 2 * weights.square().sum()


def tensors(hidden: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    features = np.column_stack([hidden.astype(np.float64), np.ones(len(hidden))])
    return torch.from_numpy(features), torch.from_numpy(labels)


@pytest.mark.parametrize("damping", [1e-4, 1e-2, 1e-1])
def test_the_head_stands_at_the_optimum(damping) -> None:
    hidden, labels, _, _ = digit_states()
    head = fit_head(hidden, labels, CLASSES, damping)
    weights = torch.from_numpy(head.weights).requires_grad_()
    loss = mean_loss(weights, *tensors(hidden, labels), damping)
    (gradient,) = torch.autograd.grad(loss, weights)
    assert gradient.abs().max() < 1e-9
    assert head.damping == damping


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e2])
def test_newton_converges_on_activations_of_any_size(scale) -> None:
    hidden, labels = small_problem()
    hidden = hidden * np.float32(scale)
    weights = torch.from_numpy(fit_head(hidden, labels, 4, 1e-4).weights).requires_grad_()
    (gradient,) = torch.autograd.grad(mean_loss(weights, *tensors(hidden, labels), 1e-4), weights)
    assert gradient.abs().max() < 1e-9 * max(1.0, scale)


def test_the_head_equals_scikit_learns_and_scipys() -> None:
    hidden, labels = small_problem()
    head = fit_head(hidden, labels, 4, DAMPING)
    # The bias is penalised, so it goes in as a constant feature; C = 1 / (N lambda).
    oracle = LogisticRegression(
        C=1 / (DAMPING * len(hidden)), l1_ratio=0.0, solver="lbfgs", tol=1e-12, max_iter=10_000, fit_intercept=False
    )
    features, targets = tensors(hidden, labels)
    np.testing.assert_allclose(head.weights, oracle.fit(features.numpy(), labels).coef_, atol=1e-5)
    np.testing.assert_allclose(head.probabilities(hidden), oracle.predict_proba(features.numpy()), atol=1e-5)

    def objective(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.from_numpy(flat.reshape(head.weights.shape)).requires_grad_()
        loss = mean_loss(weights, features, targets, DAMPING)
        loss.backward()
        return loss.item(), weights.grad.numpy().ravel()

    found = minimize(objective, np.zeros(head.weights.size), jac=True, options={"gtol": 1e-10, "maxiter": 10_000})
    np.testing.assert_allclose(head.weights.ravel(), found.x, atol=1e-6)


def test_the_hessian_is_autograds() -> None:
    hidden, labels = small_problem()
    head = fit_head(hidden, labels, 4, DAMPING)
    features, targets = tensors(hidden, labels)
    expected = torch.autograd.functional.hessian(
        lambda w: mean_loss(w, features, targets, DAMPING), torch.from_numpy(head.weights)
    )
    size = head.weights.size
    found = head_hessian(with_bias(hidden), head.probabilities(hidden), DAMPING)
    np.testing.assert_allclose(found, expected.reshape(size, size), atol=1e-12)


def explicit_values(head, hidden, labels, queries, predictions) -> np.ndarray:
    """Gradients one image at a time by autograd, the Hessian by autograd and inverted outright."""
    features, targets = tensors(hidden, labels)
    weights = torch.from_numpy(head.weights)

    def gradient_of(feature, target) -> np.ndarray:
        at = weights.clone().requires_grad_()
        loss = torch.nn.functional.cross_entropy((feature @ at.T)[None], target[None])
        return torch.autograd.grad(loss, at)[0].numpy().ravel()

    hessian = torch.autograd.functional.hessian(lambda w: mean_loss(w, features, targets, head.damping), weights)
    inverse = np.linalg.inv(hessian.reshape(weights.numel(), -1).numpy())
    train = np.stack([gradient_of(f, t) for f, t in zip(features, targets, strict=True)])
    test = np.stack([gradient_of(f, t) for f, t in zip(*tensors(queries, predictions), strict=True)])
    return test @ inverse @ train.T / len(hidden)


def test_values_equal_brute_force_on_a_small_head() -> None:
    hidden, labels = small_problem()
    queries, predictions = small_problem(9)
    head = fit_head(hidden, labels, 4, DAMPING)
    found = HeadInfluence(head, hidden, labels).values(queries, predictions)
    expected = explicit_values(head, hidden, labels, queries, predictions)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_values_rank_training_digits_as_the_explicit_hessian_does() -> None:
    hidden, labels, queries, predictions = digit_states()
    head = fit_head(hidden, labels, CLASSES, DAMPING)
    found = HeadInfluence(head, hidden, labels).values(queries, predictions)
    expected = explicit_values(head, hidden, labels, queries, predictions)
    assert min(spearmanr(f, e).statistic for f, e in zip(found, expected, strict=True)) >= 0.99
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_one_query_has_the_values_it_has_in_a_batch() -> None:
    hidden, labels, queries, predictions = digit_states()
    influence = HeadInfluence(fit_head(hidden, labels, CLASSES, DAMPING), hidden, labels)
    alone = [influence.values(queries[i : i + 1], predictions[i : i + 1])[0] for i in range(TEST)]
    together = influence.values(queries, predictions)
    np.testing.assert_allclose(together, alone, atol=1e-6 * np.abs(together).max())


@functools.cache
def left_out() -> np.ndarray:
    """Exact change of each test loss when one training image is removed and the head retrained, (TEST, TRAINING).

    The objective without image i is (1/N) sum over the others + lambda/2 |weights|^2, N unchanged: removing an image
    takes its term away and leaves the others' weight and the penalty as they were. It has the optimum of the mean
    over N - 1 images under lambda N / (N - 1).
    """
    hidden, labels, queries, predictions = digit_states()
    rows = np.arange(TEST)

    def losses(head) -> np.ndarray:
        return -np.log(head.probabilities(queries)[rows, predictions])

    before = losses(fit_head(hidden, labels, CLASSES, DAMPING))
    changes = []
    for i in range(TRAINING):
        rest = np.arange(TRAINING) != i
        head = fit_head(hidden[rest], labels[rest], CLASSES, DAMPING * TRAINING / (TRAINING - 1))
        changes.append(losses(head) - before)
    return np.stack(changes, axis=1)


def correlations(values: np.ndarray) -> np.ndarray:
    return np.array([spearmanr(v, change).statistic for v, change in zip(values, left_out(), strict=True)])


def test_values_agree_with_leaving_one_out_and_plain_gradients_do_not() -> None:
    hidden, labels, queries, predictions = digit_states()
    head = fit_head(hidden, labels, CLASSES, DAMPING)
    values = HeadInfluence(head, hidden, labels).values(queries, predictions)
    exact = correlations(values)
    assert exact.min() >= 0.95, exact
    # Without the Hessian: the product of the two gradients, as LiSSA at the authors' depth ranks.
    train = head.probabilities(hidden) - np.eye(CLASSES)[labels]
    test = head.probabilities(queries) - np.eye(CLASSES)[predictions]
    plain = correlations((test @ train.T) * (with_bias(queries) @ with_bias(hidden).T))
    assert plain.mean() < exact.mean() - 0.1, (plain, exact)
    assert (plain < exact).all(), (plain, exact)


def test_values_have_the_sign_and_size_of_the_true_change() -> None:
    hidden, labels, queries, predictions = digit_states()
    head = fit_head(hidden, labels, CLASSES, DAMPING)
    values = HeadInfluence(head, hidden, labels).values(queries, predictions)
    for value, change in zip(values, left_out(), strict=True):
        strongest = np.argsort(-np.abs(change))[:10]
        assert (np.sign(value[strongest]) == np.sign(change[strongest])).all()  # positive = removal raises the loss
        slope = value @ change / (value @ value)
        assert 0.6 < slope < 1.7


def test_the_most_helpful_images_share_the_predicted_class() -> None:
    hidden, labels, queries, predictions = digit_states()
    values = HeadInfluence(fit_head(hidden, labels, CLASSES, DAMPING), hidden, labels).values(queries, predictions)
    helpful, harmful = most_influential(values, 3)
    assert (labels[helpful[:, 0]] == predictions).all()
    assert (labels[harmful[:, 0]] != predictions).all()


def test_most_influential_are_strongest_first_and_ties_by_row() -> None:
    values = np.array([[0.0, 2.0, -1.0, 2.0, -1.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    helpful, harmful = most_influential(values, 3)
    np.testing.assert_array_equal(helpful, [[1, 3, 0], [0, 1, 2]])
    np.testing.assert_array_equal(harmful, [[2, 4, 0], [0, 1, 2]])


def by_sorting(values: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    helpful = [sorted(range(len(v)), key=lambda row, v=v: (-v[row], row))[:count] for v in values]
    harmful = [sorted(range(len(v)), key=lambda row, v=v: (v[row], row))[:count] for v in values]
    return np.array(helpful), np.array(harmful)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=30), st.data())
def test_most_influential_are_those_of_a_full_sort(values, data) -> None:
    count = data.draw(st.integers(1, len(values)))
    given_values = np.array([values], dtype=float)
    for found, expected in zip(most_influential(given_values, count), by_sorting(given_values, count), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("count", [1, 7, TRAINING // 2, TRAINING])
def test_the_top_is_that_of_all_values_sorted(count) -> None:
    hidden, labels, queries, predictions = digit_states()
    head = fit_head(hidden, labels, CLASSES, DAMPING)
    found = HeadInfluence(head, hidden, labels).top(queries, predictions, count)
    values = explicit_values(head, hidden, labels, queries, predictions)
    helpful, harmful = by_sorting(values, count)
    np.testing.assert_array_equal(found.helpful, helpful)
    np.testing.assert_array_equal(found.harmful, harmful)
    np.testing.assert_allclose(found.helpful_values, np.take_along_axis(values, helpful, 1), rtol=1e-7, atol=1e-15)
    np.testing.assert_allclose(found.harmful_values, np.take_along_axis(values, harmful, 1), rtol=1e-7, atol=1e-15)


def test_the_top_of_many_images_has_ties_by_row_and_no_rounding() -> None:
    # Every image twice, and copies that differ in the last bits: single precision cannot order them.
    hidden, labels = small_problem(600, width=16)
    hidden = np.vstack([hidden, hidden, np.nextafter(hidden, np.float32(np.inf))])
    labels = np.tile(labels, 3)
    head = fit_head(hidden, labels, 4, DAMPING)
    queries, predictions = small_problem(5, width=16)
    found = HeadInfluence(head, hidden, labels).top(queries, predictions, 400)
    residuals = (head.probabilities(hidden) - np.eye(4)[labels]).astype(np.longdouble)
    features = with_bias(hidden).astype(np.longdouble)
    inverse = np.linalg.inv(head_hessian(with_bias(hidden), head.probabilities(hidden), DAMPING))
    gradients = (head.probabilities(queries) - np.eye(4)[predictions])[:, :, None] * with_bias(queries)[:, None]
    solved = (gradients.reshape(5, -1) @ inverse).reshape(5, 4, -1).astype(np.longdouble) / len(hidden)
    values = np.einsum("nc,bcd,nd->bn", residuals, solved, features)
    for rows, strengths, sign in ((found.helpful, found.helpful_values, -1), (found.harmful, found.harmful_values, 1)):
        for i in range(5):
            expected = np.sort(sign * values[i])[:400]
            np.testing.assert_allclose((sign * strengths[i]), expected.astype(float), rtol=1e-9)
            assert len(set(rows[i])) == 400
            assert (np.diff(sign * strengths[i]) >= 0).all()
            tied = np.diff(strengths[i]) == 0
            assert tied.any() and (np.diff(rows[i])[tied] > 0).all()


def test_the_top_of_one_query_has_the_bits_it_has_in_a_batch(monkeypatch) -> None:
    hidden, labels, queries, predictions = digit_states()
    influence = HeadInfluence(fit_head(hidden, labels, CLASSES, DAMPING), hidden, labels)
    together = influence.top(queries, predictions, 20)
    monkeypatch.setattr(influence_module, "QUERIES_AT_ONCE", 3)
    monkeypatch.setattr(influence_module, "PRODUCTS_AT_ONCE", 7 * 3 * CLASSES)  # of seven training images
    for found in (influence.top(queries, predictions, 20), one_by_one(influence, queries, predictions)):
        for name, array in vars(together).items():
            np.testing.assert_array_equal(getattr(found, name), array, err_msg=name)


def one_by_one(influence, queries, predictions) -> MostInfluential:
    parts = [influence.top(queries[i : i + 1], predictions[i : i + 1], 20) for i in range(len(queries))]
    return MostInfluential(**{name: np.concatenate([vars(p)[name] for p in parts]) for name in vars(parts[0])})


def unequal_problem() -> tuple[HeadInfluence, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Images that matter by amounts from all but nothing to very much, and three queries."""
    hidden, labels = small_problem(600, width=16)
    hidden = hidden * np.logspace(-4, 1, len(hidden), dtype=np.float32)[:, None]
    queries, predictions = small_problem(3, width=16)
    return HeadInfluence(fit_head(hidden, labels, 4, DAMPING), hidden, labels), hidden, labels, queries, predictions


def test_no_estimate_is_farther_off_than_the_margin_of_its_image() -> None:
    influence, hidden, labels, queries, predictions = unequal_problem()
    solved = influence._solve(queries, predictions)
    directions = solved / np.linalg.norm(solved, axis=(1, 2), keepdims=True)
    features, residuals = with_bias(hidden), influence.head.probabilities(hidden) - np.eye(4)[labels]
    exact = np.einsum("nc,bcd,nd->bn", residuals, directions, features)
    off = np.abs(influence._estimates(directions) - exact)
    assert (off <= influence._margins).all()
    assert influence._margins.max() > 100 * influence._margins.min()  # what matters little leaves little in doubt
    assert (influence._margins > off.max()).any() and (influence._margins < off.max()).any()


def test_the_top_of_images_that_matter_very_differently_is_that_of_sorting() -> None:
    influence, hidden, labels, queries, predictions = unequal_problem()
    found = influence.top(queries, predictions, 300)
    helpful, harmful = by_sorting(explicit_values(influence.head, hidden, labels, queries, predictions), 300)
    np.testing.assert_array_equal(found.helpful, helpful)
    np.testing.assert_array_equal(found.harmful, harmful)

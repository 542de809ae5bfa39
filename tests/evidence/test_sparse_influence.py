"""Conjugate gradients and sparse residuals against the whole Hessian, factored; bounds against brute force."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from telltale.evidence.by_size import fit_softmax_head, influence_kind
from telltale.evidence.class_coupling import Coupling, MeanMoments
from telltale.evidence.curvature import TOLERANCE, ClassBlocks, ConjugateInfluence, conjugate_gradients
from telltale.evidence.influence import HeadInfluence, SoftmaxHead, head_hessian, with_bias
from telltale.evidence.sparse_influence import STATED_TOLERANCE, SparseInfluence, _largest
from telltale.evidence.sparse_probabilities import SMALLEST_SHARE, SparseProbabilities
from telltale.evidence.sparse_tables import SparseTables
from telltale.studies.growth.generated import GeneratedFeatures

CLASSES, WIDTH, COUNT, QUERIES = 150, 12, 6000, 8
WEIGHTS = CLASSES * (WIDTH + 1)


@functools.cache
def problem():
    """A head of more classes than one solution takes in, on few enough weights to factor the whole Hessian."""
    features = GeneratedFeatures.make(CLASSES, WIDTH)
    hidden, labels = features.draw(COUNT, 1)
    queries, _ = features.draw(QUERIES, 2)
    head = features.head()
    return head, hidden, labels, queries, head.probabilities(queries).argmax(1)


@functools.cache
def exact() -> np.ndarray:
    head, hidden, labels, queries, predictions = problem()
    return HeadInfluence(head, hidden, labels).values(queries, predictions)


@functools.cache
def sparse() -> SparseInfluence:
    return SparseInfluence(*problem()[:3])


def test_generated_classes_are_classified_as_their_own_head_says() -> None:
    head, hidden, labels, _, _ = problem()
    probabilities = head.probabilities(hidden)
    accuracy = (probabilities.argmax(1) == labels).mean()
    assert 0.5 < accuracy < 0.95  # there are images to confuse
    assert accuracy == pytest.approx(probabilities.max(1).mean(), abs=0.02)  # calibrated, so the head is the best one


def test_lists_hold_every_noticeable_probability_and_the_true_class() -> None:
    head, hidden, labels, _, _ = problem()
    dense = head.probabilities(hidden)
    own = np.eye(CLASSES, dtype=bool)[labels]
    expected = np.where((dense >= SMALLEST_SHARE) | own, dense, 0.0)
    lists = SparseProbabilities.of(head, hidden, labels)
    shares, residuals = np.zeros_like(dense), np.zeros_like(dense)
    for c in range(CLASSES):
        place = lists.list_of(c)
        shares[lists.rows[place], c] = lists.shares[place]
        residuals[lists.rows[place], c] = lists.residuals[place]
    differs = np.abs(shares - expected)
    assert differs[np.abs(dense - SMALLEST_SHARE) > 1e-7].max() < 1e-5  # but where float32 falls beyond the limit
    np.testing.assert_allclose(residuals, shares - own, atol=1e-6)
    np.testing.assert_allclose(lists.unlisted, dense.sum(1) - shares.sum(1), atol=1e-5)
    rest = np.where(shares > 0, 0.0, dense)
    np.testing.assert_allclose(lists.unlisted_curvature, (rest * (1 - rest)).sum(0), rtol=1e-3, atol=1e-3)


def test_entries_by_image_are_the_entries_by_class() -> None:
    head, hidden, labels, _, _ = problem()
    lists = SparseProbabilities.of(head, hidden, labels)
    dense = head.probabilities(hidden)
    listed = (dense >= SMALLEST_SHARE) | np.eye(CLASSES, dtype=bool)[labels]
    draws = np.random.default_rng(0)
    images, some = draws.permutation(COUNT)[:500], draws.permutation(CLASSES)[:40]
    expected = np.where(listed, dense, 0.0)[np.ix_(images, some)]
    found = lists.table(images, some)
    np.testing.assert_allclose(found, expected, atol=SMALLEST_SHARE * 1.01)
    np.testing.assert_allclose(found[expected > 1e-3], expected[expected > 1e-3], atol=1e-5)
    for values, least in ((lists.shares, 0.0), (lists.shares, 0.05), (lists.residuals, 0.0)):
        columns = lists.lists_of(some, values, least).toarray()[images]
        wanted = found if values is lists.shares else found - (labels[images, None] == some) * (found > 0)
        np.testing.assert_array_equal(columns, np.where(found >= least, wanted, 0.0).astype(np.float32))


def coupled(images: np.ndarray, ours: np.ndarray, theirs: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """What rows of `ours` pull at `theirs`: with these images taken as they are, and by the whole Hessian."""
    head, hidden, _, _, _ = problem()
    tables, dense = sparse()._tables, head.probabilities(hidden)
    moments = MeanMoments(ClassBlocks(tables.factors), head.damping, (dense * (1 - dense)).mean(0).astype(np.float32))
    shares = [(dense[np.ix_(images, c)] / np.sqrt(COUNT)).astype(np.float32) for c in (ours, theirs)]
    confusion = (dense.T @ dense / COUNT).astype(np.float32)[np.ix_(theirs, ours)]
    coupling = Coupling.of(moments, (ours, theirs), (hidden[images], *shares), confusion)
    whole = head_hessian(with_bias(hidden), dense, head.damping).reshape(CLASSES, WIDTH + 1, CLASSES, WIDTH + 1)
    between = whole[np.ix_(theirs, range(WIDTH + 1), ours, range(WIDTH + 1))].copy()
    same = theirs[:, None] == ours
    between.transpose(0, 2, 1, 3)[same] = 0.0
    found = coupling.multiply(rows, ClassBlocks(tables.factors).multiply(ours, rows))
    return found, -np.einsum("bdae,ae->bd", between, rows)


@pytest.mark.parametrize("same", [True, False])
def test_classes_pull_as_in_the_whole_hessian(same) -> None:
    draws = np.random.default_rng(0)
    ours = np.arange(0, 30)
    theirs = ours if same else np.arange(30, 50)
    rows = draws.normal(size=(30, WIDTH + 1)).astype(np.float32)
    found, expected = coupled(np.arange(COUNT), ours, theirs, rows)
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())
    by_mean, _ = coupled(np.arange(0), ours, theirs, rows)
    off = np.linalg.norm(by_mean - expected) / np.linalg.norm(expected)
    assert 0.01 < off < 0.3  # an average stands for most of it, not for all


def test_class_blocks_are_those_on_the_hessians_diagonal() -> None:
    head, hidden, labels, _, _ = problem()
    whole = head_hessian(with_bias(hidden), head.probabilities(hidden), head.damping)
    blocks = ClassBlocks.fit(hidden, SparseProbabilities.of(head, hidden, labels), head.damping)
    row = np.random.default_rng(0).normal(size=(1, WIDTH + 1)).astype(np.float32)
    for c in (0, 7, CLASSES - 1):
        block = whole.reshape(CLASSES, WIDTH + 1, CLASSES, WIDTH + 1)[c, :, c, :]
        off = np.linalg.norm(blocks.factors[c] @ blocks.factors[c].T - block) / np.linalg.norm(block)
        assert off < 0.01
        np.testing.assert_allclose(blocks.multiply(np.array([c]), row)[0], block @ row[0], rtol=0.05, atol=1e-4)
        again = blocks.multiply(np.array([c]), blocks.solve(np.array([c]), row))
        np.testing.assert_allclose(again, row, atol=1e-3)


def test_conjugate_gradients_solve_and_report_what_is_left() -> None:
    draws = np.random.default_rng(1)
    root = draws.normal(size=(30, 30))
    matrix = (root @ root.T / 30 + 0.1 * np.eye(30)).astype(np.float32)
    target = draws.normal(size=(1, 30)).astype(np.float32)
    target /= np.linalg.norm(target)
    solved = conjugate_gradients(lambda r: r @ matrix, lambda r: r, target, tolerance=1e-4, max_steps=60)
    np.testing.assert_allclose(solved.rows[0], np.linalg.solve(matrix.astype(float), target[0]), atol=1e-3)
    left = np.linalg.norm(target - solved.rows @ matrix)
    assert solved.residual == pytest.approx(left, abs=2e-5) and left < 2e-4
    short = conjugate_gradients(lambda r: r @ matrix, lambda r: r, target, tolerance=1e-4, max_steps=2)
    assert short.steps == 2 and short.residual > 1e-3


def test_conjugate_gradients_give_the_factored_hessians_influence() -> None:
    head, hidden, labels, queries, predictions = problem()
    found = ConjugateInfluence(head, hidden, labels).values(queries, predictions)
    for values, expected in zip(found, exact(), strict=True):
        assert np.abs(values - expected).max() < 3 * TOLERANCE * np.abs(expected).max()
        assert np.corrcoef(values, expected)[0, 1] > 0.999


def test_sparse_influence_is_within_its_stated_tolerance() -> None:
    _, _, _, queries, predictions = problem()
    found = sparse().top(queries, predictions, 50)
    worst = []
    for i, expected in enumerate(exact()):
        helpful, harmful = expected[found.helpful[i]], expected[found.harmful[i]]
        off = np.abs(np.hstack([found.helpful_values[i] - helpful, found.harmful_values[i] - harmful]))
        worst.append(off.max() / np.abs(expected).max())
        assert len(np.intersect1d(found.helpful[i], np.argsort(-expected)[:50])) >= 45
        assert len(np.intersect1d(found.harmful[i], np.argsort(expected)[:50])) >= 45
    assert max(worst) < STATED_TOLERANCE
    assert np.median(worst) < STATED_TOLERANCE / 3


def test_few_images_taken_as_they_are_keep_the_tolerance(monkeypatch) -> None:
    monkeypatch.setattr("telltale.evidence.sparse_influence.TIES", COUNT // 10)
    _, _, _, queries, predictions = problem()
    found = sparse().top(queries, predictions, 50)
    for i, expected in enumerate(exact()):
        off = np.abs(found.helpful_values[i] - expected[found.helpful[i]]).max()
        off = max(off, np.abs(found.harmful_values[i] - expected[found.harmful[i]]).max())
        assert off < STATED_TOLERANCE * np.abs(expected).max()


@pytest.mark.parametrize("count", [1, 7, 30, 90, 100, 150])
def test_the_largest_weights_are_chosen_among_zeros_and_ties(count) -> None:
    draws = np.random.default_rng(count)
    weights = np.maximum(draws.integers(-40, 60, size=100), 0).astype(np.float32)
    rows = _largest(weights, count)
    assert len(rows) == min(count, 100) and (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(np.sort(weights[rows]), np.sort(weights)[-count:])


def test_class_blocks_alone_would_miss_the_tolerance() -> None:
    head, hidden, labels, queries, predictions = problem()
    blocks = ClassBlocks(SparseTables.build(head, hidden, labels).factors)
    residuals = head.probabilities(queries) - np.eye(CLASSES)[predictions]
    train = head.probabilities(hidden) - np.eye(CLASSES)[labels]
    gradients = (residuals[:, :, None] * with_bias(queries)[:, None, :]).astype(np.float32)
    rows = [blocks.solve(np.arange(CLASSES), gradient) for gradient in gradients]
    values = [np.einsum("nc,nc->n", train, with_bias(hidden) @ r.T) / COUNT for r in rows]
    off = [np.abs(v - e).max() / np.abs(e).max() for v, e in zip(values, exact(), strict=True)]
    assert np.median(off) > STATED_TOLERANCE


@pytest.mark.parametrize("count", [1, 50, 400, COUNT])
def test_bounds_leave_out_no_image_that_is_among_the_strongest(monkeypatch, count) -> None:
    """The strongest of all rows, by brute force over the same solved direction and the same listed residuals."""
    monkeypatch.setattr("telltale.evidence.sparse_influence.FIRST_READ", 4)  # most are found by a second reading
    monkeypatch.setattr("telltale.evidence.sparse_influence.READ_AT_ONCE", 1000)
    head, hidden, _, queries, predictions = problem()
    tables = sparse()._tables
    residuals = np.zeros((COUNT, CLASSES))
    for c in range(CLASSES):
        place = tables.lists.list_of(c)
        residuals[tables.lists.rows[place], c] = tables.lists.residuals[place]
    probabilities = head.probabilities(queries[:1])[0]
    probabilities[predictions[0]] -= 1.0
    gradient = np.outer(probabilities, with_bias(queries[:1])[0])
    length = np.linalg.norm(gradient)
    direction = sparse().direction((gradient / length).astype(np.float32))
    changes = with_bias(hidden) @ direction.rows.astype(np.float64).T
    values = length * np.einsum("na,na->n", residuals[:, direction.labels], changes) / COUNT
    found = sparse().top(queries[:1], predictions[:1], count)
    np.testing.assert_allclose(found.helpful_values[0], np.sort(values)[::-1][:count], rtol=1e-3, atol=1e-9)
    np.testing.assert_allclose(found.harmful_values[0], np.sort(values)[:count], rtol=1e-3, atol=1e-9)
    assert len(np.unique(found.helpful[0])) == count


def test_few_images_are_read_for_the_strongest(monkeypatch) -> None:
    monkeypatch.setattr("telltale.evidence.sparse_influence.FIRST_READ", 64)
    monkeypatch.setattr("telltale.evidence.sparse_influence.CANDIDATES", 10)
    _, _, _, queries, predictions = problem()
    influence = SparseInfluence(*problem()[:3])
    read: list[int] = []
    measure = influence._values
    monkeypatch.setattr(influence, "_values", lambda d, rows: read.append(len(rows)) or measure(d, rows))
    influence.top(queries, predictions, 10)
    assert sum(read) < QUERIES * COUNT / 2  # both searches of one query together


def test_a_query_alone_and_in_a_batch_give_the_same_bits() -> None:
    _, _, _, queries, predictions = problem()
    together = sparse().top(queries, predictions, 20)
    for i in range(QUERIES):
        alone = sparse().top(queries[i : i + 1], predictions[i : i + 1], 20)
        np.testing.assert_array_equal(alone.helpful[0], together.helpful[i])
        np.testing.assert_array_equal(alone.harmful_values[0], together.harmful_values[i])


def test_mapped_features_and_tables_give_the_same_answer(tmp_path) -> None:
    head, hidden, labels, queries, predictions = problem()
    arrays = {"hidden": hidden, **sparse()._tables.to_arrays()}
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array, allow_pickle=False)
    mapped = {name: np.load(tmp_path / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in arrays}
    opened = SparseInfluence(head, mapped.pop("hidden"), labels, SparseTables.from_arrays(mapped))
    found, expected = (influence.top(queries, predictions, 30) for influence in (opened, sparse()))
    for name, values in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), values)


@pytest.mark.parametrize("kind", [ConjugateInfluence, SparseInfluence])
def test_a_prediction_without_any_doubt_has_no_influences(kind) -> None:
    head = SoftmaxHead(np.array([[1.0, 0.0], [-1.0, 0.0]]), 1e-2)
    draws = np.random.default_rng(0)
    hidden = draws.normal(size=(40, 1)).astype(np.float32)
    labels = (hidden[:, 0] < 0).astype(np.int64)
    found = kind(head, hidden, labels).top(np.array([[500.0]], dtype=np.float32), np.array([0]), 5)
    np.testing.assert_array_equal(found.helpful_values, 0.0)
    np.testing.assert_array_equal(found.harmful_values, 0.0)


@pytest.mark.parametrize("kind", [ConjugateInfluence, SparseInfluence])
def test_two_classes_give_the_factored_hessians_influence(kind) -> None:
    """Fewer classes than are solved for at once."""
    features = GeneratedFeatures.make(2, 5)
    hidden, labels = features.draw(500, 1)
    queries, predictions = features.draw(4, 2)
    expected = HeadInfluence(features.head(), hidden, labels).top(queries, predictions, 10)
    found = kind(features.head(), hidden, labels).top(queries, predictions, 10)
    largest = np.abs(np.hstack([expected.helpful_values, expected.harmful_values])).max(1)[:, None]
    assert (np.abs(found.helpful_values - expected.helpful_values) < STATED_TOLERANCE * largest).all()
    assert (np.abs(found.harmful_values - expected.harmful_values) < STATED_TOLERANCE * largest).all()


def test_the_most_exact_way_that_the_size_allows_is_taken() -> None:
    names = {
        (10 * 129, 49_000): "HeadInfluence",
        (100 * 513, 50_000): "ConjugateInfluence",
        (100 * 513, 200_000): "SparseInfluence",
        (1000 * 513, 1_280_000): "SparseInfluence",
        (1000 * 513, 5_000): "SparseInfluence",
    }
    assert {size: influence_kind(*size).__name__ for size in names} == names


def test_fewer_images_than_features_have_influences_too() -> None:
    features = GeneratedFeatures.make(30, 40)
    hidden, labels = features.draw(35, 3)
    head = fit_softmax_head(hidden, labels, 30, 1e-2)
    queries, predictions = hidden[:4] + 0.1, labels[:4]
    found = SparseInfluence(head, hidden, labels).top(queries, predictions, 35)
    values = np.zeros((4, 35))
    np.put_along_axis(values, found.helpful, found.helpful_values, axis=1)
    whole = HeadInfluence(head, hidden, labels).values(queries, predictions)
    assert np.abs(values - whole).max() < STATED_TOLERANCE * np.abs(whole).max()

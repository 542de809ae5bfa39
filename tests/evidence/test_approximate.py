"""The approximate index against exact search: recall, exact distances, storing, and the same refusals."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from telltale.base.errors import DamagedBundleError, InputError
from telltale.evidence.approximate import RECALL_TARGET, ApproximateIndex
from telltale.evidence.by_size import APPROXIMATE_FROM, describe_index, make_distances, make_index
from telltale.evidence.distances import SquaredDistances
from telltale.evidence.mapped_distances import MappedDistances
from telltale.evidence.neighbours import PROCESSINGS, NeighbourIndex
from telltale.evidence.ranks import ranks_and_distances
from telltale.studies.growth.generated import GeneratedFeatures

COUNT, WIDTH, QUERIES = 8000, 24, 20


@functools.cache
def clouds():
    features = GeneratedFeatures.make(40, WIDTH)
    return features.draw(COUNT, 1)[0], features.draw(QUERIES, 2)[0]


@functools.cache
def trained(processing="none") -> ApproximateIndex:
    return ApproximateIndex.train(clouds()[0], processing)


def shares_found(found, expected) -> np.ndarray:
    return np.array([np.isin(e, f).mean() for f, e in zip(found.rows, expected.rows, strict=True)])


@pytest.mark.parametrize("processing", PROCESSINGS)
def test_it_finds_what_exact_search_finds(processing) -> None:
    hidden, queries = clouds()
    exact, index = NeighbourIndex(hidden, processing), trained(processing)
    expected, found = exact.search(queries, 200), index.search(queries, 200)
    assert shares_found(found, expected).mean() > 0.95
    points, moved = exact.process(hidden).astype(np.float64), exact.process(queries).astype(np.float64)
    distances = np.linalg.norm(points[found.rows] - moved[:, None], axis=2)
    np.testing.assert_allclose(found.distances, distances, rtol=1e-5)
    assert (np.diff(found.distances, axis=1) >= 0).all()
    assert all(len(np.unique(rows)) == 200 for rows in found.rows)


def test_its_exhaustive_search_is_exact() -> None:
    hidden, queries = clouds()
    found, expected = trained().search_exactly(queries, 300), NeighbourIndex(hidden).search(queries, 300)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_allclose(found.distances, expected.distances, rtol=1e-12)


def test_the_recall_it_states_is_the_recall_it_has() -> None:
    hidden, queries = clouds()
    index = ApproximateIndex.train(hidden, queries=queries)
    expected, found = NeighbourIndex(hidden).search(queries, index.recall.k), index.search(queries, index.recall.k)
    assert index.recall.share >= RECALL_TARGET
    assert index.recall.share == pytest.approx(shares_found(found, expected).mean(), abs=0.005)
    assert index.recall.held_out and index.recall.queries == QUERIES
    assert f"{index.recall.share:.1%} of the {index.recall.k} nearest found" in index.method


def test_fewer_lists_find_less() -> None:
    hidden, queries = clouds()
    index = ApproximateIndex.train(hidden)
    before = shares_found(index.search(queries, 100), NeighbourIndex(hidden).search(queries, 100)).mean()
    index._index.nprobe = 2
    after = shares_found(index.search(queries, 100), NeighbourIndex(hidden).search(queries, 100)).mean()
    assert after < before - 0.05


def test_a_query_is_left_out_of_its_own_neighbours() -> None:
    hidden, _ = clouds()
    rows = np.array([5, 4000, 7999])
    assert (trained().search(hidden[rows], 1).rows[:, 0] == rows).all()
    found = trained().search(hidden[rows], 50, exclude_rows=rows)
    assert found.rows.shape == (3, 50) and not (found.rows == rows[:, None]).any()


def test_where_the_lists_hold_too_few_everything_is_searched() -> None:
    hidden, queries = clouds()
    expected = NeighbourIndex(hidden).search(queries[:3], COUNT - 10)
    np.testing.assert_array_equal(trained().search(queries[:3], COUNT - 10).rows, expected.rows)


def test_a_query_alone_and_in_a_batch_give_the_same_bits() -> None:
    _, queries = clouds()
    many = np.vstack([queries] * 3)  # more than FAISS compares one by one
    together = trained().search(many, 100)
    alone = [trained().search(query[None], 100) for query in many]
    np.testing.assert_array_equal(together.rows, np.vstack([a.rows for a in alone]))
    np.testing.assert_array_equal(together.distances, np.vstack([a.distances for a in alone]))


@pytest.mark.parametrize("processing", PROCESSINGS)
def test_a_stored_index_over_mapped_features_answers_as_before(tmp_path, processing) -> None:
    hidden, queries = clouds()
    index = trained(processing)
    index.save(tmp_path / "index.faiss")
    np.save(tmp_path / "hidden.npy", hidden)
    mapped = np.load(tmp_path / "hidden.npy", mmap_mode="r")
    opened = ApproximateIndex.open(tmp_path / "index.faiss", mapped, processing, index.recall)
    assert opened.method == index.method
    found, expected = opened.search(queries, 60), index.search(queries, 60)
    np.testing.assert_array_equal(found.rows, expected.rows)
    np.testing.assert_array_equal(found.distances, expected.distances)


def test_a_file_that_is_no_index_over_these_features_is_refused(tmp_path) -> None:
    hidden, _ = clouds()
    trained().save(tmp_path / "index.faiss")
    (tmp_path / "torn.faiss").write_bytes((tmp_path / "index.faiss").read_bytes()[:200])
    recall = trained().recall
    with pytest.raises(DamagedBundleError, match="belongs to other activations"):
        ApproximateIndex.open(tmp_path / "index.faiss", hidden[:100], "none", recall)
    for name in ("torn", "missing"):
        with pytest.raises(DamagedBundleError, match=f"'{name}.faiss' cannot be read"):
            ApproximateIndex.open(tmp_path / f"{name}.faiss", hidden, "none", recall)


@pytest.mark.parametrize(
    ("queries", "k", "sentence"),
    [
        (np.zeros((2, 3), np.float32), 1, r"Expected activations of shape \(n, 24\), got \(2, 3\)\."),
        (np.full((2, 24), np.nan, np.float32), 1, r"Activations must be finite\."),
        (np.zeros((2, 24), np.float32), 0, r"k must be an integer in \[1, 8000\], got 0\."),
        (np.zeros((2, 24), np.float32), 8001, r"k must be an integer in \[1, 8000\], got 8001\."),
    ],
)
def test_what_cannot_be_searched_is_refused_as_by_the_exact_index(queries, k, sentence) -> None:
    with pytest.raises(InputError, match=f"^{sentence}$"):
        trained().search(queries, k)


def test_the_size_decides_and_the_notes_say_how(monkeypatch) -> None:
    hidden, _ = clouds()
    assert describe_index(make_index(hidden, "none")) == {"method": "exact", "recall": 1.0}
    assert not isinstance(make_distances(hidden), MappedDistances)
    assert APPROXIMATE_FROM > 50_000  # CIFAR-10 and MNIST are searched exactly
    monkeypatch.setattr("telltale.evidence.by_size.APPROXIMATE_FROM", COUNT)
    described = describe_index(make_index(hidden, "none"))
    assert described["recall"] >= RECALL_TARGET and described["recall_at"] == 1000
    assert not described["recall_held_out"] and "lists searched" in described["method"]
    assert isinstance(make_distances(hidden), MappedDistances)


def test_mapped_distances_give_the_ranks_of_those_in_memory(tmp_path) -> None:
    hidden, queries = clouds()
    np.save(tmp_path / "hidden.npy", hidden)
    mapped = MappedDistances(np.load(tmp_path / "hidden.npy", mmap_mode="r"))
    rows = np.random.default_rng(0).integers(0, COUNT, (QUERIES, 30))
    found = ranks_and_distances(queries, mapped, rows)
    expected = ranks_and_distances(queries, SquaredDistances(hidden, np.float64), rows)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)
    to_all = np.linalg.norm(hidden.astype(np.float64) - queries[0], axis=1)
    for block in mapped.blocks(queries[:1]):
        assert (np.abs(block.estimates[0] - np.square(to_all)) <= block.margins[0] + 1e-12).all()

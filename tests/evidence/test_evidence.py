"""Evidence: computed once, the same for a part as for the whole, and only from what fits the reference set."""

from __future__ import annotations

import functools
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from support.clouds import CLASSES, LAYERS, WIDTHS, mixed, natural_trace, readings, reference
from telltale.base.errors import InputError
from telltale.detectors.feature_response import FeatureResponseDetector
from telltale.evidence import distances as distances_module
from telltale.evidence import evidence as evidence_module
from telltale.evidence.evidence import Evidence
from telltale.evidence.neighbours import PROCESSINGS
from telltale.evidence.ranks import ranks_and_distances
from telltale.evidence.readings import Readings
from telltale.evidence.trajectory import DISTANCES, PIVOTS

COUNT = 12


@functools.cache
def known():
    return reference()


def whole() -> Evidence:
    return mixed(known(), COUNT, 1)[0]


def direct(index) -> Evidence:
    """Compute the evidence on part of the images from scratch."""
    complete = whole()
    return Evidence(known(), complete.trace.take(index), complete.readings.take(index))


INDICES = {
    "rows": np.array([5, 0, 30, 5]),
    "mask": np.arange(3 * COUNT) % 3 == 0,
    "slice": slice(4, 9),
    "one": np.array([17]),
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES.keys())
def test_the_evidence_of_a_part_is_the_part_of_the_evidence(index) -> None:
    part, expected = whole().take(index), direct(index)
    assert len(part) == len(expected)
    np.testing.assert_array_equal(part.predictions, expected.predictions)
    np.testing.assert_array_equal(part.readings["mean_entropy"], expected.readings["mean_entropy"])
    np.testing.assert_allclose(part.log_density, expected.log_density, rtol=1e-12)
    for pivot in PIVOTS:
        for distance in DISTANCES:
            np.testing.assert_allclose(part.trajectory(pivot, distance), expected.trajectory(pivot, distance), 1e-6)
    for layer in LAYERS:
        for processing in PROCESSINGS:
            ours, theirs = part.neighbours(layer, processing, 7), expected.neighbours(layer, processing, 7)
            np.testing.assert_array_equal(ours.rows, theirs.rows)
            np.testing.assert_array_equal(ours.distances, theirs.distances)
    for name, values in vars(expected.influential).items():
        np.testing.assert_array_equal(getattr(part.influential, name), values, err_msg=name)


def test_a_part_of_a_part_is_still_a_part_of_the_whole() -> None:
    nested = whole().take(np.array([9, 3, 20, 1])).take(np.array([2, 0]))
    expected = direct(np.array([20, 9]))
    np.testing.assert_array_equal(nested.readings["mean_entropy"], expected.readings["mean_entropy"])
    np.testing.assert_array_equal(nested.influential.helpful, expected.influential.helpful)
    np.testing.assert_array_equal(
        nested.neighbours("last", "none", 3).rows, expected.neighbours("last", "none", 3).rows
    )


def test_parts_ask_the_whole_so_that_nothing_is_computed_twice(monkeypatch) -> None:
    calls = []
    monkeypatch.setattr(
        evidence_module, "ranks_and_distances", lambda *given: calls.append(1) or ranks_and_distances(*given)
    )
    complete = whole()
    for i in range(4):
        _ = complete.take(slice(i, i + 2)).influential
    assert len(calls) == len(LAYERS)


def test_readings_are_taken_when_asked_for_and_once() -> None:
    calls = []

    def read() -> Readings:
        calls.append(1)
        return readings(np.linspace(1, 2, 3 * COUNT))

    complete = Evidence(known(), whole().trace, read)
    part = complete.take(slice(0, 5))
    _ = complete.influential, complete.log_density, complete.trajectory("medoid", "l2"), part.predictions
    assert not calls
    np.testing.assert_array_equal(part.readings["mean_entropy"], np.linspace(1, 2, 3 * COUNT)[:5])
    _ = complete.readings["mean_entropy"], part.readings["mean_entropy"], part.readings["squeezed"]
    assert len(calls) == 1


@pytest.mark.parametrize("asked", [(3, 20), (20, 3)])
def test_neighbours_do_not_depend_on_what_was_asked_before(asked) -> None:
    complete = whole()
    for k in asked:
        found = complete.neighbours("middle", "l2", k)
        fresh = known().index("middle", "l2").search(complete.trace.activations[1], k)
        np.testing.assert_array_equal(found.rows, fresh.rows)
        np.testing.assert_array_equal(found.distances, fresh.distances)


def test_influential_images_are_those_of_the_influence_and_lie_where_sorting_says() -> None:
    complete = whole()
    found = complete.influential
    values = known().influence.values(complete.trace.hidden, complete.predictions)
    count = len(known().labels) // 2
    assert found.helpful.shape == found.harmful.shape == (3 * COUNT, count)
    assert found.helpful_ranks.shape == (3 * COUNT, len(LAYERS), count)
    order = np.argsort(-values, axis=1, kind="stable")
    np.testing.assert_array_equal(found.helpful, order[:, :count])
    atol = 1e-6 * np.abs(values).max()
    np.testing.assert_allclose(found.helpful_values, np.take_along_axis(values, found.helpful, 1), atol=atol)
    np.testing.assert_allclose(found.harmful_values, np.take_along_axis(values, found.harmful, 1), atol=atol)
    for layer, (queries, points) in enumerate(zip(complete.trace.activations, known().trace.activations, strict=True)):
        distances = np.linalg.norm(points.astype(np.float64) - queries[4].astype(np.float64), axis=1)
        place = np.argsort(np.argsort(distances)) / len(points)
        for rows, ranks, lengths in (
            (found.helpful, found.helpful_ranks, found.helpful_distances),
            (found.harmful, found.harmful_ranks, found.harmful_distances),
        ):
            np.testing.assert_allclose(ranks[4, layer], place[rows[4]], atol=1e-6)
            np.testing.assert_allclose(lengths[4, layer], distances[rows[4]], rtol=1e-5)


def test_one_product_per_layer_tells_few_images_their_neighbours_and_ranks(monkeypatch) -> None:
    training, images = reference(), natural_trace(3, 1)[0]
    training.prepare()
    for layer in LAYERS:
        assert training.index(layer).distances is training.distances(layer)
    products: list[int] = []
    block = distances_module.SquaredDistances._block
    monkeypatch.setattr(
        distances_module.SquaredDistances,
        "_block",
        lambda self, start, queries: products.append(id(self)) or block(self, start, queries),
    )
    evidence = Evidence(training, images, np.ones(3))
    found = [evidence.neighbours(layer, "none", k) for layer in LAYERS for k in (3, 9)]
    influential = evidence.influential
    assert sorted(products) == sorted(id(training.distances(layer)) for layer in LAYERS)
    monkeypatch.setattr(evidence_module, "ESTIMATED", 0)
    apart = Evidence(training, images, np.ones(3))
    for one, other in zip(found, [apart.neighbours(a, "none", k) for a in LAYERS for k in (3, 9)], strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.distances, other.distances)
    for name, values in vars(influential).items():
        np.testing.assert_array_equal(values, getattr(apart.influential, name))
    assert len(products) > 2 * len(LAYERS)


def test_memory_does_not_grow_with_images_times_training_images(monkeypatch) -> None:
    monkeypatch.setattr(evidence_module, "MAX_INFLUENTIAL", 5)
    monkeypatch.setattr(distances_module, "BLOCK_VALUES", 30_000)
    training, images = reference(3000), natural_trace(2000, 1)[0]
    training.prepare()
    evidence = Evidence(training, images, np.ones(len(images)))
    tracemalloc.start()
    _ = evidence.influential, evidence.neighbours("last", "none", 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * len(images) * len(training.labels) / 5  # a fifth of one number for every pair


def broken(**changes) -> Evidence:
    trace = natural_trace(6, 3)[0]
    return Evidence(known(), replace(trace, **changes), np.ones(6))


def test_other_layers_are_refused() -> None:
    with pytest.raises(InputError, match=r"^Expected a trace of the layers .*, got \('a', 'b', 'c'\)\.$"):
        broken(layers=("a", "b", "c"))


@pytest.mark.parametrize("where", [0, 2, "logits"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(where, value) -> None:
    trace = natural_trace(6, 3)[0]
    target = trace.logits if where == "logits" else trace.activations[where]
    target[2, 1] = value
    with pytest.raises(InputError, match=r"^Activations and logits must be finite\.$"):
        Evidence(known(), trace, np.ones(6))


def test_other_shapes_are_refused() -> None:
    trace = natural_trace(6, 3)[0]
    narrow = (*trace.activations[:2], trace.activations[2][:, :2])
    with pytest.raises(InputError, match=rf"^Expected last of shape \(6, {WIDTHS[2]}\), got \(6, 2\)\.$"):
        broken(activations=narrow)
    short = (trace.activations[0][:4], *trace.activations[1:])
    with pytest.raises(InputError, match=rf"^Expected first of shape \(6, {WIDTHS[0]}\), got \(4, {WIDTHS[0]}\)\.$"):
        broken(activations=short)
    with pytest.raises(InputError, match=rf"^Expected logits of shape \(6, {CLASSES}\), got \(6, 2\)\.$"):
        broken(logits=trace.logits[:, :2])


def test_readings_of_more_than_one_number_never_become_scores() -> None:
    detector = FeatureResponseDetector().restore({"direction": np.ones(1), "natural": np.arange(6.0)})
    given = Evidence(known(), natural_trace(6, 3)[0], Readings({"mean_entropy": np.ones((6, 1))}))
    with pytest.raises(InputError, match=r"^feature_response must give 6 images one score each, got shape \(6, 1\)"):
        detector.score(given)


@pytest.mark.parametrize("entropy", [np.ones(5), np.full(6, np.nan), np.array(1.0)])
def test_entropies_of_another_shape_or_not_finite_are_refused(entropy) -> None:
    given = Evidence(known(), natural_trace(6, 3)[0], Readings({"mean_entropy": entropy}))
    with pytest.raises(InputError, match=r"^Expected 6 finite readings 'mean_entropy', got shape "):
        _ = given.readings["mean_entropy"]

"""Evidence with all 49,000 CIFAR-10 training images, beside Captum, scikit-learn, scikit-image and NumPy."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from benchmarks.conftest import Photographs
from telltale.evidence.density import ClassDensities, MixtureSettings
from telltale.evidence.influence import fit_head
from telltale.evidence.reference import Reference
from telltale.evidence.trajectory import fit_pivots
from telltale.models.trace import Trace
from telltale.studies.comparison.influence import influence_rows
from telltale.studies.comparison.nearest import knn_rows, rank_rows
from telltale.studies.comparison.response import response_rows
from telltale.studies.comparison.row import ComparisonRow
from telltale.studies.comparison.timing import one_thread


@pytest.fixture(scope="module")
def reference(photographs: Photographs) -> Reference:
    """Trace all training images and fit what refers to them."""
    ids, classes = photographs.splits.train, len(photographs.image_set.class_names)
    parts = [photographs.image_set.images(ids[start : start + 1000]) for start in range(0, len(ids), 1000)]
    trace = Trace.concatenate([photographs.classifier.trace(part) for part in parts])
    labels = photographs.image_set.labels[ids]
    width = trace.hidden.shape[1]
    fitted = Reference(
        ids,
        labels,
        classes,
        trace,
        {
            "trajectory": fit_pivots(trace, labels, classes),
            "influence": fit_head(trace.hidden, labels, classes, 1e-3),
            "density": ClassDensities.fit(trace.hidden, labels, classes, MixtureSettings(1, "diag", width), seed=0),
        },
    )
    fitted.prepare()
    return fitted


@pytest.fixture(scope="module")
def trace(photographs: Photographs) -> Trace:
    return photographs.classifier.trace(photographs.images)


def rows_of(benchmark, work: Callable[[], Iterator[ComparisonRow]]) -> list[ComparisonRow]:
    """Run a comparison once; its own repeats are what is measured, and kept beside the benchmark's wall time."""
    with one_thread():
        rows = benchmark.pedantic(lambda: list(work()), rounds=1)
    benchmark.extra_info["rows"] = [{**vars(row), "ratio": row.ratio} for row in rows]
    return rows


def test_influence_is_a_hundred_times_faster(benchmark, reference, trace) -> None:
    rows = rows_of(benchmark, lambda: influence_rows(reference, trace))
    for row in rows:
        assert row.ours_ms <= 25.0, row
        assert row.ratio >= 100.0, row
        assert float(row.equal.split()[1]) >= 0.999, row


def test_ranks_are_ten_times_faster_and_equal(benchmark, reference, trace) -> None:
    (row,) = rows_of(benchmark, lambda: rank_rows(reference, trace))
    assert row.equal.startswith("all ranks equal"), row
    assert row.ratio >= 10.0, row


def test_the_knn_score_of_one_image_is_five_times_faster(benchmark, reference, trace) -> None:
    one, many = rows_of(benchmark, lambda: knn_rows(reference, trace))
    assert one.equal.startswith("100.00%") and many.equal.startswith("100.00%"), (one, many)
    assert one.ratio >= 5.0, one
    assert many.ratio > 1.0, many


def test_responses_of_batches_are_three_times_faster(benchmark, photographs) -> None:
    one, many = rows_of(benchmark, lambda: response_rows(photographs.classifier, photographs.images))
    assert one.ratio >= 1.0, one
    assert many.ratio >= 3.0, many


def test_what_is_compared_is_a_click_on_the_whole_training_set(reference) -> None:
    assert len(reference.labels) == 49_000
    assert np.bincount(reference.labels).min() > 4_000

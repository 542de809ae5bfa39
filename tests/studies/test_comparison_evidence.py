"""Comparisons of evidence on a small made-up problem: what they call equal is equal, and both sides do the work."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from sklearn.neighbors import KNeighborsClassifier

from support.clouds import natural_trace, reference
from support.tiny import tiny_classifier, tiny_images
from telltale.evidence.influence import HeadInfluence
from telltale.studies.comparison import influence as influence_module
from telltale.studies.comparison.influence import HeadProblem, explicit_direction, influence_rows, loop_over_gradients
from telltale.studies.comparison.nearest import knn_rows, rank_rows, sorted_ranks
from telltale.studies.comparison.response import response_rows
from telltale.studies.comparison.timing import one_thread, timed


@pytest.mark.filterwarnings("ignore:To copy construct", "ignore:Input Tensor 0 did not")
def test_influence_is_compared_with_the_explicit_hessian_and_with_captum() -> None:
    known, (trace, _) = reference(60), natural_trace(3, 1)
    rows = list(influence_rows(known, trace))
    assert [row.against.split()[0] for row in rows] == ["PyTorch,", "Captum", "Captum"]
    assert all(float(row.equal.split()[1]) > 0.9999 for row in rows)
    assert all(row.ours_ms > 0.0 and row.theirs_ms > 0.0 for row in rows)


def test_a_wrong_hessian_would_be_seen(monkeypatch) -> None:
    known, (trace, _) = reference(60), natural_trace(3, 1)
    broken = HeadInfluence(known.head, known.trace.hidden, known.labels)
    broken._inverse = np.eye(len(broken._inverse))  # the plain product of two gradients
    known._influence = broken
    monkeypatch.setattr(influence_module, "_tracin", lambda _: ("", 1.0, np.arange(60.0)))
    monkeypatch.setattr(influence_module, "_arnoldi", lambda _: ("", 1.0, np.arange(60.0)))
    assert all(float(row.equal.split()[1]) < 0.999 for row in influence_rows(known, trace))


def test_the_explicit_loop_is_the_definition_of_influence() -> None:
    known, (trace, _) = reference(60), natural_trace(3, 1)
    problem = HeadProblem.of(known, trace)
    found = loop_over_gradients(problem, explicit_direction(problem))
    expected = known.influence.values(trace.hidden[:1], trace.predictions[:1])[0]
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    assert spearmanr(found, expected).statistic > 0.999


def test_sorted_ranks_are_places_and_lengths() -> None:
    points = np.array([[3.0, 4.0], [0.0, 1.0], [6.0, 8.0]])
    places, lengths = sorted_ranks(np.zeros(2, dtype=np.float32), points, np.array([2, 0, 1]))
    np.testing.assert_array_equal(places, [2, 1, 0])
    np.testing.assert_allclose(lengths, [10.0, 5.0, 1.0])


def test_ranks_and_votes_are_equal() -> None:
    known, (trace, _) = reference(), natural_trace(6, 1)
    (ranks,) = rank_rows(known, trace)
    assert ranks.equal.startswith("all ranks equal")
    one, many = knn_rows(known, trace)
    assert "one image" in one.work and "6 images" in many.work
    assert all(row.equal.startswith("100.00% of the neighbours") for row in (one, many))


def test_other_votes_would_be_seen(monkeypatch) -> None:
    known, (trace, _) = reference(), natural_trace(6, 1)
    kneighbors = KNeighborsClassifier.kneighbors
    monkeypatch.setattr(
        KNeighborsClassifier,
        "kneighbors",
        lambda self, *given, **options: (
            kneighbors(self, *given, **options)[:, ::-1] if options else kneighbors(self, *given)
        ),
    )
    assert not any(row.equal.startswith("100.00%") for row in knn_rows(known, trace))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Setting backward hooks")
def test_responses_are_equal_to_rounding() -> None:
    images, _ = tiny_images(5)
    one, many = response_rows(tiny_classifier(), images)
    assert "one image" in one.work and "5 images" in many.work
    for row in (one, many):
        assert float(row.equal.split()[2]) <= 1e-4, row.equal


def test_times_are_those_of_the_work_and_one_thread_does_it() -> None:
    calls: list[int] = []
    before = torch.get_num_threads()
    with one_thread():
        milliseconds, result = timed(lambda: calls.append(torch.get_num_threads()) or len(calls), 3)
    assert calls == [1, 1, 1, 1]  # one is not counted
    assert result == 4 and milliseconds < 1000.0
    assert torch.get_num_threads() == before

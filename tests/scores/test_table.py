"""Questions to the table of scores, against a table that can be read by eye."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from telltale.scores import table


@pytest.fixture
def scores() -> pa.Table:
    columns = ["image_id", "split", "kind", "attack", "label", "linf", "l2", "score_x"]
    rows = [
        (1, "test", "natural", "", 0, 0.0, 0.0, 0.1),
        (2, "test", "natural", "", 1, 0.0, 0.0, 0.2),
        (3, "fit", "natural", "", 1, 0.0, 0.0, 0.3),
        (1, "test", "adversarial", "pgd", 0, 0.1, 1.0, 0.9),
        (2, "test", "failed", "pgd", 1, 0.1, 1.0, 0.4),
        (1, "test", "adversarial", "fgsm", 0, 0.3, 3.0, float("nan")),
    ]
    return pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows])


def test_select_scores(scores: pa.Table) -> None:
    assert table.select_scores(scores, "score_x", "natural").values.tolist() == [0.1, 0.2]
    chosen = table.select_scores(scores, "score_x", "adversarial")
    assert (chosen.values.tolist(), chosen.ids.tolist()) == ([0.9], [1])
    assert len(table.select_scores(scores, "score_x", "adversarial", attack="fgsm")) == 0


def test_the_most_usual_natural_image_comes_first() -> None:
    names = ["image_id", "split", "kind", "label", "score_x", "score_y"]
    rows = [
        (1, "test", "natural", 0, 0.1, 9.0),  # odd to one detector
        (2, "test", "natural", 0, 0.2, 2.0),
        (3, "test", "natural", 1, 0.9, 1.0),  # odd to the other
        (4, "test", "natural", 1, 0.3, 3.0),
        (5, "test", "natural_error", 1, 0.0, 0.0),
    ]
    made = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows])
    assert table.natural_test_ids(made).tolist() == [2, 4, 1, 3]
    assert table.natural_test_ids(made, label=1).tolist() == [4, 3]


def test_natural_test_ids(scores: pa.Table) -> None:
    assert table.natural_test_ids(scores).tolist() == [1, 2]
    assert table.natural_test_ids(scores, label=1).tolist() == [2]
    assert sorted(table.draw_test_ids(scores, 2, seed=0).tolist()) == [1, 2]


def test_success_counts_failures(scores: pa.Table) -> None:
    pgd, fgsm = table.success_rows(scores)
    assert (pgd.attack, pgd.tried, pgd.succeeded, pgd.rate, pgd.median_l2) == ("pgd", 2, 1, 0.5, 1.0)
    assert fgsm.rate == 1.0


def test_share_at_least() -> None:
    assert table.share_at_least(np.array([1.0, 2.0, 3.0]), 2.0) == pytest.approx(2 / 3)
    assert np.isnan(table.share_at_least(np.empty(0), 2.0))

"""Controls against their definitions by hand and scipy, and in tables that lack what they need."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import logsumexp, softmax

from telltale.building.scoring import logit_columns
from telltale.detectors.registry import DETECTORS
from telltale.scores.contests import contest
from telltale.scores.controls import CONTROLS, SEED_OF_RANDOM, column_of, controls_in, with_controls
from telltale.scores.table import scored_detectors
from telltale.scores.titles import detector_title

LOGITS = np.array([[2.0, -1.0, 2.0], [300.0, 0.0, -500.0], [0.5, 0.25, 0.0], [-3.0, -1.0, -2.0]], dtype=np.float32)


@pytest.fixture
def scores() -> pa.Table:
    confidence = softmax(LOGITS.astype(np.float64), axis=1).max(axis=1)
    kinds = {"split": ["test"] * 4, "kind": ["natural", "natural", "adversarial", "natural_error"]}
    columns = {"image_id": [1, 2, 1, 3], **kinds, "attack": ["", "", "pgd", ""], "confidence": confidence}
    return pa.table({**columns, **logit_columns(LOGITS), "score_x": [0.0, 1.0, 2.0, 3.0]})


def test_every_control_is_what_it_says_and_more_suspicious_when_higher(scores: pa.Table) -> None:
    table = with_controls(scores)
    found = {name: np.asarray(table.column(column_of(name))) for name in CONTROLS}
    for row, logits in enumerate(LOGITS.tolist()):
        first, second, _ = sorted(logits, reverse=True)
        top = max(logits)
        total = top + math.log(sum(math.exp(value - top) for value in logits))
        assert found["low_margin"][row] == pytest.approx(second - first)
        assert found["energy"][row] == pytest.approx(-total)
        assert found["low_max_logit"][row] == pytest.approx(-first)
        assert found["low_confidence"][row] == pytest.approx(1.0 - math.exp(first - total), abs=1e-12)
    np.testing.assert_array_equal(found["high_confidence"], 1.0 - found["low_confidence"])
    np.testing.assert_array_equal(found["random"], np.random.default_rng(SEED_OF_RANDOM).random(4))
    np.testing.assert_allclose(logit_columns(LOGITS)["logsumexp"], logsumexp(LOGITS.astype(np.float64), axis=1))


def test_a_control_without_its_column_is_left_out_and_the_rest_goes_on(scores: pa.Table) -> None:
    assert controls_in(scores) == tuple(CONTROLS)
    shipped = scores.drop_columns(["margin", "logsumexp", "max_logit"])
    assert controls_in(shipped) == ("low_confidence", "high_confidence", "random")
    assert controls_in(shipped.drop_columns(["confidence"])) == ("random",)
    assert with_controls(with_controls(shipped)).equals(with_controls(shipped))


def test_controls_are_no_detectors_and_are_marked_as_controls(scores: pa.Table) -> None:
    assert scored_detectors(with_controls(scores)) == ("x",)
    assert not set(CONTROLS) & set(DETECTORS) and not {c.title for c in CONTROLS.values()} & set(DETECTORS)
    assert all(detector_title(name).startswith("Control: ") for name in CONTROLS)


def test_a_control_can_stand_in_a_contest(scores: pa.Table) -> None:
    found = contest(scores, "low_margin", "pgd")
    assert found.natural.values.tolist() == [0.0, -300.0] and found.adversarial.values.tolist() == [-0.25]
    assert found.natural.ids.tolist() == [1, 2]

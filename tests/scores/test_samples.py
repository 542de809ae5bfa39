"""Samples that teach: each is what its lesson says, by a plain walk over the stored rows."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from telltale.bundle import load_bundle
from telltale.bundle.bundle import Bundle
from telltale.scores.samples import Sample, teaching_samples

ALPHA = 0.05
BUNDLES = ("digits", "cifar10")


@functools.cache
def calibration_scores(folder: Path, detector: str) -> npt.NDArray[np.float64]:
    calibration = load_bundle(str(folder)).calibration(detector)
    assert calibration is not None
    return calibration.scores


def alarm(bundle: Bundle, row: Mapping[str, Any], detector: str) -> bool:
    """Return whether a score reaches what at most 5 % of the natural calibration images reach."""
    scores = calibration_scores(bundle.folder, detector)
    at_least = np.count_nonzero(scores >= row[f"score_{detector}"])
    return (at_least + 1) / (len(scores) + 1) <= ALPHA


def noticing(bundle: Bundle, row: Mapping[str, Any]) -> int:
    names = [name.removeprefix("score_") for name in row if name.startswith("score_") and name != "score_fused"]
    return sum(alarm(bundle, row, name) for name in names)


def rows_of(bundle: Bundle) -> list[dict[str, Any]]:
    return [row for row in bundle.scores.to_pylist() if row["split"] == "test"]


@pytest.fixture(scope="module", params=BUNDLES)
def case(request: pytest.FixtureRequest) -> tuple[Bundle, dict[str, Sample], list[dict[str, Any]]]:
    bundle = load_bundle(request.param)
    return bundle, {sample.lesson: sample for sample in teaching_samples(bundle)}, rows_of(bundle)


def test_every_lesson_has_an_image_of_its_own_and_counts_right(case: Any) -> None:
    bundle, samples, rows = case
    assert list(samples) == ["sure", "borderline", "error", "false_alarm", "noticed", "missed"]
    assert len({sample.image_id for sample in samples.values()}) == len(samples)
    for sample in samples.values():
        (row,) = [row for row in rows if (row["image_id"], row["attack"]) == (sample.image_id, sample.attack)]
        assert sample.noticing == noticing(bundle, row), sample
        assert (sample.label, sample.prediction) == (row["label"], row["prediction"])
        assert sample.confidence == row["confidence"]


def test_each_sample_is_the_extreme_that_it_is_shown_for(case: Any) -> None:
    bundle, samples, rows = case
    natural = [row for row in rows if row["kind"] == "natural" and row["image_id"] != samples["sure"].image_id]
    assert samples["borderline"].confidence == min(row["confidence"] for row in natural)
    errors = [row["confidence"] for row in rows if row["kind"] == "natural_error"]
    assert samples["error"].confidence == max(errors) and samples["error"].label != samples["error"].prediction
    others = [row for row in natural if row["image_id"] != samples["borderline"].image_id]
    assert samples["false_alarm"].noticing == max(noticing(bundle, row) for row in others)
    assert samples["sure"].noticing == 0
    calm = {row["image_id"] for row in natural if noticing(bundle, row) == 0}
    assert {samples["noticed"].image_id, samples["missed"].image_id} <= calm
    attacked = [noticing(bundle, row) for row in rows if row["kind"] == "adversarial" and row["image_id"] in calm]
    assert samples["noticed"].noticing == max(attacked)
    unseen = [
        noticing(bundle, row)
        for row in rows
        if row["kind"] == "adversarial" and row["image_id"] in calm and not alarm(bundle, row, "fused")
    ]
    assert samples["missed"].noticing == min(unseen)

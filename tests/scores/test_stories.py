"""Stories told by chance and test images one after the other: all that teach something, by a walk over the rows."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from telltale.bundle import load_bundle
from telltale.scores.samples import another_story, image_beside, stories
from telltale.scores.table import natural_test_ids

ALPHA = 0.05


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_a_story_fooled_the_network_on_an_image_that_looks_natural(name: str) -> None:
    bundle = load_bundle(name)
    kept = {column: bundle.calibration(column.removeprefix("score_")) for column in bundle.scores.column_names}
    scores = {column: calibration.scores for column, calibration in kept.items() if calibration is not None}

    def alarms(row: dict[str, Any]) -> dict[str, bool]:
        """Return which detectors' scores are reached by at most 5 % of the natural calibration images."""
        return {
            column: (np.count_nonzero(known >= row[column]) + 1) / (len(known) + 1) <= ALPHA
            for column, known in scores.items()
            if column.startswith("score_") and not np.isnan(row[column])
        }

    rows = [row for row in bundle.scores.to_pylist() if row["split"] == "test"]
    calm = set()
    for row in rows:
        if row["kind"] == "natural" and not any(on for c, on in alarms(row).items() if c != "score_fused"):
            calm.add(row["image_id"])
    meant = set()
    for row in rows:
        if row["kind"] == "adversarial" and row["image_id"] in calm:
            said = alarms(row)
            meant.add((row["image_id"], row["attack"], "noticed" if said["score_fused"] else "missed"))
    told = stories(bundle, ALPHA)
    assert {(s.image_id, s.attack, s.lesson) for s in told} == meant and len(told) == len(meant) > 10


def test_chance_never_tells_of_the_image_that_is_shown() -> None:
    told = stories(load_bundle("digits"))
    shown = told[0].image_id
    drawn = [another_story(told, shown, Random(seed)) for seed in range(200)]
    assert all(sample in told and sample.image_id != shown for sample in drawn if sample is not None)
    assert None not in drawn and len({sample.image_id for sample in drawn if sample is not None}) > 20
    assert another_story(told, shown, Random(3)) == another_story(told, shown, Random(3))
    assert another_story([sample for sample in told if sample.image_id == shown], shown, Random(0)) is None
    assert another_story([], None, Random(0)) is None


def test_test_images_follow_each_other_round() -> None:
    scores = load_bundle("digits").scores
    order = natural_test_ids(scores).tolist()
    walked, here = [], None
    for _ in order:
        here = image_beside(scores, here, 1)
        walked.append(here)
    assert walked == order and image_beside(scores, here, 1) == order[0]
    assert {image_beside(scores, start, -1) for start in (None, -5, order[0])} == {order[-1]}
    assert image_beside(scores.slice(0, 0), None, 1) is None

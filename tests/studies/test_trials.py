"""Trials in worker processes: the same scores as here, and none computed twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.shipped import images_of, shipped
from telltale.base.processes import Processes, Work
from telltale.building.versions import Versions
from telltale.bundle.fitted import ReferenceFiles
from telltale.detectors.fusion import FUSED
from telltale.evidence.readings import Readings
from telltale.evidence.squeezing import SQUEEZERS
from telltale.studies.tables.trials import Trial, run_trials

DETECTORS = ("mahalanobis", "feature_response")


class Idle(Processes):
    """Workers that must not be needed."""

    def run(self, *works: Work[Any]) -> None:
        assert not any(work.jobs for work in works)


def versions(split: str, noise: float) -> Versions:
    """Natural digits, or the same with noise, which stands for an attack that always succeeds."""
    bundle = shipped().bundle
    ids = getattr(bundle.splits, split)[:60]
    generator = np.random.default_rng(0)
    images = np.clip(images_of(ids) + generator.normal(0, noise, (60, 1, 32, 32)).astype(np.float32), 0, 1)
    readings = Readings(
        {"mean_entropy": generator.normal(2 + noise, 0.1, 60), "squeezed": np.zeros((60, len(SQUEEZERS)))}
    )
    trace, zeros = shipped().classifier.trace(images), np.zeros(60)
    success = trace.predictions == bundle.image_set.labels[ids] if noise == 0 else np.ones(60, dtype=bool)
    attack = "noise" if noise else ""
    return Versions(split, attack, ids, trace.predictions, trace, readings, success, zeros, zeros, zeros)


@pytest.mark.slow
def test_workers_score_as_one_process_does_and_a_second_run_does_nothing(tmp_path: Path) -> None:
    bundle = shipped().bundle
    reference = ReferenceFiles(bundle.folder, bundle.layers, len(bundle.class_names))
    pairs = [(versions(split, 0.0), versions(split, 0.4)) for split in ("fit", "test")]
    trials = [
        Trial(DETECTORS, pairs[0], (pairs[1], pairs[0]), fused=True),
        Trial(DETECTORS[:1], pairs[0], (pairs[1],), last_layer=True),
    ]
    with Processes() as processes:
        found = run_trials(trials, reference, tmp_path, processes, lambda *_: None)
    for trial, tests in zip(trials, found, strict=True):
        for test, scores in enumerate(trial.scores(shipped().reference)):
            assert set(tests[test]) == set(scores) == {*trial.detectors, *([FUSED] if trial.fused else [])}
            for name, values in scores.items():
                assert len(values) == len(trial.labels(test))
                np.testing.assert_allclose(tests[test][name], values, rtol=1e-6)
    assert not np.array_equal(found[0][0]["mahalanobis"], found[1][0]["mahalanobis"])
    again = run_trials(trials, reference, tmp_path, Idle(), lambda *_: None)
    for one, two in zip(found, again, strict=True):
        for scores, same in zip(one, two, strict=True):
            assert all(np.array_equal(values, same[name]) for name, values in scores.items())


def test_other_images_or_settings_are_another_trial() -> None:
    natural, attacked, stronger = versions("fit", 0.0), versions("fit", 0.2), versions("fit", 0.4)
    keys = {
        Trial(DETECTORS, (natural, attacked), ((natural, attacked),), **changed).key
        for changed in ({}, {"last_layer": True}, {"fused": True})
    }
    keys.add(Trial(DETECTORS, (natural, stronger), ((natural, attacked),)).key)
    keys.add(Trial(DETECTORS[:1], (natural, attacked), ((natural, attacked),)).key)
    assert len(keys) == 5

"""The matrix of catches and the images behind it against verdicts given one image at a time."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

from support.shipped import shipped
from telltale.scores.calibration import Calibration
from telltale.scores.caught import caught_matrix, extremes
from telltale.scores.controls import CONTROLS
from telltale.scores.rates import thresholds

ALPHA = 0.05


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_the_matrix_counts_single_verdicts(name: str) -> None:
    bundle = shipped(name).bundle
    rows = [row for row in bundle.scores.to_pylist() if row["split"] == "test"]
    found = caught_matrix(bundle.scores, thresholds(bundle.scores, ALPHA))
    wanted = {
        "natural": lambda row: row["kind"] == "natural",
        "natural errors": lambda row: row["kind"] == "natural_error",
        "all attacks": lambda row: row["kind"] == "adversarial",
    }
    assert (*found.groups[:2], found.groups[-1]) == ("natural", "all attacks", "natural errors")
    detectors = [detector for detector in found.names if detector not in CONTROLS]
    assert set(detectors) == {*bundle.manifest.detectors, "fused"}
    for detector in detectors:
        calibration = bundle.calibration(detector)
        scored = [row for row in rows if math.isfinite(row[f"score_{detector}"])]
        alarms = [calibration.p_value(row[f"score_{detector}"]) <= ALPHA for row in scored]
        for group in found.groups:
            belongs = wanted.get(
                group, lambda row, attack=group: (row["kind"], row["attack"]) == ("adversarial", attack)
            )
            those = [alarm for row, alarm in zip(scored, alarms, strict=True) if belongs(row)]
            rate = found.rates[detector, group]
            assert (rate.count, rate.total) == (sum(those), len(those)), (detector, group)


def test_the_fused_verdict_comes_first_and_controls_last() -> None:
    bundle = shipped("cifar10").bundle
    found = caught_matrix(bundle.scores, thresholds(bundle.scores, ALPHA))
    assert found.names[0] == "fused"
    controls = [name in CONTROLS for name in found.names]
    assert controls == sorted(controls) and any(controls)
    shares = [found.rates[name, "all attacks"].share for name in found.names[1 : controls.index(True)]]
    assert shares == sorted(shares, reverse=True)


def test_softmax_confidence_as_a_control_is_counted_like_a_detector() -> None:
    bundle = shipped("digits").bundle
    found = caught_matrix(bundle.scores, thresholds(bundle.scores, ALPHA))
    calibration = Calibration.of(
        [
            1.0 - row["confidence"]
            for row in bundle.scores.to_pylist()
            if (row["split"], row["kind"]) == ("calibration", "natural")
        ]
    )
    test = [row for row in bundle.scores.to_pylist() if (row["split"], row["kind"]) == ("test", "adversarial")]
    caught = [calibration.p_value(1.0 - row["confidence"]) <= ALPHA for row in test]
    rate = found.rates["low_confidence", "all attacks"]
    assert (rate.count, rate.total) == (sum(caught), len(caught))


def planted() -> pa.Table:
    """Return scores in which each image's place in the lists is known beforehand."""
    kinds = [
        ("natural", "", 1, 0.9),
        ("natural", "", 2, 0.1),
        ("natural", "", 3, 0.7),
        ("natural_error", "", 4, 0.8),
        ("natural_error", "", 5, 0.0),
        ("adversarial", "pgd", 1, 0.4),
        ("adversarial", "pgd", 2, 0.5),
        ("adversarial", "pgd", 3, 0.6),
        ("adversarial", "cw", 1, 0.2),
        ("adversarial", "cw", 2, 0.95),
        ("adversarial", "cw", 3, float("nan")),
        ("failed", "cw", 6, 1.0),
    ]
    return pa.table(
        {
            "split": ["test"] * len(kinds) + ["calibration"],
            "kind": [kind for kind, *_ in kinds] + ["natural"],
            "attack": [attack for _, attack, *_ in kinds] + [""],
            "image_id": [image_id for *_, image_id, _ in kinds] + [9],
            "label": [1] * len(kinds) + [1],
            "prediction": [2] * len(kinds) + [1],
            "confidence": [0.75] * len(kinds) + [0.5],
            "score_lid": [score for *_, score in kinds] + [1.0],
        }
    )


def told(images: object) -> list[tuple[int, str, float]]:
    return [(image.image_id, image.attack, image.score) for image in images]  # type: ignore[attr-defined]


def test_lists_are_ordered_and_hold_no_image_twice() -> None:
    found = extremes(planted(), "lid", "all attacks", 0.5, 8)
    assert told(found.missed) == [(1, "cw", 0.2)], "the same image after PGD is missed, too, but comes later"
    assert told(found.found) == [(2, "cw", 0.95), (3, "pgd", 0.6)]
    assert told(found.accused) == [(1, "", 0.9), (3, "", 0.7)]
    assert (found.n_missed, found.n_found, found.n_accused) == (2, 3, 2), "versions are counted, not images"
    assert (found.missed[0].label, found.missed[0].prediction, found.missed[0].confidence) == (1, 2, 0.75)


def test_lists_of_one_attack_and_of_natural_errors() -> None:
    found = extremes(planted(), "lid", "pgd", 0.5, 1)
    assert (told(found.missed), told(found.found)) == ([(1, "pgd", 0.4)], [(3, "pgd", 0.6)])
    assert (found.n_missed, found.n_found) == (1, 2)
    errors = extremes(planted(), "lid", "natural errors", 0.5, 8)
    assert (told(errors.missed), told(errors.found)) == ([(5, "", 0.0)], [(4, "", 0.8)])


def test_scores_that_are_not_numbers_are_neither_missed_nor_counted() -> None:
    rate = caught_matrix(planted(), {"lid": 0.5}).rates["lid", "cw"]
    assert (rate.count, rate.total) == (1, 2)
    assert all(image.image_id != 3 for image in extremes(planted(), "lid", "cw", 0.5, 8).missed)


def test_without_thresholds_the_matrix_is_empty() -> None:
    assert caught_matrix(planted(), {}).names == ()

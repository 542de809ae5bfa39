"""Rates from stored scores against verdicts given one image at a time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy.stats import binomtest

from support.shipped import shipped
from telltale.base.errors import InputError
from telltale.scores.calibration import Calibration, fused_kind
from telltale.scores.controls import with_controls
from telltale.scores.rates import ALL_NATURAL, Rate, fused_kinds, rates_of


@pytest.mark.parametrize(("name", "alpha"), [("digits", 0.01), ("cifar10", 0.05)])
def test_rates_are_counts_of_single_verdicts(name, alpha) -> None:
    bundle = shipped(name).bundle
    rows = [row for row in bundle.scores.to_pylist() if row["split"] == "test"]
    found = rates_of(bundle.scores, alpha)
    attack, error = bundle.calibration("fused"), bundle.calibration("error_score")
    kinds = Counter()
    for row in rows:
        verdict = attack.verdict("fused", row["score_fused"], alpha)
        wrong = None if error is None else error.verdict("error_score", row["error_score"], alpha)
        kinds[row["kind"], row["attack"], fused_kind(verdict, wrong)] += 1
    for shown in found.shown:
        wanted = {
            "natural": lambda kind, _: kind == "natural",
            "natural_error": lambda kind, _: kind == "natural_error",
            ALL_NATURAL: lambda kind, _: kind.startswith("natural"),
            "all attacks": lambda kind, _: kind == "adversarial",
        }.get(shown.group, lambda kind, attack, group=shown.group: (kind, attack) == ("adversarial", group))
        for kind in ("adversarial", "error", "natural"):
            count = sum(n for (of, by, said), n in kinds.items() if said == kind and wanted(of, by))
            assert getattr(shown, kind).count == count, (shown.group, kind)
    if error is None:
        assert found.errors is None
    else:
        for kind, rate in zip(("natural", "natural_error", "adversarial"), vars(found.errors).values(), strict=True):
            scored = [error.p_value(row["error_score"]) for row in rows if row["kind"] == kind]
            assert rate == Rate(sum(p <= alpha for p in scored), len(scored)), kind
    for alarm in found.alarms:
        if alarm.name not in bundle.manifest.detectors:
            continue
        calibration = bundle.calibration(alarm.name)
        p_values = [(row["kind"], calibration.p_value(row[f"score_{alarm.name}"])) for row in rows]
        assert alarm.correct.count == sum(kind == "natural" and p <= alpha for kind, p in p_values)
        assert alarm.every.count == sum(kind.startswith("natural") and p <= alpha for kind, p in p_values)


def test_controls_are_calibrated_on_the_same_natural_images() -> None:
    scores = shipped("digits").bundle.scores
    rows = with_controls(scores).to_pylist()
    held_out = [r["confidence"] for r in rows if (r["split"], r["kind"]) == ("calibration", "natural")]
    threshold = Calibration.of(held_out).threshold(0.05)
    natural = [r["confidence"] >= threshold for r in rows if (r["split"], r["kind"]) == ("test", "natural")]
    (found,) = [alarm for alarm in rates_of(scores, 0.05).alarms if alarm.name == "high_confidence"]
    assert found.correct == Rate(sum(natural), len(natural))


def test_a_rate_has_the_exact_interval() -> None:
    assert Rate(7, 90).interval == pytest.approx(tuple(binomtest(7, 90).proportion_ci(0.95, "exact")), abs=1e-9)
    assert Rate(0, 0).interval == (0.0, 1.0) and np.isnan(Rate(0, 0).share)


def test_without_a_calibration_split_nothing_is_counted_and_one_from_elsewhere_serves() -> None:
    scores = shipped("digits").bundle.scores
    test = scores.filter([split == "test" for split in scores["split"].to_pylist()])
    assert rates_of(test, 0.05).alarms == () and rates_of(test, 0.05).shown == ()
    elsewhere = {alarm.name: alarm for alarm in rates_of(test, 0.05, scores).alarms}
    for alarm in rates_of(scores, 0.05).alarms:
        assert alarm.name == "random" or elsewhere[alarm.name] == alarm
    with pytest.raises(InputError, match="between 0 and 1"):
        rates_of(scores, 1.0)


def test_the_larger_odds_decide_between_attacked_and_misread() -> None:
    attack, error = np.array([0.0, 2.0, 2.0, 2.0, 0.0]), np.array([0.0, 0.0, 1.5, 3.0, 3.0])
    found = fused_kinds(attack, error, 1.0, 1.0).tolist()
    assert found == ["natural", "adversarial", "adversarial", "error", "error"]
    assert fused_kinds(attack, None, 1.0, np.inf).tolist() == ["natural"] + 3 * ["adversarial"] + ["natural"]

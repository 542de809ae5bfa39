"""The leaderboard: the whole comparison in text and as JSON, from shipped scores."""

from __future__ import annotations

import contextlib
import functools
import io
import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import binomtest

from support.shifted import made_shift
from telltale.analysis import costs
from telltale.building import shifting
from telltale.bundle import load_bundle
from telltale.cli import main
from telltale.scores import evaluation
from telltale.scores.comparing import compare
from telltale.scores.contests import contest
from telltale.scores.controls import controls_in
from telltale.scores.rejection import SCHEMA
from telltale.scores.table import attacks_in, scored_detectors
from telltale.studies.rejection import results as rejection_results
from telltale.studies.shift import results as shift_results

ORIGINAL = evaluation.evaluate_stored


@functools.cache
def evaluated(name: str, alpha: float) -> evaluation.Evaluation:
    return ORIGINAL(load_bundle(name), alpha)


@pytest.fixture(scope="module")
def record() -> dict:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["leaderboard", "digits", "--alpha", "0.1", "--json"]) == 0
    return json.loads(out.getvalue())


def test_every_detector_and_control_stands_against_every_attack(record) -> None:
    scores = load_bundle("digits").scores
    names = {*scored_detectors(scores), *controls_in(scores)}
    found = {}
    for row in record["rows"]:
        found.setdefault(row["attack"], []).append(row)
    assert set(found) == {"macro", "natural_error", *attacks_in(scores)}
    for rows in found.values():
        assert {row["name"] for row in rows} == names
        assert [row["auc"] for row in rows] == sorted((row["auc"] for row in rows), reverse=True)
        assert {row["name"] for row in rows if row["control"]} == set(controls_in(scores))
        assert [row["name"] for row in rows if row["fused_minus_this"] is None] == ["fused"]


def test_its_comparisons_are_paired_and_its_macro_is_the_mean(record) -> None:
    bundle = load_bundle("digits")
    rows = {(row["attack"], row["name"]): row for row in record["rows"]}
    for attack, name in (("deepfool", "low_confidence"), ("pgd", "mahalanobis")):
        alone = compare(contest(bundle.scores, "fused", attack), contest(bundle.scores, name, attack), bundle.seed)
        assert rows[attack, name]["fused_minus_this"] == alone.to_json()
    for name in ("fused", "high_confidence"):
        for figure in ("auc", "tpr"):
            mean = np.mean([rows[attack, name][figure] for attack in bundle.macro_attacks])
            assert rows["macro", name][figure] == pytest.approx(mean)
            assert rows["macro", name][f"{figure}_low"] <= mean <= rows["macro", name][f"{figure}_high"]
        for rate, value in rows["macro", name]["tpr_at_fpr"].items():
            low, high = rows["macro", name]["tpr_intervals"][rate]
            assert value == pytest.approx(np.mean([rows[a, name]["tpr_at_fpr"][rate] for a in bundle.macro_attacks]))
            assert low <= value <= high
    assert record["rates"]["alpha"] == 0.1 and record["cost"] is None


def test_false_alarms_are_counted_at_three_rates_on_both_sets_of_images(record) -> None:
    scores = load_bundle("digits").scores.to_pandas()
    known = scores.query("split == 'calibration' and kind == 'natural'")["score_fused"].to_numpy()
    test = scores.query("split == 'test'")
    assert list(record["false_alarms"]) == ["0.01", "0.05", "0.1"]
    for rate, alarms in record["false_alarms"].items():
        (found,) = (entry for entry in alarms if entry["name"] == "fused")
        for key, kinds in {"correct": ["natural"], "every": ["natural", "natural_error"]}.items():
            drawn = test[test["kind"].isin(kinds)]["score_fused"].to_numpy()
            p_values = (1 + (known[None] >= drawn[:, None]).sum(axis=1)) / (1 + len(known))
            count, total = int((p_values <= float(rate)).sum()), len(drawn)
            assert (found[key]["count"], found[key]["total"]) == (count, total)
            ends = binomtest(count, total).proportion_ci(method="exact")
            assert (found[key]["low"], found[key]["high"]) == pytest.approx((ends.low, ends.high))


def test_whatever_is_ahead_of_the_verdict_is_listed(record) -> None:
    lost = [
        (r["attack"], r["name"])
        for r in record["rows"]
        if r["name"] != "fused" and r["fused_minus_this"] and r["fused_minus_this"]["auc"]["value"] < 0
    ]
    listed = [(pair["attack"], pair["second"]) for pair in record["ahead_of_fused"]]
    assert sorted(listed) == sorted(lost) and ("cw", "low_confidence") in listed


def told(*arguments: str) -> dict:
    """Return what the command says as JSON."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["leaderboard", "digits", *arguments, "--json"]) == 0
    return json.loads(out.getvalue())


@pytest.fixture
def once(monkeypatch) -> None:
    """Evaluate a bundle at one rate only once."""
    monkeypatch.setattr(
        evaluation, "evaluate_stored", lambda bundle, alpha=evaluation.ALPHA: evaluated(bundle.name, alpha)
    )


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Let stored results lie in an empty folder."""
    for module, name in ((shift_results, "shift"), (rejection_results, "rejection")):
        monkeypatch.setattr(module, "RESULTS", tmp_path / name)


@pytest.mark.usefixtures("elsewhere", "once")
def test_shift_is_measured_stored_and_then_read(monkeypatch, capsys) -> None:
    measured = []

    def shift_alarms(_loaded, alpha, images, _progress):
        measured.append((alpha, images))
        return made_shift()

    monkeypatch.setattr(shifting, "shift_alarms", shift_alarms)
    assert told()["shift"] is None
    assert told("--shift", "--images", "7")["shift"] == made_shift().to_json()
    assert told()["shift"] is None
    told("--shift", "--store")
    assert told()["shift"] == made_shift().to_json()
    assert measured == [(0.05, 7), (0.05, 300)]
    assert main(["leaderboard", "digits"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "exceed 10 % under some change for NNIF (15 %, " in out and ", noise σ 8/255)" in out
    assert f"`{rejection_results.full_command(load_bundle('digits'))}` makes it" in out


@pytest.mark.parametrize("arguments", [["--store"], ["--shift", "--store", "--alpha", "0.1"]])
def test_nothing_but_shift_at_five_percent_is_stored(arguments, capsys) -> None:
    assert main(["leaderboard", "digits", *arguments]) == 2
    assert capsys.readouterr().err.startswith("--store ")


@pytest.mark.usefixtures("elsewhere", "once")
def test_stored_success_after_rejection_is_told_of_both_kinds_of_attackers(capsys) -> None:
    bundle = load_bundle("digits")
    rows = [
        {
            "attack": attack,
            "knowledge": knowledge,
            "eps": 8,
            "image_id": image,
            "wrong": image < wrong,
            "score_fused": 0.0,
            "p_value": 0.5 if image < wrong - 2 else 0.01,
        }
        for attack, knowledge, wrong in (("fgsm", "none", 4), ("adaptive", "adaptive", 9))
        for image in range(10)
    ]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    origin = rejection_results.Origin("digits", bundle.id, "f", "c", 0, "fused", {})
    file = rejection_results.stored_at(bundle)
    file.parent.mkdir(parents=True)
    rejection_results.save_rejection(file, rejection_results.StoredRejection(table, origin))
    found = told()["after_rejection"]
    assert {row["knowledge"] for row in found["rows"]} == {"none", "adaptive"} and found["alpha"] == 0.05
    blind, first = (next(row for row in found["rows"] if row["knowledge"] == kind) for kind in ("none", "adaptive"))
    assert (blind["before"]["count"], blind["after"]["count"]) == (4, 2)
    assert (first["eps"], first["before"]["count"], first["after"]["count"], first["after"]["total"]) == (8, 9, 7, 10)
    ends = binomtest(7, 10).proportion_ci(method="exact")
    assert (first["after"]["low"], first["after"]["high"]) == pytest.approx((ends.low, ends.high))
    assert main(["leaderboard", "digits"]) == 0
    assert "34.75–93.33" in capsys.readouterr().out


@pytest.mark.usefixtures("once")
def test_costs_stand_in_every_table_and_row(monkeypatch, capsys) -> None:
    made = costs.Costs(2.5, 1.25, {"squeezing": 4.0}, {"fused": 77.5, "lid": 0.125}, 3, "test images")
    monkeypatch.setattr(costs, "measure_costs", lambda *_, **__: made)
    found = told("--cost")
    by_name = {row["name"]: row["cost"] for row in found["rows"]}
    assert found["cost"]["detectors"] == {"fused": 77.5, "lid": 0.125}
    assert (by_name["fused"], by_name["lid"], by_name["random"], by_name["dknn"]) == (77.5, 0.125, 0.0, None)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["leaderboard", "digits", "--cost"]) == 0
    out = capsys.readouterr().out
    assert out.count(" 77.5 ") == len({row["attack"] for row in found["rows"]}) and "2.50 ms" in out
    assert "…" not in out


@pytest.mark.usefixtures("once")
def test_the_text_fits_80_columns_marks_controls_and_says_what_wins(capsys, monkeypatch) -> None:
    for name, value in {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    for command in ("leaderboard", "evaluate"):
        assert main([command, "digits"]) == 0
        out = capsys.readouterr().out
        assert command == "evaluate" or "Where the fused verdict is beaten" in out
        assert "(low_confidence)" in out and "…" not in out
        assert "Low softmax confidence alone does better than the fused verdict on C&W-L2" in out
        assert "shows images as" in out and "347 read correctly" in out and "all 350" in out


def test_an_alpha_that_is_none_is_refused(capsys) -> None:
    assert main(["leaderboard", "digits", "--alpha", "1"]) == 2
    assert "between 0 and 1" in capsys.readouterr().err

"""The leaderboard: the whole comparison in text and as JSON, from shipped scores."""

from __future__ import annotations

import json

import numpy as np
import pytest

from telltale.bundle import load_bundle
from telltale.cli import main
from telltale.scores.comparing import compare
from telltale.scores.contests import contest
from telltale.scores.controls import controls_in
from telltale.scores.table import attacks_in, scored_detectors


@pytest.fixture(scope="module")
def record() -> dict:
    import contextlib
    import io

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
    assert record["rates"]["alpha"] == 0.1 and record["shift"] is None


def test_the_text_fits_80_columns_marks_controls_and_says_what_wins(capsys, monkeypatch) -> None:
    for name, value in {"COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    for command in ("leaderboard", "evaluate"):
        assert main([command, "digits"]) == 0
        out = capsys.readouterr().out
        assert "(low_confidence)" in out and "…" not in out
        assert "Low softmax confidence alone does better than the fused verdict on C&W-L2" in out
        assert "shows images as" in out and "347 read correctly" in out and "all 350" in out


def test_an_alpha_that_is_none_is_refused(capsys) -> None:
    assert main(["leaderboard", "digits", "--alpha", "1"]) == 2
    assert "between 0 and 1" in capsys.readouterr().err

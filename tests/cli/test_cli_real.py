"""The command line as people start it, on the shipped bundle: one JSON object with stable keys, or one sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from support.shipped import SHIPPED_DETECTORS, columns, correct_test_ids, images_of, shipped
from telltale.analysis.analyse import analyse_image
from telltale.attacks.perturbation import perturbation_norms
from telltale.base.images import image_sha256
from telltale.data.uploads import load_image_file, png_bytes
from telltale.recipes import get_recipe

pytestmark = pytest.mark.slow

SHAPE = (1, 32, 32)
VERDICT_KEYS = {"detector", "score", "p_value", "threshold", "adversarial"}
ATTACK_KEYS = {
    *("attack", "bundle", "parameters", "seed", "target", "success", "label", "prediction", "linf", "l2", "l0"),
    *("gradients", "queries", "seconds", "out", "image_sha256"),
}
ROW_KEYS = {
    *("detector", "attack", "auc", "auc_low", "auc_high", "eer_accuracy", "tpr_at_fpr"),
    *("tpr_intervals", "n_natural", "n_adversarial"),
}


def run(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m telltale`` in a folder of its own, as from a terminal."""
    command = [sys.executable, "-m", "telltale", *arguments]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=300, check=False)


def answer(place: Path, *arguments: str) -> dict[str, Any]:
    """Return the one JSON object that a command prints, with nothing beside it."""
    ran = run(place, *arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    assert ran.stdout.endswith("\n") and ran.stdout.count("\n") == 1
    record = json.loads(ran.stdout, parse_constant=pytest.fail)
    assert isinstance(record, dict)
    return record


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "seven.png").write_bytes(png_bytes(images_of(correct_test_ids(5))[2]))
    return tmp_path


def test_an_attack_and_its_analysis_can_be_checked_from_the_files(place: Path) -> None:
    told = answer(place, "attack", "seven.png", "--attack", "pgd", "--set", "eps=0.15", "--seed", "4", "--out", "a.png")
    assert set(told) == ATTACK_KEYS
    assert told["parameters"]["eps"] == 0.15 and told["seed"] == 4 and told["out"] == "a.png"
    assert sorted(path.name for path in place.iterdir()) == ["a.png", "seven.png"]
    natural, attacked = (load_image_file(place / name, SHAPE) for name in ("seven.png", "a.png"))
    assert image_sha256(attacked) == told["image_sha256"]
    linf, l2, l0 = (float(norm[0]) for norm in perturbation_norms(natural[None], attacked[None]))
    assert (told["linf"], told["l2"], told["l0"]) == pytest.approx((linf, l2, l0), abs=1e-12)
    assert 0 < linf <= 0.15 + 1e-9
    names = shipped().bundle.class_names
    read = [names[c] for c in shipped().classifier.predict(np.stack([natural, attacked]))]
    assert [told["label"], told["prediction"]] == read
    assert told["success"] is (read[0] != read[1])

    said = answer(place, "analyse", "a.png", "--alpha", "0.1")
    assert set(said) == {"image_sha256", "prediction", "verdicts", "fused", "timings_ms"}
    assert said["image_sha256"] == told["image_sha256"]
    expected = analyse_image(shipped(), attacked, 0.1)
    assert said["prediction"]["label"] == expected.prediction.name == told["prediction"]
    assert said["prediction"]["confidence"] == pytest.approx(expected.prediction.confidence, abs=1e-9)
    assert [verdict["detector"] for verdict in said["verdicts"]] == list(SHIPPED_DETECTORS)
    for verdict in said["verdicts"]:
        assert set(verdict) == VERDICT_KEYS
        own = expected.verdict(verdict["detector"])
        for key in ("score", "p_value", "threshold"):
            assert verdict[key] == pytest.approx(getattr(own, key), rel=1e-9)
        assert verdict["adversarial"] is own.adversarial


def test_evaluate_reports_what_the_stored_scores_say(tmp_path: Path) -> None:
    told = answer(tmp_path, "evaluate", "digits")
    figures = {"rows", "macro_auc", "macro", "attacks", "natural_errors", "controls", "standings", "rates"}
    assert set(told) == {"bundle", *figures}
    assert {row["detector"] for row in told["rows"]} == set(told["macro_auc"]) == {*SHIPPED_DETECTORS, "fused"}
    assert [a["attack"] for a in told["attacks"]] == [plan.name for plan in get_recipe("digits").attacks]
    stored = columns()
    test = stored["split"] == "test"
    for row in told["rows"]:
        assert set(row) == ROW_KEYS
        if row["attack"] == "natural_error":
            continue
        natural = stored[f"score_{row['detector']}"][test & (stored["kind"] == "natural")]
        chosen = test & (stored["kind"] == "adversarial") & (stored["attack"] == row["attack"])
        scores = np.r_[natural, stored[f"score_{row['detector']}"][chosen]]
        truth = np.r_[np.zeros(len(natural)), np.ones(chosen.sum())]
        assert row["auc"] == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
        assert row["auc_low"] <= row["auc"] <= row["auc_high"]


def test_bench_bundles_and_verify_answer(tmp_path: Path) -> None:
    bench = answer(tmp_path, "bench", "digits", "--quick")
    assert set(bench) == {
        *("analyse_ms", "forward_backward_ms", "influence_ms", "neighbours_ms", "response_ms"),
        *("n_train", "peak_rss_mb", "analyse_to_forward_backward", "comparisons"),
    }
    ratio = bench["analyse_ms"]["p50"] / bench["forward_backward_ms"]
    assert bench["analyse_to_forward_backward"] == pytest.approx(ratio)
    assert bench["comparisons"] == []
    assert 0 < bench["analyse_ms"]["p50"] <= bench["analyse_ms"]["p95"]
    assert bench["n_train"] == len(shipped().bundle.splits.train)
    assert 50 < bench["peak_rss_mb"] < 4000
    listed = answer(tmp_path, "bundles")["bundles"]
    digits = next(row for row in listed if row["name"] == "digits")
    assert set(digits) == {
        *("name", "title", "classes", "images", "image_shape", "references", "training_images", "size_bytes"),
        *("accuracy", "lacks", "images_command", "problem"),
    }
    assert digits["lacks"] == [] and digits["references"] == bench["n_train"]
    assert digits["classes"] == 10 and digits["problem"] is None and digits["accuracy"] >= 0.98
    verified = answer(tmp_path, "verify", "digits")
    assert set(verified) == {"bundle", "ok", "files"} and verified["ok"] is True
    assert {entry["file"] for entry in verified["files"]} == set(shipped().bundle.manifest.files)


@pytest.mark.parametrize(
    "arguments",
    [
        ("attack", "absent.png", "--out", "a.png"),
        ("attack", "seven.png", "--attack", "pgd", "--set", "eps=7", "--out", "a.png"),
        ("attack", "text.png", "--out", "a.png"),
        ("analyse", "wide.png"),
        ("evaluate", "nowhere"),
    ],
    ids=lambda arguments: " ".join(arguments[:4]),
)
def test_what_is_wrong_is_said_in_one_line(place: Path, arguments: tuple[str, ...]) -> None:
    (place / "text.png").write_text("not a picture")
    (place / "wide.png").write_bytes(png_bytes(np.zeros((1, 32, 40), dtype=np.float32)))
    before = sorted(place.iterdir())
    ran = run(place, *arguments, "--json")
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1 and ran.stderr.endswith(".\n")
    assert "Traceback" not in ran.stderr
    assert sorted(place.iterdir()) == before

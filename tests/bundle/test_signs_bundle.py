"""The bundle of drawn signs: pictures are drawn anew; figures come from them, its weights and its scores."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import betabinom, binomtest
from sklearn.metrics import roc_auc_score

from support.shipped import WITH_TWIN, columns, rows, shipped
from telltale.attacks.attack import attack_images
from telltale.attacks.registry import get_attack
from telltale.base.parameters import validate_parameters
from telltale.base.places import PRECOMPUTED
from telltale.bundle import verify_bundle
from telltale.data.splits import SPLIT_NAMES, Splits
from telltale.detectors.fusion import FUSED
from telltale.recipes import SIGNS
from telltale.scores.evaluation import evaluate_stored
from telltale.scores.opening import opening
from telltale.signs.drawn import place_of
from telltale.signs.picture import kind_of, render

FOLDER = PRECOMPUTED / "signs"
LARGEST_BYTES = 25_000_000
SAMPLE = 12  # images that are drawn for one comparison
ROUNDED = 0.15  # what half precision of the references may change in a score


def drawn(ids: np.ndarray) -> np.ndarray:
    """Return pictures as `render` draws them, without image set and cache."""
    return np.stack([render(0, *place_of(int(image_id))) for image_id in ids]) / np.float32(255)


def test_every_file_is_as_it_was_built_and_the_whole_is_small() -> None:
    assert {report.state for report in verify_bundle(FOLDER)} == {"ok"}
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".parquet", ".json"}
    assert sum(path.stat().st_size for path in files) <= LARGEST_BYTES


def test_it_is_the_recipes_bundle_of_drawn_pictures() -> None:
    bundle = shipped("signs").bundle
    assert (bundle.name, bundle.manifest.title, bundle.seed) == (SIGNS.name, SIGNS.title, SIGNS.seed)
    assert bundle.drawn and bundle.story == SIGNS.story and bundle.trained_on and not bundle.own
    assert bundle.data_problem is None and set(bundle.manifest.detectors) == set(WITH_TWIN)
    image_set = bundle.require_images()
    splits = Splits.draw_within(image_set.labels, SIGNS.sizes, SIGNS.seed, *image_set.own_held_out)
    for name in SPLIT_NAMES:
        np.testing.assert_array_equal(getattr(bundle.splits, name), getattr(splits, name))
    assert {name: {place_of(int(i))[0] for i in getattr(bundle.splits, name)} for name in SPLIT_NAMES} == {
        "train": {"train"}, "fit": {"validation"}, "calibration": {"validation"}, "test": {"test"}
    }  # fmt: skip
    stored_labels, ids = columns("signs")["label"], columns("signs")["image_id"]
    assert all(kind_of(place_of(int(i))[1]) == label for i, label in zip(ids[::97], stored_labels[::97], strict=True))


def test_every_attack_of_the_recipe_was_run_as_it_says() -> None:
    entries = {entry["name"]: entry for entry in shipped("signs").bundle.manifest.attacks}
    assert list(entries) == [plan.name for plan in SIGNS.attacks] and len(entries) == 13
    for plan in SIGNS.attacks:
        assert entries[plan.name]["parameters"] == validate_parameters(
            get_attack(plan.name).parameters, plan.parameters, plan.name
        )
        tried = rows("signs", split="test", attack=plan.name)
        won = rows("signs", split="test", attack=plan.name, kind="adversarial")
        assert entries[plan.name]["test"]["success_rate"] == pytest.approx(won.sum() / tried.sum(), abs=1e-12)


def test_the_classifier_reads_more_than_97_of_100_test_pictures() -> None:
    bundle = shipped("signs").bundle
    natural = rows("signs", split="test", attack="")
    right = columns("signs")["prediction"][natural] == columns("signs")["label"][natural]
    assert len(right) == 2000 and right.mean() == pytest.approx(bundle.manifest.accuracies["test"], abs=1e-12)
    assert right.mean() >= 0.97


def assert_stored(images: np.ndarray, chosen: np.ndarray) -> None:
    loaded = shipped("signs")
    evidence = loaded.evidence(images)
    np.testing.assert_array_equal(evidence.predictions, columns("signs")["prediction"][chosen])
    for name, scores in loaded.fitted.score_all(evidence).items():
        before = columns("signs")[f"score_{name}"][chosen]
        spread = np.ptp(columns("signs")[f"score_{name}"][rows("signs", split="test", kind="natural")])
        assert np.abs(scores - before).max() <= ROUNDED * max(spread, 1e-6), name


def test_stored_scores_of_natural_pictures_are_recomputed() -> None:
    chosen = np.flatnonzero(rows("signs", split="test", attack=""))[:: 2000 // SAMPLE]
    assert_stored(drawn(columns("signs")["image_id"][chosen]), chosen)


@pytest.mark.parametrize("attack", ["pgd", "deepfool"])
def test_stored_scores_of_attacked_pictures_are_recomputed(attack: str) -> None:
    chosen = np.flatnonzero(rows("signs", split="test", attack=attack, kind="adversarial"))[:SAMPLE]
    parameters = shipped("signs").bundle.attack_parameters(attack)
    images, labels = drawn(columns("signs")["image_id"][chosen]), columns("signs")["label"][chosen]
    result = attack_images(shipped("signs").classifier, images, attack, parameters, labels=labels, seed=SIGNS.seed)
    assert result.success.all()
    np.testing.assert_allclose(result.l2, columns("signs")["l2"][chosen], rtol=0.02)


def test_the_fused_verdict_is_what_its_scores_make_of_it() -> None:
    natural = columns("signs")[f"score_{FUSED}"][rows("signs", split="test", kind="natural")]
    told = evaluate_stored(shipped("signs").bundle)
    aucs = {}
    for attack in SIGNS.macro_attacks:
        adversarial = columns("signs")[f"score_{FUSED}"][rows("signs", split="test", kind="adversarial", attack=attack)]
        truth = np.r_[np.zeros(len(natural)), np.ones(len(adversarial))]
        aucs[attack] = roc_auc_score(truth, np.r_[natural, adversarial])
    assert told.macro_auc[FUSED] == pytest.approx(float(np.mean(list(aucs.values()))), abs=1e-12)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_the_fused_verdicts_rate_of_false_alarms_holds(alpha: float) -> None:
    calibration = shipped("signs").calibrations[FUSED]
    assert calibration is not None and len(calibration.scores) >= 1150
    scores = columns("signs")[f"score_{FUSED}"][rows("signs", split="test", kind="natural")]
    alarms = int((scores >= calibration.threshold(alpha)).sum())
    n = len(calibration.scores)
    k = int(np.floor(alpha * (n + 1)))
    low, high = betabinom(len(scores), k, n + 1 - k).interval(0.99)
    assert low <= alarms <= high, f"{alarms} of {len(scores)}"
    assert binomtest(alarms, len(scores)).proportion_ci(0.999).high > alpha / 2


def test_it_opens_on_a_stop_sign_that_is_read_as_a_speed_limit() -> None:
    bundle = shipped("signs").bundle
    found = opening(bundle.scores, "pgd", bundle.class_names, bundle.story)
    assert found is not None
    row = next(
        row
        for row in bundle.scores.to_pylist()
        if (row["image_id"], row["attack"], row["split"]) == (found.image_id, found.attack, "test")
    )
    assert bundle.class_names[row["label"]] == "stop"
    assert bundle.class_names[row["prediction"]].startswith("speed limit")

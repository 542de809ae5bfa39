"""The shipped bundle is what it says it is: every figure is recomputed from weights, images or stored scores."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy.stats import betabinom, binom
from sklearn.metrics import roc_auc_score

from support.shipped import SHIPPED_DETECTORS, columns, images_of, rows, shipped
from telltale.attacks.attack import attack_images
from telltale.attacks.registry import get_attack
from telltale.base.parameters import validate_parameters
from telltale.bundle import verify_bundle
from telltale.data.splits import SPLIT_NAMES, Splits
from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.recipes import get_recipe
from telltale.scores.evaluation import Evaluation, evaluate_stored

RECIPE = get_recipe("digits")
GRADIENT_ATTACKS = ("fgsm", "bim", "pgd", "pgd_l2", "mifgsm", "deepfool", "cw", "gradient", "ead", "lbfgs")
FLOORS = {"nnif": 0.97, "trajectory": 0.94, "idefender": 0.90, "knn_score": 0.88}
LARGEST_BYTES = 8_000_000


@functools.cache
def evaluation() -> Evaluation:
    return evaluate_stored(shipped().bundle)


def scores_of(detector: str, **wanted: str) -> np.ndarray:
    return columns()[f"score_{detector}"][rows("digits", **wanted)]


def test_every_file_is_as_it_was_built_and_small() -> None:
    folder = shipped().bundle.folder
    assert {report.state for report in verify_bundle(folder)} == {"ok"}
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= LARGEST_BYTES
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".safetensors", ".parquet", ".json"}


def test_the_manifest_agrees_with_recipe_model_and_data() -> None:
    loaded = shipped()
    manifest, image_set = loaded.bundle.manifest, loaded.bundle.image_set
    assert image_set is not None
    assert (manifest.name, manifest.title, manifest.seed) == (RECIPE.name, RECIPE.title, RECIPE.seed)
    assert manifest.data.n == len(image_set) and manifest.data.fingerprint == image_set.fingerprint
    assert manifest.data.image_shape == image_set.pixels.shape[1:] == (1, 32, 32)
    assert manifest.data.class_names == image_set.class_names
    assert manifest.layers == loaded.classifier.layers
    made_with = manifest.architecture["arguments"]
    assert (made_with["width"], made_with["depth"]) == (RECIPE.base_width, RECIPE.depth)
    assert list(loaded.detectors) == list(SHIPPED_DETECTORS) and set(manifest.detectors) == set(SHIPPED_DETECTORS)
    for name, entry in manifest.detectors.items():
        assert loaded.detectors[name].settings.values() == entry["parameters"]
        assert entry["selected_by"]
    assert manifest.notes["macro_attacks"] == list(RECIPE.macro_attacks)
    assert manifest.notes["calibration_images"] == len(loaded.calibrations["nnif"] or ())


def test_the_manifest_tells_what_each_attack_was_given_and_achieved() -> None:
    entries = shipped().bundle.manifest.attacks
    assert [entry["name"] for entry in entries] == [plan.name for plan in RECIPE.attacks]
    for entry, plan in zip(entries, RECIPE.attacks, strict=True):
        spec = get_attack(plan.name)
        assert entry["parameters"] == validate_parameters(spec.parameters, plan.parameters, plan.name)
        for split in ("fit", "test"):
            tried = rows("digits", split=split, attack=plan.name)
            won = rows("digits", split=split, attack=plan.name, kind="adversarial")
            assert entry[split]["images"] == tried.sum() <= getattr(plan, split)
            assert entry[split]["success_rate"] == pytest.approx(won.sum() / tried.sum(), abs=1e-12)


def test_splits_are_those_that_the_seed_draws() -> None:
    bundle = shipped().bundle
    assert bundle.image_set is not None
    drawn = Splits.draw(bundle.image_set.labels, RECIPE.sizes, RECIPE.seed)
    for name in SPLIT_NAMES:
        np.testing.assert_array_equal(getattr(bundle.splits, name), getattr(drawn, name))
    everything = np.concatenate([getattr(bundle.splits, name) for name in SPLIT_NAMES])
    np.testing.assert_array_equal(np.sort(everything), np.arange(len(bundle.image_set)))
    np.testing.assert_array_equal(shipped().reference.ids, bundle.splits.train)


def test_stored_rows_come_from_their_own_split() -> None:
    stored = columns()
    for split in ("fit", "calibration", "test"):
        ids = getattr(shipped().bundle.splits, split)
        assert np.isin(stored["image_id"][rows("digits", split=split)], ids).all()
        np.testing.assert_array_equal(stored["image_id"][rows("digits", split=split, attack="")], ids)
    # Some attacks aim at a class of their own choice: one that ends in a third class has failed.
    right = stored["prediction"] == stored["label"]
    assert right[stored["kind"] == "natural"].all()
    assert not right[np.isin(stored["kind"], ("natural_error", "adversarial"))].any()


def test_accuracy_is_recomputed_from_the_weights() -> None:
    loaded = shipped()
    image_set = loaded.bundle.image_set
    assert image_set is not None
    for split, told in loaded.bundle.manifest.accuracies.items():
        ids = getattr(loaded.bundle.splits, split)
        predictions = loaded.classifier.predict(image_set.images(ids))
        assert (predictions == image_set.labels[ids]).mean() == pytest.approx(told, abs=1e-12), split
    assert loaded.bundle.manifest.accuracies["test"] >= 0.98


def assert_stored(images: np.ndarray, chosen: np.ndarray, worst: float = 0.05) -> None:
    """Compare everything stored about chosen rows with what their images give now."""
    loaded, stored = shipped(), columns()
    evidence = loaded.evidence(images)
    own = np.arange(len(images)), evidence.predictions
    found = {f"score_{name}": scores for name, scores in loaded.fitted.score_all(evidence).items()}
    found |= {"confidence": evidence.trace.probabilities[own], "log_density": evidence.log_density[own]}
    found |= {"mean_entropy": evidence.readings["mean_entropy"], "prediction": evidence.predictions}
    for name, values in found.items():
        assert_same(values, stored[name][chosen], name, worst)


def assert_same(now: np.ndarray, stored: np.ndarray, name: str, worst: float) -> None:
    """Compare two computations of the same figures, perhaps by two kinds of processor.

    On the machine that built the bundle they agree within 1e-6. Another instruction set rounds differently, by up to
    1e-5 in a score; where that moves a grey level of a response, the entropy of a few patches jumps, by less than
    `worst`.
    """
    difference = np.abs(now - stored)
    close = difference <= 1e-4 * (1 + np.abs(stored))
    assert close.mean() >= 0.9, f"{name}: {difference.max()}"
    assert difference.max() <= worst, f"{name}: {difference.max()}"


def test_stored_scores_of_natural_images_are_recomputed() -> None:
    chosen = np.flatnonzero(rows("digits", split="test", attack=""))[::7]
    assert_stored(images_of(columns()["image_id"][chosen]), chosen)


@pytest.mark.parametrize("attack", ["fgsm", "deepfool"])
def test_stored_scores_of_attacked_images_are_recomputed(attack: str) -> None:
    chosen = np.flatnonzero(rows("digits", split="test", attack=attack))[::25]
    stored = columns()
    labels = stored["label"][chosen]
    images = images_of(stored["image_id"][chosen])
    result = attack_images(shipped().classifier, images, attack, labels=labels, seed=RECIPE.seed)
    np.testing.assert_array_equal(result.success, stored["kind"][chosen] == "adversarial")
    # Where a gradient is all but zero, another processor may find the other sign, and so another attacked image.
    for name in ("linf", "l2", "l0"):
        assert_same(getattr(result, name), stored[name][chosen], name, np.inf)
    assert_stored(result.images, chosen, np.inf)


def test_calibration_scores_are_those_of_the_calibration_images() -> None:
    loaded, stored = shipped(), columns()
    chosen = rows("digits", split="calibration", kind="natural")
    assert_stored(images_of(stored["image_id"][chosen]), np.flatnonzero(chosen))
    assert loaded.calibrations[ERROR_SCORE] is None, "this network errs too rarely"
    for name in (*SHIPPED_DETECTORS, FUSED):
        calibration = loaded.calibrations[name]
        assert calibration is not None
        np.testing.assert_allclose(calibration.scores, np.sort(stored[f"score_{name}"][chosen]), rtol=1e-6, atol=1e-6)
        assert len(calibration.scores) >= 300


@pytest.mark.parametrize("detector", list(FLOORS))
def test_macro_auc_reaches_its_floor(detector: str) -> None:
    natural = scores_of(detector, split="test", kind="natural")
    aucs = {}
    for attack in RECIPE.macro_attacks:
        adversarial = scores_of(detector, split="test", kind="adversarial", attack=attack)
        truth = np.r_[np.zeros(len(natural)), np.ones(len(adversarial))]
        aucs[attack] = roc_auc_score(truth, np.r_[natural, adversarial])
    told = {row.attack: row.auc for row in evaluation().rows if row.detector == detector and row.attack in aucs}
    assert told == pytest.approx(aucs, abs=1e-12)
    macro = float(np.mean(list(aucs.values())))
    assert evaluation().macro_auc[detector] == pytest.approx(macro, abs=1e-12)
    assert macro >= FLOORS[detector]


@pytest.mark.parametrize("attack", GRADIENT_ATTACKS)
def test_gradient_attacks_succeed(attack: str) -> None:
    summary = next(a for a in evaluation().attacks if a.attack == attack)
    won, tried = (
        rows("digits", split="test", attack=attack, kind="adversarial").sum(),
        rows("digits", split="test", attack=attack).sum(),
    )
    assert summary.success_rate == pytest.approx(won / tried, abs=1e-12)
    assert summary.success_rate >= 0.95


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("detector", [*SHIPPED_DETECTORS, FUSED])
def test_the_stated_false_positive_rate_holds(detector: str, alpha: float) -> None:
    calibration = shipped().calibrations[detector]
    assert calibration is not None
    scores = scores_of(detector, split="test", kind="natural")
    alarms = sum(calibration.verdict(detector, score, alpha).adversarial is True for score in scores)
    # The threshold is the k-th largest of n calibration scores: over draws of those, its rate is Beta(k, n + 1 - k).
    n = len(calibration.scores)
    k = int(np.floor(alpha * (n + 1)))
    expected = betabinom(len(scores), k, n + 1 - k)
    tail = 0.025 / (len(SHIPPED_DETECTORS) + 1)  # 95 % for all detectors together
    assert expected.ppf(tail) <= alarms <= expected.ppf(1.0 - tail), f"{alarms} of {len(scores)}"


def test_the_fused_verdict_is_better_than_every_detector_and_keeps_its_rate() -> None:
    macro = evaluation().macro_auc
    fused = macro.pop(FUSED)
    assert fused is not None and fused >= 0.98
    assert all(value is not None and value <= fused for value in macro.values())
    calibration = shipped().calibrations[FUSED]
    assert calibration is not None
    scores = scores_of(FUSED, split="test", kind="natural")
    for alpha in (0.01, 0.05, 0.1):
        low, high = binom(len(scores), alpha).interval(0.95)
        assert low <= (scores >= calibration.threshold(alpha)).sum() <= high


@pytest.mark.parametrize("attack", [plan.name for plan in RECIPE.attacks if get_attack(plan.name).norm == "linf"])
def test_bounded_attacks_stay_within_their_bound(attack: str) -> None:
    parameters = next(a["parameters"] for a in shipped().bundle.manifest.attacks if a["name"] == attack)
    bound = parameters[str(get_attack(attack).budget)]
    assert bound == 0.1
    reached = columns()["linf"][rows("digits", attack=attack)].max()
    assert bound - 1 / 255 < reached <= bound + 1e-9, "used in full, but for the grey levels, and never exceeded"


def test_maps_and_reference_cover_every_training_image() -> None:
    loaded = shipped()
    n, layers = len(loaded.bundle.splits.train), len(loaded.bundle.layers)
    assert set(loaded.bundle.maps) == {"umap", "pca"}
    for coordinates in loaded.bundle.maps.values():
        assert coordinates.shape == (layers, n, 2) and coordinates.dtype == np.float32
        assert np.isfinite(coordinates).all()
        assert coordinates.std(axis=1).min() > 0
    sample = np.arange(0, n, 40)
    trace = loaded.classifier.trace(images_of(loaded.reference.ids[sample]))
    for now, stored in zip(trace.activations, loaded.reference.trace.activations, strict=True):
        np.testing.assert_allclose(now, stored[sample], rtol=1e-4, atol=1e-5)

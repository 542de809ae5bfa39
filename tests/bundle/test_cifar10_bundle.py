"""The compact bundle of photographs: what it keeps, what it lacks, and that its figures come from its own files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import betabinom, binomtest
from sklearn.metrics import roc_auc_score

from support.shipped import WITH_TWIN, columns, rows
from telltale.analysis.opened import LoadedBundle, open_bundle
from telltale.attacks.attack import attack_images
from telltale.base.places import PRECOMPUTED
from telltale.base.processes import use_one_thread
from telltale.bundle import load_bundle, verify_bundle
from telltale.bundle.bundle import REFERENCE_FILE
from telltale.data.image_set import ImageSet
from telltale.data.splits import Splits
from telltale.detectors.fusion import ERROR_SCORE, FUSED
from telltale.recipes import CIFAR10

FOLDER = PRECOMPUTED / "cifar10"
SHARED_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LARGEST_BYTES = 70_000_000
LARGEST_WEIGHTS = 10_000_000
REFERENCES, TRAINING_IMAGES = 10_000, 45_000
ALPHA = 0.05
SAMPLE = 40


@pytest.fixture(scope="module")
def loaded() -> LoadedBundle:
    use_one_thread()
    return open_bundle(str(FOLDER))


@pytest.fixture(scope="module")
def photographs(loaded: LoadedBundle) -> ImageSet:
    """The images that it was built on, which are not in the project."""
    if not (SHARED_DATA / "cifar10").is_dir():
        pytest.skip(f"the CIFAR-10 images are not in {SHARED_DATA}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELLTALE_DATA", os.pathsep.join([str(SHARED_DATA), os.environ.get("TELLTALE_DATA", "")]))
        bundle = open_bundle(str(FOLDER)).bundle
        vars(bundle).pop("_data", None)
        image_set = bundle.image_set
        assert image_set is not None, bundle.data_problem
    return image_set


def test_it_is_whole_small_and_holds_no_images() -> None:
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert {report.state for report in verify_bundle(FOLDER)} == {"ok"}
    assert sum(path.stat().st_size for path in files) <= LARGEST_BYTES
    assert (FOLDER / "weights.safetensors").stat().st_size <= LARGEST_WEIGHTS
    bundle = load_bundle(str(FOLDER))
    pixels = int(np.prod(bundle.image_shape))
    for name in (path.relative_to(FOLDER).as_posix() for path in files if path.suffix == ".safetensors"):
        assert not [key for key, array in bundle.arrays(name).items() if array.shape[1:] == bundle.image_shape]
        assert not [key for key, array in bundle.arrays(name).items() if array.shape[-1:] == (pixels,)]


def test_it_keeps_ten_thousand_references_in_half_precision_every_class_in_its_share() -> None:
    bundle = load_bundle(str(FOLDER))
    arrays = bundle.arrays(REFERENCE_FILE)
    assert len(bundle.splits.train) == len(arrays["labels"]) == REFERENCES
    assert bundle.manifest.notes["training_images"] == TRAINING_IMAGES
    for place in range(len(bundle.layers)):
        assert arrays[f"activations.{place}"].dtype == np.float16
        assert len(arrays[f"activations.{place}"]) == REFERENCES
    assert np.ptp(np.bincount(arrays["labels"])) <= 1


def test_test_images_are_the_datas_own_and_the_classifier_reads_90_of_100() -> None:
    bundle = load_bundle(str(FOLDER))
    np.testing.assert_array_equal(bundle.splits.test, np.arange(50_000, 60_000))
    natural = rows("cifar10", split="test", attack="")
    right = columns("cifar10")["prediction"][natural] == columns("cifar10")["label"][natural]
    assert natural.sum() == 10_000
    assert right.mean() == pytest.approx(bundle.manifest.accuracies["test"], abs=1e-12)
    assert right.mean() >= 0.90


CALIBRATED = (*WITH_TWIN, FUSED, ERROR_SCORE)


@pytest.mark.parametrize("detector", CALIBRATED)
def test_the_stated_false_positive_rate_holds_as_well_as_so_few_calibration_images_allow(detector: str) -> None:
    calibration = load_bundle(str(FOLDER)).calibration(detector)
    assert calibration is not None
    column = detector if detector == ERROR_SCORE else f"score_{detector}"
    scores = columns("cifar10")[column][rows("cifar10", split="test", kind="natural")]
    # Of n calibration scores the threshold is the k-th largest; over draws of them the rate is Beta(k, n + 1 - k).
    n = len(calibration.scores)
    k = int(np.floor(ALPHA * (n + 1)))
    alarms = int((scores >= calibration.threshold(ALPHA)).sum())
    expected = betabinom(len(scores), k, n + 1 - k)
    # Bonferroni: that any of all these fails is to be chance in one build of a hundred.
    tail = 0.005 / len(CALIBRATED)
    assert expected.ppf(tail) <= alarms <= expected.ppf(1 - tail), f"{alarms} of {len(scores)}"


@pytest.mark.parametrize("attack", ["fgsm", "pgd", "deepfool", "cw"])
def test_no_detector_looks_the_wrong_way(attack: str) -> None:
    natural, adversarial = (
        rows("cifar10", split="test", kind="natural"),
        rows("cifar10", split="test", kind="adversarial", attack=attack),
    )
    truth = np.r_[np.zeros(natural.sum()), np.ones(adversarial.sum())]
    for name in WITH_TWIN:
        column = columns("cifar10")[f"score_{name}"]
        assert roc_auc_score(truth, np.r_[column[natural], column[adversarial]]) >= 0.5, name


def test_the_fused_verdict_is_better_than_every_detector() -> None:
    natural, macro = rows("cifar10", split="test", kind="natural"), {}
    for name in (*WITH_TWIN, FUSED):
        column = columns("cifar10")[f"score_{name}"]
        aucs = []
        for attack in CIFAR10.macro_attacks:
            adversarial = rows("cifar10", split="test", kind="adversarial", attack=attack)
            truth = np.r_[np.zeros(natural.sum()), np.ones(adversarial.sum())]
            aucs.append(roc_auc_score(truth, np.r_[column[natural], column[adversarial]]))
        macro[name] = float(np.mean(aucs))
    assert max(macro, key=lambda name: macro[name]) == FUSED


def test_misread_natural_images_stand_out_by_the_error_score() -> None:
    wrong, right = rows("cifar10", split="test", kind="natural_error"), rows("cifar10", split="test", kind="natural")
    scores = np.r_[columns("cifar10")[ERROR_SCORE][right], columns("cifar10")[ERROR_SCORE][wrong]]
    assert roc_auc_score(np.r_[np.zeros(right.sum()), np.ones(wrong.sum())], scores) >= 0.8


@pytest.mark.parametrize("attack", ["fgsm", "bim", "pgd", "mifgsm"])
def test_bounded_attacks_stay_within_eight_grey_levels(attack: str) -> None:
    assert columns("cifar10")["linf"][rows("cifar10", attack=attack)].max() <= 8 / 255 + 1e-9


@pytest.mark.slow  # sixty thousand photographs are decoded
def test_splits_are_those_that_the_seed_draws(loaded: LoadedBundle, photographs: ImageSet) -> None:
    drawn = Splits.draw(photographs.labels, CIFAR10.sizes, CIFAR10.seed, photographs.own_test)
    for name in ("fit", "calibration", "test"):
        np.testing.assert_array_equal(getattr(loaded.bundle.splits, name), getattr(drawn, name))
    assert np.isin(loaded.bundle.splits.train, drawn.train).all()


@pytest.mark.slow  # sixty thousand photographs are decoded
def test_references_are_the_classifiers_own_activations(loaded: LoadedBundle, photographs: ImageSet) -> None:
    sample = np.arange(0, REFERENCES, 100)
    trace = loaded.classifier.trace(photographs.images(loaded.reference.ids[sample]))
    np.testing.assert_array_equal(loaded.reference.labels[sample], photographs.labels[loaded.reference.ids[sample]])
    for now, kept in zip(trace.activations, loaded.reference.trace.activations, strict=True):
        np.testing.assert_allclose(now, kept[sample], rtol=2e-3, atol=1e-3)


@pytest.mark.slow  # sixty thousand photographs are decoded
def test_stored_scores_are_recomputed_from_the_images(loaded: LoadedBundle, photographs: ImageSet) -> None:
    chosen = np.flatnonzero(rows("cifar10", split="test", attack=""))[:: 10_000 // SAMPLE]
    assert_stored(loaded, photographs.images(columns("cifar10")["image_id"][chosen]), chosen)


@pytest.mark.slow  # sixty thousand photographs are decoded
def test_an_attack_done_again_ends_in_the_stored_scores(loaded: LoadedBundle, photographs: ImageSet) -> None:
    chosen = np.flatnonzero(rows("cifar10", split="test", attack="pgd"))[:SAMPLE]
    parameters = loaded.bundle.attack_parameters("pgd")
    images, labels = photographs.images(columns("cifar10")["image_id"][chosen]), columns("cifar10")["label"][chosen]
    result = attack_images(loaded.classifier, images, "pgd", parameters, labels=labels, batch_size=SAMPLE)
    assert (result.success == (columns("cifar10")["kind"][chosen] == "adversarial")).mean() >= 0.95
    won = np.flatnonzero(result.success & (columns("cifar10")["kind"][chosen] == "adversarial"))
    evidence = loaded.evidence(result.images[won])
    # Other batches and processors round otherwise, and a sign that flips moves a pixel by a whole step.
    for name, detector in loaded.detectors.items():
        now, then = detector.score(evidence), columns("cifar10")[f"score_{name}"][chosen[won]]
        spread = columns("cifar10")[f"score_{name}"][rows("cifar10", split="test", attack="pgd")].std()
        assert np.median(np.abs(now - then)) <= 0.1 * spread, name


def assert_stored(loaded: LoadedBundle, images: np.ndarray, chosen: np.ndarray) -> None:
    """Compare stored scores with those of the images now; other processors round a few of them otherwise."""
    evidence = loaded.evidence(images)
    np.testing.assert_array_equal(evidence.predictions, columns("cifar10")["prediction"][chosen])
    for name, detector in loaded.detectors.items():
        then = columns("cifar10")[f"score_{name}"][chosen]
        close = np.abs(detector.score(evidence) - then) <= 1e-3 * (1 + np.abs(then))
        assert close.mean() >= 0.9, name


def test_the_calibration_scores_are_the_stored_ones() -> None:
    bundle = load_bundle(str(FOLDER))
    chosen = rows("cifar10", split="calibration", kind="natural")
    for name in (*WITH_TWIN, FUSED):
        calibration = bundle.calibration(name)
        assert calibration is not None and len(calibration.scores) == bundle.manifest.notes["calibration_images"]
        np.testing.assert_array_equal(calibration.scores, np.sort(columns("cifar10")[f"score_{name}"][chosen]))
        low, high = binomtest(int(chosen.sum()), CIFAR10.sizes.calibration).proportion_ci(0.999)
        assert low <= bundle.manifest.accuracies["calibration"] <= high

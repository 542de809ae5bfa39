"""Classes without reference images are absent: nothing changes for the others, and whatever reads them goes on."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch

from support.tiny import TRAINING_IMAGES, tiny_classifier, tiny_digits
from telltale.detectors.base import Detector, Labels
from telltale.detectors.idefender import IDefender
from telltale.detectors.kernel_density import KernelDensityDetector
from telltale.detectors.mahalanobis import MahalanobisDetector
from telltale.detectors.registry import suspicion_of
from telltale.detectors.trajectory import TrajectoryDetector
from telltale.evidence.density import ClassDensities, MixtureSettings, class_thresholds, density_chart, of_predicted
from telltale.evidence.evidence import Evidence
from telltale.evidence.readings import Readings
from telltale.evidence.reference import Reference
from telltale.evidence.trajectory import Pivots, fit_pivots
from telltale.kinds.trajectory import TrajectoryKind

CLASSES, ABSENT = 10, (1, 4, 9)
HELD_OUT = np.arange(TRAINING_IMAGES, TRAINING_IMAGES + 120)
FRESH = HELD_OUT + len(HELD_OUT)


@functools.cache
def reference() -> Reference:
    """The digits 0, 2, 3, 5, 6, 7 and 8 of the training images, for a network that tells ten apart."""
    ids = np.arange(TRAINING_IMAGES)
    ids = ids[~np.isin(tiny_digits().labels[ids], ABSENT)]
    labels, trace = tiny_digits().labels[ids], tiny_classifier().trace(tiny_digits().images(ids))
    settings = MixtureSettings(1, "full", 8)
    fitted = {
        "trajectory": fit_pivots(trace, labels, CLASSES),
        "density": ClassDensities.fit(trace.hidden, labels, CLASSES, settings, seed=0),
    }
    return Reference(ids, labels, CLASSES, trace, fitted)


@functools.cache
def evidence() -> Evidence:
    """Held-out digits of all ten classes."""
    return evidence_of(HELD_OUT)


@functools.cache
def fresh() -> Evidence:
    """Digits of all ten classes on which nothing is fitted."""
    return evidence_of(FRESH)


def evidence_of(ids: np.ndarray) -> Evidence:
    return Evidence(reference(), tiny_classifier().trace(tiny_digits().images(ids)), Readings({}))


def outside(seen: Evidence) -> np.ndarray:
    return np.isin(seen.predictions, ABSENT)


def fitted(detector: Detector) -> Detector:
    adversarial = np.arange(len(HELD_OUT)) % 2 == 0
    return detector.fit(evidence(), Labels(adversarial, np.where(adversarial, "pgd", ""), HELD_OUT))


@pytest.mark.parametrize("covariance", ["full", "diag"])
def test_densities_of_the_others_are_those_without_the_absent_ones(covariance: str) -> None:
    hidden, labels = reference().trace.hidden, reference().labels
    few, settings = np.isin(labels, (0, 2)), MixtureSettings(1, covariance, 4)  # type: ignore[arg-type]
    apart = ClassDensities.fit(hidden[few], labels[few], 4, settings, seed=0)
    together = ClassDensities.fit(hidden[few], labels[few] // 2, 2, settings, seed=0)
    asked = evidence().trace.hidden
    np.testing.assert_array_equal(apart.log_density(asked)[:, [0, 2]], together.log_density(asked))
    assert np.isneginf(apart.log_density(asked)[:, [1, 3]]).all()
    again = ClassDensities.from_arrays(apart.to_arrays())
    np.testing.assert_array_equal(again.log_density(asked), apart.log_density(asked))
    assert "known" not in together.to_arrays(), "what knows every class is stored as before"


def test_a_class_with_one_image_has_no_mixture() -> None:
    hidden = evidence().trace.hidden[:7]
    found = ClassDensities.fit(hidden, np.array([0, 0, 0, 1, 2, 2, 2]), 3, MixtureSettings(1, "diag", 2), seed=0)
    assert found.known.tolist() == [True, False, True]


def test_what_is_taken_for_an_absent_class_is_as_odd_as_to_any_class() -> None:
    log_density, predictions = evidence().log_density, evidence().predictions
    assert 10 < outside(evidence()).sum() < 60
    found = of_predicted(log_density, predictions)
    for row, (own, label) in enumerate(zip(found, predictions, strict=True)):
        known = [log_density[row, c] for c in range(CLASSES) if c not in ABSENT]
        assert own == (min(known) if label in ABSENT else log_density[row, label])


def test_thresholds_come_from_images_that_are_taken_for_a_known_class() -> None:
    log_density, predictions = evidence().log_density, evidence().predictions
    found = class_thresholds(log_density, predictions, 0.95)
    inside = ~outside(evidence())
    np.testing.assert_array_equal(found, class_thresholds(log_density[inside], predictions[inside], 0.95))
    assert np.isfinite(found).all()
    assert np.isposinf(class_thresholds(log_density[~inside], predictions[~inside], 0.95)).all()


def test_the_class_map_has_no_place_for_absent_classes() -> None:
    hidden, labels = reference().trace.hidden, reference().labels
    _, arrays = density_chart(hidden, labels, evidence().log_density, evidence().predictions)
    for c in range(CLASSES):
        assert np.isnan(arrays["means"][c]).all() == np.isnan(arrays["covariances"][c]).all() == (c in ABSENT)


READERS = [
    *(IDefender(variant=variant) for variant in ("log_density", "class_quantile")),
    *(TrajectoryDetector(epochs=1, pivot=p, distance=d) for p, d in (("medoid", "cosine"), ("centroid", "l2"))),
    KernelDensityDetector(),
    MahalanobisDetector(),
]


@pytest.mark.parametrize("detector", READERS, ids=repr)
def test_detectors_judge_what_is_taken_for_an_absent_class_and_can_be_aimed_at(detector: Detector) -> None:
    scores = fitted(detector).score(fresh())
    assert np.isfinite(scores).all() and scores[outside(fresh())].std() > 1e-6
    images = torch.from_numpy(tiny_digits().images(FRESH)).requires_grad_()
    found = suspicion_of(tiny_classifier(), reference(), detector)(images)
    np.testing.assert_allclose(found.detach().numpy(), scores, rtol=1e-5, atol=1e-3)
    (gradient,) = torch.autograd.grad(found.sum(), images)
    assert torch.isfinite(gradient).all()


def test_a_trajectory_detector_reads_the_distances_that_there_are_and_is_restored() -> None:
    detector = fitted(TrajectoryDetector(epochs=1))
    assert detector.arrays()["mean"].shape == (len(reference().layers), CLASSES - len(ABSENT))
    restored = TrajectoryDetector(epochs=1).restore(detector.arrays())
    np.testing.assert_array_equal(restored.score(fresh()), detector.score(fresh()))


def test_pivots_of_absent_classes_take_no_room_and_come_back() -> None:
    known = np.array([True, False, True, False])
    rows = [np.where(known[:, None], np.arange(8.0).reshape(4, 2), np.nan).astype(np.float32) for _ in range(2)]
    pivots, kind = Pivots((rows[0],), (rows[1] + 1,)), TrajectoryKind()
    stored = kind.arrays(pivots)
    assert stored["centroid.0"].shape == (2, 2)
    again = kind.restore(stored, 1)
    np.testing.assert_array_equal(again.centroid[0], pivots.centroid[0])
    np.testing.assert_array_equal(again.medoid[0], pivots.medoid[0])
    whole = Pivots((np.ones((4, 2), np.float32),), (np.zeros((4, 2), np.float32),))
    assert set(kind.arrays(whole)) == {"centroid.0", "medoid.0"}  # as bundles have always had them

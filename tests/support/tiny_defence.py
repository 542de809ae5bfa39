"""A reference set and fitted detectors around the tiny classifier, for attacks that aim at detectors."""

from __future__ import annotations

import functools
from collections.abc import Collection

import numpy as np

from support.rereading import squeezed_distances, transformed_margins
from support.tiny import TRAINING_IMAGES, tiny_classifier, tiny_digits, tiny_images
from telltale.attacks import attack_images
from telltale.base.images import FloatImages
from telltale.detectors.base import Detector, Labels
from telltale.detectors.confidence import ConfidenceDetector
from telltale.detectors.defence import Defence
from telltale.detectors.dknn import DknnDetector
from telltale.detectors.feature_response import FeatureResponseDetector
from telltale.detectors.feature_squeezing import FeatureSqueezingDetector
from telltale.detectors.idefender import IDefender
from telltale.detectors.kernel_density import KernelDensityDetector
from telltale.detectors.knn_score import KnnScoreDetector
from telltale.detectors.lid import LidDetector
from telltale.detectors.mahalanobis import MahalanobisDetector
from telltale.detectors.multi_lid import MultiLidDetector
from telltale.detectors.nnif import NnifDetector
from telltale.detectors.stability import StabilityDetector
from telltale.detectors.trajectory import TrajectoryDetector
from telltale.detectors.twin import TwinDetector
from telltale.evidence.density import ClassDensities, MixtureSettings
from telltale.evidence.evidence import Evidence
from telltale.evidence.influence import fit_head
from telltale.evidence.mahalanobis_step import stepping
from telltale.evidence.readings import Readings
from telltale.evidence.reference import Reference
from telltale.evidence.response import feature_responses
from telltale.evidence.trajectory import fit_pivots
from telltale.evidence.twin import log_probabilities

FITTED_ON = 40


@functools.cache
def tiny_reference() -> Reference:
    """Return the tiny classifier's training images with everything fitted to them."""
    ids = np.arange(TRAINING_IMAGES)
    labels = tiny_digits().labels[ids]
    trace = tiny_classifier().trace(tiny_digits().images(ids))
    densities = ClassDensities.fit(trace.hidden, labels, 10, MixtureSettings(2, "full", 8), seed=0)
    fitted = {
        "trajectory": fit_pivots(trace, labels, 10),
        "influence": fit_head(trace.hidden, labels, 10, 1e-2),
        "density": densities,
    }
    return Reference(ids, labels, 10, trace, fitted)


def tiny_evidence(images: FloatImages) -> Evidence:
    """Return what detectors read about images (n, 1, 32, 32)."""
    classifier = tiny_classifier()
    trace = classifier.trace(images)

    def readings() -> Readings:
        entropy = feature_responses(classifier, images).mean_entropy
        squeezed = squeezed_distances(classifier, images, trace.probabilities)
        moved = transformed_margins(classifier, images, trace.predictions)
        assert classifier.twin is not None
        twin = log_probabilities(classifier.twin, images)
        measured = {"squeezed": squeezed, "transformed_margins": moved, "twin_log_probabilities": twin}
        return Readings({"mean_entropy": entropy} | measured)

    return Evidence(tiny_reference(), trace, readings, stepping(classifier, images))


def tiny_look(images: FloatImages, _kinds: Collection[str]) -> Evidence:
    """Return `tiny_evidence`, which measures on pixels when somebody asks, whatever is said to be needed."""
    return tiny_evidence(images)


@functools.cache
def tiny_defence() -> Defence:
    """Return detectors fitted on a few natural digits and PGD on them."""
    detectors = (
        IDefender(),
        TrajectoryDetector(epochs=30),
        KnnScoreDetector(k=15, processing="none"),
        NnifDetector(m=10),
        FeatureResponseDetector(),
        DknnDetector(k=15),
        LidDetector(),
        MahalanobisDetector(),
        KernelDensityDetector(),
        FeatureSqueezingDetector(),
        ConfidenceDetector(),
        StabilityDetector(),
        MultiLidDetector(),
        TwinDetector(),
    )
    known = {d.name: fitted(d) for d in detectors}
    return Defence(tiny_classifier(), tiny_reference(), known, look=tiny_look)


def fitted(detector: Detector) -> Detector:
    """Fit a detector on the same images as the others."""
    return detector.fit(*_problem())


@functools.cache
def _problem() -> tuple[Evidence, Labels]:
    natural = tiny_images(FITTED_ON)[0]
    result = attack_images(tiny_classifier(), natural, "pgd", {"steps": 10, "step": 0.02}, batch_size=FITTED_ON)
    images = np.concatenate([natural, result.images[result.success]])
    groups = np.concatenate([np.arange(FITTED_ON), np.flatnonzero(result.success)])
    adversarial = np.arange(len(images)) >= FITTED_ON
    return tiny_evidence(images), Labels(adversarial, np.where(adversarial, "pgd", ""), groups)

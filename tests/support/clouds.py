"""Made-up references and traces: a Gaussian cloud per class on every layer, and images that change sides."""

from __future__ import annotations

import functools

import numpy as np

from telltale.detectors.base import Labels
from telltale.evidence.density import ClassDensities, MixtureSettings
from telltale.evidence.evidence import Evidence
from telltale.evidence.influence import fit_head
from telltale.evidence.margins import logit_margins
from telltale.evidence.readings import Readings
from telltale.evidence.reference import Reference
from telltale.evidence.squeezing import SQUEEZERS
from telltale.evidence.stability import TRANSFORMS
from telltale.evidence.trajectory import fit_pivots
from telltale.models.trace import Trace

CLASSES, WIDTHS = 3, (6, 5, 4)
LAYERS = ("first", "middle", "last")
DISTANCE, SPREAD = 5.0, 0.5
FIT, FRESH = 60, 100


def centres() -> list[np.ndarray]:
    """One centre per class on every layer, at equal distances from each other."""
    return [DISTANCE * np.eye(CLASSES, width) + 1.0 for width in WIDTHS]


def trace_of(means: list[np.ndarray], seed: int) -> Trace:
    """Draw one image around each of the (n, d) means of every layer; the last layer's nearest centre is predicted."""
    draws = np.random.default_rng(seed)
    activations = tuple((mean + SPREAD * draws.normal(size=mean.shape)).astype(np.float32) for mean in means)
    to_centres = np.linalg.norm(activations[-1][:, None] - centres()[-1], axis=2)
    return Trace(LAYERS, activations, (-to_centres).astype(np.float32))


def natural_trace(count: int, seed: int) -> tuple[Trace, np.ndarray]:
    """Return images that stay with their class on every layer."""
    labels = np.arange(count) % CLASSES
    return trace_of([middle[labels] for middle in centres()], seed), labels


def attacked_trace(count: int, seed: int) -> Trace:
    """Return images that start with their class and end just across the border to the next one."""
    labels = np.arange(count) % CLASSES
    means = [middle[labels] for middle in centres()]
    means[-1] = 0.7 * centres()[-1][(labels + 1) % CLASSES] + 0.3 * means[-1]
    return trace_of(means, seed)


def reference(count: int = 120, seed: int = 0) -> Reference:
    trace, labels = natural_trace(count, seed)
    return Reference(
        np.arange(count),
        labels,
        CLASSES,
        trace,
        {
            "trajectory": fit_pivots(trace, labels, CLASSES),
            "influence": fit_head(trace.hidden, labels, CLASSES, 1e-2),
            "density": ClassDensities.fit(
                trace.hidden, labels, CLASSES, MixtureSettings(1, "full", WIDTHS[-1]), seed=0
            ),
        },
    )


def readings(entropy: np.ndarray, margins: np.ndarray | float = 0.0) -> Readings:
    """Return readings whose squeezed distances, losses of margin to small movements and twin's doubts grow with it."""
    squeezed = np.repeat(np.abs(entropy - 1.5)[:, None], len(SQUEEZERS), axis=1)
    moved = np.repeat((margins - entropy)[:, None], len(TRANSFORMS), axis=1)
    twin = np.repeat(-np.abs(entropy)[:, None], CLASSES, axis=1)
    measured = {"squeezed": squeezed, "transformed_margins": moved, "twin_log_probabilities": twin}
    return Readings({"mean_entropy": entropy} | measured)


def mixed(known: Reference, count: int, seed: int, separable: bool = True) -> tuple[Evidence, Labels]:
    """Return `count` natural images, and as many of each of two attacks, whose image ids they share."""
    natural, _ = natural_trace(count, seed)
    make = attacked_trace if separable else lambda n, s: natural_trace(n, s)[0]
    trace = Trace.concatenate([natural, make(count, seed + 10), make(count, seed + 20)])
    adversarial = np.repeat([False, True, True], count)
    entropy = np.random.default_rng(seed).normal(2.0, 0.1, 3 * count) + (0.3 * adversarial if separable else 0.0)
    labels = Labels(adversarial, np.repeat(["", "fgsm", "pgd"], count), np.tile(np.arange(count), 3))
    return Evidence(known, trace, readings(entropy, logit_margins(trace.logits, trace.predictions))), labels


@functools.cache
def known() -> Reference:
    """Return one reference for all that only read it."""
    return reference()


@functools.cache
def problem(separable: bool = True) -> tuple[tuple[Evidence, Labels], tuple[Evidence, Labels]]:
    """Return what detectors are fitted on, and fresh images to score."""
    return mixed(known(), FIT, 1, separable), mixed(known(), FRESH, 2, separable)


@functools.cache
def few() -> tuple[Evidence, Labels]:
    """Return what detectors are fitted on where few images do."""
    return mixed(known(), 40, 1)


@functools.cache
def fresh() -> Evidence:
    """Return fresh images for what was fitted to `few`."""
    return mixed(known(), 20, 2)[0]

"""Attributions of test images' answers to all training images, by every method: positive raises the answer's odds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from telltale.base.errors import InputError
from telltale.base.images import FloatImages
from telltale.evidence.by_size import make_influence
from telltale.evidence.curvature import ConjugateInfluence
from telltale.evidence.influence import HeadInfluence, with_bias
from telltale.kinds.influence import fit_heads, likeliest_head
from telltale.models.classifier import Classifier
from telltale.studies.influence_trust.bench import Bench, Checkpoint
from telltale.studies.influence_trust.gradients import log_odds_gradients
from telltale.studies.influence_trust.trak import TrakTerms, trak_terms

Array = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Explained:
    """What one network trained on all training images says.

    Attributes
    ----------
    head : array of float64, shape (T, N)
        The closed form through its head.
    trak : TrakTerms
    """

    head: Array
    trak: TrakTerms


def explain(bench: Bench, classifier: Classifier, number: int, classes: Labels) -> Explained:
    """Attribute the answers of one network.

    Parameters
    ----------
    bench : Bench
    classifier : Classifier
        The network of that number.
    number : int
    classes : array of int64, shape (T,)
        Which answers; the same for all networks.
    """
    training, test = bench.image_set.images(bench.training), bench.image_set.images(bench.test)
    own = log_odds_gradients(classifier, training, bench.labels)
    asked = log_odds_gradients(classifier, test, classes)
    terms = trak_terms(own, asked, bench.plan.projection, bench.plan.seed + number)
    return Explained(head_attributions(bench, classifier, classes), terms)


def head_attributions(bench: Bench, classifier: Classifier, classes: Labels) -> Array:
    """Attribute by the product's closed form: the head refitted under the damping that suits held-out images best.

    Raises
    ------
    InputError
        If the head is so large that only the strongest influences are computed.
    """
    images = bench.image_set
    hidden, held_out, test = (
        classifier.trace(images.images(ids)).hidden for ids in (bench.training, bench.held_out, bench.test)
    )
    heads = fit_heads(hidden, bench.labels, classifier.classes)
    head = likeliest_head(heads, held_out, images.labels[bench.held_out])
    influence = make_influence(head, hidden, bench.labels)
    if not isinstance(influence, HeadInfluence | ConjugateInfluence):
        raise InputError("So large a head's influences are not all computed; take a smaller network, or fewer images.")
    return np.asarray(influence.values(test, classes), dtype=np.float64)


@dataclass(frozen=True)
class TracInSums:
    """Sums of gradient dot products over checkpoints, each times its learning rate; arrays of float64, shape (T, N).

    Attributes
    ----------
    last_layer, all_weights : array
        Of gradients of the head alone, and of everything that was trained.
    """

    last_layer: Array
    all_weights: Array


def tracin(bench: Bench, checkpoints: Sequence[Checkpoint], classes: Labels) -> TracInSums:
    """Add up over checkpoints (Pruthi et al., NeurIPS 2020, TracInCP and, for the last layer, its fast version).

    Parameters
    ----------
    bench : Bench
    checkpoints : sequence of Checkpoint
    classes : array of int64, shape (T,)
        Which answers; the loss of a test image is taken at them.
    """
    training, test = bench.image_set.images(bench.training), bench.image_set.images(bench.test)
    last = whole = np.zeros((len(test), len(training)))
    for checkpoint in checkpoints:
        classifier, rate = checkpoint.classifier, checkpoint.learning_rate
        last = last + rate * last_layer_products(classifier, (training, bench.labels), (test, classes))
        own = log_odds_gradients(classifier, training, bench.labels).of_loss
        asked = log_odds_gradients(classifier, test, classes).of_loss
        whole = whole + rate * (asked @ own.T)
    return TracInSums(last, whole)


def last_layer_products(
    classifier: Classifier, training: tuple[FloatImages, Labels], test: tuple[FloatImages, Labels]
) -> Array:
    """Return the dot products of the cross-entropy's gradients for the head's weights and biases, shape (T, N).

    Parameters
    ----------
    classifier : Classifier
    training, test : (images, classes)
    """
    (own, residuals), (asked, of_asked) = (_head_gradients(classifier, *seen) for seen in (training, test))
    return (of_asked @ residuals.T) * (asked @ own.T)


def cosines(classifier: Classifier, training: FloatImages, test: FloatImages) -> Array:
    """Return the cosine between the hidden states of every test and every training image, shape (T, N)."""
    a, b = (classifier.trace(images).hidden.astype(np.float64) for images in (test, training))
    lengths = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    return np.asarray(a @ b.T / np.maximum(lengths, np.finfo(np.float64).tiny))


def _head_gradients(classifier: Classifier, images: FloatImages, classes: Labels) -> tuple[Array, Array]:
    """Return [h, 1] and p - y, whose outer product is the gradient, shapes (n, d + 1) and (n, C)."""
    trace = classifier.trace(images)
    return with_bias(trace.hidden), trace.probabilities - np.eye(classifier.classes)[classes]

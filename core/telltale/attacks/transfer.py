"""Black-box attacks by transfer: made on a substitute network, judged on the classifier that never was asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from telltale.attacks.attack import attack_images, reached
from telltale.attacks.base import AttackResult, IntArray, Targets
from telltale.attacks.checks import checked_images
from telltale.base.errors import InputError
from telltale.base.images import FloatImages
from telltale.base.progress import Share

if TYPE_CHECKING:
    from telltale.models.classifier import Classifier


def transfer_images(
    substitute: Classifier,
    classifier: Classifier,
    images: FloatImages,
    attack: str,
    parameters: Mapping[str, object] | None = None,
    labels: IntArray | None = None,
    targets: Targets = None,
    seed: int = 0,
    batch_size: int = 1,
    checkpoint: Share | None = None,
) -> AttackResult:
    """Attack images on a substitute network and judge what comes out on the classifier.

    The labels to leave are the classifier's. Where the substitute gives a natural image another label by itself, an
    attack that stops as soon as the label changes leaves it as it is, and that is a failure; one that has a budget
    goes on leading away from the classifier's label. Extensions over a boundary that rounding fell back behind are
    judged on the substitute too: the attacker sees nothing else.

    Parameters
    ----------
    substitute, classifier : Classifier
        For images of the same shape and the same classes; both in evaluation mode.
    images, attack, parameters, targets, seed, batch_size, checkpoint
        As for `telltale.attacks.attack_images`.
    labels : array of int, shape (n,), optional
        The classes to leave; by default the predictions of `classifier`.

    Returns
    -------
    AttackResult
        `predictions` and `success` are the classifier's; `gradients`, `queries` and `seconds` were spent on the
        substitute, and the classifier only judged the result.

    Raises
    ------
    InputError
        If the two networks do not fit each other, or an argument is not accepted.
    """
    _check_fit(substitute, classifier)
    natural = checked_images(classifier, images)
    known = classifier.predict(natural) if labels is None else labels
    made = attack_images(substitute, natural, attack, parameters, known, targets, seed, checkpoint, batch_size)
    predictions = classifier.predict(made.images)
    success = reached(predictions, made.labels, made.targets) & (made.l0 > 0)
    return replace(made, predictions=predictions, success=success)


def _check_fit(substitute: Classifier, classifier: Classifier) -> None:
    if _interface(substitute) != _interface(classifier):
        raise InputError("The substitute must take images of the classifier's shape and know as many classes.")


def _interface(classifier: Classifier) -> tuple[int, ...]:
    return *classifier.input_shape, classifier.classes

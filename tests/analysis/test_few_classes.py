"""Fewer classes to be mistaken for: the same network with some logits only, and a change that grows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from support.shipped import correct_test_ids, images_of, shipped
from telltale.analysis.few_classes import few_classes
from telltale.base.errors import InputError
from telltale.models.among import among


def test_the_likeliest_of_the_named_classes_is_the_answer() -> None:
    classifier = shipped().classifier
    images = images_of(correct_test_ids(20))
    labels = [7, 0, 3]
    logits = classifier.logits_of(images)
    few = among(classifier, labels)
    np.testing.assert_array_equal(few.logits_of(images), logits[:, labels])
    np.testing.assert_array_equal(few.predict(images), logits[:, labels].argmax(1))
    assert few.classes == 3 and few.layers == ()


@pytest.mark.parametrize("labels", [[3], [3, 3], [0, 10], [-1, 2], []])
def test_classes_that_do_not_exist_are_refused(labels: list[int]) -> None:
    with pytest.raises(InputError, match="at least two different ones of 0 to 9"):
        among(shipped().classifier, labels)


def linear(classifier: object, image: np.ndarray, own: int, others: list[int]) -> float:
    """Return the distance to the nearest linearised boundary with some classes, one gradient at a time."""
    inputs = torch.from_numpy(image[None]).requires_grad_()
    distances = []
    for other in others:
        logits = classifier(inputs)  # type: ignore[operator]
        gap = logits[0, own] - logits[0, other]
        (gradient,) = torch.autograd.grad(gap, inputs)
        distances.append(float(gap.detach() / gradient.norm()))
    return min(distances)


def test_the_median_draw_is_shown_and_fewer_classes_are_no_easier() -> None:
    loaded, progress = shipped(), []
    for image in images_of(correct_test_ids(4)):
        found = few_classes(loaded, image, lambda fraction, words: progress.append((fraction, words)))
        assert [len(few.classes) for few in found] == [2, 3, 10] and [few.draws for few in found] == [5, 5, 1]
        own = int(loaded.classifier.logits_of(image[None])[0].argmax())
        every = found[-1]
        for few in found:
            assert few.classes[0] == own and len(set(few.classes)) == len(few.classes)
            assert few.fooled and few.label in few.classes[1:]
            change = (few.image - image).astype(np.float64)
            assert few.l2 == pytest.approx(np.linalg.norm(change)) and few.linf == pytest.approx(np.abs(change).max())
            assert few.range[0] <= few.l2 <= few.range[1] < np.inf
            logits = loaded.classifier.logits_of(few.image[None])[0]
            assert few.label == max(few.classes, key=lambda label: logits[label])
            # The attack bends round curved boundaries, so it is compared with the straight distance loosely.
            straight = linear(loaded.classifier, image, own, list(few.classes[1:]))
            assert 0.3 * straight < few.l2 < 4 * straight
            assert few.l2 > 0.5 * every.l2, "fewer boundaries, none nearer, though the attack may find it sooner"
        again = few_classes(loaded, image)
        assert [few.classes for few in again] == [few.classes for few in found], "the same lots for everybody"
    assert progress[:2] == [(0.0, "Attacking among 2 classes"), (1 / 3, "Attacking among 3 classes")]

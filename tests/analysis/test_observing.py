"""Looking at images: what is read in one pass is what separate passes read."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from support.rereading import squeezed_distances, transformed_margins
from support.tiny import tiny_classifier, tiny_images
from telltale.analysis.observing import AT_ONCE, observe_images
from telltale.evidence.squeezing import SQUEEZERS
from telltale.evidence.stability import TRANSFORMS
from telltale.kinds.registry import KINDS

READ = ("squeezing", "stability")


@pytest.mark.parametrize("count", [1, 2 * AT_ONCE + 3])
def test_one_pass_reads_what_separate_passes_do(count) -> None:
    classifier, images = tiny_classifier(), tiny_images(count)[0]
    observed, trace = observe_images(classifier, images), classifier.trace(images)
    for found, expected in zip(observed.trace.activations, trace.activations, strict=True):
        np.testing.assert_array_equal(found, expected)
    readings = observed.readings.arrays
    np.testing.assert_allclose(
        readings["squeezed"], squeezed_distances(classifier, images, trace.probabilities), atol=1e-5
    )
    np.testing.assert_allclose(
        readings["transformed_margins"], transformed_margins(classifier, images, trace.predictions), atol=1e-4
    )
    for kind in READ:
        ((name, alone),) = KINDS[kind].observe(classifier, images, trace).readings.items()
        np.testing.assert_allclose(readings[name], alone, atol=1e-4)


def test_the_network_reads_all_versions_of_an_image_at_once() -> None:
    classifier, images = tiny_classifier(), tiny_images(1)[0]
    sizes: list[int] = []
    handle = classifier.network.register_forward_hook(lambda _module, inputs, _output: sizes.append(len(inputs[0])))
    observe_images(classifier, images, kinds=READ)
    handle.remove()
    assert sizes == [1, len(SQUEEZERS) + len(TRANSFORMS)]


def test_without_readings_there_is_only_the_trace() -> None:
    classifier, images = tiny_classifier(), tiny_images(3)[0]
    observed = observe_images(classifier, images, readings=False)
    assert not observed.readings.arrays and not observed.details
    with torch.no_grad():
        np.testing.assert_allclose(observed.trace.logits, classifier(torch.from_numpy(images)), rtol=1e-4, atol=1e-5)

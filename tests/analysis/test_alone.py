"""A network alone: what it shows equals the computations it is made of, and the rest says what would bring it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import telltale
from support.rereading import squeezed_distances, transformed_margins
from support.tiny import tiny_classifier, tiny_images
from telltale.analysis.results import Unavailable
from telltale.attacks.registry import ATTACKS
from telltale.base.errors import InputError
from telltale.evidence.stability import MIRROR
from telltale.kinds.needs import NO_IMAGES, NO_TRAINING_IMAGES
from telltale.kinds.registry import KINDS
from telltale.kinds.response import ResponseView, respond
from telltale.kinds.squeezing import SqueezingView
from telltale.kinds.stability import StabilityView


def test_a_network_alone_responds_is_squeezed_moved_and_scored_without_p_values() -> None:
    classifier, image = tiny_classifier(), tiny_images(1)[0][0]
    found = telltale.analyse(image, bundle=classifier)
    assert list(found.evidence) == list(KINDS)
    missing = {name: view.reason for name, view in found.evidence.items() if isinstance(view, Unavailable)}
    assert set(missing) == {"trajectory", "neighbours", "influence", "density"}
    assert all("would bring" in reason for reason in missing.values())
    assert missing["neighbours"] == NO_IMAGES and missing["influence"] == NO_TRAINING_IMAGES

    logits = classifier(torch.from_numpy(image[None])).detach().double().numpy()[0]
    probabilities = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert found.prediction.label == logits.argmax()
    assert found.prediction.confidence == pytest.approx(probabilities.max(), abs=1e-6)
    np.testing.assert_array_equal(found.view(ResponseView).response, respond(classifier, image, 256, 3).response)
    squeezed = squeezed_distances(classifier, image[None], probabilities[None])[0]
    np.testing.assert_allclose(list(found.view(SqueezingView).distances.values()), squeezed, atol=1e-5)
    moved = transformed_margins(classifier, image[None], np.array([logits.argmax()]))[0]
    np.testing.assert_allclose(list(found.view(StabilityView).margins.values()), moved, atol=1e-5)

    assert found.fused is None and all(v.p_value is None and v.adversarial is None for v in found.verdicts)
    scores = {verdict.detector: verdict.score for verdict in found.verdicts}
    assert set(scores) == {"confidence", "stability", "feature_squeezing", "feature_response"}
    margin = np.sort(logits)[-1] - np.sort(logits)[-2]
    assert scores["stability"] == pytest.approx(margin - np.delete(moved, MIRROR).mean(), abs=1e-4)
    assert scores["feature_response"] == pytest.approx(found.view(ResponseView).mean_entropy)
    assert 0.0 < scores["feature_squeezing"] <= squeezed.max() + 1e-6


def test_a_surer_answer_has_the_lower_score_of_confidence() -> None:
    images = tiny_images(12)[0]
    seen = [telltale.analyse(image, bundle=tiny_classifier()) for image in images]
    scores = [next(v.score for v in found.verdicts if v.detector == "confidence") for found in seen]
    assert list(np.argsort(scores)) == list(np.argsort([-found.prediction.confidence for found in seen]))


@pytest.mark.parametrize("name", ["fgsm", "pgd", "deepfool", "square"])
def test_a_network_alone_is_attacked(name: str) -> None:
    image = tiny_images(1)[0][0]
    found = telltale.attack(image, bundle=tiny_classifier(), attack=name)
    assert found.predictions[0] == tiny_classifier().predict(found.images)[0]


def test_attacks_on_detectors_aim_at_those_that_know_no_image_and_say_so_of_others() -> None:
    image = tiny_images(1)[0][0]
    aimed = [name for name, spec in ATTACKS.items() if spec.needs_detectors]
    assert aimed
    for name in aimed:
        with pytest.raises(InputError, match=r"would bring|there are feature_response"):
            telltale.attack(image, bundle=tiny_classifier(), attack=name)
    before = telltale.analyse(image, bundle=tiny_classifier()).verdict("confidence").score
    hidden = telltale.attack(image, bundle=tiny_classifier(), attack="adaptive", parameters={"detector": "confidence"})
    after = telltale.analyse(hidden.images[0], bundle=tiny_classifier())
    assert hidden.success[0] and after.prediction.label == hidden.predictions[0]
    assert after.verdict("confidence").score < before, "it hides from the score that it was told to hide from"


def test_a_network_without_a_second_one_or_a_linear_head_says_so_and_not_that_images_would_bring_them() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    nameless = telltale.wrap(nn.Sequential(network, nn.Softmax(1)), classes=3, size=12)
    found = telltale.analyse(np.zeros((1, 12, 12), dtype=np.float32), bundle=nameless)
    assert "is not the logits" in found.evidence["influence"].reason
    assert found.evidence["twin"].reason.startswith("No second network")
    assert found.prediction.name == str(found.prediction.label) and (found.bundle, found.bundle_id) == ("", "")

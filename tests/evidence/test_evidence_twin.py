"""The second network: its answer against torch's own, how it travels with the classifier, and where there is none."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from support.shipped import images_of, shipped
from support.tiny import small_classifier, tiny_classifier, tiny_images
from support.tiny_defence import tiny_defence, tiny_evidence
from telltale.analysis.analyse import analyse_image
from telltale.analysis.observing import observe_images
from telltale.analysis.results import Unavailable
from telltale.base.errors import DamagedBundleError, InputError
from telltale.detectors.fitted_detectors import FittedDetectors
from telltale.evidence.twin import AT_ONCE, log_probabilities
from telltale.kinds.kind import Seen
from telltale.kinds.registry import KINDS, lacking
from telltale.kinds.twin import TwinKind
from telltale.models.classifier import Classifier
from telltale.models.spec import ClassifierSpec
from telltale.models.weights import load_weights, make_classifier, save_weights
from telltale.models.wrapping import wrap


def twin() -> Classifier:
    found = tiny_classifier().twin
    assert found is not None
    return found


def alone() -> Classifier:
    """Return the tiny classifier without its twin."""
    single = copy.deepcopy(tiny_classifier())
    single.twin = None
    return single


# --- what is read ---


def test_the_twins_answer_is_its_own_softmax() -> None:
    images = np.concatenate([tiny_images(30)[0]] * 3)
    assert len(images) > AT_ONCE
    with torch.no_grad():
        expected = torch.log_softmax(twin()(torch.from_numpy(images)).double(), 1).numpy()
    found = log_probabilities(twin(), images)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found[:1], log_probabilities(twin(), images[:1]), atol=1e-6)


def test_doubt_is_about_the_class_that_the_classifier_predicts() -> None:
    images = np.concatenate([tiny_images(20)[0], np.random.default_rng(0).random((20, 1, 32, 32), np.float32)])
    scores = tiny_defence().detectors["twin"].score(tiny_evidence(images))
    with torch.no_grad():
        first, second = (net(torch.from_numpy(images)).numpy().astype(float) for net in (tiny_classifier(), twin()))
    own = first.argmax(1)
    assert (second.argmax(1) != own).any()
    np.testing.assert_allclose(scores, [-np.log(softmax(z)[c]) for z, c in zip(second, own, strict=True)], rtol=1e-5)


def test_the_view_shows_both_networks() -> None:
    image = tiny_images(3)[0][2:]
    evidence = tiny_evidence(image)
    view = TwinKind().view(Seen(evidence, FittedDetectors({}, None)))
    for found, network in ((view.probabilities, tiny_classifier()), (view.twin_probabilities, twin())):
        np.testing.assert_allclose(found, network.probabilities(image)[0], atol=1e-6)
    assert view.prediction == twin().predict(image)[0]
    assert view.doubt == pytest.approx(-np.log(view.twin_probabilities[view.probabilities.argmax()]), rel=1e-6)


# --- where there is none ---


def test_without_a_twin_nothing_is_read_and_the_reason_is_given() -> None:
    images = tiny_images(2)[0]
    assert "twin_log_probabilities" in observe_images(tiny_classifier(), images).readings.arrays
    assert "twin_log_probabilities" not in observe_images(alone(), images).readings.arrays
    assert lacking(tiny_classifier().spec) == {}
    assert lacking(alone().spec) == {"twin": "No second network was trained beside this classifier."}


def test_a_bundle_from_before_twins_says_that_it_has_none() -> None:
    loaded = shipped("digits")
    analysis = analyse_image(loaded, images_of([loaded.bundle.splits.test[0]])[0])
    found = analysis.evidence["twin"]
    assert isinstance(found, Unavailable) and found.reason.startswith("No second network")
    assert "twin" not in loaded.detectors
    assert set(analysis.evidence) == set(KINDS)


# --- how it travels ---


def test_spec_and_weights_bring_both_networks_back(tmp_path: Path) -> None:
    file, classifier, images = tmp_path / "w.safetensors", tiny_classifier(), tiny_images(5)[0]
    save_weights(classifier, file)
    spec = ClassifierSpec.from_json(classifier.spec.to_json())
    assert spec == classifier.spec and spec.twin == twin().spec
    again = load_weights(spec, file)
    assert again.twin is not None
    for old, new in ((classifier, again), (twin(), again.twin)):
        np.testing.assert_allclose(new.trace(images).logits, old.trace(images).logits, atol=1e-5)
    assert again.spec == spec
    bare = dataclasses.replace(alone().spec, sha256=None)
    assert "twin" not in bare.to_json()
    assert load_weights(bare, file).twin is None, "the first network is whole without the second"
    empty = make_classifier(spec)
    assert empty.twin is not None and empty.twin.classes == 10


def test_weights_of_another_twin_are_refused(tmp_path: Path) -> None:
    file, spec = tmp_path / "w.safetensors", tiny_classifier().spec
    save_weights(alone().take_twin(small_classifier(1, 32, 32, 10, base_width=2, depth=1)), file)
    with pytest.raises(DamagedBundleError, match="do not fit the network"):
        load_weights(dataclasses.replace(spec, sha256=None), file)
    changed = copy.deepcopy(tiny_classifier())
    assert changed.twin is not None
    with torch.no_grad():
        next(changed.twin.parameters()).add_(1e-3)
    save_weights(changed, file)
    with pytest.raises(DamagedBundleError, match="do not fit the network"):
        load_weights(spec, file)


def test_anybodys_second_network_can_be_the_twin() -> None:
    first, second = (torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(75, 3)) for _ in range(2))
    other = wrap(second, classes=3, size=5)
    assert wrap(first, classes=3, size=5, twin=other).twin is other


@pytest.mark.parametrize(
    ("size", "classes", "said"), [(32, 9, "10 classes. Got"), (16, 10, r"Got \(1, 16, 16\) and 10 instead")]
)
def test_a_twin_reads_the_same_images_and_classes(size: int, classes: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        alone().take_twin(small_classifier(1, size, size, classes, base_width=2, depth=1))


def test_a_twin_is_another_network_and_has_none_itself() -> None:
    single = alone()
    for other in (single, tiny_classifier()):
        with pytest.raises(InputError, match="a second network, which has no twin itself"):
            single.take_twin(other)

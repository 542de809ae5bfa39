"""A network trained for a table takes the bundle's place in everything: what is attacked, traced and referred to."""

from __future__ import annotations

import numpy as np
import pytest

from support.in_order import InOrder
from telltale.base.images import to_floats
from telltale.bundle.bundle import WEIGHTS_FILE
from telltale.models.weights import load_weights
from telltale.recipes import AttackPlan
from telltale.studies.tables.lab import Lab
from telltale.studies.tables.retrained_lab import RetrainedLab
from telltale.studies.tables.training import learned_images

pytestmark = pytest.mark.slow

PLAN = AttackPlan("fgsm", 0, 30, {"eps": 0.1})


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, RetrainedLab]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELLTALE_CACHE", str(tmp_path_factory.mktemp("cache")))
        lab = Lab("digits", "digits", None, InOrder(), lambda _fraction, _message: None)
        retrained = RetrainedLab.of(lab, epochs=1)
        assert lab.folder != retrained.folder
    return lab, retrained


def test_the_networks_differ_and_neither_overwrites_the_other(labs: tuple[Lab, RetrainedLab]) -> None:
    lab, retrained = labs
    assert not np.array_equal(_weights(lab), _weights(retrained))
    again = load_weights(retrained.classifier.spec, retrained.folder / WEIGHTS_FILE)
    images = _images(lab, lab.loaded.bundle.splits.test[:20])
    np.testing.assert_array_equal(again.trace(images).logits, retrained.classifier.trace(images).logits)


@pytest.mark.parametrize("name", ["digits", "cifar10"])
def test_it_learns_from_all_that_the_bundles_network_has_learned_from_and_from_nothing_that_was_held_out(
    name: str,
) -> None:
    lab = Lab(name, None, None, InOrder(), lambda _fraction, _message: None)
    bundle = lab.loaded.bundle
    if bundle.image_set is None:
        pytest.skip("the data set's images are not on this machine")
    learned = learned_images(lab)
    held_out = np.concatenate([bundle.splits.fit, bundle.splits.calibration, bundle.splits.test])
    assert np.isin(bundle.splits.train, learned).all() and not np.isin(held_out, learned).any()
    own_test = lab.image_set.own_test
    assert len(learned) == len(lab.image_set.labels) - len(held_out) - max(0, own_test - len(bundle.splits.test))


def test_the_reference_set_is_what_its_own_network_makes_of_all_training_images(
    labs: tuple[Lab, RetrainedLab],
) -> None:
    lab, retrained = labs
    reference, train = retrained.reference.read(), lab.loaded.bundle.splits.train
    np.testing.assert_array_equal(reference.ids, train)
    np.testing.assert_array_equal(reference.labels, lab.image_set.labels[train])
    trace = retrained.classifier.trace(_images(lab, train))
    np.testing.assert_allclose(reference.trace.hidden, trace.hidden, rtol=1e-4, atol=1e-5)


def test_what_counts_as_fooled_is_its_own_answer(labs: tuple[Lab, RetrainedLab]) -> None:
    lab, retrained = labs
    truth = lab.image_set.labels
    natural = retrained.natural("test", 10_000, readings=False)
    predicted = retrained.classifier.trace(_images(lab, natural.ids)).predictions
    np.testing.assert_array_equal(natural.success, predicted == truth[natural.ids])

    (attacked,) = retrained.attacked("test", [PLAN], [30], readings=False)
    np.testing.assert_array_equal(attacked.ids, natural.ids[natural.success][:30])
    (images,) = retrained.attacked_images("test", [PLAN], [30])
    answers = retrained.classifier.trace(to_floats(images.pixels)).predictions
    np.testing.assert_array_equal(attacked.success, answers != truth[attacked.ids])


def _images(lab: Lab, ids: np.ndarray) -> np.ndarray:
    return to_floats(lab.image_set.pixels[ids])


def _weights(lab: Lab) -> np.ndarray:
    return next(iter(lab.classifier.network.parameters())).detach().numpy()

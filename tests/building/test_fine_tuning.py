"""Fine-tuning: the new head against scikit-learn's, the last blocks, resumption, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

import telltale
from support.clothes import COUNTS, write_splits
from support.coloured import MEAN, STD, TEXT, write_folder
from support.foreign_networks import foreign
from telltale.base.errors import InputError
from telltale.base.progress import silent
from telltale.building.fine_tuning.blocks import last_parameters
from telltale.building.fine_tuning.features import Features
from telltale.building.fine_tuning.head_fit import PENALTIES, fit_new_head, judged
from telltale.building.fine_tuning.learning import learning_images
from telltale.building.fine_tuning.tune import fine_tune
from telltale.building.fine_tuning.views import cut
from telltale.building.inspecting.inspect import Stated, wrap_model
from telltale.building.own_images import ClassChoice, read_own_images
from telltale.building.planning import plan_around
from telltale.data.sources import load_image_set
from telltale.models.references import FoundModel, find_model
from telltale.recipes import own_plan

PREPROCESS = telltale.Preprocess(resize=(16, 16), mean=MEAN, std=STD)
STATED = Stated(size=(16, 16), preprocess=PREPROCESS)


class Stopped(Exception):
    """Ends a training where a test has seen enough."""


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TELLTALE_MODELS", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.py").write_text(TEXT)
    write_splits(tmp_path / "photos")
    return tmp_path


def known() -> FoundModel:
    return find_model("shop.py:make")


# --- parts ----------------------------------------------------------------------------------------------------------


def clouds(images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features of three classes that overlap, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(images) % 3
    return (rng.normal(0.0, 1.0, (images, 6)) + 1.2 * np.eye(6)[labels]).astype(np.float32), labels


def by_sklearn(hidden: np.ndarray, labels: np.ndarray, penalty: float) -> np.ndarray:
    """Fit the same problem with another library: biases are weights of a constant feature."""
    given = np.hstack([hidden.astype(np.float64), np.ones((len(hidden), 1))])
    model = LogisticRegression(C=1.0 / (penalty * len(given)), fit_intercept=False, tol=1e-10, max_iter=10_000)
    return np.asarray(model.fit(given, labels).coef_)


def test_the_head_is_scikit_learns_and_its_penalty_the_one_with_the_least_loss_on_validation() -> None:
    hidden, labels = clouds(90, 0)
    validation, theirs = clouds(60, 1)
    fitted = fit_new_head(Features(hidden[None], validation), labels, theirs, 3, silent)
    losses = {}
    for penalty in PENALTIES:
        weights = by_sklearn(hidden, labels, penalty)
        logits = np.hstack([validation, np.ones((60, 1))]) @ weights.T
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        losses[penalty] = -np.log(shares[np.arange(60), theirs]).mean()
    assert fitted.head.damping == min(losses, key=losses.__getitem__) not in (PENALTIES[0], PENALTIES[-1])
    assert fitted.loss == pytest.approx(losses[fitted.head.damping], abs=1e-4)
    assert np.allclose(fitted.head.weights, by_sklearn(hidden, labels, fitted.head.damping), atol=2e-3)
    assert judged(fitted.head, validation, theirs) == (fitted.loss, fitted.accuracy)


def test_copies_that_help_on_validation_are_taken_and_others_are_not() -> None:
    clear, labels = clouds(90, 2)
    validation, theirs = clouds(300, 3)
    noise = np.random.default_rng(4).normal(0.0, 1.0, clear.shape).astype(np.float32)
    for first, second, copies in ((noise, clear, 2), (clear, -6.0 * clear, 1)):
        features = Features(np.stack([first, second]), validation)
        assert fit_new_head(features, labels, theirs, 3, silent).copies == copies


def test_a_cut_lies_within_the_image_keeps_its_proportions_and_half_are_mirrored() -> None:
    ramp = torch.linspace(0.1, 0.9, 40).expand(200, 1, 40, 40).clone()
    images = torch.cat([ramp, ramp.transpose(2, 3)], 1)  # the first channel grows to the right, the second downwards
    found = cut(images, torch.Generator().manual_seed(0))
    assert found.min() >= 0.1 - 1e-6 and found.max() <= 0.9 + 1e-6
    right = (found[:, 0, 20, 35] - found[:, 0, 20, 5]) / (images[:, 0, 20, 35] - images[:, 0, 20, 5])
    down = (found[:, 1, 35, 20] - found[:, 1, 5, 20]) / (images[:, 1, 35, 20] - images[:, 1, 5, 20])
    assert torch.allclose(right.abs(), down, atol=0.02)
    assert down.min() >= 0.5**0.5 - 0.02 and down.max() <= 1.0 + 0.02 and down.max() - down.min() > 0.2
    assert 70 <= int((right < 0).sum()) <= 130
    again = cut(images, torch.Generator().manual_seed(0))
    assert torch.equal(found, again)


def test_the_last_blocks_are_what_runs_behind_the_others() -> None:
    classifier = foreign("inverted_residuals", 3, 32, 32)
    names = {id(parameter): name for name, parameter in classifier.network.named_parameters()}
    traced = [layer.module for layer in classifier.plan.layers if layer.place == "output"]
    assert traced == [f"features.{place}" for place in range(5)]
    for blocks in range(1, 6):
        found = {names[id(parameter)] for parameter in last_parameters(classifier, blocks)}
        wanted = (*(f"features.{place}." for place in range(5 - blocks, 5)), "classifier.")
        assert found == {name for name in names.values() if name.startswith(wanted)}
    with pytest.raises(InputError, match=r"--blocks must be at most 5, the blocks that are traced: features\.0"):
        last_parameters(classifier, 6)


# --- the whole ------------------------------------------------------------------------------------------------------


def test_a_network_learns_other_classes_and_is_made_again_from_its_file(shop) -> None:
    tuned = fine_tune(known(), "photos", shop / "fruit.safetensors", STATED, progress=silent)
    assert tuned.classes == 3 and tuned.learned.training_images == 3 * COUNTS["train"]
    assert tuned.head_accuracy == 1.0 == tuned.test_accuracy and tuned.epoch == 0
    found = find_model("fruit.safetensors")
    assert found.class_names == ("cherry", "leaf", "sky") and found.code is None
    classifier = wrap_model(found, Stated())
    assert classifier.preprocess == PREPROCESS or classifier.preprocess.resize == (16, 16)
    image_set = load_image_set("photos", sizing=classifier.preprocess.sizing(3))
    test = image_set.own_splits["test"]
    assert (classifier.predict(image_set.images(test)) == image_set.labels[test]).all()
    before = wrap_model(known(), STATED, named=False)
    images = image_set.images(test)
    assert np.allclose(before.trace(images).hidden, classifier.trace(images).hidden, atol=1e-6)
    assert not list(shop.glob(".*training"))


def test_what_was_learned_from_is_what_a_build_takes_as_references(shop) -> None:
    write_folder(shop / "loose", each=30, names=("cherry", "leaf", "sky"))
    for data in ("photos", "loose"):
        fine_tune(known(), data, shop / "fruit.safetensors", STATED, progress=silent)
        classifier = wrap_model(find_model("fruit.safetensors"), Stated())
        own = read_own_images(classifier, data, ClassChoice(), silent).image_set
        planned = plan_around(classifier, own_plan("fruit", data), own, None, shop, "fruit", silent)
        images = learning_images(own, data)
        assert np.array_equal(planned.splits.train, images.training)
        assert np.array_equal(planned.splits.test, images.test)
        held_out = np.union1d(planned.splits.fit, planned.splits.calibration)
        assert np.isin(held_out, images.validation).all()
        assert len(np.intersect1d(images.validation, images.test)) == 0


def test_last_blocks_learn_what_no_head_could_and_the_best_epoch_is_kept(shop, monkeypatch) -> None:
    write_splits(shop / "photos2", {"train": 24, "validation": 24, "test": 8})
    model = find_model("shop.py:make")
    with torch.no_grad():  # the last block passes nothing on: only by learning itself can it be of use
        model.network.gather.weight.mul_(0.01)
    file = shop / "fruit.safetensors"
    tuned = fine_tune(model, "photos2", file, STATED, blocks=1, epochs=3, progress=silent)
    assert tuned.epoch >= 1 and tuned.loss < tuned.head_loss and tuned.learned.blocks == 1
    network = find_model("fruit.safetensors").network
    before = model.network.state_dict()
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"gather.weight", "gather.bias", "head.weight", "head.bias"}
    classifier = wrap_model(find_model("fruit.safetensors"), Stated())
    image_set = load_image_set("photos2", sizing=classifier.preprocess.sizing(3))
    ids = learning_images(image_set, "photos2").validation
    with torch.no_grad():
        logits = classifier(torch.from_numpy(image_set.images(ids)))
    loss = nn.functional.cross_entropy(logits, torch.from_numpy(image_set.labels[ids]))
    assert float(loss) == pytest.approx(tuned.loss, abs=1e-5)


def test_blocks_that_make_validation_worse_are_given_up(shop, monkeypatch) -> None:
    monkeypatch.setattr("telltale.building.fine_tuning.blocks.LEARNING_RATE", 30.0)
    file = shop / "fruit.safetensors"
    tuned = fine_tune(known(), "photos", file, STATED, blocks=2, epochs=2, progress=silent)
    assert tuned.epoch == 0 and tuned.loss == pytest.approx(tuned.head_loss, abs=1e-5) and tuned.learned.blocks == 0
    fine_tune(known(), "photos", shop / "head.safetensors", STATED, progress=silent)
    states = [find_model(name).network.state_dict() for name in ("fruit.safetensors", "head.safetensors")]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("words", ["Reading images, 1", "epoch 2 of 3"])
def test_one_that_was_stopped_goes_on_to_the_same_file(shop, words) -> None:
    options = {"blocks": 1, "epochs": 3}
    whole = fine_tune(known(), "photos", shop / "whole.safetensors", STATED, progress=silent, **options)

    def stop(fraction: float, message: str) -> None:
        if words in message:
            raise Stopped

    file = shop / "halved.safetensors"
    with pytest.raises(Stopped):
        fine_tune(known(), "photos", file, STATED, progress=stop, **options)
    assert not file.exists() and list(shop.glob(".halved-*.training"))
    said: list[str] = []
    again = fine_tune(known(), "photos", file, STATED, progress=lambda _, message: said.append(message), **options)
    assert (
        not any("Reading images, 0" in message or "epoch 1 of 3" in message for message in said) or "Reading" in words
    )
    assert not any("Reading images, 0" in message for message in said)
    assert again.loss == whole.loss and _sha256(file) == _sha256(shop / "whole.safetensors")
    assert not list(shop.glob(".*training"))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


# --- refusals -------------------------------------------------------------------------------------------------------


def test_what_cannot_be_learned_from_is_one_sentence(shop) -> None:
    write_folder(shop / "one" / "train", 20, ("cherry",))
    write_folder(shop / "one" / "test", 20, ("cherry",))
    write_folder(shop / "pictures", 20, ("",))
    write_splits(shop / "lacking", {"train": 12, "validation": 9, "test": 9})
    for place in (shop / "lacking" / "train" / "sky").iterdir():
        place.unlink()
    write_splits(shop / "tested", {"validation": 20, "test": 20})
    write_folder(shop / "few", 1)
    for data, sentence in (
        ("one", "has one class, 'cherry'"),
        ("pictures", "has no labels"),
        ("lacking", "has no training image of sky"),
        ("tested", "has no training images: put them into a folder 'train'"),
        ("few", "too few"),
        ("none", "There is no data set or folder 'none'"),
    ):
        with pytest.raises(InputError) as refusal:
            fine_tune(known(), data, shop / "fruit.safetensors", STATED, progress=silent)
        assert sentence in str(refusal.value), data
    assert not (shop / "fruit.safetensors").exists()


def test_networks_whose_head_cannot_be_replaced_are_refused(shop) -> None:
    softmax = find_model("shop.py:make", arguments={"ending": "softmax"})
    with pytest.raises(InputError, match=r"has no head that could be replaced. The output of the last linear layer"):
        fine_tune(softmax, "photos", shop / "fruit.safetensors", STATED, progress=silent)
    with pytest.raises(InputError, match="--blocks must be at most 3"):
        fine_tune(known(), "photos", shop / "fruit.safetensors", STATED, blocks=4, progress=silent)


def test_without_a_size_that_of_the_pictures_counts_or_is_asked_for(shop) -> None:
    with pytest.raises(InputError, match="say by --size"):
        fine_tune(known(), "photos", shop / "fruit.safetensors", Stated(), progress=silent)

"""Bundles around networks as other people write them: built, analysed, and every page opened."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import telltale
import telltale.building.build
import telltale.engine
from support import foreign_networks
from support.direct_engine import DirectEngine
from support.foreign_networks import foreign
from support.in_order import InOrder
from support.miniature import FlatMaps
from support.pages import unopened
from telltale.analysis.results import Unavailable
from telltale.base.errors import InputError
from telltale.base.images import to_bytes
from telltale.bundle.bundle import Bundle
from telltale.kinds.density import DensityView
from telltale.kinds.registry import KINDS
from telltale.kinds.response import ResponseView
from telltale.kinds.trajectory import TrajectoryView
from telltale.models.classifier import Classifier
from telltale_app.pages import PAGES

pytestmark = pytest.mark.slow

DETECTORS = ("knn_score", "idefender", "nnif", "feature_response", "lid")
# Every network, number of classes and size occurs.
MATRIX = (
    ("small_resnet", 3, (96, 128), 90),
    ("functional_relu", 1000, (32, 32), 120),
    ("inverted_residuals", 3, (224, 224), 90),
    ("tokens", 3, (32, 32), 120),
    ("two_heads", 3, (96, 128), 90),
)
# That other processes make each of these networks again is tested where they are wrapped; here one of them does.
IN_WORKERS = "tokens"


@dataclass(frozen=True)
class Built:
    classifier: Classifier
    bundle: Bundle
    folder: Path


def spread_predictions(classifier: Classifier, images: np.ndarray) -> None:
    """Shift the head's bias until no class is preferred, so that an untrained network tells images apart."""
    linear = classifier.network.get_submodule(str(classifier.plan.linear))
    assert isinstance(linear, nn.Linear)
    with torch.no_grad():
        linear.bias -= torch.from_numpy(classifier.trace(images).logits.mean(0))


def write_images(folder: Path, images: np.ndarray, labels: np.ndarray, classes: int) -> None:
    """Write a data set in the hub's layout whose classes all have names, whether they have images or not."""
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageFeature

    pictures = [Image.fromarray(np.moveaxis(image, 0, -1)) for image in to_bytes(images)]
    names = [f"class {number}" for number in range(classes)]
    features = Features({"image": ImageFeature(), "label": ClassLabel(names=names)})
    folder.mkdir()
    Dataset.from_dict({"image": pictures, "label": labels.tolist()}, features=features).to_parquet(
        folder / "train-00000-of-00001.parquet"
    )


def blobs(count: int, size: tuple[int, int]) -> np.ndarray:
    """Return smooth coloured noise on the 8-bit grid."""
    draws = np.random.default_rng(5)
    coarse = torch.from_numpy(draws.random((count, 3, 4, 4), dtype=np.float32))
    images = nn.functional.interpolate(coarse, size, mode="bilinear").numpy()
    return np.asarray(np.rint(images * 255.0) / 255.0, dtype=np.float32)


@pytest.fixture(scope="module", params=MATRIX, ids=lambda row: f"{row[0]}-{row[1]}-{row[2][0]}x{row[2][1]}")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    name, classes, size, count = request.param
    folder = tmp_path_factory.mktemp(name)
    classifier, images = foreign(name, classes, *size), blobs(count, size)
    spread_predictions(classifier, images)
    labels = classifier.predict(images)
    wrong = np.random.default_rng(6).permutation(count)[: count // 10]  # errors of its own
    labels[wrong] = (labels[wrong] + 1) % classes
    write_images(folder / "images", images, labels, classes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TELLTALE_MODELS", foreign_networks.__file__)
        patch.setattr(telltale.building.build, "LayerMaps", FlatMaps)
        if name == IN_WORKERS:
            patch.setattr(os, "cpu_count", lambda: 1)  # one worker makes it again as well as several
        else:
            patch.setattr(telltale.building.build, "Processes", InOrder)
        bundle = telltale.build(
            "own",
            classifier,
            str(folder / "images"),
            trained_on=True,
            out=folder / "own",
            attacks=("fgsm",),
            detectors=DETECTORS,
        )
    return Built(classifier, bundle, folder)


@pytest.fixture
def at_hand(built: Built, monkeypatch: pytest.MonkeyPatch) -> Built:
    monkeypatch.setenv("TELLTALE_BUNDLES", str(built.folder))
    monkeypatch.setenv("TELLTALE_MODELS", foreign_networks.__file__)
    return built


def test_it_analyses_and_says_what_it_cannot(at_hand: Built) -> None:
    bundle = at_hand.bundle
    image = bundle.require_images().images(bundle.splits.test[:1])[0]
    analysis = telltale.analyse(image, bundle=bundle.name)
    np.testing.assert_allclose(
        analysis.prediction.probabilities, at_hand.classifier.trace(image[None]).probabilities[0], atol=1e-5
    )
    assert set(analysis.evidence) == set(KINDS)
    missing = {name: view.reason for name, view in analysis.evidence.items() if isinstance(view, Unavailable)}
    assert missing.pop("twin") == "No second network was trained beside this classifier."
    assert {verdict.detector for verdict in analysis.verdicts} <= set(DETECTORS)
    assert not missing and {verdict.detector for verdict in analysis.verdicts} == set(DETECTORS)
    references = np.isin(np.arange(at_hand.classifier.classes), bundle.training_labels)
    assert references.all() == (at_hand.classifier.classes != 1000), "classes without references are absent"
    for table in analysis.view(TrajectoryView).distances.values():
        assert np.array_equal(np.isfinite(table).all(0), references)
    counts = np.bincount(bundle.training_labels, minlength=at_hand.classifier.classes)
    assert np.array_equal(np.isfinite(analysis.view(DensityView).log_density), counts >= 2)
    guided = analysis.view(ResponseView).method == "guided backprop"
    assert guided == (not at_hand.bundle.manifest.architecture["factory"].startswith("tokens"))


def test_it_is_attacked(at_hand: Built) -> None:
    bundle = at_hand.bundle
    image = bundle.require_images().images(bundle.splits.test[:1])[0]
    result = telltale.attack(image, bundle=bundle.name, attack="pgd", parameters={"eps": 0.1, "step": 0.02})
    assert result.linf[0] <= 0.1 + 1e-6 and result.predictions[0] == at_hand.classifier.predict(result.images)[0]


@pytest.mark.parametrize("page", [page.file for page in PAGES])
def test_every_page_opens(at_hand: Built, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = DirectEngine()
    monkeypatch.setattr(telltale.engine, "get_engine", lambda: engine)
    case = {"bundle": "own", "image": f"test-{at_hand.bundle.splits.test[0]}", "attack": "fgsm"}
    app = unopened(f"app_pages/{page}", 120, **case).run()
    assert not app.exception, app.exception
    assert not app.error and not app.warning


def test_what_is_not_the_classifiers_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELLTALE_MODELS", foreign_networks.__file__)
    classifier = foreign("functional_relu", 3, 32, 32)
    images = blobs(12, (32, 48))
    write_images(tmp_path / "images", images, np.arange(12) % 3, 3)
    with pytest.raises(InputError, match=r"takes images of shape \(3, 32, 32\); the data set's are \(3, 32, 48\)"):
        telltale.build("own", classifier, str(tmp_path / "images"), out=tmp_path / "own")
    write_images(tmp_path / "more", blobs(12, (32, 32)), np.arange(12) % 4, 4)
    with pytest.raises(InputError, match="tells 3 classes apart; the data set names 4"):
        telltale.build("own", classifier, str(tmp_path / "more"), out=tmp_path / "own")
    named = telltale.wrap(foreign_networks.functional_relu(4), classes=["a", "b", "c", "d"], size=32)
    with pytest.raises(InputError, match="the data's are class 0, class 1, class 2, class 3; the network's a, b, c, d"):
        telltale.build("own", named, str(tmp_path / "more"), out=tmp_path / "own")
    nameless = telltale.wrap(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 4)), classes=4, size=32)
    with pytest.raises(InputError, match="No registered factory made this network"):
        telltale.build("own", nameless, str(tmp_path / "more"), out=tmp_path / "own")
    with pytest.raises(InputError, match="not built with the attack 'sword'"):
        telltale.build("own", nameless, str(tmp_path / "more"), attacks=("sword",))
    with pytest.raises(InputError, match="trained_on must be True, False or None"):
        telltale.build("own", classifier, str(tmp_path / "more"), trained_on="yes")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no detector 'nose'"):
        telltale.build("own", classifier, str(tmp_path / "more"), out=tmp_path / "own", detectors=("nose",))
    with pytest.raises(InputError, match=r"folder of the bundle 'own' must be called 'own'\. Got '.*other' instead"):
        telltale.build("own", classifier, str(tmp_path / "images"), out=tmp_path / "other")
    assert not (tmp_path / ".build").exists()
    with pytest.raises(InputError, match="name is made of letters"):
        telltale.build("my own", classifier, str(tmp_path / "more"), out=tmp_path / "my own")
    monkeypatch.delenv("TELLTALE_MODELS")
    with pytest.raises(InputError, match="in the environment variable TELLTALE_MODELS"):
        telltale.build("own", classifier, str(tmp_path / "more"), out=tmp_path / "own")
    assert not (tmp_path / "own").exists()

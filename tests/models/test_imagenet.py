"""The ImageNet network: its own weights and no others, and its answers to photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import telltale
from telltale.base.errors import DamagedBundleError, InputError
from telltale.base.files import load_arrays, save_arrays
from telltale.models import factories, imagenet
from telltale.models.class_names import match_classes
from telltale.models.references import find_model
from telltale.models.weights import load_weights, save_weights, weights_sha256

PHOTOGRAPHS = Path(__file__).resolve().parents[3] / "shared" / "data" / "imagenet-photos"


def test_it_is_a_classifier_of_a_thousand_classes() -> None:
    found = find_model("imagenet")
    classifier = telltale.wrap(
        found.network, classes=list(found.class_names), size=found.size, preprocess=found.preprocess
    )
    assert classifier.head is not None and classifier.head.weights.shape == (1000, 1280)
    assert classifier.spec.factory == "efficientnet_lite0" and len(classifier.layers) >= 4
    with pytest.raises(InputError, match="brings its own weights"):
        find_model("imagenet", Path("others.safetensors"))
    with pytest.raises(InputError, match="Only code takes arguments"):
        find_model("imagenet", arguments={"a": 1})


def test_other_weights_are_refused(monkeypatch) -> None:
    monkeypatch.setattr(imagenet, "SHA256", "0" * 64)
    with pytest.raises(InputError, match="are not those that belong to it"):
        find_model("imagenet")


def test_padding_in_the_convolutions_changes_no_number(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.rand((2, 3, 224, 224), generator=torch.Generator().manual_seed(0))
    ours = imagenet.efficientnet_lite0().eval()
    monkeypatch.setattr(imagenet, "_pad_in_convolutions", lambda _network: None)
    theirs = imagenet.efficientnet_lite0().eval()
    padded = [module for module in theirs.modules() if isinstance(module, nn.ZeroPad2d)]
    left = [module for module in ours.modules() if isinstance(module, nn.ZeroPad2d)]
    assert len(left) < len(padded)
    assert all(module.padding[0] != module.padding[1] for module in left)
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=0.0, atol=1e-5)


def test_photographs_are_read_as_what_they_show() -> None:
    files = sorted(PHOTOGRAPHS.glob("*.jpg"))[::48]
    if not files:
        pytest.skip(f"There are no photographs in '{PHOTOGRAPHS}'.")
    found = find_model("imagenet")
    outputs = match_classes([file.stem for file in files], found.class_names, found.synonyms).outputs
    assert len(outputs) == len(files)
    pictures = [np.asarray(Image.open(file).convert("RGB"), np.float32).transpose(2, 0, 1) / 255 for file in files]
    images = torch.from_numpy(np.stack([found.preprocess.to_size(picture) for picture in pictures]))
    with torch.no_grad():
        predictions = found.network.eval()((images - found.preprocess.mean) / found.preprocess.std).argmax(1)
    right = [int(predicted) == outputs[file.stem] for predicted, file in zip(predictions, files, strict=True)]
    assert sum(right) >= 0.7 * len(files)  # 10 photographs; ≥ 85 % of all of them


def _wrapped() -> telltale.Classifier:
    found = find_model("imagenet")
    assert found.class_names is not None
    return telltale.wrap(found.network, classes=list(found.class_names), size=found.size, preprocess=found.preprocess)


def test_a_file_of_weights_leaves_out_what_the_package_brings(tmp_path: Path) -> None:
    classifier, file = _wrapped(), tmp_path / "weights.safetensors"
    save_weights(classifier, file)
    assert file.stat().st_size < 2_000 and set(load_arrays(file)) == {"mean", "std"}
    again = load_weights(classifier.spec, file)
    assert weights_sha256(file) == classifier.spec.sha256 == again.spec.sha256
    picture = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(again(picture), classifier(picture), atol=1e-4)


def test_the_network_is_made_once_when_its_weights_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, file = _wrapped(), tmp_path / "weights.safetensors"
    save_weights(classifier, file)
    made = []

    def counted(name: str, arguments: dict[str, object]) -> torch.nn.Module:
        made.append(name)
        return factories.make(name, arguments)

    monkeypatch.setattr("telltale.models.weights.make", counted)
    assert load_weights(classifier.spec, file).spec == classifier.spec
    assert made == ["efficientnet_lite0"]


def test_weights_that_differ_from_the_packages_are_kept(tmp_path: Path) -> None:
    classifier, file = _wrapped(), tmp_path / "weights.safetensors"
    with torch.no_grad():
        next(classifier.network.parameters()).mul_(0.5)
    save_weights(classifier, file)
    assert len(load_arrays(file)) == 3  # mean, standard deviation and what was changed
    assert load_weights(classifier.spec, file).spec.sha256 == classifier.spec.sha256


def test_weights_left_to_a_factory_that_brings_none_are_damaged(tmp_path: Path) -> None:
    classifier, file = _wrapped(), tmp_path / "weights.safetensors"
    save_arrays(file, {"mean": np.zeros(1, np.float32)}, {"brought": '["small_resnet", {}]'})
    with pytest.raises(DamagedBundleError, match="'small_resnet', which brings none"):
        load_weights(classifier.spec, file)

"""The ImageNet network: its own weights and no others, and its answers to photographs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import telltale
from telltale.base.errors import InputError
from telltale.models import imagenet
from telltale.models.class_names import match_classes
from telltale.models.references import find_model

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

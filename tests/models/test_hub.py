"""Image classifiers of transformers: from a folder, without their code, with the preprocessing that they state."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import ResNetConfig, ResNetForImageClassification, ViTConfig, ViTForImageClassification

import telltale
from telltale.base.errors import InputError
from telltale.models.hub import is_hub_model, read_model, transformers_network
from telltale.models.hub_processor import read_processor
from telltale.models.references import find_model
from telltale.models.spec import ClassifierSpec
from telltale.models.weights import load_weights, save_weights

NAMES = {0: "shirt", 1: "shoe", 2: "hat"}
PROCESSOR = {
    "do_resize": True,
    "size": {"shortest_edge": 36},
    "do_center_crop": True,
    "crop_size": {"height": 32, "width": 32},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.25, 0.3],
}


def vit() -> ViTForImageClassification:
    return ViTForImageClassification(
        ViTConfig(
            hidden_size=16,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=32,
            patch_size=8,
            id2label=NAMES,
            label2id={name: index for index, name in NAMES.items()},
        )
    )


def resnet() -> ResNetForImageClassification:
    return ResNetForImageClassification(
        ResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 12, 16, 20],
            depths=[1, 1, 1, 1],
            layer_type="basic",
            id2label=NAMES,
            label2id={name: index for index, name in NAMES.items()},
        )
    )


MODELS = {"vit": vit, "resnet": resnet}


@pytest.fixture(params=MODELS)
def saved(request, tmp_path) -> tuple[torch.nn.Module, Path]:
    model = MODELS[request.param]().eval()
    model.save_pretrained(tmp_path / "saved")
    (tmp_path / "saved" / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return model, tmp_path / "saved"


def test_a_saved_folder_becomes_a_classifier_and_is_made_again(saved, tmp_path) -> None:
    model, folder = saved
    assert is_hub_model(str(folder))
    found = find_model(str(folder))
    assert found.class_names == ("shirt", "shoe", "hat") and found.size == (32, 32)
    classifier = telltale.wrap(
        found.network, classes=list(found.class_names), size=found.size, preprocess=found.preprocess
    )
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    mean, std = (torch.tensor(PROCESSOR[f"image_{name}"]).view(3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        expected = model(pixel_values=(images - mean) / std).logits
    torch.testing.assert_close(classifier.logits(images).detach(), expected, atol=1e-5, rtol=1e-4)
    assert classifier.head is not None and len(classifier.layers) >= 2
    save_weights(classifier, tmp_path / "weights.safetensors")
    spec = ClassifierSpec.from_json(json.loads(json.dumps(classifier.spec.to_json())))
    assert spec.code is None and spec.interpolation == "bicubic"
    again = load_weights(spec, tmp_path / "weights.safetensors")
    torch.testing.assert_close(again.logits(images).detach(), expected, atol=1e-5, rtol=1e-4)


def test_pictures_are_resized_as_pillow_does(saved) -> None:
    _, folder = saved
    preprocess = find_model(str(folder)).preprocess
    rng = np.random.default_rng(3)
    noise = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    noise = noise.resize((64, 48), Image.Resampling.BILINEAR)
    expected = noise.resize((48, 36), Image.Resampling.BICUBIC).crop((8, 2, 40, 34))
    picture = np.asarray(noise, dtype=np.float32).transpose(2, 0, 1) / 255
    found = preprocess.to_size(picture)
    np.testing.assert_allclose(found, np.asarray(expected, dtype=np.float32).transpose(2, 0, 1) / 255, atol=0.01)


def test_pickled_weights_missing_heads_and_foreign_code_are_refused(tmp_path) -> None:
    model = vit()
    model.save_pretrained(tmp_path)
    file, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    weights = load_file(file)
    save_file({name: tensor for name, tensor in weights.items() if "classifier" not in name}, file)
    with pytest.raises(InputError, match=r"not all there, 'classifier\.bias' among 2"):
        read_model(str(tmp_path))
    file.write_bytes(b"no weights")
    with pytest.raises(InputError, match="cannot be read"):
        read_model(str(tmp_path))
    file.unlink()
    torch.save(weights, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="has no weights as safetensors, and no others are read"):
        read_model(str(tmp_path))
    raw = json.loads(config.read_text())
    save_file(weights, file)
    for change, sentence in (
        ({"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}, "code of its own, which is never run"),
        ({"model_type": "bert"}, "no image classifier that transformers has"),
        ({"quantization_config": {"quant_method": "awq"}}, "ask for 'quantization_config'"),
        ({"hidden_size": "many"}, "settings of the model"),
    ):
        config.write_text(json.dumps(raw | change))
        with pytest.raises(InputError, match=sentence):
            read_model(str(tmp_path))
    config.write_text("{")
    with pytest.raises(InputError, match=r"'config\.json' of .* missing or damaged"):
        read_model(str(tmp_path))


def test_settings_from_a_bundle_bring_no_code() -> None:
    raw = vit().config.to_dict() | {"attn_implementation": "somebody/kernels", "auto_map": {"AutoConfig": "x.Y"}}
    network = transformers_network(config=json.loads(json.dumps(raw, default=str)))
    assert network.model.config._attn_implementation == "eager"


def test_a_hub_that_cannot_be_reached_is_one_sentence(monkeypatch) -> None:
    import huggingface_hub

    asked = []

    def unreachable(hub_id: str, **options: object) -> str:
        asked.append((hub_id, options["revision"], options["allow_patterns"]))
        raise OSError("no network\nat all")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(InputError, match="'owner/name@v2' could not be fetched: the hub cannot be reached"):
        find_model("hf:owner/name@v2")
    assert asked == [("owner/name", "v2", ["*.json", "*.safetensors"])]


@pytest.mark.parametrize(
    ("raw", "resize", "crop", "size"),
    [
        (PROCESSOR, 36, (32, 32), (32, 32)),
        ({"size": {"height": 20, "width": 30}}, (20, 30), None, (20, 30)),
        ({"size": 224}, (224, 224), None, (224, 224)),
        ({"size": 256, "do_center_crop": True, "crop_size": 224}, 256, (224, 224), (224, 224)),
        ({"size": {"shortest_edge": 224}, "crop_pct": 0.875}, 256, 224, (224, 224)),
        ({"size": {"shortest_edge": 384}, "crop_pct": 0.875}, (384, 384), None, (384, 384)),
        ({"image_processor": {"size": [8, 9]}}, (8, 9), None, (8, 9)),
        ({"size": {"shortest_edge": 24}}, None, None, None),
    ],
)
def test_sizes_of_processors(raw, resize, crop, size) -> None:
    if size is None:
        raw, resize, crop, size = {**raw, "do_center_crop": False, "crop_pct": None}, 24, 24, (24, 24)
    found = read_processor(raw)
    assert (found.preprocess.resize, found.preprocess.crop, found.size) == (resize, crop, size)


@pytest.mark.parametrize(
    "raw",
    [
        {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.3, 0.4]},
        {"image_mean": [0.5], "image_std": [0.5], "rescale_factor": 1 / 127.5, "rescale_offset": True},
        {"do_rescale": False, "image_mean": [120.0, 110.0, 100.0], "image_std": [60.0, 61.0, 62.0]},
        {"do_rescale": False, "do_normalize": False},
        {"do_normalize": False, "image_mean": [0.5], "image_std": [0.5]},
    ],
)
def test_normalisation_is_what_the_library_computes_of_bytes(raw) -> None:
    pixels = np.arange(0, 256, 5, dtype=np.float64)
    expected = pixels
    if raw.get("do_rescale", True):
        expected = pixels * raw.get("rescale_factor", 1 / 255) - (1.0 if raw.get("rescale_offset") else 0.0)
    if raw.get("do_normalize", True):
        expected = (expected[:, None] - raw["image_mean"]) / raw["image_std"]
    found = read_processor({"size": 8, **raw}).preprocess
    mean, std = (
        np.asarray(usual if value is None else value) for value, usual in ((found.mean, 0.0), (found.std, 1.0))
    )
    given = (pixels[:, None] / 255 - mean) / std
    np.testing.assert_allclose(given, np.broadcast_to(expected.reshape(len(pixels), -1), given.shape), atol=1e-9)


def test_processors_that_are_not_understood_are_said() -> None:
    with pytest.raises(InputError, match="names a size that is not known here"):
        read_processor({"size": {"longest_edge": 3}})
    with pytest.raises(InputError, match="does not say to which size"):
        read_processor({"do_resize": False})
    assert "not known here" in read_processor({"size": 8, "resample": 1}).remarks[0]
